"""An ensemble that is quick to make."""

from collections.abc import Callable

import numpy as np
import pytest

from rna_predict.chemistry.residues import MAX_ATOMS
from rna_predict.contracts import Ensemble, Model, Provenance, RnaSequence
from rna_predict.contracts.structure import full_mask


@pytest.fixture(scope="session")
def lattice_ensemble() -> Callable[[RnaSequence], Ensemble]:
    """An ensemble of two models whose atoms stand on a lattice: valid for the contract, no molecule."""

    def make(sequence: RnaSequence) -> Ensemble:
        length = sequence.length
        slots = np.stack(np.unravel_index(np.arange(MAX_ATOMS), (3, 3, 3)), axis=-1) * 1.5
        xyz_LA3 = slots[None] + np.arange(length)[:, None, None] * np.array([6.0, 0.0, 0.0])
        xyz_LA3 = np.where(full_mask(sequence.sequence)[..., None], xyz_LA3, 0.0).astype(np.float32)
        models = tuple(
            Model(
                xyz_LA3=xyz_LA3,
                plddt_LA=np.full((length, MAX_ATOMS), 50.0 - rank, dtype=np.float32),
                pae_LL=np.ones((length, length), dtype=np.float32),
                pde_LL=np.ones((length, length), dtype=np.float32),
                ptm=0.5,
                ranking_score=1.0 - rank,
                seed=rank,
                terms={"bonds": 0.0},
            )
            for rank in range(2)
        )
        return Ensemble(
            id=sequence.id,
            sequence=sequence.sequence,
            provenance=Provenance(method="lattice", package_version="0"),
            confidence_kind="heuristic",
            models=models,
        )

    return make
