"""Ensembles as ModelCIF (python-modelcif writes) and back (gemmi tokenizes).

An entity for each different chain, chains A, B, …, models ranked in one group: model number 1 is the best. Each
atom's B-factor is its pLDDT; `ma_qa_metric_local` holds the mean over a residue's atoms. PAE and PDE stand in the
confidence JSON.
"""

from collections import defaultdict
from collections.abc import Generator, Sequence
from pathlib import Path
from string import ascii_uppercase
from typing import Any

import gemmi
import ihm
import modelcif
import modelcif.data
import modelcif.dumper
import modelcif.model
import modelcif.protocol
import modelcif.qa_metric
import numpy as np

from rna_predict.chemistry.chains import CHAIN_SEPARATOR
from rna_predict.chemistry.residues import ATOMS, MAX_ATOMS, element
from rna_predict.contracts import Ensemble, Model, RnaSequence, Structure, atomic_path
from rna_predict.contracts.record import UNTRAINED
from rna_predict.contracts.sequence import rna_of_text
from rna_predict.contracts.structure import full_mask, whole_structure
from rna_predict.errors import ContractError, InputError
from rna_predict.formats.reading import read_text

CHAIN_NAMES = ascii_uppercase
"""Names of chains, in order."""
AGAIN = "Run stage_d again."


def write_models_cif(ensemble: Ensemble, path: Path) -> None:
    """Write all models, best first, whole or not at all."""
    _write(ensemble, ensemble.models, path)


def write_best_cif(ensemble: Ensemble, path: Path) -> None:
    """Write the best model alone, in the same form as `write_models_cif`."""
    _write(ensemble, ensemble.models[:1], path)


def residue_plddt(sequence: str, plddt_LA: np.ndarray) -> np.ndarray:
    """float64 [L]: mean pLDDT over each residue's atoms."""
    mask_LA = full_mask(sequence)
    return np.where(mask_LA, plddt_LA.astype(np.float64), 0.0).sum(axis=1) / mask_LA.sum(axis=1)


def mean_plddt(sequence: str, plddt_LA: np.ndarray) -> float:
    """Mean pLDDT over all atoms of a model."""
    return float(plddt_LA.astype(np.float64)[full_mask(sequence)].mean())


def _write(ensemble: Ensemble, models: Sequence[Model], path: Path) -> None:
    system = _system(ensemble, models)
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        modelcif.dumper.write(file, [system])


Places = list[tuple[modelcif.AsymUnit, int, str]]
"""Chain, number in it and letter of each residue."""


class _RnaEntity(modelcif.Entity):
    """A polymer even where it has one residue, which python-ihm would take for a ligand without residue numbers."""

    _force_polymer = True


class _RankedModel(modelcif.model.AbInitioModel):
    """Atoms made on the fly from the arrays: python-modelcif would keep an object for each otherwise."""

    def __init__(self, assembly: modelcif.Assembly, places: "Places", model: Model, rank: int):
        super().__init__(assembly=assembly, name=f"Rank {rank}")
        self._places, self._model = places, model

    def get_atoms(self) -> Generator[modelcif.model.Atom, None, None]:
        """Yield atoms in residue and slot order."""
        # python-ihm writes numbers below 1e-3 with more digits than PDB has; + 0.0 turns -0.0 into 0.0.
        xyz_LA3 = (self._model.xyz_LA3.astype(np.float64).round(3) + 0.0).tolist()
        plddt_LA = self._model.plddt_LA.astype(np.float64).round(2).tolist()
        for i, (asym, number, letter) in enumerate(self._places):
            for slot, name in enumerate(ATOMS[letter]):
                x, y, z = xyz_LA3[i][slot]
                yield modelcif.model.Atom(
                    asym, number, name, element(name), x, y, z, biso=plddt_LA[i][slot], occupancy=1.0
                )


NOTES = {
    "heuristic": "Confidence values are heuristic: a formula over energies and agreement, not a trained predictor of "
    "accuracy.",
    "learned": "Confidence values come from a trained network.",
    "untrained": f"{UNTRAINED}: neither the models nor their confidence values are predictions.",
}

HOW = {
    "heuristic": "heuristic estimate",
    "learned": "predicted by a trained network",
    "untrained": "output of an UNTRAINED network",
}


