"""Ensembles on disk: ModelCIF, confidence JSON, and the export of the best model."""

import dataclasses
import io
import json
import re
from importlib.resources import files
from pathlib import Path

import gemmi
import ihm.dictionary
import modelcif.reader
import numpy as np
import pytest
from biotite.structure.io import pdbx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rna_predict.chemistry.residues import ATOMS
from rna_predict.contracts import Ensemble, Model, Provenance, RnaSequence
from rna_predict.contracts.structure import full_mask
from rna_predict.errors import ContractError
from rna_predict.formats.models import (
    export_best,
    read_confidence_json,
    read_ensemble,
    read_models_cif,
    write_best_cif,
    write_best_pdb,
    write_ensemble,
    write_models_cif,
)
from rna_predict.formats.structure import read_structure

SEQUENCE = "GGCAUUCGUGCC"


def make_ensemble(
    count: int = 3, id: str = "hp1", kind: str = "heuristic", sequence: str = SEQUENCE, method: str = "analytic"
) -> Ensemble:
    rng = np.random.default_rng(7)
    length = len(sequence)
    base = np.arange(length)[:, None, None] * 6.1 + np.arange(23)[None, :, None] * np.array([0.2, 1.3, -0.4])
    models = tuple(
        Model(
            xyz_LA3=(base + rng.normal(0, 0.05, (length, 23, 3))).astype(np.float32),
            plddt_LA=rng.uniform(20, 95, (length, 23)).astype(np.float32),
            pae_LL=rng.uniform(0, 30, (length, length)).astype(np.float32),
            pde_LL=rng.uniform(0, 30, (length, length)).astype(np.float32),
            ptm=0.5 - rank / 10,
            ranking_score=0.7654321 - rank / 10,
            seed=100 + rank,
            terms={"bonds": 1.25, "pairs": -30.0 + rank},
        )
        for rank in range(count)
    )
    provenance = Provenance(method=method, package_version="0.1.0", inputs={"a_adjacency": "ab" * 32}, config="c0")
    return Ensemble(id=id, sequence=sequence, provenance=provenance, confidence_kind=kind, models=models)


@pytest.fixture
def written(tmp_path: Path) -> tuple[Ensemble, Path, Path]:
    ensemble = make_ensemble()
    cif, confidence = tmp_path / "d_models.cif", tmp_path / "d_confidence.json"
    write_ensemble(ensemble, cif, confidence)
    return ensemble, cif, confidence


def test_models_come_back_by_rank(written):
    ensemble, cif, _ = written
    for rank in range(3):
        model = read_models_cif(cif, rank)
        assert (model.id, model.sequence) == ("hp1", SEQUENCE)
        difference = np.abs(model.xyz_LA3 - ensemble.models[rank].xyz_LA3)[full_mask(SEQUENCE)]
        assert difference.max() < 0.000502
    with pytest.raises(ContractError, match=r"has 3 models, rank 3 is not among them. Run stage_d again"):
        read_models_cif(cif, 3)
    with pytest.raises(ContractError, match="rank -1 is not"):
        read_models_cif(cif, -1)


def test_gemmi_reads_models_residues_and_b_factors(written):
    ensemble, cif, _ = written
    structure = gemmi.read_structure(str(cif))
    assert len(structure) == 3
    for model, ours in zip(structure, ensemble.models, strict=True):
        (chain,) = model
        assert chain.name == "A"
        assert [r.name for r in chain] == list(SEQUENCE)
        assert [r.label_seq for r in chain] == list(range(1, 13)) == [r.seqid.num for r in chain]
        assert [[a.name for a in r] for r in chain] == [list(ATOMS[letter]) for letter in SEQUENCE]
        np.testing.assert_allclose([a.b_iso for r in chain for a in r], ours.plddt_LA[full_mask(SEQUENCE)], atol=0.006)
        assert {a.occ for r in chain for a in r} == {1.0}
    (entity,) = structure.entities
    assert entity.polymer_type == gemmi.PolymerType.Rna
    assert entity.full_sequence == list(SEQUENCE)


