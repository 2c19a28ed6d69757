"""RNA from a PDB or mmCIF file, strictly; and the writer for PDB.

What is taken: the first model, one chain (author's name) or all RNA chains together, heavy atoms of
`chemistry.residues.ATOMS`. A residue's conformer is the alternate location with the highest summed occupancy (ties:
first letter). Waters, ions and ligands are left out; a modified residue counts as RNA only when it is bound into the
strand, so a free GTP stays a ligand.

Numbers are the author's (the same in PDB and mmCIF) as long as they rise without insertion codes. Otherwise the
chain is numbered anew from its first number: +1 to the next residue where O3'-P is bound or the author's number
steps by at most one, +2 where the strand is broken. A notice says so.
"""

import itertools
import logging
from collections.abc import Sequence
from pathlib import Path

import gemmi
import numpy as np

from rna_predict.chemistry.residues import MAX_ATOMS, SLOT
from rna_predict.contracts import Structure
from rna_predict.errors import InputError
from rna_predict.formats.chain_atoms import LINK, Nucleotide, bound_into_strand, classify, nucleotides
from rna_predict.formats.pdb import write_pdb
from rna_predict.formats.reading import Notice, read_text

__all__ = ["StructureError", "read_structure", "read_structure_with_notices", "write_pdb"]

MAX_COORDINATE = 9999.999
"""Å; the widest number that a PDB column holds. Anything beyond is a damaged file."""

logger = logging.getLogger(__name__)


class StructureError(InputError):
    """A structure file or a chain of it is refused; `kind` is a short stable name of the reason, for tables."""

    def __init__(self, message: str, kind: str) -> None:
        super().__init__(message)
        self.kind = kind


def read_structure(path: Path, chain: str | None = None, id: str | None = None, together: bool = False) -> Structure:
    """Read RNA and log every conversion; see `read_structure_with_notices`."""
    structure, notices = read_structure_with_notices(path, chain, id, together)
    for notice in notices:
        logger.info("%s: %s", path, notice.message)
    return structure


def read_structure_with_notices(
    path: Path, chain: str | None = None, id: str | None = None, together: bool = False
) -> tuple[Structure, list[Notice]]:
    """Read RNA from PDB or mmCIF, gzip or not; the content decides, not the file's name.

    Args:
        path: the file.
        chain: author's chain name; may be left out where the file has one RNA chain, or with `together`.
        id: name of the result; default the file's name without its endings.
        together: whether all RNA chains of the file are read as one complex where none is named. The numbers of the
            second and further chains go on behind those of the chain before, with one left out.

    Returns:
        The structure and what was converted or left out.

    Raises:
        InputError: not a structure file, no atoms, no RNA, several RNA chains and none named, DNA or an unknown
            residue in the strand, duplicate atoms, a coordinate that is no number or beyond `MAX_COORDINATE`.
    """
    path = Path(path)
    model, id = open_structure(path)[0], id or path.name.split(".")[0]
    if together and chain is None and len(found := [strand for strand in model if holds_rna(strand)]) > 1:
        parts = [chain_structure(path, strand, id) for strand in found]
        return joined([structure for structure, _ in parts]), [notice for _, notices in parts for notice in notices]
    return chain_structure(path, _pick_chain(path, model, chain), id)


def joined(chains: Sequence[Structure]) -> Structure:
    """Chains as one complex, in their order."""
    numbers: list[np.ndarray] = []
    for chain in chains:
        behind = int(numbers[-1][-1]) + 1 if numbers else 0
        first = int(chain.number_L[0])
        numbers.append(chain.number_L + (behind + max(0, 1 - first) if numbers else 0))
    return Structure(
        id=chains[0].id,
        sequence="".join(chain.sequence for chain in chains),
        xyz_LA3=np.concatenate([chain.xyz_LA3 for chain in chains]),
        mask_LA=np.concatenate([chain.mask_LA for chain in chains]),
        number_L=np.concatenate(numbers),
        breaks=tuple(itertools.accumulate(chain.length for chain in chains))[:-1],
    )


def chain_structure(path: Path, chain: gemmi.Chain, id: str) -> tuple[Structure, list[Notice]]:
    """One RNA chain of an open file as a Structure named `id`, and what was converted or left out.

    Raises:
        InputError: as `read_structure_with_notices` does about the chain.
    """
    notices: list[Notice] = []
    strand = _strand(path, chain.name, nucleotides(chain), notices)
    structure = _structure(id, strand, notices)
    return structure, [Notice(kind=n.kind, message=n.message, id=id) for n in notices]


