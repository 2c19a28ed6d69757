"""Loops that were cut out of structures, one a file: each becomes a row of a library of known structures.

A file holds a loop strand after strand, each strand with the paired residue before and behind it, as RNAMake's motifs
do (Yesselman et al. 2019). Their order follows from the pairs, as some of those files have another one. No chain's
limits of length or identity apply to them.
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from rna_predict.chemistry.chains import linked
from rna_predict.chemistry.residues import BASE_N_SLOT, C1, C3, C4, CANONICAL_PAIRS
from rna_predict.contracts import Structure
from rna_predict.contracts.adjacency import MIN_LOOP
from rna_predict.contracts.structure import full_mask
from rna_predict.data.entries import Refusal
from rna_predict.data.sources import IndexRow, find_sources
from rna_predict.errors import RnaPredictError
from rna_predict.evaluation.annotation import annotate_pairs
from rna_predict.formats.entry import ENDINGS, read_entry
from rna_predict.formats.structure import StructureError, joined
from rna_predict.geometry.numpy_measures import linked_in_space
from rna_predict.templates.library import SHORTEST_STRAND, MemoryLibrary, Packed, Row, make_row, pack
from rna_predict.templates.motifs import rings


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopReading:
    """What became of the files of a folder, in their order."""

    rows: tuple[Row, ...]
    packed: tuple[Packed, ...]
    refusals: tuple[Refusal, ...]


def read_loops(source: Path, index: Mapping[str, IndexRow]) -> LoopReading:
    """Read a folder (list, file) of PDB or mmCIF files, each a loop; a file that is none is left out with a reason.

    Args:
        source: what to read; a loop's id is its file's name without endings.
        index: rows by id, which state entry, cluster and day where the files do not.

    Raises:
        InputError: there is nothing to read.
    """
    rows: list[Row] = []
    packed: list[Packed] = []
    refusals: list[Refusal] = []
    sources = find_sources(source)
    for path in sources.files:
        id = _stem(path)
        try:
            row, atoms = read_loop(path, id, index.get(id, IndexRow()))
        except RnaPredictError as error:
            kind = error.kind if isinstance(error, StructureError) else "unreadable"
            reason = str(error).replace(str(path), sources.name(path))
            refusals.append(Refusal(source=sources.name(path), chain="", kind=kind, reason=reason))
        else:
            rows.append(row)
            packed.append(atoms)
    return LoopReading(rows=tuple(rows), packed=tuple(packed), refusals=tuple(refusals))


def with_loops(library: MemoryLibrary, loops: LoopReading) -> MemoryLibrary:
    """A library with further loops, by id, behind its chains.

    Raises:
        ContractError: an id occurs twice.
    """
    pairs = list(zip((*library.rows, *loops.rows), (*library.packed, *loops.packed), strict=True))
    pairs.sort(key=lambda pair: (pair[0].loop, pair[0].id))
    return replace(library, rows=tuple(row for row, _ in pairs), packed=tuple(atoms for _, atoms in pairs))


def read_loop(path: Path, id: str, known: IndexRow) -> tuple[Row, Packed]:
    """The row and the atoms of a loop, its strands from 5' to 3' around it from the file's first on.

    Raises:
        InputError: not a readable structure, or not one whole loop between canonical pairs.
    """
    entry = read_entry(path)
    read = [chain.structure for chain in entry.chains if chain.structure is not None]
    if len(read) < len(entry.chains):
        refused = next(chain for chain in entry.chains if chain.structure is None)
        raise StructureError(refused.reason, refused.kind)
    structure = joined(read)
    spans = _strands(path, structure)
    formed = annotate_pairs(structure).canonical
    spans = _around(spans, formed)
    residue_N = np.concatenate([np.arange(*span) for span in spans])
    place_N = np.argsort(residue_N)
    strands = tuple(stop - start for start, stop in spans)
    sequence = "".join(structure.sequence[n] for n in residue_N)
    partner_L = _closed(path, sequence, strands, {(int(place_N[i]), int(place_N[j])) for i, j in formed})
    labels = {"cluster": known.cluster, "date": known.date or entry.date, "source": known.entry or id}
    row = make_row(id, sequence, partner_L, labels, strands)
    xyz_LA3, mask_LA = structure.xyz_LA3[residue_N].astype(np.float32), structure.mask_LA[residue_N]
    return row, pack(xyz_LA3, mask_LA, linked(len(sequence), row.breaks))


def _strands(path: Path, structure: Structure) -> list[tuple[int, int]]:
    """First residue of each strand of a file, and the one behind its last.

    Raises:
        StructureError: a residue is not whole, or a strand too short.
    """
    lacking_L = (full_mask(structure.sequence) & ~structure.mask_LA)[:, _NEEDED].any(axis=1)
    if lacking_L.any():
        numbers = ", ".join(str(number) for number in structure.number_L[lacking_L][:10])
        raise StructureError(f"{path}: residues without C1', C3', C4' or an atom of the base: {numbers}.", "not_whole")
    bound_L = linked_in_space(structure.xyz_LA3, structure.mask_LA) & linked(structure.length, structure.breaks)
    cuts = (np.flatnonzero(~bound_L) + 1).tolist()
    spans = list(itertools.pairwise((0, *cuts, structure.length)))
    sizes = [stop - start for start, stop in spans]
    if min(sizes) < SHORTEST_STRAND or (len(sizes) == 1 and sizes[0] - SHORTEST_STRAND < MIN_LOOP):
        raise StructureError(
            f"{path}: strands of {', '.join(map(str, sizes))} residues. Each needs the paired residue before and "
            f"behind it, a hairpin {MIN_LOOP} more, and O3'-P bonds along it.",
            "no_loop",
        )
    return spans


def _around(spans: list[tuple[int, int]], formed: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The strands in the order in which pairs lead from the end of one to the start of the next; as given without."""
    partner = {i: j for pair in formed for i, j in (pair, pair[::-1])}
    starting = {span[0]: span for span in spans}
    order = [spans[0]]
    while (following := starting.get(partner.get(order[-1][1] - 1, -1))) and following not in order:
        order.append(following)
    return order if len(order) == len(spans) else spans