def test_strict_reader_and_biotite_see_the_best_model(written):
    ensemble, cif, _ = written
    ours = read_structure(cif)
    np.testing.assert_array_equal(ours.xyz_LA3, read_models_cif(cif, 0).xyz_LA3)
    assert ours.number_L.tolist() == list(range(1, 13))
    stack = pdbx.get_structure(pdbx.CIFFile.read(cif), extra_fields=["b_factor"])
    assert stack.shape == (3, int(full_mask(SEQUENCE).sum()))
    np.testing.assert_allclose(stack.coord[2], ensemble.models[2].xyz_LA3[full_mask(SEQUENCE)], atol=1e-3)


def test_quality_metrics_software_and_warning(written):
    ensemble, cif, _ = written
    block = gemmi.cif.read(str(cif)).sole_block()
    rows = {
        row[0]: tuple(row)[1:] for row in block.find("_ma_qa_metric.", ["id", "name", "type", "mode", "description"])
    }
    by_name = {(row[0], row[2]): key for key, row in rows.items()}
    assert set(by_name) == {("pLDDT", "global"), ("pTM", "global"), ("ranking_score", "global"), ("pLDDT", "local")}
    assert "heuristic" in rows[by_name["pLDDT", "local"]][3]
    values = {
        (int(row[0]), row[1]): float(row[2])
        for row in block.find("_ma_qa_metric_global.", ["model_id", "metric_id", "metric_value"])
    }
    for number, model in enumerate(ensemble.models, start=1):
        assert values[number, by_name["pLDDT", "global"]] == pytest.approx(
            model.plddt_LA[full_mask(SEQUENCE)].mean(), abs=0.01
        )
        assert values[number, by_name["pTM", "global"]] == pytest.approx(model.ptm, abs=1e-3)
        assert values[number, by_name["ranking_score", "global"]] == pytest.approx(model.ranking_score, abs=1e-3)
    local = block.find("_ma_qa_metric_local.", ["model_id", "label_seq_id", "label_comp_id", "metric_value"])
    assert len(local) == 36
    model_2 = {int(row[1]): (row[2], float(row[3])) for row in local if row[0] == "2"}
    for i, letter in enumerate(SEQUENCE):
        expected = ensemble.models[1].plddt_LA[i, : len(ATOMS[letter])].mean()
        assert model_2[i + 1] == (letter, pytest.approx(expected, abs=0.01))
    assert block.find_values("_software.name")[0] == "rna_predict"
    assert block.find_values("_software.version")[0] == "0.1.0"
    details = block.find_values("_ma_protocol_step.details")[0]
    assert "method analytic" in details
    assert "Confidence values are heuristic" in details
    assert block.find_value("_entity_poly.type") == "polyribonucleotide"


def test_learned_confidence_carries_no_warning(tmp_path: Path):
    write_models_cif(make_ensemble(kind="learned"), tmp_path / "m.cif")
    text = (tmp_path / "m.cif").read_text()
    assert "heuristic" not in text
    assert "UNTRAINED" not in text
    assert "trained network" in text


@pytest.mark.parametrize("kind", ["learned", "heuristic"])
def test_every_output_of_untrained_networks_says_so(tmp_path: Path, kind):
    ensemble = make_ensemble(kind=kind, method="UNTRAINED random weights (profile nano), diffusion")
    cif, confidence, pdb = (tmp_path / name for name in ("m.cif", "m.json", "m.pdb"))
    write_ensemble(ensemble, cif, confidence)
    block = gemmi.cif.read(str(cif)).sole_block()
    for category in ("_struct.pdbx_model_details", "_ma_protocol_step.details"):
        text = block.find_values(category)[0]
        assert "UNTRAINED random weights (profile nano)" in text
        assert "neither the models nor their confidence values are predictions" in text
        assert "trained network" not in text
    assert "UNTRAINED" in json.loads(confidence.read_text())["provenance"]["method"]
    again = read_ensemble(cif, confidence)
    assert again.provenance.untrained
    assert again.confidence_kind == kind
    write_best_pdb(again, pdb)
    remarks = [line for line in pdb.read_text().splitlines() if line.startswith("REMARK")]
    assert "REMARK   1 method UNTRAINED random weights (profile nano), diffusion" in remarks
    assert f"REMARK   1 B-factor column: pLDDT per atom, 0-100, {kind}, UNTRAINED" in remarks


