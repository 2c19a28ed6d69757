"""Where residues and labels lie."""

import numpy as np
import pytest
import RNA
from hypothesis import given, settings
from hypothesis import strategies as st

from rna_predict.errors import PredictionError
from rna_predict.formats.dot_bracket import from_dot_bracket
from rna_predict.report import layout as module
from rna_predict.report.labels import Surroundings, Wanted, box_distance, half_size, place_labels
from rna_predict.report.layout import ROOMY, STEP, lay_out, skeleton

TRNA = "(((((((..((((........)))).((((.........)))).....(((((.......))))))))))))...."


def nearest(xy_L2: np.ndarray) -> float:
    apart = np.linalg.norm(xy_L2[:, None] - xy_L2, axis=-1)
    return float(apart[~np.eye(len(xy_L2), dtype=bool)].min())


def test_a_cloverleaf_has_five_prime_at_the_left_and_its_arms_where_textbooks_have_them():
    layout = lay_out(from_dot_bracket(TRNA))
    assert layout.name == "puzzler"
    assert layout.separation == pytest.approx(nearest(layout.xy_L2), abs=1e-6)
    assert layout.separation > 0.99 * STEP
    x, y = layout.xy_L2.T
    assert x[0] < x[71]  # acceptor stem: 5' on the left …
    assert y[0] < y[35]  # … on top, the anticodon at the bottom
    assert x[16] < x[0] < x[56]  # D arm left, T arm right


def test_pairs_are_as_far_apart_as_vienna_draws_them_and_strands_take_equal_steps():
    layout = lay_out(from_dot_bracket("((((....))))"))
    xy = layout.xy_L2
    assert [np.hypot(*(xy[i] - xy[11 - i])) for i in range(4)] == pytest.approx([35.0] * 4, abs=1e-3)
    assert np.linalg.norm(np.diff(xy, axis=0), axis=1) == pytest.approx([25.0] * 11, abs=1e-3)


def test_pseudoknots_do_not_shape_the_drawing():
    knotted, nested = from_dot_bracket("((((..[[[.)))).......]]]"), from_dot_bracket("((((......))))..........")
    assert skeleton(knotted) == "((((......)))).........."
    assert np.array_equal(lay_out(knotted).xy_L2, lay_out(nested).xy_L2)


def test_a_short_strand_is_a_line_and_a_long_one_an_open_ring():
    line = lay_out(from_dot_bracket("." * 20)).xy_L2
    assert np.ptp(line[:, 1]) == 0
    assert np.ptp(line[:, 0]) == pytest.approx(19 * STEP)
    ring = lay_out(from_dot_bracket("." * 120))
    assert ring.name == "simple"
    radius = np.linalg.norm(ring.xy_L2 - ring.xy_L2.mean(axis=0), axis=1)
    assert np.ptp(radius) < 0.2 * radius.mean()
    assert np.hypot(*(ring.xy_L2[0] - ring.xy_L2[-1])) > 1.5 * STEP  # not closed


def test_a_loop_that_would_lie_on_its_neighbour_is_drawn_by_another_layout():
    structure = ".(" + "." * 90 + ")."
    overlapping = module._layout(structure, "puzzler")
    assert overlapping.separation < 0.6 * STEP
    assert lay_out(from_dot_bracket(structure)).separation >= 0.6 * STEP


def test_one_residue_has_a_place_and_viennas_own_setting_stays(monkeypatch):
    RNA.cvar.rna_plot_type = RNA.PLOT_TYPE_CIRCULAR
    assert lay_out(from_dot_bracket(".")).xy_L2.tolist() == [[0, 0]]
    lay_out(from_dot_bracket("((....))"))
    assert RNA.cvar.rna_plot_type == RNA.PLOT_TYPE_CIRCULAR
    RNA.cvar.rna_plot_type = RNA.PLOT_TYPE_DEFAULT


def test_no_layout_at_all_is_an_error(monkeypatch):
    monkeypatch.setattr(module, "_layout", lambda structure, name: None)
    with pytest.raises(PredictionError, match=r"no layout for \(\.\.\.\.\)"):
        lay_out(from_dot_bracket("(....)"))


@st.composite
def structures(draw) -> str:
    """Nested structures with loops of three or more, up to about 200 nt."""
    loop = st.integers(3, 12).map(lambda k: "." * k)
    stems = st.recursive(
        loop,
        lambda inner: st.tuples(st.integers(1, 9), st.integers(0, 4), st.lists(inner, min_size=1, max_size=3)).map(
            lambda t: "(" * t[0] + "." * t[1] + "..".join(t[2]) + ")" * t[0]
        ),
        max_leaves=8,
    )
    return "." * draw(st.integers(0, 9)) + "".join(draw(st.lists(stems, min_size=1, max_size=4)))


