"""One entry's files to chains and refusals: every RNA chain ends as one or the other."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from rna_predict.contracts import RnaSequence, Structure, digest_of
from rna_predict.contracts.structure import full_mask
from rna_predict.data.chains import Chain, Origin, measure_chain
from rna_predict.data.sources import IndexRow
from rna_predict.errors import ConfigError, ContractError, RnaPredictError
from rna_predict.evaluation.foreign_pairs import paired_elsewhere
from rna_predict.formats.entry import Entry, EntryChain, read_entry
from rna_predict.formats.structure import StructureError

logger = logging.getLogger(__name__)

FAULTS = (OSError, MemoryError, ArithmeticError, LookupError, RuntimeError, ValueError, TypeError, AttributeError)
"""What a library may raise on a strange file; one file's fault is listed with its traceback in the log, not raised."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Which chains are taken."""

    min_length: int = 8
    """Fewest residues: shorter strands have no fold of their own."""
    max_length: int = 0
    """Most residues; 0 is no limit."""
    min_atoms: float = 0.5
    """Least share of the residues' heavy atoms that must be there, which leaves out P or C1' traces."""

    def __post_init__(self) -> None:
        """Raise ConfigError for values that take nothing."""
        if self.min_length < 2 or (self.max_length and self.max_length < self.min_length):
            raise ConfigError(f"min_length {self.min_length}, max_length {self.max_length}: need 2 <= min <= max.")
        if not 0 <= self.min_atoms <= 1:
            raise ConfigError(f"min_atoms: {self.min_atoms} is not a share from 0 to 1.")


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """A file and its name in reports."""

    path: Path
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A file or chain that is not in the dataset.

    Attributes:
        source: the file's name in reports.
        chain: author's chain name or id; empty where the whole file is refused.
        kind: short stable name of the reason.
        reason: for people.
    """

    source: str
    chain: str
    kind: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What became of the chains of one entry, in the order of its files."""

    chains: list[Chain] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)


def read_group(files: Sequence[SourceFile], index: Mapping[str, IndexRow], limits: Limits) -> Reading:
    """Read the files of one entry; residues that pair with another of its chains are marked.

    Args:
        files: of the entry.
        index: rows by chain id, for what the files do not say.
        limits: which chains are taken; the others still count as neighbours.
    """
    result = Reading()
    found: list[tuple[SourceFile, Entry, EntryChain, Structure]] = []
    for file in files:
        entry = _read(file, result)
        if entry is None:
            continue
        for chain in entry.chains:
            if chain.structure is None:
                result.refusals.append(_refusal(file, chain.name, chain.kind, chain.reason))
            else:
                found.append((file, entry, chain, chain.structure))
    for file, entry, chain, structure in found:
        fault = _out_of_limits(structure, limits)
        if fault:
            result.refusals.append(_refusal(file, chain.name, *fault))
            continue
        others = [other for _, _, _, other in found if other is not structure]
        origin = _origin(file, entry, chain, index.get(structure.id, IndexRow()))
        try:
            result.chains.append(measure_chain(structure, paired_elsewhere(structure, others), origin))
        except (RnaPredictError, *FAULTS) as error:
            result.refusals.append(_refusal(file, chain.name, "not_measured", _reason(file, error)))
    return result


def _read(file: SourceFile, result: Reading) -> Entry | None:
    try:
        return read_entry(file.path)
    except StructureError as error:
        result.refusals.append(_refusal(file, "", error.kind, str(error)))
    except (RnaPredictError, *FAULTS) as error:
        result.refusals.append(_refusal(file, "", "unreadable", _reason(file, error)))
    return None


def _refusal(file: SourceFile, chain: str, kind: str, reason: str) -> Refusal:
    return Refusal(source=file.name, chain=chain, kind=kind, reason=reason.replace(str(file.path), file.name))


def _reason(file: SourceFile, error: Exception) -> str:
    if isinstance(error, RnaPredictError):
        return str(error)
    if not isinstance(error, (OSError, MemoryError)):
        logger.error("%s: %s", file.name, type(error).__name__, exc_info=error)
    return f"{type(error).__name__}: {error}"


def _out_of_limits(structure: Structure, limits: Limits) -> tuple[str, str] | None:
    """Kind and reason, where the chain is not taken."""
    length = structure.length
    if length < limits.min_length:
        return "too_short", f"{length} residues, fewer than {limits.min_length}"
    if limits.max_length and length > limits.max_length:
        return "too_long", f"{length} residues, more than {limits.max_length}"
    share = float(structure.mask_LA.sum() / full_mask(structure.sequence).sum())
    if share < limits.min_atoms:
        return "few_atoms", f"{share:.0%} of the heavy atoms are there, less than {limits.min_atoms:.0%}"
    try:
        RnaSequence(id=structure.id, sequence=structure.sequence)
    except ContractError as error:
        return "bad_name", f"{error} The id is made from the names of file and chain."
    if np.abs(structure.number_L).max() > np.iinfo(np.int32).max:
        return "bad_numbers", "a residue number does not fit 32 bits"
    return None


def _origin(file: SourceFile, entry: Entry, chain: EntryChain, row: IndexRow) -> Origin:
    return Origin(
        source=file.name,
        source_sha256=digest_of(file.path),
        entry=row.entry or file.path.name.split(".")[0],
        chain=chain.name,
        resolution=row.resolution if entry.resolution is None else entry.resolution,
        method=entry.method or row.method,
        date=entry.date or row.date,
        notices=tuple(notice.message for notice in chain.notices),
    )
