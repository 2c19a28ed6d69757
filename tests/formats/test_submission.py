"""The submission file: what is written comes back, and every kind of fault is refused where it stands."""

import numpy as np
import pytest

from rna_predict.contracts import RnaSequence
from rna_predict.errors import InputError
from rna_predict.formats.submission import COLUMNS, SubmissionError, TargetModels, check_submission, write_submission
from rna_predict.formats.target_table import read_target_table
from rna_predict.geometry.numpy_measures import superposed_rmsd

ONE, TWO = RnaSequence(id="R1107", sequence="GGAC"), RnaSequence(id="R1108", sequence="UCA")


def models(sequence, seed=0):
    points = np.random.default_rng(seed).normal(0, 20, (5, sequence.length, 3))
    return TargetModels(sequence=sequence, c1_ML3=points)


@pytest.fixture
def lines(tmp_path):
    """A right file's lines."""
    path = tmp_path / "right.csv"
    write_submission([models(ONE), models(TWO, 1)], path)
    return path.read_text().splitlines()


def fault(lines):
    with pytest.raises(SubmissionError) as error:
        check_submission("\n".join(lines) + "\n", [ONE, TWO], "submission.csv")
    return error.value


def changed(lines, line, **cells):
    """The lines with some cells of one line (1-based, as an editor shows it) replaced."""
    parts = lines[line - 1].split(",")
    for name, value in cells.items():
        parts[COLUMNS.index(name)] = value
    return [*lines[: line - 1], ",".join(parts), *lines[line:]]


def test_a_line_for_each_residue_in_order_with_five_models(lines):
    assert lines[0] == ("ID,resname,resid,x_1,y_1,z_1,x_2,y_2,z_2,x_3,y_3,z_3,x_4,y_4,z_4,x_5,y_5,z_5")
    heads = [line.split(",")[:3] for line in lines[1:]]
    assert heads == [
        *(["R1107_1", "G", "1"], ["R1107_2", "G", "2"], ["R1107_3", "A", "3"], ["R1107_4", "C", "4"]),
        *(["R1108_1", "U", "1"], ["R1108_2", "C", "2"], ["R1108_3", "A", "3"]),
    ]
    values = np.array([line.split(",")[3:] for line in lines[1:5]], dtype=float).reshape(4, 5, 3)
    assert values.transpose(1, 0, 2) == pytest.approx(models(ONE).c1_ML3, abs=5.1e-4)
    check_submission("\n".join(lines), [ONE, TWO], "x")


@pytest.mark.parametrize(
    ("line", "cells", "field", "said"),
    [
        (3, {"resname": "A"}, "resname", "'A', the sequence has G. Write its letter"),
        (3, {"resid": "3"}, "resid", "'3', the ID says 2"),
        (3, {"ID": "R1107_3"}, "ID", "R1107_3 stands where R1107_2 belongs. Write every residue once, in order"),
        (4, {"ID": "R1107_2"}, "ID", "R1107_2 stands on line 3 already. Remove one"),
        (4, {"ID": "R9_1"}, "ID", "'R9_1' is no residue of the 7 asked for"),
        (5, {"y_3": "nan"}, "y_3", "'nan' is no coordinate"),
        (5, {"y_3": "inf"}, "y_3", "'inf' is no coordinate"),
        (5, {"z_5": "-1e18"}, "z_5", "'-1e18' is no coordinate in Å (a number within ±9999.999). Predict"),
        (5, {"x_1": ""}, "x_1", "'' is no coordinate"),
        (6, {"x_2": "0.0", "y_2": "0", "z_2": "-0.000"}, "x_2, y_2, z_2", "all zero"),
    ],
)
def test_a_fault_is_named_by_line_target_and_field(lines, line, cells, field, said):
    error = fault(changed(lines, line, **cells))
    assert (error.row, error.field) == (line, field)
    assert f"submission.csv: line {line}: " in str(error)
    assert said in str(error)
    if "R9_1" not in said:
        assert error.target == ("R1107" if line < 6 else "R1108")
        assert f"target {error.target}: {field}: " in str(error)


def test_a_zero_alone_is_a_coordinate(lines):
    check_submission("\n".join(changed(lines, 3, x_1="0.000")), [ONE, TWO], "x")


def test_missing_and_foreign_rows_are_refused(lines):
    error = fault(lines[:-2])
    assert (error.target, error.field) == ("R1108", "ID")
    assert "R1108_2 (and 1 more) is missing at the end" in str(error)
    assert "R1107_4 stands where R1107_3 belongs" in str(fault([*lines[:3], *lines[4:]]))
    assert "R1108_1 stands where R1107_1 belongs" in str(fault([lines[0], *lines[5:], *lines[1:5]]))
    assert "'R1108_4' is no residue" in str(fault([*lines, lines[-1].replace("R1108_3", "R1108_4")]))
    assert "stands on line 8 already" in str(fault([*lines, lines[-1]]))


