"""One valid record of each kind, whose fields a test can change."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from rna_predict.chemistry.residues import MAX_ATOMS
from rna_predict.contracts import Adjacency, Coordinates, Embeddings, Ensemble, Model, Provenance, Record, Torsions
from rna_predict.contracts.structure import full_mask

HAIRPIN = "GGGCUUCGGCCC"
PAIRS = ((0, 11), (1, 10), (2, 9), (3, 8))

TYPES: dict[str, type[Record]] = {
    "adjacency": Adjacency,
    "torsions": Torsions,
    "embeddings": Embeddings,
    "coordinates": Coordinates,
}


def _adjacency(sequence: str, rng: np.random.Generator) -> dict[str, Any]:
    length = len(sequence)
    half = np.triu(rng.uniform(0, 1 / length, (length, length)), 4).astype(np.float32)
    partner = np.full(length, -1, dtype=np.int32)
    for i, j in PAIRS if sequence == HAIRPIN else ():
        partner[i], partner[j] = j, i
    return {"probability_LL": half + half.T, "partner_L": partner, "given": False}


def _torsions(sequence: str, rng: np.random.Generator) -> dict[str, Any]:
    length = len(sequence)
    mask = np.ones((length, 7), dtype=bool)
    mask[0, 0] = mask[-1, 4] = mask[-1, 5] = False
    return {
        "angle_L7": (rng.uniform(-3.14, 3.14, (length, 7)) * mask).astype(np.float32),
        "mask_L7": mask,
        "concentration_L7": rng.uniform(0, 30, (length, 7)).astype(np.float32),
        "pucker_phase_L": rng.uniform(-3.14, 3.14, length).astype(np.float32),
        "pucker_amplitude_L": rng.uniform(0.5, 0.8, length).astype(np.float32),
        "pucker_concentration_L": rng.uniform(0, 30, length).astype(np.float32),
    }


def _embeddings(sequence: str, rng: np.random.Generator) -> dict[str, Any]:
    length = len(sequence)
    return {
        "inputs_LI": rng.normal(size=(length, 5)).astype(np.float32),
        "single_LS": rng.normal(size=(length, 4)).astype(np.float32),
        "pair_LLZ": rng.normal(size=(length, length, 2)).astype(np.float32),
        "distogram_GLLB": rng.normal(size=(1, length, length, 64)).astype(np.float32),
        "distogram_atoms": ["C4/C2"],
        "distogram_bins": "af3",
        "conformer_seed": 0,
        "channels": ["first", "second"],
    }


def lattice(sequence: str) -> np.ndarray:
    """Atoms 1.5 Å apart on a lattice: apart enough for the contract, no molecule."""
    slots = np.stack(np.unravel_index(np.arange(MAX_ATOMS), (3, 3, 3)), axis=-1) * 1.5
    xyz = slots[None] + np.arange(len(sequence))[:, None, None] * np.array([6.0, 0.0, 0.0])
    return np.where(full_mask(sequence)[..., None], xyz, 0.0).astype(np.float32)


def _coordinates(sequence: str, rng: np.random.Generator) -> dict[str, Any]:
    return {"xyz_LA3": lattice(sequence), "built_L": rng.integers(0, 8, len(sequence), dtype=np.uint8)}


FIELDS = {
    "adjacency": _adjacency,
    "torsions": _torsions,
    "embeddings": _embeddings,
    "coordinates": _coordinates,
}
PROVENANCE = Provenance(
    method="a method", package_version="0.1.0", inputs={"a_adjacency": "ab" * 32}, config="cd" * 32, weights="none"
)


@pytest.fixture(scope="session")
def make() -> Callable[..., Record]:
    """`make("torsions", angle_L7=…)`: a valid record with some fields replaced."""

    def build(kind: str, *, sequence: str = HAIRPIN, seed: int = 0, **changes: Any) -> Record:
        fields = {"id": "hp", "sequence": sequence, "provenance": PROVENANCE}
        return TYPES[kind](**fields | FIELDS[kind](sequence, np.random.default_rng(seed)) | changes)

    return build


@pytest.fixture(scope="session")
def make_model() -> Callable[..., Model]:
    """`make_model(ptm=…)`: a valid model of the hairpin with some fields replaced."""

    def build(**changes: Any) -> Model:
        length = len(HAIRPIN)
        fields = {
            "xyz_LA3": lattice(HAIRPIN),
            "plddt_LA": np.full((length, MAX_ATOMS), 50, dtype=np.float32),
            "pae_LL": np.ones((length, length), dtype=np.float32),
            "pde_LL": np.ones((length, length), dtype=np.float32),
            "ptm": 0.5,
            "ranking_score": 1.0,
            "seed": 0,
            "terms": {"bonds": 0.0},
        }
        return Model(**fields | changes)

    return build


@pytest.fixture(scope="session")
def make_ensemble(make_model) -> Callable[..., Ensemble]:
    """`make_ensemble(models=…)`: a valid ensemble with some fields replaced."""

    def build(**changes: Any) -> Ensemble:
        fields = {"id": "hp", "sequence": HAIRPIN, "provenance": PROVENANCE, "confidence_kind": "heuristic"}
        return Ensemble(**fields | {"models": (make_model(),)} | changes)

    return build
