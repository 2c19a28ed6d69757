"""A folder to a dataset: every chain is a row or a refusal, the content is always the same, nothing is half there."""

import csv
import gzip
import multiprocessing
import os
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from rna_predict.data import build
from rna_predict.data.build import BuildSettings, build_dataset
from rna_predict.data.dataset import open_dataset, read_manifest
from rna_predict.data.entries import Limits
from rna_predict.data.sources import Sources, find_sources, read_index
from rna_predict.data.splits import SplitSettings
from rna_predict.errors import ConfigError, InputError
from rna_predict.evaluation.annotation import annotate_pairs
from rna_predict.formats.structure import read_structure
from rna_predict.geometry.numpy_measures import measure_pucker, measure_torsions

pytestmark = pytest.mark.usefixtures("small")


def refusals(folder: Path) -> list[tuple[str, str, str]]:
    with (folder / "refused.tsv").open() as file:
        return [(row["source"], row["chain"], row["kind"]) for row in csv.DictReader(file, delimiter="\t")]


def test_every_file_is_a_row_or_a_refusal_with_its_reason(small):
    rows = open_dataset(small.folder)
    assert rows.ids == ["165d_A", "165d_B", "17ra_A", "1am0_A", "1f1t_A", "3cr1_B", "1ehz_A"]
    assert sorted(refusals(small.folder)) == [
        ("cut.pdb.gz", "", "unreadable"),
        ("empty.pdb", "", "no_atoms"),
        ("more/17ra_A.pdb.gz", "A", "duplicate_id"),
        ("notes.txt", "", "other_file"),
        ("page.cif", "", "not_a_structure"),
        ("same.pdb.gz", "A", "duplicate"),
    ]
    manifest = read_manifest(small.folder)
    assert (manifest.chains, manifest.residues) == (7, 9 + 9 + 21 + 16 + 38 + 29 + 76)
    assert dict(manifest.refused) == dict.fromkeys(
        ("duplicate", "duplicate_id", "no_atoms", "not_a_structure", "other_file", "unreadable"), 1
    )
    assert str(small.source) not in (small.folder / "refused.tsv").read_text()


def test_a_row_holds_what_its_file_holds(small):
    rows = open_dataset(small.folder)
    structure = read_structure(small.source / "more" / "1ehz_A.pdb.gz")
    chain = rows.get("1ehz_A")
    assert chain.sequence == structure.sequence
    assert np.array_equal(chain.mask_LA, structure.mask_LA)
    assert np.array_equal(chain.xyz_LA3, structure.xyz_LA3.astype(np.float32))
    assert np.array_equal(chain.number_L, structure.number_L)
    assert chain.linked_L.all()
    angle_L7, mask_L7 = measure_torsions(structure.xyz_LA3, structure.mask_LA, structure.sequence)
    assert np.array_equal(chain.torsion_mask_L7, mask_L7)
    assert np.array_equal(chain.torsion_L7, angle_L7.astype(np.float32))
    phase_L, amplitude_L, ring_L = measure_pucker(structure.xyz_LA3, structure.mask_LA, structure.sequence)
    assert np.array_equal(chain.pucker_L2, np.stack([phase_L, amplitude_L], 1).astype(np.float32))
    assert np.array_equal(chain.pucker_mask_L, ring_L)
    assert chain.origin.source == "more/1ehz_A.pdb.gz"
    assert (chain.origin.entry, chain.origin.chain) == ("1ehz", "A")
    assert (chain.origin.resolution, chain.origin.method, chain.origin.date) == (1.93, "X-RAY", "2000-02-23")


