"""An alignment of related sequences to one RNA, as the trunk's MSA module reads it."""

import hashlib
from dataclasses import dataclass

import numpy as np

from rna_predict.chemistry.letters import ANY_ID, GAP_ID, LETTER_ID, letter_ids
from rna_predict.contracts.record import read_only
from rna_predict.errors import ContractError

LETTERS = "".join(LETTER_ID) + "N-"
"""Letters that an alignment may hold; every IUPAC letter for more than one base is an N."""

_ID_OF = {**LETTER_ID, "N": ANY_ID, "-": GAP_ID}


@dataclass(frozen=True, slots=True, kw_only=True)
class Alignment:
    """Rows aligned to the columns of one RNA, which is the first row; no two rows are equal, none is all gaps.

    Attributes:
        id: the RNA's id.
        sequence: the RNA, letters A C G U.
        names: name of each row, as the file has it.
        residue_ML: uint8 [M, L], letters as `chemistry.letters` numbers them: A 21, G 22, C 23, U 24, N 25, gap 31.
        deletion_ML: int32 [M, L], residues of the row between this column and the one before.
        source: where it comes from, for messages.
    """

    id: str
    sequence: str
    names: tuple[str, ...]
    residue_ML: np.ndarray
    deletion_ML: np.ndarray
    source: str

    def __post_init__(self) -> None:
        """Raise ContractError, naming source and row, when an array breaks a rule above."""
        shape = (len(self.names), len(self.sequence))
        for name, dtype in (("residue_ML", "uint8"), ("deletion_ML", "int32")):
            value = getattr(self, name)
            if value.dtype != np.dtype(dtype) or value.shape != shape:
                raise ContractError(f"{self.source}: {name} of {self.id} is {value.dtype} {value.shape}, not {shape}")
            object.__setattr__(self, name, read_only(value))
        if not shape[0] or not shape[1]:
            raise ContractError(f"{self.source}: the alignment of {self.id} has {shape[0]} rows, {shape[1]} columns")
        known = np.isin(self.residue_ML, list(_ID_OF.values()))
        if not known.all():
            row, column = np.argwhere(~known)[0]
            found = self.residue_ML[row, column]
            raise ContractError(f"{self.source}: row {row + 1}, column {column + 1}: {found} is no letter of RNA")
        if (self.residue_ML[0] != letter_ids(self.sequence)).any() or self.deletion_ML[0].any():
            raise ContractError(f"{self.source}: the first row is not the sequence of {self.id}")
        if (self.deletion_ML < 0).any():
            raise ContractError(f"{self.source}: a deletion count of {self.id} is negative")

    @property
    def depth(self) -> int:
        """Number of rows, the query included."""
        return len(self.names)

    def row(self, index: int) -> str:
        """Letters of one row, for messages and tests."""
        letter = {number: letter for letter, number in _ID_OF.items()}
        return "".join(letter[int(number)] for number in self.residue_ML[index])

    def digest(self) -> str:
        """sha256 over the content (not names or source): equal content, equal digest."""
        state = hashlib.sha256(f"{self.id}:{self.sequence}:".encode())
        state.update(np.ascontiguousarray(self.residue_ML).tobytes())
        state.update(np.ascontiguousarray(self.deletion_ML).tobytes())
        return state.hexdigest()
