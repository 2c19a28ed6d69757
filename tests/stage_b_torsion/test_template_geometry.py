"""Templates bend distances as far as they are worth, and lend their torsions where their chain goes on."""

import dataclasses
import math

import numpy as np
import pytest

from rna_predict.chemistry.residues import ATOMS, SLOT
from rna_predict.contracts import DISTOGRAM_ATOMS, EDGES, TORSION_FIELDS, Provenance, TemplateHit, TemplateHits
from rna_predict.stage_b_torsion.config import StageBConfig
from rna_predict.stage_b_torsion.stage import predict_torsions
from rna_predict.stage_b_torsion.template_geometry import MOST_TRUST, TRUST, mixed_distances, template_torsions
from rna_predict.stage_b_torsion.torsion_values import TorsionValues
from rna_predict.templates.library import Atoms, Row, open_library
from rna_predict.templates.threading import thread

from .conftest import adjacency_of

CHAIN = "1y26_X"
"""An adenine riboswitch, 71 nt: a three-way junction with a kissing loop."""
KINDS = ["P", "C1'", "N1/N3"]
CENTRES = np.array([3.5 + k for k in range(48)])
ELSEWHERE = 30.5
"""Å, where the network puts every distance in these tests."""
PRIOR = StageBConfig(backend="prior-table", torsions="prior-table")


@pytest.fixture(scope="module")
def chain() -> tuple[Row, Atoms]:
    library = open_library("")
    place = next(n for n, row in enumerate(library.rows) if row.id == CHAIN)
    return library.rows[place], library.atoms(place)


@pytest.fixture(scope="module")
def templates(chain):
    """`templates((0.9, position_L, factor), …)`: the chain on itself, aligned by positions, its coordinates scaled."""
    row, atoms = chain

    def make(*given) -> TemplateHits:
        threaded = []
        for _, position_L, factor in given:
            scaled = dataclasses.replace(atoms, xyz_LA3=(atoms.xyz_LA3 * np.float32(factor)))
            threaded.append(thread(row.sequence, row.sequence, scaled, position_L))
        shapes = {"xyz_LA3": (len(row.sequence), 23, 3), "mask_LA": (len(row.sequence), 23)}
        shapes |= {name: (len(row.sequence),) for name in ("mask_L", "position_L")}
        shapes |= {"linked_L": (len(row.sequence) - 1,)}
        dtypes = {"xyz_LA3": "float32", "position_L": "int32"}
        arrays = {
            name: np.array([getattr(one, name) for one in threaded]).reshape(-1, *shape).astype(dtypes.get(name, bool))
            for name, shape in shapes.items()
        }
        return TemplateHits(
            id="probe",
            sequence=row.sequence,
            provenance=Provenance(method="templates", package_version="0"),
            xyz_KLA3=arrays["xyz_LA3"],
            mask_KLA=arrays["mask_LA"],
            mask_KL=arrays["mask_L"],
            position_KL=arrays["position_L"],
            linked_KL=arrays["linked_L"],
            hits=tuple(hit(row.sequence, worth, position_L) for worth, position_L, _ in given),
        )

    return make


def hit(sequence: str, worth: float, position_L: np.ndarray) -> TemplateHit:
    shares = dict.fromkeys(("identity", "query_identity", "coverage", "score", "pair_agreement"), 1.0)
    letters = "".join(letter if at >= 0 else "-" for letter, at in zip(sequence, position_L, strict=True))
    return TemplateHit(
        id=CHAIN, cluster="", date="", length=len(sequence), expected_tm=worth, letters=letters, **shares
    )


def whole(chain) -> np.ndarray:
    return np.arange(len(chain[0].sequence))


def own(length: int) -> np.ndarray:
    """A network that is sure of `ELSEWHERE` everywhere."""
    log_p = np.full((3, length, length, 48), np.log(1e-8), dtype=np.float32)
    log_p[..., 27] = 0.0
    return log_p


