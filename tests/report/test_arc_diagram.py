"""The arc diagram: feet on the right residues, weight and colour by probability, verdicts without colours."""

import re
from dataclasses import replace

import pytest

from rna_predict.report.arc_diagram import arc_diagram, ticks_of
from rna_predict.report.palette import INK, colour


def arc(shape) -> dict[str, float]:
    numbers = [float(word) for word in re.findall(r"-?[\d.]+", shape.get("d"))]
    return dict(zip(("x1", "y1", "rx", "ry", "turn", "large", "sweep", "x2", "y2"), numbers, strict=True))


def middle_of(picture, residue: int) -> float:
    shape = picture.shapes("residues")[residue]
    return float(shape.get("x")) + float(shape.get("width")) / 2


def test_every_pair_is_an_arc_over_its_residues(any_subject, read_svg):
    picture = read_svg(arc_diagram(any_subject))
    assert len(picture.shapes("residues")) == any_subject.length
    arcs = [arc(shape) for shape in picture.shapes("pairs")]
    feet = sorted((a["x1"], a["x2"]) for a in arcs)
    wanted = sorted((middle_of(picture, i), middle_of(picture, j)) for i, j in any_subject.pairs)
    assert feet == [pytest.approx(pair, abs=0.03) for pair in wanted]
    strip = float(picture.shapes("residues")[0].get("y"))
    assert all(a["y1"] == a["y2"] < strip and a["sweep"] == 1 for a in arcs)
    assert all(a["rx"] == pytest.approx((a["x2"] - a["x1"]) / 2, abs=0.03) for a in arcs)


def test_no_arc_is_higher_than_its_half(any_subject, read_svg):
    picture = read_svg(arc_diagram(any_subject))
    (content,) = picture.groups("content")
    top = float(re.findall(r"[\d.]+", content.get("transform"))[1])
    for shape in picture.shapes("pairs"):
        assert arc(shape)["y1"] - arc(shape)["ry"] > 0
    lowest = max((arc(s)["y1"] + arc(s)["ry"] for s in picture.shapes("alternatives")), default=0.0)
    assert top + lowest < picture.size[1]


def test_letters_are_there_where_there_is_room(subject, read_svg):
    short, long = (read_svg(arc_diagram(subject("." * length))) for length in (400, 500))
    assert len(short.shapes("letters")) == 400
    assert float(short.groups("letters")[0].get("font-size")) >= 7
    assert not long.shapes("letters")


def test_alternatives_above_a_twentieth_hang_below(subject, read_svg):
    others = {(0, 8): 0.05, (1, 8): 0.06, (2, 7): 0.1}
    picture = read_svg(arc_diagram(subject("(........)", p=0.5, others=others)))
    assert set(picture.tips("alternatives")) == {"A2–A9", "A3–A8"}
    below = arc(picture.tips("alternatives")["A2–A9"])
    assert below["sweep"] == 0
    last = picture.shapes("residues")[0]
    assert below["y1"] > float(last.get("y")) + float(last.get("height"))
    assert "below: other pair of p > 0.05" in picture.key
    assert "left out" not in picture.key


def test_colour_and_weight_follow_the_probability(subject, read_svg):
    found = {}
    for p in (0.25, 0.5, 1.0):
        (shape,) = read_svg(arc_diagram(subject("(...)", p=p))).shapes("pairs")
        assert shape.get("stroke") == colour(p)
        found[p] = float(shape.get("stroke-width"))
    assert found[0.25] < found[0.5] < found[1.0]
    assert found[0.5] - found[0.25] == pytest.approx((found[1.0] - found[0.5]) / 2, abs=0.011)


def test_changing_one_probability_changes_that_arc_and_its_residues(subject, read_svg):
    before = subject("((....))..(...)")
    changed = before.probability_LL.copy()
    changed[1, 6] = changed[6, 1] = 0.3
    pictures = [read_svg(arc_diagram(s)) for s in (before, replace(before, probability_LL=changed))]
    arcs = [picture.tips("pairs") for picture in pictures]
    assert {name for name in arcs[0] if arcs[0][name].attrib != arcs[1][name].attrib} == {"G2–C7"}
    strips = [[shape.get("fill") for shape in picture.shapes("residues")] for picture in pictures]
    assert [k for k, (a, b) in enumerate(zip(*strips, strict=True)) if a != b] == [1, 6]


def test_right_wrong_and_missed_differ_in_line_and_mark(subject, read_svg):
    compared = subject("((....))..........", native="(......)..(.....).", others={(2, 12): 0.2, (10, 16): 0.3})
    picture = read_svg(arc_diagram(compared))
    right, wrong = (picture.tips("pairs")[name] for name in ("G1–C8", "G2–C7"))
    assert right.get("stroke-dasharray") is None
    assert wrong.get("stroke-dasharray")
    (missed,) = picture.shapes("missed")
    assert missed[0].text == "A11–A17 0.3, missed"
    assert missed.get("stroke") == INK
    assert missed.get("stroke-dasharray") not in (None, wrong.get("stroke-dasharray"))
    assert arc(missed)["sweep"] == 0
    cross, circle = picture.shapes("marks")
    assert (cross.tag[-4:], circle.tag[-6:]) == ("path", "circle")
    assert float(circle.get("cx")) == pytest.approx((arc(missed)["x1"] + arc(missed)["x2"]) / 2, abs=0.02)
    assert float(circle.get("cy")) == pytest.approx(arc(missed)["y1"] + arc(missed)["ry"], abs=0.02)
    assert set(picture.tips("alternatives")) == {"A3–A13"}  # a missed pair is no alternative as well
    for words in ("above: right", "above: wrong", "below: missed", "below: other pair"):
        assert words in picture.key


def test_where_arcs_are_close_a_run_of_wrong_pairs_has_one_mark(subject, read_svg):
    stem = "(((((....)))))"
    short = subject(stem, native="." * 14)
    long = subject(stem + "." * 600 + stem, native="." * 628)
    assert len(read_svg(arc_diagram(short)).shapes("marks")) == 5
    assert len(read_svg(arc_diagram(long)).shapes("marks")) == 2


def test_a_picture_without_room_says_so(subject, read_svg, monkeypatch):
    monkeypatch.setattr("rna_predict.report.arc_diagram.ROOM", 2)
    others = {(0, 19): 0.06, (1, 18): 0.07, (2, 17): 0.25, (3, 16): 0.15}
    picture = read_svg(arc_diagram(subject("." * 20, others=others)))
    assert len(picture.shapes("alternatives")) == 2
    assert "below: other pair of p > 0.1" in picture.key
    assert "2 others of p > 0.05 left out for room" in picture.key


@pytest.mark.parametrize(
    ("length", "apart", "wanted"),
    [(1, 3, [1]), (25, 3, [1, 10, 20]), (70, 12, [1, 20, 40, 60]), (39, 10, [1, 10, 20, 30]), (9, 40, [1])],
)
def test_numbers_stand_on_tens_and_not_too_close(length, apart, wanted):
    assert ticks_of(length, apart) == wanted
