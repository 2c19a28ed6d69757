"""The SVG writer, the colours, and the frame that all pictures share."""

import math
from dataclasses import replace
from itertools import pairwise

import pytest

from rna_predict.errors import PredictionError
from rna_predict.report.arc_diagram import arc_diagram
from rna_predict.report.dot_plot import dot_plot
from rna_predict.report.frame import fitted
from rna_predict.report.palette import CARD, INK, STOPS, UNKNOWN, colour, contrast, ink_on, luminance
from rna_predict.report.structure_drawing import structure_drawing
from rna_predict.report.svg import Group, Svg, number, numbers

PICTURES = [structure_drawing, arc_diagram, dot_plot]


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.0, "1"), (0.1 + 0.2, "0.3"), (-0.001, "0"), (-1.5, "-1.5"), (1234.567, "1234.57"), (100.0, "100")],
)
def test_numbers_have_two_decimals_and_no_idle_digits(value, text):
    assert number(value) == text


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_number_that_no_viewer_draws_is_refused(value):
    with pytest.raises(PredictionError, match="coordinate is"):
        numbers(1.0, value)


def test_text_is_escaped_and_what_xml_cannot_hold_is_replaced(read_svg):
    svg = Svg((10, 10), 'a<b & "c"', "x\x00y")
    Group(svg.element).text((0, 0), "</text><script>1</script>\x1b", 10)
    text = svg.markup()
    assert "<script" not in text
    root = read_svg(text).root
    assert root[0].text == 'a<b & "c"'
    assert root[1].text == "x�y"
    assert root[2].text == "</text><script>1</script>�"


def test_the_scale_gets_darker_all_the_way_and_stands_out_on_the_card():
    shades = [colour(k / 100) for k in range(101)]
    assert shades[0] == "#f6a62b"
    assert shades[100] == "#2f45a8"
    light = [luminance(shade) for shade in shades]
    assert all(before > after for before, after in pairwise(light))
    assert min(contrast(CARD, shade) for shade in shades) > 1.9
    assert len(set(shades)) == 101


def test_stops_are_met_and_values_outside_are_clipped():
    assert [colour(k / 4) for k in range(5)] == ["#" + bytes(stop).hex() for stop in STOPS]
    assert colour(-1) == colour(0)
    assert colour(2) == colour(1)
    assert colour(None) == UNKNOWN


def test_letters_are_read_on_every_colour():
    shades = [*(colour(k / 100) for k in range(101)), UNKNOWN]
    assert min(contrast(ink_on(shade), shade) for shade in shades) >= 3
    assert ink_on(colour(1)) == ink_on(colour(0.5)) == CARD
    assert ink_on(colour(0)) == INK


def test_black_on_white_has_the_contrast_that_wcag_states():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert luminance("#808080") == pytest.approx(0.2159, abs=1e-4)


def test_a_long_text_is_cut_with_an_ellipsis():
    assert fitted("abc", 10, 100) == "abc"
    assert fitted("a" * 50, 10, 57) == "a" * 9 + "…"


@pytest.mark.parametrize("draw", PICTURES)
def test_a_picture_is_one_file_with_its_own_ground(draw, subject, read_svg):
    text = draw(subject("((....))"))
    picture = read_svg(text)
    assert picture.root.get("viewBox") == "0 0 {:g} {:g}".format(*picture.size)
    first = next(element for element in picture.root if element.tag.endswith("rect"))
    assert first.attrib == {
        "x": "0",
        "y": "0",
        "width": f"{picture.size[0]:g}",
        "height": f"{picture.size[1]:g}",
        "fill": CARD,
    }
    for foreign in ("<script", "<style", "<image", "href", "url(", " id=", "@import", "http"):
        assert foreign not in text.replace('xmlns="http://www.w3.org/2000/svg"', "")


@pytest.mark.parametrize("draw", PICTURES)
def test_names_from_outside_are_text_and_nothing_else(draw, subject, read_svg):
    odd = replace(subject("((....))", native="(......)"), source="<script>alert(1)</script>", native_source='"&\x07.ct')
    picture = read_svg(draw(odd))
    assert not [element for element in picture.root.iter() if element.tag.endswith("script")]
    assert picture.heading == [
        "rna",
        "8 nt, 2 pairs: 1 right, 1 wrong; 0 missed",
        '<script>alert(1)</script> · compared with "&�.ct',
    ]


@pytest.mark.parametrize("draw", PICTURES)
def test_one_nucleotide_is_a_picture(draw, subject, read_svg):
    picture = read_svg(draw(subject(".")))
    assert picture.heading[1] == "1 nt, 0 pairs"
    assert min(picture.size) > 90


@pytest.mark.parametrize("draw", PICTURES)
def test_a_structure_without_probabilities_has_one_colour_and_no_scale(draw, subject, read_svg):
    picture = read_svg(draw(replace(subject("((....))"), probability_LL=None)))
    assert "No probabilities" in picture.key
    assert not picture.shapes("scale")
    painted = {
        shape.get("fill") or shape.get("stroke") for name in ("residues", "pairs") for shape in picture.shapes(name)
    }
    assert painted == {UNKNOWN}
    assert not picture.shapes("probabilities")
    assert not picture.shapes("alternatives")


@pytest.mark.parametrize("draw", PICTURES)
def test_texts_do_not_run_over_the_card(draw, any_subject, read_svg):
    """By the estimate of a letter's width that the frame is made with: heading and key stay inside."""
    picture = read_svg(draw(any_subject))
    for name in ("heading", "key"):
        (group,) = picture.groups(name)
        left = float(group.get("transform", "").removeprefix("translate(").split()[0])
        size = float(group.get("font-size") or group[-1].get("font-size"))
        for text in group.iter("{http://www.w3.org/2000/svg}text"):
            assert left + float(text.get("x")) + 0.5 * size * len(text.text) < picture.size[0]


def test_a_long_heading_is_cut_at_the_card(subject, read_svg):
    picture = read_svg(arc_diagram(replace(subject("(...)"), source="viennarna+" * 20)))
    assert picture.heading[2].startswith("viennarna+viennarna+")
    assert picture.heading[2].endswith("…")
    assert 0.5 * 13 * len(picture.heading[2]) < picture.size[0] - 2 * 1.5 * 13