def test_the_matching_and_all_pairs_are_those_of_rnapolis(small):
    chain = open_dataset(small.folder).get("1ehz_A")
    annotation = annotate_pairs(read_structure(small.source / "more" / "1ehz_A.pdb.gz"))
    found = [(i, int(j)) for i, j in enumerate(chain.partner_L) if i < j]
    assert found == list(annotation.canonical)
    assert (0, 71) in found
    assert (18, 55) in found  # G19-C56, between the D and the T loop
    pairs = [(*map(int, pair), label) for pair, label in zip(chain.pair_P2, chain.pair_class, strict=True)]
    assert pairs == sorted([(i, j, "cWW") for i, j in annotation.canonical] + list(annotation.non_canonical))
    assert (14, 47, "tWW") in pairs  # the Levitt pair G15-C48


def test_a_gap_in_the_numbers_and_one_in_space_are_breaks(small):
    rows = open_dataset(small.folder)
    jump = rows.get("1am0_A")
    assert [int(jump.number_L[k + 1] - jump.number_L[k]) for k in np.flatnonzero(~jump.linked_L)] == [15]
    assert not jump.torsion_mask_L7[jump.linked_L.argmin(), 4:6].any()  # ε, ζ reach over the break
    assert (~rows.get("3cr1_B").linked_L).sum() == 1


def test_strands_of_a_duplex_in_two_files_are_known_as_paired_elsewhere(small):
    rows = open_dataset(small.folder)
    assert (rows.get("165d_A").partner_L == -1).all()
    assert rows.get("165d_A").elsewhere_L.tolist() == [True, True, False, False, False, False, True, True, False]
    assert not rows.get("1f1t_A").elsewhere_L.any()


def test_rebuilding_gives_the_same_digest_and_files_in_other_places_too(small, tmp_path):
    moved = tmp_path / "elsewhere"
    shutil.copytree(small.source, moved)
    (tmp_path / "index.csv").write_text(small.index.read_text())
    index = read_index(tmp_path / "index.csv", "cluster80", "split")
    build_dataset(find_sources(moved), tmp_path / "again", BuildSettings(processes=2), index)
    for name in ("dataset.json", "splits.tsv", "refused.tsv"):
        assert (tmp_path / "again" / name).read_bytes() == (small.folder / name).read_bytes(), name
    open_dataset(tmp_path / "again").verify()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_limits_refuse_by_length_and_by_missing_atoms(small, tmp_path):
    few = "".join(line for line in _lines(small.source / "17ra_A.pdb.gz") if line[12:16] in (" P  ", " C1'"))
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "trace.pdb").write_text(few)
    for name in ("165d_A", "1am0_A", "1f1t_A"):
        shutil.copy(small.source / f"{name}.pdb.gz", folder)
    limits = Limits(min_length=10, max_length=30)
    report = build_dataset(find_sources(folder), tmp_path / "out", BuildSettings(limits=limits))
    assert [(refusal.source, refusal.kind) for refusal in report.refusals] == [
        ("165d_A.pdb.gz", "too_short"),
        ("1f1t_A.pdb.gz", "too_long"),
        ("trace.pdb", "few_atoms"),
    ]
    assert open_dataset(tmp_path / "out").ids == ["1am0_A"]


def _lines(path: Path) -> list[str]:
    return gzip.decompress(path.read_bytes()).decode().splitlines(keepends=True)


def test_an_index_names_chains_without_a_file_and_files_without_a_row(small, tmp_path):
    index = tmp_path / "index.csv"
    index.write_text("id,cluster80\n1ehz_A,a\n9xyz_A,b\n")
    sources = Sources(
        root=small.source, files=(small.source / "more" / "1ehz_A.pdb.gz", small.source / "17ra_A.pdb.gz")
    )
    report = build_dataset(sources, tmp_path / "out", BuildSettings(), read_index(index, "cluster80"))
    assert [(refusal.chain, refusal.kind) for refusal in report.refusals] == [
        ("A", "not_in_index"),
        ("9xyz_A", "no_file"),
    ]


