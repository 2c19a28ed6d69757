"""C1' traces: what a table says is what the files hold; nothing near what is held out trains."""

import csv
import gzip

import numpy as np
import pytest

from rna_predict.chemistry.residues import C1
from rna_predict.data.build import BuildSettings, build_dataset
from rna_predict.data.dataset import open_dataset
from rna_predict.data.entries import Limits
from rna_predict.data.sources import find_sources, read_index
from rna_predict.data.traces import (
    KnownChain,
    LeftOut,
    Surroundings,
    TraceSettings,
    chosen_traces,
    read_entries_and_dates,
    read_held_out,
    read_known_chains,
    read_traces,
    shared,
    words,
    write_traces,
)
from rna_predict.errors import ConfigError, InputError

RNA = "GGCGCAGUGGGCUAGCGCCACUCAAAAGGCCCAU"
"""34 nt, no 8-mer twice."""
OTHER = "AUCGUUAGCCGAUACCAGGUUCAACGUGACUGCA"
NOWHERE = Surroundings(held_out={}, chains=(), entry_of={}, date_of={})
EASY = TraceSettings(min_length=2)


def point(k: int) -> tuple[float, float, float]:
    """A helix of 5.5 Å a step: no two residues lie alike."""
    return (9.0 * np.cos(0.57 * k), 9.0 * np.sin(0.57 * k), 2.8 * k - 500.0)


def row(id: str, number: int, letter: str, at=None) -> str:
    x, y, z = point(number) if at is None else at
    return f"{id},{number},{letter},{x:.3f},{y:.3f},{z:.3f}" if at != () else f"{id},{number},{letter},,,"


@pytest.fixture
def table(tmp_path):
    """`table({"1RNK_A": "GGC…"}, missing={…})` writes a table in our format; missing positions, from 1, are empty."""

    def write(chains: dict[str, str], missing=(), name="coords.csv.gz"):
        lines = ["id,resid,resname,x,y,z"]
        for id, sequence in chains.items():
            for number, letter in enumerate(sequence, start=1):
                lines.append(f"{id},{number},{letter},,," if number in missing else row(id, number, letter))
        path = tmp_path / name
        path.write_bytes(gzip.compress("\n".join(lines).encode()))
        return path

    return write


def known(id: str, sequence: str, cluster: str, split: str = "train") -> KnownChain:
    return KnownChain(id=id, sequence=sequence, cluster=cluster, split=split, stated={"pdb_id": id[:4], "date": ""})


def around(held_out=None, chains=()) -> Surroundings:
    return Surroundings(held_out=held_out or {}, chains=chains, entry_of={}, date_of={})


def test_files_hold_the_atoms_of_the_table_and_the_dataset_takes_them(table, tmp_path):
    traces = read_traces(table({"1RNK_A": RNA}, missing=(1, 7, 8)))
    report = write_traces(traces, NOWHERE, tmp_path / "out", TraceSettings())
    assert (report.residues, report.cluster_of, report.own_clusters) == (31, {"1RNK_A": "1RNK_A"}, 1)
    text = gzip.decompress((tmp_path / "out" / "1RNK_A.pdb.gz").read_bytes()).decode()
    atoms = [line for line in text.splitlines() if line.startswith("ATOM")]
    assert {line[12:16] + line[21] for line in atoms} == {" C1'A"}
    index = read_index(tmp_path / "out" / "index.csv", "cluster", "split")
    build_dataset(find_sources(tmp_path / "out"), tmp_path / "set", BuildSettings(limits=Limits(min_atoms=0.02)), index)
    chain = open_dataset(tmp_path / "set").get("1RNK_A")
    assert chain.sequence == RNA[1:6] + RNA[8:]
    assert chain.number_L.tolist() == [2, 3, 4, 5, 6, *range(9, 35)]
    assert chain.mask_LA.sum() == chain.mask_LA[:, C1].sum() == 31
    expected = [point(number) for number in chain.number_L]
    np.testing.assert_allclose(chain.xyz_LA3[:, C1], expected, atol=6e-4)
    assert chain.origin.entry == "1rnk"
    with pytest.raises(InputError, match="few_atoms"):
        build_dataset(find_sources(tmp_path / "out"), tmp_path / "set2", BuildSettings())


def test_kaggle_s_labels_are_the_same_traces(table, tmp_path):
    ours = read_traces(table({"1RNK_A": RNA, "R1107": OTHER}, missing=(3,)))
    lines = ["ID,resname,resid,x_1,y_1,z_1,x_2,y_2,z_2"]
    for id, sequence in (("1RNK_A", RNA), ("R1107", OTHER)):
        for number, letter in enumerate(sequence, start=1):
            x, y, z = (-1e18,) * 3 if number == 3 else point(number)
            lines.append(f"{id}_{number},{letter},{number},{x:.3f},{y:.3f},{z:.3f},0.0,0.0,0.0")
    path = tmp_path / "train_labels.csv"
    path.write_text("\n".join(lines))
    kaggle = read_traces(path)
    assert [(one.id, one.sequence) for one in kaggle] == [("1RNK_A", RNA), ("R1107", OTHER)]
    for mine, theirs in zip(ours, kaggle, strict=True):
        np.testing.assert_array_equal(mine.point_L3, theirs.point_L3)
        np.testing.assert_array_equal(mine.number_L, theirs.number_L)
        assert np.flatnonzero(~theirs.seen_L).tolist() == [2]


