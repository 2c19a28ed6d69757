"""The subcommands of the workflow, the batch that they share, and what goes to which stream."""

import dataclasses
import json
import os
import subprocess
import sys
import types

import pytest
import yaml

from rna_predict.cli import bench
from rna_predict.cli.batch import exit_code, run_batch
from rna_predict.cli.stage_files import RECORDS
from rna_predict.contracts import Adjacency, RnaSequence, Torsions
from rna_predict.errors import PredictionError
from rna_predict.formats.models import write_ensemble
from rna_predict.templates.config import TemplatesConfig

HAIRPIN = "GGGCUUCGGCCC"


def test_prepare_and_stage_a_do_the_good_ids_and_report_the_bad(run, tmp_path):
    status = tmp_path / "status.json"
    result = run("prepare", "--root", tmp_path, "--status", status, f"h={HAIRPIN.lower()}", "bad=ACGX", "../x=ACGU")
    assert result.code == 1
    assert (tmp_path / "h" / "sequence.fasta").read_text() == f">h\n{HAIRPIN}\n"
    assert {name: row["status"] for name, row in json.loads(status.read_text()).items()} == {
        "h": "done",
        "bad": "failed",
        "../x": "failed",
    }
    assert sorted(path.name for path in tmp_path.iterdir()) == ["h", "status.json"]

    result = run("stage-a", "--root", tmp_path, "nosuch", "h")
    assert result.code == 1
    assert "nosuch: failed" in result.err
    adjacency = Adjacency.load(tmp_path / "h" / "a_adjacency.safetensors", RnaSequence(id="h", sequence=HAIRPIN))
    assert adjacency.pairs == [(0, 11), (1, 10), (2, 9), (3, 8)]
    assert (tmp_path / "h" / "a_adjacency.dbn").read_text().splitlines()[2] == "((((....))))"


def test_stage_a_takes_a_given_structure_by_id_and_settings_by_file(run, tmp_path):
    run("prepare", "--root", tmp_path, f"h={HAIRPIN}")
    given = tmp_path / "x.dbn"
    given.write_text("((......))..\n")
    assert run("stage-a", "--root", tmp_path, "--given", f"h={given}", "h").code == 0
    assert (tmp_path / "h" / "a_adjacency.dbn").read_text().splitlines()[2] == "((......)).."
    for wrong in ("h", f"other={given}"):
        assert run("stage-a", "--root", tmp_path, "--given", wrong, "h").code == 2
    settings = tmp_path / "stage_a.yaml"
    settings.write_text("min_stem: 5\n")
    assert run("stage-a", "--root", tmp_path, "--config", settings, "h").code == 0
    assert (tmp_path / "h" / "a_adjacency.dbn").read_text().splitlines()[2] == "............"
    settings.write_text("min_stm: 5\n")
    result = run("stage-a", "--root", tmp_path, "--config", settings, "h")
    assert result.code == 2
    assert "min_stm" in result.err


def test_stage_a_folds_under_reactivities_by_id(run, tmp_path):
    run("prepare", "--root", tmp_path, f"h={HAIRPIN}")
    shape = tmp_path / "h.shape"
    shape.write_text("2 2.5\n11 2.5\n")
    result = run("stage-a", "--root", tmp_path, "--reactivity", f"h={shape}", "h")
    assert result.code == 0
    assert "h: 2 of 12 residues have a reactivity" in result.err
    adjacency = Adjacency.load(tmp_path / "h" / "a_adjacency.safetensors", RnaSequence(id="h", sequence=HAIRPIN))
    assert adjacency.provenance.method == "ensemble+reactivity"
    before = adjacency.probability_LL[1, 10]
    shape.write_text("2 0\n11 0\n")
    assert run("stage-a", "--root", tmp_path, "--reactivity", f"h={shape}", "h").code == 0
    again = Adjacency.load(tmp_path / "h" / "a_adjacency.safetensors", RnaSequence(id="h", sequence=HAIRPIN))
    assert before < again.probability_LL[1, 10]
    assert again.provenance.inputs["reactivity"] != adjacency.provenance.inputs["reactivity"]
    result = run("stage-a", "--root", tmp_path, "--reactivity", f"other={shape}", "h")
    assert result.code == 2
    assert "--reactivity 'other=" in result.err


def test_stage_b_takes_an_alignment_by_id_and_says_where_it_is_not_read(run, tmp_path):
    run("prepare", "--root", tmp_path, f"h={HAIRPIN}")
    run("stage-a", "--root", tmp_path, "h")
    run("stage-templates", "--root", tmp_path, "h")
    msa = tmp_path / "h.a3m"
    msa.write_text(f">h\n{HAIRPIN}\n>other\nGGGCAACGGCCC\n")
    result = run("stage-b", "--root", tmp_path, "--msa", f"h={msa}", "h")
    assert result.code == 0
    assert "h: 2 aligned sequences" in result.err
    assert "is not read: only stage_b.backend trunk does" in result.err
    assert "is not read" not in run("stage-b", "--root", tmp_path, "h").err
    for wrong in ("h", f"other={msa}"):
        result = run("stage-b", "--root", tmp_path, "--msa", wrong, "h")
        assert result.code == 2
        assert f"--msa {wrong!r}" in result.err
    msa.write_text(">h\nGGGCUUCGGCCG\n")
    result = run("stage-b", "--root", tmp_path, "--msa", f"h={msa}", "h")
    assert result.code == 1
    assert "is not h" in result.err


