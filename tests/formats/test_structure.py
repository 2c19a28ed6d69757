"""One RNA chain from a file: what is taken, what is refused, and what is written."""

import gzip
import warnings
from pathlib import Path

import gemmi
import numpy as np
import pytest
from Bio.PDB.PDBParser import PDBParser
from biotite.structure.io import pdb as biotite_pdb
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rna_predict.chemistry.residues import ATOMS, SLOT
from rna_predict.contracts import Structure
from rna_predict.contracts.structure import full_mask
from rna_predict.errors import InputError
from rna_predict.formats.modified_residues import ALIASES, parent_table, table_from_ccd
from rna_predict.formats.reading import read_bytes
from rna_predict.formats.structure import read_structure, read_structure_with_notices, write_pdb


def atom_line(name: str, residue: str, number: object, xyz: tuple[float, float, float], **columns: object) -> str:
    """One ATOM line; columns: alt, chain, icode, occ, record."""
    column = {"alt": " ", "chain": "A", "icode": " ", "occ": 1.0, "record": "ATOM"} | columns
    position = "".join(f"{value:8.3f}"[:8] for value in xyz)
    padded = name if len(name) == 4 else f" {name:<3}"
    place = f"{residue:>3} {column['chain']}{number:>4}{column['icode']}"
    head = f"{column['record']:<6}    1 {padded}{column['alt']}{place}"
    return f"{head}   {position}{column['occ']:6.2f}  0.00          {name[0]:>2}\n"


def residue_lines(residue: str, number: int, shift: float = 0.0, parent: str | None = None, **columns: object) -> str:
    """A whole residue whose atoms lie 2 Å apart on a line; O3' lies 1.6 Å before the next residue's P."""
    lines = []
    for slot, name in enumerate(ATOMS[parent or residue]):
        xyz = (10.0 * number - 1.6, 0.0, shift) if name == "O3'" else (10.0 * number, 2.0 * slot, shift)
        if name == "P":
            xyz = (10.0 * (number - 1), 0.0, shift)
        lines.append(atom_line(name, residue, number, xyz, **columns))
    return "".join(lines)


@pytest.fixture
def write(tmp_path: Path):
    def _write(content: str | bytes, name: str = "x.pdb") -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return _write


def kinds(notices) -> set[str]:
    return {notice.kind for notice in notices}


def test_trna_is_read_with_its_atoms(chains_dir: Path):
    trna = read_structure(chains_dir / "1ehz_A.pdb.gz")
    assert trna.sequence == "GCGGAUUUAGCUCAGUUGGGAGAGCGCCAGACUGAAGAUCUGGAGGUCCUGUGUUCGAUCCACAGAAUUCGCACCA"
    assert trna.id == "1ehz_A"
    reference = gemmi.read_structure(str(chains_dir / "1ehz_A.pdb.gz"))[0]["A"]
    for i in (0, 15, 75):
        for atom in reference[i]:
            if atom.name in SLOT[trna.sequence[i]]:
                np.testing.assert_allclose(trna.xyz_LA3[i, SLOT[trna.sequence[i]][atom.name]], atom.pos.tolist())


@pytest.mark.parametrize("chain_id", ["1ehz_A", "1a60_A", "165d_A"])
def test_pdb_and_mmcif_of_one_structure_are_equal(chains_dir: Path, tmp_path: Path, chain_id: str):
    source = chains_dir / f"{chain_id}.pdb.gz"
    structure = gemmi.read_structure(str(source))
    structure.setup_entities()
    cif = tmp_path / "same.cif"
    structure.make_mmcif_document().write_file(str(cif))
    zipped = tmp_path / "same_without_ending"
    zipped.write_bytes(gzip.compress(cif.read_bytes()))
    for path in (cif, zipped):
        ours, theirs = read_structure(source), read_structure(path)
        assert ours.sequence == theirs.sequence
        for name in ("xyz_LA3", "mask_LA", "number_L"):
            np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name))


