"""Inputs of the assembly: pairs by dot-bracket, torsions by stage B's table."""

from collections.abc import Callable

import numpy as np
import pytest

from rna_predict.contracts import Adjacency, Provenance, RnaSequence, Torsions
from rna_predict.formats.dot_bracket import from_dot_bracket
from rna_predict.stage_b_torsion.config import StageBConfig
from rna_predict.stage_b_torsion.stage import predict_torsions
from rna_predict.stage_c_reconstruction.config import StageCConfig

Inputs = tuple[RnaSequence, Adjacency, Torsions]


@pytest.fixture(scope="session")
def inputs() -> Callable[[str, str], Inputs]:
    """(sequence, dot-bracket) → what stage C takes."""

    def make(letters: str, brackets: str) -> Inputs:
        partner_L = np.asarray(from_dot_bracket(brackets)).astype(np.int32)
        probability_LL = np.zeros((len(letters),) * 2, dtype=np.float32)
        paired = np.flatnonzero(partner_L >= 0)
        probability_LL[paired, partner_L[paired]] = 0.9
        sequence = RnaSequence(id="probe", sequence=letters)
        adjacency = Adjacency(
            id="probe",
            sequence=letters,
            provenance=Provenance(method="test", package_version="0"),
            probability_LL=probability_LL,
            partner_L=partner_L,
        )
        torsions, _ = predict_torsions(sequence, adjacency, StageBConfig(backend="prior-table"))
        return sequence, adjacency, torsions

    return make


@pytest.fixture(scope="session")
def quick() -> StageCConfig:
    """Few starts and iterations, enough for a hairpin."""
    return StageCConfig(starts=2, kept=1, steps_open=40, steps_closing=40, steps_closed=80, steps_polish=80)
