"""Adjacencies for stage B's tests."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import strategies as st

from rna_predict.chemistry.residues import CANONICAL_PAIRS
from rna_predict.contracts import Adjacency, Provenance, RnaSequence
from rna_predict.formats.dot_bracket import from_dot_bracket

MakeInput = Callable[..., tuple[RnaSequence, Adjacency]]


def adjacency_of(sequence: str, partner_L: np.ndarray, name: str = "probe") -> tuple[RnaSequence, Adjacency]:
    probability_LL = np.zeros((len(sequence),) * 2, dtype=np.float32)
    paired = np.flatnonzero(partner_L >= 0)
    probability_LL[paired, partner_L[paired]] = 0.9
    adjacency = Adjacency(
        id=name,
        sequence=sequence,
        provenance=Provenance(method="test", package_version="0"),
        probability_LL=probability_LL,
        partner_L=partner_L.astype(np.int32),
    )
    return RnaSequence(id=name, sequence=sequence), adjacency


@pytest.fixture(scope="session")
def make_input() -> MakeInput:
    """(sequence, dot-bracket) → stage B's two inputs."""
    return lambda sequence, structure: adjacency_of(sequence, np.asarray(from_dot_bracket(structure)))


@st.composite
def _folded(draw: st.DrawFn, longest: int = 60) -> tuple[RnaSequence, Adjacency]:
    letters = draw(st.text(alphabet="ACGU", min_size=1, max_size=longest))
    partner_L = np.full(len(letters), -1)
    ends = st.integers(0, len(letters) - 1)
    for start, end in draw(st.lists(st.tuples(ends, ends), max_size=40)):
        for i, j in zip(range(start, len(letters)), range(end, -1, -1), strict=False):
            if j - i <= 3 or max(partner_L[i], partner_L[j]) >= 0 or letters[i] + letters[j] not in CANONICAL_PAIRS:
                break
            partner_L[i], partner_L[j] = j, i
    return adjacency_of(letters, partner_L)


@pytest.fixture(scope="session")
def folded_rna() -> st.SearchStrategy[tuple[RnaSequence, Adjacency]]:
    """Random sequences with random canonical stems, crossing ones included."""
    return _folded()
