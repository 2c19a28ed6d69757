"""Which rows the benchmark of stage A takes."""

import pytest

from rna_predict.cli.stage_a_rows import RowSettings, choose_rows
from rna_predict.errors import ConfigError, InputError

from .pair_tables import row, write

PAIRED = ("GGGAAACCC", "(((...)))")


def names(selection) -> list[str]:
    return [one.row.id for one in selection.rows]


def test_rows_are_left_out_for_a_reason_that_is_counted(tmp_path):
    table = write(
        tmp_path,
        [
            row("good", *PAIRED),
            row("train", *PAIRED, split="train"),
            row("validation", *PAIRED, split="validation"),
            row("long", "GGG" + "A" * 600 + "CCC", "(((" + "." * 600 + ")))"),
            row("bare", "GGGAAACCC", "........."),
            row("seed", *PAIRED, source="Rfam14.9-seed(consensus projected)"),
            row("within", *PAIRED, split="within", family="RF00005"),
            row("sibling", *PAIRED, split="train", family="RF00005"),
            row("orphan", *PAIRED, split="within", family="RF00006"),
        ],
    )
    selection = choose_rows(table, RowSettings())
    assert names(selection) == ["good", "within"]
    assert [one.group for one in selection.rows] == ["cross_family", "within_family"]
    assert selection.left_out == {
        "longer than 600 nt": 1,
        "no native pair": 1,
        "consensus structure of its family": 1,
        "within a family of which nothing trained": 1,
    }
    assert names(choose_rows(table, RowSettings(across="validation"))) == ["validation", "within"]
    assert names(choose_rows(table, RowSettings(across="both"))) == ["good", "validation", "within"]


def test_a_source_that_is_asked_for_is_taken_and_no_other(tmp_path):
    table = write(
        tmp_path,
        [
            row("pdb", *PAIRED, source="PDB-RNA(SPOT-RNA TR1/TS1)"),
            row("other", *PAIRED),
            row("seed", *PAIRED, source="Rfam14.9-seed(consensus projected)"),
        ],
    )
    selection = choose_rows(table, RowSettings(sources=("PDB*", "Rfam*")))
    assert names(selection) == ["pdb", "seed"]
    assert selection.left_out == {"source not asked for": 1}
    with pytest.raises(InputError, match=r"no row to measure; left out: 3 source not asked for\."):
        choose_rows(table, RowSettings(sources=("nosuch",)))


def test_one_row_stands_for_a_cluster_and_so_many_for_a_family(tmp_path):
    rows = [row(f"t{n}", *PAIRED, cluster=f"RF00001/{n // 2}") for n in range(20)]
    rows += [row(f"w{n}", *PAIRED, cluster=f"RF00001/w{n}", split="within") for n in range(5)]
    rows.append(row("trained", *PAIRED, split="train"))
    table = write(tmp_path, rows)
    selection = choose_rows(table, RowSettings(rows_per_family=4))
    clusters = [one.row.cluster for one in selection.rows]
    assert len(clusters) == len(set(clusters)) == 8
    assert [one.across for one in selection.rows] == [True] * 4 + [False] * 4
    assert selection.left_out == {"duplicate of its cluster": 10, "beyond --rows of its family": 7}


def test_more_rows_keep_those_of_fewer_and_other_rows_change_nothing(tmp_path):
    rows = [row(f"t{n}", *PAIRED) for n in range(12)]
    table = write(tmp_path / "a", rows)
    three, six = (set(names(choose_rows(table, RowSettings(rows_per_family=n)))) for n in (3, 6))
    assert three < six
    assert len(three) == 3
    assert set(names(choose_rows(table, RowSettings(rows_per_family=3, seed=1)))) != three
    shuffled = write(tmp_path / "b", [*rows[::-1], row("x", *PAIRED, family="RF00002", cluster="RF00002/0")])
    assert set(names(choose_rows(shuffled, RowSettings(rows_per_family=3)))) == three | {"x"}


def test_all_accessions_of_held_out_families_are_named_measured_or_not(tmp_path):
    rows = [
        row("a", *PAIRED, family="RF00010"),
        row("long", "GGG" + "A" * 600 + "CCC", "(((" + "." * 600 + ")))", family="5s"),
        row("b", *PAIRED, family="cluster-7"),
        row("c", *PAIRED, family="RF00005", split="within"),
        row("d", *PAIRED, family="RF00006", split="validation"),
    ]
    table = write(tmp_path, rows, accessions={"RF00010": ["RF00010", "RF00373", "rnasep"], "5s": ["5s", "RF00001"]})
    assert choose_rows(table, RowSettings()).held_out == ("RF00001", "RF00010", "RF00373")
    assert choose_rows(table, RowSettings(across="validation")).held_out == ("RF00006",)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"across": "train"}, "--across 'train': use one of test, validation, both"),
        ({"rows_per_family": 0}, "--rows 0"),
        ({"max_length": 0}, "--max-length 0"),
    ],
)
def test_settings_that_mean_nothing_are_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        RowSettings(**changes)
