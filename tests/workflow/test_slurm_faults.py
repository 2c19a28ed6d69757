"""What happens to jobs on a cluster, on a real Slurm: cancelled, requeued, drained, out of memory; a stage run again.

One run meets all of it, each at another stage, on its way to the end. Needs root and Slurm (`make install-slurm`).
"""

import json
import os
import time
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from .slurm_cluster import QUICK, command, jobs

pytestmark = pytest.mark.slow

SHORT = {
    "stage_a": {"choice": "default", "overrides": ["family=off"]},
    "stage_c": {"choice": "default", "overrides": ["method=nerf"]},
    "stage_d": {"choice": "default", "overrides": ["models=1", "steps=1", "iterations=1", "refine_iterations=60"]},
}
LITERAL = ("--cores", "8", "--profile", "slurm", *QUICK)

OUT_OF_MEMORY = """
import os, signal, sys
words = sys.orig_argv
if "stage-c" in words and words[words.index("--attempts-left") + 1] == "2":
    os.kill(os.getpid(), signal.SIGKILL)  # as the kernel does: exit code 137
"""
"""Stands for the limit that this Slurm does not enforce: stage C's first attempt gets no further."""


def of_rule(cluster: dict[str, str], rule: str, first: int) -> list[dict[str, str]]:
    """The jobs of a rule that were submitted from number `first` on."""
    return [job for job in jobs(cluster)[first:] if rule in job.get("Comment", "")]


def wait_for(found: Callable[[], object], process) -> object:
    """What `found` returns as soon as it is something."""
    for _ in range(3000):
        if value := found():
            return value
        assert process.poll() is None, process.stdout.read()
        time.sleep(0.1)
    pytest.fail("it did not happen in five minutes")


def megabytes(job: dict[str, str]) -> int:
    """Memory that a job asked for."""
    text = job["MinMemoryNode"]
    return round(float(text[:-1]) * {"M": 1, "G": 1024}[text[-1]])


