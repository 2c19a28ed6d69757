"""The benchmark's figures of stage A, from results that are written by hand."""

import numpy as np
import pytest

from rna_predict.cli import stage_a_calibration
from rna_predict.cli.stage_a_calibration import Sampled, calibration_figures, fit
from rna_predict.cli.stage_a_figures import (
    MEASURES,
    Scored,
    by_name,
    compared,
    file_rows,
    headline,
    in_rfam,
    length_bin,
    method_table,
    summary,
    timing,
)
from rna_predict.cli.stage_a_methods import Answer
from rna_predict.cli.stage_a_rows import BenchRow
from rna_predict.errors import InputError
from rna_predict.evaluation.calibration import fit_calibration
from rna_predict.formats.dot_bracket import from_dot_bracket

from .pair_tables import row

NATIVE = "((((....))))"
RIGHT, HALF, NONE = NATIVE, "((........))", "............"
"""F1 1, 2 · 2 / (2 + 4) = 2/3, and 0."""


def scored(name: str, family: str, predictions: dict[str, str], native: str = NATIVE, **changes: str) -> Scored:
    known = row(name, "G" * 4 + "A" * 4 + "C" * 4, native, family=family, **changes)
    one = Scored(row=BenchRow(row=known, across=True), results={})
    for method, structure in predictions.items():
        one.add(method, Answer(partner_L=from_dot_bracket(structure), seconds=0.5, cpu_seconds=0.25, how="by hand"))
    return one


@pytest.fixture
def three() -> list[Scored]:
    """Two rows of one family, one of another."""
    return [
        scored("a", "RF00001", {"default": RIGHT, "vienna_mfe": HALF}, source="ArchiveII"),
        scored("b", "RF00001", {"default": HALF, "vienna_mfe": NONE}, source="ArchiveII"),
        scored("c", "RF00005", {"default": NONE, "vienna_mfe": RIGHT}, source="bpRNA"),
    ]


def test_means_over_rows_and_over_families_and_the_difference(three):
    full = summary(three, ["default", "vienna_mfe"], MEASURES, seed=0)
    assert (full["rows"], full["families"]) == (3, 2)
    f1 = full["methods"]["default"]["f1"]
    assert f1["rows"][0] == pytest.approx((1 + 2 / 3 + 0) / 3, abs=1e-4)
    assert f1["families"][0] == pytest.approx((5 / 6 + 0) / 2, abs=1e-4)
    assert full["methods"]["default"]["precision"]["rows"][0] == pytest.approx(2 / 3, abs=1e-4)
    assert full["methods"]["default"]["recall"]["rows"][0] == pytest.approx((1 + 0.5 + 0) / 3, abs=1e-4)
    gap = full["differences"]["default_minus_vienna_mfe"]
    assert gap["rows"][0] == pytest.approx((1 / 3 + 2 / 3 - 1) / 3, abs=1e-4)
    assert gap["families"][0] == pytest.approx((1 / 2 - 1) / 2, abs=1e-4)
    assert gap["families"][1] < -0.25 < gap["families"][2]


def test_pseudoknots_are_measured_where_the_native_has_one_and_counted_as_false_elsewhere(three):
    knot = "((.[[.)).]]."
    both = [
        *three,
        scored("k", "RF00005", {"default": knot, "vienna_mfe": "((....))...."}, knot),
        scored("n", "RF00005", {"default": knot, "vienna_mfe": "((....))...."}),
    ]
    found = summary(both, ["default", "vienna_mfe"], MEASURES, seed=0)["methods"]
    assert found["default"]["f1_pseudoknot"] == {"families": [1.0, None, None], "rows": [1.0, None, None], "n": 1}
    assert found["vienna_mfe"]["f1_pseudoknot"] == {"families": [0.0, None, None], "rows": [0.0, None, None], "n": 1}
    assert (found["default"]["false_knot"]["rows"][0], found["default"]["false_knot"]["n"]) == (0.25, 4)
    assert found["vienna_mfe"]["false_knot"]["rows"][0] == 0.0
    alone = summary(three, ["default"], ["f1_pseudoknot"], seed=0)["methods"]["default"]["f1_pseudoknot"]
    assert (alone["families"][0], alone["n"]) == (None, 0)


def test_every_variant_is_compared_with_viennarna():
    assert compared(["default", "no_family", "vienna_mfe", "mxfold2"]) == [
        ("default", "no_family"),
        ("default", "vienna_mfe"),
        ("default", "mxfold2"),
        ("no_family", "vienna_mfe"),
    ]


def test_the_headline_names_method_and_group(three):
    found = headline("cross_family", summary(three, ["default", "vienna_mfe"], MEASURES, seed=0))
    assert found["f1_default_cross_family"] == pytest.approx(5 / 12, abs=1e-4)
    assert found["f1_default_cross_family_rows"] == pytest.approx(5 / 9, abs=1e-4)
    assert found["f1_vienna_mfe_cross_family"] == pytest.approx((1 / 3 + 1) / 2, abs=1e-4)
    low, high = found["f1_default_minus_vienna_mfe_cross_family_interval"]
    assert low < found["f1_default_minus_vienna_mfe_cross_family"] < high


