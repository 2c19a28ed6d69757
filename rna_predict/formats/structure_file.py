"""A structure with the B-factors of its file: read them beside it, write both as PDB or mmCIF."""

from collections.abc import Sequence
from pathlib import Path

import gemmi
import numpy as np

from rna_predict.atomic import atomic_path
from rna_predict.chemistry.chains import chain_of
from rna_predict.chemistry.residues import SLOT
from rna_predict.contracts import Structure
from rna_predict.errors import InputError
from rna_predict.formats.pdb import file_numbers, gemmi_structure, write_pdb
from rna_predict.formats.structure import holds_rna, open_structure

PDB_ENDINGS = (".pdb", ".ent")
CIF_ENDINGS = (".cif", ".mmcif")


def read_b_factors(path: Path, structure: Structure, chain: str | None = None) -> np.ndarray:
    """B-factors float64 [L, MAX_ATOMS] of a structure that was read from a file; 0 where its name differs.

    Args:
        path: the file.
        structure: what `read_structure` made of it.
        chain: author's chain name, where it was named on reading.

    Raises:
        InputError: the structure has been numbered anew, so that its atoms cannot be told.
    """
    b_LA = np.zeros(structure.mask_LA.shape)
    chain_L = chain_of(structure.length, structure.breaks).tolist()
    place = {key: i for i, key in enumerate(zip(chain_L, file_numbers(structure).tolist(), strict=True))}
    seen: set[int] = set()
    strands = [strand for strand in open_structure(path)[0] if chain in (None, strand.name) and holds_rna(strand)]
    for index, strand in enumerate(strands):
        for residue in strand:
            i = place.get((index, residue.seqid.num or 0))
            if i is None or residue.name != structure.sequence[i]:
                continue
            if residue.seqid.icode.strip():
                continue
            seen.add(i)
            for atom in residue:
                slot = SLOT[residue.name].get(atom.name)
                if slot is not None and structure.mask_LA[i, slot]:
                    b_LA[i, slot] = atom.b_iso
    if not seen:
        raise InputError(f"{path}: residue numbers had to be made anew; number its residues from 1 to keep B-factors.")
    return b_LA


def write_structure(structure: Structure, path: Path, b_LA: np.ndarray, remarks: Sequence[str] = ()) -> None:
    """Write as the file's ending says, whole or not at all.

    Args:
        structure: residues keep their numbers.
        path: ends in .pdb, .ent, .cif or .mmcif.
        b_LA: for the B-factor column.
        remarks: what was done with it: `REMARK   1` in PDB, `_struct.title` in mmCIF.

    Raises:
        InputError: another ending, or PDB's columns cannot hold it.
    """
    if path.suffix in PDB_ENDINGS:
        write_pdb(structure, path, b_LA, remarks=remarks)
        return
    if path.suffix not in CIF_ENDINGS:
        raise InputError(f"{path}: ends in neither {', '.join(PDB_ENDINGS)} nor {', '.join(CIF_ENDINGS)}. Rename it.")
    model = gemmi_structure(structure, b_LA)
    for strand in model[0]:
        for residue in strand:
            residue.subchain = strand.name
    model.ensure_entities()
    for entity in model.entities:
        entity.full_sequence = [residue.name for residue in model[0].get_subchain(entity.subchains[0])]
    model.assign_label_seq_id()
    model.info = gemmi.InfoMap({"_entry.id": structure.id, "_struct.title": " ".join(remarks)})
    groups = gemmi.MmcifOutputGroups(True)
    groups.cell = groups.symmetry = False
    with atomic_path(path) as temporary:
        temporary.write_text(model.make_mmcif_document(groups).as_string(), encoding="utf-8", newline="\n")
