"""Backends that the user installs: LinearPartition's executable and MXfold2's package, both stood in for here."""

import dataclasses
import hashlib
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch

from rna_predict.config import resolve_stage_config
from rna_predict.contracts import GivenStructure, Reactivity, RnaSequence
from rna_predict.errors import ConfigError, PredictionError
from rna_predict.formats.dot_bracket import to_dot_bracket
from rna_predict.stage_a_adjacency import mxfold2
from rna_predict.stage_a_adjacency.config import StageAConfig
from rna_predict.stage_a_adjacency.linearpartition import read_pairs
from rna_predict.stage_a_adjacency.stage import predict_adjacency

HAIRPIN = RnaSequence(id="hairpin", sequence="GGGCUUCGGCCC")

# What LinearPartition-V writes for the hairpin, asked for pairs above 1e-3; a blank line ends each sequence.
WRITTEN = "1 12 9.7614e-01\n2 11 9.9946e-01\n3 10 9.9960e-01\n4 9 9.9799e-01\n\n"

EXECUTABLE = """#!{python}
import sys
words = sys.argv[1:]
open({log!r}, "w").write(" ".join(words) + "|" + sys.stdin.read())
print("Free Energy of Ensemble: -6.32 kcal/mol")
{write}
sys.exit({code})
"""


@pytest.fixture
def executable(tmp_path):
    """Make a stand-in that writes what it is told to, and remembers how it was called."""

    def make(content: str | None = WRITTEN, code: int = 0) -> Path:
        write = "sys.stderr.write('no beam left')"
        if content is not None:
            write = f"open(words[words.index('-r') + 1], 'a').write({content!r})"
        path = tmp_path / "linearpartition"
        log = str(tmp_path / "called")
        path.write_text(EXECUTABLE.format(python=sys.executable, log=log, write=write, code=code))
        path.chmod(0o755)
        return path

    return make


def linear(path: Path, **changes: object) -> StageAConfig:
    config = StageAConfig(backend="linearpartition", linearpartition=str(path))
    return dataclasses.replace(config, **changes)


def test_linearpartitions_pairs_become_probabilities_and_a_matching(executable, tmp_path):
    found = predict_adjacency(HAIRPIN, linear(executable(), linearpartition_beam=50))
    assert to_dot_bracket(found.partner_L) == "((((....))))"
    assert found.probability_LL[0, 11] == np.float32(0.97614)
    assert found.probability_LL[11, 0] == np.float32(0.97614)
    assert np.count_nonzero(found.probability_LL) == 8
    assert found.provenance.method == "linearpartition"
    words, letters = (tmp_path / "called").read_text().split("|")
    assert letters == "GGGCUUCGGCCC\n"
    assert words.startswith("-V -b 50 -c 1e-05 -r ")


def test_an_executable_on_the_path_is_found_and_an_absent_one_is_refused(executable, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(executable().parent))
    assert predict_adjacency(HAIRPIN, StageAConfig(backend="linearpartition")).partner_L[0] == 11
    monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))
    with pytest.raises(ConfigError, match=r"stage_a\.linearpartition: 'linearpartition' is no executable.*Build"):
        predict_adjacency(HAIRPIN, StageAConfig(backend="linearpartition"))


def test_a_run_that_fails_or_writes_nothing_says_what_it_said(executable):
    with pytest.raises(PredictionError, match=r"exit code 3, no probabilities written\. It said: no beam left"):
        predict_adjacency(HAIRPIN, linear(executable(None, code=3)))
    with pytest.raises(PredictionError, match="exit code 0, no probabilities written"):
        predict_adjacency(HAIRPIN, linear(executable(None)))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("1 12\n", r"line 1: '1 12' is not `i j p`"),
        ("1 12 0.5\n\n2 x 0.5\n", r"line 3: '2 x 0.5' is not"),
        ("1 13 0.5\n", r"line 1: '1 13 0.5' is no pair of the 12 residues"),
        ("12 1 0.5\n", r"is no pair of the 12 residues"),
        ("1 12 1.5\n", r"is no pair of the 12 residues"),
        ("1 12 nan\n", r"is no pair of the 12 residues"),
    ],
)
def test_a_line_that_is_no_pair_is_named(tmp_path, content, message):
    path = tmp_path / "pairs.txt"
    path.write_text(content)
    with pytest.raises(PredictionError, match=message):
        read_pairs(path, 12)


def test_a_header_is_left_out_and_sums_above_one_are_brought_to_one(executable):
    found = predict_adjacency(HAIRPIN, linear(executable(">hairpin\n1 12 1.0005\n1 11 0.0003\n2 11 0.9\n")))
    assert found.probability_LL.astype(np.float64).sum(axis=1).max() <= 1
    assert found.probability_LL[1, 10] == pytest.approx(0.9, abs=1e-3)


