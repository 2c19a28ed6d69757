"""Slurm on one machine, in one folder: two nodes on this host, eight pretend cores each, a pretend GPU on one of them.

As a script it runs a command under such a Slurm and takes it down again, with the command's exit code:

    python tests/workflow/slurm_cluster.py .venv/bin/snakemake --cores 8 --profile slurm \\
        --slurm-status-command squeue --seconds-between-status-checks 2

Needs root and `apt-get install slurmctld slurmd slurm-client munge` (`make install-slurm`). There is no accounting, so
that `sacct` would wait for ever: hence the first option. Nor is memory enforced: jobs can take what they like.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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
MinJobAge=100000
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


QUICK = (
    *("--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "1"),
    *("--seconds-between-status-checks", "2", "--latency-wait", "10"),
)
"""Options without which Snakemake waits for accounting, or 20 s for each look at a job."""


class NoSlurmError(Exception):
    """This machine lacks what it takes."""


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


@contextmanager
def slurm() -> Iterator[dict[str, str]]:
    """Start Slurm and yield the environment that reaches it; everything is stopped by its PID file.

    Raises:
        NoSlurmError: a program is missing, or this user is not root.
    """
    missing = [name for name in PROGRAMS if not shutil.which(name)]
    if missing or os.geteuid() != 0:
        raise NoSlurmError(f"needs root and Slurm; missing: {', '.join(missing) or 'root'}")
    folder = Path(tempfile.mkdtemp(prefix="slurm", dir="/tmp"))  # short: a socket's path has at most 108 bytes
    folder.chmod(0o755)
    for name in ("state", "spool.c1", "spool.g1", "bin"):
        (folder / name).mkdir(mode=0o755)
    try:
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
    """Return when both nodes take jobs.

    Raises:
        NoSlurmError: they do not within a minute.
    """
    for _ in range(300):
        if command("sinfo", "-h", "-N", "-o", "%T", env=environment).split().count("idle") == 2:
            return
        time.sleep(0.2)
    raise NoSlurmError("the nodes did not come up: " + command("sinfo", "-N", env=environment))


def jobs(environment: dict[str, str]) -> list[dict[str, str]]:
    """Every job that Slurm still knows, as `scontrol show job` has it, in the order of submission."""
    lines = command("scontrol", "show", "job", "--oneliner", env=os.environ | environment).splitlines()
    found = [dict(word.partition("=")[::2] for word in line.split() if "=" in word) for line in lines]
    return sorted((job for job in found if "JobId" in job), key=lambda job: int(job["JobId"]))


if __name__ == "__main__":
    with slurm() as reached:
        ended = subprocess.run(sys.argv[1:], env=os.environ | reached, check=False).returncode
    sys.exit(ended)
