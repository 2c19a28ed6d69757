"""Pictures are made when they are asked for, from stage A alone."""

import xml.etree.ElementTree as ET

NAMES = ("structure", "arcs", "dots")


def test_a_picture_needs_stage_a_and_nothing_after_it(workflow):
    planned = workflow.planned("--cores", "2", "results/figures/hairpin/arcs.svg")
    assert planned == {"resolve_config": 2, "prepare_input": 1, "stage_a_adjacency": 1, "draw_base_pairs": 1}


def test_pictures_are_not_part_of_a_bare_run(workflow):
    assert "draw_base_pairs" not in workflow.planned()


def test_the_rule_draws_all_three_and_follows_the_pairs(workflow):
    workflow.configure(results="runs")
    workflow.samples("rna GGGCUUCGGCCC")
    wanted = "runs/figures/rna/structure.svg"
    workflow.run("--cores", "1", wanted)
    folder = workflow.folder / "runs" / "figures" / "rna"
    titles = [ET.fromstring((folder / f"{name}.svg").read_text())[0].text for name in NAMES]
    assert titles == ["Secondary structure of rna", "Arc diagram of rna", "Dot plot of rna"]
    assert "12 nt, 4 pairs" in (folder / "structure.svg").read_text()
    assert "drawn to runs/figures" in (workflow.folder / "runs" / "logs" / "rna" / "draw_base_pairs.log").read_text()
    assert (workflow.folder / "runs" / "benchmarks" / "rna" / "draw_base_pairs.tsv").is_file()
    assert not workflow.planned("--cores", "1", wanted)
    workflow.samples("rna GGGGCUUCGGCCCC")
    assert workflow.done("--cores", "1", wanted)["draw_base_pairs"] == 1
    assert "14 nt, 5 pairs" in (folder / "structure.svg").read_text()