def test_linearpartition_refuses_what_it_cannot_use(executable):
    path = executable()
    given = GivenStructure.from_pairs("hairpin", 12, [(0, 11)], "test")
    with pytest.raises(ConfigError, match="linearpartition cannot use pairs"):
        predict_adjacency(HAIRPIN, linear(path, given_mode="constrain"), given)
    reactivity = Reactivity(id="hairpin", source="test", value_L=np.ones(12, dtype=np.float32))
    with pytest.raises(ConfigError, match="linearpartition cannot use reactivity_L"):
        predict_adjacency(HAIRPIN, linear(path), None, reactivity)
    for change, message in (
        ({"temperature_celsius": 25.0}, r"stage_a\.temperature_celsius: 25.0 is not for backend linearpartition"),
        ({"max_pair_span": 100}, r"stage_a\.max_pair_span: 100 is not for backend linearpartition"),
        ({"readout": "mfe"}, r"stage_a\.readout: mfe is not for backend linearpartition. Use one of: mea, centroid"),
        ({"pseudoknots": "iterative"}, r"iterative needs a free energy, backend linearpartition gives none"),
    ):
        with pytest.raises(ConfigError, match=message):
            predict_adjacency(HAIRPIN, linear(path, **change))


# MXfold2


class Network(torch.nn.Module):
    """Answers like MXfold2's network: scores, structures, and partners from 1 on."""

    def __init__(self) -> None:
        super().__init__()
        self.kept = torch.nn.Parameter(torch.zeros(2))

    def forward(self, sequences: list[str]) -> tuple[torch.Tensor, list[str], list[list[int]]]:
        assert not torch.is_grad_enabled()
        assert not self.training
        structure = "((((....))))" if self.kept[0] == 1 else "............"
        return torch.zeros(len(sequences)), [structure], [[0]]


@pytest.fixture
def package(monkeypatch, tmp_path):
    """A package like mxfold2: command-line settings from a file, weights beside them."""
    models = tmp_path / "models"
    models.mkdir()
    (models / "TrainSetAB.conf").write_text("--model\nMixC\n--param\nTrainSetAB.pth\n")
    torch.save({"kept": torch.ones(2)}, models / "TrainSetAB.pth")

    class Predict:
        @staticmethod
        def add_args(commands) -> None:
            parser = commands.add_parser("predict")
            for name in ("input", "--model", "--param"):
                parser.add_argument(name)

        def build_model(self, settings):
            assert settings.model == "MixC"
            return Network(), {}

    module = types.ModuleType("mxfold2.predict")
    module.Predict, module.__file__ = Predict, str(tmp_path / "predict.py")
    monkeypatch.setitem(sys.modules, "mxfold2", types.ModuleType("mxfold2"))
    monkeypatch.setitem(sys.modules, "mxfold2.predict", module)
    mxfold2._network.cache_clear()
    yield models / "TrainSetAB.pth"
    mxfold2._network.cache_clear()


MXFOLD2 = StageAConfig(backend="mxfold2", readout="mfe")


def test_mxfold2s_structure_is_the_matching_on_its_own_weights(package):
    found = predict_adjacency(HAIRPIN, MXFOLD2)
    assert to_dot_bracket(found.partner_L) == "((((....))))"
    paired = found.probability_LL[found.probability_LL > 0]
    assert len(paired) == 8
    assert set(paired.tolist()) == {float(np.float32(mxfold2.PAIR_PROBABILITY))}
    assert found.provenance.method == "mxfold2"
    assert found.provenance.weights == hashlib.sha256(package.read_bytes()).hexdigest()


def test_mxfold2_that_is_not_there_or_not_for_this_python_is_refused(monkeypatch):
    mxfold2._network.cache_clear()
    for absent in ("mxfold2", "mxfold2.predict"):
        monkeypatch.setitem(sys.modules, absent, None)
    with pytest.raises(ConfigError, match=r"stage_a\.backend: mxfold2 cannot be imported .*compiled for this Python"):
        predict_adjacency(HAIRPIN, MXFOLD2)


def test_mxfold2_refuses_other_readouts():
    with pytest.raises(ConfigError, match=r"stage_a\.readout: mea is not for backend mxfold2. Use one of: mfe"):
        predict_adjacency(HAIRPIN, dataclasses.replace(MXFOLD2, readout="mea"))


def test_each_has_a_choice_in_the_config_folder(root):
    found = resolve_stage_config("stage_a", root / "config", [], "linearpartition")
    assert (found.backend, found.max_length) == ("linearpartition", 20000)
    found = resolve_stage_config("stage_a", root / "config", [], "mxfold2")
    assert (found.backend, found.readout) == ("mxfold2", "mfe")