def confidence_note(ensemble: Ensemble) -> str:
    """A sentence on what the confidence values are worth."""
    return NOTES[_source(ensemble)]


def _source(ensemble: Ensemble) -> str:
    return "untrained" if ensemble.provenance.untrained else ensemble.confidence_kind


def _system(ensemble: Ensemble, models: Sequence[Model]) -> modelcif.System:
    warning = confidence_note(ensemble)
    system = modelcif.System(
        title=f"Predicted structure of {ensemble.id}",
        id=ensemble.id,
        model_details=f"{len(models)} ranked models by method {ensemble.provenance.method}. {warning}",
    )
    alphabet: Any = ihm.RNAAlphabet
    chains = ensemble.rna.chains
    entities = {
        letters: _RnaEntity(letters, alphabet=alphabet, description=ensemble.id) for letters in dict.fromkeys(chains)
    }
    asyms = [
        modelcif.AsymUnit(entities[letters], details="predicted RNA", id=name)
        for name, letters in zip(CHAIN_NAMES, chains, strict=False)
    ]
    places = [
        (asym, number, letter)
        for asym, letters in zip(asyms, chains, strict=True)
        for number, letter in enumerate(letters, start=1)
    ]
    assembly = modelcif.Assembly(asyms, name="Modeled RNA")
    metrics = _metrics(HOW[_source(ensemble)])
    ranked = []
    for rank, model in enumerate(models, start=1):
        entry = _RankedModel(assembly, places, model, rank)
        entry.qa_metrics.extend(_values(metrics, places, ensemble.sequence, model))
        ranked.append(entry)
    group = modelcif.model.ModelGroup(ranked, name="Ranked, best first")
    system.model_groups.append(group)
    system.protocols.append(_protocol(ensemble, list(entities.values()), group, warning))
    return system


def _metrics(how: str) -> dict[str, Any]:
    """Metric classes of python-modelcif; it takes name and description from the class."""
    qa = modelcif.qa_metric
    rows: dict[str, tuple[tuple[type, ...], str]] = {
        "pLDDT": ((qa.Global, qa.PLDDT), f"lDDT over heavy atoms, mean of all atoms, 0-100, {how}"),
        "pTM": ((qa.Global, qa.PTM), f"TM-score, 0-1, {how}"),
        "ranking_score": ((qa.Global, _RankingScore), "score that ranks the models, higher is better"),
        "local_pLDDT": ((qa.Local, qa.PLDDT), f"lDDT over heavy atoms, mean of a residue's atoms, 0-100, {how}"),
    }
    return {
        key: type(key.removeprefix("local_"), bases, {"description": description, "software": None})
        for key, (bases, description) in rows.items()
    }


class _RankingScore(modelcif.qa_metric.MetricType):
    """Score that ranks the models."""


def _values(metrics: dict[str, Any], places: Places, sequence: str, model: Model) -> list[Any]:
    values = [
        metrics["pLDDT"](round(mean_plddt(sequence, model.plddt_LA), 2)),
        metrics["pTM"](round(float(model.ptm), 4)),
        metrics["ranking_score"](round(float(model.ranking_score), 6)),
    ]
    local = residue_plddt(sequence, model.plddt_LA).round(2).tolist()
    return values + [
        metrics["local_pLDDT"](asym.residue(number), value)
        for (asym, number, _), value in zip(places, local, strict=True)
    ]


def _protocol(
    ensemble: Ensemble, entities: list[modelcif.Entity], group: modelcif.model.ModelGroup, warning: str
) -> modelcif.protocol.Protocol:
    provenance = ensemble.provenance
    software = modelcif.Software(
        name="rna_predict",
        classification="model building",
        description="RNA structure prediction in four stages",
        location=None,
        type="package",
        version=provenance.package_version,
    )
    protocol = modelcif.protocol.Protocol()
    protocol.steps.append(
        modelcif.protocol.ModelingStep(
            input_data=entities[0] if len(entities) == 1 else modelcif.data.DataGroup(entities),
            output_data=group,
            name=f"Sampling and ranking by {provenance.method}",
            details=f"method {provenance.method}; config {provenance.config}; weights {provenance.weights}. {warning}",
            software=software,
        )
    )
    return protocol


