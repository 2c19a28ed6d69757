"""A library is the same from a file and a folder, refuses damage, and the carried one holds no validation chain."""

import csv
import json
import re
import shutil

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from rna_predict.chemistry.residues import MAX_ATOMS
from rna_predict.errors import ContractError, InputError
from rna_predict.geometry.numpy_measures import linked_in_space
from rna_predict.templates import lance
from rna_predict.templates.embedding import DIMENSION, embed
from rna_predict.templates.library import CARRIED, MemoryLibrary, Row, chain_positions, open_library, pack, unpack

from .conftest import ADENINE, position_of, row_of


@pytest.fixture(scope="module")
def folder(small, tmp_path_factory):
    path = tmp_path_factory.mktemp("library") / "lance"
    lance.write(small, path)
    return path


def test_a_file_holds_what_was_saved_and_the_same_bytes_each_time(small, tmp_path):
    small.save(tmp_path / "a.safetensors")
    small.save(tmp_path / "b.safetensors")
    read = MemoryLibrary.load(tmp_path / "a.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    assert (read.rows, read.digest, read.made_by) == (small.rows, small.digest, small.made_by)
    for n in range(len(small.rows)):
        assert np.array_equal(read.atoms(n).xyz_LA3, small.atoms(n).xyz_LA3)


def test_a_folder_holds_what_a_file_holds(small, folder):
    opened = open_library(str(folder))
    assert (tuple(opened.rows), opened.digest, opened.made_by) == (small.rows, small.digest, small.made_by)
    for n in range(len(small.rows)):
        for name in ("xyz_LA3", "mask_LA", "linked_L"):
            assert np.array_equal(getattr(opened.atoms(n), name), getattr(small.atoms(n), name))


def test_both_name_the_same_nearest_chains_and_a_chain_is_nearest_to_itself(small, folder):
    opened = open_library(str(folder))
    for n, row in enumerate(small.rows):
        vector = embed(row.sequence, row.partner_L)
        assert small.nearest(vector, 1) == [n]
        assert sorted(opened.nearest(vector, 4)) == sorted(small.nearest(vector, 4))
        assert opened.nearest(vector, 1) == [n]


def test_an_embedding_is_of_unit_length_and_near_for_a_relative(carried):
    first, relative = row_of(carried, ADENINE), row_of(carried, "4tzx_X")
    vectors = carried.vectors
    assert vectors.shape == (len(carried.rows), DIMENSION)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(len(vectors)), abs=1e-5)
    assert relative.id in {carried.rows[n].id for n in carried.nearest(embed(first.sequence, first.partner_L), 10)}


def test_coordinates_are_kept_to_a_hundredth(carried):
    generator = np.random.default_rng(0)
    atoms = carried.atoms(position_of(carried, ADENINE))
    xyz = (atoms.xyz_LA3 + generator.normal(size=atoms.xyz_LA3.shape)) * atoms.mask_LA[..., None]
    back = unpack(pack(xyz + 500.0 * atoms.mask_LA[..., None], atoms.mask_LA, atoms.linked_L))
    centre = xyz[atoms.mask_LA].mean(axis=0)
    assert np.abs(back.xyz_LA3[atoms.mask_LA] - (xyz[atoms.mask_LA] - centre)).max() <= 0.00501
    assert not back.xyz_LA3[~atoms.mask_LA].any()
    assert np.array_equal(back.linked_L, atoms.linked_L)


def test_a_chain_that_reaches_too_far_is_refused(carried):
    atoms = carried.atoms(0)
    with pytest.raises(ContractError, match="327 Å"):
        pack(atoms.xyz_LA3 * 100, atoms.mask_LA, atoms.linked_L)


@pytest.mark.parametrize("change", ["xyz", "rows", "linked", "dtype", "length"])
def test_a_damaged_file_is_refused(small, tmp_path, change):
    path = tmp_path / "x.safetensors"
    small.save(path)
    arrays = load_file(path)
    header = path.read_bytes()
    metadata = {"library": json.loads(header[8 : 8 + int.from_bytes(header[:8], "little")])["__metadata__"]["library"]}
    if change == "dtype":
        arrays["xyz"] = arrays["xyz"].astype(np.int32)
    elif change == "length":
        arrays["atoms"] = arrays["atoms"][:-1]
    elif change == "rows":
        arrays["rows"] = np.frombuffer(arrays["rows"].tobytes().replace(b"1y26", b"1y27"), dtype=np.uint8)
    else:
        arrays[change] = arrays[change].copy()
        arrays[change].flat[7] ^= 1
    save_file(arrays, path, metadata=metadata)
    with pytest.raises(ContractError, match="templates build"):
        MemoryLibrary.load(path)


