"""Base pairs agree with rnapolis's own reading of the file."""

import dataclasses
import gzip

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from rna_predict.chemistry.base_frames import STANDARD_BASES
from rna_predict.chemistry.residues import MAX_ATOMS, SLOT
from rna_predict.contracts import Structure
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


def test_exactly_parallel_bases_are_annotated_in_every_orientation():
    # rnapolis takes arccos of the normals' product, which exceeds 1 by 2e-16 in about half of the orientations
    for seed in range(40):
        rotation = Rotation.random(rng=np.random.default_rng(seed)).as_matrix()
        xyz_LA3, mask_LA = np.zeros((2, MAX_ATOMS, 3)), np.zeros((2, MAX_ATOMS), dtype=bool)
        for position, (letter, turn) in enumerate((("G", (1, 1, 1)), ("C", (1, -1, -1)))):
            for name, xyz in STANDARD_BASES[letter].items():
                xyz_LA3[position, SLOT[letter][name]] = rotation @ (np.array(xyz) * turn) + 5.0
                mask_LA[position, SLOT[letter][name]] = True
        pair = Structure(id="pair", sequence="GC", xyz_LA3=xyz_LA3, mask_LA=mask_LA, number_L=np.array([1, 9]))
        assert annotate_pairs(pair).canonical == ((0, 1),)


def test_a_base_collapsed_to_a_line_interacts_with_nothing(native):
    structure = native("17ra_A")
    xyz_LA3 = structure.xyz_LA3 * np.array([1.0, 0.0, 0.0])
    annotation = annotate_pairs(dataclasses.replace(structure, xyz_LA3=xyz_LA3))
    assert (annotation.canonical, annotation.non_canonical, annotation.stackings) == ((), (), ())
