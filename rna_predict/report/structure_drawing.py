"""The structure drawing: residues coloured by the probability of what they are shown as, in ViennaRNA's layout."""

import itertools
from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial import KDTree

from rna_predict.chemistry.chains import linked
from rna_predict.contracts.loops import Stem, decompose, find_stems
from rna_predict.report.frame import SAMPLE, Draw, Frame, Key, framed, line_sample, unit_of
from rna_predict.report.labels import Label, Surroundings, Wanted, half_size, place_labels
from rna_predict.report.layout import lay_out
from rna_predict.report.palette import CARD, FAINT, INK, RULE, colour, ink_on
from rna_predict.report.subject import KINDS, WRONG, Pair, Subject
from rna_predict.report.svg import Font, Group, Pen, Point, numbers, polyline

RADIUS = 10.0
"""Of a residue's disc, unless its neighbour is nearer."""

TOUCHING = 0.47
"""Greatest radius of a disc in distances to the nearest residue: below a half, so that no two discs overlap."""

NUMBERED = 10
"""Every so manyth residue has its number."""

LABEL_SIZES = (13.0, 17.0)
"""Least and greatest font size of numbers; it grows with the drawing, as the heading's does."""

LARGEST_END = 60.0
"""Greatest font size of 5′ and 3′, which are looked for in the whole drawing."""

LETTER = 1.35
"""Font size of a residue's letter, in radii of its disc."""

PAIR_WIDTH, CURVE_WIDTH, MISSED_WIDTH = 3.4, 2.4, 1.8
MISSED_DASH = "2.2 3.2"

BENDS = (0.2, -0.2, 0.4, -0.4, 0.7, -0.7, 1.0, -1.0)
"""How far a curve may bend to either side, in lengths of its chord; the smallest clear one is taken."""

SAMPLED = 40
"""Points along a curve at which it is looked at."""

EDGE = 4.0
"""Room around the drawing."""

FIVE_PRIME, THREE_PRIME = "5′", "3′"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Curve:
    """A pair that is drawn as a quadratic Bézier curve."""

    pair: Pair
    control: Point


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scene:
    """The drawing's geometry, before it is painted.

    Attributes:
        xy: middles of the residues, y downwards, from the upper left corner of the drawing.
        radius_L: of the discs.
        nested: pairs that are drawn straight.
        knotted: pairs of pseudoknots.
        missed: native pairs that were not found.
        labels: numbers and ends.
        size: width and height of all.
    """

    xy: list[Point]
    radius_L: np.ndarray
    nested: list[Pair]
    knotted: list[_Curve]
    missed: list[_Curve]
    labels: list[Label]
    size: Point

    def middle(self, curve: _Curve) -> Point:
        """The point of a curve that is farthest from its chord."""
        (a, b), (x, y) = (self.xy[k] for k in curve.pair), curve.control
        return 0.25 * (a[0] + b[0]) + 0.5 * x, 0.25 * (a[1] + b[1]) + 0.5 * y


def structure_drawing(subject: Subject) -> str:
    """The SVG text of one RNA's structure drawing, with verdicts where the subject has a native.

    Raises:
        PredictionError: ViennaRNA has no layout for the structure.
    """
    scene = _scene(subject)
    frame = framed(subject, "Secondary structure", scene.size, _keys(subject, scene))
    _paint(frame, subject, scene)
    return frame.svg.markup()


def _scene(subject: Subject) -> _Scene:
    layout = lay_out(subject.partner_L, subject.breaks)
    bound_L = linked(subject.length, subject.breaks)
    xy_L2 = layout.xy_L2
    radius_L = np.minimum(RADIUS, TOUCHING * layout.nearest_L)
    parts = decompose(subject.partner_L, subject.breaks)
    nested = sorted(pair for stem in parts.stems for pair in stem.pairs)
    residues = KDTree(xy_L2)
    knotted = [curve for stem in parts.pseudoknots for curve in _bend(stem, xy_L2, residues)]
    missed = [curve for stem in find_stems(_missed_partners(subject)) for curve in _bend(stem, xy_L2, residues)]
    around = Surroundings(xy_L2=xy_L2, radius_L=radius_L, links_N22=_links(xy_L2, bound_L, nested, knotted))
    labels = place_labels(_wanted(xy_L2, subject.breaks), around)
    low, high = _bounds(around, _links(xy_L2, bound_L, [], missed), labels)
    return _Scene(
        xy=[(float(x), float(y)) for x, y in xy_L2 - low],
        radius_L=radius_L,
        nested=nested,
        knotted=[_moved(curve, low) for curve in knotted],
        missed=[_moved(curve, low) for curve in missed],
        labels=[replace(label, x=label.x - low[0], y=label.y - low[1]) for label in labels],
        size=(float(high[0] - low[0]), float(high[1] - low[1])),
    )


