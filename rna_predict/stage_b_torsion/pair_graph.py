"""How two residues are related through the secondary structure: paths through backbone and pairs, stems, loops."""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import dijkstra

from rna_predict.chemistry.chains import linked
from rna_predict.contracts.loops import LoopDecomposition, Stem, decompose

MAX_PATH = 31
"""Path lengths are capped here (edges)."""
MAX_REACH = 63
"""Reaches are capped here, Å."""
MAX_OFFSET = 12
"""Largest offset along a stem that is told apart, base pairs."""

STEM_CODES = 3 * MAX_OFFSET + 2
"""0 not in one stem; 1 … `MAX_OFFSET` along a strand; then the offsets across, -`MAX_OFFSET` … `MAX_OFFSET`."""
REACH_CODES = MAX_REACH + 1
PATH_CODES = MAX_PATH + 1
PAIRED_CODES = 3
CODES = STEM_CODES * REACH_CODES * PATH_CODES * PAIRED_CODES
"""Number of codes that `pair_codes` can give."""
LEVELS = 4
"""Levels of `back_off`, most specific first."""

STEP_LENGTH = 5.8
"""Å, C1'(i)-C1'(i+1) outside stems, median of the training chains."""
STRAND_LENGTH = {1: 5.5, 2: 10.6, 3: 15.0, 4: 18.6, 5: 21.2}
"""Å, C1'-C1' along one strand of a stem by offset, medians of the training chains."""
CROSS_LENGTH = {-5: 19.5, -4: 15.1, -3: 10.9, -2: 7.8, -1: 7.9, 0: 10.6, 1: 13.8, 2: 16.3}
"""Å, C1'-C1' across a stem, from residue k of the 5' strand to the partner of residue k + offset."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairGraph:
    """Relations of all residue pairs.

    Attributes:
        loops: the decomposition that they come from.
        path_LL: uint8, fewest edges (backbone and pairs) between two residues, at most `MAX_PATH`.
        reach_LL: uint8, Å, shortest way along edges with their usual C1'-C1' lengths (steps, pairs, and within
            stems A-form distances), at most `MAX_REACH`: an upper bound of the distance in an unstrained chain.
        strand_LL: int8, signed offset j - i within one strand of a stem; 0 elsewhere.
        cross_LL: int8, 1 + `MAX_OFFSET` + offset from i to j's partner for i in the 5' strand and j in the 3' strand
            of one stem (symmetric); 0 elsewhere.
        loop_LL: int16, 1 + index of the loop that both residues lie in or border; 0 elsewhere. The external loop
            counts for its unpaired residues only within a strand, as every loop does that a chain ends in.
    """

    loops: LoopDecomposition
    path_LL: np.ndarray
    reach_LL: np.ndarray
    strand_LL: np.ndarray
    cross_LL: np.ndarray
    loop_LL: np.ndarray


def pair_graph(partner_L: np.ndarray, breaks: tuple[int, ...] = ()) -> PairGraph:
    """Relations of all residue pairs of a matching (int [L], partner or -1).

    Args:
        partner_L: index of the paired residue or -1.
        breaks: first residue of each chain but the first: no backbone leads there.
    """
    length = len(partner_L)
    loops = decompose(partner_L, breaks)
    stems = loops.stems + loops.pseudoknots
    strand_LL = np.zeros((length, length), dtype=np.int8)
    cross_LL = np.zeros((length, length), dtype=np.int8)
    for stem in stems:
        _mark_stem(stem, strand_LL, cross_LL)
    loop_LL = np.zeros((length, length), dtype=np.int16)
    for index, loop in enumerate(loops.loops):
        groups = [np.arange(start, stop) for start, stop in loop.strands]
        if loop.kind != "external":
            groups = [np.concatenate([*groups, *np.array(loop.closing_pairs, dtype=np.int64)])]
        for members in groups:
            loop_LL[np.ix_(members, members)] = index + 1
    steps = np.flatnonzero(linked(length, breaks))
    plain = _backbone_and_pairs(partner_L, steps)
    path_LL = dijkstra(plain, directed=False, unweighted=True, limit=float(MAX_PATH))
    tenths_LL = dijkstra(_tenths(length, steps, stems), directed=False, limit=10.0 * MAX_REACH)
    return PairGraph(
        loops=loops,
        path_LL=np.minimum(path_LL, MAX_PATH).astype(np.uint8),
        reach_LL=np.minimum(np.rint(tenths_LL / 10), MAX_REACH).astype(np.uint8),
        strand_LL=strand_LL,
        cross_LL=cross_LL,
        loop_LL=loop_LL,
    )


def pair_codes(graph: PairGraph) -> np.ndarray:
    """int32 [L, L], symmetric: (relation within a stem, reach, path, how many of the two are paired) as one number."""
    stem_LL = np.abs(graph.strand_LL).astype(np.int32)
    across = graph.cross_LL > 0
    stem_LL[across] = graph.cross_LL[across].astype(np.int32) + MAX_OFFSET
    paired_L = (graph.loops.stem_L >= 0).astype(np.int32)
    code_LL = stem_LL * REACH_CODES + graph.reach_LL
    code_LL = code_LL * PATH_CODES + graph.path_LL
    return code_LL * PAIRED_CODES + (paired_L[:, None] + paired_L)


def back_off(code: np.ndarray) -> tuple[np.ndarray, ...]:
    """The code at each level: all of it, without the pairing states, without the path, the reach alone."""
    near = code // PAIRED_CODES
    stem_and_reach = near // PATH_CODES
    return code, near, stem_and_reach, stem_and_reach % REACH_CODES


def _mark_stem(stem: Stem, strand_LL: np.ndarray, cross_LL: np.ndarray) -> None:
    """Write one stem's offsets into both matrices."""
    step = np.arange(stem.length)
    offset = np.clip(step[None, :] - step[:, None], -MAX_OFFSET, MAX_OFFSET)
    five, three = stem.i + step, stem.j - step
    strand_LL[np.ix_(five, five)] = offset
    strand_LL[np.ix_(three, three)] = -offset
    cross_LL[np.ix_(five, three)] = 1 + MAX_OFFSET + offset
    cross_LL[np.ix_(three, five)] = (1 + MAX_OFFSET + offset).T


