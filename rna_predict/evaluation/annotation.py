"""Base pairs and stackings of a structure, by rnapolis (Leontis-Westhof classes, Saenger numbers)."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rna_predict.chemistry.residues import ATOMS, BASE_N_SLOT, CANONICAL_PAIRS, PURINES, SLOT
from rna_predict.contracts import Structure
from rna_predict.errors import InputError

if TYPE_CHECKING:
    from rnapolis.common import Residue
    from rnapolis.tertiary import Structure3D

CHAIN = "A"
"""Chain name inside rnapolis; a Structure holds one chain."""

PDB_DECIMALS = 3
"""Coordinates are rounded as in a PDB file: a model is annotated alike in memory and from disk, and exactly parallel
bases, which rnapolis cannot measure an angle between (arccos of 1 + 2e-16), do not occur."""

PLANE_ATOMS = {True: ("N9", "N7", "N3"), False: ("N1", "C4", "O2")}
"""Atoms of a base's plane in rnapolis, purines and pyrimidines."""

SMALLEST_AREA = 0.1
"""Å², norm of the cross product of two edges between these atoms; real bases have about 8."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotation:
    """Interactions between bases; all indices are 0-based positions in the structure, i < j, sorted.

    Attributes:
        canonical: (i, j) of cis Watson-Crick/Watson-Crick A-U, C-G and G-U pairs. A residue occurs at most once.
        non_canonical: (i, j, class) of all other base pairs, class in Leontis-Westhof letters as in `tHS`
            (t or c, edge of i, edge of j). A residue can occur more than once.
        stackings: (i, j) of stacked bases.
    """

    canonical: tuple[tuple[int, int], ...]
    non_canonical: tuple[tuple[int, int, str], ...]
    stackings: tuple[tuple[int, int], ...]


def annotate_pairs(structure: Structure) -> Annotation:
    """Find base pairs and stackings.

    A base pair needs two hydrogen bonds between one edge of each base (heavy atoms within 4 Å, 50-130° to both
    base normals); bases stack when their centres lie within 6 Å and their planes within 35°. A base collapsed to a
    line or a point has no plane and interacts with nothing.

    Raises:
        InputError: rnapolis cannot compute an angle.

    Source: rnapolis (`annotator.find_pairs`, `annotator.find_stackings`), which holds these thresholds.
    """
    if structure.length < 2:
        return Annotation(canonical=(), non_canonical=(), stackings=())
    find_pairs, find_stackings = _annotator()
    model = _to_rnapolis(structure)
    try:
        pairs, _, _ = find_pairs(model)
        stackings = find_stackings(model)
    except (ValueError, ZeroDivisionError) as error:
        raise InputError(
            f"{structure.id}: base pairs cannot be annotated ({error}); look for collapsed bases"
        ) from error
    canonical: list[tuple[int, int]] = []
    other: list[tuple[int, int, str]] = []
    for pair in pairs:
        i, j = _position(pair.nt1), _position(pair.nt2)
        label = pair.lw.value
        if i > j:
            i, j, label = j, i, pair.lw.reverse.value
        if label == "cWW" and structure.sequence[i] + structure.sequence[j] in CANONICAL_PAIRS:
            canonical.append((i, j))
        else:
            other.append((i, j, label))
    ends = [(_position(s.nt1), _position(s.nt2)) for s in stackings]
    stacked = {(min(pair), max(pair)) for pair in ends}
    return Annotation(
        canonical=tuple(sorted(canonical)), non_canonical=tuple(sorted(other)), stackings=tuple(sorted(stacked))
    )


def share_formed(annotation: Annotation, pairs: Iterable[tuple[int, int]]) -> float | None:
    """Share of the given pairs (0-based positions) that the model forms as canonical pairs; None of no pairs."""
    wanted = {(min(pair), max(pair)) for pair in pairs}
    if not wanted:
        return None
    return len(wanted & set(annotation.canonical)) / len(wanted)


def nested_pairs(partner_L: np.ndarray | Iterable[int]) -> list[tuple[int, int]]:
    """The pairs of a matching that cross no other pair of it, as (i, j) with i < j.

    Args:
        partner_L: index of each residue's partner or -1, as in `contracts.Adjacency.partner_L`.
    """
    pairs = [(i, int(j)) for i, j in enumerate(partner_L) if i < j]
    return [(i, j) for i, j in pairs if not any(a < i < b < j or i < a < j < b for a, b in pairs)]


def _annotator():
    """The two finders of rnapolis, whose import reconfigures the root logger: that is undone here."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    from rnapolis.annotator import find_pairs, find_stackings

    root.handlers[:], root.level = handlers, level
    return find_pairs, find_stackings


def _position(residue: "Residue") -> int:
    """The 0-based position that `_to_rnapolis` gave a residue as its number."""
    if residue.auth is None:
        raise InputError("rnapolis returned a residue without a number; its version differs from the one tested")
    return residue.auth.number


def _to_rnapolis(structure: Structure) -> "Structure3D":
    """The structure in rnapolis's model, residue numbers replaced by 0-based positions."""
    from rnapolis.common import ResidueAuth
    from rnapolis.tertiary import Atom, Residue3D, Structure3D

    xyz_LA3 = structure.xyz_LA3.round(PDB_DECIMALS)
    residues = []
    for position, letter in enumerate(structure.sequence):
        auth = ResidueAuth(CHAIN, position, None, letter)
        count = len(ATOMS[letter]) if _has_plane(letter, xyz_LA3[position]) else BASE_N_SLOT
        atoms = tuple(
            Atom(None, None, auth, 1, ATOMS[letter][slot], *_point(xyz_LA3[position, slot]), None)
            for slot in np.flatnonzero(structure.mask_LA[position, :count])
        )
        residues.append(Residue3D(None, auth, 1, letter, atoms))
    return Structure3D(residues)


def _point(xyz_3: np.ndarray) -> tuple[float, float, float]:
    """Plain floats: rnapolis compares and hashes them one by one."""
    x, y, z = xyz_3.tolist()
    return x, y, z


def _has_plane(letter: str, xyz_A3: np.ndarray) -> bool:
    """Whether the three atoms that rnapolis takes a base's plane from span one; missing atoms are its own affair."""
    first, second, third = (xyz_A3[SLOT[letter][name]] for name in PLANE_ATOMS[letter in PURINES])
    return bool(np.linalg.norm(np.cross(second - first, third - first)) > SMALLEST_AREA)