@settings(deadline=None, max_examples=60)
@given(structures())
def test_whatever_the_structure_residues_have_finite_places_of_their_own(structure):
    layout = lay_out(from_dot_bracket(structure))
    assert layout.xy_L2.shape == (len(structure), 2)
    assert np.isfinite(layout.xy_L2).all()
    assert layout.separation == pytest.approx(nearest(layout.xy_L2) if len(structure) > 1 else np.inf)
    assert layout.separation > 0.1 * STEP  # lonely pairs that close large loops side by side: every layout is tight


def test_box_distance_is_that_of_the_nearest_edge():
    places, points = np.array([[0.0, 0.0]]), np.array([[10.0, 0.0], [1.0, 1.0], [7.0, 8.0]])
    assert box_distance(places, (4.0, 4.0), points).tolist() == [[6.0, 0.0, 5.0]]


def test_labels_lie_on_nothing_and_an_end_stands_where_it_is_wanted():
    xy_L2 = lay_out(from_dot_bracket(TRNA)).xy_L2
    around = Surroundings(xy_L2=xy_L2, radius_L=np.full(76, 10.0), links_N22=np.stack([xy_L2[:-1], xy_L2[1:]], axis=1))
    wanted = [Wanted(text="5′", residue=0, size=13, toward=(0.0, -1.0))]
    wanted += [Wanted(text=str(k), residue=k - 1, size=13) for k in range(10, 77, 10)]
    labels = place_labels(wanted, around)
    assert [label.text for label in labels] == ["5′", "10", "20", "30", "40", "50", "60", "70"]
    assert labels[0].y < xy_L2[0, 1] - 15
    assert abs(labels[0].x - xy_L2[0, 0]) < 15
    for label in labels:
        middle = np.array([[label.x, label.y]])
        assert box_distance(middle, half_size(label.text, 13), xy_L2).min() >= 10  # a disc's radius
        assert np.hypot(*(middle[0] - xy_L2[label.residue])) < 60
        for other in labels:
            clear = np.abs(middle[0] - [other.x, other.y]) >= np.add(
                half_size(label.text, 13), half_size(other.text, 13)
            )
            assert other is label or clear.any()


def test_the_labels_of_one_residue_stand_left_and_right_of_it():
    around = Surroundings(xy_L2=np.zeros((1, 2)), radius_L=np.array([10.0]), links_N22=np.zeros((0, 2, 2)))
    wanted = [Wanted(text=t, residue=0, size=13, toward=(x, 0.0)) for t, x in (("5′", -1.0), ("3′", 1.0))]
    left, right = place_labels(wanted, around)
    assert (left.y, right.y) == pytest.approx((0, 0), abs=1e-9)
    assert left.x == -right.x < -15


def test_labels_of_neighbours_do_not_lie_on_each_other():
    around = Surroundings(
        xy_L2=np.array([[0.0, 0.0], [12.0, 0.0]]), radius_L=np.full(2, 5.0), links_N22=np.zeros((0, 2, 2))
    )
    wanted = [Wanted(text=str(1000 + k), residue=k, size=13, toward=(0.0, -1.0)) for k in (0, 1)]
    one, other = place_labels(wanted, around)
    apart = np.abs([one.x - other.x, one.y - other.y])
    assert (apart > 2 * np.array(half_size("1000", 13))).any()


def test_a_label_keeps_off_discs_of_any_size_even_where_only_a_far_place_is_free():
    angles = np.arange(0, 2 * np.pi, np.pi / 12)
    ring = 30 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    xy_L2 = np.concatenate([[[0.0, 0.0]], ring])
    radius_L = np.array([10.0, *np.full(len(ring), 8.0)])
    around = Surroundings(xy_L2=xy_L2, radius_L=radius_L, links_N22=np.zeros((0, 2, 2)))
    (label,) = place_labels([Wanted(text="10", residue=0, size=13, toward=(0.0, -1.0))], around)
    clear = box_distance(np.array([[label.x, label.y]]), half_size("10", 13), xy_L2[1:])[0] - radius_L[1:]
    assert clear.min() >= 0


def test_chains_lie_apart_by_the_room_of_a_small_loop():
    partner_L = np.array([7, 6, 5, 4, 3, 2, 1, 0])
    layout = lay_out(partner_L, (4,))
    steps = np.linalg.norm(np.diff(layout.xy_L2, axis=0), axis=1)
    assert len(layout.xy_L2) == 8
    assert np.allclose(np.delete(steps, 3), STEP, rtol=0.05), "within the strands"
    assert steps[3] < 1.5 * STEP, "the last pair closes the place between"
    assert layout.separation > ROOMY * STEP