def test_conformer_with_highest_occupancy_is_taken_for_the_whole_residue(write):
    text = residue_lines("G", 1)
    for name in ("O5'", "C5'"):
        text = text.replace(atom_line(name, "G", 1, (10.0, 2.0 * SLOT["G"][name], 0.0)), "")
        text += atom_line(name, "G", 1, (1.0, 1.0, 1.0), alt="A", occ=0.3 if name == "O5'" else 0.45)
        text += atom_line(name, "G", 1, (2.0, 2.0, 2.0), alt="B", occ=0.7 if name == "O5'" else 0.40)
    structure = read_structure(write(text))
    for name in ("O5'", "C5'"):
        np.testing.assert_allclose(structure.xyz_LA3[0, SLOT["G"][name]], 2.0)


def test_microheterogeneity_takes_the_residue_with_more_occupancy(write):
    text = residue_lines("G", 1, alt="A", occ=0.4) + residue_lines("A", 1, shift=0.5, alt="B", occ=0.6)
    structure = read_structure(write(text))
    assert structure.sequence == "A"
    assert structure.mask_LA.sum() == len(ATOMS["A"])


def test_old_atom_names_are_read(write):
    text = residue_lines("C", 5)
    old = text.replace(" OP1", " O1P").replace(" OP2", " O2P").replace("'", "*")
    assert "OP1" not in old
    np.testing.assert_array_equal(read_structure(write(old)).xyz_LA3, read_structure(write(text, "y.pdb")).xyz_LA3)
    assert read_structure(write(old)).mask_LA.sum() == 20


def test_hydrogens_waters_ions_and_free_ligands_are_left_out(write):
    text = residue_lines("G", 1) + residue_lines("U", 2) + atom_line("H8", "G", 1, (3.0, 3.0, 3.0))
    text += atom_line("H8", "G", 1, (3.0, np.nan, 3.0))  # a doubled or lost hydrogen spoils nothing
    text += atom_line("O", "HOH", 90, (30.0, 30.0, 30.0), record="HETATM")
    text += atom_line("MG", "MG", 91, (60.0, 60.0, 60.0), record="HETATM")
    text += residue_lines("GTP", 9, parent="G", record="HETATM", shift=50.0)
    structure, notices = read_structure_with_notices(write(text))
    assert structure.sequence == "GU"
    assert structure.mask_LA.sum() == 43
    assert kinds(notices) == {"left_out"}
    assert "GTP 9" in notices[0].message
    assert "HOH" not in notices[0].message


def test_modified_residue_in_the_strand_becomes_its_parent_with_a_notice(write):
    text = residue_lines("G", 1) + residue_lines("OMC", 2, parent="C", record="HETATM") + residue_lines("A", 3)
    text += atom_line("CM2", "OMC", 2, (77.0, 0.0, 0.0), record="HETATM")
    structure, notices = read_structure_with_notices(write(text))
    assert structure.sequence == "GCA"
    assert "OMC 2 → C" in notices[0].message
    np.testing.assert_array_equal(structure.mask_LA, full_mask("GCA"))


def test_pseudouridine_lies_where_uridine_would(chains_dir: Path, tmp_path: Path):
    source = gemmi.read_structure(str(chains_dir / "1ehz_A.pdb.gz"))
    before = read_structure(chains_dir / "1ehz_A.pdb.gz")
    names = {"N1": "C5", "C2": "C4", "O2": "O4", "C4": "C2", "O4": "O2", "C5": "N1"}
    residue = source[0]["A"][54]
    assert residue.name == "U"
    residue.name = "PSU"
    for atom in residue:
        atom.name = names.get(atom.name, atom.name)
    source.write_pdb(str(tmp_path / "psu.pdb"))
    after = read_structure(tmp_path / "psu.pdb")
    assert after.sequence == before.sequence
    np.testing.assert_array_equal(after.xyz_LA3, before.xyz_LA3)


