"""The link between residues and the excluded volume, checked by hand and against other counts of the same thing."""

import dataclasses

import pytest
import torch

from rna_predict.chemistry.residues import ATOMS, C1, C3, C5, MAX_ATOMS, O2, O3, O5, OP1, SLOT, P
from rna_predict.contracts.structure import whole_structure
from rna_predict.energy.contacts import contact_energy, contact_table, list_contacts, particles
from rna_predict.energy.links import LINK_DISTANCES, largest_gap, link_energy
from rna_predict.evaluation.clashes import find_clashes
from rna_predict.geometry.dihedral import angle
from rna_predict.geometry.nucleotide import place

SEQUENCE = "GACUGCAU"


def spread_out(sequence: str) -> torch.Tensor:
    """Atoms [1, L, 23, 3] strewn over a cube of 2000 Å: nothing touches."""
    generator = torch.Generator().manual_seed(len(sequence))
    return torch.rand(1, len(sequence), MAX_ATOMS, 3, generator=generator, dtype=torch.float64) * 2000


def clash(sequence: str, xyz: torch.Tensor, margin: float = 0.0) -> float:
    table = contact_table(sequence)
    return contact_energy(particles(xyz, table), list_contacts(xyz, table, 1.0), margin).item()


def linked_pair() -> torch.Tensor:
    """Two residues [1, 2, 23, 3] whose link atoms C3', O3', P, O5' lie ideally by Gelbin's lengths and angles."""
    xyz = torch.zeros(1, 2, MAX_ATOMS, 3, dtype=torch.float64)
    c4 = torch.tensor([1.0, 1.2, 0.3], dtype=torch.float64)
    xyz[0, 0, O3] = torch.tensor([1.423, 0.0, 0.0])
    torsion = torch.tensor(0.7, dtype=torch.float64)
    xyz[0, 1, P] = place(c4, xyz[0, 0, C3], xyz[0, 0, O3], (1.607, 119.7), torsion)
    xyz[0, 1, O5] = place(xyz[0, 0, C3], xyz[0, 0, O3], xyz[0, 1, P], (1.593, 104.0), torsion)
    return xyz


def test_an_ideal_link_costs_nothing_and_every_change_of_it_something():
    xyz = linked_pair()
    assert link_energy(xyz, 1.0).item() < 1e-10
    assert largest_gap(xyz).item() < 1e-9
    assert angle(xyz[0, 0, C3], xyz[0, 0, O3], xyz[0, 1, P]).rad2deg().item() == pytest.approx(119.7, abs=1e-6)
    for residue, slot in ((0, C3), (0, O3), (1, P), (1, O5)):
        moved = xyz.clone()
        moved[0, residue, slot] += torch.tensor([0.05, 0.02, -0.04])
        assert link_energy(moved, 1.0).item() > 1e-5


def test_a_stretched_link_is_quadratic_near_and_linear_far():
    near, far, farther = (stretched(off) for off in (0.01, 50.0, 51.0))
    bond, stiffness = LINK_DISTANCES[0][2], LINK_DISTANCES[0][3]
    assert bond == pytest.approx(1.607, abs=1e-3)
    assert near == pytest.approx(stiffness * 0.01**2 / 2, rel=1e-3)
    assert farther - far == pytest.approx(stiffness * 0.5, rel=1e-3)  # slack 0.5 Å


def stretched(off: float) -> float:
    """Energy of the bond term alone, by the difference of two links that share the other two distances."""
    xyz = torch.zeros(1, 2, MAX_ATOMS, 3, dtype=torch.float64)
    (_, _, bond, _), (_, _, second, _), (_, _, third, _) = LINK_DISTANCES
    # O3' at the origin, P on x; C3' and O5' at their ideal distances from P and O3'
    xyz[0, 1, P, 0] = bond + off
    xyz[0, 0, C3] = xyz[0, 1, P] + torch.tensor([0.0, second, 0.0])
    xyz[0, 1, O5] = torch.tensor([0.0, 0.0, third])
    return link_energy(xyz, 0.5).item()


