"""One native chain as training sees it: coordinates, torsions, base pairs, breaks, and where it comes from."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields

import numpy as np

from rna_predict.chemistry.residues import MAX_ATOMS
from rna_predict.chemistry.torsions import TORSIONS
from rna_predict.contracts import Structure
from rna_predict.contracts.adjacency import MIN_LOOP
from rna_predict.contracts.structure import full_mask
from rna_predict.errors import ContractError
from rna_predict.evaluation.annotation import annotate_pairs
from rna_predict.geometry.numpy_measures import linked_in_space, measure_pucker, measure_torsions


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a chain comes from.

    Attributes:
        source: the file, relative to the folder that the dataset was built from.
        source_sha256: of the file's bytes.
        entry: what chains of one structure share; the file's name unless an index says otherwise.
        chain: author's chain name in the file.
        resolution: Å; None where neither file nor index says.
        method: e.g. `X-RAY DIFFRACTION`; empty where unknown.
        date: day of deposition, YYYY-MM-DD; empty where unknown.
        notices: what was converted or left out on reading.
    """

    source: str
    source_sha256: str
    entry: str
    chain: str
    resolution: float | None = None
    method: str = ""
    date: str = ""
    notices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """One chain, or a crop of one. Residues that the experiment did not see are not there; their numbers are missing.

    Attributes:
        id: unique in its dataset.
        sequence: letters A C G U of the residues that are there.
        xyz_LA3: float32 [L, 23, 3], Å, in slot order (`chemistry.residues.ATOMS`); 0 where masked out.
        mask_LA: bool [L, 23], atoms that are there.
        number_L: int32 [L], residue numbers, strictly rising; a crop keeps the chain's.
        torsion_L7: float32 [L, 7], α β γ δ ε ζ χ, radians; 0 where masked out.
        torsion_mask_L7: bool [L, 7].
        pucker_L2: float32 [L, 2], phase and amplitude, radians; 0 where masked out.
        pucker_mask_L: bool [L].
        partner_L: int32 [L], canonical pairs (A-U, C-G, G-U, at least 3 residues between) as a matching; -1 where none.
        pair_P2: int32 [P, 2], all base pairs, i < j, sorted.
        pair_class: Leontis-Westhof class of each pair, e.g. `cWW`.
        linked_L: bool [L-1], residues i and i+1 are neighbours by number and bound in space; False is a break.
        elsewhere_L: bool [L], paired with another chain of the entry, or with a residue that a crop left out.
        origin: where it comes from.
    """

    id: str
    sequence: str
    xyz_LA3: np.ndarray
    mask_LA: np.ndarray
    number_L: np.ndarray
    torsion_L7: np.ndarray
    torsion_mask_L7: np.ndarray
    pucker_L2: np.ndarray
    pucker_mask_L: np.ndarray
    partner_L: np.ndarray
    pair_P2: np.ndarray
    pair_class: tuple[str, ...]
    linked_L: np.ndarray
    elsewhere_L: np.ndarray
    origin: Origin

    def __post_init__(self) -> None:
        """Raise ContractError when an array's dtype or shape is off, or a coordinate is not finite."""
        for name, (dtype, shape) in array_shapes(len(self.sequence), len(self.pair_class)).items():
            value = getattr(self, name)
            if value.dtype != np.dtype(dtype) or value.shape != shape:
                found = f"{value.dtype} {value.shape}"
                raise ContractError(f"{self.id}: {name}: expected {dtype} {shape}, found {found}")
        if not np.isfinite(self.xyz_LA3).all():
            raise ContractError(f"{self.id}: xyz_LA3 holds NaN or infinity")

    @property
    def length(self) -> int:
        """Number of residues."""
        return len(self.sequence)

    def digest(self) -> str:
        """sha256 over everything: two chains have it in common only when they are the same in all fields."""
        return self._hashed({"id": self.id, "sequence": self.sequence, "origin": asdict(self.origin)}, ARRAYS)

    def content_digest(self) -> str:
        """sha256 over letters, numbers and atoms alone: copies under other names share it."""
        return self._hashed({"sequence": self.sequence}, ("xyz_LA3", "mask_LA", "number_L"))

    def _hashed(self, plain: dict[str, object], arrays: Sequence[str]) -> str:
        classes = {"pair_class": self.pair_class if "pair_P2" in arrays else ()}
        hashed = hashlib.sha256(json.dumps(plain | classes, sort_keys=True).encode())
        for name in arrays:
            value = getattr(self, name)
            hashed.update(value.astype(value.dtype.newbyteorder("<")).tobytes())
        return hashed.hexdigest()


