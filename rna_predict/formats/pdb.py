"""Write RNA as a PDB file (version 3.3 columns, by gemmi), one chain or several."""

import textwrap
from collections.abc import Sequence
from pathlib import Path

import gemmi
import numpy as np

from rna_predict.chemistry.chains import chain_of
from rna_predict.chemistry.residues import ATOMS, element
from rna_predict.contracts import Structure, atomic_path
from rna_predict.errors import InputError

MAX_RESIDUES = 9999
MAX_ATOMS_IN_FILE = 99999
KEPT = "\N{NO-BREAK SPACE}"
"""A space of a remark at which no line ends; it is written as a plain one."""
REMARK_WIDTH = 69
"""Letters of a remark in a line of 80."""
_LOWEST, _HIGHEST = -999.999, 9999.999


def write_pdb(
    structure: Structure,
    path: Path,
    plddt_LA: np.ndarray | None = None,
    chain: str = "A",
    remarks: Sequence[str] = (),
) -> None:
    """Write the atoms that are present, whole or not at all; TER and END at the end.

    Args:
        structure: residues keep their numbers.
        path: replaced if it exists.
        plddt_LA: 0-100 for the B-factor column; 0.00 where none is given.
        chain: one letter or digit, name of the first chain.
        remarks: what stands as `REMARK   1 …` at the top, wrapped at 80 columns.

    Raises:
        InputError: more than 9999 residues or 99999 atoms (TER included), a number or coordinate that the columns
            cannot hold. mmCIF has none of these limits.
    """
    text = pdb_text(structure, plddt_LA, chain, remarks)
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="ascii")


def pdb_text(
    structure: Structure, plddt_LA: np.ndarray | None = None, chain: str = "A", remarks: Sequence[str] = ()
) -> str:
    """What `write_pdb` writes.

    Raises:
        InputError: see `write_pdb`.
    """
    _check_fits(structure, chain)
    if plddt_LA is not None and plddt_LA.shape != structure.mask_LA.shape:
        raise InputError(
            f"{structure.id}: pLDDT of shape {plddt_LA.shape} does not fit atoms {structure.mask_LA.shape}"
        )
    wrapped = [part for remark in remarks for part in textwrap.wrap(remark, REMARK_WIDTH)]
    lines = [f"REMARK   1 {part.replace(KEPT, ' ')}" for part in wrapped]
    model = gemmi_structure(structure, plddt_LA, chain)
    options = gemmi.PdbWriteOptions(minimal=True, cryst1_record=False, ter_records=True, end_record=True)
    return "".join(f"{line}\n" for line in lines) + model.make_pdb_string(options)


def gemmi_structure(structure: Structure, plddt_LA: np.ndarray | None = None, chain: str = "A") -> gemmi.Structure:
    """The same atoms as a gemmi structure of polymer chains; serial numbers from 1, no symmetry.

    The first chain has the name `chain`, others the next letters; their residues are numbered from 1.
    """
    strands = [gemmi.Chain(chain_name(chain, k)) for k in range(len(structure.breaks) + 1)]
    chain_L, number_L = chain_of(structure.length, structure.breaks), file_numbers(structure)
    serial = 0
    for i, letter in enumerate(structure.sequence):
        residue = gemmi.Residue()
        residue.name = letter
        residue.seqid = gemmi.SeqId(int(number_L[i]), " ")
        residue.entity_type = gemmi.EntityType.Polymer
        for slot, name in enumerate(ATOMS[letter]):
            if not structure.mask_LA[i, slot]:
                continue
            serial += 1
            atom = gemmi.Atom()
            atom.name, atom.element, atom.serial = name, gemmi.Element(element(name)), serial
            atom.pos = gemmi.Position(*(structure.xyz_LA3[i, slot].round(3) + 0.0).tolist())
            atom.b_iso = 0.0 if plddt_LA is None else round(float(plddt_LA[i, slot]), 2)
            residue.add_atom(atom)
        strands[chain_L[i]].add_residue(residue)
    model = gemmi.Model(1)
    for strand in strands:
        model.add_chain(strand)
    result = gemmi.Structure()
    result.name = structure.id
    result.add_model(model)
    return result


def chain_name(first: str, index: int) -> str:
    """Name of the chain that follows the first one by `index`."""
    return first if index == 0 else chr(ord(first) + index)


def file_numbers(structure: Structure) -> np.ndarray:
    """int64 [L], residue numbers in files: the structure's own in the first chain, from 1 in each further one."""
    number_L = structure.number_L.copy()
    for start in structure.breaks:
        number_L[start:] = structure.number_L[start:] - structure.number_L[start] + 1
    return number_L


def _check_fits(structure: Structure, chain: str) -> None:
    instead = "Write mmCIF instead."
    if len(chain) != 1 or not chain.isascii() or not chain.isalnum():
        raise InputError(f"{structure.id}: chain {chain!r} is not one letter or digit. {instead}")
    atoms, number_L = int(structure.mask_LA.sum()), file_numbers(structure)
    if number_L.max() > MAX_RESIDUES or number_L[0] < -999:
        raise InputError(
            f"{structure.id}: {structure.length} residues numbered to {number_L.max()}; "
            f"PDB holds {MAX_RESIDUES} in a chain. {instead}"
        )
    if atoms + len(structure.breaks) + 1 > MAX_ATOMS_IN_FILE:
        raise InputError(f"{structure.id}: {atoms} atoms and TER; PDB holds {MAX_ATOMS_IN_FILE}. {instead}")
    xyz = structure.xyz_LA3[structure.mask_LA]
    if len(xyz) and (xyz.min() < _LOWEST or xyz.max() > _HIGHEST):
        raise InputError(f"{structure.id}: a coordinate lies outside {_LOWEST} to {_HIGHEST} Å. {instead}")
