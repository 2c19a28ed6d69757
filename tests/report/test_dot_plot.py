"""The dot plot: areas and colours are probabilities, places are residues, rings are natives."""

import re
from dataclasses import replace

import numpy as np
import pytest

from rna_predict.report.dot_plot import dot_plot
from rna_predict.report.palette import INK, colour


def square(shape) -> tuple[float, float, float]:
    """Middle and side."""
    x, y, side, *_ = (float(word) for word in re.findall(r"-?[\d.]+", shape.get("d")))
    return x + side / 2, y + side / 2, side


def border(picture) -> tuple[float, float, float]:
    (frame,) = picture.shapes("border")
    return float(frame.get("x")), float(frame.get("y")), float(frame.get("width"))


def test_every_pair_is_a_square_below_the_diagonal_in_its_cell(any_subject, read_svg):
    picture = read_svg(dot_plot(any_subject))
    left, top, side = border(picture)
    cell = side / any_subject.length
    found = [square(shape)[:2] for shape in picture.shapes("pairs")]
    wanted = [(left + (i + 0.5) * cell, top + (j + 0.5) * cell) for i, j in any_subject.pairs]
    assert found == [pytest.approx(place, abs=0.03) for place in wanted]
    above = [square(shape)[:2] for shape in picture.shapes("probabilities")]
    assert above == [pytest.approx((y - top + left, x - left + top), abs=0.06) for x, y in wanted]


def test_areas_are_in_the_ratio_of_probabilities(subject, read_svg):
    others = {(1, 7): 0.64, (2, 6): 0.16, (0, 5): 0.04, (0, 6): 0.01}
    picture = read_svg(dot_plot(subject("........", others=others)))
    sides = {name: square(shape)[2] for name, shape in picture.tips("probabilities").items()}
    assert set(sides) == {"A2–A8", "A3–A7", "A1–A6"}  # 0.01 is not above 0.01
    areas = np.array([sides[name] for name in ("A2–A8", "A3–A7", "A1–A6")]) ** 2
    assert areas / areas[0] == pytest.approx([1, 0.25, 0.0625], rel=0.02)
    shades = {name: shape.get("fill") for name, shape in picture.tips("probabilities").items()}
    assert shades["A3–A7"] == colour(float(np.float32(0.16)))


def test_changing_one_probability_changes_that_dot_alone(subject, read_svg):
    before = subject("((....))..(...)", others={(2, 12): 0.4})
    changed = before.probability_LL.copy()
    changed[2, 12] = changed[12, 2] = 0.2
    dots = [read_svg(dot_plot(s)).tips("probabilities") for s in (before, replace(before, probability_LL=changed))]
    assert {name for name in dots[0] if dots[0][name].attrib != dots[1][name].attrib} == {"A3–A13"}


def test_rings_are_native_pairs_and_tell_right_wrong_and_missed(subject, read_svg):
    picture = read_svg(dot_plot(subject("((....))..........", native="(......)..(.....).")))
    filled, rings = picture.tips("pairs"), picture.tips("native")
    assert set(filled) == {"G1–C8", "G2–C7"}
    assert set(rings) == {"G1–C8", "A11–A17"}
    x, y, side = square(filled["G1–C8"])
    ring = rings["G1–C8"]
    assert (float(ring.get("cx")), float(ring.get("cy"))) == pytest.approx((x, y), abs=0.02)
    assert side / 2**0.5 < float(ring.get("r"))  # the square's corners lie inside the ring
    assert picture.groups("native")[0].get("stroke") == INK
    for words in ("below: right", "below: wrong", "below: missed"):
        assert words in picture.key


def test_axes_have_letters_where_there_is_room_and_numbers(subject, read_svg):
    short, long = (read_svg(dot_plot(subject("." * length))) for length in (30, 300))
    assert "".join(short.texts("letters")[::2]) == "A" * 30
    assert short.texts("numbers") == ["1", "1", "10", "10", "20", "20", "30", "30"]
    assert not long.shapes("letters")
    assert long.texts("numbers")[::2] == ["1", *(str(k) for k in range(20, 301, 20))]


def test_a_plot_without_room_says_so(subject, read_svg, monkeypatch):
    monkeypatch.setattr("rna_predict.report.dot_plot.ROOM", 1)
    picture = read_svg(dot_plot(subject("(....)", p=0.3, others={(1, 5): 0.015, (0, 4): 0.03})))
    assert len(picture.shapes("probabilities")) == 1
    assert "above the diagonal: p > 0.05, area by p" in picture.key
    assert "2 dots of p > 0.01 left out for room" in picture.key