def test_the_largest_gap_is_the_worst_bond_of_each_sample():
    xyz = torch.zeros(2, 3, MAX_ATOMS, 3, dtype=torch.float64)
    for sample, bonds in enumerate(((1.607, 1.507), (4.607, 1.607))):
        for residue, bond in enumerate(bonds):
            xyz[sample, residue, O3, 0] = 7.0 * residue
            xyz[sample, residue + 1, P, 0] = 7.0 * residue + bond
    torch.testing.assert_close(largest_gap(xyz), torch.tensor([0.1, 3.0], dtype=torch.float64))
    assert largest_gap(xyz[:, :1]).tolist() == [0.0, 0.0]


@pytest.mark.parametrize(
    ("first", "second", "reach"),
    [
        (("A", "C1'"), ("C", "C5"), 1.70 + 1.70 - 0.4),
        (("A", "P"), ("C", "C5"), 1.80 + 1.70 - 0.4),
        (("A", "N1"), ("C", "O2"), 1.55 + 1.52 - 0.4),  # two acceptors
        (("A", "N6"), ("C", "O2"), 1.55 + 1.52 - 0.7),  # a hydrogen bond
        (("A", "N1"), ("C", "N4"), 1.55 + 1.55 - 0.7),  # acceptor first
        (("A", "O2'"), ("C", "OP1"), 1.52 + 1.52 - 0.7),
        (("A", "C2"), ("C", "O2"), 1.70 + 1.52 - 0.4),  # a carbon gives no hydrogen here
    ],
)
def test_an_overlap_costs_its_squared_depth(first, second, reach):
    sequence = "AGC"
    for depth in (-0.05, 0.3, 0.9):
        xyz = spread_out(sequence)
        slots = SLOT["A"][first[1]], SLOT["C"][second[1]]
        xyz[0, 2, slots[1]] = xyz[0, 0, slots[0]] + torch.tensor([0.0, 0.0, reach - depth], dtype=torch.float64)
        assert clash(sequence, xyz) == pytest.approx(max(depth, 0.0) ** 2, rel=1e-6, abs=1e-12)
        assert clash(sequence, xyz, margin=0.2) == pytest.approx((depth + 0.2) ** 2, rel=1e-6)


@pytest.mark.parametrize(
    ("here", "there", "counted"),
    [
        (O3, P, False),
        (O3, OP1, False),
        (O3, O5, False),
        (O3, C5, False),
        (C3, P, False),
        (C3, OP1, False),
        (C3, O5, False),
        (C3, C5, True),  # four bonds
        (O2, P, True),  # four bonds
        (C1, P, True),
    ],
)
def test_atoms_up_to_three_bonds_apart_across_the_link_do_not_clash(here, there, counted):
    xyz = spread_out("AC")
    xyz[0, 1, there] = xyz[0, 0, here] + torch.tensor([0.0, 0.0, 1.6])
    assert (clash("AC", xyz) > 0) == counted
    # the same atoms the other way round, or one residue further, are strangers
    far = spread_out("AGC")
    far[0, 2, there] = far[0, 0, here] + torch.tensor([0.0, 0.0, 1.6])
    assert clash("AGC", far) > 0
    back = spread_out("AC")
    back[0, 0, there] = back[0, 1, here] + torch.tensor([0.0, 0.0, 1.6])
    assert clash("AC", back) > 0


