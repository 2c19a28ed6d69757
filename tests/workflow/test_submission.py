"""The submission is made when it is asked for, from all models of all RNAs of the sheet."""


def test_the_rule_takes_every_rna_of_the_sheet_and_reruns_with_it(workflow):
    workflow.stand_in()
    workflow.samples("one GGGCUUCGGCCC", "two GGCAAUGCC")
    done = workflow.done("--cores", "1", "results/submission.csv")
    assert (done["stage_d_diffusion"], done["submission"]) == (2, 1)
    assert "export_prediction" not in done
    called = (workflow.folder / "results" / "submission.csv").read_text()
    assert called == (
        "submission results/stages --sequences config/samples.tsv --out results/submission.csv --ambiguous refuse"
    )
    assert not workflow.planned("--cores", "1", "results/submission.csv")
    workflow.samples("one GGGCUUCGGCCC", "two GGCAAUGCC", "three GGCAAAGCC")
    done = workflow.planned("--cores", "1", "results/submission.csv")
    assert (done["stage_d_diffusion"], done["submission"]) == (1, 1)


def test_it_is_not_part_of_a_bare_run(workflow):
    assert "submission" not in workflow.planned()
