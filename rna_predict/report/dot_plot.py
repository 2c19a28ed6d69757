"""The dot plot: probabilities above the diagonal, the formed pairs below it."""

from dataclasses import dataclass

from rna_predict.report.arc_diagram import ticks_of
from rna_predict.report.frame import SAMPLE, Draw, Frame, Key, framed, unit_of
from rna_predict.report.palette import FAINT, GRID, INK, RULE, UNKNOWN, colour
from rna_predict.report.subject import Shown, Subject, most_probable
from rna_predict.report.svg import Font, Group, Pen, Point, numbers

SIDE = 1000.0
CELL = 22.0
"""Greatest width of a residue; with more residues the plot is `SIDE` wide."""

LETTERED = 9.0
"""Least width of a residue that has room for its letter."""

DOTS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
"""Probabilities above which a pair has a dot: the first that leaves no more than `ROOM`."""

ROOM = 2500
"""Most dots above the diagonal."""

SMALLEST_DOT = 1.3
"""Least side of a dot of probability 1, in the picture's units: smaller cells would not be seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """Measures of one plot.

    Attributes:
        cell: width of a residue.
        dot: side of a dot of probability 1.
        unit: font size of heading, numbers and key.
        margin: room for numbers and letters at the left and on top.
        dots: pairs with a dot above the diagonal.
    """

    cell: float
    dot: float
    unit: float
    margin: float
    dots: Shown

    def at(self, row: int, column: int) -> Point:
        """Middle of a cell."""
        return self.margin + (column + 0.5) * self.cell, self.margin + (row + 0.5) * self.cell


def dot_plot(subject: Subject) -> str:
    """The SVG text of one RNA's dot plot, with rings around native pairs where the subject has a native."""
    plan = _plan(subject)
    side = plan.margin + plan.cell * subject.length
    frame = framed(subject, "Dot plot", (side, side), _keys(subject, plan))
    _paint_axes(frame, subject, plan)
    _paint_dots(frame.content, subject, plan)
    return frame.svg.markup()


def _plan(subject: Subject) -> _Plan:
    cell = min(SIDE / subject.length, CELL)
    unit = unit_of(cell * subject.length)
    shown = Shown(pairs=[], threshold=DOTS[0], left_out=0)
    if subject.probability_LL is not None:
        shown = most_probable(subject.probability_LL, DOTS, ROOM)
    letters = cell if cell >= LETTERED else 0.0
    dot = max(0.92 * cell, SMALLEST_DOT)
    return _Plan(cell=cell, dot=dot, unit=unit, margin=letters + 2.6 * unit, dots=shown)


def _keys(subject: Subject, plan: _Plan) -> list[Key]:
    keys = []
    if subject.probability_LL is not None:
        text = f"above the diagonal: p > {plan.dots.threshold:g}, area by p"
        keys.append(Key(label=text, sample=_sizes_sample))
        if plan.dots.left_out:
            keys.append(Key(label=f"{plan.dots.left_out} dots of p > {DOTS[0]:g} left out for room"))
    if subject.native_L is None:
        return [*keys, Key(label="below: formed pair", sample=_cell_sample(filled=True, ringed=False))]
    return [
        *keys,
        Key(label="below: right", sample=_cell_sample(filled=True, ringed=True)),
        Key(label="below: wrong", sample=_cell_sample(filled=True, ringed=False)),
        Key(label="below: missed", sample=_cell_sample(filled=False, ringed=True)),
    ]


def _sizes_sample(group: Group, left: Point, unit: float) -> None:
    for k, probability in enumerate((1.0, 0.5, 0.1)):
        middle = (left[0] + (0.5 + 1.0 * k) * unit, left[1])
        _dot(group, middle, 0.85 * unit * probability**0.5, colour(probability), "")


def _cell_sample(*, filled: bool, ringed: bool) -> Draw:
    def draw(group: Group, left: Point, unit: float) -> None:
        middle = (left[0] + SAMPLE * unit / 2, left[1])
        if filled:
            _dot(group, middle, (0.5 if ringed else 0.7) * unit, UNKNOWN, "")
        if ringed:
            group.circle(middle, 0.55 * unit, Pen(fill="none", stroke=INK, width=0.12 * unit))

    return draw


def _dot(group: Group, middle: Point, side: float, shade: str, tip: str) -> None:
    x, y = middle
    length = numbers(side)
    group.path(f"M{numbers(x - side / 2, y - side / 2)}h{length}v{length}h-{length}z", Pen(fill=shade), tip)


def _paint_axes(frame: Frame, subject: Subject, plan: _Plan) -> None:
    content, start, unit = frame.content, plan.margin, plan.unit
    side = plan.cell * subject.length
    ticks = ticks_of(subject.length, 3.2 * unit / plan.cell)
    grid = content.group("grid", Pen(stroke=GRID, width=0.09 * unit))
    for k in ticks:
        place = start + (k - 0.5) * plan.cell
        grid.path(f"M{numbers(place, start)}v{numbers(side)}M{numbers(start, place)}h{numbers(side)}")
    rule = Pen(fill="none", stroke=RULE, width=0.09 * unit)
    content.group("diagonal").path(f"M{numbers(start, start)}l{numbers(side, side)}", rule)
    content.group("border").rect((start, start), (side, side), rule)
    away = (plan.cell if plan.cell >= LETTERED else 0.0) + 0.4 * unit
    labels = content.group("numbers", font=Font(size=0.9 * unit, fill=FAINT))
    for k in ticks:
        place = start + (k - 0.5) * plan.cell
        labels.text((place, start - away - 0.35 * unit), str(k), 0.9 * unit, Font(anchor="middle"))
        labels.text((start - away, place), str(k), 0.9 * unit, Font(anchor="end"))
    if plan.cell < LETTERED:
        return
    size = 0.85 * plan.cell
    letters = content.group("letters", font=Font(size=size, anchor="middle", weight="bold", fill=INK))
    for index, letter in enumerate(subject.sequence):
        place = start + (index + 0.5) * plan.cell
        letters.text((place, start - 0.6 * plan.cell), letter, size)
        letters.text((start - 0.6 * plan.cell, place), letter, size)


def _paint_dots(content: Group, subject: Subject, plan: _Plan) -> None:
    dots = content.group("probabilities")
    for i, j in plan.dots.pairs:
        probability = subject.probability((i, j)) or 0.0
        shade = colour(probability)
        _dot(dots, plan.at(i, j), plan.dot * probability**0.5, shade, subject.pair_name((i, j)))
    formed = content.group("pairs")
    for i, j in subject.pairs:
        shade = colour(subject.probability((i, j)))
        _dot(formed, plan.at(j, i), _filled(subject, plan), shade, subject.pair_name((i, j)))
    if subject.native_L is None:
        return
    ring = max(0.62 * plan.cell, 0.75 * plan.dot)
    rings = content.group("native", Pen(fill="none", stroke=INK, width=max(0.07 * plan.dot, 0.3)))
    for i, j in subject.native_pairs:
        rings.circle(plan.at(j, i), ring, tip=subject.pair_name((i, j)))


def _filled(subject: Subject, plan: _Plan) -> float:
    """Side of a formed pair's dot, smaller where it may have a ring."""
    return plan.dot * (0.7 if subject.native_L is not None else 1.0)