def read_models_cif(path: Path, rank: int = 0) -> Structure:
    """Read one model of a file that `write_models_cif` or `write_best_cif` wrote.

    Args:
        path: the file.
        rank: 0 is the best, as in `Ensemble.structure`.

    Raises:
        ContractError: missing, damaged or foreign file, or fewer models; names stage_d as the one to run again.
    """
    rna, xyz_MLA3, _ = read_atom_table(path)
    if not 0 <= rank < len(xyz_MLA3):
        raise ContractError(f"{path}: has {len(xyz_MLA3)} models, rank {rank} is not among them. {AGAIN}")
    return whole_structure(rna.id, rna.sequence, xyz_MLA3[rank], rna.breaks)


def read_atom_table(path: Path) -> tuple[RnaSequence, np.ndarray, np.ndarray]:
    """The RNA, coordinates float64 [M, L, A, 3] in Å and B-factors float64 [M, L, A] of all models.

    Raises:
        ContractError: see `read_models_cif`.
    """
    try:
        block = gemmi.cif.read_string(read_text(path)).sole_block()
    except (InputError, RuntimeError, ValueError, IndexError) as error:
        raise ContractError(f"{path}: not a readable ModelCIF file ({str(error).splitlines()[0]}). {AGAIN}") from error
    id = gemmi.cif.as_string(block.find_value("_entry.id") or "")
    rna = _rna_of(path, id, block)
    names = ("label_asym_id", "label_seq_id", "label_atom_id", "label_comp_id", "pdbx_PDB_model_num")
    columns = {name: list(block.find_values(f"_atom_site.{name}")) for name in names}
    numbers = [_column(path, block, name) for name in ("Cartn_x", "Cartn_y", "Cartn_z", "B_iso_or_equiv")]
    expected = [
        (name, str(i), atom, letter)
        for name, letters in zip(CHAIN_NAMES, rna.chains, strict=False)
        for i, letter in enumerate(letters, start=1)
        for atom in ATOMS[letter]
    ]
    found = list(
        zip(
            columns["label_asym_id"],
            columns["label_seq_id"],
            (gemmi.cif.as_string(name) for name in columns["label_atom_id"]),
            columns["label_comp_id"],
            strict=True,
        )
    )
    count = len(found) // len(expected)
    order = [str(rank) for rank in range(1, count + 1) for _ in expected]
    if count == 0 or found != expected * count or columns["pdbx_PDB_model_num"] != order:
        raise ContractError(f"{path}: its atoms are not those of whole models of {id} in order. {AGAIN}")
    mask_LA = full_mask(rna.sequence)
    table = np.zeros((count, rna.length, MAX_ATOMS, 4))
    table[:, mask_LA] = np.stack(numbers, axis=-1).reshape(count, len(expected), 4)
    return rna, table[..., :3], table[..., 3]


def _rna_of(path: Path, id: str, block: gemmi.cif.Block) -> RnaSequence:
    """The RNA of a file's chains, in their order."""
    letters: dict[str, str] = defaultdict(str)
    for entity, name in block.find("_entity_poly_seq.", ["entity_id", "mon_id"]):
        if gemmi.cif.as_string(name) not in ATOMS:
            letters.clear()
            break
        letters[entity] += gemmi.cif.as_string(name)
    chains = [(name, letters.get(entity, "")) for name, entity in block.find("_struct_asym.", ["id", "entity_id"])]
    if not chains or [name for name, _ in chains] != list(CHAIN_NAMES[: len(chains)]) or not all(dict(chains).values()):
        raise ContractError(f"{path}: has no RNA polymer sequence; it is not a file of stage_d. {AGAIN}")
    try:
        return rna_of_text(id, CHAIN_SEPARATOR.join(found for _, found in chains))
    except ContractError as error:
        raise ContractError(f"{path}: {error}. {AGAIN}") from error


def _column(path: Path, block: gemmi.cif.Block, name: str) -> np.ndarray:
    try:
        values = np.array(list(block.find_values(f"_atom_site.{name}")), dtype=np.float64)
    except ValueError as error:
        raise ContractError(f"{path}: _atom_site.{name}: {error}. {AGAIN}") from error
    if not np.isfinite(values).all():
        raise ContractError(f"{path}: _atom_site.{name} holds NaN or infinity. {AGAIN}")
    return values