def test_a_fault_of_a_library_refuses_one_chain_only(small, tmp_path, monkeypatch):
    from rna_predict.data import entries

    real = entries.measure_chain

    def fails(structure, elsewhere_L, origin):
        if structure.id == "1am0_A":
            raise ZeroDivisionError("on purpose")
        return real(structure, elsewhere_L, origin)

    monkeypatch.setattr(entries, "measure_chain", fails)
    sources = Sources(root=small.source, files=tuple(small.source / f"{n}.pdb.gz" for n in ("1am0_A", "17ra_A")))
    report = build_dataset(sources, tmp_path / "out", BuildSettings())
    assert [(refusal.source, refusal.kind) for refusal in report.refusals] == [("1am0_A.pdb.gz", "not_measured")]
    assert "ZeroDivisionError: on purpose" in report.refusals[0].reason
    assert open_dataset(tmp_path / "out").ids == ["17ra_A"]


def test_a_build_that_fails_leaves_the_old_dataset_and_nothing_else(small, tmp_path):
    shutil.copytree(small.folder, tmp_path / "set")
    only_bad = Sources(root=small.source, files=(small.source / "page.cif",))
    with pytest.raises(InputError, match=r"no chain could be taken \(not_a_structure 1\)"):
        build_dataset(only_bad, tmp_path / "set", BuildSettings())
    good = Sources(root=small.source, files=(small.source / "17ra_A.pdb.gz",))
    with pytest.raises(InputError, match="'1ehz_A'"):
        build_dataset(good, tmp_path / "set", BuildSettings(split=SplitSettings(validation_ids=("1ehz_A",))))
    open_dataset(tmp_path / "set").verify()
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_without_an_index_clusters_are_named_after_their_longest_chain(small, tmp_path):
    files = tuple(small.source / name for name in ("165d_A.pdb.gz", "165d_B.pdb.gz", "1f1t_A.pdb.gz"))
    report = build_dataset(Sources(root=small.source, files=files), tmp_path / "out", BuildSettings())
    rows = open_dataset(tmp_path / "out")
    assert rows.clusters == ["165d_A", "165d_A", "1f1t_A"]
    assert report.manifest.clusters == 2
    assert set(rows.splits.values()) == {"train"}


@pytest.mark.filterwarnings("ignore:lancedb fork support")
@pytest.mark.parametrize("step", ["create_table", "write_splits", "_write_refusals"])
def test_killed_while_it_builds_the_next_run_gives_the_whole_dataset(small, tmp_path, monkeypatch, step):
    """At a step of its end that waits for the kill, however fast the machine is."""
    out, index = tmp_path / "set", read_index(small.index, "cluster80", "split")
    work = (find_sources(small.source), out, BuildSettings(), index)
    context = multiprocessing.get_context("fork")
    reached = context.Event()

    def wait(*arguments):
        reached.set()
        time.sleep(600)

    with monkeypatch.context() as patched:
        patched.setattr(build, step, wait)
        for _ in range(4):  # a fork that meets one of lancedb's threads holding a lock hangs: begin again
            process = context.Process(target=build_dataset, args=work)
            process.start()
            if reached.wait(40):
                break
            process.kill()
            process.join()
        assert reached.is_set()
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert not out.exists()
    build_dataset(*work)
    assert (out / "dataset.json").read_bytes() == (small.folder / "dataset.json").read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def dies(files, index, limits):
    """Stands in for `read_group` in a worker process that the system kills."""
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.filterwarnings("ignore:lancedb fork support")
def test_a_worker_that_is_killed_ends_the_build_with_a_remedy(small, tmp_path, monkeypatch):
    monkeypatch.setattr(build, "read_group", dies)
    with pytest.raises(InputError, match="Use fewer --processes"):
        build_dataset(find_sources(small.source), tmp_path / "set", BuildSettings(processes=2))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("wrong", [{"identity": 0.3}, {"processes": 0}])
def test_settings_that_mean_nothing_are_refused(wrong):
    with pytest.raises(ConfigError):
        BuildSettings(**wrong)
    with pytest.raises(ConfigError):
        Limits(min_length=9, max_length=8)
