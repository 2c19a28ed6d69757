"""The ideal A-form stem, measured as a helix, by its hydrogen bonds, by rnapolis and against a native stem."""

import math

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from rna_predict.chemistry.residues import C1, SLOT
from rna_predict.contracts.structure import whole_structure
from rna_predict.evaluation.annotation import annotate_pairs
from rna_predict.geometry.frames import Frame
from rna_predict.geometry.helix import at, pair_relation, relative, stem_frames, step_relation
from rna_predict.geometry.nucleotide import nucleotide_shape, place_atoms
from rna_predict.geometry.superpose import rmsd

STRAND, PARTNER = "GGACGUUCGAG", "CUUGCGAGCUC"
LETTERS = ("GC", "CG", "AU", "UA", "GU", "UG")


def stem_atoms(strand: str, partner: str) -> torch.Tensor:
    """Atoms [n1 + n2, 23, 3] of both strands, the second one 5'→3', C3'-endo and A-form torsions."""
    first, second = stem_frames(strand, partner)
    rotation = torch.cat([first.rotation, second.rotation.flip(0)])[None]
    origin = torch.cat([first.origin, second.origin.flip(0)])[None]
    sequence = strand + partner[::-1]
    angles = [torch.full((len(sequence),), math.radians(x), dtype=torch.float64) for x in (18.0, 38.0)]
    torsion = torch.tensor([-161.0, 54.0, 174.0, -65.0], dtype=torch.float64).deg2rad().expand(1, len(sequence), 4)
    return place_atoms(nucleotide_shape(sequence, *angles), Frame(rotation, origin), torsion)[0]


def screw(step: Frame) -> tuple[float, float, np.ndarray]:
    """Twist in degrees, rise in Å and axis of a rigid motion."""
    turn = Rotation.from_matrix(step.rotation.numpy()).as_rotvec()
    axis = turn / np.linalg.norm(turn)
    return math.degrees(np.linalg.norm(turn)), float(axis @ step.origin.numpy()), axis


def test_an_eleven_pair_stem_is_an_a_form_helix():
    first, second = stem_frames("G" * 11, "C" * 11)
    for strand in (first, second):
        steps = [screw(relative(at(strand, k), at(strand, k + 1))) for k in range(10)]
        assert np.ptp([s[0] for s in steps]) < 1e-5
        assert np.ptp([s[1] for s in steps]) < 1e-6
        assert steps[0][0] == pytest.approx(32.7, abs=1.6)
        assert steps[0][1] == pytest.approx(2.81, abs=0.15)  # positive: right-handed
    # the pair's own plane leans by the inclination; the propeller turns the two bases against each other about y
    middle = (first.rotation[0] + second.rotation[0] @ torch.diag(torch.tensor([1.0, -1, -1], dtype=torch.float64))) / 2
    axis = first.rotation[0].numpy() @ screw(relative(at(first, 0), at(first, 1)))[2]
    normal = middle[:, 2].numpy() / np.linalg.norm(middle[:, 2])
    assert math.degrees(math.acos(axis @ normal)) == pytest.approx(16.0, abs=2.0)


@pytest.mark.parametrize("letters", LETTERS)
def test_a_pair_read_from_the_other_side_is_the_inverse(letters):
    there, back = pair_relation(letters), pair_relation(letters[::-1])
    both = there.compose(back)
    torch.testing.assert_close(both.rotation, torch.eye(3, dtype=torch.float64))
    torch.testing.assert_close(both.origin, torch.zeros(3, dtype=torch.float64))


def test_a_stem_read_from_its_other_strand_is_the_same_stem():
    first, second = stem_frames(STRAND, PARTNER)
    other_first, other_second = stem_frames(PARTNER[::-1], STRAND[::-1])
    here = torch.cat([first.origin, second.origin])
    there = torch.cat([other_second.origin.flip(0), other_first.origin.flip(0)])
    assert rmsd(here, there).item() < 1e-6
    gap = relative(at(first, 2), at(second, 7)), relative(at(other_second, 8), at(other_first, 3))
    torch.testing.assert_close(gap[0].rotation, gap[1].rotation)
    torch.testing.assert_close(gap[0].origin, gap[1].origin)


@pytest.mark.parametrize(
    ("letters", "bonds", "shortest", "longest"),
    [
        ("GC", (("N1", "N3"), ("O6", "N4"), ("N2", "O2")), 2.7, 3.1),
        ("CG", (("N3", "N1"), ("N4", "O6"), ("O2", "N2")), 2.7, 3.1),
        ("AU", (("N1", "N3"), ("N6", "O4")), 2.7, 3.1),
        ("UA", (("N3", "N1"), ("O4", "N6")), 2.7, 3.1),
        ("GU", (("N1", "O2"), ("O6", "N3")), 2.6, 3.2),
        ("UG", (("O2", "N1"), ("N3", "O6")), 2.6, 3.2),
    ],
)
def test_paired_bases_lie_at_hydrogen_bond_distance(letters, bonds, shortest, longest):
    xyz = stem_atoms(letters[0], letters[1])
    for a, b in bonds:
        assert shortest < (xyz[0, SLOT[letters[0]][a]] - xyz[1, SLOT[letters[1]][b]]).norm().item() < longest


def test_rnapolis_sees_every_pair_of_an_ideal_stem():
    count = len(STRAND)
    model = whole_structure("stem", STRAND + PARTNER[::-1], stem_atoms(STRAND, PARTNER).numpy())
    found = annotate_pairs(model)
    assert found.canonical == tuple((k, 2 * count - 1 - k) for k in range(count))
    assert {(k, k + 1) for k in range(count - 1)} <= set(found.stackings)


def test_an_ideal_stem_lies_on_a_native_one(native):
    trna = native("1ehz_A")  # acceptor stem, 7 pairs with G4-U69, all A-form
    residues = [*range(7), *range(65, 72)]
    sequence = "".join(trna.sequence[k] for k in residues)
    ideal = stem_atoms(sequence[:7], sequence[:6:-1])
    native_xyz = torch.from_numpy(trna.xyz_LA3)[residues]
    base = native_xyz[:, C1], ideal[:, C1]
    assert rmsd(*base).item() < 0.8
    mirrored = base[1] * torch.tensor([1.0, 1.0, -1.0], dtype=torch.float64)
    assert rmsd(base[0], mirrored).item() > 3.0


def test_a_step_leads_from_one_base_of_a_stem_to_the_next():
    first, _ = stem_frames("GGG", "CCC")
    moved = at(first, 1).compose(step_relation())
    torch.testing.assert_close(moved.origin, first.origin[2])
    torch.testing.assert_close(moved.rotation, first.rotation[2])


def test_a_pair_that_is_not_canonical_takes_a_watson_crick_place():
    first, second = stem_frames("GAG", "CGC")
    wobble_free, _ = stem_frames("GGG", "CCC")
    torch.testing.assert_close(first.rotation, wobble_free.rotation)
    assert (first.origin - wobble_free.origin).norm(dim=-1).max() < 0.02
    assert (first.origin[1] - second.origin[1]).norm() < 0.3
