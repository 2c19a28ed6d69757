"""The three pictures of one RNA as files."""

from pathlib import Path

from rna_predict.atomic import atomic_path
from rna_predict.report.arc_diagram import arc_diagram
from rna_predict.report.dot_plot import dot_plot
from rna_predict.report.structure_drawing import structure_drawing
from rna_predict.report.subject import Subject

FIGURES = {"structure": structure_drawing, "arcs": arc_diagram, "dots": dot_plot}
"""What is drawn of a subject, by the name of its file."""


def draw_figures(subject: Subject, folder: Path) -> list[Path]:
    """Write `structure.svg`, `arcs.svg` and `dots.svg`, each whole or not at all; none unless all can be drawn.

    Raises:
        PredictionError: ViennaRNA has no layout for the structure.
    """
    drawn = {folder / f"{name}.svg": draw(subject) for name, draw in FIGURES.items()}
    for path, markup in drawn.items():
        with atomic_path(path) as temporary:
            temporary.write_text(markup, encoding="utf-8", newline="\n")
    return list(drawn)
