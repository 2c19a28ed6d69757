"""Every command of the README is known here, and runs."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
GUIDE = ROOT / "docs" / "guides" / "partial_checkpoints.md"


def commands_of(page: Path) -> list[str]:
    """Lines of the page's bash blocks."""
    blocks = re.findall(r"```bash\n(.*?)```", page.read_text(), re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line.strip()]


COMMANDS = commands_of(ROOT / "README.md")
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
TRAIN_QUICK = (
    *("trainer.steps=2", "trainer.keep=last", "validation.every=0", "optimiser.warmup=1", "data.coordinates=false"),
    *("data.crop=24", "data.budget=24", "losses.copies=2", "losses.rollout_steps=2"),
    *("trainer.devices=1", "trainer.strategy=auto"),
)
STRUCTURES = ("17ra_A", "1am0_A", "1l2x_A", "2kgp_A")
"""Chains that stand for a user's folder."""

BENCHMARKS = [command for command in COMMANDS if " bench " in command]
SNAKEMAKE = [command for command in [*COMMANDS, *commands_of(GUIDE)] if "/snakemake " in command]
MAKE = [command for command in COMMANDS if command.startswith("make ")]
TOOL = [command for command in COMMANDS if "/rna-predict " in command and " bench " not in command]


def run(words: list[str], folder: Path) -> str:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, f"{shlex.join(words)}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


def test_each_command_is_one_of_the_kinds_that_are_run_here():
    assert set(COMMANDS) <= {*BENCHMARKS, *SNAKEMAKE, *MAKE, *TOOL}
    assert MAKE
    assert SNAKEMAKE
    assert TOOL


@pytest.mark.parametrize("command", MAKE)
def test_make_commands_are_targets(command):
    assert run([*shlex.split(command), "--dry-run"], ROOT)


@pytest.mark.parametrize("command", SNAKEMAKE)
def test_snakemake_commands_plan_jobs(command, tmp_path):
    """Those that train need structures and weights, which a user brings."""
    words = shlex.split(command)
    place = words.index("--") if "--" in words else len(words)
    if "weights=base.safetensors" in words:
        (tmp_path / "structures").mkdir()
        (tmp_path / "base.safetensors").write_bytes(b"")
        words[words.index("weights=base.safetensors")] = f"weights={tmp_path / 'base.safetensors'}"
        words = [f"{tmp_path}/{word}" if word.startswith("results/") else word for word in words]
        words[place:] = [*words[place:], f"results={tmp_path / 'results'}", f"dataset={{structures: {tmp_path}}}"]
    text = run([sys.executable, "-m", "snakemake", "-n", *words[1:place], *words[place:]], ROOT)
    assert re.search(r"stage_[bc]_|build_dataset|draw_base_pairs|report|Nothing to be done", text)


def test_the_tool_commands_run_in_the_order_of_the_readme(tmp_path, chains_dir):
    """On a hairpin; its first prediction stands for results/, starting values of nano for a download."""
    stand_in_structures(tmp_path, chains_dir)
    stand_in_pairs(tmp_path / "known.csv")
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
        "fine_tune": "run/partial.safetensors: 2 steps",
        "pairs": '"rows": 12',
        "folding": "run_folding/partial.safetensors: 2 steps",
        "--partial": "partial.safetensors (step 2) merged into",
    }
    for command in TOOL:
        words = quick(command)
        if words[3] == "geometry":
            stand_in_results(tmp_path)
            words[4:5] = [str(path) for path in tmp_path.glob(words[4])]
        text = run(words, tmp_path)
        assert not [expected for word, expected in said.items() if word in words and expected not in text], text
    kinds = [shlex.split(command)[1] for command in TOOL]
    others = ["templates", "geometry", "evaluate", "plan", "weights", "weights", "dataset", "dataset", "train", "train"]
    assert sorted(kinds) == sorted(["predict"] * 6 + others)


def test_the_guide_s_commands_run_in_its_order(tmp_path, chains_dir):
    """The worked fine-tune, on starting values of nano that count as trained, for a few steps."""
    stand_in_structures(tmp_path, chains_dir)
    (tmp_path / "my.fasta").write_text(f">hairpin\n{HAIRPIN}\n")
    stand_in_download(tmp_path / "downloaded.pt")
    run(quick("rna-predict weights convert downloaded.pt --out base.safetensors"), tmp_path)
    said = {
        "inspect": '"step": 2',
        "merge": "tuned.safetensors",
        "runs": '"finished"',
        "checkpoints": '"last"',
    }
    for command in (line for line in commands_of(GUIDE) if "/rna-predict " in line):
        words = quick(command)
        if words[3] == "train":
            words += ["--set", "trainer.tracking=tracking"]
        if words[3:5] == ["dataset", "stages"]:
            words += ["--max-length", "22", "--pairs", "native"]
        text = run(words, tmp_path)
        assert not [expected for word, expected in said.items() if word in words and expected not in text], text


def quick(command: str) -> list[str]:
    """The command with settings with which it takes seconds."""
    words = [sys.executable, "-m", "rna_predict", *shlex.split(command)[1:]]
    if words[3] == "predict":
        words += QUICK + (NETWORK_QUICK if {"--weights", "--untrained"} & set(words) else [])
    if words[3] == "train":
        words += ["--config-dir", str(ROOT / "config"), *(word for one in TRAIN_QUICK for word in ("--set", one))]
    return words


def stand_in_structures(folder: Path, chains_dir: Path) -> None:
    """A user's folder of structures."""
    (folder / "structures").mkdir()
    for name in STRUCTURES:
        shutil.copy(chains_dir / f"{name}.pdb.gz", folder / "structures")


def stand_in_pairs(path: Path) -> None:
    """A user's table of known secondary structures: hairpins of twelve kinds."""
    lines = ["id,sequence,dot_bracket,dataset"]
    for number in range(12):
        loop = "".join("ACGU"[(number * (place + 3) + place) % 4] for place in range(6))
        lines.append(f"h{number},GGCUAC{loop}GUAGCC,((((((......)))))),mine")
    path.write_text("\n".join(lines) + "\n")


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
