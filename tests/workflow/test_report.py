"""The page is made when it is asked for, from all predictions; where some failed, from what is there."""

import re

PAGE = "results/report/index.html"


def test_the_page_waits_for_all_predictions_and_is_no_part_of_a_bare_run(workflow):
    workflow.samples("one GGGCUUCGGCCC", "two GGGGCUUCGGCCCC")
    planned = workflow.planned("--cores", "2", PAGE)
    assert (planned["report"], planned["export_prediction"]) == (1, 2)
    assert "report" not in workflow.planned()


def test_the_page_is_made_of_the_sheet_and_the_results(workflow):
    workflow.stand_in()
    workflow.samples("one GGGCUUCGGCCC")
    assert workflow.done("--cores", "1", PAGE)["report"] == 1
    said = (workflow.folder / PAGE).read_text()
    assert said == f"report results --samples config/samples.tsv --out {PAGE} --threads 1"
    assert not workflow.planned("--cores", "1", PAGE)
    workflow.samples("one GGGCUUCGGCCC", "two GGGGCUUCGGCCCC")
    assert workflow.planned("--cores", "1", PAGE)["report"] == 1


def test_a_run_that_fails_makes_the_page_of_what_is_there(workflow):
    workflow.stand_in()
    workflow.samples("one GGGCUUCGGCCC", "failing GGGGCUUCGGCCCC")
    text = workflow.run("--cores", "1", "--keep-going", PAGE, code=1)
    assert f"{PAGE}: made of what is there; some RNAs failed." in text
    assert (workflow.folder / PAGE).read_text() == f"report results --samples config/samples.tsv --out {PAGE}"


def test_a_run_that_fails_makes_no_page_that_nobody_asked_for(workflow):
    workflow.stand_in()
    workflow.samples("one GGGCUUCGGCCC", "failing GGGGCUUCGGCCCC")
    workflow.run("--cores", "1", "--keep-going", code=1)
    assert not (workflow.folder / PAGE).exists()


def test_snakemake_s_own_report_holds_the_page(workflow):
    workflow.stand_in()
    workflow.samples("one GGGCUUCGGCCC")
    workflow.run("--cores", "1", PAGE)
    workflow.run(PAGE, "--report", "report.html")
    assert re.search(r"All predictions on one page", (workflow.folder / "report.html").read_text())