@pytest.mark.parametrize(
    ("letter", "a", "b", "counted"),
    [
        ("U", "O2", "OP1", True),
        ("U", "C6", "O5'", True),
        ("G", "C8", "P", True),
        ("G", "N2", "O5'", True),
        ("U", "O5'", "C2'", True),  # four bonds
        ("U", "OP1", "C4'", True),
        ("G", "N1", "N7", False),  # one rigid base
        ("G", "C4'", "O2'", False),  # one rigid ribose
        ("U", "O5'", "C3'", False),  # three bonds
    ],
)
def test_within_a_residue_only_atoms_that_torsions_bring_together_clash(letter, a, b, counted):
    xyz = spread_out(letter)
    xyz[0, 0, SLOT[letter][b]] = xyz[0, 0, SLOT[letter][a]] + torch.tensor([0.0, 0.0, 1.5])
    assert (clash(letter, xyz) > 0) == counted


@pytest.mark.parametrize("ring", ["ribose", "five", "six"])
def test_an_atom_in_the_middle_of_a_ring_is_pushed_out(ring, a_strand):
    shape, pose = a_strand("GAC")
    xyz = pose.atoms(shape)
    names = {
        "ribose": ("C1'", "C2'", "C3'", "C4'", "O4'"),
        "five": ("N9", "C8", "N7", "C5", "C4"),
        "six": ("C4", "C5", "C6", "N1", "C2", "N3"),
    }[ring]
    corners = xyz[0, 0, [SLOT["G"][name] for name in names]]
    table = contact_table("GAC")
    outside, inside = xyz.clone(), xyz.clone()
    outside[0, 2, SLOT["C"]["N4"]] = torch.tensor([0.0, 0.0, 200.0])
    inside[0, 2, SLOT["C"]["N4"]] = corners.mean(0)
    contacts = list_contacts(inside, table, 1.0)
    centre = ((contacts.first_N >= 63) | (contacts.second_N >= 63)).nonzero()[:, 0]
    cytosine_n4 = 23 + 22 + SLOT["C"]["N4"]
    mine = [k for k in centre.tolist() if cytosine_n4 in (contacts.first_N[k], contacts.second_N[k])]
    points = particles(inside, table)
    gaps = [(points[0, contacts.first_N[k]] - points[0, contacts.second_N[k]]).norm().item() for k in mine]
    reach = [contacts.reach_N[k].item() for k in mine]
    assert min(gaps) < 1e-6
    assert reach[gaps.index(min(gaps))] == pytest.approx(1.35 + 1.55)
    assert clash("GAC", inside) > clash("GAC", outside) + (1.35 + 1.55) ** 2 - 1e-6


def test_the_neighbour_list_misses_nothing(a_strand):
    shape, pose = a_strand(SEQUENCE, 2, 1.5)
    xyz = pose.atoms(shape)
    table = contact_table(SEQUENCE)
    points = particles(xyz, table)
    everything = list_contacts(xyz, table, 500.0)  # all allowed pairs
    assert len(everything.sample_N) > 20_000
    for margin in (-0.5, 0.0, 0.5):
        near = contact_energy(points, list_contacts(xyz, table, max(margin, 0.0)), margin)
        dense = dense_energy(points, everything, margin)
        assert (near > 0.1).all()
        torch.testing.assert_close(near, dense, rtol=1e-9, atol=1e-9)


def dense_energy(points: torch.Tensor, everything, margin: float) -> torch.Tensor:
    a, b = (points[everything.sample_N, index] for index in (everything.first_N, everything.second_N))
    depth = (everything.reach_N + margin - (a - b).norm(dim=-1)).clamp(min=0.0)
    return torch.stack([depth[everything.sample_N == k].square().sum() for k in range(points.shape[0])])


