"""Known loops that are like an RNA's own: same strands between the same pairs, similar letters.

A loop is looked up with the pairs that border it, on its own: RNAs that have nothing else in common share it.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from rna_predict.chemistry.residues import BASE_N_SLOT, C1, P
from rna_predict.contracts import decompose
from rna_predict.templates.library import Atoms, Library, Row
from rna_predict.templates.motif_worth import motif_vector

POINTS = (P, C1, BASE_N_SLOT)
"""Slots of the three atoms of a residue by which known loops are compared: phosphorus, C1', nitrogen of the base."""

Shape = tuple[str, tuple[int, ...]]
"""Kind of a loop, and the number of residues of each strand."""

COMPARED = 25
"""Known loops with the most similar letters of which the one is taken that the others are most like."""

WARMTH = 0.1
"""Similarity by which a known loop's say falls by e."""

CLOSING_SHARE = 0.3
"""What a letter of a bordering pair counts, against one of the loop."""

ALIKE = 0.4
"""What two purines or two pyrimidines count, against equal letters."""

RADIUS = 15.0
"""Å up to which distances of a loop are compared."""

_PURINES = frozenset("AG")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ring:
    """A loop with the residues of the pairs that border it, read from one of these pairs.

    Attributes:
        shape: kind and sizes of the strands.
        residue_N: int64 [N], strand by strand, each with the paired residue before and behind it.
        letters: N letters.
        knotted: whether each residue between the pairs is in a pseudoknot.
    """

    shape: Shape
    residue_N: np.ndarray
    letters: str
    knotted: tuple[bool, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundMotif:
    """A known loop for one of an RNA's.

    Attributes:
        ring: the RNA's loop.
        chain: position of the known chain in its library.
        known: its loop; residue n stands for the RNA's residue n.
        similarity: of the letters, in [0, 1].
        agreement: mean lDDT of the known loop with those of similar letters, in [0, 1].
        vector: what the expected lDDT is fitted to.
    """

    ring: Ring
    chain: int
    known: Ring
    similarity: float
    agreement: float
    vector: np.ndarray


def find_motif(ring: Ring, library: Library, allowed: Callable[[int], bool]) -> FoundMotif | None:
    """The known loop that stands for one of an RNA's; None where the library has none of its shape.

    Among those with the most similar letters it is the one that the others are most like.

    Args:
        ring: the RNA's loop.
        library: where to look.
        allowed: whether the chain at a position counts.
    """
    found = candidates(ring, library, allowed)
    if found is None:
        return None
    best, agreement, clusters = likest(found, library.rows)
    chain, known = found.places[best]
    alike = float(found.similarity_K[best])
    return FoundMotif(
        ring=ring,
        chain=chain,
        known=known,
        similarity=alike,
        agreement=agreement,
        vector=motif_vector(ring.shape[0], len(ring.letters), alike, agreement, clusters),
    )


def rings(sequence: str, partner_L: np.ndarray, turned: bool = False, breaks: tuple[int, ...] = ()) -> list[Ring]:
    """All loops of a matching that pairs close all round.

    Args:
        sequence: letters.
        partner_L: index of the paired residue or -1.
        turned: also as read from each of their other bordering pairs.
        breaks: first residue of each chain but the first.
    """
    found = []
    loops = decompose(partner_L, breaks)
    knot_L = loops.stem_L >= len(loops.stems)
    for loop in loops.loops:
        if loop.kind == "external":
            continue
        strands = [np.arange(start - 1, stop + 1) for start, stop in loop.strands]
        for first in range(len(strands) if turned else 1):
            order = strands[first:] + strands[:first]
            residue_N = np.concatenate(order)
            found.append(
                Ring(
                    shape=(_kind(loop.kind), tuple(len(strand) - 2 for strand in order)),
                    residue_N=residue_N,
                    letters="".join(sequence[n] for n in residue_N),
                    knotted=tuple(bool(knot_L[n]) for n in residue_N),
                )
            )
    return found


def _kind(kind: str) -> str:
    """A bulge is an internal loop with an empty strand; the sizes tell."""
    return "internal" if kind == "bulge" else kind


def known_rings(library: Library) -> Mapping[Shape, Sequence[tuple[int, Ring]]]:
    """Every loop of a library by shape, as read from each of its bordering pairs; made once a library."""
    return _known(library.digest, _Held(library))


@dataclass(frozen=True, slots=True, eq=False)
class _Held:
    """A library that a cache does not compare: its digest is the key."""

    library: Library

    def __hash__(self) -> int:
        return 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Held)


@lru_cache(maxsize=2)
def _known(digest: str, held: _Held) -> Mapping[Shape, Sequence[tuple[int, Ring]]]:
    by_shape: dict[Shape, list[tuple[int, Ring]]] = defaultdict(list)
    for position, row in enumerate(held.library.rows):
        for ring in rings(row.sequence, row.partner_L, turned=True, breaks=row.breaks):
            by_shape[ring.shape].append((position, ring))
    return by_shape


