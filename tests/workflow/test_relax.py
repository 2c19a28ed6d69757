"""Relaxed models are made when they are asked for, by name or by the config."""

import pytest

WANTED = "results/relaxed/rna.pdb"


def test_a_relaxed_model_comes_from_all_models_and_their_confidence(workflow):
    workflow.stand_in()
    workflow.samples("rna GGGCUUCGGCCC")
    done = workflow.done("--cores", "1", WANTED)
    assert (done["stage_d_diffusion"], done["relax"]) == (1, 1)
    called = (workflow.folder / WANTED).read_text()
    stages = "results/stages/rna/d"
    assert called == f"relax {stages}_models.cif results/relaxed --confidence {stages}_confidence.json --threads 1"
    assert (workflow.folder / "results" / "relaxed" / "rna.cif").is_file()
    assert not workflow.planned("--cores", "1", WANTED)


@pytest.mark.parametrize(("relax", "jobs"), [("off", 0), (False, 0), ("on", 2), (True, 2)])
def test_the_config_says_whether_a_bare_run_relaxes(workflow, relax, jobs):
    workflow.samples("one GGGCUUCGGCCC", "two GGGCUUCGGCCC")
    workflow.configure(relax=relax)
    assert workflow.planned().get("relax", 0) == jobs


def test_auto_relaxes_where_openmm_is_installed(workflow):
    pytest.importorskip("openmm")
    workflow.samples("one GGGCUUCGGCCC")
    workflow.configure(relax="auto")
    assert workflow.planned()["relax"] == 1


def test_another_word_stops_the_run(workflow):
    workflow.configure(relax="maybe")
    assert "'maybe' is not one of" in workflow.run("-n", code=1)