def _closed(path: Path, sequence: str, strands: Sequence[int], formed: Set[tuple[int, int]]) -> np.ndarray:
    """The pairs that close the loop, int32 [L], index of the paired residue or -1; none other is marked.

    Raises:
        StructureError: a pair is not canonical or not formed, or it is not one loop.
    """
    ends = list(itertools.accumulate(strands))
    partner_L = np.full(len(sequence), -1, dtype=np.int32)
    for number, (last, first) in enumerate(zip([end - 1 for end in ends], [*ends[:-1], 0], strict=True), start=1):
        letters = sequence[last] + sequence[first]
        if letters not in CANONICAL_PAIRS:
            pair = "-".join(letters)
            raise StructureError(f"{path}: a closing pair is {pair}, which is not canonical.", "not_canonical")
        if not formed & {(first, last), (last, first)}:
            reason = (
                f"strand {number} ends in {letters[0]}, which should pair with the {letters[1]} that begins the next"
            )
            raise StructureError(f"{path}: {reason}, and does not.", "not_closed")
        partner_L[last], partner_L[first] = first, last
    found = rings(sequence, partner_L, breaks=tuple(ends[:-1]))
    if [ring.shape[1] for ring in found] != [tuple(strand - SHORTEST_STRAND for strand in strands)]:
        raise StructureError(f"{path}: its closing pairs make {len(found)} loops, not this one.", "no_loop")
    return partner_L


_NEEDED = [C1, C3, C4, *range(BASE_N_SLOT, full_mask("A").shape[1])]
"""Slots without which a residue of a loop is of no use."""


def _stem(path: Path) -> str:
    """The file's name without the endings of structure files."""
    name = path.name[: -len(".gz")] if path.name.lower().endswith(".gz") else path.name
    return next(name[: -len(ending)] for ending in ENDINGS if name.lower().endswith(ending))