def similarity(one: Ring, other: Ring) -> float:
    """Letters that two loops of one shape share, those of the bordering pairs counting less, in [0, 1].

    A residue in a pseudoknot is like none that is free.
    """
    total = found = 0.0
    border = _border(one.shape)
    for n, (a, b) in enumerate(zip(one.letters, other.letters, strict=True)):
        weight = CLOSING_SHARE if n in border else 1.0
        total += weight
        if one.knotted[n] == other.knotted[n]:
            found += weight * (1.0 if a == b else ALIKE * ((a in _PURINES) == (b in _PURINES)))
    return found / total


def _border(shape: Shape) -> set[int]:
    """Places of the residues of bordering pairs."""
    places, start = set(), 0
    for size in shape[1]:
        places |= {start, start + size + 1}
        start += size + 2
    return places


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """Known loops of a shape with the most similar letters, each whole and bound along its strands.

    Attributes:
        places: chain and loop of each.
        similarity_K: of the letters.
        gap_KP: float64 [K, P], Å, distances of all pairs of the loop's `POINTS`; nan where an atom is missing.
    """

    places: tuple[tuple[int, Ring], ...]
    similarity_K: np.ndarray
    gap_KP: np.ndarray


def candidates(ring: Ring, library: Library, allowed: Callable[[int], bool]) -> Candidates | None:
    """Known loops that may stand for one; None where there is none.

    Args:
        ring: the loop.
        library: where to look.
        allowed: whether the chain at a position counts.
    """
    own = [place for place in known_rings(library).get(ring.shape, ()) if allowed(place[0])]
    order = sorted(((similarity(ring, place[1]), place) for place in own), key=lambda one: -one[0])
    places, likeness, gaps = [], [], []
    for value, place in order:
        if len(places) == COMPARED:
            break
        gap_P = loop_gaps(library.atoms(place[0]), place[1])
        if gap_P is not None:
            places.append(place)
            likeness.append(value)
            gaps.append(gap_P)
    if not places:
        return None
    return Candidates(places=tuple(places), similarity_K=np.array(likeness), gap_KP=np.stack(gaps))


def loop_gaps(atoms: Atoms, ring: Ring) -> np.ndarray | None:
    """Distances of a known loop's points; None where a residue was not seen or a strand is broken."""
    if not atoms.mask_LA[ring.residue_N, C1].all():
        return None
    steps = np.flatnonzero(~np.isin(np.arange(len(ring.residue_N) - 1), _ends(ring.shape)))
    if not atoms.linked_L[ring.residue_N[steps]].all():
        return None
    return residue_gaps(atoms, ring.residue_N)


def residue_gaps(atoms: Atoms, residue_N: np.ndarray) -> np.ndarray:
    """float64 [P], Å, distances of all pairs of some residues' `POINTS`; nan where an atom is missing."""
    point_N33 = atoms.xyz_LA3[residue_N][:, list(POINTS)].astype(np.float64)
    point_N33[~atoms.mask_LA[residue_N][:, list(POINTS)]] = np.nan
    point_M3 = point_N33.reshape(-1, 3)
    first, second = np.triu_indices(len(point_M3), 1)
    return np.linalg.norm(point_M3[first] - point_M3[second], axis=1)


def _ends(shape: Shape) -> list[int]:
    """Places after which another strand begins."""
    return (np.cumsum([size + 2 for size in shape[1]]) - 1)[:-1].tolist()


def likest(found: Candidates, rows: Sequence[Row]) -> tuple[int, float, int]:
    """Which candidate those of similar letters are most like, how much, and how many clusters they are of."""
    weight_K = np.exp((found.similarity_K - found.similarity_K.max()) / WARMTH)
    groups = [rows[chain].cluster or rows[chain].id for chain, _ in found.places]
    for group in set(groups):
        own_K = np.array([one == group for one in groups])
        weight_K[own_K] *= weight_K[own_K].max() / weight_K[own_K].sum()
    agreement_KK = np.stack([gap_lddt(one_P, found.gap_KP) for one_P in found.gap_KP])
    mean_K = ((agreement_KK + agreement_KK.T) / 2) @ weight_K / weight_K.sum()
    best = int(mean_K.argmax())
    return best, float(mean_K[best]), len(set(groups))


def gap_lddt(native_P: np.ndarray, model_KP: np.ndarray) -> np.ndarray:
    """lDDT of distances against those of one known loop, [K]; missing ones do not count."""
    near_P = native_P < RADIUS
    off_KP = np.abs(model_KP[:, near_P] - native_P[near_P])
    seen_KP = ~np.isnan(off_KP)
    kept_KP = np.mean([off_KP <= limit for limit in (0.5, 1.0, 2.0, 4.0)], axis=0)
    return np.where(seen_KP, kept_KP, 0.0).sum(1) / np.maximum(seen_KP.sum(1), 1)
