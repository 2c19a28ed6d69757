"""Loops alone: built from files of one loop each, kept by both stores, seen by the search for loops and by no other."""

import gzip
import itertools
import json
import logging
from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import load_file
from typer.testing import CliRunner

from rna_predict.chemistry.residues import BASE_N_SLOT, C1, P
from rna_predict.cli.library_calibration import local_samples, motif_samples
from rna_predict.cli.main import app
from rna_predict.contracts import Structure
from rna_predict.data.loop_files import LoopReading, read_loop, read_loops, with_loops
from rna_predict.data.sources import IndexRow
from rna_predict.errors import ContractError
from rna_predict.formats.structure_file import write_structure
from rna_predict.geometry.numpy_measures import linked_in_space
from rna_predict.templates import lance, local
from rna_predict.templates.config import TemplatesConfig
from rna_predict.templates.library import MemoryLibrary, chain_positions, library_digest, open_library, row_digest
from rna_predict.templates.local import search_local
from rna_predict.templates.motifs import Ring, gap_lddt, known_rings, loop_gaps, rings
from rna_predict.templates.search import search
from rna_predict.templates.stage import find_templates

from .conftest import ADENINE, GUANINE, TRNA, adjacency_of, position_of, row_of

CUT = {"hairpin": (TRNA, "hairpin"), "internal": (ADENINE, "internal"), "junction": (GUANINE, "multiloop")}
"""Name of a file, the chain that its loop is of, and the loop's kind."""
STRANDS = {"hairpin": (10,), "internal": (4, 8), "junction": (2, 3, 4)}
CHAINS_ALONE = "69919cba6bc896d772ba49791bb3bee8a66407bd794bd7b07558a42bacbe94df"
"""Digest of the carried library before it had loops."""


def cut_loop(library: MemoryLibrary, name: str) -> tuple[Ring, Structure]:
    """A loop of a chain with its place there, and its residues as a file holds them: strands with a letter each."""
    id, kind = CUT[name]
    row = row_of(library, id)
    ring = next(ring for ring in rings(row.sequence, row.partner_L) if ring.shape[0] == kind)
    atoms = library.atoms(position_of(library, id))
    starts = tuple(itertools.accumulate(size + 2 for size in ring.shape[1]))[:-1]
    number_N = np.arange(1, len(ring.letters) + 1)
    for start in starts:
        number_N[start:] += 1
    structure = Structure(
        id=name,
        sequence=ring.letters,
        xyz_LA3=atoms.xyz_LA3[ring.residue_N].astype(np.float64),
        mask_LA=atoms.mask_LA[ring.residue_N],
        number_L=number_N,
        breaks=starts,
    )
    return ring, structure


def parts(structure: Structure, residues: list[int]) -> Structure:
    """Some residues of a structure in a new order, as one chain numbered through."""
    return Structure(
        id=structure.id,
        sequence="".join(structure.sequence[n] for n in residues),
        xyz_LA3=structure.xyz_LA3[residues],
        mask_LA=structure.mask_LA[residues],
        number_L=np.arange(1, len(residues) + 1),
    )


def write(structure: Structure, path) -> None:
    write_structure(structure, path, np.zeros(structure.mask_LA.shape))


@pytest.fixture(scope="module")
def folder(carried, tmp_path_factory):
    """The three loops: PDB, mmCIF, and a gzipped PDB."""
    path = tmp_path_factory.mktemp("loops")
    for name, ending in {"hairpin": ".pdb", "internal": ".cif", "junction": ".x.pdb"}.items():
        write(cut_loop(carried, name)[1], path / f"{name}{ending}")
    (path / "junction.x.pdb.gz").write_bytes(gzip.compress((path / "junction.x.pdb").read_bytes()))
    (path / "junction.x.pdb").unlink()
    return path


@pytest.fixture(scope="module")
def loops(folder) -> LoopReading:
    return read_loops(folder, {"hairpin": IndexRow(entry="1ehz", date="2000-02-20", cluster="c")})


@pytest.fixture(scope="module")
def mixed(small, loops) -> MemoryLibrary:
    """Some chains but those of the loops, and the loops."""
    taken = [n for n, row in enumerate(small.rows) if row.id not in (TRNA, ADENINE, GUANINE)]
    chains = MemoryLibrary(
        rows=tuple(small.rows[n] for n in taken), packed=tuple(small.packed[n] for n in taken), made_by={}
    )
    return with_loops(chains, loops)