def _moved(curve: _Curve, low: np.ndarray) -> _Curve:
    return replace(curve, control=(curve.control[0] - float(low[0]), curve.control[1] - float(low[1])))


def _missed_partners(subject: Subject) -> np.ndarray:
    partner_L = np.full(subject.length, -1, dtype=np.int32)
    for i, j in subject.missed_pairs:
        partner_L[i], partner_L[j] = j, i
    return partner_L


def _wanted(xy_L2: np.ndarray, breaks: tuple[int, ...]) -> list[Wanted]:
    """All labels: the chains' ends first, each on the side away from the strand; numbers count in each chain."""
    unit = unit_of(float(np.ptp(xy_L2[:, 0])))
    small, large = float(np.clip(unit, *LABEL_SIZES)), min(unit, LARGEST_END)
    chains = list(itertools.pairwise((0, *breaks, len(xy_L2))))
    ends = []
    for start, stop in chains:
        last = stop - 1
        ends += [(FIVE_PRIME, start, min(start + 1, last), -1.0), (THREE_PRIME, last, max(last - 1, start), 1.0)]
    labels = []
    for text, residue, neighbour, side in ends:
        away = xy_L2[residue] - xy_L2[neighbour]
        norm = float(np.hypot(*away))
        toward = (float(away[0]) / norm, float(away[1]) / norm) if norm else (side, 0.0)
        labels.append(Wanted(text=text, residue=residue, size=large, toward=toward))
    return labels + [
        Wanted(text=str(k), residue=start + k - 1, size=small)
        for start, stop in chains
        for k in range(NUMBERED, stop - start + 1, NUMBERED)
    ]


