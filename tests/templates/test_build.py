"""A library is built alike from a dataset and from the files that it was made of; of copies the longest stays."""

import json
import shutil

import pytest
from typer.testing import CliRunner

from rna_predict.cli.main import app
from rna_predict.data.build import BuildSettings, build_dataset
from rna_predict.data.sources import find_sources
from rna_predict.data.template_library import LibrarySettings, build_library
from rna_predict.errors import ConfigError, InputError
from rna_predict.formats.fasta import write_fasta
from rna_predict.templates.features import read_calibration
from rna_predict.templates.library import chain_positions, open_library

from .conftest import ADENINE, TRNA, adjacency_of, row_of

CHAINS = ("1y26_X", "4tzx_X", "1ehz_A", "1ebq_A")


@pytest.fixture(scope="module")
def folder(chains_dir, tmp_path_factory):
    path = tmp_path_factory.mktemp("chains")
    for name in CHAINS:
        shutil.copy(chains_dir / f"{name}.pdb.gz", path)
    return path


@pytest.fixture(scope="module")
def dataset(folder, tmp_path_factory):
    path = tmp_path_factory.mktemp("dataset") / "set"
    build_dataset(find_sources(folder), path, BuildSettings())
    return path


def test_files_and_their_dataset_give_the_same_rows_and_atoms(folder, dataset):
    from_files = build_library(folder, LibrarySettings(), {})
    from_dataset = build_library(dataset, LibrarySettings(), {})
    assert [row.id for row in from_files.rows] == sorted(CHAINS)
    assert [row._replace(cluster="") for row in from_dataset.rows] == list(from_files.rows)
    assert all((a.xyz_N3 == b.xyz_N3).all() for a, b in zip(from_files.packed, from_dataset.packed, strict=True))
    assert all(row.cluster for row in from_dataset.rows)


def test_a_carried_chain_is_what_its_file_gives(folder, carried):
    built = build_library(folder, LibrarySettings(), {})
    for name in (TRNA, ADENINE):
        own, other = row_of(built, name), row_of(carried, name)
        assert (own.sequence, own.structure) == (other.sequence, other.structure)


def test_of_like_chains_the_longest_stays(folder):
    assert {row.id for row in build_library(folder, LibrarySettings(identity=0.8), {}).rows} >= {"1ehz_A", "1ebq_A"}
    kept = {row.id for row in build_library(folder, LibrarySettings(identity=0.8), {}).rows}
    assert len(kept & {"1y26_X", "4tzx_X"}) == 1
    assert len(build_library(folder, LibrarySettings(identity=2.0), {}).rows) == len(CHAINS)


def test_short_chains_are_left_out_and_nothing_at_all_is_an_error(folder, dataset):
    assert {row.id for row in build_library(folder, LibrarySettings(min_length=60), {}).rows} == {
        *("1y26_X", "4tzx_X", "1ehz_A")
    }
    with pytest.raises(InputError, match="no chain of at least 500"):
        build_library(folder, LibrarySettings(min_length=500), {})
    with pytest.raises(InputError, match="'validation'"):
        build_library(dataset, LibrarySettings(split="validation"), {})
    with pytest.raises(ConfigError, match="identity"):
        LibrarySettings(identity=0.1)


@pytest.mark.parametrize("name", ["library", "library.safetensors"])
def test_the_command_builds_what_the_search_reads(folder, tmp_path, name):
    out = tmp_path / name
    result = CliRunner().invoke(app, ["templates", "build", str(folder), "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout.splitlines()[-1])["chains"] == len(CHAINS)
    opened = open_library(str(out))
    assert [row.id for row in opened.rows] == sorted(CHAINS)
    assert opened.made_by["command"].startswith("rna-predict templates build")


def test_the_stage_s_command_writes_both_files(carried, tmp_path):
    row = row_of(carried, ADENINE)
    adjacency = adjacency_of(row.sequence, row.partner_L, "riboswitch")
    folder = tmp_path / "riboswitch"
    adjacency.save(folder / "a_adjacency.safetensors")
    write_fasta(adjacency.rna, folder / "sequence.fasta")
    (tmp_path / "t.yaml").write_text("max_hits: 2\n")
    arguments = ["stage-templates", "--root", str(tmp_path), "--config", str(tmp_path / "t.yaml"), "riboswitch"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    summary = json.loads((folder / "t_templates.json").read_text())
    assert summary["hits"][0]["id"] == ADENINE
    assert len(summary["hits"]) == 2
    assert (folder / "t_templates.safetensors").is_file()


def test_without_stage_a_the_error_names_it(tmp_path):
    result = CliRunner().invoke(app, ["stage-templates", "--root", str(tmp_path), "x"])
    assert result.exit_code == 1


def test_the_search_command_prints_a_line_a_template(tmp_path, carried):
    row = row_of(carried, ADENINE)
    (tmp_path / "q.fasta").write_text(f">add\n{row.sequence}\n>short\nGGGAAACCC\n")
    result = CliRunner().invoke(app, ["templates", "search", str(tmp_path / "q.fasta"), "--max-hits", "2"])
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[1].split()[:2] == ["add", ADENINE]
    assert json.loads(lines[-1]) == {
        "library": len(chain_positions(carried.rows)),
        "rnas": 2,
        "with_template": 1,
        "hits": 2,
    }


def test_the_command_calibrates_on_a_dataset(dataset, carried, tmp_path):
    out = tmp_path / "calibration.json"
    result = CliRunner().invoke(app, ["templates", "calibrate", str(dataset), "--out", str(out)])
    assert result.exit_code == 0, result.output
    fitted = read_calibration(out)
    assert fitted.made_by["command"] == "rna-predict templates calibrate DATASET --split train"
    assert fitted.made_by["library"] == carried.digest
    assert fitted.made_by["alignments"] == 8 * 2 * len(CHAINS)