def test_a_file_becomes_a_row_with_its_strands_and_closing_pairs(loops):
    found = {row.id: row for row in loops.rows}
    assert not loops.refusals
    assert {name.split(".")[0]: row.strands for name, row in found.items()} == STRANDS
    assert found["junction.x"].structure == "(().()..)"
    assert found["junction.x"].breaks == (2, 5)
    assert found["hairpin"].structure == "(........)"
    assert (found["hairpin"].source, found["hairpin"].date, found["hairpin"].cluster) == ("1ehz", "2000-02-20", "c")
    assert (found["internal"].source, found["internal"].date) == ("internal", "")


def test_strands_in_another_order_are_put_around_the_loop(carried, loops, tmp_path):
    _, junction = cut_loop(carried, "junction")
    write(parts(junction, [0, 1, *range(5, 9), *range(2, 5)]), tmp_path / "turned.pdb")
    row, packed = read_loop(tmp_path / "turned.pdb", "junction.x", IndexRow())
    position = [own.id for own in loops.rows].index("junction.x")
    assert row._replace(source="junction.x") == loops.rows[position]
    for name in ("xyz_N3", "atoms_L", "linked_L"):
        assert np.array_equal(getattr(packed, name), getattr(loops.packed[position], name))


@pytest.mark.parametrize("name", list(CUT))
def test_the_loop_of_a_row_is_the_one_that_was_cut(carried, mixed, name):
    ring, _ = cut_loop(carried, name)
    row = next(row for row in mixed.rows if row.id.split(".")[0] == name)
    (own,) = rings(row.sequence, row.partner_L, breaks=row.breaks)
    assert (own.shape, own.letters) == (ring.shape, ring.letters)
    before = loop_gaps(carried.atoms(position_of(carried, CUT[name][0])), ring)
    after = loop_gaps(mixed.atoms(position_of(mixed, row.id)), own)
    assert np.nanmax(np.abs(before - after)) < 0.05
    assert (np.isnan(before) == np.isnan(after)).all()


def test_both_stores_keep_them(mixed, tmp_path):
    mixed.save(tmp_path / "x.safetensors")
    lance.write(mixed, tmp_path / "x")
    for path in (tmp_path / "x.safetensors", tmp_path / "x"):
        opened = open_library(str(path))
        assert (tuple(opened.rows), opened.digest) == (mixed.rows, mixed.digest)
        for position in range(len(mixed.rows)):
            assert np.array_equal(opened.atoms(position).xyz_LA3, mixed.atoms(position).xyz_LA3)
        chains = chain_positions(opened.rows)
        assert len(chains) == len(mixed.rows) - len(CUT)
        assert sorted(opened.nearest(mixed.vectors[-1], len(mixed.rows))) == list(chains)
        assert [position in chains for position in opened.nearest(mixed.vectors[-1], 2)] == [True, True]


def test_rows_without_strands_are_stored_and_digested_as_before_there_were_loops(carried, tmp_path):
    chains = chain_positions(carried.rows)
    digests = [row_digest(carried.rows[n], carried.packed[n]) for n in chains]
    assert library_digest(digests) == CHAINS_ALONE
    own = MemoryLibrary(rows=carried.rows[: len(chains)], packed=carried.packed[: len(chains)], made_by={})
    own.save(tmp_path / "x.safetensors")
    stored = json.loads(load_file(tmp_path / "x.safetensors")["rows"].tobytes())
    assert {len(values) for values in stored} == {6}
    assert MemoryLibrary.load(tmp_path / "x.safetensors").rows == own.rows


def test_a_table_without_the_column_reads_as_having_none(small, tmp_path):
    lance.write(small, tmp_path / "x")
    opened = lance.LanceLibrary.open(tmp_path / "x")
    opened.table.drop_columns(["strands"])
    older = lance.LanceLibrary.open(tmp_path / "x")
    assert "strands" not in older.table.schema.names
    assert (older.rows, older.digest) == (small.rows, small.digest)
    assert np.array_equal(older.atoms(0).xyz_LA3, small.atoms(0).xyz_LA3)
    assert older.nearest(small.vectors[3], 1) == [3]


def test_searches_for_chains_do_not_see_them(carried, mixed):
    config = TemplatesConfig(min_expected_tm=0.0, max_hits=50, min_length=2)
    row = row_of(carried, ADENINE)
    for prefilter in (3000, 5):
        own = TemplatesConfig(min_expected_tm=0.0, max_hits=50, prefilter=prefilter)
        found = search(adjacency_of(row.sequence, row.partner_L), mixed, own)
        assert found
        assert not any(one.row.loop for one in found)
    loop = next(row for row in mixed.rows if row.id == "hairpin")
    assert not any(one.row.loop for one in search(adjacency_of(loop.sequence, loop.partner_L), mixed, config))