def test_a_trained_ensemble_is_not_called_untrained(written):
    assert not written[0].provenance.untrained


def test_python_modelcif_reads_its_own_group_in_rank_order(written):
    _, cif, _ = written
    with cif.open() as file:
        (system,) = modelcif.reader.read(file)
    (group,) = system.model_groups
    assert [model.name for model in group] == ["Rank 1", "Rank 2", "Rank 3"]
    assert system.id == "hp1"


def test_pdbx_dictionary_accepts_the_file(written):
    """Offline, rnapolis carries PDBx v50; the ModelCIF categories (ma_*) are not in it and may be unknown to it."""
    _, cif, _ = written
    with files("rnapolis").joinpath("mmcif_pdbx_v50.dic").open() as file:
        dictionary = ihm.dictionary.read(file)
    with pytest.raises(ihm.dictionary.ValidatorError) as caught:
        dictionary.validate(io.StringIO(cif.read_text()))
    complaints = [line for line in str(caught.value).splitlines() if line.strip()]
    unexpected = [line for line in complaints if "ma_" not in line]
    assert unexpected == []


def test_two_writes_are_equal_bytes(written, tmp_path: Path):
    ensemble, cif, confidence = written
    write_ensemble(ensemble, tmp_path / "again.cif", tmp_path / "again.json")
    assert (tmp_path / "again.cif").read_bytes() == cif.read_bytes()
    assert (tmp_path / "again.json").read_bytes() == confidence.read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "again.cif",
        "again.json",
        "d_confidence.json",
        "d_models.cif",
    ]


@pytest.mark.parametrize("id", ["loop_", "data_x", "save_", "stop_", "global_", "1.5", "7", "a-b.c_d", "x" * 64])
def test_ids_that_are_words_of_cif(tmp_path: Path, id: str):
    write_ensemble(make_ensemble(1, id=id), tmp_path / "m.cif", tmp_path / "m.json")
    assert read_ensemble(tmp_path / "m.cif", tmp_path / "m.json").id == id
    assert gemmi.read_structure(str(tmp_path / "m.cif"))[0].count_atom_sites() == full_mask(SEQUENCE).sum()


@pytest.mark.parametrize("sequence", ["G", "AC", "GUA"])
def test_shortest_rnas(tmp_path: Path, sequence: str):
    ensemble = make_ensemble(1, sequence=sequence)
    write_ensemble(ensemble, tmp_path / "m.cif", tmp_path / "m.json")
    assert read_ensemble(tmp_path / "m.cif", tmp_path / "m.json").sequence == sequence


def test_ensemble_round_trip(written):
    ensemble, cif, confidence = written
    again = read_ensemble(cif, confidence, RnaSequence(id="hp1", sequence=SEQUENCE))
    assert again.provenance == ensemble.provenance
    assert again.confidence_kind == "heuristic"
    mask_LA = full_mask(SEQUENCE)
    for ours, theirs in zip(again.models, ensemble.models, strict=True):
        assert ours.seed == theirs.seed
        assert ours.terms == theirs.terms
        assert ours.ptm == pytest.approx(theirs.ptm, abs=1e-6)
        assert ours.ranking_score == pytest.approx(theirs.ranking_score, abs=1e-6)
        np.testing.assert_allclose(ours.plddt_LA[mask_LA], theirs.plddt_LA[mask_LA], atol=0.00501)
        np.testing.assert_allclose(ours.pae_LL, theirs.pae_LL, atol=0.00501)
        np.testing.assert_allclose(ours.pde_LL, theirs.pde_LL, atol=0.00501)


