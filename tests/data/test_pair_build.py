"""A table of known secondary structures: whole families on one side, clusters within, refusals counted."""

import csv
import json

import pytest

from rna_predict.data.clusters import align, greedy_clusters
from rna_predict.data.pair_build import PairBuildSettings, build_pair_table
from rna_predict.data.pair_groups import GroupSettings, KnownStructure, accessions_of, split_rows
from rna_predict.data.pair_table import read_pair_table
from rna_predict.errors import ConfigError, ContractError, InputError
from rna_predict.families.library import load_library

PHE = "GCGGAUUUAGCUCAGUUGGGAGAGCGCCAGACUGAAGAUCUGGAGGUCCUGUGUUCGAUCCACAGAAUUCGCACCA"
ASP = "UCCGUGAUAGUUUAAUGGUCAGAAUGGGCGCUUGUCGCGUGCCAGAUCGGGGUUCAAUUCCCCGUCGCGGAGCCA"
CLOVERLEAF = "(((((((..((((........)))).((((.........)))).....(((((.......))))))))))))...."


def known(id, hits=(), label="", sequence="GGGGAAAACCCC", source="s"):
    return KnownStructure(
        id=id, sequence=sequence, dot_bracket="." * len(sequence), source=source, label=label, hits=tuple(hits)
    )


def families(rows, held_out=(), clans=None, **settings):
    found, joined = split_rows(rows, held_out, clans or {}, GroupSettings(**settings))
    return {row.id: row for row in found}, joined


def test_profiles_are_joined_by_clan_label_and_shared_hits():
    rows = [known("a", ["RF00001"]), known("b", ["RF00002"]), known("c", ["RF00003"])]
    found, joined = families(rows, clans={"RF00001": "CL00001", "RF00002": "CL00001"})
    assert found["a"].family == found["b"].family == "RF00001" != found["c"].family
    assert joined == {"RF00001": ["RF00001", "RF00002"]}
    labelled = [known("a", ["RF00001"], "srp"), known("b", ["RF00002"], "srp"), known("c", [], "srp")]
    assert len({row.family for row in families(labelled)[0].values()}) == 1
    twice = [known(str(n), ["RF00001", "RF00002"]) for n in range(3)] + [known("b", ["RF00002"])]
    assert len({row.family for row in families(twice)[0].values()}) == 1
    once = [known("a", ["RF00001", "RF00002"]), known("b", ["RF00002"])]
    assert len({row.family for row in families(once)[0].values()}) == 2, "one row may hold two RNAs"


def test_a_few_mislabelled_rows_join_nothing():
    rows = [known(str(n), ["RF00001"], "5s") for n in range(20)] + [known("odd", ["RF00009"], "5s")]
    found, _ = families([*rows, known("p", ["RF00009"])])
    assert found["p"].family != found["0"].family
    assert found["odd"].family == found["0"].family, "its source knows what it is"


def test_without_a_hit_identity_decides():
    rows = [known("a", sequence=PHE), known("b", sequence="C" + PHE[1:]), known("c", sequence=ASP)]
    found, _ = families(rows)
    assert found["a"].family == found["b"].family != found["c"].family


def test_the_families_of_rnas_that_are_held_out_test_whole():
    rows = [known(f"{family}-{n}", [family]) for family in ("RF00001", "RF00002", "RF00003") for n in range(3)]
    found, _ = families(rows, [known("x", ["RF00002"])], test_share=0.0, validation_share=0.0, within_share=0.0)
    assert {row.split for row in found.values() if row.family == "RF00002"} == {"test"}
    assert {row.split for row in found.values() if row.family != "RF00002"} == {"train"}


def test_splits_never_part_a_family_but_within_and_more_rows_move_nobody():
    rows = [
        known(f"{n}-{k}", [f"RF{n:05d}"], sequence="GGGG" + "ACGU"[k] * 9 + "CCCC")
        for n in range(200)
        for k in range(4)
    ]
    shares = {"test_share": 0.2, "validation_share": 0.1, "within_share": 0.2}
    found, _ = families(rows, **shares)
    splits = {}
    for row in found.values():
        splits.setdefault(row.family, set()).add(row.split)
    assert {"test"} in splits.values()
    assert {"validation"} in splits.values()
    assert all(len(one) == 1 or one == {"train", "within"} for one in splits.values())
    assert 20 < sum(one == {"test"} for one in splits.values()) < 60
    fewer, _ = families(rows[:400], **shares)
    assert all(found[id].split == row.split for id, row in fewer.items())