def test_another_schema_and_no_file_are_refused_by_name(small, tmp_path):
    path = tmp_path / "x.safetensors"
    save_file({"xyz": np.zeros(3, dtype=np.int16)}, path, metadata={"library": json.dumps({"schema": "other"})})
    with pytest.raises(
        ContractError, match=r"x\.safetensors: expected rna_predict.template_library version 1, found other"
    ):
        MemoryLibrary.load(path)
    path.write_bytes(b"nothing")
    with pytest.raises(ContractError, match="not a readable"):
        MemoryLibrary.load(path)
    with pytest.raises(ContractError, match="no such library"):
        open_library(str(tmp_path / "none.safetensors"))


def test_a_damaged_folder_is_refused(folder, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    shutil.rmtree(copy / "templates.lance")
    with pytest.raises(ContractError, match="no readable library"):
        open_library(str(copy))
    (copy / "library.json").unlink()
    with pytest.raises(ContractError, match=r"no library\.json"):
        open_library(str(copy))


def test_a_foreign_folder_is_not_overwritten_and_an_older_library_is(small, folder, tmp_path):
    own = tmp_path / "own"
    own.mkdir()
    (own / "thesis.txt").write_text("x")
    with pytest.raises(InputError, match="no library of templates"):
        lance.write(small, own)
    assert (own / "thesis.txt").read_text() == "x"
    fewer = MemoryLibrary(rows=small.rows[:3], packed=small.packed[:3], made_by={})
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    lance.write(fewer, copy)
    assert lance.LanceLibrary.open(copy).digest == fewer.digest
    assert {path.name for path in tmp_path.iterdir()} == {"own", "copy"}


def test_rows_must_be_distinct_and_fit_their_atoms(small):
    with pytest.raises(ContractError, match="each id once"):
        MemoryLibrary(rows=small.rows[:1] * 2, packed=small.packed[:1] * 2, made_by={})
    row = small.rows[0]
    longer = Row(**(row._asdict() | {"sequence": row.sequence + "A", "structure": row.structure + "."}))
    with pytest.raises(ContractError, match="do not fit"):
        MemoryLibrary(rows=(longer,), packed=small.packed[:1], made_by={})
    with pytest.raises(ContractError, match="marks of structure"):
        MemoryLibrary(rows=(row._replace(structure="."),), packed=small.packed[:1], made_by={})


def test_the_carried_library_is_of_training_chains_alone(carried, shared_dir):
    with (shared_dir / "data" / "rna3d" / "index.csv").open() as file:
        split = {row["id"]: row["split"] for row in csv.DictReader(file)}
    assert {split[row.id] for row in carried.rows if not row.loop} == {"train"}


def test_its_card_states_what_it_holds(carried, root):
    card = (root / "rna_predict" / "templates" / "pdb.md").read_text()
    chains = len(chain_positions(carried.rows))
    residues = sum(len(row.sequence) for row in carried.rows[:chains])
    assert re.search(r"holds ([\d,]+) chains", card)[1] == f"{chains:,}"
    assert f"{residues:,} residues" in card
    alone = sum(len(row.sequence) for row in carried.rows[chains:])
    assert f"{len(carried.rows) - chains} loops ({alone:,} residues)" in card
    assert carried.digest in card
    assert (root / "rna_predict" / "templates" / CARRIED).stat().st_size < 4_000_000


def test_its_links_are_those_of_its_coordinates(carried):
    for n in range(0, len(carried.rows), 25):
        atoms = carried.atoms(n)
        assert not (atoms.linked_L & ~linked_in_space(atoms.xyz_LA3, atoms.mask_LA)).any()
        assert atoms.mask_LA.shape == (len(carried.rows[n].sequence), MAX_ATOMS)
