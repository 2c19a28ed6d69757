"""The customer's literal commands, and what a dry run lists for them."""

import re
from pathlib import Path

STAGES = ("stage_a_adjacency", "stage_b_torsion", "stage_c_reconstruction", "stage_d_diffusion")
EVERY_RNA = ("prepare_input", "templates", *STAGES, "export_prediction")


def test_a_bare_dry_run_lists_every_rule_for_each_example(workflow):
    assert workflow.planned() == {"resolve_config": 5, "all": 1} | dict.fromkeys(EVERY_RNA, 3)


def test_the_slurm_command_plans_the_three_examples(root, workflow):
    assert (root / "slurm").readlink() == Path("workflow/profiles/slurm")
    text = workflow.run("--cores", "8", "--profile", "slurm", "-n")
    assert "stage_d_diffusion             3" in text
    assert "slurm" in text


def test_a_single_id_plans_this_id_only(workflow):
    planned = workflow.planned("--cores", "2", "results/preds/hairpin.pdb")
    assert planned == {"resolve_config": 5} | dict.fromkeys(EVERY_RNA, 1)


def test_the_config_sets_folder_gpu_and_length_sets_memory(workflow):
    workflow.configure(results="elsewhere/runs", stage_d={"choice": "default", "gpu": 2})
    workflow.samples("short ACGUACGUACGU", "long " + "ACGU" * 250)
    text = workflow.run("-n")
    assert "elsewhere/runs/preds/long.pdb" in text
    assert " results/" not in text
    jobs = re.findall(r"rule (stage_[bd])_.*?wildcards: id=(\w+).*?resources: ([^\n]*)", text, re.DOTALL)
    gpu = {(stage, name): int(re.findall(r"gpu=(\d+)", resources)[0]) for stage, name, resources in jobs}
    assert gpu == {("stage_b", "short"): 0, ("stage_b", "long"): 0, ("stage_d", "short"): 2, ("stage_d", "long"): 2}
    memory = {(stage, name): int(re.findall(r"mem_mb=(\d+)", resources)[0]) for stage, name, resources in jobs}
    assert memory["stage_d", "long"] > 2 * memory["stage_d", "short"]


def test_an_id_that_the_sheet_lacks_is_named(workflow):
    assert "nosuch: no such id in config/samples.tsv." in workflow.run("-n", "results/preds/nosuch.pdb", code=1)
