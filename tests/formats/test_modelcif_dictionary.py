"""Our mmCIF against the ModelCIF dictionary, which holds PDBx/mmCIF too, and against our own list of what it must have.

`mmcif_ma.dic.gz` is version 1.4.2 of the dictionary (wwPDB, CC0), as Debian's package libcifpp-data 5.0.7 has it. Later
versions, which python-modelcif writes, changed how models are listed; `amended` lays that change over it.
See docs/decisions/0024-standards.md.
"""

import dataclasses
import gzip
import io
from pathlib import Path

import gemmi
import ihm.dictionary
import pytest

from rna_predict.config import resolve_stage_config
from rna_predict.contracts import Ensemble, RnaSequence
from rna_predict.formats.models import export_best, write_ensemble
from rna_predict.pipeline import PipelineConfig, predict

DICTIONARY = Path(__file__).parent / "mmcif_ma.dic.gz"

REQUIRED = {
    "_entry.id",
    "_struct.title",
    "_software.name",
    "_entity_poly.type",
    "_entity_poly_seq.mon_id",
    "_struct_asym.id",
    "_atom_site.label_seq_id",
    "_atom_site.auth_seq_id",
    "_atom_site.B_iso_or_equiv",
    "_atom_site.pdbx_PDB_model_num",
    "_ma_data.content_type",
    "_ma_model_list.model_type",
    "_ma_protocol_step.method_type",
    "_ma_qa_metric.mode",
    "_ma_qa_metric_global.metric_value",
    "_ma_qa_metric_local.metric_value",
    "_ma_target_entity.entity_id",
}
"""What a reader of predicted models looks for: AlphaFold's and ModelArchive's files have it."""


@pytest.fixture(scope="module")
def ensemble() -> Ensemble:
    """A real prediction of three models."""
    stages = {field.name: [] for field in dataclasses.fields(PipelineConfig)}
    stages["stage_c"] = ["method=nerf"]
    stages["stage_d"] = ["models=3", "steps=2", "refine_iterations=10"]
    config = PipelineConfig(**{name: resolve_stage_config(name, None, chosen) for name, chosen in stages.items()})
    return predict(RnaSequence(id="hairpin", sequence="GGGCUUCGGCCC"), config).ensemble


@pytest.fixture(scope="module")
def files(ensemble, tmp_path_factory) -> dict[str, Path]:
    """All models, and the best as mmCIF and PDB."""
    folder = tmp_path_factory.mktemp("files")
    paths = {name: folder / name for name in ("d_models.cif", "d_confidence.json", "hairpin.pdb", "hairpin.cif")}
    write_ensemble(ensemble, paths["d_models.cif"], paths["d_confidence.json"])
    export_best(ensemble, paths["hairpin.pdb"], paths["hairpin.cif"])
    return paths


@pytest.fixture(scope="module")
def stated() -> ihm.dictionary.Dictionary:
    """The dictionary as it is."""
    with gzip.open(DICTIONARY, "rt", encoding="utf-8") as file:
        return ihm.dictionary.read(file)


@pytest.fixture(scope="module")
def amended() -> ihm.dictionary.Dictionary:
    """The dictionary with the change of later versions: models are known by `ordinal_id`, groups have categories."""
    with gzip.open(DICTIONARY, "rt", encoding="utf-8") as file:
        dictionary = ihm.dictionary.read(file)
    dictionary.categories["ma_model_list"].keywords["model_id"].mandatory = False
    links = dictionary.linked_items
    for child, parent in list(links.items()):
        if parent == "_ma_model_list.model_id":
            links[child] = "_ma_model_list.ordinal_id"
    text = dictionary.categories["ma_model_list"].keywords["model_name"].item_type
    whole = dictionary.categories["ma_model_list"].keywords["ordinal_id"].item_type
    for name, items in {
        "ma_model_group": {"id": whole, "name": text, "details": text},
        "ma_model_group_link": {"group_id": whole, "model_id": whole},
    }.items():
        category = ihm.dictionary.Category()
        category.name, category.mandatory = name, False
        for item, kind in items.items():
            keyword = ihm.dictionary.Keyword()
            keyword.name, keyword.item_type, keyword.mandatory = item, kind, item.endswith("id")
            category.keywords[item] = keyword
        dictionary.categories[name] = category
    links["_ma_model_group_link.group_id"] = "_ma_model_group.id"
    links["_ma_model_group_link.model_id"] = "_ma_model_list.ordinal_id"
    return dictionary


def complaints(dictionary: ihm.dictionary.Dictionary, content: str) -> list[str]:
    try:
        dictionary.validate(io.StringIO(content))
    except ihm.dictionary.ValidatorError as error:
        return [line for line in str(error).splitlines() if line.strip()]
    return []


@pytest.mark.parametrize("name", ["d_models.cif", "hairpin.cif"])
def test_the_modelcif_dictionary_accepts_it(files, amended, name):
    assert complaints(amended, files[name].read_text()) == []


def test_the_older_dictionary_complains_of_the_list_of_models_alone(files, stated):
    found = complaints(stated, files["d_models.cif"].read_text())
    assert found
    assert not [line for line in found if "ma_model_list.model_id" not in line and "ma_model_group" not in line]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("_ma_qa_metric.mode", "_ma_qa_metric.moed", "_ma_qa_metric.moed"),
        ("_ma_qa_metric_local.metric_value", "_ma_qa_metric_local.valeu", "metric_value"),
        ("pLDDT", "'my own'", "my own"),
        (" 'Ab initio model' ", " 'Guess' ", "Guess"),
    ],
)
def test_the_dictionary_sees_what_is_wrong(files, amended, old, new, said):
    content = files["d_models.cif"].read_text()
    assert old in content
    assert any(said in line for line in complaints(amended, content.replace(old, new)))


@pytest.mark.parametrize("name", ["d_models.cif", "hairpin.cif"])
def test_it_has_what_readers_of_predictions_look_for(files, name):
    block = gemmi.cif.read(str(files[name])).sole_block()
    found = {item for item in REQUIRED if any(value not in ("?", ".", "") for value in block.find_values(item))}
    assert REQUIRED - found == set()


def test_a_local_metric_for_each_residue_of_each_model(files, ensemble):
    block = gemmi.cif.read(str(files["d_models.cif"])).sole_block()
    rows = list(
        zip(*(block.find_values(f"_ma_qa_metric_local.{n}") for n in ("model_id", "label_seq_id")), strict=True)
    )
    assert rows == [
        (str(model), str(i)) for model in (1, 2, 3) for i in range(1, ensemble.models[0].xyz_LA3.shape[0] + 1)
    ]


def test_pdb_and_mmcif_agree_atom_for_atom(files):
    """Of a real prediction: names, residues, numbers, coordinates, occupancies and pLDDT of each atom, in one order."""
    pdb, cif = (gemmi.read_structure(str(files[name])) for name in ("hairpin.pdb", "hairpin.cif"))
    rows = []
    for structure in (pdb, cif):
        (model,) = structure
        (chain,) = model
        rows.append(
            [
                (
                    residue.name,
                    residue.seqid.num,
                    atom.name,
                    atom.element.name,
                    *atom.pos.tolist(),
                    atom.occ,
                    atom.b_iso,
                )
                for residue in chain
                for atom in residue
            ]
        )
    assert len(rows[0]) == 5 * 23 + 5 * 20 + 2 * 20
    for left, right in zip(*rows, strict=True):
        assert left[:4] == right[:4]
        assert left[4:] == pytest.approx(right[4:], abs=1e-6)
