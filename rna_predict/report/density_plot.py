"""Two measures of many residues against each other: how many lie in each cell, and the mean of each column."""

from dataclasses import dataclass

import numpy as np

from rna_predict.report.palette import CARD, FAINT, GRID, INK, SERIES, colour
from rna_predict.report.svg import Font, Group, Pen, Svg, numbers, polyline

CELLS = 25
"""Along each side."""

SIDE = 450.0

MARGIN, HEAD, LEFT, FOOT = 24.0, 96.0, 52.0, 44.0

SIZE = 13.0
"""Font size."""

FEWEST = 5
"""Residues in a column that has a mean."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DensityPlot:
    """What is drawn; both measures go from 0 to 1.

    Attributes:
        title: its heading.
        note: a line below it.
        x_name: name of the horizontal measure.
        y_name: name of the vertical one.
        x_N: float [N].
        y_N: float [N].
    """

    title: str
    note: str
    x_name: str
    y_name: str
    x_N: np.ndarray
    y_N: np.ndarray


def density_plot(plot: DensityPlot) -> str:
    """The picture as SVG."""
    size = (LEFT + SIDE + 2 * MARGIN, HEAD + SIDE + FOOT + MARGIN)
    svg = Svg(size, plot.title, f"{plot.y_name} against {plot.x_name} of {len(plot.x_N)} residues. {plot.note}")
    svg.rect((0, 0), svg.size, Pen(fill=CARD))
    heading = svg.group("heading", Pen(fill=INK), shift=(MARGIN, MARGIN))
    heading.text((0, 7), plot.title, 1.3 * SIZE, Font(size=1.3 * SIZE, weight="bold"))
    heading.text((0, 30), plot.note, SIZE, Font(size=SIZE, fill=FAINT))
    field = svg.group("field", Pen(fill=INK), Font(size=SIZE), shift=(MARGIN + LEFT, HEAD))
    _axes(field, plot)
    _cells(field, plot)
    field.path(polyline([(0, SIDE), (SIDE, 0)]), Pen(stroke=FAINT, width=1.0, dash="3 4", fill="none"))
    _means(field, plot)
    return svg.markup()


def _axes(field: Group, plot: DensityPlot) -> None:
    for tick in range(6):
        at = SIDE * tick / 5
        field.path(f"M{numbers(at, 0)}v{numbers(SIDE)}M{numbers(0, at)}h{numbers(SIDE)}", Pen(stroke=GRID, width=1.0))
        field.text((at, SIDE + 14), f"{tick / 5:g}", SIZE, Font(anchor="middle", fill=FAINT))
        field.text((-8, SIDE - at), f"{tick / 5:g}", SIZE, Font(anchor="end", fill=FAINT))
    field.text((SIDE / 2, SIDE + 36), plot.x_name, SIZE, Font(anchor="middle"))
    field.text((-LEFT, -14), plot.y_name, SIZE)


def _cells(field: Group, plot: DensityPlot) -> None:
    """Darker where more residues lie, on a scale of logarithms."""
    count_XY, _, _ = np.histogram2d(plot.x_N, plot.y_N, bins=CELLS, range=((0, 1), (0, 1)))
    cells = field.group("cells")
    width, most = SIDE / CELLS, float(np.log1p(count_XY.max(initial=1)))
    for x, y in np.argwhere(count_XY):
        residues = int(count_XY[x, y])
        shade = colour(float(np.log1p(residues)) / most)
        cells.rect((x * width, SIDE - (y + 1) * width), (width, width), Pen(fill=shade), f"{residues} residues")


def _means(field: Group, plot: DensityPlot) -> None:
    """The mean of each column of at least `FEWEST` residues; on the diagonal where one measure tells the other."""
    column_N = np.minimum((plot.x_N * CELLS).astype(int), CELLS - 1)
    points = []
    for column in range(CELLS):
        inside_N = column_N == column
        if inside_N.sum() >= FEWEST:
            points.append((SIDE * (column + 0.5) / CELLS, SIDE * (1 - float(plot.y_N[inside_N].mean()))))
    if points:
        group = field.group("means")
        group.path(polyline(points), Pen(stroke=SERIES[2], width=2.0, fill="none"))
        for point in points:
            group.circle(point, 3.5, Pen(fill=CARD, stroke=SERIES[2], width=2.0))
