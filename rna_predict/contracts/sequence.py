"""The pipeline's input: one checked RNA sequence."""

import re
from dataclasses import dataclass

from rna_predict.chemistry.residues import RESIDUES
from rna_predict.errors import ContractError

ID_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
"""An id is a file name on every system and inert in a shell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RnaSequence:
    """One RNA, 5'→3', letters A C G U only; `formats.fasta` normalises T and lower case and announces it."""

    id: str
    sequence: str

    def __post_init__(self) -> None:
        """Raise ContractError for an unsafe id, an empty sequence or another letter than A C G U."""
        if not ID_PATTERN.fullmatch(self.id):
            raise ContractError(f"id {self.id[:80]!r}: must match {ID_PATTERN.pattern}. Rename the sequence.")
        if not self.sequence:
            raise ContractError(f"{self.id}: the sequence is empty")
        for position, letter in enumerate(self.sequence, start=1):
            if letter not in RESIDUES:
                raise ContractError(f"{self.id}: letter {letter!r} at position {position} is not one of A C G U")

    @property
    def length(self) -> int:
        """Number of nucleotides."""
        return len(self.sequence)