def test_insertion_codes_number_the_chain_anew(write):
    text = residue_lines("G", 19) + residue_lines("U", 20)
    text += residue_lines("C", 21).replace("A  21 ", "A  20A").replace("A  21 ", "A  20A")
    text += residue_lines("A", 30)
    structure, notices = read_structure_with_notices(write(text))
    assert structure.sequence == "GUCA"
    assert structure.number_L.tolist() == [19, 20, 21, 23]
    assert structure.linked_L.tolist() == [True, True, False]
    assert kinds(notices) == {"renumbered"}


def test_author_numbers_are_kept_with_their_gap(write):
    structure = read_structure(write(residue_lines("G", -1) + residue_lines("U", 0) + residue_lines("C", 4)))
    assert structure.number_L.tolist() == [-1, 0, 4]


def test_missing_backbone_is_masked_not_invented(write):
    text = "".join(line for line in residue_lines("G", 1).splitlines(True) if line[12:16].strip() not in ("P", "C4'"))
    structure = read_structure(write(text))
    assert not structure.mask_LA[0, [SLOT["G"]["P"], SLOT["G"]["C4'"]]].any()
    assert structure.mask_LA.sum() == 21


def test_only_the_first_model_is_read(write):
    text = f"MODEL        1\n{residue_lines('G', 1)}ENDMDL\nMODEL        2\n{residue_lines('G', 1, shift=9)}ENDMDL\n"
    assert read_structure(write(text)).xyz_LA3[0, 0, 2] == 0.0


def test_several_rna_chains_need_a_name(write):
    text = residue_lines("G", 1, chain="A") + residue_lines("C", 1, chain="b", shift=30.0)
    path = write(text)
    with pytest.raises(InputError, match=r"x\.pdb: has several RNA chains \(A, b\)"):
        read_structure(path)
    assert read_structure(path, chain="b", id="second").sequence == "C"
    with pytest.raises(InputError, match=r"has no chain 'C'\. Its RNA chains: A, b"):
        read_structure(path, chain="C")


def test_rna_beside_protein_and_dna_needs_no_name(write):
    text = (
        residue_lines("G", 1)
        + atom_line("CA", "ALA", 1, (50, 50, 50), chain="P")
        + residue_lines("DA", 1, parent="A", chain="D", shift=80.0)
    )
    assert read_structure(write(text)).sequence == "G"
    with pytest.raises(InputError, match=r"chain D holds DNA \(DA\), not RNA"):
        read_structure(write(text), chain="D")


REFUSED = {
    "html": ("<!DOCTYPE html>\n<html>404</html>", "is HTML or XML"),
    "empty": ("", "0 atoms"),
    "blank": ("  \n\n", "0 atoms"),
    "prose": ("this is no structure\n", "0 atoms"),
    "cif_without_atoms": ("data_x\n_entry.id x\n", "without an _atom_site table"),
    "cif_broken": ("data_x\nloop_\n_atom_site.id\n_atom_site.type_symbol\n1\n", "not a readable PDB or mmCIF"),
    "dna_only": (residue_lines("DG", 1, parent="G"), r"holds no RNA \(chain A: DNA \(DG\)\)"),
    "dna_in_strand": (residue_lines("G", 1) + residue_lines("DC", 2, parent="C"), "residue DC 2: is DNA"),
    "dna_under_rna_names": (
        "".join(line for line in residue_lines("G", 1).splitlines(True) if "O2'" not in line),
        "no residue has O2'",
    ),
    "unknown_in_strand": (
        residue_lines("G", 1) + residue_lines("ZZZ", 2, parent="A") + residue_lines("C", 3),
        "residue ZZZ 2: is part of the strand but no known nucleotide",
    ),
    "unknown_base": (residue_lines("G", 1) + residue_lines("N", 7, parent="C"), "residue N 7"),
    "protein_only": (atom_line("CA", "ALA", 1, (1, 1, 1)), r"holds no RNA \(chain A: ALA\)"),
    "nan": (
        residue_lines("G", 1) + atom_line("P", "C", 2, (1, float("nan"), 1)),
        "residue C 2: atom P lies at 1 nan 1",
    ),
    "infinite": (residue_lines("G", 1) + atom_line("P", "C", 2, (1, float("inf"), 1)), "atom P lies at 1 inf 1"),
    "far_away": (
        residue_lines("G", 1)
        + atom_line("P", "C", 2, (1, 1, 1)).replace("   1.000   1.000   1.000", "     1e8   1.000   1.000"),
        r"residue C 2: atom P lies at 1e\+08",
    ),
    "letters_for_coordinates": (
        residue_lines("G", 1).replace("  10.000", "  1o.000", 1),
        r"line 2: columns 31-38 hold '  1o\.000'",
    ),
    "duplicate_atom": (residue_lines("G", 1) + atom_line("P", "G", 1, (5, 5, 5)), "residue G 1: atom P occurs twice"),
    "chain_twice": (residue_lines("G", 1) + residue_lines("G", 1, shift=20.0), "occurs twice"),
    "number_twice": (residue_lines("G", 1) + residue_lines("C", 1, shift=20.0), "G 1 and C 1 share one number"),
    "hydrogens_only": (atom_line("H1'", "G", 1, (1, 1, 1)).replace(" H\n", " H\n"), "0 heavy RNA atoms"),
    "nul": ("ATOM\0\n", "NUL byte in line 1"),
    "short_atom_line": ("ATOM      1  P\n", "line 1: columns 31-38"),
}


