"""The parity command: where it looks, what it says, and what it does with outputs that cannot be compared."""

import json

import pytest
import torch

from rna_predict.cli import bench_parity, parity_reference
from rna_predict.cli.parity_inputs import ARCHITECTURES
from rna_predict.errors import InputError, PredictionError


@pytest.fixture
def without_protenix(monkeypatch):
    monkeypatch.setattr(bench_parity, "protenix_installed", lambda: False)
    monkeypatch.setattr(bench_parity, "ARCHITECTURES", {"nano": ARCHITECTURES["nano"]})


def test_without_protenix_the_outputs_of_the_checkout_are_read(without_protenix):
    from typer.testing import CliRunner

    from rna_predict.cli.bench import app

    done = CliRunner().invoke(app, ["parity", "--threads", str(torch.get_num_threads())])
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    figures = json.loads(lines[-1])
    assert figures.pop("against") == "reference file"
    worst = figures.pop("worst")
    assert set(figures) == set(bench_parity.CASES)
    assert max(figures.values()) == worst
    assert 0 < worst <= 1e-4
    assert lines[0].split() == ["module", "size", "difference", "scale"]
    assert len(lines) - 3 == len(figures)


def test_with_neither_the_remedy_is_named(without_protenix, monkeypatch, tmp_path):
    monkeypatch.setattr(parity_reference.rna_predict, "__file__", str(tmp_path / "rna_predict" / "__init__.py"))
    with pytest.raises(InputError, match=r"no reference here, and protenix is not installed.*checkout"):
        bench_parity.run()


def test_what_cannot_be_compared_is_refused():
    one = {"pair": torch.zeros(2, 3)}
    assert bench_parity.difference("m", one, [{"pair": torch.ones(2, 3)}, {"pair": torch.full((2, 3), -2.0)}]) == (2, 2)
    with pytest.raises(PredictionError, match=r"m: our outputs are \{'pair': \(2, 3\)\}, Protenix's"):
        bench_parity.difference("m", one, [{"pair": torch.zeros(3, 2)}])
    with pytest.raises(PredictionError, match="not finite"):
        bench_parity.difference("m", {"pair": torch.full((2, 3), torch.nan)}, [one])