def native(chain, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Distances of the chain's own atoms by name, and whether both are there."""
    row, atoms = chain
    slot_L = [SLOT[letter][DISTOGRAM_ATOMS[kind][letter]] for letter in row.sequence]
    rows = np.arange(len(slot_L))
    point, there = atoms.xyz_LA3[rows, slot_L].astype(float), atoms.mask_LA[rows, slot_L]
    return np.linalg.norm(point[:, None] - point, axis=-1), there[:, None] & there & ~np.eye(len(rows), dtype=bool)


def mean(log_p_LLB: np.ndarray) -> np.ndarray:
    return np.exp(log_p_LLB) @ CENTRES


@pytest.mark.parametrize(("worth", "trust", "off"), [(1.0, MOST_TRUST, 0.15), (0.5, 0.5 * TRUST, 0.5)])
def test_expected_distances_go_to_the_template_s_by_its_worth(chain, templates, worth, trust, off):
    mixed = mixed_distances(own(71), EDGES["wide"], KINDS, templates((worth, whole(chain), 1.0)))
    for kind, name in enumerate(KINDS):
        gap_LL, there_LL = native(chain, name)
        inner_LL = there_LL & (gap_LL > 9) & (gap_LL < 40)  # a wide mode is cut off at the first and last bin
        assert inner_LL.sum() > 2000
        expected = trust * gap_LL + (1 - trust) * ELSEWHERE
        assert np.abs(mean(mixed[kind]) - expected)[inner_LL].max() < off, name
        assert not there_LL.all() or name != "P"
    np.testing.assert_allclose(np.exp(mixed).sum(-1), 1, atol=1e-4)
    np.testing.assert_allclose(mixed, mixed.transpose(0, 2, 1, 3), atol=1e-4)


def test_a_sure_template_puts_its_distance_into_the_likeliest_bin(chain, templates):
    mixed = mixed_distances(own(71), EDGES["wide"], KINDS, templates((1.0, whole(chain), 1.0)))
    gap_LL, there_LL = native(chain, "C1'")
    off_LL = np.abs(CENTRES[mixed[1].argmax(-1)] - np.clip(gap_LL, 3.5, 50.5))
    assert off_LL[there_LL].max() < 0.52, "half a bin, and what the network's own 5 % can decide at its edge"
    far = mixed_distances(own(71), EDGES["wide"], KINDS, templates((1.0, whole(chain), 4.0)))
    assert (far[1].argmax(-1)[there_LL & (gap_LL > 13)] == 47).all(), "beyond 50 Å is the open bin"


def test_no_hits_leave_the_arrays_as_they_are(chain, templates):
    none = templates()
    before = own(71)
    assert mixed_distances(before, EDGES["wide"], KINDS, none) is before
    values = values_of(71)
    after = template_torsions(values, none)
    for one in dataclasses.fields(TorsionValues):
        np.testing.assert_array_equal(getattr(after, one.name), getattr(values, one.name))
    rna = adjacency_of(chain[0].sequence, chain[0].partner_L)
    with_none = predict_torsions(*rna, PRIOR, templates=none)
    without = predict_torsions(*rna, PRIOR)
    assert [record.digest() for record in with_none] == [record.digest() for record in without]


def test_residues_that_are_not_covered_keep_their_distances(chain, templates):
    position_L = whole(chain)
    position_L[20:30] = -1
    before = own(71)
    mixed = mixed_distances(before, EDGES["wide"], KINDS, templates((1.0, position_L, 1.0)))
    np.testing.assert_allclose(np.exp(mixed[:, 20:30]), np.exp(before[:, 20:30]), atol=2e-8)
    np.testing.assert_allclose(np.exp(mixed[:, :, 20:30]), np.exp(before[:, :, 20:30]), atol=2e-8)
    assert np.abs(mixed[1, :20, 30:] - before[1, :20, 30:]).max() > 1


def test_the_better_of_two_templates_counts_more(chain, templates):
    """By the square of its worth: 0.81 and 0.2025 are four and one fifths."""
    mixed = mixed_distances(
        own(71), EDGES["wide"], KINDS, templates((0.9, whole(chain), 1.0), (0.45, whole(chain), 1.2))
    )
    gap_LL, there_LL = native(chain, "C1'")
    inner_LL = there_LL & (gap_LL > 15) & (gap_LL < 25)
    expected = MOST_TRUST * (0.8 * gap_LL + 0.2 * 1.2 * gap_LL) + (1 - MOST_TRUST) * ELSEWHERE
    assert np.abs(mean(mixed[1]) - expected)[inner_LL].max() < 0.3


def values_of(length: int) -> TorsionValues:
    rng = np.random.default_rng(0)
    return TorsionValues(
        angle_L7=rng.uniform(-3, 3, (length, 7)),
        concentration_L7=np.full((length, 7), 0.5),
        phase_L=rng.uniform(-3, 3, length),
        amplitude_L=np.full(length, 0.66),
        phase_concentration_L=np.full(length, 0.5),
    )


def dihedral(*points: np.ndarray) -> float:
    """IUPAC: positive when, seen along the middle bond, the far bond is turned clockwise from the near one."""
    first, axis, last = points[1] - points[0], points[2] - points[1], points[3] - points[2]
    normal, other = np.cross(first, axis), np.cross(axis, last)
    return math.atan2(np.dot(first, other) * np.linalg.norm(axis), np.dot(normal, other))


def turned(found: float, expected: float) -> float:
    return abs(math.remainder(found - expected, 2 * math.pi))


def test_torsions_are_those_of_the_template(chain, templates):
    """α, δ and ε by the atoms' names; a riboswitch's own, most of them A-form."""
    row, atoms = chain
    values = values_of(71)
    found = template_torsions(values, templates((0.8, whole(chain), 1.0)))
    column = {name: index for index, name in enumerate(TORSION_FIELDS)}

    def atom(i: int, name: str) -> np.ndarray:
        slot = ATOMS[row.sequence[i]].index(name)
        assert atoms.mask_LA[i, slot]
        return atoms.xyz_LA3[i, slot].astype(float)

    for i in range(2, 69):
        alpha = dihedral(atom(i - 1, "O3'"), *(atom(i, name) for name in ("P", "O5'", "C5'")))
        delta = dihedral(*(atom(i, name) for name in ("C5'", "C4'", "C3'", "O3'")))
        epsilon = dihedral(*(atom(i, name) for name in ("C4'", "C3'", "O3'")), atom(i + 1, "P"))
        for name, expected in (("alpha", alpha), ("delta", delta), ("epsilon", epsilon)):
            assert turned(found.angle_L7[i, column[name]], expected) < 1e-4, (i, name)
    assert (found.concentration_L7[2:69] == 25 * 0.8).all()
    assert (found.phase_concentration_L == 25 * 0.8).all()
    north = np.abs(np.degrees(found.phase_L) - 18) < 25
    assert north.mean() > 0.8, "C3'-endo"
    np.testing.assert_array_equal(found.amplitude_L, values.amplitude_L)
    assert values.concentration_L7.max() == 0.5, "what came in is left alone"


def test_a_gap_breaks_the_torsions_that_cross_it(chain, templates):
    position_L = whole(chain)
    position_L[30] = -1
    values = values_of(71)
    found = template_torsions(values, templates((0.8, position_L, 1.0)))
    column = {name: index for index, name in enumerate(TORSION_FIELDS)}
    changed_L7 = found.concentration_L7 != 0.5
    assert not changed_L7[30].any()
    assert found.phase_concentration_L[30] == 0.5
    for name, own_29, own_31 in (("alpha", True, False), ("epsilon", False, True), ("zeta", False, True)):
        assert changed_L7[[29, 31], column[name]].tolist() == [own_29, own_31], name
    np.testing.assert_array_equal(found.angle_L7[~changed_L7], values.angle_L7[~changed_L7])


def test_torsions_do_not_cross_what_the_template_has_between_two_neighbours(chain, templates):
    """From residue 31 on, its chain has one residue more: all atoms are there, and the link is not."""
    position_L = whole(chain)
    position_L[30:-1] += 1
    position_L[-1] = -1
    found = template_torsions(values_of(71), templates((0.8, position_L, 1.0)))
    column = {name: index for index, name in enumerate(TORSION_FIELDS)}
    changed_L7 = found.concentration_L7 != 0.5
    assert changed_L7[[29, 30], column["delta"]].all()
    for name, residue in (("epsilon", 29), ("zeta", 29), ("alpha", 30)):
        assert not changed_L7[residue, column[name]], name
    assert changed_L7[28, column["zeta"]]
    assert changed_L7[31, column["alpha"]]


def test_a_poor_template_lends_no_torsions_and_a_second_one_fills_what_the_first_leaves(chain, templates):
    values = values_of(71)
    poor = template_torsions(values, templates((0.39, whole(chain), 1.0)))
    np.testing.assert_array_equal(poor.angle_L7, values.angle_L7)
    head, all_of_it = whole(chain), whole(chain)
    head[40:] = -1
    both = template_torsions(values, templates((0.9, head, 1.0), (0.6, all_of_it, 1.0)))
    delta = TORSION_FIELDS.index("delta")
    assert set(both.concentration_L7[:40, delta]) == {25 * 0.9}
    assert set(both.concentration_L7[40:, delta]) == {25 * 0.6}
    third = template_torsions(values, templates((0.9, head, 1.0), (0.3, all_of_it, 1.0)))
    assert set(third.concentration_L7[40:, delta]) == {0.5}


def test_stage_b_mixes_them_in_and_says_so(chain, templates):
    row = chain[0]
    rna = adjacency_of(row.sequence, row.partner_L)
    hits = templates((1.0, whole(chain), 1.0))
    before, after = predict_torsions(*rna, PRIOR), predict_torsions(*rna, PRIOR, templates=hits)
    width = 0.3125
    centres = 2 + width * (np.arange(64) + 0.5)
    gap_LL, there_LL = native(chain, "C1'")
    near_LL = there_LL & (gap_LL > 4) & (gap_LL < 20)
    off = [np.abs(np.exp(each[1].distogram_GLLB[0]) @ centres - gap_LL)[near_LL] for each in (before, after)]
    assert off[1].mean() < 0.3
    assert off[0].mean() > 1.0
    np.testing.assert_allclose(np.exp(after[1].distogram_GLLB).sum(-1), 1, atol=1e-3)
    for record in after:
        assert "with 1 templates (1y26_X (71 nt) covers 100%" in record.provenance.method
        assert record.provenance.inputs["templates"] == hits.digest()
    trunk = StageBConfig(backend="trunk", untrained_profile="nano")
    assert (trunk.reads_templates, PRIOR.reads_templates) == (False, True)
