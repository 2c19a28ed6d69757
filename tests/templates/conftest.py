"""A few chains of the carried library as one of their own, and stage A's result with a chain's own pairs."""

import numpy as np
import pytest

from rna_predict.contracts import Adjacency, Provenance
from rna_predict.templates.library import MemoryLibrary, Row, open_library

TRNA, ADENINE, GUANINE = "1ehz_A", "1y26_X", "3rkf_A"


@pytest.fixture(scope="session")
def carried() -> MemoryLibrary:
    """The library that the package carries."""
    library = open_library("")
    assert isinstance(library, MemoryLibrary)
    return library


@pytest.fixture(scope="session")
def small(carried: MemoryLibrary) -> MemoryLibrary:
    """Every thirtieth chain, a tRNA and two purine riboswitches."""
    taken = [
        n
        for n, row in enumerate(carried.rows)
        if (n % 30 == 0 and row.id != "3ds7_B" and not row.loop) or row.id in (TRNA, ADENINE, GUANINE)
    ]
    return MemoryLibrary(
        rows=tuple(carried.rows[n] for n in taken),
        packed=tuple(carried.packed[n] for n in taken),
        made_by={"command": "test"},
    )


def row_of(library: MemoryLibrary, id: str) -> Row:
    """A row by id."""
    return next(row for row in library.rows if row.id == id)


def position_of(library: MemoryLibrary, id: str) -> int:
    """Its position."""
    return next(n for n, row in enumerate(library.rows) if row.id == id)


def adjacency_of(sequence: str, partner_L: np.ndarray, id: str = "query") -> Adjacency:
    """Pairs that are certain."""
    probability_LL = np.zeros((len(sequence), len(sequence)), dtype=np.float32)
    paired = np.flatnonzero(partner_L >= 0)
    probability_LL[paired, partner_L[paired]] = 1.0
    return Adjacency(
        id=id,
        sequence=sequence,
        provenance=Provenance(method="test", package_version="0"),
        probability_LL=probability_LL,
        partner_L=partner_L.astype(np.int32),
        given=True,
    )
