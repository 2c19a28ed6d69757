"""Which residue and atom of a model stands for which of the native."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from rna_predict.contracts import Structure
from rna_predict.errors import InputError
from rna_predict.geometry.numpy_measures import linked_in_space


@dataclass(frozen=True, slots=True, kw_only=True)
class Correspondence:
    """Residues that model and native share, in chain order.

    Attributes:
        model_L: int64, positions in the model.
        native_L: int64, positions in the native, of the same length.
        native_length: residues of the native, with or without a partner in the model.
        notice: how the residues were matched when not by number, else None.
    """

    model_L: np.ndarray
    native_L: np.ndarray
    native_length: int
    notice: str | None

    @property
    def missing(self) -> int:
        """Residues of the native that the model lacks."""
        return self.native_length - len(self.native_L)


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedAtoms:
    """Coordinates of model and native, one row a residue of the native.

    Attributes:
        model_LA3: float64, Å; zero where the model lacks the residue.
        native_LA3: float64, Å.
        native_mask_LA: bool, the native has the atom.
        mask_LA: bool, both have it.
    """

    model_LA3: np.ndarray
    native_LA3: np.ndarray
    native_mask_LA: np.ndarray
    mask_LA: np.ndarray


def common(model: Structure, native: Structure) -> Correspondence:
    """Match residues by number where the letters agree, else by exact sequence.

    By number: all numbers of the native (or of the model, when it lacks residues) are in the other, with the same
    letters. Otherwise, and then `notice` says so, the numbers may be shifted by one constant; or each unbroken
    stretch of the shorter chain must occur in the longer one letter by letter, in order. No letter is ever matched
    with another, and a chain that fits at several places is refused.

    Raises:
        InputError: the sequences contradict each other, or the place is ambiguous.
    """
    shared, model_L, native_L = np.intersect1d(model.number_L, native.number_L, return_indices=True)
    notice = None
    if len(shared) < min(model.length, native.length) or not _same_letters(model, native, model_L, native_L):
        if model.length >= native.length:
            native_L, model_L = np.arange(native.length), _place(native, model)
        else:
            model_L, native_L = np.arange(model.length), _place(model, native)
        notice = (
            f"{model.id}: residue numbers do not match those of native {native.id}; "
            f"{len(native_L)} of {native.length} residues matched by sequence"
        )
    return Correspondence(model_L=model_L, native_L=native_L, native_length=native.length, notice=notice)


def shared_atoms(model: Structure, native: Structure, match: Correspondence) -> SharedAtoms:
    """Gather the atoms of the native and of its partners; slots agree because the letters do."""
    model_LA3 = np.zeros_like(native.xyz_LA3)
    mask_LA = np.zeros_like(native.mask_LA)
    model_LA3[match.native_L] = model.xyz_LA3[match.model_L]
    mask_LA[match.native_L] = model.mask_LA[match.model_L]
    return SharedAtoms(
        model_LA3=model_LA3,
        native_LA3=native.xyz_LA3,
        native_mask_LA=native.mask_LA,
        mask_LA=mask_LA & native.mask_LA,
    )


def _same_letters(first: Structure, second: Structure, first_L: np.ndarray, second_L: np.ndarray) -> bool:
    """Whether residues at the paired positions have the same letter."""
    return bool((np.array(list(first.sequence))[first_L] == np.array(list(second.sequence))[second_L]).all())


def _place(short: Structure, long: Structure) -> np.ndarray:
    """Position in `long` of each residue of `short`: by one shift of all numbers, else stretch by stretch."""
    shifted = _shifted(short, long)
    if shifted is not None:
        return shifted
    stretches = _stretches(short)
    earliest = _pack(stretches, long.sequence)
    latest = _pack([stretch[::-1] for stretch in reversed(stretches)], long.sequence[::-1])
    if earliest is None or latest is None:
        raise InputError(
            f"{short.id}: its sequence ({short.length} nt) contradicts that of {long.id} ({long.length} nt); "
            "they are not the same RNA"
        )
    mirrored = long.length - 1 - latest[::-1]
    if not np.array_equal(earliest, mirrored):
        raise InputError(
            f"{short.id}: its sequence fits {long.id} at several places; number its residues as in {long.id}"
        )
    return earliest


def _shifted(short: Structure, long: Structure) -> np.ndarray | None:
    """The positions when exactly one shift of the numbers of `short` makes all letters agree."""
    letter = np.full(int(long.number_L[-1] - long.number_L[0]) + 1, "-")
    position = np.zeros(len(letter), dtype=int)
    letter[long.number_L - long.number_L[0]] = list(long.sequence)
    position[long.number_L - long.number_L[0]] = np.arange(long.length)
    offset_L = short.number_L - short.number_L[0]
    wanted = np.array(list(short.sequence))
    fits = [s for s in range(len(letter) - int(offset_L[-1])) if (letter[s + offset_L] == wanted).all()]
    return position[fits[0] + offset_L] if len(fits) == 1 else None


def _stretches(structure: Structure) -> list[str]:
    """The sequence cut where a number is missing or the chain is open."""
    cuts = np.flatnonzero(~(structure.linked_L & linked_in_space(structure.xyz_LA3, structure.mask_LA))) + 1
    bounds = [0, *cuts.tolist(), structure.length]
    return [structure.sequence[start:end] for start, end in pairwise(bounds)]


def _pack(stretches: list[str], sequence: str) -> np.ndarray | None:
    """Positions of all letters when each stretch is put at its first place behind the one before; None if one fails."""
    positions: list[int] = []
    for stretch in stretches:
        start = sequence.find(stretch, positions[-1] + 1 if positions else 0)
        if start < 0:
            return None
        positions.extend(range(start, start + len(stretch)))
    return np.array(positions)