def test_local_alignments_are_made_with_chains_alone(carried, mixed, monkeypatch):
    """A loop's pairs are too near in its letters to come out as a hit, so what is aligned is looked at."""
    asked = []
    monkeypatch.setattr(local, "local_hits", lambda *arguments: asked.append(arguments[3]) or [])
    search_local(row_of(carried, TRNA).sequence, mixed, TemplatesConfig())
    assert asked == [list(chain_positions(mixed.rows))]


def test_of_the_fits_only_that_of_loops_counts_them(small, loops, mixed):
    chains = len(chain_positions(mixed.rows))
    alone = MemoryLibrary(rows=mixed.rows[:chains], packed=mixed.packed[:chains], made_by={})
    first, second = local_samples(alone), local_samples(mixed)
    assert [(one.cluster, one.share) for one in first] == [(one.cluster, one.share) for one in second]
    assert {"c", "internal", "junction.x"} <= {one.cluster for one in motif_samples(with_loops(small, loops))}


def test_a_loop_is_read_from_each_of_its_pairs(mixed):
    known = known_rings(mixed)
    position = position_of(mixed, "junction.x")
    assert sum(chain == position for places in known.values() for chain, _ in places) == 3
    for sizes in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        (own,) = [ring for chain, ring in known["multiloop", sizes] if chain == position]
        assert len(own.residue_N) == 9


@pytest.mark.parametrize("name", list(CUT))
def test_it_is_found_and_threaded_whatever_the_identity(carried, mixed, name):
    """On the chain that it is of, with the distances of that chain."""
    id, _ = CUT[name]
    row, atoms = row_of(carried, id), carried.atoms(position_of(carried, id))
    config = TemplatesConfig(max_hits=0, min_expected_lddt=0.0, max_identity=0.5)
    adjacency = adjacency_of(row.sequence, row.partner_L)
    found = find_templates(adjacency, config, mixed)
    ids = [motif.id.split(".")[0] for motif in found.motifs]
    assert name in ids
    loop = list(found.known_loops)[ids.index(name)]
    points = [P, C1, BASE_N_SLOT]
    shared_N3 = loop.mask_NA[:, points] & atoms.mask_LA[loop.residue_N][:, points]
    own = atoms.xyz_LA3[loop.residue_N][:, points][shared_N3]
    known = loop.xyz_NA3[:, points][shared_N3]
    gaps = [np.linalg.norm(one[:, None] - one[None], axis=-1) for one in (own, known)]
    near = (gaps[0] > 0) & (gaps[0] < 15)
    assert gap_lddt(gaps[0][near], gaps[1][near][None])[0] > 0.95
    cuts = len(STRANDS[name]) - 1
    assert (~loop.linked_N[:-1]).sum() == cuts


def test_id_and_day_hold_for_them(carried, mixed):
    row = row_of(carried, TRNA)
    adjacency = adjacency_of(row.sequence, row.partner_L)

    def found(**settings):
        config = TemplatesConfig(max_hits=0, min_expected_lddt=0.0, **settings)
        return {motif.id for motif in find_templates(adjacency, config, mixed).motifs}

    assert "hairpin" in found()
    assert found(before="2000-02-21") == {"hairpin"}  # no other row says its day
    assert found(before="2000-02-20") == set()
    assert "hairpin" not in found(exclude=["hairpin"])
    assert "hairpin" not in found(exclude=["cluster:c"])


REFUSED = {
    "odd": "a closing pair is",
    "far": "and does not",
    "trace": "without C1'",
    "helix": "loops, not this one",
    "torn": "strands of",
    "empty": "holds 0 atoms",
}


