"""A copy of the workflow in a temporary folder, and a way to run Snakemake there."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

from .slurm_cluster import PROGRAMS, slurm

PARTS = ("Snakefile", "workflow", "config", "profiles", "envs", "slurm")

STAND_IN = '''
"""Stand-in for the command line: writes every file that a command owes, with the arguments as content."""
import argparse, pathlib, sys

OWED = {
    "prepare": ["sequence.fasta"],
    "stage-a": ["a_adjacency.safetensors", "a_adjacency.dbn", "a_family.a3m", "a_family.json"],
    "stage-templates": ["t_templates.safetensors", "t_templates.json"],
    "stage-b": ["b_torsions.safetensors", "b_embeddings.safetensors"],
    "stage-c": ["c_coordinates.safetensors", "c_coordinates.pdb"],
    "stage-d": ["d_models.cif", "d_confidence.json"],
}
command, *rest = sys.argv[1:]
print("attempt of", command)
parser = argparse.ArgumentParser()
OPTIONS = "root config config-dir threads out given reactivity msa ambiguous stage stages weights untrained partial"
for name in (*OPTIONS.split(), "templates-config", "samples", "name", "url", "release", "sequences", "confidence"):
    parser.add_argument(f"--{name}")
parser.add_argument("words", nargs="*")
options = parser.parse_intermixed_args(rest)
if command == "config" and options.words[0] == "resolve":
    files = [pathlib.Path(options.out, f"{options.stage}.yaml")]
elif command in ("config", "db", "families", "submission", "report"):
    files = [pathlib.Path(options.out)]
elif command == "train":
    files = [pathlib.Path(options.out, "partial.safetensors")]
elif command == "relax":
    name = pathlib.Path(options.words[0]).parent.name
    files = [pathlib.Path(options.words[1], f"{name}.{suffix}") for suffix in ("pdb", "cif")]
elif command == "export":
    files = [pathlib.Path(options.out, f"{options.words[0]}.{suffix}") for suffix in ("pdb", "cif")]
else:
    folder = pathlib.Path(options.root, options.words[0].partition("=")[0])
    files = [folder / name for name in OWED[command]]
if command == "stage-c" and options.words == ["failing"]:
    sys.exit("failing: failed on purpose")
for file in files:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(" ".join(sys.argv[1:]))
'''


@dataclass
class Workflow:
    """The workflow's files in a folder of their own."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start Snakemake in a process group of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "snakemake", *arguments],
            cwd=self.folder,
            env=os.environ | self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, *arguments: str, code: int = 0) -> str:
        """Run Snakemake to its end, expect an exit code, and return what it printed."""
        process = self.start(*arguments)
        try:
            text, _ = process.communicate(timeout=540)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        assert process.returncode == code, text
        return text

    def planned(self, *arguments: str) -> dict[str, int]:
        """Rules and numbers of jobs that a dry run lists."""
        return job_counts(self.run("-n", *arguments))

    def done(self, *arguments: str) -> dict[str, int]:
        """Rules and numbers of jobs that a run listed before it went through."""
        return job_counts(self.run(*arguments))

    def stand_in(self) -> None:
        """Let a stand-in take the place of the package: the workflow's own behaviour is under test."""
        package = self.folder / "rna_predict"
        package.mkdir()
        (package / "__init__.py").write_text('__version__ = "0.1.0"\n')
        (package / "__main__.py").write_text(STAND_IN)

    def configure(self, **changes: object) -> None:
        """Change top-level keys of config/config.yaml."""
        path = self.folder / "config" / "config.yaml"
        path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | changes))

    def samples(self, *rows: str) -> None:
        """Replace the sample sheet's rows; cells are separated by blanks here."""
        lines = ["id\tsequence\tstructure", *("\t".join(row.split(" ")) for row in rows)]
        (self.folder / "config" / "samples.tsv").write_text("\n".join(lines) + "\n")


def job_counts(text: str) -> dict[str, int]:
    """The last job table that Snakemake printed, without its total."""
    counts: dict[str, int] = {}
    inside = False
    for line in text.splitlines():
        words = line.split()
        if words == ["job", "count"]:
            counts, inside = {}, True
        elif inside and len(words) == 2 and words[1].isdigit() and words[0] != "total":
            counts[words[0]] = int(words[1])
        elif not words:
            inside = False
    return counts


@pytest.fixture(scope="session")
def copy_of_workflow(root: Path) -> Callable[[Path], Workflow]:
    """Copies the workflow's files into a folder."""

    def copy(folder: Path) -> Workflow:
        for name in PARTS:
            source, target = root / name, folder / name
            if source.is_symlink():
                target.symlink_to(source.readlink())
            elif source.is_dir():
                shutil.copytree(source, target)
            else:
                shutil.copy(source, target)
        return Workflow(folder)

    return copy


@pytest.fixture
def workflow(copy_of_workflow: Callable[[Path], Workflow], tmp_path: Path) -> Workflow:
    """A fresh copy of the workflow."""
    return copy_of_workflow(tmp_path)


@pytest.fixture(scope="session")
def cluster() -> Iterator[dict[str, str]]:
    """The environment that reaches a real Slurm on this machine; skipped where it is not installed or not root runs."""
    missing = [name for name in PROGRAMS if not shutil.which(name)]
    if missing or os.geteuid() != 0:
        pytest.skip(f"needs root and Slurm; missing: {', '.join(missing) or 'root'}")
    with slurm() as environment:
        yield environment
