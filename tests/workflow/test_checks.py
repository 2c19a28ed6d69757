"""A wrong config or sample sheet stops the run and is named."""

import re

import pytest
import yaml
from snakemake.exceptions import WorkflowError
from snakemake.utils import validate


@pytest.fixture(scope="module")
def read_samples(root):
    """The function of common.smk, without the directives below it that only Snakemake understands."""
    source = (root / "workflow" / "rules" / "common.smk").read_text()
    scope: dict = {}
    exec(source.partition("\nvalidate(config")[0], scope)
    schema = root / "workflow" / "schemas" / "samples.schema.yaml"
    return lambda path: scope["read_samples"](path, schema)


def sheet(tmp_path, *rows: str):
    """A sample sheet; cells are separated by blanks here."""
    path = tmp_path / "samples.tsv"
    path.write_text("\n".join("\t".join(row.split(" ")) for row in ("id sequence structure", *rows)) + "\n")
    return path


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"reslts": "x"}, "'reslts' was unexpected"),
        ({"stage_b": {"choice": "default", "gpus": 1}}, "'gpus' was unexpected"),
        ({"stage_a": {"choice": "default", "gpu": 1}}, "'gpu' was unexpected"),
        ({"stage_d": {"choice": "default", "gpu": "one"}}, "'one' is not of type 'integer'"),
        ({"stage_c": {"choice": "../x"}}, "'../x' does not match"),
        ({"results": "a;touch P"}, "'a;touch P' does not match"),
        ({"ambiguous": "guess"}, "'guess' is not one of"),
        ({"weights": "w.safetensors", "untrained": "nano"}, "should not be valid under"),
    ],
)
def test_the_schema_names_the_key_or_value(root, changes, named):
    config = yaml.safe_load((root / "config" / "config.yaml").read_text()) | changes
    with pytest.raises(WorkflowError, match=re.escape(named)):
        validate(config, str(root / "workflow" / "schemas" / "config.schema.yaml"))


def test_a_misspelt_key_stops_the_run_and_names_itself(workflow):
    workflow.configure(reslts="x")
    assert "'reslts' was unexpected" in workflow.run("-n", code=1)


def test_a_choice_without_a_file_names_the_choices(workflow):
    workflow.configure(stage_c={"choice": "nosuch", "overrides": []})
    assert "config/stage_c/nosuch.yaml does not exist. Choices: default." in workflow.run("-n", code=1)


@pytest.mark.parametrize(
    ("rows", "named"),
    [
        (["a;touch${IFS}P ACGU"], "line 2: id: 'a;touch${IFS}P' does not match"),
        (["$(touch${IFS}P) ACGU"], "line 2: id:"),
        (["good ACGU", "../../x ACGU"], "line 3: id: '../../x' does not match"),
        (["/abs ACGU"], "line 2: id: '/abs' does not match"),
        ([".hidden ACGU"], "line 2: id: '.hidden' does not match"),
        (["a" * 65 + " ACGU"], "line 2: id:"),
        (["one ACGU", "One ACGA"], "id 'One' stands in lines 2 and 3"),
        (["empty"], "line 2: sequence: '' should be non-empty"),
        (["many ACGU x.dbn more"], "line 2: columns: Additional properties are not allowed"),
        ([], "the sample sheet holds no RNA"),
    ],
)
def test_a_wrong_sheet_is_named_by_line(read_samples, tmp_path, rows, named):
    path = sheet(tmp_path, *rows)
    with pytest.raises(WorkflowError) as error:
        read_samples(path)
    assert named in str(error.value)
    assert str(path) in str(error.value)


def test_a_misspelt_column_and_a_missing_sheet_are_named(read_samples, tmp_path):
    path = tmp_path / "samples.tsv"
    path.write_text("id\tsequnce\nx\tACGU\n")
    with pytest.raises(WorkflowError, match="sequnce"):
        read_samples(path)
    with pytest.raises(WorkflowError, match=r"nosuch\.tsv: cannot read"):
        read_samples(tmp_path / "nosuch.tsv")


def test_comments_blank_lines_and_windows_line_ends_change_nothing(read_samples, tmp_path):
    path = tmp_path / "samples.tsv"
    path.write_bytes("\ufeff# three\r\nid\tsequence\r\n\r\n# one\r\nx\t ACGU \r\n".encode())
    assert read_samples(path) == {"x": {"id": "x", "sequence": "ACGU"}}


def test_an_unsafe_id_runs_nothing(workflow):
    (workflow.folder / "config" / "samples.tsv").write_text("id\tsequence\na;touch P\tACGU\n")
    assert "does not match" in workflow.run("--cores", "1", code=1)
    workflow.samples("safe ACGU")
    workflow.run("--cores", "1", "results/preds/a;touch P.pdb", code=1)
    assert not list(workflow.folder.rglob("P"))


def test_evaluation_without_natives_says_what_to_set(workflow):
    assert "natives: not set" in workflow.run("-n", "evaluation", code=1)