def test_a_letter_that_is_none_has_no_atom_and_no_word(table):
    trace = read_traces(table({"x": "GGCGCAGUXGGCUAGCGCC"}))[0]
    assert np.flatnonzero(~trace.seen_L).tolist() == [8]
    assert words(trace.sequence) == words("GGCGCAGU") | words("GGCUAGCGCC")
    assert trace.structure("x").number_L.tolist() == [*range(1, 9), *range(10, 20)]


def test_words_in_common_are_counted_by_hand():
    first, second = words("ACGUACGGA"), words("CGUACGGAUU")
    assert first == {"ACGUACGG", "CGUACGGA"}
    assert shared(first, second, min) == 1 / 2
    assert shared(first, second, max) == 1 / 3
    assert shared(first, words("ACGU"), min) == 0


def test_what_shares_half_of_the_smaller_set_with_a_held_out_sequence_is_left_out(table):
    """13 and 14 of 27 words: the tail of the trace has letters of its own behind 20 or 21 of the held-out ones."""
    half, below = RNA[:21] + OTHER[:13], RNA[:20] + OTHER[:14]
    traces = read_traces(table({"half": half, "below": below}))
    assert [len(words(trace.sequence) & words(RNA)) for trace in traces] == [14, 13]
    assert len(words(RNA)) == 27
    kept, left_out = chosen_traces(traces, around({"v1": RNA}), EASY)
    assert left_out == [LeftOut(id="half", kind="held_out", reason="near the held-out v1")]
    assert [one.id for one in kept] == ["below"]
    assert len(chosen_traces(traces, around({"v1": RNA}), TraceSettings(share=0.6))[0]) == 2
    short = chosen_traces(traces, around({"v1": RNA[:16]}), EASY)
    assert [one.id for one in short[1]] == ["half", "below"], "the smaller set is the held-out one's"


def test_a_trace_near_an_all_atom_chain_takes_its_cluster_and_others_found_their_own(table):
    near, piece = RNA[:30] + "UGCA", RNA[:16]
    chains = (known("1abc_A", OTHER[:20] + "GGGAAACCC", "7"), known("2abc_A", RNA, "12"))
    traces = read_traces(
        table({"near": near, "piece": piece, "o1": OTHER[10:] + "GCGCGC", "o2": OTHER[10:] + "GCGAUC"})
    )
    kept, left_out = chosen_traces(traces, around(chains=chains), TraceSettings(min_length=2, prefix="c1_"))
    assert not left_out
    assert {one.id: one.cluster for one in kept} == {
        "c1_near": "12",
        "c1_piece": "c1_piece",
        "c1_o1": "c1_o1",
        "c1_o2": "c1_o1",
    }


def test_no_cluster_that_validates_takes_a_trace_and_copies_are_not_taken(table):
    chains = (known("1abc_A", RNA + "AUGC", "12", "validation"), known("2abc_A", OTHER, "13"))
    traces = read_traces(table({"near": RNA, "copy": OTHER, "few": "GGCCGGCC"}))
    kept, left_out = chosen_traces(traces, around(chains=chains), TraceSettings())
    assert kept == []
    assert [(one.id, one.kind) for one in left_out] == [("near", "cluster"), ("copy", "copy"), ("few", "short")]
    chains = (known("1abc_A", RNA + "AUGC", "12"), known("1abd_A", OTHER + "A", "12", "test"))
    assert chosen_traces(traces[:1], around(chains=chains), EASY)[1][0].kind == "cluster", "one of its chains tests"


def test_only_residues_with_atoms_count_for_the_length(table):
    traces = read_traces(table({"x": RNA}, missing=range(20, 40)))
    assert chosen_traces(traces, NOWHERE, TraceSettings())[1][0].reason == "19 residues were seen, fewer than 20"
    assert chosen_traces(traces, NOWHERE, TraceSettings(min_length=19))[0][0].id == "x"


def test_numbers_that_fall_leave_a_chain_out(tmp_path):
    path = tmp_path / "c.csv"
    lines = [row("x", number, letter) for number, letter in enumerate(RNA, start=1)]
    path.write_text("\n".join(["id,resid,resname,x,y,z", *lines[5:], *lines[:5]]))
    assert chosen_traces(read_traces(path), NOWHERE, EASY)[1][0].kind == "numbers"