def _bend(stem: Stem, xy_L2: np.ndarray, residues: KDTree) -> list[_Curve]:
    """Curves of a stem's pairs: all bend alike, to the side where they meet fewest residues."""
    ends_N22 = np.array([[xy_L2[i], xy_L2[j]] for i, j in stem.pairs])
    chord = (ends_N22[:, 1] - ends_N22[:, 0]).mean(axis=0)
    across = np.array([-chord[1], chord[0]])  # one for all, so that the curves run side by side
    controls = [ends_N22.mean(axis=1) + bend * across for bend in BENDS]
    inner = slice(SAMPLED // 6, -SAMPLED // 6)  # the ends of a curve lie on residues anyway
    on_curve = np.array([_on_curve(ends_N22, control_N2)[inner] for control_N2 in controls])
    met = residues.query(on_curve)[0] < 1.3 * RADIUS
    costs = met.mean(axis=(1, 2)) * SAMPLED + 2 * np.abs(BENDS)
    best_N2 = controls[int(np.argmin(costs))]
    return [_Curve(pair=pair, control=(float(x), float(y))) for pair, (x, y) in zip(stem.pairs, best_N2, strict=True)]


def _on_curve(ends_N22: np.ndarray, control_N2: np.ndarray) -> np.ndarray:
    """Points along quadratic Bézier curves, [SAMPLED, N, 2]."""
    share = np.linspace(0, 1, SAMPLED)[:, None, None]
    return (1 - share) ** 2 * ends_N22[:, 0] + 2 * share * (1 - share) * control_N2 + share**2 * ends_N22[:, 1]


def _links(xy_L2: np.ndarray, bound_L: np.ndarray, nested: list[Pair], curves: list[_Curve]) -> np.ndarray:
    """Backbone, pairs and curves as straight lines, [N, 2, 2]."""
    lines = [*np.stack([xy_L2[:-1], xy_L2[1:]], axis=1)[bound_L], *(xy_L2[[i, j]] for i, j in nested)]
    for curve in curves:
        points = _on_curve(xy_L2[list(curve.pair)][None], np.array([curve.control]))[:, 0]
        lines += list(np.stack([points[:-1], points[1:]], axis=1))
    return np.array(lines).reshape(-1, 2, 2)


def _bounds(around: Surroundings, missed_N22: np.ndarray, labels: list[Label]) -> tuple[np.ndarray, np.ndarray]:
    """Upper left and lower right corner of all that is drawn."""
    boxes = [around.xy_L2 - around.radius_L[:, None], around.xy_L2 + around.radius_L[:, None]]
    boxes += [lines_N22.reshape(-1, 2) for lines_N22 in (around.links_N22, missed_N22)]
    for label in labels:
        middle, half = np.array([label.x, label.y]), np.array(half_size(label.text, label.size))
        boxes.append(np.stack([middle - half, middle + half]))
    everything = np.concatenate(boxes)
    return everything.min(axis=0) - EDGE, everything.max(axis=0) + EDGE


def _keys(subject: Subject, scene: _Scene) -> list[Key]:
    """What the drawing has, and no more."""
    pairs = [*scene.nested, *(curve.pair for curve in scene.knotted)]
    kinds = {subject.kind(pair) for pair in pairs}
    keys = [Key(label=f"{kind} pair", sample=_pair_sample(kind)) for kind in KINDS if kind in kinds]
    if scene.knotted:
        keys.append(Key(label="pseudoknot pair", sample=_curve_sample))
    if any(subject.verdict(pair) == WRONG for pair in pairs):
        keys.append(Key(label="wrong pair", sample=_pair_sample(WRONG)))
    if scene.missed:
        keys.append(Key(label="missed pair", sample=_missed_sample))
    return keys


def _pair_sample(what: str) -> Draw:
    """Of a kind of pair, or of a wrong one."""

    def draw(group: Group, left: Point, unit: float) -> None:
        scale = unit / LABEL_SIZES[0]
        line_sample(Pen(stroke=FAINT, width=PAIR_WIDTH * scale))(group, left, unit)
        middle = (left[0] + SAMPLE * unit / 2, left[1])
        if what == WRONG:
            _cross(group, middle, scale)
        else:
            _mark(group, what, middle, (FAINT, scale))

    return draw


def _curve_sample(group: Group, left: Point, unit: float) -> None:
    (x, y), width = left, SAMPLE * unit
    steps = f"M{numbers(x, y + 0.4 * unit)}Q{numbers(x + width / 2, y - unit, x + width, y + 0.4 * unit)}"
    group.path(steps, Pen(fill="none", stroke=FAINT, width=CURVE_WIDTH * unit / LABEL_SIZES[0]))


def _missed_sample(group: Group, left: Point, unit: float) -> None:
    scale = unit / LABEL_SIZES[0]
    dash = numbers(*(float(part) * scale for part in MISSED_DASH.split()))
    line_sample(Pen(stroke=INK, width=MISSED_WIDTH * scale, dash=dash))(group, left, unit)


def _paint(frame: Frame, subject: Subject, scene: _Scene) -> None:
    content, xy = frame.content, scene.xy
    backbone = content.group("backbone")
    for start, stop in itertools.pairwise((0, *subject.breaks, len(xy))):
        if stop - start > 1:
            backbone.path(polyline(xy[start:stop]), Pen(fill="none", stroke=RULE, width=2))
    pairs = content.group("pairs", Pen(width=PAIR_WIDTH))
    for i, j in scene.nested:
        shade = colour(subject.probability((i, j)))
        pairs.path(polyline([xy[i], xy[j]]), Pen(stroke=shade), subject.pair_name((i, j)))
    missed = content.group("missed", Pen(fill="none", stroke=INK, width=MISSED_WIDTH, dash=MISSED_DASH))
    for curve in scene.missed:
        missed.path(_curved(curve, xy), tip=subject.pair_name(curve.pair))
    ground = content.group("ground", Pen(fill="none", stroke=CARD, width=CURVE_WIDTH + 3))
    for curve in scene.knotted:
        ground.path(_curved(curve, xy))
    knotted = content.group("pseudoknots", Pen(fill="none", width=CURVE_WIDTH))
    for curve in scene.knotted:
        shade = colour(subject.probability(curve.pair))
        knotted.path(_curved(curve, xy), Pen(stroke=shade), subject.pair_name(curve.pair))
    _paint_marks(content, subject, scene)
    _paint_residues(content, subject, scene)
    _paint_labels(content, scene)


def _curved(curve: _Curve, xy: list[Point]) -> str:
    start, end = (xy[k] for k in curve.pair)
    return f"M{numbers(*start)}Q{numbers(*curve.control, *end)}"


def _paint_marks(content: Group, subject: Subject, scene: _Scene) -> None:
    marks = content.group("marks")
    crosses = content.group("wrong")
    middles = {(i, j): _halfway(scene.xy[i], scene.xy[j]) for i, j in scene.nested}
    middles |= {curve.pair: scene.middle(curve) for curve in scene.knotted}
    for pair, middle in middles.items():
        _mark(marks, subject.kind(pair), middle, (colour(subject.probability(pair)), 1.0))
        if subject.verdict(pair) == WRONG:
            _cross(crosses, middle, 1.0)


def _halfway(one: Point, other: Point) -> Point:
    return (one[0] + other[0]) / 2, (one[1] + other[1]) / 2


def _mark(group: Group, kind: str, middle: Point, paint: tuple[str, float]) -> None:
    """A filled dot on a wobble, an open diamond on a non-canonical pair; nothing on a Watson-Crick pair.

    Args:
        group: where to draw.
        kind: one of `KINDS`.
        middle: of the mark.
        paint: colour and scale.
    """
    shade, scale = paint
    if kind == KINDS[1]:
        group.circle(middle, 4.6 * scale, Pen(fill=shade, stroke=CARD, width=1.2 * scale))
    elif kind == KINDS[2]:
        arm = 6 * scale
        steps = f"M{numbers(middle[0] - arm, middle[1])}l{numbers(arm, -arm)}l{numbers(arm, arm)}l{numbers(-arm, arm)}z"
        group.path(steps, Pen(fill=CARD, stroke=shade, width=1.8 * scale))


def _cross(group: Group, middle: Point, scale: float) -> None:
    """The mark of a wrong pair, dark on a light ground."""
    arm = 3.8 * scale
    (x, y), across = middle, numbers(2 * arm, 2 * arm)
    steps = f"M{numbers(x - arm, y - arm)}l{across}m0 {numbers(-2 * arm)}l{numbers(-2 * arm, 2 * arm)}"
    group.path(steps, Pen(fill="none", stroke=CARD, width=3.4 * scale))
    group.path(steps, Pen(fill="none", stroke=INK, width=1.8 * scale))


def _paint_residues(content: Group, subject: Subject, scene: _Scene) -> None:
    discs = content.group("residues", Pen(stroke=CARD, width=1))
    letters = content.group("letters", font=Font(size=LETTER * RADIUS, anchor="middle", weight="bold"))
    for index, probability in enumerate(subject.state_probabilities()):
        shade, radius = colour(probability), float(scene.radius_L[index])
        discs.circle(scene.xy[index], radius, Pen(fill=shade), subject.state_name(index, probability))
        font = Font(fill=ink_on(shade), size=None if radius == RADIUS else LETTER * radius)
        letters.text(scene.xy[index], subject.sequence[index], LETTER * radius, font)


def _paint_labels(content: Group, scene: _Scene) -> None:
    ticks = content.group("ticks", Pen(stroke=RULE, width=1.2))
    texts = content.group("numbers", font=Font(size=scene.labels[-1].size, anchor="middle", fill=FAINT))
    ends = content.group("ends", font=Font(size=scene.labels[0].size, anchor="middle", weight="bold", fill=INK))
    for label in scene.labels:
        if label.text in (FIVE_PRIME, THREE_PRIME):
            ends.text((label.x, label.y), label.text, label.size)
            continue
        start, end = np.array(scene.xy[label.residue]), np.array([label.x, label.y])
        along = (end - start) / np.linalg.norm(end - start)
        first, last = start + along * (scene.radius_L[label.residue] + 0.5), end - along * 0.55 * label.size
        if (last - first) @ along > 1:
            ticks.path(polyline([(float(x), float(y)) for x, y in (first, last)]))
        texts.text((label.x, label.y), label.text, label.size)