def test_a_failure_counts_as_nothing_predicted_and_is_counted(three):
    three[0].add("default", Answer.failed(12, "no\nmemory"))
    full = summary(three, ["default"], ["f1"], seed=0)
    assert full["methods"]["default"]["f1"]["rows"][0] == pytest.approx((0 + 2 / 3 + 0) / 3, abs=1e-4)
    times = timing(three, ["default"])
    assert times["default"]["failed"] == 1
    assert (times["default"]["seconds_median"], times["default"]["cpu_seconds_median"]) == (0.5, 0.25)
    lines = method_table(summary(three, ["default"], MEASURES, seed=0), times)
    assert (lines[0]["method"], lines[0]["failed"], lines[0]["knots"]) == ("default", 1, 0)


def test_figures_by_dataset_and_by_length(three):
    found = by_name(three, ["default", "vienna_mfe"], lambda one: one.row.source, seed=0)
    assert list(found) == ["ArchiveII", "bpRNA"]
    assert (found["ArchiveII"]["rows"], found["ArchiveII"]["families"]) == (2, 1)
    assert found["ArchiveII"]["f1_rows"]["default"] == pytest.approx(5 / 6, abs=1e-4)
    assert found["bpRNA"]["differences"]["default_minus_vienna_mfe"] == [-1.0, None, None]
    assert [length_bin(length) for length in (1, 49, 50, 199, 200, 400, 5000)] == [
        "000-049",
        "000-049",
        "050-099",
        "100-199",
        "200-399",
        "400+",
        "400+",
    ]


def test_a_line_of_the_file_tells_all(three):
    first = next(iter(file_rows(three[1:])))
    assert (first["id"], first["method"], first["group"], first["length"]) == ("b", "default", "cross_family", 12)
    assert (first["exact_native"], first["exact_predicted"], first["exact_right"]) == (4, 2, 2)
    assert (first["f1"], first["f1_pseudoknot"], first["pairs"]) == ("0.6667", "", "1-12 2-11")


def test_families_of_rfam_are_known_by_their_accession(three):
    assert in_rfam(three[0].row)
    assert not in_rfam(scored("x", "cluster-1", {}).row)


def sampled(name: str, family: str, rng: np.random.Generator, power: float) -> Sampled:
    """A row whose pairs (0, 11) … (5, 6) are native with the chance p ** power, where p is stated."""
    p = rng.random(6)
    natives = rng.random(6) < p**power
    partner_L = np.full(12, -1)
    probability_LL = np.zeros((12, 12), dtype=np.float32)
    for i in range(6):
        probability_LL[i, 11 - i] = probability_LL[11 - i, i] = p[i]
        if natives[i]:
            partner_L[i], partner_L[11 - i] = 11 - i, i
    marks = "".join("." if other < 0 else "()"[int(other < i)] for i, other in enumerate(partner_L))
    one = BenchRow(row=row(name, "G" * 6 + "C" * 6, marks, family=family), across=True)
    chosen_L = np.array([11, *[-1] * 10, 0])
    return Sampled.of(one, Answer(partner_L=chosen_L, seconds=None, probability_LL=probability_LL))


def test_the_error_of_probabilities_is_the_known_one_and_a_fit_mends_it():
    rng = np.random.default_rng(0)
    samples = [sampled(f"s{n}", f"RF{n % 40:05d}", rng, power=2) for n in range(1200)]
    tables = {}
    figures = calibration_figures(samples, 0, tables)
    assert figures["ece"] == pytest.approx(1 / 6, abs=0.015)
    assert figures["ece_interval"][0] < figures["ece"] < figures["ece_interval"][1]
    assert figures["ece_chosen"] == pytest.approx(1 / 6, abs=0.03)
    assert figures["ece_within_family"] is None
    assert sum(one["pairs"] for one in figures["reliability_chosen"]) == 1200
    assert len(next(iter(tables.values()))) == 10
    fit(samples, figures, 0)
    assert figures["ece_before_fit"] == figures["ece"]
    assert figures["ece_fitted_on_other_families"] < 0.03


def test_no_family_judges_a_map_that_was_fitted_on_it(monkeypatch):
    rng = np.random.default_rng(1)
    samples = [sampled(f"s{n}", f"RF{n % 10:05d}", rng, power=1) for n in range(100)]
    seen = []

    def record(pairs, floor=None):
        seen.append({id(one) for one in pairs})
        return fit_calibration(pairs)

    monkeypatch.setattr(stage_a_calibration, "fit_calibration", record)
    fit(samples, {}, 0)
    assert len(seen) == 6
    families = [{one.row.row.family for one in samples if id(one.pairs) in group} for group in seen]
    assert [len(names) for names in families] == [8, 8, 8, 8, 8, 10]
    assert all(sum(name in names for names in families[:5]) == 4 for name in families[5])
    with pytest.raises(InputError, match="rows of 1 family"):
        fit([one for one in samples if one.row.row.family == "RF00001"], {}, 0)