def open_structure(path: Path) -> gemmi.Structure:
    """The file as gemmi holds it, with at least one atom in its first model, chain parts merged.

    Raises:
        InputError: not a structure file, or no atoms.
    """
    text = read_text(path)
    start = text.lstrip()[:2000]
    if start.startswith("<"):
        raise StructureError(
            f"{path}: is HTML or XML, not a structure. Download the PDB or mmCIF file itself.", "not_a_structure"
        )
    try:
        structure = _parse_cif(path, text) if _looks_like_cif(start) else _parse_pdb(path, text)
    except (RuntimeError, ValueError, IndexError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise StructureError(
            f"{path}: not a readable PDB or mmCIF file ({reason}). Check or download it again.", "not_a_structure"
        ) from error
    if len(structure) == 0 or structure[0].count_atom_sites() == 0:
        raise StructureError(f"{path}: holds 0 atoms. Give a PDB or mmCIF file with coordinates.", "no_atoms")
    structure.merge_chain_parts()
    return structure


def _looks_like_cif(start: str) -> bool:
    lines = [line.lstrip() for line in start.splitlines()]
    first = next((line for line in lines if line and not line.startswith("#")), "")
    return first.lower().startswith(("data_", "loop_", "_"))


def _parse_cif(path: Path, text: str) -> gemmi.Structure:
    document = gemmi.cif.read_string(text)
    block = next((b for b in document if b.find_loop("_atom_site.id") or b.find_value("_atom_site.id")), None)
    if block is None:
        raise StructureError(
            f"{path}: is CIF without an _atom_site table. Give an mmCIF file with coordinates.", "no_atoms"
        )
    return gemmi.make_structure_from_block(block)


def _parse_pdb(path: Path, text: str) -> gemmi.Structure:
    for number, line in enumerate(text.splitlines(), start=1):
        if line.startswith(("ATOM  ", "HETATM")):
            _check_atom_line(path, number, line)
        elif line.startswith("ENDMDL"):
            break
    return gemmi.read_pdb_string(text)


def _check_atom_line(path: Path, number: int, line: str) -> None:
    """The C++ reader takes letters for 0.0; refuse them here. NaN passes and is refused with its residue's name."""
    for start in (30, 38, 46):
        try:
            float(line[start : start + 8])
        except ValueError as error:
            raise StructureError(
                f"{path}: line {number}: columns {start + 1}-{start + 8} hold {line[start : start + 8]!r}, not a "
                "coordinate. Write the file in PDB columns or as mmCIF.",
                "bad_coordinate",
            ) from error


def _pick_chain(path: Path, model: gemmi.Model, chain: str | None) -> gemmi.Chain:
    rna = [c.name for c in model if holds_rna(c)]
    if chain is not None:
        named = next((c for c in model if c.name == chain), None)
        if named is None:
            raise InputError(f"{path}: has no chain {chain!r}. Its RNA chains: {', '.join(rna) or 'none'}.")
        if chain not in rna:
            raise InputError(f"{path}: chain {chain} holds {_content(named)}, not RNA. RNA chains: {', '.join(rna)}.")
        return named
    if not rna:
        raise no_rna(path, model)
    if len(rna) > 1:
        raise InputError(f"{path}: has several RNA chains ({', '.join(rna)}). Name one of them as `chain`.")
    return next(c for c in model if c.name == rna[0])


def no_rna(path: Path, model: gemmi.Model) -> StructureError:
    """The error that says what a file without RNA holds instead."""
    content = "; ".join(f"chain {c.name}: {_content(c)}" for c in list(model)[:6])
    return StructureError(f"{path}: holds no RNA ({content}). Give a structure with residues A, C, G, U.", "no_rna")


def holds_rna(chain: gemmi.Chain) -> bool:
    """Whether the chain has a residue of RNA, or a modified one that is bound into a strand."""
    kinds = {residue.name: classify(residue.name.strip().upper())[0] for residue in chain}
    if "rna" in kinds.values():
        return True
    if "modified" not in kinds.values():
        return False
    residues = nucleotides(chain)
    bound = bound_into_strand(residues)
    return any(b and r.kind == "modified" for r, b in zip(residues, bound, strict=True))


def _content(chain: gemmi.Chain) -> str:
    names = {residue.name.strip().upper() for residue in chain}
    dna = any(classify(name)[0] == "dna" for name in names)
    shown = ", ".join(sorted(names)[:6]) + (" …" if len(names) > 6 else "")
    return f"DNA ({shown})" if dna else shown


def _strand(path: Path, chain: str, residues: list[Nucleotide], notices: list[Notice]) -> list[Nucleotide]:
    """The residues that make the RNA strand, checked; what is left out or mapped goes into `notices`."""
    bound = bound_into_strand(residues)
    strand: list[Nucleotide] = []
    left_out: list[str] = []
    for residue, is_bound in zip(residues, bound, strict=True):
        where = f"{path}: chain {chain}, residue {residue.label}"
        if residue.kind == "dna":
            raise StructureError(f"{where}: is DNA. Only RNA is read: give an RNA chain.", "dna")
        if residue.name == "N" or (residue.kind == "unknown" and is_bound):
            raise StructureError(
                f"{where}: is part of the strand but no known nucleotide. Rename it to A, C, G or U.", "unknown_residue"
            )
        if residue.kind == "rna" or (residue.kind == "modified" and is_bound):
            _check_atoms(where, residue)
            if residue.kept():
                strand.append(residue)
            continue
        if residue.name not in ("HOH", "DOD", "WAT"):
            left_out.append(residue.label)
    if not strand:
        raise StructureError(
            f"{path}: chain {chain} holds 0 heavy RNA atoms. Give a file with coordinates.", "no_atoms"
        )
    _check_numbers(path, chain, strand)
    if any("C2'" in r.atoms for r in strand) and not any({"O2'", "F2'", "OM2", "CM2"} & r.atoms.keys() for r in strand):
        raise StructureError(f"{path}: chain {chain}: no residue has O2', so this is DNA. Give an RNA chain.", "dna")
    modified = [f"{r.label} → {r.parent}" for r in strand if r.kind == "modified"]
    if modified:
        notices.append(Notice(kind="modified_residue", message=f"modified residues read as: {_some(modified)}"))
    if left_out:
        notices.append(Notice(kind="left_out", message=f"not part of the strand, left out: {_some(left_out)}"))
    return strand


def _check_numbers(path: Path, chain: str, strand: list[Nucleotide]) -> None:
    seen: dict[tuple[int, str], Nucleotide] = {}
    for residue in strand:
        other = seen.setdefault((residue.number, residue.insertion), residue)
        if other is not residue:
            raise StructureError(
                f"{path}: chain {chain}: {other.label} and {residue.label} share one number. Renumber one of them.",
                "duplicate_residue",
            )


def _some(labels: list[str]) -> str:
    return ", ".join(labels[:10]) + (f" and {len(labels) - 10} more" if len(labels) > 10 else "")


def _check_atoms(where: str, residue: Nucleotide) -> None:
    if residue.duplicate:
        raise StructureError(
            f"{where}: atom {residue.duplicate} occurs twice. Two copies of a chain under one name? Keep one of them.",
            "duplicate_atom",
        )
    for name, xyz in residue.atoms.items():
        if not np.isfinite(xyz).all() or np.abs(xyz).max() > MAX_COORDINATE:
            values = " ".join(f"{value:g}" for value in xyz)
            raise StructureError(
                f"{where}: atom {name} lies at {values}: not a position within ±{MAX_COORDINATE} Å. Repair the file.",
                "bad_coordinate",
            )


def _structure(name: str, strand: list[Nucleotide], notices: list[Notice]) -> Structure:
    xyz_LA3 = np.zeros((len(strand), MAX_ATOMS, 3))
    mask_LA = np.zeros((len(strand), MAX_ATOMS), dtype=bool)
    for i, residue in enumerate(strand):
        for atom, xyz in residue.kept().items():
            slot = SLOT[residue.parent][atom]
            xyz_LA3[i, slot] = xyz
            mask_LA[i, slot] = True
    number_L = np.array([r.number for r in strand], dtype=np.int64)
    if any(r.insertion for r in strand) or (np.diff(number_L) <= 0).any():
        number_L = _number_anew(strand)
        message = f"insertion codes or falling numbers: numbered anew, {number_L[0]} to {number_L[-1]}"
        notices.append(Notice(kind="renumbered", message=message))
    sequence = "".join(r.parent for r in strand)
    return Structure(id=name, sequence=sequence, xyz_LA3=xyz_LA3, mask_LA=mask_LA, number_L=number_L)


def _number_anew(strand: list[Nucleotide]) -> np.ndarray:
    numbers = [strand[0].number]
    for previous, residue in itertools.pairwise(strand):
        numbers.append(numbers[-1] + (1 if _follows(previous, residue) else 2))
    return np.array(numbers, dtype=np.int64)


def _follows(previous: Nucleotide, residue: Nucleotide) -> bool:
    o3, p = previous.atoms.get("O3'"), residue.atoms.get("P")
    if o3 is not None and p is not None:
        return bool(np.linalg.norm(p - o3) < LINK)
    return residue.number - previous.number in (0, 1)