def test_a_stale_or_foreign_upstream_file_names_the_stage_to_run_again(run, tmp_path):
    run("prepare", "--root", tmp_path, f"h={HAIRPIN}")
    run("stage-a", "--root", tmp_path, "h")
    result = run("stage-b", "--root", tmp_path, "h")
    assert result.code == 1
    assert "Run templates again" in result.err
    run("stage-templates", "--root", tmp_path, "h")
    result = run("stage-c", "--root", tmp_path, "h")
    assert result.code == 1
    assert "Run stage_b again" in result.err
    run("stage-b", "--root", tmp_path, "h")
    given = tmp_path / "x.dbn"
    given.write_text("((......))..\n")
    run("stage-a", "--root", tmp_path, "--given", f"h={given}", "h")
    result = run("stage-c", "--root", tmp_path, "h")
    assert result.code == 1
    assert "is stale" in result.err
    assert "Run stage_b again" in result.err
    run("prepare", "--root", tmp_path, "h=GGGCUUCGGCCU")
    result = run("stage-b", "--root", tmp_path, "h")
    assert result.code == 1
    assert "Run stage_a again" in result.err


def test_results_of_other_templates_are_stale(run, tmp_path):
    """A tetraloop is found and mixed in; once it is looked for no more, stage C asks for stage B."""
    run("prepare", "--root", tmp_path, "h=GGGACUCGAAAGAGUCCC")
    run("stage-a", "--root", tmp_path, "h")
    assert "hairpin of" in run("stage-templates", "--root", tmp_path, "h").err
    assert run("stage-b", "--root", tmp_path, "h").code == 0
    settings = tmp_path / "templates.yaml"
    settings.write_text(yaml.safe_dump(dataclasses.asdict(TemplatesConfig(motifs=False))))
    assert run("stage-templates", "--root", tmp_path, "--config", settings, "h").code == 0
    result = run("stage-c", "--root", tmp_path, "h")
    assert result.code == 1
    assert "with other templates than those on disk. Run stage_b again" in result.err


def test_export_writes_the_best_model_and_refuses_another_sequence(run, tmp_path, lattice_ensemble):
    run("prepare", "--root", tmp_path, f"h={HAIRPIN}")
    folder = tmp_path / "h"
    ensemble = lattice_ensemble(RnaSequence(id="h", sequence=HAIRPIN))
    write_ensemble(ensemble, folder / "d_models.cif", folder / "d_confidence.json")
    out = tmp_path / "preds"
    assert run("export", "--root", tmp_path, "--out", out, "h", "nosuch").code == 1
    assert sorted(path.name for path in out.iterdir()) == ["h.cif", "h.pdb"]
    run("prepare", "--root", tmp_path, "h=GGGCUUCGGCCU")
    result = run("export", "--root", tmp_path, "--out", out, "h")
    assert result.code == 1
    assert "stage_d" in result.err


def test_stage_d_and_export_refuse_what_was_made_from_other_files_than_those_beside_it(run, tmp_path, lattice_ensemble):
    run("prepare", "--root", tmp_path, f"h={HAIRPIN}")
    folder, out = tmp_path / "h", tmp_path / "preds"
    for stage in ("stage-a", "stage-templates", "stage-b", "stage-c"):
        assert run(stage, "--root", tmp_path, "h").code == 0
    inputs = {name: cls.load(folder / f"{name}.safetensors").digest() for name, cls in RECORDS.items()}
    assert len(inputs) == 4
    lattice = lattice_ensemble(RnaSequence(id="h", sequence=HAIRPIN))

    def export(digests):
        provenance = dataclasses.replace(lattice.provenance, inputs=digests)
        ensemble = dataclasses.replace(lattice, provenance=provenance)
        write_ensemble(ensemble, folder / "d_models.cif", folder / "d_confidence.json")
        return run("export", "--root", tmp_path, "--out", out, "h")

    for name in inputs:
        result = export(inputs | {name: "0" * 64})
        assert result.code == 1
        assert f"made from another {name} than the one on disk. Run stage_d again" in result.err
        assert not out.exists()
    assert export(inputs).code == 0

    torsions = Torsions.load(folder / "b_torsions.safetensors")
    dataclasses.replace(torsions, angle_L7=-torsions.angle_L7).save(folder / "b_torsions.safetensors")
    result = run("stage-d", "--root", tmp_path, "h")
    assert result.code == 1
    assert "made from another b_torsions than the one on disk. Run stage_c again" in result.err
    result = run("export", "--root", tmp_path, "--out", out, "h")
    assert result.code == 1
    assert "made from another b_torsions than the one on disk. Run stage_d again" in result.err


