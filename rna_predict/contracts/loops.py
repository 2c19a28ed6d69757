"""Stems and loops of a matching: the nested skeleton first, pseudoknots marked on top of it."""

import itertools
from dataclasses import dataclass

import numpy as np

from rna_predict.errors import ContractError

STATES = ("stem5", "stem3", "hairpin", "bulge", "internal", "multiloop", "external", "pseudoknot")
"""State of a residue; `state_L` holds indices into this tuple."""

LOOP_KINDS = ("hairpin", "bulge", "internal", "multiloop", "external")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stem:
    """Stacked pairs (i + k, j - k) for k < length, 0-based, without a bulge."""

    i: int
    j: int
    length: int

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """The pairs from the outermost to the innermost."""
        return [(self.i + k, self.j - k) for k in range(self.length)]

    @property
    def inner(self) -> tuple[int, int]:
        """The innermost pair."""
        return self.i + self.length - 1, self.j - self.length + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Loop:
    """One loop of the nested skeleton.

    Attributes:
        kind: one of `LOOP_KINDS`. A loop that a chain ends in is `external` too: nothing holds it together there.
        closing: the pair that closes it from outside; None for the loop outside all pairs.
        branches: outermost pairs of the stems that leave it, 5'→3'.
        strands: half-open ranges (start, stop), 5'→3', one more than branches, and one more for each chain that ends
            in it; empty ones are kept.
    """

    kind: str
    closing: tuple[int, int] | None
    branches: tuple[tuple[int, int], ...]
    strands: tuple[tuple[int, int], ...]

    @property
    def size(self) -> int:
        """Number of residues in its strands (unpaired, or in a pseudoknot)."""
        return sum(stop - start for start, stop in self.strands)

    @property
    def closing_pairs(self) -> tuple[tuple[int, int], ...]:
        """All pairs that border it: the closing one, then the branches."""
        return self.branches if self.closing is None else (self.closing, *self.branches)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopDecomposition:
    """Every residue's place in the secondary structure.

    Attributes:
        state_L: int8 [L], index into `STATES`.
        loop_L: int32 [L], index into `loops`; -1 in the stems of the skeleton. Pseudoknotted residues have one.
        loop_size_L: int32 [L], `size` of that loop; 0 in stems.
        position_L: int32 [L], 0-based position in its strand of that loop; -1 in stems.
        strand_size_L: int32 [L], length of that strand; 0 in stems.
        stem_L: int32 [L], index into `stems + pseudoknots`; -1 where unpaired.
        stems: stems of the nested skeleton by their 5' ends.
        pseudoknots: the other stems by their 5' ends.
        loops: the external loop first, then one a stem, in the stems' order (loop k + 1 lies inside stem k).
    """

    state_L: np.ndarray
    loop_L: np.ndarray
    loop_size_L: np.ndarray
    position_L: np.ndarray
    strand_size_L: np.ndarray
    stem_L: np.ndarray
    stems: tuple[Stem, ...]
    pseudoknots: tuple[Stem, ...]
    loops: tuple[Loop, ...]

    @property
    def states(self) -> list[str]:
        """State of each residue by name."""
        return [STATES[code] for code in self.state_L]


def find_stems(partner_L: np.ndarray) -> list[Stem]:
    """All maximal runs of stacked pairs, by their 5' ends.

    Args:
        partner_L: integer [L], index of the paired residue or -1.

    Raises:
        ContractError: the matching is not mutual, or an index lies outside.
    """
    length = len(partner_L)
    paired = np.flatnonzero(partner_L >= 0)
    if length and (partner_L.max() >= length or (partner_L[partner_L[paired]] != paired).any()):
        raise ContractError("partner_L: not a matching; every pair must be mutual and inside the sequence")
    if (partner_L[paired] == paired).any():
        raise ContractError("partner_L: a residue is paired with itself")
    stems: list[Stem] = []
    for i in (int(k) for k in paired if partner_L[k] > k):
        j = int(partner_L[i])
        if stems and stems[-1].inner == (i - 1, j + 1):
            last = stems.pop()
            stems.append(Stem(i=last.i, j=last.j, length=last.length + 1))
        else:
            stems.append(Stem(i=i, j=j, length=1))
    return stems


def crossings(stems: list[Stem]) -> np.ndarray:
    """Which stems cross each other, bool [N, N] (i < k < j < l for pairs i-j and k-l)."""
    i = np.array([stem.i for stem in stems], dtype=np.int64)
    j = np.array([stem.j for stem in stems], dtype=np.int64)
    ahead = (i[:, None] < i) & (i < j[:, None]) & (j[:, None] < j)
    return ahead | ahead.T


