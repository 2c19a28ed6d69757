"""The benchmark of the workflow: what counts as compute, and its figures."""

import json

import pytest

from rna_predict.cli import bench_workflow
from rna_predict.cli.bench_workflow import Run, by_stage, measure, reported_in_batches, warm


def test_what_the_first_rna_of_a_job_takes_beyond_the_median_is_no_compute():
    assert warm([5.0, 1.0, 1.0, 2.0]) == pytest.approx(1.5 + 1.0 + 1.0 + 2.0)
    assert warm([1.0, 3.0]) == pytest.approx(4.0)
    assert warm([2.0]) == pytest.approx(2.0)


def test_only_what_a_job_made_itself_counts(tmp_path):
    rows = {
        "a": {"status": "done", "found": False, "seconds": 1.5},
        "b": {"status": "done", "found": True, "seconds": 0.0},
        "c": {"status": "failed", "found": False, "seconds": 9.0},
    }
    folder = tmp_path / "results" / "batches" / "to64nt_1of1"
    folder.mkdir(parents=True)
    (folder / "stage_a.json").write_text(json.dumps(rows))
    (folder / "stage_b.json").write_text("{}")
    assert by_stage(list(reported_in_batches(tmp_path))) == {"stage_a": [[1.5]]}


def test_overhead_is_wall_time_less_the_compute_spread_over_the_cores(monkeypatch, tmp_path):
    monkeypatch.setattr(bench_workflow, "run_workflow", lambda folder, sheet, run: (10.0, 1))
    jobs = [("stage_a", [1.0, 1.0]), ("stage_d", [4.0, 4.0]), ("stage_d", [9.0, 3.0])]
    monkeypatch.setattr(bench_workflow, "reported_in_batches", lambda folder: jobs)
    rows, figures = measure(tmp_path, Run(sequences=4, batches=2, cores=2, quick=True, seed=0))
    compute = 2.0 + 8.0 + 9.0
    assert figures["compute_seconds"] == pytest.approx(compute)
    assert figures["overhead_seconds_per_sequence"] == pytest.approx((10.0 - compute / 2) / 4)
    assert figures["overhead_share"] == pytest.approx((10.0 - compute / 2) / 10.0)
    assert (figures["failed"], [row["jobs"] for row in rows]) == (1, [1, 2])
