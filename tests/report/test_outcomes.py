"""Why an RNA has no result, and what one with a result cost, as logs, benchmarks and batches have it."""

import json
import os

import pytest

from rna_predict.errors import InputError
from rna_predict.report.costs import Cost, read_batch_costs, read_costs
from rna_predict.report.failures import missing

ERROR = "2026-11-28 12:50:51 ERROR   rna: failed: too short\n"
DONE = "2026-11-28 12:50:51 INFO    rna: stage done (1.0 s)\n"


@pytest.fixture
def logs(tmp_path):
    """`logs(name=text, …)`: files, each newer than the one before."""

    def write(**texts: str):
        for second, (name, text) in enumerate(texts.items()):
            path = tmp_path / name.replace("__", ".")
            path.write_text(text)
            os.utime(path, (second, second))
        return tmp_path

    return write


def test_the_last_error_of_the_last_job_is_the_reason(logs):
    found = missing("rna", logs(stage_a__log=DONE, stage_b__log=DONE + ERROR))
    assert (found.stage, found.reason, found.failed) == ("stage_b", "too short", True)


def test_an_attempt_that_a_later_one_made_good_is_no_reason(logs):
    found = missing("rna", logs(stage_a__log__attempt1=ERROR, stage_a__log=DONE, stage_b__log=""))
    assert (found.stage, found.failed) == ("stage_b", False)
    assert "was killed" in found.reason


def test_a_log_that_snakemake_cleared_leaves_that_of_its_attempt(logs):
    found = missing("rna", logs(stage_a__log=DONE, stage_b__log__attempt2=ERROR))
    assert (found.stage, found.reason) == ("stage_b", "too short")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("rna: failed: the batch says so\n", "the batch says so"),
        ("rna-predict: config.yaml: no such file.\n", "config.yaml: no such file."),
        ("Traceback (most recent call last):\n  File x\nMemoryError: 4 GB\n", "MemoryError: 4 GB"),
    ],
)
def test_other_forms_of_an_error_are_read_as_well(logs, text, reason):
    assert missing("rna", logs(stage_a__log=text)).reason == reason


def test_an_rna_without_logs_was_not_begun(tmp_path):
    found = missing("rna", tmp_path / "none")
    assert (found.stage, found.failed) == ("", False)


def test_costs_come_in_the_order_of_the_stages(tmp_path):
    for name, line in (("stage_d_diffusion", "2.5\t120.5"), ("extra", "1\tNA"), ("stage_a_adjacency", "4\t-")):
        (tmp_path / f"{name}.tsv").write_text(f"s\tmax_rss\n9\t9\n{line}\n")
    assert read_costs(tmp_path) == (
        Cost(job="stage_a_adjacency", seconds=4.0, peak_mb=None),
        Cost(job="stage_d_diffusion", seconds=2.5, peak_mb=120.5),
        Cost(job="extra", seconds=1.0, peak_mb=None),
    )


@pytest.mark.parametrize("text", ["", "s\tmax_rss\n", "a\tb\n1\t2\n", "s\tmax_rss\nx\t2\n", "s\tmax_rss\nnan\t2\n"])
def test_a_benchmark_that_is_none_is_refused(tmp_path, text):
    (tmp_path / "x.tsv").write_text(text)
    with pytest.raises(InputError, match=r"x\.tsv"):
        read_costs(tmp_path)


def test_a_batch_gives_each_rna_its_own_seconds(tmp_path):
    rows = {
        "one": {"status": "done", "reason": "", "seconds": 1.5},
        "two": {"status": "failed", "reason": "x", "seconds": 9.0},
    }
    for folder in ("batches/b1", "benchmarks/b1"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "batches/b1/stage_a.json").write_text(json.dumps(rows))
    (tmp_path / "benchmarks/b1/stage_a.tsv").write_text("s\tmax_rss\n99\t500\n")
    found = read_batch_costs(tmp_path / "batches", tmp_path / "benchmarks")
    assert found == {"one": (Cost(job="stage_a_adjacency", seconds=1.5, peak_mb=500.0, shared=True),)}
    (tmp_path / "batches/b1/stage_a.json").write_text("[]")
    with pytest.raises(InputError, match=r"stage_a\.json"):
        read_batch_costs(tmp_path / "batches", tmp_path / "benchmarks")