def array_shapes(length: int, pairs: int) -> dict[str, tuple[str, tuple[int, ...]]]:
    """dtype and shape of every array of a chain of `length` residues with `pairs` base pairs."""
    return {
        "xyz_LA3": ("float32", (length, MAX_ATOMS, 3)),
        "mask_LA": ("bool", (length, MAX_ATOMS)),
        "number_L": ("int32", (length,)),
        "torsion_L7": ("float32", (length, len(TORSIONS))),
        "torsion_mask_L7": ("bool", (length, len(TORSIONS))),
        "pucker_L2": ("float32", (length, 2)),
        "pucker_mask_L": ("bool", (length,)),
        "partner_L": ("int32", (length,)),
        "pair_P2": ("int32", (pairs, 2)),
        "linked_L": ("bool", (length - 1,)),
        "elsewhere_L": ("bool", (length,)),
    }


ARRAYS = tuple(array_shapes(1, 0))
"""Names of the array fields."""

ORIGIN_FIELDS = tuple(field.name for field in fields(Origin))


def measure_chain(structure: Structure, elsewhere_L: np.ndarray, origin: Origin) -> Chain:
    """Measure torsions, puckers, base pairs and breaks of a structure.

    Raises:
        InputError: rnapolis cannot annotate its base pairs.
    """
    xyz_LA3, mask_LA, sequence = structure.xyz_LA3, structure.mask_LA, structure.sequence
    linked_L = structure.linked_L & linked_in_space(xyz_LA3, mask_LA)
    torsion_L7, torsion_mask_L7 = measure_torsions(xyz_LA3, mask_LA, sequence, linked_L)
    phase_L, amplitude_L, pucker_mask_L = measure_pucker(xyz_LA3, mask_LA, sequence)
    annotation = annotate_pairs(structure)
    partner_L = np.full(structure.length, -1, dtype=np.int32)
    for i, j in annotation.canonical:
        if j - i > MIN_LOOP:
            partner_L[i], partner_L[j] = j, i
    pairs = sorted([(i, j, "cWW") for i, j in annotation.canonical] + list(annotation.non_canonical))
    return Chain(
        id=structure.id,
        sequence=sequence,
        xyz_LA3=xyz_LA3.astype(np.float32),
        mask_LA=mask_LA,
        number_L=structure.number_L.astype(np.int32),
        torsion_L7=torsion_L7.astype(np.float32),
        torsion_mask_L7=torsion_mask_L7,
        pucker_L2=np.stack([phase_L, amplitude_L], axis=-1).astype(np.float32),
        pucker_mask_L=pucker_mask_L,
        partner_L=partner_L,
        pair_P2=np.array([pair[:2] for pair in pairs], dtype=np.int32).reshape(-1, 2),
        pair_class=tuple(label for _, _, label in pairs),
        linked_L=linked_L,
        elsewhere_L=elsewhere_L,
        origin=origin,
    )


def native_of(chain: Chain) -> Structure:
    """The chain as a structure."""
    return Structure(
        id=chain.id,
        sequence=chain.sequence,
        xyz_LA3=chain.xyz_LA3.astype(np.float64),
        mask_LA=chain.mask_LA,
        number_L=chain.number_L.astype(np.int64),
    )


def model_of(chain: Chain, xyz_LA3: np.ndarray) -> Structure:
    """Atoms in slots as a model of the chain, with its numbers."""
    mask_LA = full_mask(chain.sequence)
    return Structure(
        id=chain.id,
        sequence=chain.sequence,
        xyz_LA3=np.where(mask_LA[..., None], xyz_LA3, 0.0).astype(np.float64),
        mask_LA=mask_LA,
        number_L=chain.number_L.astype(np.int64),
    )