def test_the_index_joins_both_kinds_of_chains(table, tmp_path):
    index = tmp_path / "all_atom.csv"
    index.write_text(
        "id,pdb_id,sequence,resolution,method,cluster80,split,title\n"
        f"1abc_A,1abc,{RNA}AUGC,1.9,X-RAY DIFFRACTION,12,train,T\n2abc_A,2abc,{OTHER}CC,,,13,validation,T\n"
    )
    about = tmp_path / "about.csv"
    about.write_text("target_id,sequence,temporal_cutoff\n1RNK_A,GG,1995-02-27\n")
    entries, dates = read_entries_and_dates(about)
    chains = read_known_chains(index)
    beside = Surroundings(held_out=read_held_out(index), chains=chains, entry_of=entries, date_of=dates)
    traces = read_traces(table({"1RNK_A": RNA, "R1107": "GACUUACGGAUUACGGCAUCGACC", "9xyz_B": OTHER}))
    report = write_traces(traces, beside, tmp_path / "out", TraceSettings())
    with (tmp_path / "out" / "index.csv").open() as file:
        rows = {row["id"]: row for row in csv.DictReader(file)}
    assert [(id, row["pdb_id"], row["cluster"], row["split"], row["date"]) for id, row in rows.items()] == [
        ("1abc_A", "1abc", "12", "train", ""),
        ("2abc_A", "2abc", "13", "validation", ""),
        ("1RNK_A", "1rnk", "12", "train", "1995-02-27"),
        ("R1107", "", "R1107", "train", ""),
    ]
    assert (rows["1abc_A"]["resolution"], rows["1abc_A"]["method"]) == ("1.9", "X-RAY DIFFRACTION")
    assert report.own_clusters == 1
    left_out = (tmp_path / "out" / "left_out.tsv").read_text().splitlines()
    assert left_out == ["id\tkind\treason", "9xyz_B\theld_out\tnear the held-out 2abc_A"]


def test_the_same_table_gives_the_same_bytes_and_no_other_folder_is_replaced(table, tmp_path):
    traces = read_traces(table({"1RNK_A": RNA}))
    write_traces(traces, NOWHERE, tmp_path / "out", TraceSettings())
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    write_traces(traces, NOWHERE, tmp_path / "out", TraceSettings())
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
    (tmp_path / "out" / "left_out.tsv").unlink()
    with pytest.raises(InputError, match="out"):
        write_traces(traces, NOWHERE, tmp_path / "out", TraceSettings())
    assert (tmp_path / "out" / "1RNK_A.pdb.gz").is_file()


def test_names_in_common_need_a_prefix(table, tmp_path):
    beside = around(chains=(known("1RNK_A", OTHER, "5"),))
    traces = read_traces(table({"1RNK_A": RNA}))
    with pytest.raises(InputError, match=r"1RNK_A: the index names a chain or cluster so too. Set a prefix"):
        write_traces(traces, beside, tmp_path / "out", TraceSettings())
    report = write_traces(traces, beside, tmp_path / "out", TraceSettings(prefix="c1_"))
    assert report.cluster_of == {"c1_1RNK_A": "c1_1RNK_A"}


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("a,b\n1,2\n", "expected the columns id, resid, resname, x, y, z or ID, resid"),
        ("id,resid,resname,x,y,z\n", "holds no residue"),
        ("id,resid,resname,x,y,z\nx,one,A,1,2,3\n", "line 2: invalid literal"),
        ("id,resid,resname,x,y,z\nx,1,A,1,2,here\n", "line 2: could not convert"),
        ("id,resid,resname,x,y,z\n../x,1,A,1,2,3\n", "line 2: id '../x' names no chain"),
        ("ID,resid,resname,x_1,y_1,z_1\nR1107,1,A,1,2,3\n", "line 2: ID 'R1107' names no chain"),
    ],
)
def test_tables_that_are_none_are_refused_by_line(tmp_path, text, named):
    path = tmp_path / "c.csv"
    path.write_text(text)
    with pytest.raises(InputError) as raised:
        read_traces(path)
    assert named in str(raised.value)


def test_what_cannot_hold_anything_out_is_refused(tmp_path, table):
    path = tmp_path / "v.csv"
    path.write_text("id,sequence,split\na,ACGUACGUACGU,train\n")
    with pytest.raises(InputError, match="no row validates or tests"):
        read_held_out(path)
    path.write_text("id,sequence,split\na,ACGUACGUACGU,train\nb,,test\n")
    with pytest.raises(InputError, match="'b' has no sequence"):
        read_held_out(path)
    path.write_text("id,sequence\na,acgtACGUACGU\n")
    assert read_held_out(path) == {"a": "ACGUACGUACGU"}
    with pytest.raises(ConfigError, match="share: 0"):
        TraceSettings(share=0)
    with pytest.raises(InputError, match=r"none of 1 traces is taken. First: 34 residues were seen"):
        write_traces(read_traces(table({"x": RNA})), NOWHERE, tmp_path / "out", TraceSettings(min_length=40))
    assert not (tmp_path / "out").exists()