def nested_mask(stems: list[Stem]) -> np.ndarray:
    """Which stems form the nested subset with the most pairs, bool [N]; ties go to the 5' stem.

    A dynamic programme over the ends of the stems that cross another one, O(N²).
    """
    keep: np.ndarray = np.logical_not(crossings(stems).any(axis=1))
    ends = sorted((end, index) for index in np.flatnonzero(~keep) for end in (stems[index].i, stems[index].j))
    owner = [int(index) for _, index in ends]
    mate = {}
    for position, index in enumerate(owner):
        mate.setdefault(index, []).append(position)
    count = len(owner)
    best = np.zeros((count + 1, count + 1), dtype=np.int64)  # best[a, b]: most pairs among ends a … b - 1
    for a in range(count - 1, -1, -1):
        opened, close = mate[owner[a]]
        best[a] = best[a + 1]
        if opened == a:
            inside = stems[owner[a]].length + best[a + 1, close]
            best[a, close + 1 :] = np.maximum(best[a + 1, close + 1 :], inside + best[close + 1, close + 1 :])
    intervals = [(0, count)]
    while intervals:
        a, b = intervals.pop()
        if a >= b or best[a, b] == 0:
            continue
        opened, close = mate[owner[a]]
        taken = opened == a and close < b
        if taken and best[a, b] == stems[owner[a]].length + best[a + 1, close] + best[close + 1, b]:
            keep[owner[a]] = True
            intervals += [(a + 1, close), (close + 1, b)]
        else:
            intervals.append((a + 1, b))
    return keep


def decompose(partner_L: np.ndarray, breaks: tuple[int, ...] = ()) -> LoopDecomposition:
    """Split a matching into stems and loops.

    The nested subset of stems with the most pairs is the skeleton; the other stems are pseudoknots, whose residues
    lie in the skeleton's loops as if unpaired, with the state `pseudoknot`. A stem goes on where a chain ends within
    one of its strands: a nicked helix stays stacked.

    Args:
        partner_L: integer [L], index of the paired residue or -1, as in `Adjacency`.
        breaks: first residue of each chain but the first.

    Raises:
        ContractError: not a matching.
    """
    found = find_stems(partner_L)
    keep = nested_mask(found)
    stems = tuple(stem for stem, nested in zip(found, keep, strict=True) if nested)
    pseudoknots = tuple(stem for stem, nested in zip(found, keep, strict=True) if not nested)
    length = len(partner_L)
    skeleton_L = np.full(length, -1, dtype=np.int64)
    stem_L = np.full(length, -1, dtype=np.int32)
    state_L = np.zeros(length, dtype=np.int8)
    for index, stem in enumerate(stems + pseudoknots):
        five, three = slice(stem.i, stem.i + stem.length), slice(stem.j - stem.length + 1, stem.j + 1)
        stem_L[five] = stem_L[three] = index
        if index < len(stems):
            skeleton_L[five], skeleton_L[three] = partner_L[five], partner_L[three]
            state_L[five], state_L[three] = STATES.index("stem5"), STATES.index("stem3")
    loops = tuple(_loop(skeleton_L, closing, breaks) for closing in (None, *(stem.inner for stem in stems)))
    sizes = {name: np.zeros(length, dtype=np.int32) for name in ("loop_size_L", "strand_size_L")}
    places = {name: np.full(length, -1, dtype=np.int32) for name in ("loop_L", "position_L")}
    for index, loop in enumerate(loops):
        for start, stop in loop.strands:
            state_L[start:stop] = STATES.index(loop.kind)
            places["loop_L"][start:stop] = index
            places["position_L"][start:stop] = np.arange(stop - start)
            sizes["loop_size_L"][start:stop] = loop.size
            sizes["strand_size_L"][start:stop] = stop - start
    state_L[stem_L >= len(stems)] = STATES.index("pseudoknot")
    return LoopDecomposition(
        state_L=state_L, stem_L=stem_L, stems=stems, pseudoknots=pseudoknots, loops=loops, **sizes, **places
    )


def _loop(skeleton_L: np.ndarray, closing: tuple[int, int] | None, breaks: tuple[int, ...]) -> Loop:
    """The loop inside `closing` (the external loop for None), read along the nested skeleton."""
    start, end = (0, len(skeleton_L)) if closing is None else (closing[0] + 1, closing[1])
    branches, strands = [], []
    position = start
    while position < end:
        partner = int(skeleton_L[position])
        if partner < 0:
            position += 1
            continue
        branches.append((position, partner))
        strands.append((start, position))
        start = position = partner + 1
    strands.append((start, end))
    whole, strands = len(strands), [part for strand in strands for part in _chains_of(strand, breaks)]
    if closing is None or len(strands) > whole:
        kind = "external"
    elif len(branches) > 1:
        kind = "multiloop"
    elif not branches:
        kind = "hairpin"
    else:
        kind = "internal" if all(stop > begin for begin, stop in strands) else "bulge"
    return Loop(kind=kind, closing=closing, branches=tuple(branches), strands=tuple(strands))


def _chains_of(strand: tuple[int, int], breaks: tuple[int, ...]) -> list[tuple[int, int]]:
    """A loop's strand, cut where a chain ends in it or at its ends."""
    start, stop = strand
    return list(itertools.pairwise((start, *(first for first in breaks if start <= first <= stop), stop)))
