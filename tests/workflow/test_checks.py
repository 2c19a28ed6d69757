"""A wrong config or sample sheet stops the run and is named."""

import pytest


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"reslts": "x"}, "'reslts' was unexpected"),
        ({"stage_b": {"choice": "default", "gpus": 1}}, "'gpus' was unexpected"),
        ({"stage_a": {"choice": "default", "gpu": 1}}, "'gpu' was unexpected"),
        ({"stage_d": {"choice": "default", "gpu": "one"}}, "'one' is not of type 'integer'"),
        ({"stage_c": {"choice": "nosuch"}}, "config/stage_c/nosuch.yaml does not exist. Choices: default."),
        ({"samples": "config/nosuch.tsv"}, "config/nosuch.tsv: cannot read the sample sheet"),
    ],
)
def test_a_wrong_config_is_named(workflow, changes, named):
    workflow.configure(**changes)
    assert named in workflow.run("-n", code=1)


@pytest.mark.parametrize(
    ("rows", "named"),
    [
        (["a;touch${IFS}P ACGU"], "line 2: id: 'a;touch${IFS}P' does not match"),
        (["$(touch${IFS}P) ACGU"], "line 2: id:"),
        (["../../x ACGU"], "line 2: id: '../../x' does not match"),
        (["good ACGU", ".hidden ACGU"], "line 3: id: '.hidden' does not match"),
        (["a" * 65 + " ACGU"], "line 2: id:"),
        (["one ACGU", "One ACGA"], "id 'One' stands in lines 2 and 3"),
        (["empty"], "line 2: sequence: '' should be non-empty"),
        (["many ACGU x.dbn more"], "line 2: columns: Additional properties are not allowed"),
        ([], "the sample sheet holds no RNA"),
    ],
)
def test_a_wrong_sheet_is_named_by_line(workflow, rows, named):
    workflow.samples(*rows)
    text = workflow.run("-n", code=1)
    assert named in text
    assert "config/samples.tsv" in text


def test_an_unsafe_id_runs_nothing(workflow):
    (workflow.folder / "config" / "samples.tsv").write_text("id\tsequence\na;touch P\tACGU\n")
    assert "does not match" in workflow.run("--cores", "1", code=1)
    workflow.samples("safe ACGU")
    workflow.run("--cores", "1", "results/preds/a;touch P.pdb", code=1)
    assert not list(workflow.folder.rglob("P"))


def test_a_misspelt_column_is_named(workflow):
    (workflow.folder / "config" / "samples.tsv").write_text("id\tsequnce\nx\tACGU\n")
    assert "sequnce" in workflow.run("-n", code=1)


def test_comments_blank_lines_and_windows_line_ends_change_nothing(workflow):
    text = "\ufeff# three\r\nid\tsequence\r\n\r\n# one\r\nx\tACGU \r\n"
    (workflow.folder / "config" / "samples.tsv").write_text(text)
    assert workflow.planned()["prepare_input"] == 1


def test_evaluation_without_natives_says_what_to_set(workflow):
    assert "natives: not set" in workflow.run("-n", "evaluation", code=1)
