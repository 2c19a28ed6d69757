"""A small folder of real chains with some that must be refused, and the dataset built from it."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from rna_predict.chemistry.residues import C1, MAX_ATOMS
from rna_predict.data.chains import Chain, Origin
from rna_predict.data.stage_results import StageResults, StageResultsStore, StageSettings
from rna_predict.stage_c_reconstruction.config import StageCConfig

GOOD = ("165d_A", "165d_B", "17ra_A", "1am0_A", "1ehz_A", "1f1t_A", "3cr1_B")
"""A duplex of 9 nt in two files, hairpins, tRNA, a strand whose numbers jump by 14, and one with a break."""

INDEX = "id,pdb_id,cluster80,split,resolution,method,date\n" + "".join(
    f"{name},{name[:4]},c{name[:4]},{'validation' if name == '1f1t_A' else 'train'},1.93,X-RAY,2000-02-23\n"
    for name in GOOD
)


@dataclass(frozen=True)
class SmallDataset:
    """The folder, the index of it, and the dataset."""

    source: Path
    index: Path
    folder: Path


@pytest.fixture(scope="session")
def source(chains_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`GOOD` chains, one of them deeper, and files that hold no usable chain."""
    folder = tmp_path_factory.mktemp("structures")
    (folder / "more").mkdir()
    for name in GOOD:
        shutil.copy(chains_dir / f"{name}.pdb.gz", folder / ("more" if name == "1ehz_A" else "."))
    shutil.copy(chains_dir / "17ra_A.pdb.gz", folder / "same.pdb.gz")
    shutil.copy(chains_dir / "1f1t_A.pdb.gz", folder / "more" / "17ra_A.pdb.gz")
    (folder / "page.cif").write_text("<html>not found</html>")
    (folder / "empty.pdb").write_text("")
    (folder / "cut.pdb.gz").write_bytes((chains_dir / "1ehz_A.pdb.gz").read_bytes()[:500])
    (folder / "notes.txt").write_text("not a structure")
    (folder / ".hidden.pdb").write_text("not seen")
    return folder


@pytest.fixture(scope="session")
def small(source: Path, tmp_path_factory: pytest.TempPathFactory) -> SmallDataset:
    """The dataset of `source`, clusters and split by `INDEX`."""
    from rna_predict.data.build import BuildSettings, build_dataset
    from rna_predict.data.sources import find_sources, read_index

    folder = tmp_path_factory.mktemp("dataset")
    index = folder / "index.csv"
    index.write_text(INDEX)
    known = read_index(index, "cluster80", "split")
    build_dataset(find_sources(source), folder / "small", BuildSettings(), known)
    return SmallDataset(source=source, index=index, folder=folder / "small")


@pytest.fixture(scope="session")
def made_chain() -> Callable[..., Chain]:
    """A chain of random letters whose arrays hold noise: nothing in it is where or what it is by accident."""

    def make(length: int = 30, seed: int = 0, pairs: tuple[tuple[int, int], ...] = ()) -> Chain:
        rng = np.random.default_rng(seed)
        partner_L = np.full(length, -1, dtype=np.int32)
        for i, j in pairs:
            partner_L[i], partner_L[j] = j, i
        mask_LA = rng.random((length, MAX_ATOMS)) < 0.8
        mask_LA[:, 20:] = False  # slots that not every residue has
        mask_LA[::5, C1] = False
        return Chain(
            id=f"made{seed}",
            sequence="".join(rng.choice(list("ACGU"), length)),
            xyz_LA3=np.where(mask_LA[..., None], rng.normal(size=(length, MAX_ATOMS, 3)) * 9, 0).astype(np.float32),
            mask_LA=mask_LA,
            number_L=np.cumsum(rng.integers(1, 3, length)).astype(np.int32) + 5,
            torsion_L7=rng.uniform(-3, 3, (length, 7)).astype(np.float32),
            torsion_mask_L7=rng.random((length, 7)) < 0.8,
            pucker_L2=rng.uniform(0, 3, (length, 2)).astype(np.float32),
            pucker_mask_L=rng.random(length) < 0.8,
            partner_L=partner_L,
            pair_P2=np.array(sorted(pairs), dtype=np.int32).reshape(-1, 2),
            pair_class=tuple(f"c{k}" for k in range(len(pairs))),
            linked_L=rng.random(length - 1) < 0.8,
            elsewhere_L=rng.random(length) < 0.2,
            origin=Origin(source="x", source_sha256="0", entry="x", chain="A"),
        )

    return make


@pytest.fixture(scope="session")
def hairpin(made_chain: Callable[..., Chain]) -> Chain:
    """20 nt, of whose pairs ViennaRNA predicts others."""
    letters = "GGGCAUUCGUGCCCAACUGG"
    return replace(made_chain(len(letters), pairs=((0, 13), (1, 12), (2, 11))), sequence=letters)


@pytest.fixture(scope="session")
def quick_stages() -> StageSettings:
    """Stage C rebuilds the chain from stage B's torsions alone, which takes no time."""
    return StageSettings(stage_c=StageCConfig(method="nerf"))


@pytest.fixture(scope="session")
def hairpin_results(hairpin: Chain, quick_stages: StageSettings, tmp_path_factory) -> StageResults:
    """What the stages make of the hairpin with its native pairs."""
    return StageResultsStore(tmp_path_factory.mktemp("results"), quick_stages).get(hairpin, "native")