def test_atoms_in_contact_are_those_that_the_evaluation_counts_as_clashes(a_strand):
    """The clash score walks the bond graph and knows nothing of the energy's tables."""
    shape, pose = a_strand(SEQUENCE, 4, 5.0)
    crowded = dataclasses.replace(pose, origin_SL3=pose.origin_SL3 * 0.6)
    xyz = crowded.atoms(shape)
    table = contact_table(SEQUENCE)
    atoms = int(shape.mask_LA.sum())
    for k in range(len(xyz)):
        contacts = list_contacts(xyz[k : k + 1], table, 0.0)
        flat = torch.from_numpy(table.number_K * MAX_ATOMS + table.slot_K)
        real = (contacts.first_N < atoms) & (contacts.second_N < atoms)
        pairs = flat[torch.stack([contacts.first_N, contacts.second_N], dim=1)[real]].tolist()
        mine = {tuple(sorted(pair)) for pair in pairs}
        counted = {tuple(pair) for pair in find_clashes(whole_structure("x", SEQUENCE, xyz[k].numpy())).tolist()}
        # in one residue, the evaluation also counts atoms that are rigid to each other and cannot be moved apart
        own = {pair for pair in counted if pair[0] // MAX_ATOMS == pair[1] // MAX_ATOMS}
        assert len(counted - own) > 10
        assert mine - counted == set()
        assert counted - mine <= own


def test_ring_centres_are_the_means_of_their_corners(a_strand):
    shape, pose = a_strand("GU")
    xyz = pose.atoms(shape)[0]
    points = particles(xyz[None], contact_table("GU"))[0]
    assert len(points) == len(ATOMS["G"]) + len(ATOMS["U"]) + 3 + 2
    ribose = xyz[0, [SLOT["G"][n] for n in ("C1'", "C2'", "C3'", "C4'", "O4'")]].mean(0)
    six = xyz[1, [SLOT["U"][n] for n in ("N1", "C2", "N3", "C4", "C5", "C6")]].mean(0)
    torch.testing.assert_close(points[43], ribose)
    torch.testing.assert_close(points[47], six)


def test_rigid_motion_changes_neither_links_nor_contacts(a_strand, some_motion):
    shape, pose = a_strand(SEQUENCE, 2, 1.2)
    xyz = pose.atoms(shape)
    moved = xyz @ some_motion.rotation.mT + some_motion.origin
    table = contact_table(SEQUENCE)
    torch.testing.assert_close(link_energy(moved, 0.7), link_energy(xyz, 0.7))
    before, after = (contact_energy(particles(x, table), list_contacts(x, table, 0.5), 0.1) for x in (xyz, moved))
    assert (before > 1).all()
    torch.testing.assert_close(after, before, rtol=1e-6, atol=1e-6)


def test_samples_are_independent(a_strand):
    shape, pose = a_strand(SEQUENCE, 3, 1.2)
    xyz = pose.atoms(shape)
    table = contact_table(SEQUENCE)
    together = contact_energy(particles(xyz, table), list_contacts(xyz, table, 0.5), 0.1), link_energy(xyz, 0.7)
    for k in range(3):
        one = xyz[k : k + 1]
        alone = contact_energy(particles(one, table), list_contacts(one, table, 0.5), 0.1), link_energy(one, 0.7)
        for part, whole in zip(alone, together, strict=True):
            torch.testing.assert_close(part[0], whole[k])
    assert len({round(x, 3) for values in together for x in values.tolist()}) == 6


def test_gradients_are_right(a_strand):
    shape, pose = a_strand("GCU", 2, 1.0)
    xyz = pose.atoms(shape).detach().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: link_energy(x, 0.7), (xyz,))
    table = contact_table("GCU")
    contacts = list_contacts(xyz, table, 0.5)
    assert contact_energy(particles(xyz, table), contacts, 0.1).min() > 0.1
    assert torch.autograd.gradcheck(lambda x: contact_energy(particles(x, table), contacts, 0.1), (xyz,))


def test_no_pair_of_particles_is_listed_twice(a_strand):
    shape, pose = a_strand(SEQUENCE, 2, 0.5)
    contacts = list_contacts(pose.atoms(shape), contact_table(SEQUENCE), 3.0)
    pairs = set(zip(contacts.sample_N.tolist(), contacts.first_N.tolist(), contacts.second_N.tolist(), strict=True))
    assert len(pairs) == len(contacts.sample_N)
    assert not pairs & {(s, b, a) for s, a, b in pairs}