@pytest.fixture(scope="module")
def survived(copy_of_workflow, tmp_path_factory, cluster):
    """A run of two RNAs whose jobs are cancelled, requeued, held up by a drained node, and killed."""
    workflow = copy_of_workflow(tmp_path_factory.mktemp("survived"))
    (workflow.folder / "site").mkdir()
    (workflow.folder / "site" / "sitecustomize.py").write_text(OUT_OF_MEMORY)
    paths = [str(workflow.folder / "site"), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    workflow.environment = cluster | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
    workflow.configure(batches=1, **SHORT)
    workflow.samples("hairpin GGGCUUCGGCCC", "other GGCACUUCGGUGCC")
    environment, first = os.environ | cluster, len(jobs(cluster))
    process = workflow.start(*LITERAL)

    def running(rule: str) -> list[dict[str, str]]:
        return [job for job in of_rule(cluster, rule, first) if job["JobState"] == "RUNNING"]

    (cancelled,) = wait_for(lambda: running("stage_a_batch"), process)
    command("scancel", cancelled["JobId"], env=environment)
    (requeued,) = wait_for(lambda: running("templates_batch"), process)
    command("scontrol", "requeue", requeued["JobId"], env=environment)
    wait_for(lambda: not running("templates_batch"), process)
    command("scontrol", "update", f"JobId={requeued['JobId']}", "StartTime=now", env=environment)
    (drained,) = wait_for(lambda: running("stage_b_batch"), process)
    command("scontrol", "update", "NodeName=c1", "State=DRAIN", "Reason=test", env=environment)
    waiting = wait_for(lambda: of_rule(cluster, "stage_c_batch", first), process)
    time.sleep(3)
    waiting = of_rule(cluster, "stage_c_batch", first)
    command("scontrol", "update", "NodeName=c1", "State=RESUME", env=environment)
    text, _ = process.communicate(timeout=580)
    return SimpleNamespace(
        **{"workflow": workflow, "cluster": cluster, "text": text, "code": process.returncode, "first": first},
        **{"cancelled": cancelled, "requeued": requeued, "drained": drained, "waiting": waiting},
    )


def test_fault_29_the_run_ends_well_with_one_result_each(survived):
    assert survived.code == 0, survived.text
    results = survived.workflow.folder / "results"
    made = {path.name for path in (results / "preds").iterdir()}
    assert made == {f"{name}.{suffix}" for name in ("hairpin", "other") for suffix in ("pdb", "cif")}
    for stage in ("stage_a", "templates", "stage_b", "stage_c", "stage_d"):
        assert len(list((results / "store" / stage).glob("??/*/entry.json"))) == 2, stage
    assert not list((results / "store").glob(".work-*/*.cif"))
    assert survived.workflow.planned("--cores", "8", "--profile", "slurm") == {}


def test_fault_29_a_cancelled_job_is_tried_again_with_more_memory_and_time(survived):
    first, second = of_rule(survived.cluster, "stage_a_batch", survived.first)
    assert (first["JobId"], first["JobState"]) == (survived.cancelled["JobId"], "CANCELLED")
    assert second["JobState"] == "COMPLETED"
    assert megabytes(second) == 2 * megabytes(first)
    assert second["TimeLimit"] > first["TimeLimit"]


def test_fault_29_out_of_memory_is_tried_again_with_more(survived):
    first, second = of_rule(survived.cluster, "stage_c_batch", survived.first)
    assert (first["JobState"], second["JobState"]) == ("FAILED", "COMPLETED")
    assert megabytes(second) == 2 * megabytes(first)


def test_fault_29_a_requeued_job_keeps_its_number_and_ends(survived):
    (job,) = of_rule(survived.cluster, "templates_batch", survived.first)
    assert (job["JobId"], job["JobState"]) == (survived.requeued["JobId"], "COMPLETED")
    assert int(job["Restarts"]) == 1


def test_a_drained_node_lets_its_job_end_and_the_next_one_wait(survived):
    (job,) = of_rule(survived.cluster, "stage_b_batch", survived.first)
    assert (job["JobId"], job["JobState"]) == (survived.drained["JobId"], "COMPLETED")
    assert [job["JobState"] for job in survived.waiting] == ["PENDING"]


def test_a_rerun_of_stage_c_submits_c_and_what_depends_on_it(survived):
    workflow, first = survived.workflow, len(jobs(survived.cluster))
    workflow.environment = survived.cluster
    workflow.run(*LITERAL, "--forcerun", "stage_c_batch")
    submitted = [job["Comment"] for job in jobs(survived.cluster)[first:]]
    assert [next(name for name in ("stage_c_batch", "stage_d_batch") if name in one) for one in submitted] == [
        "stage_c_batch",
        "stage_d_batch",
    ]
    status = next((workflow.folder / "results" / "batches").glob("*/stage_c.json"))
    assert all(row["found"] for row in json.loads(status.read_text()).values())


STUCK = """
import sys, time
words = sys.orig_argv
if "stage-c" in words and words[words.index("--attempts-left") + 1] == "2":
    time.sleep(900)
"""
"""A first attempt at stage C that does not come to its end."""


def test_a_job_that_runs_out_of_time_is_tried_again_with_more(copy_of_workflow, tmp_path, cluster):
    workflow = copy_of_workflow(tmp_path)
    (workflow.folder / "site").mkdir()
    (workflow.folder / "site" / "sitecustomize.py").write_text(STUCK)
    paths = [str(workflow.folder / "site"), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    workflow.environment = cluster | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
    workflow.configure(batches=1, **SHORT)
    workflow.samples("hairpin GGGCUUCGGCCC")
    first = len(jobs(cluster))
    process = workflow.start(*LITERAL)
    (stuck,) = wait_for(
        lambda: [job for job in of_rule(cluster, "stage_c_batch", first) if job["JobState"] == "RUNNING"], process
    )
    command("scontrol", "update", f"JobId={stuck['JobId']}", "TimeLimit=1", env=os.environ | cluster)
    text, _ = process.communicate(timeout=580)
    assert process.returncode == 0, text
    ended, again = of_rule(cluster, "stage_c_batch", first)
    assert (ended["JobId"], ended["JobState"], again["JobState"]) == (stuck["JobId"], "TIMEOUT", "COMPLETED")
    assert again["TimeLimit"] > stuck["TimeLimit"], "as it was asked for at first"
    assert (workflow.folder / "results" / "preds" / "hairpin.pdb").is_file()