def test_a_batch_goes_on_after_every_failure_and_stops_only_when_asked_to(tmp_path):
    def work(name):
        if name == "b":
            raise PredictionError("no\nclosed chain")
        if name == "c":
            raise MemoryError

    outcomes = run_batch(["a", "b", "c", "d"], work)
    assert [(o.id, o.status, o.reason) for o in outcomes] == [
        ("a", "done", ""),
        ("b", "failed", "no closed chain"),
        ("c", "failed", "MemoryError: "),
        ("d", "done", ""),
    ]
    assert (exit_code(outcomes), exit_code(outcomes[:1])) == (1, 0)
    fault = run_batch(["a", "b"], lambda name: name + 1 if name == "a" else None)
    assert [(o.status, o.reason[:9]) for o in fault] == [("failed", "TypeError"), ("done", "")]

    def interrupted(name):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_batch(["a"], interrupted)


def test_config_resolve_writes_complete_files_and_names_a_wrong_key(run, tmp_path):
    words = ("config", "resolve", "--stage", "stage_a", "--out", tmp_path)
    assert run(*words, "stage_a.min_stem=2").code == 0
    text = (tmp_path / "stage_a.yaml").read_text()
    assert "min_stem: 2\n" in text
    assert "readout: auto\n" in text
    result = run(*words, "stage_a.min_stm=2")
    assert result.code == 2
    assert result.err.startswith("rna-predict: stage_a: min_stm: ")
    assert len(result.err.splitlines()) == 1


def test_a_benchmark_prints_a_table_and_one_json_line(run, monkeypatch):
    module = types.ModuleType("a_benchmark")
    module.run = lambda: ([{"id": "x", "ms": 1.25}, {"id": "y", "ms": None}], {"ms": 1.23456789})
    monkeypatch.setitem(sys.modules, "a_benchmark", module)
    monkeypatch.setitem(bench.BENCHMARKS, "mine", "a_benchmark")
    result = run("bench", "mine")
    assert result.code == 0
    assert result.out.splitlines()[:3] == ["id     ms", "x   1.250", "y       -"]
    assert json.loads(result.out.splitlines()[-1]) == {"ms": 1.234568}
    result = run("bench", "nosuch")
    assert result.code == 2
    assert "Names: reconstruction, fold" in result.err


def test_evaluate_prints_rows_means_and_one_json_line(run, chains_dir, tmp_path):
    preds, natives = tmp_path / "preds", tmp_path / "natives"
    preds.mkdir()
    natives.mkdir()
    (natives / "1y26.pdb.gz").symlink_to(chains_dir / "1y26_X.pdb.gz")
    (natives / "other.pdb.gz").symlink_to(chains_dir / "1y26_X.pdb.gz")
    assert run("evaluate", preds, natives).code == 1
    (preds / "1y26.pdb.gz").symlink_to(chains_dir / "1y26_X.pdb.gz")
    result = run("evaluate", preds, natives)
    assert result.code == 0
    lines = result.out.splitlines()
    assert lines[0] == "other: missing_prediction: no prediction of this name"
    assert lines[2].split()[:6] == ["1y26", "71", "1.000", "1.000", "0.000", "1.000"]
    assert lines[3].startswith("mean of 1")
    figures = json.loads(lines[-1])
    assert (figures["targets"], figures["scored"], figures["lddt"]) == (2, 1, 1.0)
    targets = tmp_path / "targets.csv"
    targets.write_text("pdb,id\nx,1y26\n")
    assert "missing" not in run("evaluate", preds, natives, "--targets", targets).out.splitlines()[0]
    assert run("evaluate", preds, tmp_path / "nosuch").code == 2


def test_threads_reach_torch_blas_and_openmp():
    code = (
        "from rna_predict.cli.threads import set_threads; set_threads(1); import numpy, scipy.linalg, torch, os;"
        "from threadpoolctl import threadpool_info as t;"
        "print(torch.get_num_threads(),"
        "*(os.environ['OMP_' + n] for n in ('NUM_THREADS', 'WAIT_POLICY')), *{pool['num_threads'] for pool in t()})"
    )
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    environment |= {"OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2", "MKL_NUM_THREADS": "2"}
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert result.stdout.split() == ["1", "1", "PASSIVE", "1"]


def test_help_names_every_command_and_the_exit_codes(run):
    text = run("--help").out
    for name in ("predict", "evaluate", "bench", "prepare", "stage-a", "stage-d", "export", "config"):
        assert name in text
    assert "Exit codes" in text
