"""Plots of benchmarks: dots and means where the values are, no shape off the picture."""

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from rna_predict.report.density_plot import CELLS, DensityPlot, density_plot
from rna_predict.report.value_plot import WIDTH, Series, ValuePlot, top_of, value_plot

NS = "{http://www.w3.org/2000/svg}"


def plot(**changes):
    given = {
        "title": "A & B",
        "axis": "TM-score",
        "targets": ("one", "two", "three"),
        "series": (Series(name="ours", values=(0.25, None, 0.75)), Series(name="<theirs>", values=(0.1, 0.2, 0.9))),
    }
    return ET.fromstring(value_plot(ValuePlot(**given | changes)))


def dots(svg):
    """Position and tip of each dot of the field, without the key's."""
    return {
        title.text: float(circle.get("cx"))
        for circle in svg.iter(f"{NS}circle")
        if (title := circle.find(f"{NS}title")) is not None
    }


def test_a_dot_stands_at_its_value_and_none_has_no_dot():
    found = dots(plot())
    assert len(found) == 5
    assert found["one, ours: 0.250"] == pytest.approx(0.25 * WIDTH)
    assert found["three, <theirs>: 0.900"] == pytest.approx(0.9 * WIDTH)


def test_means_are_over_the_targets_that_have_a_value():
    texts = [text.text for text in plot().iter(f"{NS}text")]
    assert "ours, mean 0.500" in texts
    assert "<theirs>, mean 0.400" in texts
    assert "ours, mean -" in [
        text.text for text in plot(series=(Series(name="ours", values=(None,) * 3),)).iter(f"{NS}text")
    ]


def test_the_axis_ends_at_a_round_number():
    assert [top_of([Series(name="x", values=(0.3, value))]) for value in (0.7, 1.0, 17.0, 21.0, 99.0)] == [
        1,
        1,
        20,
        50,
        100,
    ]
    assert top_of([]) == 1
    assert dots(plot(top=2.0))["one, ours: 0.250"] == pytest.approx(0.125 * WIDTH)


def test_every_residue_is_in_a_cell_and_the_means_lie_on_the_diagonal_of_equal_measures():
    x_N = np.linspace(0, 1, 501)
    svg = ET.fromstring(density_plot(DensityPlot(title="t", note="n", x_name="x", y_name="y", x_N=x_N, y_N=x_N)))
    tips = [title.text for title in svg.iter(f"{NS}title")]
    assert sum(int(re.match(r"(\d+) residues", tip)[1]) for tip in tips if " residues" in tip) == 501
    field = next(group for group in svg.iter(f"{NS}g") if group.get("class") == "means")
    points = [(float(c.get("cx")), float(c.get("cy"))) for c in field.iter(f"{NS}circle")]
    assert len(points) == CELLS
    assert all(x + y == pytest.approx(450, abs=1.5) for x, y in points)


def test_a_plot_of_nothing_is_a_picture_all_the_same():
    empty = DensityPlot(title="t", note="n", x_name="x", y_name="y", x_N=np.zeros(0), y_N=np.zeros(0))
    assert ET.fromstring(density_plot(empty)) is not None
    assert plot(targets=(), series=()) is not None
