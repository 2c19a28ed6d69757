"""`rna-predict predict` with nothing stood in for, away from the checkout."""

import json
import subprocess
import sys

import pytest

from rna_predict.contracts import RnaSequence
from rna_predict.formats.models import read_ensemble

HAIRPIN = "GGGCUUCGGCCC"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The results for two RNAs, one of which is given a structure that cannot be."""
    folder = tmp_path_factory.mktemp("elsewhere")
    (folder / "x.fa").write_text(f">hairpin\n{HAIRPIN}\n>other\n{HAIRPIN}\n")
    (folder / "x.dbn").write_text(">other\n((((....)))\n>third\n....\n")
    words = ("predict", "x.fa", "--out", "out", "--ss", "x.dbn", "--models", "2", "--seed", "5")
    command = [sys.executable, "-m", "rna_predict", *words]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert result.returncode == 1, result.stderr
    return folder / "out"


def test_the_models_are_whole_ranked_and_say_where_their_confidence_is_from(folder):
    ensemble = read_ensemble(
        folder / "hairpin.cif", folder / "hairpin.json", RnaSequence(id="hairpin", sequence=HAIRPIN)
    )
    assert len(ensemble.models) == 2
    assert {model.seed for model in ensemble.models} == {5, 6}
    assert json.loads((folder / "hairpin.json").read_text())["confidence_kind"] == "learned"
    atoms = [line for line in (folder / "hairpin.pdb").read_text().splitlines() if line.startswith("ATOM")]
    best = ensemble.structure(0)
    assert len(atoms) == best.mask_LA.sum()
    assert [float(atoms[0][k : k + 8]) for k in (30, 38, 46)] == pytest.approx(best.xyz_LA3[0, 0].tolist(), abs=1e-3)


def test_the_rna_with_the_impossible_structure_failed_alone(folder):
    rows = [line.split("\t") for line in (folder / "status.tsv").read_text().splitlines()[1:]]
    assert sorted((row[0], row[1]) for row in rows) == [("hairpin", "done"), ("other", "failed")]
    assert sorted(path.name for path in folder.iterdir()) == [
        "hairpin.cif",
        "hairpin.json",
        "hairpin.pdb",
        "manifest.json",
        "status.tsv",
    ]