@pytest.mark.parametrize("fault", REFUSED)
def test_refused_with_file_and_reason(write, fault: str):
    content, reason = REFUSED[fault]
    with pytest.raises(InputError, match=reason) as caught:
        read_structure(write(content, f"{fault}.pdb"))
    assert f"{fault}.pdb" in str(caught.value)


def test_refused_mmcif_coordinate_that_is_no_number(write, chains_dir: Path):
    structure = gemmi.read_structure(str(chains_dir / "165d_A.pdb.gz"))
    structure.setup_entities()
    text = structure.make_mmcif_document().as_string()
    first = next(line for line in text.splitlines() if line.startswith("ATOM"))
    for bad in ("?", "nan", "abc", "1e8"):
        broken = text.replace(first, first.replace(first.split()[10], bad))
        with pytest.raises(InputError, match="atom O5' lies at"):
            read_structure(write(broken, "x.cif"))


def test_missing_file_folder_truncated_gzip(tmp_path: Path):
    with pytest.raises(InputError, match="no such file"):
        read_structure(tmp_path / "none.pdb")
    with pytest.raises(InputError, match="is a folder"):
        read_structure(tmp_path)
    (tmp_path / "cut.pdb.gz").write_bytes(gzip.compress(residue_lines("G", 1).encode())[:-12])
    with pytest.raises(InputError, match="damaged gzip"):
        read_structure(tmp_path / "cut.pdb.gz")


def test_gzip_bomb_stops_at_the_limit(tmp_path: Path):
    bomb = tmp_path / "bomb.gz"
    bomb.write_bytes(gzip.compress(b"\0" * 5_000_000))
    with pytest.raises(InputError, match="more than 1000000 bytes when unpacked"):
        read_bytes(bomb, limit=1_000_000)
    assert len(read_bytes(bomb, limit=5_000_000)) == 5_000_000


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    noise=st.one_of(
        st.binary(max_size=300),
        st.text(max_size=200).map(lambda text: ("data_x\nloop_\n_atom_site.id\n_atom_site.Cartn_x\n" + text).encode()),
        st.text(max_size=80).map(lambda text: (residue_lines("G", 1) + "ATOM  " + text + "\n").encode()),
    )
)
def test_any_bytes_give_a_structure_or_an_input_error(noise: bytes, tmp_path: Path):
    path = tmp_path / "noise"
    path.write_bytes(noise)
    try:
        assert read_structure(path).length > 0
    except InputError as error:
        message = str(error)
        assert "noise" in message


