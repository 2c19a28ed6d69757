"""`predict --untrained`: the networks' whole path from a sequence to files, and every file says what it is."""

import subprocess
import sys

from rna_predict.contracts import RnaSequence
from rna_predict.evaluation.geometry_report import geometry_report
from rna_predict.formats.models import read_ensemble
from rna_predict.formats.structure import read_structure

QUICK = (
    *("stage_c.starts=1", "stage_c.kept=1", "stage_c.steps_open=30", "stage_c.steps_closing=30"),
    *("stage_c.steps_closed=80", "stage_c.steps_polish=40", "stage_b.cycles=1"),
    *("stage_d.diffusion_steps=15", "stage_d.refine_iterations=60"),
)


def test_untrained_networks_predict_from_the_command_line_and_every_file_says_untrained(tmp_path):
    (tmp_path / "x.fa").write_text(">hairpin\nGGGCUUCGGCCC\n")
    words = ["x.fa", "--out", "out", "--untrained", "nano", "--models", "2", *(f"--set={setting}" for setting in QUICK)]
    command = [sys.executable, "-m", "rna_predict", "predict", *words]
    result = subprocess.run(command, cwd=tmp_path, check=False, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert "stage B's trunk runs on UNTRAINED random weights" in result.stderr
    assert "stage D runs on UNTRAINED random weights" in result.stderr
    for suffix in ("pdb", "cif", "json"):
        assert "UNTRAINED" in (tmp_path / "out" / f"hairpin.{suffix}").read_text(), suffix
    sequence = RnaSequence(id="hairpin", sequence="GGGCUUCGGCCC")
    ensemble = read_ensemble(tmp_path / "out" / "hairpin.cif", tmp_path / "out" / "hairpin.json", sequence)
    assert (len(ensemble.models), ensemble.confidence_kind) == (2, "learned")
    report = geometry_report(read_structure(tmp_path / "out" / "hairpin.pdb"))
    assert (report.faults, report.atoms_missing) == ("", 0)
