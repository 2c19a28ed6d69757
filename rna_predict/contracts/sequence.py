"""The pipeline's input: one checked RNA sequence."""

import itertools
import re
from collections.abc import Iterable
from dataclasses import dataclass

from rna_predict.chemistry.chains import CHAIN_SEPARATOR, marked, split_chains
from rna_predict.chemistry.residues import RESIDUES
from rna_predict.errors import ContractError

ID_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
"""An id is a file name on every system and inert in a shell."""


MAX_CHAINS = 26
"""Chains are named by one capital letter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RnaSequence:
    """One RNA, or several chains that are predicted together; `formats.fasta` normalises T and lower case.

    Attributes:
        id: name, safe as a file's.
        sequence: letters A C G U, 5'→3', of all chains one after the other.
        breaks: first residue of each chain but the first, 0-based, rising; empty for one chain.
    """

    id: str
    sequence: str
    breaks: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """Raise ContractError for an unsafe id, an empty sequence or chain, or another letter than A C G U."""
        if not ID_PATTERN.fullmatch(self.id):
            raise ContractError(f"id {self.id[:80]!r}: must match {ID_PATTERN.pattern}. Rename the sequence.")
        if not self.sequence:
            raise ContractError(f"{self.id}: the sequence is empty")
        for position, letter in enumerate(self.sequence, start=1):
            if letter not in RESIDUES:
                raise ContractError(f"{self.id}: letter {letter!r} at position {position} is not one of A C G U")
        object.__setattr__(self, "breaks", checked_breaks(self.id, self.length, self.breaks))

    @property
    def length(self) -> int:
        """Number of nucleotides."""
        return len(self.sequence)

    @property
    def chains(self) -> list[str]:
        """Letters of each chain."""
        return split_chains(self.sequence, self.breaks)

    @property
    def text(self) -> str:
        """All chains with `&` between them."""
        return marked(self.sequence, self.breaks)


def checked_breaks(id: str, length: int, breaks: Iterable[int]) -> tuple[int, ...]:
    """The breaks as a tuple of integers.

    Raises:
        ContractError: they do not rise within the sequence, or make more than `MAX_CHAINS` chains.
    """
    found = tuple(int(first) for first in breaks)
    if list(found) != sorted(set(found)) or (found and not (found[0] > 0 and found[-1] < length)):
        raise ContractError(f"{id}: chains begin at {found}, which do not rise within {length} residues")
    if len(found) >= MAX_CHAINS:
        raise ContractError(f"{id}: {len(found) + 1} chains are more than {MAX_CHAINS}. Predict parts of the complex.")
    return found


def rna_of_text(id: str, text: str) -> RnaSequence:
    """An RNA from its letters with `&` between chains, as `RnaSequence.text` writes them.

    Raises:
        ContractError: as `RnaSequence`, or a chain without letters.
    """
    chains = text.split(CHAIN_SEPARATOR)
    if len(chains) > 1 and not all(chains):
        raise ContractError(f"{id}: a chain is empty. Write letters on both sides of each {CHAIN_SEPARATOR}.")
    ends = list(itertools.accumulate(len(chain) for chain in chains))
    return RnaSequence(id=id, sequence="".join(chains), breaks=tuple(ends[:-1]))