@pytest.mark.slow
def test_modified_table_is_what_the_ccd_says():
    assert {name: parent for name, parent in parent_table().items() if name not in ALIASES} == {
        name: parent for name, parent in table_from_ccd().items() if name not in ALIASES
    }


def test_common_modified_residues_have_their_parents():
    known = {"PSU": "U", "5MU": "U", "H2U": "U", "7MG": "G", "OMC": "C", "1MA": "A", "YYG": "G", "I": "G", "A23": "A"}
    assert known.items() <= parent_table().items()


@pytest.fixture(scope="module")
def trna(chains_dir: Path) -> Structure:
    return read_structure(chains_dir / "1ehz_A.pdb.gz")


def test_pdb_written_is_read_equal_by_three_programs(trna: Structure, tmp_path: Path):
    plddt_LA = np.random.default_rng(5).uniform(0, 100, trna.mask_LA.shape)
    path = tmp_path / "out.pdb"
    write_pdb(trna, path, plddt_LA, remarks=["CONFIDENCE IS HEURISTIC"])
    again = read_structure(path)
    np.testing.assert_array_equal(again.xyz_LA3, trna.xyz_LA3)
    np.testing.assert_array_equal(again.number_L, trna.number_L)
    expected = plddt_LA[trna.mask_LA].round(2)
    names = [ATOMS[letter][slot] for i, letter in enumerate(trna.sequence) for slot in np.flatnonzero(trna.mask_LA[i])]

    chain = gemmi.read_structure(str(path))[0]["A"]
    np.testing.assert_allclose([a.b_iso for r in chain for a in r], expected, atol=1e-5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        bio = list(PDBParser().get_structure("x", path).get_atoms())
    assert [a.id for a in bio] == names
    np.testing.assert_allclose([a.bfactor for a in bio], expected, atol=1e-6)
    atoms = biotite_pdb.PDBFile.read(path).get_structure(model=1, extra_fields=["b_factor"])
    assert atoms.atom_name.tolist() == names
    assert set(atoms.chain_id) == {"A"}
    np.testing.assert_allclose(atoms.coord, trna.xyz_LA3[trna.mask_LA], atol=1e-3)
    assert atoms.element.tolist() == [name[0] for name in names]

    lines = path.read_text().splitlines()
    assert lines[0] == "REMARK   1 CONFIDENCE IS HEURISTIC"
    assert [line[:6].strip() for line in lines[-2:]] == ["TER", "END"]
    assert {len(line) for line in lines if line.startswith("ATOM")} == {80}
    assert [path.name] == [p.name for p in tmp_path.iterdir()]


def long_structure(length: int) -> Structure:
    xyz_LA3 = np.zeros((length, 23, 3))
    xyz_LA3[..., 0] = np.arange(23)
    mask_LA = full_mask("U" * length)
    return Structure(
        id="long", sequence="U" * length, xyz_LA3=xyz_LA3, mask_LA=mask_LA, number_L=np.arange(1, length + 1)
    )


def test_pdb_refuses_what_its_columns_cannot_hold(trna: Structure, tmp_path: Path):
    path = tmp_path / "out.pdb"
    with pytest.raises(
        InputError, match=r"10000 residues numbered to 10000; PDB holds 9999 in a chain\. Write mmCIF instead"
    ):
        write_pdb(long_structure(10_000), path)
    with pytest.raises(InputError, match="100000 atoms and TER; PDB holds 99999"):
        write_pdb(long_structure(5_000), path)
    far = trna.xyz_LA3.copy()
    far[3, 0, 0] = -1000.0
    moved = Structure(id="x", sequence=trna.sequence, xyz_LA3=far, mask_LA=trna.mask_LA, number_L=trna.number_L)
    with pytest.raises(InputError, match=r"coordinate lies outside -999\.999 to 9999\.999"):
        write_pdb(moved, path)
    with pytest.raises(InputError, match="chain 'AA'"):
        write_pdb(trna, path, chain="AA")
    assert list(tmp_path.iterdir()) == []
