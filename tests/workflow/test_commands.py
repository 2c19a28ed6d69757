"""The customer's literal commands, and what a dry run lists for them."""

import os
import re

import pytest

STAGES = ("stage_a_adjacency", "stage_b_torsion", "stage_c_reconstruction", "stage_d_diffusion")
EVERY_RNA = ("prepare_input", *STAGES, "export_prediction")


def test_a_bare_dry_run_lists_each_rule_for_each_rna(workflow):
    assert workflow.planned() == {"resolve_config": 1, "all": 1} | dict.fromkeys(EVERY_RNA, 3)


@pytest.mark.parametrize("arguments", [["--cores", "8", "--profile", "slurm"], ["--cores", "2"]])
def test_the_literal_commands_plan_the_three_examples(workflow, arguments):
    assert workflow.planned(*arguments)["stage_d_diffusion"] == 3


def test_a_single_id_plans_this_id_only(workflow):
    assert workflow.planned("--cores", "2", "results/preds/hairpin.pdb") == {"resolve_config": 1} | dict.fromkeys(
        EVERY_RNA, 1
    )


def test_the_profile_entry_at_the_root_is_a_link_into_the_workflow(root):
    assert os.readlink(root / "slurm") == "workflow/profiles/slurm"


def test_until_stage_b_plans_no_later_stage(workflow):
    assert workflow.planned("--until", "stage_b_torsion") == {"resolve_config": 1} | dict.fromkeys(EVERY_RNA[:3], 3)


def test_results_go_below_the_folder_of_the_config(workflow):
    workflow.configure(results="elsewhere/runs")
    text = workflow.run("-n")
    assert "elsewhere/runs/preds/hairpin.pdb" in text
    assert " results/" not in text


def test_a_gpu_is_asked_for_where_the_config_says_so(workflow):
    workflow.configure(stage_d={"choice": "default", "gpu": 2})
    text = workflow.run("-n", "results/preds/hairpin.pdb")
    gpus = dict(re.findall(r"rule (stage_[bd]\w+):.*?gpu=(\d)", text, re.DOTALL))
    assert gpus == {"stage_b_torsion": "0", "stage_d_diffusion": "2"}


def test_memory_grows_with_the_length(workflow):
    workflow.samples("short ACGUACGUACGU", "long " + "ACGU" * 250)
    text = workflow.run("-n")
    memory = {
        name: int(value)
        for name, value in re.findall(r"rule stage_d_diffusion:.*?wildcards: id=(\w+).*?mem_mb=(\d+)", text, re.DOTALL)
    }
    assert memory["long"] > 2 * memory["short"]
