"""Chemical probing of one RNA: how readily each residue reacts, which says how likely it is to be unpaired."""

import hashlib
from dataclasses import dataclass

import numpy as np

from rna_predict.contracts.record import read_only
from rna_predict.errors import ContractError


@dataclass(frozen=True, slots=True, kw_only=True)
class Reactivity:
    """Normalised reactivities (SHAPE, DMS) of one RNA.

    Attributes:
        id: the RNA's id.
        source: where they come from, for messages.
        value_L: float32 [L], NaN where there is none, else at least 0; at least one residue has one.
    """

    id: str
    source: str
    value_L: np.ndarray

    def __post_init__(self) -> None:
        """Raise ContractError, naming source and residue, when the values break a rule above."""
        value = self.value_L
        if value.dtype != np.dtype("float32") or value.ndim != 1:
            raise ContractError(f"{self.source}: value_L of {self.id} is {value.dtype} {value.shape}, not float32 [L]")
        object.__setattr__(self, "value_L", read_only(value))
        if not self.measured:
            raise ContractError(f"{self.source}: no residue of {self.id} has a reactivity")
        bad = np.flatnonzero(np.isinf(value) | (value < 0))
        if len(bad):
            raise ContractError(
                f"{self.source}: the reactivity of residue {bad[0] + 1} of {self.id} is {value[bad[0]]:g}; it is 0 or "
                "more, or none"
            )

    @property
    def length(self) -> int:
        """Number of residues."""
        return len(self.value_L)

    @property
    def measured(self) -> int:
        """How many residues have a reactivity."""
        return int(np.isfinite(self.value_L).sum())

    def digest(self) -> str:
        """sha256 over id and values (not the source): equal content, equal digest."""
        stored = np.where(np.isnan(self.value_L), np.float32(-999), self.value_L)  # a NaN has many bit patterns
        state = hashlib.sha256(f"{self.id}:{self.length}:".encode())
        state.update(stored.tobytes())
        return state.hexdigest()
