"""The three files of one RNA, and how large they become."""

from dataclasses import replace

import numpy as np
import pytest

from rna_predict.errors import PredictionError
from rna_predict.report import figures
from rna_predict.report.figures import draw_figures

HELIX = "((((((((....))))))))...."


def noisy(subject, length: int):
    """Hairpins all along, and as many alternatives as rows that sum to one allow."""
    drawn = subject((HELIX * (length // len(HELIX))).ljust(length, "."), p=0.5)
    rng = np.random.default_rng(0)
    probability_LL = drawn.probability_LL.copy()
    for _ in range(20):  # each residue with about 20 partners
        order = rng.permutation(length)
        values = rng.uniform(0, 0.04, length // 2).astype(np.float32)
        i, j = order[: length // 2], order[length // 2 : 2 * (length // 2)]
        probability_LL[i, j] += values
        probability_LL[j, i] += values
    return replace(drawn, probability_LL=np.clip(probability_LL, 0, 1))


def test_three_files_appear_and_are_svg(subject, tmp_path, read_svg):
    paths = draw_figures(subject("((....))"), tmp_path / "figures" / "rna")
    assert [path.name for path in paths] == ["structure.svg", "arcs.svg", "dots.svg"]
    titles = [read_svg(path.read_text(encoding="utf-8")).root[0].text for path in paths]
    assert titles == ["Secondary structure of rna", "Arc diagram of rna", "Dot plot of rna"]
    assert sorted(path.name for path in paths[0].parent.iterdir()) == ["arcs.svg", "dots.svg", "structure.svg"]


def test_the_same_subject_gives_the_same_files(subject, tmp_path):
    first, second = (draw_figures(subject(HELIX), tmp_path / name) for name in "ab")
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_one_picture_that_fails_leaves_no_file(subject, tmp_path, monkeypatch):
    def fail(subject):
        raise PredictionError("no layout")

    monkeypatch.setitem(figures.FIGURES, "dots", fail)
    with pytest.raises(PredictionError):
        draw_figures(subject("((....))"), tmp_path / "rna")
    assert not (tmp_path / "rna").exists()


@pytest.mark.parametrize(("length", "kilobytes"), [(400, 300), (3000, 1000)])
def test_a_picture_stays_small_whatever_the_probabilities(subject, tmp_path, read_svg, length, kilobytes):
    drawn = noisy(subject, length)
    assert (np.triu(drawn.probability_LL) > 0.01).sum() > 5 * length
    for path in draw_figures(drawn, tmp_path):
        assert path.stat().st_size < 1000 * kilobytes, path.name
    plot = read_svg((tmp_path / "dots.svg").read_text(encoding="utf-8"))
    assert "left out for room" in plot.key
    assert len(plot.shapes("probabilities")) <= 2500
    assert len(plot.shapes("pairs")) == len(drawn.pairs)
