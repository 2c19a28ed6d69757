"""A dataset of a few real chains, and a training of the smallest networks on it."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

CHAINS = ("17ra_A", "1am0_A", "1ehz_A", "1l2x_A", "1f1t_A", "2kgp_A")
"""Hairpins, a tRNA, a pseudoknot; the last two are held out."""

HELD_OUT = CHAINS[-2:]
INDEX = "id,pdb_id,cluster80,split\n" + "".join(
    f"{name},{name[:4]},c{name[:4]},{'validation' if name in HELD_OUT else 'train'}\n" for name in CHAINS
)

NANO = (
    *("network.untrained_profile=nano", "data.crop=24", "data.budget=48", "data.coordinates=false"),
    *("losses.copies=2", "losses.rollout_steps=3", "optimiser.warmup=2", "trainer.log_every=1", "trainer.steps=6"),
    *("validation.every=3", "validation.max_length=40", "validation.steps=3", "trainer.save_every=2"),
)
"""Settings with which a step takes a fraction of a second."""


@pytest.fixture(scope="session")
def dataset(chains_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The dataset of `CHAINS`."""
    from rna_predict.data.build import BuildSettings, build_dataset
    from rna_predict.data.sources import find_sources, read_index

    folder = tmp_path_factory.mktemp("structures")
    for name in CHAINS:
        shutil.copy(chains_dir / f"{name}.pdb.gz", folder)
    index = tmp_path_factory.mktemp("index") / "index.csv"
    index.write_text(INDEX)
    out = tmp_path_factory.mktemp("dataset") / "chains"
    build_dataset(find_sources(folder), out, BuildSettings(), read_index(index, "cluster80", "split"))
    return out


@pytest.fixture(scope="session")
def settings(dataset: Path) -> list[str]:
    """Overrides of an experiment for a short training on the dataset."""
    return [f"data.dataset={dataset}", *NANO]


@pytest.fixture(scope="session")
def resolved(root: Path, settings: list[str]) -> Callable[..., object]:
    """`resolved("trainer.steps=2", …)` is the `TrainConfig` of such a training with other values."""
    from rna_predict.config import resolve_experiment

    def make(*overrides: str, experiment: str = "default") -> object:
        return resolve_experiment(experiment, root / "config", [*settings, *overrides])

    return make


QUICK_MODELS = (
    *("stage_a.family=off", "templates.motifs=false", "stage_c.starts=2", "stage_c.kept=1", "stage_c.steps_open=40"),
    *("stage_c.steps_closing=40", "stage_c.steps_closed=60", "stage_c.steps_polish=60", "stage_d.models=2"),
    *("stage_d.steps=3", "stage_d.iterations=6", "stage_d.refine_iterations=60", "stage_a.alternatives=0"),
)
"""Settings with which models of a hairpin take a second."""


@pytest.fixture(scope="session")
def models(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Judged models of the dataset's chains of up to 40 nt, made by `rna-predict dataset models`."""
    import subprocess
    import sys

    from rna_predict.nn.carried import carried_weights

    out = tmp_path_factory.mktemp("judged") / "models"
    weights = str(carried_weights("geometry_small"))
    command = [sys.executable, "-m", "rna_predict", "dataset", "models", str(dataset), "--out", str(out)]
    command += ["--weights", weights, "--weights", weights, "--max-length", "40"]
    command += [word for setting in QUICK_MODELS for word in ("--config", setting)]
    subprocess.run(command, check=True, capture_output=True)
    return out
