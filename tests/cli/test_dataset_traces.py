"""`rna-predict dataset traces` by itself, and `make train`, which begins with it and ends with a weights file."""

import csv
import gzip
import json
import shlex
import subprocess
from pathlib import Path

import pytest

from rna_predict.data.dataset import open_dataset
from rna_predict.nn.weights import open_network
from rna_predict.stage_b_torsion.geometry_network import GeometryModel
from rna_predict.stage_d_diffusion.quality_network import QualityModel
from tests.training.conftest import QUICK_MODELS

ALL_ATOM = {"17ra_A": "train", "1am0_A": "train", "1f1t_A": "validation"}
TRACES = ("1RNK_A", "1RHT_A")
QUICK = " ".join(
    f"--set {one}"
    for one in (
        *("trainer.steps=2", "trainer.precision=32-true", "trainer.keep=last", "optimiser.warmup=1"),
        *("optimiser.accumulate=1", "validation.every=0", "data.crop=24", "data.budget=48", "data.per_cluster=1"),
    )
)


MODELS = " ".join(f"--config {one}" for one in QUICK_MODELS)


@pytest.fixture
def shared(shared_dir: Path, tmp_path: Path) -> Path:
    """A few chains of each kind, laid out as in the shared data; a trace near the chain that validates."""
    given, made = shared_dir / "data", tmp_path / "shared" / "data"
    (made / "rna3d" / "chains").mkdir(parents=True)
    (made / "rna3d_c1").mkdir()
    rows = list(csv.DictReader((given / "rna3d" / "index.csv").read_text().splitlines()))
    rows = [row | {"split": ALL_ATOM[row["id"]]} for row in rows if row["id"] in ALL_ATOM]
    for row in rows:
        (made / "rna3d" / "chains" / f"{row['id']}.pdb.gz").symlink_to(given / "rna3d" / row["file"])
    held_out = next(row["sequence"] for row in rows if row["split"] == "validation")
    write(made / "rna3d" / "index.csv", rows)
    with gzip.open(given / "rna3d_c1" / "c1_coords.csv.gz", "rt") as file:
        points = [row for row in csv.DictReader(file) if row["id"] in TRACES]
    for number, letter in enumerate("G" + held_out, start=1):
        points.append({"id": "near", "resid": number, "resname": letter, "x": number, "y": 0, "z": 0})
    write(made / "rna3d_c1" / "c1_coords.csv", points)
    plain = made / "rna3d_c1" / "c1_coords.csv"
    plain.with_name("c1_coords.csv.gz").write_bytes(gzip.compress(plain.read_bytes()))
    about = list(csv.DictReader((given / "rna3d_c1" / "index.csv").read_text().splitlines()))
    write(made / "rna3d_c1" / "index.csv", [row for row in about if row["id"] in TRACES])
    return made.parent


def write(path: Path, rows: list[dict]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def test_what_is_left_out_is_said_and_counted(run, shared, tmp_path):
    coords, index = shared / "data" / "rna3d_c1" / "c1_coords.csv.gz", shared / "data" / "rna3d" / "index.csv"
    result = run("dataset", "traces", coords, "--out", tmp_path / "out", "--held-out", index, "--min-length", "30")
    assert result.code == 0
    assert json.loads(result.out) == {
        "traces": 1,
        "residues": 34,
        "clusters": 1,
        "own_clusters": 1,
        "left_out": {"held_out": 1, "short": 1},
    }
    assert "near is left out: near the held-out 1f1t_A" in result.err
    assert run("dataset", "traces", coords, "--out", tmp_path / "out2").code == 0
    assert (tmp_path / "out2" / "near.pdb.gz").is_file()
    result = run("dataset", "traces", coords, "--out", tmp_path / "out", "--share", "1.5")
    assert (result.code, "share: 1.5" in result.err) == (2, True)


def test_make_train_goes_from_both_kinds_of_chains_to_a_weights_file(run, root, shared, tmp_path, monkeypatch):
    """Its commands, one after the other, with a smaller network and few steps."""
    monkeypatch.chdir(root)
    out = tmp_path / "geometry"
    given = {"RNA_PREDICT_SHARED": shared, "TRAIN": out, "PROFILE": "nano", "TRAIN_SET": QUICK, "JOBS": 1}
    given |= {"HALF_SET": "", "MODELS_SET": MODELS, "QUALITY_SET": QUICK}
    words = ["make", "--dry-run", "train", *(f"{name}={value}" for name, value in given.items())]
    recipe = subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()
    recipe = [line for line in recipe if str(out) in line]
    made = []
    for line in recipe:
        words = shlex.split(line)
        if words[0] != "OMP_NUM_THREADS=1":
            subprocess.run(line.replace("mv ", "touch "), shell=True, check=True)
            continue
        result = run(*(words[2 : words.index(">")] if ">" in words else words[2:]))
        assert result.code == 0, result.err
        made.append(" ".join(words[2:4]))
    network = ["train geometry", "weights merge"]
    judged = ["dataset models", "train quality", "weights merge"]
    assert made == ["dataset traces", "dataset build", "dataset stages", *network * 3, *judged]
    chains = open_dataset(out / "chains")
    assert chains.splits == {**ALL_ATOM, "c1_1RNK_A": "train", "c1_1RHT_A": "train"}
    assert dict(zip(chains.ids, chains.dates, strict=True))["c1_1RNK_A"] == "1995-02-27"
    for build, name in ((GeometryModel, "geometry_small"), (QualityModel, "quality_small")):
        opened = open_network(build, weights=str(out / f"{name}.safetensors"))
        assert (opened.header.trained, opened.header.architecture.name) == (True, "nano")