def _backbone_and_pairs(partner_L: np.ndarray, steps: np.ndarray) -> csr_array:
    """Sparse matrix of the edges: from each of `steps` to the next residue, and pairs."""
    length = len(partner_L)
    five = np.flatnonzero(partner_L > np.arange(length))
    i = np.concatenate([steps, five])
    j = np.concatenate([steps + 1, partner_L[five]])
    return csr_array(coo_array((np.ones(len(i)), (i, j)), shape=(length, length)))


def _tenths(length: int, steps: np.ndarray, stems: tuple[Stem, ...]) -> csr_array:
    """Sparse matrix of edge lengths in 0.1 Å: steps of the chain, and every near pair of residues within a stem.

    Whole numbers add up to the same in every order, so that the reach of i and j is exactly that of j and i.
    """
    edges = {(int(i), int(i) + 1): STEP_LENGTH for i in steps}
    for stem in stems:
        for k in range(stem.length):
            for offset, distance in STRAND_LENGTH.items():
                if k + offset < stem.length:
                    edges[stem.i + k, stem.i + k + offset] = distance
                    edges[stem.j - k - offset, stem.j - k] = distance
            for offset, distance in CROSS_LENGTH.items():
                if 0 <= k + offset < stem.length:
                    edges[stem.i + k, stem.j - k - offset] = distance
    i, j = np.array(list(edges), dtype=np.int64).reshape(-1, 2).T
    return csr_array(coo_array((np.rint(10 * np.array(list(edges.values()))), (i, j)), shape=(length, length)))
