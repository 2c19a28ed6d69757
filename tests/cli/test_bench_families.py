"""The benchmark of families: which rows it takes, and what it counts."""

import json

import numpy as np
import pytest

from rna_predict.cli.bench_families import NativeRow, _score, read_groups
from rna_predict.errors import InputError
from rna_predict.formats.dot_bracket import from_dot_bracket

TRNA = "GGGCUUGUAGCUCAGGUGGUUAGAGCGCACCCCUGAUAAGGGUGAGGUCGGUGGUUCAAGUCCACUCAGGCCCACC"
CLOVERLEAF = "(((((((..((((.........)))).(((((.......))))).....(((((.......))))))))))))..."
HAIRPIN, HAIRPIN_PAIRS = "GGGACUCCGAUCUUCGGAUCGGAGUCCC", "((((((((((((....))))))))))))"
OTHER, OTHER_PAIRS = "GCAUGCCUUAGGUUCGCCUAAGGCAUGC", "((((((((((((....))))))))))))"
TRAIN, TEST = ("PDB-RNA(SPOT-RNA TR1/TS1)", "train"), ("PDB-RNA(SPOT-RNA TR1/TS1)", "test")
SQUARNA = ("SQUARNA-SR", "test")


@pytest.fixture
def table(tmp_path):
    """Writes rows (sequence, pairs, (collection, split)) as the benchmark reads them."""

    def write(*rows):
        lines = [f"r{n},{s},{p},{c[0]},{c[1]}" for n, (s, p, c) in enumerate(rows)]
        path = tmp_path / "table.csv"
        path.write_text("\n".join(["id,sequence,dot_bracket,dataset,split", *lines]) + "\n")
        return path

    return write


def sequences(rows):
    return [row.sequence for row in rows]


def test_one_row_a_cluster_from_the_earliest_collection(table):
    near = "A" + HAIRPIN[1:]
    path = table((near, HAIRPIN_PAIRS, SQUARNA), (HAIRPIN, HAIRPIN_PAIRS, TEST), (TRNA, CLOVERLEAF, TRAIN))
    groups = read_groups(path, None)
    assert sequences(groups["judged_on"]) == [HAIRPIN]
    assert sequences(groups["chosen_on"]) == [TRNA]
    assert groups["judged_on"][0].partner_L.tolist() == from_dot_bracket(HAIRPIN_PAIRS).tolist()


def test_nothing_is_chosen_on_what_is_near_a_judged_row_or_left_out(table, tmp_path):
    rows = [(HAIRPIN, HAIRPIN_PAIRS, TEST), ("A" + HAIRPIN[1:], HAIRPIN_PAIRS, TRAIN), (TRNA, CLOVERLEAF, TRAIN)]
    assert sequences(read_groups(table(*rows), None)["chosen_on"]) == [TRNA]
    (tmp_path / "out.csv").write_text(f"id,sequence\nx,{TRNA}\n")
    with pytest.raises(InputError, match="left to measure"):
        read_groups(table(*rows), tmp_path / "out.csv")
    found = read_groups(table(*rows, (OTHER, OTHER_PAIRS, TRAIN)), tmp_path / "out.csv")
    assert sequences(found["chosen_on"]) == [OTHER]


def test_halves_of_duplexes_and_unknown_letters_are_no_rows(table):
    path = table(
        (HAIRPIN, HAIRPIN_PAIRS, TEST),
        (TRNA, CLOVERLEAF, TRAIN),
        ("A" * 20 + "GGGGAAAACCCC", "." * 20 + "(((......)))", TRAIN),
        (OTHER.replace("C", "N"), OTHER_PAIRS, TRAIN),
    )
    assert sequences(read_groups(path, None)["chosen_on"]) == [TRNA]


def test_a_table_without_a_column_is_refused(tmp_path):
    (tmp_path / "x.csv").write_text("id,sequence\na,GG\n")
    with pytest.raises(InputError, match="dot_bracket, dataset, split"):
        read_groups(tmp_path / "x.csv", None)


def test_what_is_counted():
    #           0123456789012345678
    sequence = "GGGAGAAAACUCCCAAGAC"
    native = from_dot_bracket("((((.[....)))){..]}".replace("}", ".").replace("{", "."))
    row = NativeRow(collection="x", sequence=sequence, partner_L=native)
    predicted = np.full(19, -1, dtype=np.int32)
    for i, j in ((0, 13), (1, 12), (2, 11)):
        predicted[i], predicted[j] = j, i
    score = _score(predicted, row)
    # native: four pairs of a stem, all canonical, and A5-A17, which is none
    assert score["f1"] == pytest.approx(2 * 3 / (3 + 5))
    assert score["f1_canonical"] == pytest.approx(2 * 3 / (3 + 4))
    assert score["f1_stems"] == pytest.approx(2 * 3 / (3 + 4))
    assert score["precision"] == 1.0
    assert score["recall_canonical"] == pytest.approx(3 / 4)


def test_the_command_shows_what_a_family_is_worth(run, table):
    path = table((TRNA, CLOVERLEAF, TEST), (HAIRPIN, HAIRPIN_PAIRS, SQUARNA), (OTHER, OTHER_PAIRS, TRAIN))
    result = run("bench", "families", path, "--config", "backend=viennarna", "--config", "pseudoknots=off")
    assert result.code == 0, result.err
    lines = json.loads(result.out.splitlines()[-1])["lines"]
    known = {(one["group"], one["rows are"], one["family"]): one for one in lines}
    assert known["judged_on", "with a family", "off"]["f1"] < 0.6
    assert known["judged_on", "with a family", "auto"]["f1"] == 1.0
    assert known["judged_on", "without", "off"] == known["judged_on", "without", "auto"] | {"family": "off"}
    assert known["chosen_on", "without", "auto"]["rows"] == 1
