"""The structure drawing: what is there, in which colour, and that nothing lies on anything else."""

import re
from dataclasses import replace

import numpy as np
import pytest

from rna_predict.report.palette import INK, colour
from rna_predict.report.structure_drawing import structure_drawing


def middles(shapes) -> np.ndarray:
    return np.array([[float(shape.get("cx")), float(shape.get("cy"))] for shape in shapes])


def test_every_residue_and_pair_is_drawn_once(any_subject, read_svg):
    picture = read_svg(structure_drawing(any_subject))
    assert len(picture.shapes("residues")) == any_subject.length
    assert "".join(picture.texts("letters")) == any_subject.sequence
    drawn = [*picture.tips("pairs"), *picture.tips("pseudoknots")]
    names = [any_subject.pair_name(pair).split()[0] for pair in any_subject.pairs]
    assert sorted(drawn) == sorted(names)
    assert picture.texts("numbers") == [str(k) for k in range(10, any_subject.length + 1, 10)]
    assert picture.texts("ends") == ["5′", "3′"]


def test_discs_do_not_overlap_and_letters_stand_in_them(any_subject, read_svg):
    picture = read_svg(structure_drawing(any_subject))
    discs = picture.shapes("residues")
    xy, radius = middles(discs), np.array([float(disc.get("r")) for disc in discs])
    apart = np.linalg.norm(xy[:, None] - xy, axis=-1) + 1e9 * np.eye(len(xy))
    assert (apart >= radius[:, None] + radius).all()
    assert np.median(radius) == 10
    for disc, letter in zip(discs, picture.shapes("letters"), strict=True):
        assert letter.get("x") == disc.get("cx")
        assert 0 < float(letter.get("y")) - float(disc.get("cy")) < 0.6 * float(disc.get("r"))


def test_where_a_layout_is_tight_its_discs_and_letters_are_small_there_alone(subject, read_svg):
    picture = read_svg(structure_drawing(subject("(..........)(............................)...")))
    radius = np.array([float(disc.get("r")) for disc in picture.shapes("residues")])
    assert 2 < radius.min() < 5
    assert (radius == 10).sum() > 30
    xy = middles(picture.shapes("residues"))
    apart = np.linalg.norm(xy[:, None] - xy, axis=-1) + 1e9 * np.eye(len(xy))
    assert (apart >= radius[:, None] + radius).all()
    sizes = [letter.get("font-size") for letter in picture.shapes("letters")]
    assert [size is None for size in sizes] == (radius == 10).tolist()


def test_nothing_is_cut_off_at_the_edges(any_subject, read_svg):
    picture = read_svg(structure_drawing(any_subject))
    (content,) = picture.groups("content")
    x, y = (float(part) for part in re.findall(r"[\d.]+", content.get("transform")))
    radius = 10
    xy = middles(picture.shapes("residues")) + np.array([x, y])
    assert (xy - radius).min() > 0
    assert (xy + radius < picture.size).all()
    for text in [*picture.shapes("numbers"), *picture.shapes("ends")]:
        half = 5 * len(text.text)
        assert half < x + float(text.get("x")) < picture.size[0] - half
    for curve in picture.shapes("pseudoknots"):
        start, control, end = np.array(re.findall(r"-?[\d.]+", curve.get("d")), dtype=float).reshape(3, 2)
        middle = (start + 2 * control + end) / 4 + (x, y)
        assert middle.min() > 0
        assert (middle < picture.size).all()


def test_colours_follow_the_probability_of_what_is_shown(subject, read_svg):
    # residues 3 and 7, unpaired, pair with each other at 0.25
    picture = read_svg(structure_drawing(subject("(......)", p=0.9, others={(2, 6): 0.25})))
    fills = [shape.get("fill") for shape in picture.shapes("residues")]
    near = [colour(float(np.float32(p))) for p in (0.9, 1, 0.75, 1, 1, 1, 0.75, 0.9)]
    assert fills == near
    assert [shape.get("stroke") for shape in picture.shapes("pairs")] == [near[0]]


