"""Clusters stay whole, dates do not leak, and the table says what was decided."""

import pytest

from rna_predict.data.splits import Member, SplitSettings, folds_of, read_splits, split_members, write_splits
from rna_predict.errors import ConfigError, InputError

CHAINS = [Member(id=f"x{k}", cluster=f"c{k // 3}") for k in range(60)]


def clusters_of(split_of: dict[str, str], name: str) -> set[str]:
    return {member.cluster for member in CHAINS if split_of[member.id] == name}


def test_whole_clusters_of_the_listed_ids_are_held_out():
    split_of = split_members(CHAINS, SplitSettings(validation_ids=("x4", "x30"), test_ids=("x31", "x59")))
    assert clusters_of(split_of, "validation") == {"c1"}
    assert clusters_of(split_of, "test") == {"c10", "c19"}
    assert len(clusters_of(split_of, "train")) == 17
    assert sum(split == "validation" for split in split_of.values()) == 3


def test_shares_draw_whole_clusters_beside_the_listed_ones():
    settings = SplitSettings(validation_ids=("x0",), validation_share=0.2, test_share=0.1, seed=5)
    split_of = split_members(CHAINS, settings)
    found = {name: clusters_of(split_of, name) for name in ("train", "validation", "test")}
    assert {name: len(own) for name, own in found.items()} == {"train": 13, "validation": 1 + 4, "test": 2}
    assert not found["train"] & found["validation"] | found["train"] & found["test"]
    assert split_members(CHAINS[::-1], settings) == split_of
    assert split_members(CHAINS, SplitSettings(validation_share=0.2, seed=6)) != split_of


def test_dates_split_and_known_clusters_do_not_come_back_later():
    def member(id: str, cluster: str, date: str) -> Member:
        return Member(id=id, cluster=cluster, date=date)

    chains = [
        member("old", "a", "2015-01-01"),
        member("later_copy", "a", "2021-01-01"),
        member("latest_copy", "a", "2023-01-01"),
        member("new", "b", "2020-01-01"),
        member("new_again", "b", "2020-06-01"),
        member("new_late", "b", "2022-01-01"),
        member("newest", "c", "2022-01-01"),
        member("undated", "d", ""),
        member("day_before", "e", "2019-12-31"),
    ]
    settings = SplitSettings(validation_from="2020-01-01", test_from="2022-01-01")
    assert split_members(chains, settings) == {
        "old": "train",
        "later_copy": "left_out",
        "latest_copy": "left_out",
        "new": "validation",
        "new_again": "validation",
        "new_late": "left_out",
        "newest": "test",
        "undated": "left_out",
        "day_before": "train",
    }
    assert split_members(chains, SplitSettings(test_from="2022-01-01"))["new"] == "train"


def test_an_index_decides_where_it_says_something():
    chains = [Member(id="a", cluster="1", assigned="test"), Member(id="b", cluster="1"), Member(id="c", cluster="2")]
    assert split_members(chains, SplitSettings()) == {"a": "test", "b": "left_out", "c": "left_out"}


def test_the_table_says_what_was_decided(tmp_path):
    split_of = split_members(CHAINS, SplitSettings(validation_share=0.3))
    write_splits(tmp_path, CHAINS, split_of)
    assert read_splits(tmp_path) == split_of
    assert (tmp_path / "splits.tsv").read_text().splitlines()[:2] == ["id\tcluster\tsplit", f"x0\tc0\t{split_of['x0']}"]
    assert [path.name for path in tmp_path.iterdir()] == ["splits.tsv"]


def test_an_id_that_is_not_there_is_named():
    with pytest.raises(InputError, match="'nosuch'"):
        split_members(CHAINS, SplitSettings(test_ids=("x1", "nosuch")))


@pytest.mark.parametrize(
    "wrong",
    [
        {"validation_share": 1.0},
        {"test_share": -0.1},
        {"validation_share": 0.6, "test_share": 0.4},
        {"validation_from": "2020"},
        {"validation_from": "2020-01-01", "seed": 0, "test_share": 0.1},
        {"validation_from": "2020-01-02", "test_from": "2020-01-01"},
    ],
)
def test_settings_that_contradict_themselves_are_refused(wrong):
    with pytest.raises(ConfigError):
        SplitSettings(**wrong)


def test_folds_are_of_one_size_and_the_same_whatever_the_order():
    names = [f"c{k}" for k in range(11)]
    fold_of = folds_of([*names, *names], 3)
    assert set(fold_of) == set(names)
    assert sorted(list(fold_of.values()).count(fold) for fold in range(3)) == [3, 4, 4]
    assert folds_of(names[::-1], 3) == fold_of
    assert [fold_of[name] for name in names] != [place % 3 for place in range(11)]
