"""Reading a dataset back: by id and position, in other processes, and never from a damaged one."""

import json
import pickle
import shutil
import sys

import numpy as np
import pytest

from rna_predict.data import table
from rna_predict.data.build import BuildSettings, build_dataset
from rna_predict.data.dataset import open_dataset
from rna_predict.data.sources import find_sources
from rna_predict.data.table import need_lancedb
from rna_predict.errors import ConfigError, ContractError, InputError


def test_positions_of_a_split_lead_to_its_chains(small):
    rows = open_dataset(small.folder)
    assert len(rows) == 7
    assert [rows.ids[k] for k in rows.positions("validation")] == ["1f1t_A"]
    assert rows.positions("train").tolist() == [0, 1, 2, 3, 5, 6]
    assert rows.positions("test").tolist() == []
    for position, id in enumerate(rows.ids):
        chain = rows[position]
        assert (chain.id, chain.length, chain.sequence) == (id, rows.length_N[position], rows.sequences[position])
    assert [(member.id, member.cluster) for member in rows.members()][6] == ("1ehz_A", "c1ehz")


def test_arrays_cannot_be_written_to(small):
    chain = open_dataset(small.folder)[0]
    with pytest.raises(ValueError, match="read-only"):
        chain.xyz_LA3[0] = 0


def test_an_unknown_id_or_position_is_named(small):
    rows = open_dataset(small.folder)
    with pytest.raises(InputError, match="no chain 'nosuch'"):
        rows.get("nosuch")
    for position in (-1, 7):
        with pytest.raises(IndexError, match=f"position {position} of 7"):
            rows[position]


def test_a_dataset_goes_to_a_worker_process_without_its_open_table(small):
    rows = open_dataset(small.folder)
    assert rows[2].id == "17ra_A"
    again = pickle.loads(pickle.dumps(rows))
    assert np.array_equal(again[2].xyz_LA3, rows[2].xyz_LA3)


@pytest.mark.parametrize(
    ("name", "text", "error", "named"),
    [
        ("dataset.json", "{}", ContractError, "expected rna_predict.dataset version 1"),
        ("dataset.json", "{", ContractError, "damaged manifest"),
        ("dataset.json", None, InputError, "is no dataset"),
        ("splits.tsv", None, ContractError, "dataset split"),
        ("splits.tsv", "id\tcluster\tsplit\n1ehz_A\tx\tguess\n", ContractError, "is no table"),
        ("splits.tsv", "id\tcluster\tsplit\n1ehz_A\tx\ttrain\n", ContractError, "name different chains"),
        ("chains.lance", None, ContractError, "no readable table"),
    ],
)
def test_a_damaged_dataset_is_refused(small, tmp_path, name, text, error, named):
    folder = tmp_path / "set"
    shutil.copytree(small.folder, folder)
    if text is not None:
        (folder / name).write_text(text)
    elif (folder / name).is_dir():
        shutil.rmtree(folder / name)
    else:
        (folder / name).unlink()
    with pytest.raises(error, match=named):
        open_dataset(folder)


def test_verify_notices_a_changed_value(small, tmp_path):
    folder = tmp_path / "set"
    shutil.copytree(small.folder, folder)
    open_dataset(folder).verify()
    rows = need_lancedb().connect(str(folder)).open_table("chains")
    rows.update(where="id = '17ra_A'", values={"date": "1999-01-01"})
    with pytest.raises(ContractError, match=r"not those of its manifest|holds another chain"):
        open_dataset(folder).verify()


def test_a_damaged_table_file_is_an_error_of_ours(small, tmp_path):
    folder = tmp_path / "set"
    shutil.copytree(small.folder, folder)
    (part,) = (folder / "chains.lance" / "data").iterdir()
    part.write_bytes(part.read_bytes()[:1000])
    with pytest.raises(ContractError, match="Build the dataset again"):
        open_dataset(folder)[0]


def test_the_manifest_holds_no_time_and_no_place(small):
    manifest = json.loads((small.folder / "dataset.json").read_text())
    assert str(small.folder) not in json.dumps(manifest)
    assert set(manifest) == {
        *("schema", "version", "digest", "chains", "residues", "clusters", "files", "refused", "settings"),
        "package_version",
    }


def test_without_lancedb_the_error_names_the_command(small, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "lancedb", None)
    with pytest.raises(ConfigError, match="pip install lancedb"):
        open_dataset(small.folder)
    monkeypatch.setattr(table, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="pip install lancedb"):
        build_dataset(find_sources(small.source), tmp_path / "set", BuildSettings())
    assert list(tmp_path.iterdir()) == []
