"""The literal Slurm command on a real Slurm: one machine, two nodes, pretend GPUs, everything in one folder.

Needs root and `apt-get install slurmctld slurmd slurm-client munge`; skipped where they are missing.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun")

CONF = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool.%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.%n.log
MailProg=/bin/true
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
ReturnToService=2
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,batch_sched_delay=0,bf_interval=1
SlurmdParameters=config_overrides
GresTypes=gpu
NodeName=c1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=8 RealMemory=16000 State=UNKNOWN
NodeName=g1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=8 RealMemory=16000 Gres=gpu:1 State=UNKNOWN
PartitionName=cpu Nodes=c1 Default=YES MaxTime=INFINITE State=UP
PartitionName=gpu Nodes=g1 MaxTime=INFINITE State=UP
"""


def free_ports(count: int) -> list[int]:
    """Loopback ports that nothing listens on now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def command(*words: object, **options) -> str:
    """Run a program to its end and return what it printed."""
    return subprocess.run([*map(str, words)], check=True, capture_output=True, text=True, **options).stdout


def start_munge(folder: Path) -> None:
    """The authentication service, with a key and a socket of its own."""
    (folder / "munge.key").write_bytes(os.urandom(1024))
    (folder / "munge.key").chmod(0o400)
    files = {"key-file": "munge.key", "socket": "munge.socket", "pid-file": "munged.pid"}
    files |= {"log-file": "munged.log", "seed-file": "munge.seed"}
    command("munged", "--force", *(f"--{name}={folder / file}" for name, file in files.items()))


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Start Slurm and yield the environment that reaches it; everything is stopped by its PID file."""
    missing = [name for name in PROGRAMS if not shutil.which(name)]
    if missing or os.geteuid() != 0:
        pytest.skip(f"needs root and Slurm; missing: {', '.join(missing) or 'root'}")
    folder = Path("/tmp") / f"slurm{os.getpid()}"  # short: a socket's path has at most 108 bytes
    for name in ("", "state", "spool.c1", "spool.g1", "bin"):
        (folder / name).mkdir(mode=0o755)
    start_munge(folder)
    os.mknod(folder / "gpu0", 0o666 | 0o020000, os.makedev(1, 3))  # a device file is what makes Slurm count a GPU
    (folder / "gres.conf").write_text(f"NodeName=g1 Name=gpu File={folder / 'gpu0'}\n")
    (folder / "cgroup.conf").write_text("CgroupAutomount=no\n")
    conf = folder / "slurm.conf"
    host = socket.gethostname().partition(".")[0]
    conf.write_text(CONF.format(host=host, ports=free_ports(3), folder=folder))
    # The job step plugin drops every SLURM_ variable before its inner srun; this puts the file's name back.
    shim = folder / "bin" / "srun"
    shim.write_text(f'#!/bin/sh\nexport SLURM_CONF={conf}\nexec {shutil.which("srun")} "$@"\n')
    shim.chmod(0o755)
    environment = {"SLURM_CONF": str(conf), "PATH": f"{shim.parent}:{os.environ['PATH']}"}
    try:
        command("slurmctld", "-f", conf, env=os.environ | environment)
        for node in ("c1", "g1"):
            command("slurmd", "-f", conf, "-N", node, env=os.environ | environment)
        wait_until_idle(os.environ | environment)
        yield environment
    finally:
        for pid_file in sorted(folder.glob("*.pid"), reverse=True):
            os.kill(int(pid_file.read_text()), signal.SIGTERM)
        time.sleep(1)
        shutil.rmtree(folder, ignore_errors=True)


def wait_until_idle(environment: dict[str, str]) -> None:
    """Return when both nodes take jobs."""
    for _ in range(100):
        if command("sinfo", "-h", "-N", "-o", "%T", env=environment).split().count("idle") == 2:
            return
        time.sleep(0.2)
    pytest.fail("the nodes did not come up: " + command("sinfo", "-N", env=environment))


@pytest.mark.slow
def test_the_literal_command_runs_each_stage_as_a_job_with_its_resources(workflow, cluster):
    workflow.stand_in()
    workflow.environment = cluster
    workflow.configure(stage_d={"choice": "default", "overrides": [], "gpu": 1})
    workflow.samples("one ACGUACGUACGU")
    quick = ("--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "1")
    options = ("--set-resources", "stage_d_diffusion:slurm_partition=gpu", "--latency-wait", "10")
    text = workflow.run("--cores", "8", "--profile", "slurm", *quick, *options)
    assert (workflow.folder / "results" / "preds" / "one.pdb").is_file()
    jobs = command("scontrol", "show", "job", "--oneliner", env=os.environ | cluster).splitlines()
    partitions = sorted(re.findall(r"Partition=(\w+)", " ".join(jobs)))
    assert partitions == ["cpu", "cpu", "cpu", "gpu"], text
    gpu_job = next(job for job in jobs if "Partition=gpu" in job)
    assert "gres:gpu:1" in gpu_job.replace("gres/gpu", "gres:gpu").replace("=1", ":1")
    assert "NumCPUs=1" in gpu_job


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
    quick = ("--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "1")
    resources = ("train:slurm_partition=gpu", "train:mem_mb=2000")  # the nodes have less than a second try asks for
    options = ("--set-resources", *resources, "--latency-wait", "10", "--set-threads", "train=1")
    target = "results/checkpoints/short/partial.safetensors"
    process = workflow.start("--cores", "8", "--profile", "slurm", *quick, *options, "--", target)
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