def test_confidence_file_states_schema_kind_and_means(written):
    ensemble, _, confidence = written
    content = json.loads(confidence.read_text())
    assert (content["schema"], content["version"]) == ("rna_predict.confidence", 1)
    assert content["confidence_kind"] == "heuristic"
    assert [entry["rank"] for entry in content["models"]] == [1, 2, 3]
    first = content["models"][0]
    assert first["mean_plddt"] == pytest.approx(ensemble.models[0].plddt_LA[full_mask(SEQUENCE)].mean(), abs=0.01)
    assert first["residue_plddt"][2] == pytest.approx(ensemble.models[0].plddt_LA[2, :20].mean(), abs=0.01)
    assert [len(row) for row in first["atom_plddt"]] == [len(ATOMS[letter]) for letter in SEQUENCE]
    assert first["pae"][2][5] == pytest.approx(ensemble.models[0].pae_LL[2, 5], abs=0.0051)
    assert first["pde"][5][2] == pytest.approx(ensemble.models[0].pde_LL[5, 2], abs=0.0051)


def test_export_agrees_atom_for_atom(written, tmp_path: Path):
    ensemble, cif, confidence = written
    pdb_out, cif_out = tmp_path / "preds" / "hp1.pdb", tmp_path / "preds" / "hp1.cif"
    export_best(read_ensemble(cif, confidence), pdb_out, cif_out)
    first, second = (gemmi.read_structure(str(path)) for path in (pdb_out, cif_out))
    assert len(first) == len(second) == 1
    rows = [
        [(r.name, r.seqid.num, a.name, a.pos.tolist(), round(a.b_iso, 2), a.element.name) for r in s[0]["A"] for a in r]
        for s in (first, second)
    ]
    assert rows[0] == rows[1]
    assert len(rows[0]) == full_mask(SEQUENCE).sum()
    np.testing.assert_allclose(
        [row[3] for row in rows[0]], ensemble.models[0].xyz_LA3[full_mask(SEQUENCE)], atol=0.000502
    )
    remarks = [line for line in pdb_out.read_text().splitlines() if line.startswith("REMARK")]
    assert any("heuristic" in line for line in remarks)
    assert any("rank 1 of 3, seed 100" in line for line in remarks)
    write_best_cif(ensemble, tmp_path / "direct.cif")
    np.testing.assert_array_equal(read_models_cif(tmp_path / "direct.cif").xyz_LA3, read_structure(pdb_out).xyz_LA3)


def exported(cif: Path, confidence: Path) -> list[str]:
    out = cif.parent / "preds"
    with pytest.raises(ContractError, match=r"Run stage_d again") as caught:
        export_best(read_ensemble(cif, confidence), out / "x.pdb", out / "x.cif")
    assert not out.exists()
    return [str(caught.value)]


def test_export_refuses_models_changed_after_the_confidence(written):
    ensemble, cif, confidence = written
    changed = dataclasses.replace(ensemble.models[0], seed=5, xyz_LA3=ensemble.models[0].xyz_LA3 + np.float32(1))
    write_models_cif(dataclasses.replace(ensemble, models=(changed, *ensemble.models[1:])), cif)
    assert "sha256 differs" in exported(cif, confidence)[0]


