"""A measure of several methods, target by target: a line for each, a dot for each method, means as dashed lines."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rna_predict.report.palette import CARD, FAINT, GRID, INK, RULE, SERIES
from rna_predict.report.svg import Font, Group, Pen, Svg, numbers

WIDTH = 620.0
"""Of the field that dots lie in."""

LINE = 20.0
"""Height of a target's line."""

NAMES = 150.0
"""Room for the targets' names at the left."""

MARGIN, HEAD, KEY = 24.0, 58.0, 26.0

SIZE = 13.0
"""Font size."""

TICKS = 5

DOT = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One method.

    Attributes:
        name: for the key.
        values: one a target; None where it has none.
    """

    name: str
    values: tuple[float | None, ...]

    @property
    def mean(self) -> float | None:
        """Mean over the targets that have a value."""
        known = [value for value in self.values if value is not None]
        return float(np.mean(known)) if known else None


@dataclass(frozen=True, slots=True, kw_only=True)
class ValuePlot:
    """What is drawn.

    Attributes:
        title: its heading.
        axis: name of the measure.
        targets: names, from top to bottom.
        series: the methods, each with a value a target.
        top: right end of the axis, which begins at 0.
    """

    title: str
    axis: str
    targets: tuple[str, ...]
    series: tuple[Series, ...]
    top: float = 1.0


def value_plot(plot: ValuePlot) -> str:
    """The picture as SVG."""
    height = LINE * max(len(plot.targets), 1)
    foot = 2.4 * LINE + KEY * len(plot.series)
    size = (NAMES + WIDTH + 2 * MARGIN, HEAD + height + foot + MARGIN)
    description = ", ".join(f"{one.name}: mean {_mean(one)}" for one in plot.series)
    svg = Svg(size, plot.title, f"{plot.axis} of {len(plot.targets)} targets; {description}")
    svg.rect((0, 0), svg.size, Pen(fill=CARD))
    heading = svg.group("heading", Pen(fill=INK), shift=(MARGIN, MARGIN))
    heading.text((0, 7), plot.title, 1.3 * SIZE, Font(size=1.3 * SIZE, weight="bold"))
    field = svg.group("field", Pen(fill=INK), Font(size=SIZE), shift=(MARGIN + NAMES, HEAD))
    _axis(field, plot, height)
    _lines(field, plot)
    for number, one in enumerate(plot.series):
        _series(field, plot, one, (number, len(plot.series)), height)
    return svg.markup()


def _axis(field: Group, plot: ValuePlot, height: float) -> None:
    for tick in range(TICKS + 1):
        x = WIDTH * tick / TICKS
        field.path(f"M{numbers(x, 0)}v{numbers(height)}", Pen(stroke=GRID, width=1.0))
        field.text((x, height + 0.7 * LINE), f"{plot.top * tick / TICKS:g}", SIZE, Font(anchor="middle", fill=FAINT))
    field.text((WIDTH / 2, height + 1.7 * LINE), plot.axis, SIZE, Font(anchor="middle"))


def _lines(field: Group, plot: ValuePlot) -> None:
    """Names, and a bar from the least to the greatest value of each target."""
    for row, name in enumerate(plot.targets):
        y = (row + 0.5) * LINE
        field.text((-10, y), name[:22], SIZE, Font(anchor="end"))
        known = [value for one in plot.series if (value := one.values[row]) is not None]
        if len(known) > 1:
            low, high = _x(plot, min(known)), _x(plot, max(known))
            field.path(f"M{numbers(low, y)}H{numbers(high)}", Pen(stroke=RULE, width=2.0))


def _series(field: Group, plot: ValuePlot, one: Series, place: tuple[int, int], height: float) -> None:
    colour = SERIES[place[0] % len(SERIES)]
    group = field.group("series", Pen(fill=colour))
    for row, value in enumerate(one.values):
        if value is not None:
            tip = f"{plot.targets[row]}, {one.name}: {value:.3f}"
            group.circle((_x(plot, value), (row + 0.5) * LINE), DOT, tip=tip)
    if one.mean is not None:
        x = _x(plot, one.mean)
        group.path(f"M{numbers(x, 0)}v{numbers(height)}", Pen(stroke=colour, width=1.5, dash="5 4"))
    y = height + 2.6 * LINE + KEY * place[0]
    group.circle((DOT, y), DOT)
    field.text((4 * DOT, y), f"{one.name}, mean {_mean(one)}", SIZE)


def _x(plot: ValuePlot, value: float) -> float:
    return WIDTH * min(max(value / plot.top, 0.0), 1.0)


def _mean(one: Series) -> str:
    return "-" if one.mean is None else f"{one.mean:.3f}"


def top_of(series: Sequence[Series]) -> float:
    """A round end of an axis that holds all values: 1, 2 or 5 times a power of ten."""
    greatest = max((value for one in series for value in one.values if value is not None), default=1.0)
    power = 10.0 ** np.floor(np.log10(max(greatest, 1e-6)))
    return float(next(step * power for step in (1, 2, 5, 10) if step * power >= greatest))
