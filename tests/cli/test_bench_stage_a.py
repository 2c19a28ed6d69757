"""`rna-predict bench stage-a` from end to end, on a table of a few short RNAs."""

import csv
import json
import sys

import pytest

from rna_predict.cli import stage_a_methods
from rna_predict.cli.stage_a_measure import Options, line_up
from rna_predict.cli.stage_a_rows import RowSettings, choose_rows
from rna_predict.errors import ConfigError

from .pair_tables import row, write

HAIRPIN = "GGGGCUUCGGCCCC"
FOLDED = "((((......))))"
"""ViennaRNA and stage A pair these four, and 5-10 C-G besides."""


@pytest.fixture
def table(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("importlib.util.find_spec", lambda module: None)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    rows = [
        row("a", HAIRPIN, "(((((....)))))", source="ArchiveII"),
        row("b", HAIRPIN, "((((......))))", source="bpRNA", family="RF00005"),
        row("knot", "GGGGAACCCCAACCCCAAGGGG", "((((..[[[[..))))..]]]]", source="bpRNA", family="cluster-1"),
        row("w", "GGGGCUUCGGCCCA", ".((((....)))).", split="within", family="RF00010"),
        row("train", HAIRPIN, "(((((....)))))", split="train", family="RF00010"),
    ]
    return write(tmp_path / "table", rows).folder


def test_the_command_prints_tables_and_the_asked_figures(run, table, tmp_path):
    out = tmp_path / "rows.tsv"
    result = run("bench", "stage-a", table, "--family", "off", "--out", out)
    assert result.code == 0
    assert "cross_family: 3 rows of 3 families" in result.out
    assert "within_family: 1 rows of 1 families" in result.out
    assert "sincfold is missing: not installed" in result.out
    assert "default: 4 rows in " in result.err
    figures = json.loads(result.out.splitlines()[-1])
    assert set(figures["missing"]) >= {"mxfold2", "sincfold"}
    with out.open() as file:
        lines = {(line["id"], line["method"]): line for line in csv.DictReader(file, delimiter="\t")}
    assert lines["a", "vienna_mfe"]["pairs"] == "1-14 2-13 3-12 4-11 5-10"
    assert (lines["a", "vienna_mfe"]["f1"], lines["b", "vienna_mfe"]["f1"]) == ("1.0000", f"{8 / 9:.4f}")
    knot = lines["knot", "vienna_mfe"]
    assert (knot["crossing_native"], knot["f1_pseudoknot"]) == ("8", "0.0000")
    mean = sum(float(lines[name, "vienna_mfe"]["f1"]) for name in ("a", "b", "knot")) / 3
    assert figures["f1_vienna_mfe_cross_family"] == pytest.approx(mean, abs=1e-4)
    mean = sum(float(lines[name, "default"]["f1"]) for name in ("a", "b", "knot")) / 3
    assert figures["f1_default_cross_family"] == pytest.approx(mean, abs=1e-4)
    assert figures["f1_within_family"] == figures["f1_default_within_family"] == 1.0
    assert figures["f1_default_minus_vienna_mfe_cross_family"] == pytest.approx(
        figures["f1_default_cross_family"] - figures["f1_vienna_mfe_cross_family"], abs=2e-4
    )
    assert figures["groups"]["cross_family"]["by_dataset"]["bpRNA"]["rows"] == 2
    assert list(figures["groups"]["cross_family"]["by_length"]) == ["000-049"]
    assert set(figures["groups"]["cross_family"]["by_family"]) == {"RF00001", "RF00005", "cluster-1"}
    assert 0 <= figures["ece"] <= 1
    assert 0 < float(lines["a", "default"]["cpu_seconds"]) < 5
    assert sum(line["method"] == "default" for line in lines.values()) == 4


def test_a_calibration_is_fitted_on_validation_rows_alone(run, table, tmp_path):
    path = tmp_path / "calibration.json"
    words = ("bench", "stage-a", table, "--family", "off", "--peers", "vienna_mfe", "--calibration", path)
    result = run(*words)
    assert result.code == 2
    assert "--calibration: with --across test it would be fitted on families that test" in result.err
    rows = [
        row(f"v{n}", HAIRPIN, native, split="validation", family=f"RF{n:05d}", cluster=f"RF{n:05d}/0")
        for n, native in enumerate(["(((((....)))))", "((((......))))", "((..........))"] * 4)
    ]
    other = write(tmp_path / "other", rows).folder
    result = run("bench", "stage-a", other, *words[3:], "--across", "validation")
    assert result.code == 0
    figures = json.loads(result.out.splitlines()[-1])
    assert json.loads(path.read_text()) == figures["calibration"]
    assert figures["calibration"]["rnas"] == 12
    assert figures["ece_fitted_on_other_families"] < figures["ece_before_fit"]


def test_settings_of_stage_a_reach_it(run, table):
    words = ("bench", "stage-a", table, "--family", "off", "--peers", "vienna_mfe")
    figures = json.loads(run(*words, "--config", "min_stem=5", "--config", "readout=mfe").out.splitlines()[-1])
    assert figures["f1_default_cross_family"] == pytest.approx(figures["f1_vienna_mfe_cross_family"])
    figures = json.loads(run(*words, "--config", "min_stem=6").out.splitlines()[-1])
    assert figures["f1_default_cross_family"] == 0.0
    result = run(*words, "--config", "min_stm=6")
    assert result.code == 2
    assert "min_stm" in result.err


def test_one_rna_that_fails_is_counted_and_scored_as_nothing(run, table, monkeypatch):
    predict = stage_a_methods.predict_adjacency

    def fail(sequence, config):
        if sequence.sequence == "GGGGCUUCGGCCCA":
            raise MemoryError("too large")
        return predict(sequence, config)

    monkeypatch.setattr(stage_a_methods, "predict_adjacency", fail)
    result = run("bench", "stage-a", table, "--family", "off", "--peers", "vienna_mfe")
    figures = json.loads(result.out.splitlines()[-1])
    group = figures["groups"]["within_family"]
    assert (group["timing"]["default"]["failed"], group["timing"]["vienna_mfe"]["failed"]) == (1, 0)
    assert group["by_family"] == {"RF00010": {"rows": 1, "f1": {"default": 0.0, "vienna_mfe": 1.0}}}


def test_held_out_families_are_kept_from_the_library_across_families_alone(run, table, monkeypatch):
    """Each variant with its settings, on the rows that it is for; `full_library` only where it differs."""
    asked: dict[str, list[tuple[str, list[str]]]] = {}
    predict = stage_a_methods.predict_adjacency

    def record(sequence, config):
        asked.setdefault(sequence.sequence, []).append((config.family, config.family_exclude))
        return predict(sequence, config)

    monkeypatch.setattr(stage_a_methods, "predict_adjacency", record)
    result = run("bench", "stage-a", table, "--peers", "vienna_mfe", "--config", "family_exclude=[RF99999]")
    assert result.code == 0
    knot = "GGGGAACCCCAACCCCAAGGGG"
    whole, off = ("auto", ["RF99999"]), ("off", ["RF99999"])
    (mode, excluded), *others = asked[knot]
    assert others == [off, whole]
    # RF01852, selenocysteine tRNA, is of the clan of RF00005; RF00010 is measured within its family
    assert mode == "auto"
    assert set(excluded) >= {"RF00001", "RF00005", "RF01852", "RF99999"}
    assert "RF00010" not in excluded
    within = "GGGGCUUCGGCCCA"
    assert asked[within] == [whole, off]
    figures = json.loads(result.out.splitlines()[-1])
    assert list(figures["groups"]["cross_family"]["methods"]) == ["default", "no_family", "full_library", "vienna_mfe"]
    assert list(figures["groups"]["within_family"]["methods"]) == ["default", "no_family", "vienna_mfe"]
    assert figures["f1_default_minus_no_family_cross_family"] == 0.0
    assert figures["hits_cross_family"] == 0
    assert (figures["known_family_rows"], figures["known_family_families"]) == (3, 3)
    assert figures["f1_known_family"] == pytest.approx((1 + 8 / 9 + 1) / 3, abs=1e-4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"peers": ("nosuch",)}, "--peers 'nosuch'"), ({"family": "on"}, "--family 'on': use off or auto")],
)
def test_options_that_mean_nothing_are_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        Options(rows=RowSettings(), **changes)


def test_viennarnas_mfe_is_always_there(tmp_path):
    chosen = choose_rows(write(tmp_path, [row("a", HAIRPIN, FOLDED)]), RowSettings())
    names = [method.name for method in line_up(Options(rows=RowSettings(), peers=(), family="off"), chosen).methods]
    assert names == ["default", "vienna_mfe"]
