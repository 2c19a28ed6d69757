"""Base pairs agree with rnapolis's own reading of the file."""

import gzip

import pytest

from rna_predict.evaluation.annotation import annotate_pairs, nested_pairs, share_formed


@pytest.mark.parametrize("name", ["1ehz_A", "17ra_A", "1duh_A"])
def test_interactions_equal_those_that_rnapolis_reads_from_the_file(name, native, chains_dir, tmp_path):
    from rnapolis.annotator import extract_base_interactions
    from rnapolis.parser import read_3d_structure

    plain = tmp_path / f"{name}.pdb"
    plain.write_bytes(gzip.decompress((chains_dir / f"{name}.pdb.gz").read_bytes()))
    with plain.open() as file:
        expected = extract_base_interactions(read_3d_structure(file, 1))
    structure = native(name)
    position = {int(number): k for k, number in enumerate(structure.number_L)}
    found = annotate_pairs(structure)
    pairs = {(i, j, "cWW") for i, j in found.canonical} | set(found.non_canonical)
    assert pairs == {(position[p.nt1.number], position[p.nt2.number], p.lw.value) for p in expected.base_pairs}
    assert set(found.stackings) == {(position[s.nt1.number], position[s.nt2.number]) for s in expected.stackings}


def test_trna_has_its_four_stems(native):
    canonical = set(annotate_pairs(native("1ehz_A")).canonical)
    stems = [(0, 71), (1, 70), (6, 65), (9, 24), (12, 21), (26, 42), (29, 39), (48, 64), (52, 60)]
    assert set(stems) <= canonical
    assert (3, 68) in canonical  # G4-U69, the wobble of the acceptor stem


def test_pairs_do_not_depend_on_position_and_orientation(native, moved):
    structure = native("1ehz_A")
    assert annotate_pairs(moved(structure, 3)).canonical == annotate_pairs(structure).canonical


def test_share_formed_counts_the_wanted_pairs_only(native):
    annotation = annotate_pairs(native("1ehz_A"))
    assert share_formed(annotation, [(0, 71), (70, 1), (0, 5), (3, 30)]) == 0.5
    assert share_formed(annotation, []) is None


def test_nested_pairs_leave_out_both_sides_of_a_crossing():
    partner = [5, 7, -1, -1, -1, 0, -1, 1, 12, -1, -1, -1, 8]
    assert nested_pairs(partner) == [(8, 12)]
