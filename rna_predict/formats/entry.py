"""Every RNA chain of one entry, a PDB or mmCIF file, with what the file says of the experiment."""

from dataclasses import dataclass
from pathlib import Path

import gemmi

from rna_predict.contracts import Structure
from rna_predict.formats.reading import Notice
from rna_predict.formats.structure import StructureError, chain_structure, holds_rna, no_rna, open_structure

ENDINGS = (".pdb", ".ent", ".cif", ".mmcif")
"""Names of structure files; each may end in .gz too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryChain:
    """One RNA chain, read or refused.

    Attributes:
        name: author's chain name.
        structure: None where the chain is refused.
        notices: what was converted or left out on reading.
        kind: why it is refused, as `StructureError.kind`; empty where it is not.
        reason: the same for people.
    """

    name: str
    structure: Structure | None
    notices: tuple[Notice, ...] = ()
    kind: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One file.

    Attributes:
        chains: its RNA chains in file order, at least one; the ids of their structures are the file's name without
            endings, followed by `_<chain>` where the file has several.
        resolution: Å; None where the file does not say.
        method: e.g. `X-RAY DIFFRACTION`; empty where the file does not say.
        date: day of deposition as YYYY-MM-DD (PDB files hold no other); empty where the file does not say.
    """

    chains: tuple[EntryChain, ...]
    resolution: float | None
    method: str
    date: str


def is_structure_file(path: Path) -> bool:
    """Whether the name ends as a structure file's does."""
    return path.name.lower().removesuffix(".gz").endswith(ENDINGS)


def read_entry(path: Path) -> Entry:
    """Read the first model's RNA chains; one that is refused does not stop the others.

    Raises:
        InputError: the file is no structure, has no atoms, or holds no RNA.
    """
    opened = open_structure(path)
    rna = [chain for chain in opened[0] if holds_rna(chain)]
    if not rna:
        raise no_rna(path, opened[0])
    stem = path.name.split(".")[0]
    ids = [stem] if len(rna) == 1 else [f"{stem}_{chain.name}" for chain in rna]
    return Entry(
        chains=tuple(_chain(path, chain, id) for chain, id in zip(rna, ids, strict=True)),
        resolution=round(opened.resolution, 3) if opened.resolution > 0 else None,
        method=_stated(opened, "_exptl.method"),
        date=_stated(opened, "_pdbx_database_status.recvd_initial_deposition_date"),
    )


def _chain(path: Path, chain: gemmi.Chain, id: str) -> EntryChain:
    try:
        structure, notices = chain_structure(path, chain, id)
    except StructureError as error:
        return EntryChain(name=chain.name, structure=None, kind=error.kind, reason=str(error))
    return EntryChain(name=chain.name, structure=structure, notices=tuple(notices))


def _stated(opened: gemmi.Structure, item: str) -> str:
    value = dict(opened.info.items()).get(item, "")
    return "" if value in ("?", ".") else value.strip()
