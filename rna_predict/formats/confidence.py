"""The confidence file of an ensemble, `d_confidence.json`: schema `rna_predict.confidence`, version 1.

| key                 | content                                                                                      |
|---------------------|----------------------------------------------------------------------------------------------|
| schema, version     | `rna_predict.confidence`, 1                                                                  |
| id, sequence        | as in the FASTA                                                                              |
| confidence_kind     | `heuristic` (a formula over energies and agreement) or `learned` (a trained network)         |
| provenance          | method, package_version, inputs, config, weights (`contracts.Provenance`); a method that     |
|                     | says UNTRAINED ran networks on random weights: neither models nor numbers are predictions    |
| models_sha256       | of the mmCIF file that belongs to this one                                                   |
| atom_names          | atoms of each residue letter, the order of `atom_plddt`                                      |
| models              | best first: rank (1 = model number in the mmCIF), seed, ranking_score, ptm, mean_plddt,      |
|                     | residue_plddt [L], atom_plddt [L][atoms], pae [L][L] and pde [L][L] in Å, terms (one named   |
|                     | `alternative` numbers the secondary structure of a model that has not stage A's first)       |

pLDDT is 0-100 with two decimals, PAE and PDE have two decimals, the other numbers six.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rna_predict.chemistry.residues import ATOMS, MAX_ATOMS
from rna_predict.contracts import Ensemble, Model, Provenance, RnaSequence, atomic_path, digest_of
from rna_predict.contracts.sequence import rna_of_text
from rna_predict.contracts.structure import full_mask
from rna_predict.errors import ContractError, InputError
from rna_predict.formats.model_cif import AGAIN, mean_plddt, residue_plddt
from rna_predict.formats.reading import read_text

SCHEMA = "rna_predict.confidence"
VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfidence:
    """Confidence of one model; arrays and units as in `contracts.Model`."""

    seed: int
    ranking_score: float
    ptm: float
    plddt_LA: np.ndarray
    pae_LL: np.ndarray
    pde_LL: np.ndarray
    terms: dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Confidence:
    """Content of a confidence file; `models` best first."""

    id: str
    sequence: str
    confidence_kind: str
    provenance: Provenance
    models_sha256: str
    models: tuple[ModelConfidence, ...]
    breaks: tuple[int, ...] = ()

    @property
    def rna(self) -> RnaSequence:
        """The RNA that the models are of."""
        return RnaSequence(id=self.id, sequence=self.sequence, breaks=self.breaks)


def write_confidence_json(ensemble: Ensemble, path: Path, models_cif: Path) -> None:
    """Write the confidence of an ensemble whose mmCIF file is already in place, whole or not at all.

    Raises:
        ContractError: `models_cif` is not there; its sha256 ties the two files together.
    """
    if not models_cif.is_file():
        raise ContractError(f"{models_cif}: no such file. Write the models before their confidence.")
    content = {
        "schema": SCHEMA,
        "version": VERSION,
        "id": ensemble.id,
        "sequence": ensemble.rna.text,
        "confidence_kind": ensemble.confidence_kind,
        "provenance": asdict(ensemble.provenance),
        "models_sha256": digest_of(models_cif),
        "atom_names": ATOMS,
        "models": [_entry(ensemble.sequence, rank, model) for rank, model in enumerate(ensemble.models, start=1)],
    }
    with atomic_path(path) as temporary:
        text = json.dumps(content, allow_nan=False, separators=(",", ":"))
        temporary.write_text(text + "\n", encoding="ascii")


def _entry(sequence: str, rank: int, model: Model) -> dict[str, Any]:
    plddt_LA = _rounded(model.plddt_LA)
    return {
        "rank": rank,
        "seed": int(model.seed),
        "ranking_score": round(float(model.ranking_score), 6),
        "ptm": round(float(model.ptm), 6),
        "mean_plddt": round(mean_plddt(sequence, model.plddt_LA), 2),
        "residue_plddt": _rounded(residue_plddt(sequence, model.plddt_LA)),
        "atom_plddt": [row[: len(ATOMS[letter])] for letter, row in zip(sequence, plddt_LA, strict=True)],
        "pae": _rounded(model.pae_LL),
        "pde": _rounded(model.pde_LL),
        "terms": {name: round(float(value), 6) for name, value in sorted(model.terms.items())},
    }


def _rounded(values: np.ndarray) -> list[Any]:
    return values.astype(np.float64).round(2).tolist()


def read_confidence_json(path: Path, sequence: RnaSequence | None = None) -> Confidence:
    """Read and check a confidence file.

    Args:
        path: the file.
        sequence: where given, the file must be of this id and sequence.

    Raises:
        ContractError: missing, damaged, foreign schema or version, wrong shapes, another RNA; names stage_d.
    """
    try:
        content = json.loads(read_text(path), parse_constant=_refuse_constant)
    except (InputError, ValueError, RecursionError) as error:
        raise ContractError(f"{path}: not a readable confidence file ({error}). {AGAIN}") from error
    found = (content.get("schema"), content.get("version")) if isinstance(content, dict) else (None, None)
    if found != (SCHEMA, VERSION):
        raise ContractError(
            f"{path}: expected schema {SCHEMA} version {VERSION}, found {found[0]} version {found[1]}. {AGAIN}"
        )
    try:
        confidence = _from_json(content)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, ContractError) as error:
        raise ContractError(f"{path}: {type(error).__name__}: {error}. {AGAIN}") from error
    if sequence is not None and confidence.rna != sequence:
        raise ContractError(f"{path}: made for {confidence.id} with another sequence than {sequence.id}'s. {AGAIN}")
    return confidence


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a number")


def _from_json(content: dict[str, Any]) -> Confidence:
    rna = rna_of_text(content["id"], content["sequence"])
    if content["atom_names"] != {letter: list(names) for letter, names in ATOMS.items()}:
        raise ValueError("atom_names is not the atom order of this version")
    if [entry["rank"] for entry in content["models"]] != list(range(1, len(content["models"]) + 1)):
        raise ValueError("models are not ranked 1, 2, …")
    return Confidence(
        id=rna.id,
        sequence=rna.sequence,
        breaks=rna.breaks,
        confidence_kind=content["confidence_kind"],
        provenance=Provenance(**content["provenance"]),
        models_sha256=content["models_sha256"],
        models=tuple(_model(rna.sequence, entry) for entry in content["models"]),
    )


def _finite(values: list[Any]) -> np.ndarray:
    array = np.asarray(values, dtype=np.float64)
    if not (np.abs(array) < np.finfo(np.float32).max).all():
        raise ValueError("a number is too large")
    return array.astype(np.float32)


def _model(sequence: str, entry: dict[str, Any]) -> ModelConfidence:
    length = len(sequence)
    plddt_LA = np.zeros((length, MAX_ATOMS), dtype=np.float32)
    if [len(row) for row in entry["atom_plddt"]] != [len(ATOMS[letter]) for letter in sequence]:
        raise ValueError("atom_plddt does not have the atoms of the sequence")
    plddt_LA[full_mask(sequence)] = np.concatenate([_finite(row) for row in entry["atom_plddt"]])
    pairs = {name: _finite(entry[name]) for name in ("pae", "pde")}
    for name, matrix in pairs.items():
        if matrix.shape != (length, length):
            raise ValueError(f"{name} has shape {matrix.shape} for {length} residues")
    return ModelConfidence(
        seed=int(entry["seed"]),
        ranking_score=float(entry["ranking_score"]),
        ptm=float(entry["ptm"]),
        plddt_LA=plddt_LA,
        pae_LL=pairs["pae"],
        pde_LL=pairs["pde"],
        terms={str(name): float(value) for name, value in entry["terms"].items()},
    )
