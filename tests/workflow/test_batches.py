"""`batches` in the config: what is planned, and the real pipeline with an RNA that fails, a new one, another number."""

import json
import re
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

STAGES = ("stage_a", "templates", "stage_b", "stage_c", "stage_d")
BATCHES = tuple(f"{stage}_batch" for stage in STAGES)
QUICK = {
    "stage_a": {"choice": "default", "overrides": ["family=off"]},
    "stage_c": {"choice": "default", "overrides": ["method=nerf"]},
    "stage_d": {
        "choice": "default",
        "overrides": ["models=1", "steps=1", "iterations=1", "refine_iterations=60"],
    },
}
GOOD = ("hairpin GGGCUUCGGCCC", "other GGCACUUCGGUGCC", "third GGGACUUCGGUCCC")


def statuses(workflow) -> dict[str, dict[str, dict]]:
    """Of every batch, what became of its RNAs after the last stage."""
    folder = workflow.folder / "results" / "batches"
    return {path.parent.name: json.loads(path.read_text()) for path in folder.glob("*/stage_d.json")}


def files_of(folder: Path, name: str) -> dict[str, bytes]:
    """All results of one RNA."""
    found = [*(folder / "stages" / name).iterdir(), *(folder / "preds").glob(f"{name}.*")]
    return {path.name: path.read_bytes() for path in found}


@pytest.fixture(scope="module")
def ran(copy_of_workflow, tmp_path_factory):
    """Three RNAs that go through and one with a letter that is refused, in one batch."""
    workflow = copy_of_workflow(tmp_path_factory.mktemp("batches"))
    workflow.configure(batches=1, **QUICK)
    workflow.samples(*GOOD, "bad GGGCUUCGGCCN")
    return workflow, workflow.run("--cores", "2", code=1)


def test_many_rnas_share_a_job_at_each_stage(workflow):
    workflow.configure(batches=3)
    rows = [f"r{k} {'ACGU' * 8}" for k in range(40)]
    workflow.samples(*rows, "long " + "ACGU" * 250)
    planned = workflow.planned()
    assert planned == {"resolve_config": 5, "all": 1, "export_prediction": 41} | dict.fromkeys(BATCHES, 4)
    text = workflow.run("-n")
    memory = dict(re.findall(r"batch=(\S+)\n    resources: [^\n]*?mem_mb=(\d+)", text))
    of_long = next(int(mb) for batch, mb in memory.items() if batch.startswith("to1024nt_"))
    assert of_long > 2 * max(int(mb) for batch, mb in memory.items() if batch.startswith("to64nt_"))
    minutes = {b: int(m) for b, m in re.findall(r"rule stage_d_batch:.*?batch=(\S+)\n.*?runtime=(\d+)", text, re.S)}
    assert len(minutes) == 4
    assert sum(m - 15 for b, m in minutes.items() if b.startswith("to64nt_")) in range(250, 258), "0.2 min a residue"


def test_one_id_is_a_batch_of_its_own(workflow):
    workflow.configure(batches=3)
    planned = workflow.planned("results/preds/hairpin.pdb")
    assert planned == {"resolve_config": 5, "export_prediction": 1} | dict.fromkeys(BATCHES, 1)
    assert "only_hairpin" in workflow.run("-n", "results/preds/hairpin.pdb")
    planned = workflow.planned("results/stages/hairpin/b_torsions.safetensors")
    assert planned == {"resolve_config": 3, "stage_b_torsion": 1} | dict.fromkeys(BATCHES[:3], 1)


def test_memory_and_time_grow_with_the_attempt_up_to_a_limit(root):
    text = (root / "workflow" / "rules" / "batch_layout.smk").read_text()
    scope = {"RESULTS": "results", "workflow": SimpleNamespace(is_main_process=True)}
    exec(text.partition("\nAFTER_FAILURE")[0], scope)
    scope |= {"SAMPLES": {"x": {"sequence": "A" * 100}}, "RUNTIME_MIN": {"stage_c": (10, 0.1)}}
    scope |= {"megabytes": lambda stage, length: 50000, "minutes": lambda stage, length: 4000}
    scope["members"] = lambda batch: ["x", "x"]
    scope["SAMPLES"]["x"]["id"] = "x"

    class Wildcards:
        batch = "to128nt_1of1"

    memory = [scope["memory_of_batch"]("stage_c")(Wildcards, attempt) for attempt in (1, 2, 9)]
    assert memory == [50000, 100000, scope["MOST_MB"]]
    assert [scope["runtime_of_batch"]("stage_c")(Wildcards, attempt) for attempt in (1, 2)] == [8010, 10080]
    assert [scope["attempts_left"](Wildcards, attempt) for attempt in (1, 2, 3)] == [2, 1, 0]


def test_fault_27_one_of_a_batch_fails_alone_and_the_next_run_does_it_alone(ran):
    workflow, text = ran
    assert "bad: failed: stage_a: 'N' at position 12" in text
    preds = workflow.folder / "results" / "preds"
    assert {path.stem for path in preds.iterdir()} == {"hairpin", "other", "third"}
    assert not list((workflow.folder / "results" / "batches").glob("*/*.json")), "forgotten, to be tried again"

    before = {path.name: path.read_bytes() for path in preds.iterdir()}
    workflow.samples(*GOOD, "bad GGGCUUCGGCCA")
    workflow.run("--cores", "2")
    (rows,) = statuses(workflow).values()
    assert {name: (row["status"], row["found"]) for name, row in rows.items()} == {
        **dict.fromkeys(("hairpin", "other", "third"), ("done", True)),
        "bad": ("done", False),
    }
    assert {name: (preds / name).read_bytes() for name in before} == before
    assert workflow.planned() == {}


def test_another_number_of_batches_computes_nothing_and_a_new_id_computes_one(ran):
    workflow, _ = ran
    workflow.configure(batches=2, **QUICK)
    workflow.samples(*GOOD, "bad GGGCUUCGGCCA", "new GGCGCUUCGGCGCC")
    workflow.run("--cores", "2")
    rows = {
        name: row for batch, rows in statuses(workflow).items() if batch.endswith("of2") for name, row in rows.items()
    }
    assert {name for name, row in rows.items() if not row["found"]} == {"new"}
    assert len(rows) == 5


def test_one_rna_in_a_batch_equals_one_alone_byte_for_byte(ran):
    workflow, _ = ran
    workflow.configure(batches=0, results="alone", **QUICK)
    workflow.run("--cores", "2", "alone/preds/hairpin.pdb")
    alone, shared = files_of(workflow.folder / "alone", "hairpin"), files_of(workflow.folder / "results", "hairpin")
    assert alone == shared
    assert len(alone) == 15


def test_a_dry_run_takes_time_in_proportion_to_the_samples(workflow):
    workflow.configure(batches=8)
    seconds = {}
    for count in (250, 2000):
        workflow.samples(*(f"r{k:05d} {'ACGU' * 8}" for k in range(count)))
        start = time.monotonic()
        assert workflow.planned("--quiet", "rules")["export_prediction"] == count
        seconds[count] = time.monotonic() - start
    assert seconds[2000] < 8 * seconds[250] + 3, seconds
