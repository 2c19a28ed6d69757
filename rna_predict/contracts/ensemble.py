"""Stage D's result: ranked all-atom models with their confidence."""

from dataclasses import dataclass

import numpy as np

from rna_predict.chemistry.residues import MAX_ATOMS
from rna_predict.contracts.coordinates import check_atoms_apart
from rna_predict.contracts.record import Provenance, read_only
from rna_predict.contracts.sequence import RnaSequence
from rna_predict.contracts.structure import Structure, full_mask, whole_structure
from rna_predict.errors import ContractError


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One model of an ensemble. Arrays that somebody can still write to are copied, as in `Record`.

    Attributes:
        xyz_LA3: float32 [L, MAX_ATOMS, 3], Å.
        plddt_LA: float32 [L, MAX_ATOMS], 0-100.
        pae_LL: float32 [L, L], expected position error of column j when row i is aligned, Å.
        pde_LL: float32 [L, L], expected error of the distance i-j, Å.
        ptm: 0-1.
        ranking_score: higher is better.
        seed: the sampler's seed for this model.
        terms: energy terms and agreement by name, for the confidence file.
    """

    xyz_LA3: np.ndarray
    plddt_LA: np.ndarray
    pae_LL: np.ndarray
    pde_LL: np.ndarray
    ptm: float
    ranking_score: float
    seed: int
    terms: dict[str, float]

    def __post_init__(self) -> None:
        """Raise ContractError when an array is not float32 or holds NaN or infinity; `Ensemble` checks the rest."""
        for name in ("xyz_LA3", "plddt_LA", "pae_LL", "pde_LL"):
            value = getattr(self, name)
            if not isinstance(value, np.ndarray) or value.dtype != np.float32:
                found = getattr(value, "dtype", type(value).__name__)
                raise ContractError(f"{name} of a model: expected a float32 array, found {found}")
            if not np.isfinite(value).all():
                raise ContractError(f"{name} of a model: holds NaN or infinity")
            object.__setattr__(self, name, read_only(value))


@dataclass(frozen=True, slots=True, kw_only=True)
class Ensemble:
    """N models of one RNA (of one chain or several, as in `RnaSequence`), best first.

    Attributes:
        confidence_kind: `heuristic` (formula over energies) or `learned` (a trained network).
    """

    id: str
    sequence: str
    provenance: Provenance
    confidence_kind: str
    models: tuple[Model, ...]
    breaks: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """Raise ContractError when a model is collapsed, misshapen, out of range, or the ranking is not sorted."""
        object.__setattr__(self, "breaks", self.rna.breaks)
        if self.confidence_kind not in ("heuristic", "learned"):
            raise ContractError(f"confidence_kind of {self.id}: {self.confidence_kind!r} is not heuristic or learned")
        if not self.models:
            raise ContractError(f"{self.id}: an ensemble needs at least one model")
        for model in self.models:
            self._check_model(model)
        scores = [model.ranking_score for model in self.models]
        if scores != sorted(scores, reverse=True):
            raise ContractError(f"{self.id}: models are not ranked best first")

    def _check_model(self, model: Model) -> None:
        length = len(self.sequence)
        shapes = {
            "xyz_LA3": (length, MAX_ATOMS, 3),
            "plddt_LA": (length, MAX_ATOMS),
            "pae_LL": (length, length),
            "pde_LL": (length, length),
        }
        for name, shape in shapes.items():
            value = getattr(model, name)
            if value.shape != shape:
                raise ContractError(f"{name} of {self.id}: expected shape {shape}, found {value.shape}")
        if model.plddt_LA.min() < 0 or model.plddt_LA.max() > 100:
            raise ContractError(f"plddt_LA of {self.id}: outside 0-100")
        if not (0 <= model.ptm <= 1 and np.isfinite(model.ranking_score)):
            raise ContractError(f"{self.id}: ptm {model.ptm} or ranking score {model.ranking_score} out of range")
        check_atoms_apart(self.id, model.xyz_LA3, full_mask(self.sequence))

    @property
    def rna(self) -> RnaSequence:
        """The RNA that the models are of."""
        return RnaSequence(id=self.id, sequence=self.sequence, breaks=self.breaks)

    def structure(self, rank: int = 0) -> Structure:
        """The model of that rank as a Structure, residues numbered from 1."""
        return whole_structure(self.id, self.sequence, self.models[rank].xyz_LA3, self.breaks)
