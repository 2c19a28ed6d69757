"""The comparison behind decision 0002, on a small real set."""

import csv
import gzip
import shutil
from pathlib import Path

import pytest

from rna_predict.contracts import RnaSequence
from rna_predict.stage_a_adjacency.compare import Native, candidates, compare_readouts, natives
from rna_predict.stage_a_adjacency.config import StageAConfig


@pytest.fixture
def small_set(shared_dir: Path, tmp_path: Path) -> Path:
    """Three chains of the real index: two of one cluster, and a strand of a duplex."""
    with (shared_dir / "data/rna3d/index.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "train" and 20 <= int(row["length"]) <= 100]
    cluster = next(row["cluster80"] for row in rows if row["id"] == "1xsu_A")
    chosen = [row for row in rows if row["cluster80"] == cluster][:2]
    assert len(chosen) == 2
    (tmp_path / "chains").mkdir()
    for row in chosen:
        shutil.copy(shared_dir / "data/rna3d" / row["file"], tmp_path / row["file"])
    bare = dict(chosen[0], id="strand", cluster80="none", length="20", file="chains/strand.pdb.gz")
    lines = [line for line in gzip.open(tmp_path / chosen[0]["file"], "rt") if line.startswith("ATOM")]  # noqa: SIM115
    first = [line for line in lines if int(line[22:26]) <= 5]
    with gzip.open(tmp_path / bare["file"], "wt") as file:
        file.writelines([*first, "END\n"])
    with (tmp_path / "index.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows([*chosen, bare])
    return tmp_path


def test_one_chain_a_cluster_and_no_bare_strand(small_set):
    found = natives(small_set, "train")
    assert len(found) == 1
    assert natives(small_set, "validation") == []
    pairs = found[0].pairs
    assert {(0, 35), (1, 34), (5, 30)} <= pairs
    assert len(pairs) == 10
    assert 8 * len(pairs) >= found[0].sequence.length
    letters = found[0].sequence.sequence
    assert {letters[i] + letters[j] for i, j in pairs} <= {"AU", "UA", "CG", "GC", "GU", "UG"}


def test_the_scores_are_those_of_a_hand_count():
    hairpin = RnaSequence(id="hairpin", sequence="GGGCUUCGGCCC")
    known = Native(sequence=hairpin, pairs={(0, 11), (1, 10), (2, 9), (4, 8)})
    bare = Native(sequence=RnaSequence(id="bare", sequence="AAAAAAAAAA"), pairs={(0, 9)})
    scores = {score.name: score for score in compare_readouts([known, bare])}
    mfe = scores["mfe"]
    assert mfe.precision == pytest.approx((3 / 4 + 0) / 2)
    assert mfe.recall == pytest.approx((3 / 4 + 0) / 2)
    assert mfe.f1 == pytest.approx((6 / 8 + 0) / 2)
    assert mfe.pooled == pytest.approx(2 * 3 / (4 + 5))


def test_the_default_is_one_of_the_candidates():
    assert StageAConfig(backend="viennarna", readout="mea") in candidates().values()