def test_changing_one_probability_changes_that_element_alone(subject, read_svg):
    before = subject("((....))..(...)")
    changed = before.probability_LL.copy()
    changed[1, 6] = changed[6, 1] = 0.3
    pictures = [read_svg(structure_drawing(s)) for s in (before, replace(before, probability_LL=changed))]
    discs = [[shape.get("fill") for shape in picture.shapes("residues")] for picture in pictures]
    assert [k for k, (a, b) in enumerate(zip(*discs, strict=True)) if a != b] == [1, 6]
    lines = [picture.tips("pairs") for picture in pictures]
    assert {name for name in lines[0] if lines[0][name].get("stroke") != lines[1][name].get("stroke")} == {"G2–C7"}
    assert lines[1]["G2–C7"].get("stroke") == colour(0.3)


def test_a_tip_says_what_a_shape_is(subject, read_svg):
    picture = read_svg(structure_drawing(subject("(...).")))
    tips = [shape[0].text for shape in picture.shapes("residues")]
    assert tips == [
        "G1 paired with 5 0.9",
        *(f"A{k} unpaired 1" for k in (2, 3, 4)),
        "C5 paired with 1 0.9",
        "A6 unpaired 1",
    ]
    assert [shape[0].text for shape in picture.shapes("pairs")] == ["G1–C5 0.9"]


def test_wobbles_have_a_dot_and_non_canonical_pairs_a_diamond(subject, read_svg):
    picture = read_svg(structure_drawing(subject("(((...)))", "GGAAAAACU")))  # G-U, G-C, A-A
    dot, diamond = picture.shapes("marks")
    assert dot.tag.endswith("circle")
    assert diamond.get("d").endswith("z")
    ends = [float(word) for word in re.findall(r"-?[\d.]+", picture.shapes("pairs")[0].get("d"))]
    assert float(dot.get("cx")) == pytest.approx((ends[0] + ends[2]) / 2, abs=0.02)
    assert float(dot.get("cy")) == pytest.approx((ends[1] + ends[3]) / 2, abs=0.02)
    for words in ("Watson-Crick pair", "wobble pair", "non-canonical pair"):
        assert words in picture.key
    plain = read_svg(structure_drawing(subject("((...))")))
    assert not plain.shapes("marks")
    assert "wobble" not in plain.key


def test_pseudoknots_are_curves_between_their_residues(subject, read_svg):
    structure = ".(((((..[[[.))))).......]]]"
    picture = read_svg(structure_drawing(subject(structure)))
    curves = picture.tips("pseudoknots")
    assert set(curves) == {"G9–C27", "G10–C26", "G11–C25"}
    xy = middles(picture.shapes("residues"))
    ends, controls = [], []
    for name, (i, j) in (("G9–C27", (8, 26)), ("G10–C26", (9, 25)), ("G11–C25", (10, 24))):
        start, control, end = np.array(re.findall(r"-?[\d.]+", curves[name].get("d")), dtype=float).reshape(3, 2)
        assert (*start, *end) == pytest.approx((*xy[i], *xy[j]), abs=0.02)
        ends.append((start, end))
        controls.append(control)
    start, end = np.mean(ends, axis=0)
    chord, bend = end - start, np.mean(controls, axis=0) - (start + end) / 2
    assert abs(chord @ bend) < 0.01 * chord @ chord  # the stem bends to its side …
    assert 0.15 < np.hypot(*bend) / np.hypot(*chord) < 1.05  # … and visibly
    assert "pseudoknot pair" in picture.key
    assert "pseudoknot" not in read_svg(structure_drawing(subject("((...))"))).key


def test_wrong_pairs_are_crossed_and_missed_ones_dotted_in_dark(subject, read_svg):
    compared = subject("((....))..........", native="(......)..(.....).")
    picture = read_svg(structure_drawing(compared))
    assert len(picture.shapes("wrong")) == 2  # one cross: its ground and itself
    assert set(picture.tips("missed")) == {"A11–A17"}
    (group,) = picture.groups("missed")
    assert group.get("stroke") == INK
    assert group.get("stroke-dasharray")
    assert "wrong pair" in picture.key
    assert "missed pair" in picture.key
    assert picture.heading[1] == "18 nt, 2 pairs: 1 right, 1 wrong; 1 missed"
    assert not read_svg(structure_drawing(replace(compared, native_L=None))).shapes("wrong")
