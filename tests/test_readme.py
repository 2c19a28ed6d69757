"""Every command of the README is known here, and runs."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
COMMANDS = [
    line
    for block in re.findall(r"```bash\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    for line in block.splitlines()
    if line.strip()
]
QUICK = [
    "--set",
    "stage_c.starts=2",
    "--set",
    "stage_c.kept=1",
    "--set",
    "stage_d.models=2",
    "--set",
    "stage_d.steps=3",
]
NETWORK_QUICK = ["--set", "stage_d.start=stage_c", "--set", "stage_d.diffusion_steps=20"]
"""Starting values make no molecule out of noise."""
HAIRPIN = "GGGCUUCGGCCC"

BENCHMARKS = [command for command in COMMANDS if " bench " in command]
SNAKEMAKE = [command for command in COMMANDS if "/snakemake " in command]
MAKE = [command for command in COMMANDS if command.startswith("make ")]
TOOL = [command for command in COMMANDS if "/rna-predict " in command and " bench " not in command]


def run(words: list[str], folder: Path) -> str:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, f"{shlex.join(words)}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


def test_each_command_is_one_of_the_kinds_that_are_run_here():
    assert sorted(COMMANDS) == sorted([*BENCHMARKS, *SNAKEMAKE, *MAKE, *TOOL])
    assert MAKE
    assert SNAKEMAKE
    assert TOOL


@pytest.mark.parametrize("command", MAKE)
def test_make_commands_are_targets(command):
    assert run([*shlex.split(command), "--dry-run"], ROOT)


@pytest.mark.parametrize("command", SNAKEMAKE)
def test_snakemake_commands_plan_jobs(command, tmp_path):
    words = shlex.split(command)
    place = words.index("--") if "--" in words else len(words)
    text = run([sys.executable, "-m", "snakemake", "-n", *words[1:place], *words[place:]], ROOT)
    assert re.search(r"stage_b_torsion|Nothing to be done", text)


def test_the_tool_commands_run_in_the_order_of_the_readme(tmp_path):
    """On a hairpin; its first prediction stands for results/, starting values of nano for a download."""
    (tmp_path / "my.fasta").write_text(f">hairpin\n{HAIRPIN}\n")
    (tmp_path / "my.dbn").write_text(f">hairpin\n{HAIRPIN}\n((((....))))\n")
    stand_in_download(tmp_path / "downloaded.pt")
    said = {
        "geometry": '"breaks": 0',
        "evaluate": '"lddt": 1.0',
        "plan": '"parameters": 36',
        "inspect": '"missing": 0',
        "convert": "base.safetensors",
        "--untrained": "UNTRAINED",
    }
    for command in TOOL:
        words = [sys.executable, "-m", "rna_predict", *shlex.split(command)[1:]]
        if words[3] == "predict":
            words += QUICK + (NETWORK_QUICK if {"--weights", "--untrained"} & set(words) else [])
        if words[3] == "geometry":
            stand_in_results(tmp_path)
            words[4:5] = [str(path) for path in tmp_path.glob(words[4])]
        text = run(words, tmp_path)
        assert not [expected for word, expected in said.items() if word in words and expected not in text], text
    kinds = [shlex.split(command)[1] for command in TOOL]
    assert sorted(kinds) == sorted(["predict"] * 4 + ["geometry", "evaluate", "plan", "weights", "weights"])


def stand_in_download(path: Path) -> None:
    """A checkpoint as it is published, of the smallest size."""
    import torch

    from rna_predict.nn.weights import open_network
    from rna_predict.stage_b_torsion.trunk import Trunk
    from rna_predict.stage_d_diffusion.network import DiffusionModel

    state = {}
    for part in (Trunk, DiffusionModel):
        state |= open_network(part, untrained_profile="nano").module.state_dict()
    ours = ("trunk_inputs.", "torsion_head.", "pair_head.", "diffusion_inputs.")
    torch.save({"model": {f"module.{key}": value for key, value in state.items() if not key.startswith(ours)}}, path)


def stand_in_results(folder: Path) -> None:
    """Put the first prediction where the workflow would have put it, and once more as its own native."""
    for place in ("results/preds", "natives"):
        (folder / place).mkdir(parents=True)
        (folder / place / "hairpin.pdb").write_bytes((folder / "predictions" / "hairpin.pdb").read_bytes())
    stage_a = folder / "results/stages/hairpin/a_adjacency.dbn"
    stage_a.parent.mkdir(parents=True)
    stage_a.write_text((folder / "my.dbn").read_text())


@pytest.mark.parametrize("command", BENCHMARKS)
def test_benchmarks_of_the_readme_are_registered(command):
    from rna_predict.cli import bench

    assert shlex.split(command)[2] in bench.BENCHMARKS