def test_accessions_of_a_joined_family_are_all_of_them():
    assert accessions_of(["RF00001", "cluster-3", "srp"], {"srp": ["RF00017", "srp"]}) == ["RF00001", "RF00017"]


def test_a_bound_leaves_clusters_as_they_are_and_coverage_keeps_pieces_apart():
    long = PHE + ASP + PHE[::-1]
    near = PHE[:60] + "G" + PHE[61:]
    assert align(PHE, near).identity > 0.95
    assert greedy_clusters([PHE, near, ASP, long], 0.8) == greedy_clusters([PHE, near, ASP, long], 0.8, coverage=0.0)
    assert greedy_clusters([long, PHE], 0.8)[0] == greedy_clusters([long, PHE], 0.8)[1]
    apart = greedy_clusters([long, PHE], 0.8, coverage=0.5)
    assert apart[0] != apart[1]


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "known.csv"
    rows = [
        ("phe", PHE, CLOVERLEAF, "mine", ""),
        ("asp", ASP, "." * len(ASP), "mine", ""),
        ("phe", PHE, CLOVERLEAF, "other", ""),
        ("bad", "GGGNAAACCC", "(((....)))", "mine", ""),
        ("short", "GGG", "...", "mine", ""),
        ("odd", "GGGGAAAACCCC", "((((....)))", "mine", ""),
        ("open", "GGGGAAAACCCC", "((((....))).", "mine", ""),
        ("hairpin", "GGGGAAAACCCC", "((((....))))", "mine", ""),
    ]
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("id", "sequence", "dot_bracket", "dataset", "split"), *rows])
    return path


def test_rows_are_named_by_the_carried_profiles_and_refusals_counted(source, tmp_path):
    held = tmp_path / "held.csv"
    held.write_text(f"id,sequence,split\nx,{ASP},validation\ny,GGGGAAAACCCC,train\n")
    settings = PairBuildSettings(groups=GroupSettings(test_share=0.0, validation_share=0.0, within_share=0.0))
    manifest = build_pair_table(source, held, tmp_path / "pairs", load_library(), settings)
    assert manifest.refused == {"letters": 1, "short": 1, "length of dot_bracket": 1, "dot_bracket": 1}
    table = read_pair_table(tmp_path / "pairs")
    rows = {row.id: row for row in table.rows}
    assert set(rows) == {"phe", "asp", "phe~2", "hairpin"}
    assert rows["phe"].family == rows["asp"].family == "RF00005"
    assert rows["phe"].split == "test", "its family is that of a held out RNA"
    assert rows["hairpin"].split == "train"
    assert rows["phe"].cluster == rows["phe~2"].cluster != rows["asp"].cluster
    again = build_pair_table(source, held, tmp_path / "again", load_library(), settings)
    assert again.digest == manifest.digest


def test_a_damaged_table_is_refused(source, tmp_path):
    build_pair_table(source, None, tmp_path / "pairs", load_library(), PairBuildSettings())
    rows = tmp_path / "pairs" / "rows.tsv"
    rows.write_text(rows.read_text().replace("phe", "foo"))
    with pytest.raises(ContractError, match="other rows than"):
        read_pair_table(tmp_path / "pairs")
    stated = json.loads((tmp_path / "pairs" / "pairs.json").read_text())
    (tmp_path / "pairs" / "pairs.json").write_text(json.dumps({**stated, "version": 99}))
    with pytest.raises(ContractError, match="version"):
        read_pair_table(tmp_path / "pairs")
    with pytest.raises(InputError, match="dataset pairs"):
        read_pair_table(tmp_path)
    with pytest.raises(ConfigError, match="test_share"):
        GroupSettings(test_share=1.0)
    (tmp_path / "none.csv").write_text("id,sequence\nx,ACGU\n")
    with pytest.raises(InputError, match="dot_bracket"):
        build_pair_table(tmp_path / "none.csv", None, tmp_path / "out", load_library(), PairBuildSettings())