def test_export_refuses_one_flipped_byte(written):
    _, cif, confidence = written
    content = bytearray(cif.read_bytes())
    content[len(content) // 2] ^= 1
    cif.write_bytes(bytes(content))
    assert "sha256 differs" in exported(cif, confidence)[0]


def with_json(confidence: Path, change) -> None:
    content = json.loads(confidence.read_text())
    change(content)
    confidence.write_text(json.dumps(content))


FOREIGN = {
    "other_id": (lambda c: c.update(id="hp2"), "holds 3 models of hp1"),
    "other_sequence": (lambda c: c.update(sequence="G" * 12), "atom_plddt does not have the atoms"),
    "other_schema": (
        lambda c: c.update(schema="other"),
        "expected schema rna_predict.confidence version 1, .* other",
    ),
    "other_version": (lambda c: c.update(version=2), "found rna_predict.confidence version 2"),
    "missing_key": (lambda c: c.pop("provenance"), "KeyError: 'provenance'"),
    "missing_model": (lambda c: c["models"].pop(), "holds 3 models of hp1, .* 2 of hp1"),
    "no_models": (lambda c: c["models"].clear(), "holds 3 models"),
    "ranks_swapped": (lambda c: c["models"].reverse(), "not ranked"),
    "scores_not_sorted": (lambda c: c["models"][0].update(ranking_score=-9.0), "not ranked best first"),
    "ptm_out_of_range": (lambda c: c["models"][0].update(ptm=3.0), "ptm 3.0"),
    "pae_ragged": (lambda c: c["models"][0]["pae"][3].pop(), "ValueError"),
    "pae_infinite": (lambda c: c["models"][0]["pae"][3].__setitem__(1, 1e300), "a number is too large"),
    "plddt_missing_atom": (lambda c: c["models"][0]["atom_plddt"][3].pop(), "atom_plddt does not have the atoms"),
    "plddt_changed": (lambda c: c["models"][0]["atom_plddt"][3].__setitem__(0, 99.0), "B-factors differ"),
    "kind_unknown": (lambda c: c.update(confidence_kind="sure"), "'sure' is not heuristic or learned"),
    "text_for_number": (lambda c: c["models"][0].update(ptm="high"), "could not convert"),
}


@pytest.mark.parametrize("fault", FOREIGN)
def test_export_refuses_a_foreign_confidence_file(written, fault: str):
    _, cif, confidence = written
    change, reason = FOREIGN[fault]
    with_json(confidence, change)
    (message,) = exported(cif, confidence)
    assert re.search(reason, message), message


@pytest.mark.parametrize("content", [b"", b"\0", b"[]", b"{", b'{"a": NaN}', b"[" * 100_000, b"\xff"])
def test_export_refuses_a_file_that_is_no_confidence(written, content: bytes):
    _, cif, confidence = written
    confidence.write_bytes(content)
    exported(cif, confidence)


def test_export_refuses_missing_files(written, tmp_path: Path):
    _, cif, confidence = written
    exported(tmp_path / "none.cif", confidence)
    exported(cif, tmp_path / "none.json")


def test_confidence_of_another_rna_is_refused(written):
    _, _, confidence = written
    with pytest.raises(ContractError, match=r"made for hp1 with another sequence than hp1's"):
        read_confidence_json(confidence, RnaSequence(id="hp1", sequence="GGG"))


BAD_CIF = {
    "empty": lambda text: "",
    "html": lambda text: "<html></html>",
    "no_polymer": lambda text: "data_x\n_entry.id x\n",
    "no_atoms": lambda text: "".join(line for line in text.splitlines(True) if not line.startswith("ATOM")),
    "atom_missing": lambda text: re.sub(r"ATOM 5 .*\n", "", text),
    "atoms_swapped": lambda text: text.replace(" OP1 ", " OPX ").replace(" OP2 ", " OP1 ").replace(" OPX ", " OP2 "),
    "coordinate_is_text": lambda text: re.sub(r"(ATOM 5 .* \? A) \S+", r"\1 abc", text),
    "coordinate_is_nan": lambda text: re.sub(r"(ATOM 5 .* \? A) \S+", r"\1 nan", text),
    "dna": lambda text: text.replace(" G ", " DG "),
}


@pytest.mark.parametrize("fault", BAD_CIF)
def test_models_file_refused(written, fault: str):
    _, cif, _ = written
    text = cif.read_text()
    changed = BAD_CIF[fault](text)
    assert changed != text
    cif.write_text(changed)
    with pytest.raises(ContractError, match=r"d_models\.cif: .*Run stage_d again"):
        read_models_cif(cif)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.one_of(st.binary(max_size=200), st.text(max_size=100).map(lambda t: ("data_x\n" + t).encode())))
def test_any_bytes_are_refused_as_models_and_confidence(content: bytes, tmp_path: Path):
    path = tmp_path / "noise"
    path.write_bytes(content)
    for reader in (read_models_cif, read_confidence_json):
        with pytest.raises(ContractError, match="Run stage_d again"):
            reader(path)