@pytest.fixture(scope="module")
def refused(carried, tmp_path_factory):
    """One loop, and six files that hold none: each is named by what is wrong with it."""
    path = tmp_path_factory.mktemp("refused")
    _, hairpin = cut_loop(carried, "hairpin")
    _, junction = cut_loop(carried, "junction")
    write(hairpin, path / "hairpin.pdb")
    write(parts(hairpin, list(range(1, 9))), path / "odd.pdb")
    away_N3 = np.where(np.isin(np.arange(9), range(2, 5))[:, None], 30.0, 0.0)[:, None]  # Å, of the second strand
    moved = (junction.xyz_LA3 + away_N3) * junction.mask_LA[..., None]
    write(replace(junction, xyz_LA3=moved), path / "far.pdb")
    trace = np.zeros_like(hairpin.mask_LA)
    trace[:, C1] = True
    write(replace(hairpin, xyz_LA3=hairpin.xyz_LA3 * trace[..., None], mask_LA=trace), path / "trace.pdb")
    row, atoms = row_of(carried, TRNA), carried.atoms(position_of(carried, TRNA))
    i = next(i for i in range(len(row.sequence)) if row.partner_L[i] == row.partner_L[i + 1] + 1 > 0)
    four = [i, i + 1, int(row.partner_L[i + 1]), int(row.partner_L[i])]
    whole = Structure(
        id="helix",
        sequence=row.sequence,
        xyz_LA3=atoms.xyz_LA3.astype(np.float64),
        mask_LA=atoms.mask_LA,
        number_L=np.arange(len(row.sequence)),
    )
    write(parts(whole, four), path / "helix.pdb")
    write(parts(hairpin, [0, *range(3, 10)]), path / "torn.pdb")
    (path / "empty.pdb").write_text("REMARK nothing\n")
    return path


@pytest.mark.parametrize("name", list(REFUSED))
def test_a_file_that_is_no_loop_is_left_out_with_a_reason(refused, name):
    reading = read_loops(refused, {})
    assert [row.id for row in reading.rows] == ["hairpin"]
    reasons = {refusal.source: refusal.reason for refusal in reading.refusals}
    assert len(reasons) == len(REFUSED)
    assert REFUSED[name] in reasons[f"{name}.pdb"]


@pytest.mark.parametrize("name", ["library", "library.safetensors"])
def test_the_command_builds_them_beside_the_chains_and_counts_the_rest(refused, chains_dir, tmp_path, caplog, name):
    index = tmp_path / "index.csv"
    index.write_text("id,pdb_id,date\nhairpin,1ehz,2000-02-20\n")
    source, out = chains_dir / f"{ADENINE}.pdb.gz", tmp_path / name
    arguments = ["templates", "build", str(source), "--out", str(out), "--loops", str(refused)]
    with caplog.at_level(logging.WARNING):
        result = CliRunner().invoke(app, [*arguments, "--loops-index", str(index)])
    assert result.exit_code == 0, result.output
    figures = json.loads(result.stdout.splitlines()[-1])
    assert (figures["chains"], figures["loops"], figures["loops_left_out"]) == (1, 1, len(REFUSED))
    opened = open_library(str(out))
    assert figures["digest"] == opened.digest
    assert [(row.id, row.source, row.date) for row in opened.rows][1] == ("hairpin", "1ehz", "2000-02-20")
    assert opened.made_by["command"].endswith("--loops FOLDER --loops-index INDEX")
    arguments = ["templates", "build", str(source), "--out", str(out), "--loops-index", str(index)]
    assert CliRunner().invoke(app, arguments).exit_code != 0


def test_rows_of_loops_must_be_whole_and_behind_the_chains(mixed):
    rows, packed = mixed.rows[::-1], mixed.packed[::-1]
    with pytest.raises(ContractError, match="before a chain"):
        MemoryLibrary(rows=rows, packed=packed, made_by={})
    for strands in ((9,), (10, 0), (1, 9)):
        wrong = tuple(row._replace(strands=strands) if row.id == "hairpin" else row for row in mixed.rows)
        with pytest.raises(ContractError, match="hairpin: strands of"):
            MemoryLibrary(rows=wrong, packed=mixed.packed, made_by={})


def test_the_carried_loops_are_of_two_ribosomes_whole_and_one_each(carried):
    own = [n for n, row in enumerate(carried.rows) if row.loop]
    assert len(own) == 138
    assert {carried.rows[n].source for n in own} == {"1s72", "2vqe"}
    kinds = []
    for n in own:
        row, atoms = carried.rows[n], carried.atoms(n)
        (ring,) = rings(row.sequence, row.partner_L, breaks=row.breaks)
        kinds.append(ring.shape[0])
        assert loop_gaps(atoms, ring) is not None
        assert (atoms.linked_L == linked_in_space(atoms.xyz_LA3, atoms.mask_LA)).all()
        assert (np.flatnonzero(~atoms.linked_L) + 1).tolist() == list(row.breaks)
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {"hairpin": 84, "internal": 17, "multiloop": 37}


def test_the_carried_loops_bring_junctions_that_no_chain_has(carried):
    shapes: dict[bool, set[tuple[int, ...]]] = {False: set(), True: set()}
    for (kind, sizes), places in known_rings(carried).items():
        if kind == "multiloop":
            for loop in {carried.rows[position].loop for position, _ in places}:
                shapes[loop].add(sizes)
    assert len(shapes[True] - shapes[False]) > 50