def test_columns_are_those_of_the_competition(lines):
    error = fault([lines[0].replace(",x_5,y_5,z_5", ""), *lines[1:]])
    assert (error.row, error.field) == (1, "x_5")
    assert fault([lines[0].replace("resname", "resn"), *lines[1:]]).field == "resname"
    assert fault([""]).field == "ID"
    assert "20 cells" in str(fault([*lines[:2], lines[2] + ",1,2", *lines[3:]]))


def test_models_that_are_one_turned_are_refused_and_mirror_images_are_two(tmp_path):
    long = RnaSequence(id="R1109", sequence="GGGGACUU")
    points = models(long).c1_ML3.copy()
    turn = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0]
    turn *= np.sign(np.linalg.det(turn))
    points[3] = points[1] @ turn.T + 12
    with pytest.raises(SubmissionError, match=r"line 9: target R1109: x_2 to z_4: models 2 and 4 are the same \(0\.00"):
        write_submission([TargetModels(sequence=long, c1_ML3=points)], tmp_path / "s.csv")
    points[3] = points[1] * [1, 1, -1]
    write_submission([TargetModels(sequence=long, c1_ML3=points)], tmp_path / "s.csv")


def test_two_residues_differ_where_they_lie(tmp_path):
    short = RnaSequence(id="s", sequence="GC")
    points = models(short).c1_ML3.copy()
    write_submission([TargetModels(sequence=short, c1_ML3=points)], tmp_path / "s.csv")
    points[4] = points[0]
    with pytest.raises(SubmissionError, match="models 1 and 5 are the same"):
        write_submission([TargetModels(sequence=short, c1_ML3=points)], tmp_path / "s.csv")


def test_nothing_is_written_of_what_is_refused_and_an_old_file_stays(tmp_path):
    path = tmp_path / "s.csv"
    path.write_text("old")
    points = models(ONE).c1_ML3.copy()
    points[2, 1] = np.nan
    with pytest.raises(SubmissionError, match=r"s\.csv: line 3: target R1107: x_3: 'nan'"):
        write_submission([TargetModels(sequence=ONE, c1_ML3=points)], path)
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["s.csv"]


def test_four_models_are_no_five():
    with pytest.raises(SubmissionError, match="5 models"):
        TargetModels(sequence=ONE, c1_ML3=models(ONE).c1_ML3[:4])


def test_the_superposed_deviation_is_that_of_the_aligned_points():
    rng = np.random.default_rng(5)
    first = rng.normal(size=(30, 3)) * 10
    noise = rng.normal(size=(30, 3))
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    turn *= np.sign(np.linalg.det(turn))
    from rna_predict.evaluation.superposition import superpose

    second = (first + noise) @ turn.T + [4, 5, 6]
    fitted = superpose(second, first)
    assert superposed_rmsd(second, first) == pytest.approx(np.sqrt(((fitted - first) ** 2).sum(-1).mean()))
    assert superposed_rmsd(first @ turn.T, first) == pytest.approx(0, abs=1e-5)


KAGGLE = """target_id,sequence,temporal_cutoff,description,all_sequences
R1107,GGAC,2022-05-28,"CPEB3 ribozyme, human","
>7QR4_1|Chain A|U1
MAVPETRPNHTIYINNLNEKIKKDELK
>7QR4_2|Chain B|CPEB3
GGGGG
"
R1108,UCA,2022-05-27,other,
"""


@pytest.mark.parametrize(
    "text",
    [
        KAGGLE,
        "id\tsequence\tstructure\n# a remark\nR1107\tGGAC\t\nR1108\tUCA\tx.dbn\n",
        ">R1107 something\nGGAC\n>R1108\nUC\nA\n",
        "sequence,id\r\nGGAC,R1107\r\nUCA,R1108\r\n",
    ],
)
def test_targets_come_from_a_table_a_sheet_or_fasta(tmp_path, text):
    path = tmp_path / "targets"
    path.write_bytes(text.encode())
    assert read_target_table(path)[0] == [ONE, TWO]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("target,sequence\nx,GG\n", "target_id or id, and sequence"),
        ("id,sequence\nx,GG\nx,GC\n", "line 3: id x stands twice"),
        ("id,sequence\nx,GGN\n", "line 2: id x: 'N' at position 3"),
        ("id,sequence\n../x,GG\n", "line 2: id ../x"),
        ("id,sequence\nx\n", "line 2: id x: the sequence is empty"),
        ("id,sequence\n", "holds no sequence"),
        (">x\nGGN\n", "line 1: x: 'N' at position 3"),
        ("", "columns none"),
    ],
)
def test_a_wrong_table_is_refused_with_its_line(tmp_path, text, said):
    path = tmp_path / "targets.csv"
    path.write_text(text)
    with pytest.raises(InputError) as error:
        read_target_table(path)
    assert said in str(error.value)
    assert str(path) in str(error.value)


def test_letters_are_converted_as_everywhere_and_that_is_said(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("id,sequence\nR1107,ggac\nR1108,TCN\n")
    records, notices = read_target_table(path, "map")
    assert [record.sequence for record in records] == ["GGAC", "UCA"]
    assert {(notice.id, notice.kind) for notice in notices} >= {("R1107", "lower_case"), ("R1108", "ambiguous")}
