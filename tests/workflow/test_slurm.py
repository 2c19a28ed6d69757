"""The literal Slurm command on a real Slurm: the whole pipeline on the examples, and the training.

Needs root and Slurm (`make install-slurm`); skipped where they are missing. What can go wrong there is in
test_slurm_faults.py.
"""

import os
import shutil
import time

import pytest

from .slurm_cluster import QUICK, command, jobs

SHORT = {
    "stage_a": {"choice": "default", "overrides": ["family=off"]},
    "stage_c": {"choice": "default", "overrides": ["method=nerf"]},
    "stage_d": {
        "choice": "default",
        "overrides": ["models=1", "steps=1", "iterations=1", "refine_iterations=60"],
        "gpu": 1,
    },
}
"""Settings with which every stage takes seconds; stage D asks for the pretend GPU."""


def test_the_literal_command_runs_all_examples_through_slurm(workflow, cluster):
    """The real pipeline, batched: 76 and 71 nt share a job at each stage, the hairpin has its own."""
    workflow.environment = cluster
    workflow.configure(batches=1, **SHORT)
    before = len(jobs(cluster))
    options = ("--set-resources", "stage_d_batch:slurm_partition=gpu")
    text = workflow.run("--cores", "8", "--profile", "slurm", *QUICK, *options)
    preds = workflow.folder / "results" / "preds"
    assert {path.name for path in preds.glob("*.pdb")} == {"trna_phe.pdb", "add_riboswitch.pdb", "hairpin.pdb"}, text
    submitted = jobs(cluster)[before:]
    assert sorted(job["Partition"] for job in submitted) == ["cpu"] * 8 + ["gpu"] * 2
    assert {job["JobState"] for job in submitted} == {"COMPLETED"}
    on_gpu = [job for job in submitted if job["Partition"] == "gpu"]
    assert all("gpu:1" in " ".join(job.values()).replace("=", ":") for job in on_gpu)
    memory = sorted(int(job["MinMemoryNode"].removesuffix("M")) for job in on_gpu)
    assert memory == [900, 909], "for the longest of a batch: 12 and 76 nt"
    assert workflow.planned("--cores", "8", "--profile", "slurm") == {}


@pytest.mark.slow
def test_without_batches_each_stage_of_each_rna_is_a_job(workflow, cluster):
    workflow.environment = cluster
    workflow.configure(**SHORT)
    before = len(jobs(cluster))
    options = ("--set-resources", "stage_d_diffusion:slurm_partition=gpu")
    workflow.run("--cores", "8", "--profile", "slurm", *QUICK, *options)
    assert sorted(job["Partition"] for job in jobs(cluster)[before:]) == ["cpu"] * 12 + ["gpu"] * 3
    assert len(list((workflow.folder / "results" / "preds").glob("*.pdb"))) == 3


TRAINING = """# @package _global_
defaults: [default, _self_]
data: {crop: 16, budget: 32, coordinates: false, native_pairs: 1.0}
losses: {copies: 1, rollout_steps: 1}
optimiser: {learning_rate: 0.01, warmup: 0, ema: 0.0}
validation: {every: 0}
trainer: {steps: 40, keep: last, save_every: 1}
"""


@pytest.mark.slow
def test_a_training_on_a_gpu_node_is_cancelled_and_its_retry_goes_on(workflow, cluster, chains_dir):
    """The real training as a job with a GPU. Cancelled, srun kills its step at once; Snakemake submits it again."""
    from rna_predict.nn.partial import read_partial

    (workflow.folder / "structures").mkdir()
    for name in ("17ra_A", "1am0_A"):
        shutil.copy(chains_dir / f"{name}.pdb.gz", workflow.folder / "structures")
    (workflow.folder / "config" / "experiment" / "short.yaml").write_text(TRAINING)
    workflow.environment = cluster
    workflow.configure(untrained="nano", dataset={"structures": "structures"}, training={"gpu": 1})
    run = workflow.folder / "results" / "checkpoints" / "short"
    resources = ("train:slurm_partition=gpu", "train:mem_mb=2000")  # the nodes have less than a second try asks for
    options = ("--set-resources", *resources, "--set-threads", "train=1")
    target = "results/checkpoints/short/partial.safetensors"
    process = workflow.start("--cores", "8", "--profile", "slurm", *QUICK, *options, "--", target)
    while not (run / "state.json").is_file():
        assert process.poll() is None, process.stdout.read()
        time.sleep(0.1)
    (job,) = command("squeue", "-h", "-p", "gpu", "-t", "R", "-o", "%i", env=os.environ | cluster).split()
    command("scancel", "--signal=TERM", "--full", job, env=os.environ | cluster)
    text, _ = process.communicate(timeout=300)
    assert process.returncode == 0, text
    assert read_partial(run / "partial.safetensors").header.step == 40
    logs = workflow.folder / "results" / "logs" / "train"
    assert "step 40 of 40" not in (logs / "short.log.attempt1").read_text()
    assert "going on from step_" in (logs / "short.log.attempt2").read_text()
    steps = [line.split(",")[0] for line in (run / "train.csv").read_text().splitlines()[1:]]
    assert steps == [str(step) for step in range(1, 41)]
