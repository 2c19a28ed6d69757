"""All RNA chains of one file, good and refused side by side, and what the file says of the experiment."""

from pathlib import Path

import gemmi
import numpy as np
import pytest

from rna_predict.errors import InputError
from rna_predict.formats.entry import is_structure_file, read_entry
from rna_predict.formats.structure import StructureError, read_structure

HEADER = """HEADER    RNA                                     23-FEB-00   1EHZ
EXPDTA    X-RAY DIFFRACTION
REMARK   2
REMARK   2 RESOLUTION.    1.93 ANGSTROMS.
"""


def atoms(chain: str, residues: str, shift: float, names: tuple[str, ...] = ("P", "C1'", "C2'", "O2'")) -> str:
    """ATOM lines of a strand whose residues lie 7 Å apart."""
    lines = []
    for number, residue in enumerate(residues, start=1):
        for k, name in enumerate(names):
            place = f"{7.0 * number:8.3f}{2.0 * k:8.3f}{shift:8.3f}"
            lines.append(
                f"ATOM      1  {name:<4}{residue:>3} {chain}{number:>4}    {place}  1.00  0.00           {name[0]}"
            )
    return "\n".join(lines) + "\n"


def test_each_chain_of_a_file_is_read_or_refused_on_its_own(tmp_path: Path):
    path = tmp_path / "1abc.pdb"
    text = atoms("A", "ACGU", 0.0) + atoms("B", "ACGU", 50.0).replace("  C B", "  N B")
    path.write_text(HEADER + text + atoms("C", "GGG", 90.0))
    entry = read_entry(path)
    assert [(chain.name, chain.kind) for chain in entry.chains] == [("A", ""), ("B", "unknown_residue"), ("C", "")]
    kept = [chain.structure for chain in entry.chains if chain.structure]
    assert [(one.id, one.sequence) for one in kept] == [("1abc_A", "ACGU"), ("1abc_C", "GGG")]
    assert "chain B, residue N 2" in entry.chains[1].reason
    assert np.array_equal(kept[1].xyz_LA3, read_structure(path, "C").xyz_LA3)


def test_resolution_method_and_date_are_those_of_the_header_in_both_formats(tmp_path: Path):
    pdb = tmp_path / "x.pdb"
    pdb.write_text(HEADER + atoms("A", "ACGU", 0.0))
    cif = tmp_path / "x.cif"
    document = gemmi.read_structure(str(pdb)).make_mmcif_document()
    block = document[0]
    block.set_pair("_refine.pdbx_refine_id", "'X-RAY DIFFRACTION'")
    block.set_pair("_refine.ls_d_res_high", "1.93")
    block.set_pair("_exptl.method", "'X-RAY DIFFRACTION'")
    block.set_pair("_pdbx_database_status.recvd_initial_deposition_date", "2000-02-23")
    block.set_pair("_pdbx_audit_revision_history.revision_date", "2001-01-01")
    document.write_file(str(cif))
    for path in (pdb, cif):
        entry = read_entry(path)
        assert (entry.resolution, entry.method, entry.date) == (1.93, "X-RAY DIFFRACTION", "2000-02-23")
        assert entry.chains[0].structure.id == "x"


def test_what_the_file_does_not_say_stays_empty(tmp_path: Path):
    path = tmp_path / "x.pdb"
    path.write_text(atoms("A", "ACGU", 0.0))
    entry = read_entry(path)
    assert (entry.resolution, entry.method, entry.date) == (None, "", "")


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        ("<html></html>", "not_a_structure"),
        ("data_x\n_cell.length_a 1\n", "no_atoms"),
        ("REMARK nothing\n", "no_atoms"),
        (atoms("A", ["GLY", "ALA"], 0.0, ("N", "CA", "C")), "no_rna"),
        (atoms("A", "ACGU", 0.0).replace("   7.000", "   abcde"), "bad_coordinate"),
    ],
)
def test_a_file_without_rna_is_refused_under_a_stable_name(tmp_path: Path, content: str, kind: str):
    path = tmp_path / "x.pdb"
    path.write_text(content)
    with pytest.raises(StructureError) as refusal:
        read_entry(path)
    assert refusal.value.kind == kind
    assert isinstance(refusal.value, InputError)


@pytest.mark.parametrize(
    ("lines", "kind"),
    [
        (atoms("A", "ACGU", 0.0).replace("   7.000", "     nan"), "bad_coordinate"),
        (atoms("A", "ACGU", 0.0) + atoms("A", "A", 9.0), "duplicate_atom"),
        (atoms("A", "ACGU", 0.0) + atoms("A", "U", 9.0), "duplicate_residue"),
        (atoms("A", "ACGU", 0.0, ("P", "C1'", "C2'")), "dna"),
        (atoms("A", ["A", "DC"], 0.0), "dna"),
        (atoms("A", "ACGU", 0.0, ("H1'",)), "no_atoms"),
    ],
)
def test_a_refused_chain_has_a_stable_name_for_the_reason(tmp_path: Path, lines: str, kind: str):
    path = tmp_path / "x.pdb"
    path.write_text(lines)
    (chain,) = read_entry(path).chains
    assert (chain.structure, chain.kind) == (None, kind)


def test_structure_files_are_known_by_their_endings():
    names = ("1abc.cif.gz", "pdb1abc.ent.gz", "X.PDB", "a.mmcif", "a.csv", "a.cif.txt", "cif")
    assert [is_structure_file(Path(name)) for name in names] == [True] * 4 + [False] * 3
