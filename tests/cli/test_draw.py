"""`rna-predict draw`: from stage A's folder, its file, or a structure file."""

import json

import numpy as np
import pytest

from rna_predict.contracts import Adjacency, Provenance, RnaSequence
from rna_predict.formats.dot_bracket import from_dot_bracket
from rna_predict.formats.fasta import write_fasta

KNOT = "GCGCGGCACCGUCCGCGGAACAAACGG", ".(((((..[[[.))))).......]]]"
NAMES = ["arcs.svg", "dots.svg", "structure.svg"]


STAGES = {"h": ("GGGCUUCGGCCC", "((((....))))"), "knot": (KNOT[0], ".(((((......)))))..........")}
"""What stage A has found here: a hairpin, and a pseudoknot without its second stem."""


@pytest.fixture
def stages(tmp_path):
    """A folder with stage A's files of two RNAs."""
    root = tmp_path / "stages"
    for name, (letters, structure) in STAGES.items():
        partner_L = from_dot_bracket(structure)
        probability_LL = np.zeros((len(letters), len(letters)), dtype=np.float32)
        paired = np.flatnonzero(partner_L >= 0)
        probability_LL[paired, partner_L[paired]] = 0.75
        Adjacency(
            id=name,
            sequence=letters,
            provenance=Provenance(method="viennarna", package_version="0"),
            probability_LL=probability_LL,
            partner_L=partner_L,
        ).save(root / name / "a_adjacency.safetensors")
        write_fasta(RnaSequence(id=name, sequence=letters), root / name / "sequence.fasta")
    return root


def test_a_stage_folder_and_a_stage_file_are_drawn(run, stages, tmp_path):
    out = tmp_path / "figures"
    result = run("draw", stages / "h", stages / "knot" / "a_adjacency.safetensors", "--out", out)
    assert (result.code, result.out) == (0, "")
    assert sorted(path.name for path in (out / "h").iterdir()) == NAMES
    text = (out / "h" / "structure.svg").read_text()
    assert "12 nt, 4 pairs" in text
    assert text.count("paired with") == 8
    assert "G1–C12 0.75" in text
    assert "27 nt" in (out / "knot" / "arcs.svg").read_text()


def test_a_folder_whose_sequence_changed_is_refused(run, stages, tmp_path):
    (stages / "h" / "sequence.fasta").write_text(">h\nGGGCUUCGGCCA\n")
    result = run("draw", stages / "h", "--out", tmp_path / "out")
    assert result.code == 1
    assert "Run stage_a again" in result.err
    assert not (tmp_path / "out").exists()


def test_a_native_is_compared_with(run, stages, tmp_path):
    native = tmp_path / "natives.dbn"
    native.write_text(f">other\nGGGAAACCC\n(((...)))\n>knot\n{KNOT[0]}\n{KNOT[1]}\n")
    assert run("draw", stages / "knot", "--native", native, "--out", tmp_path / "out").code == 0
    text = (tmp_path / "out" / "knot" / "arcs.svg").read_text()
    assert "5 right, 0 wrong; 3 missed" in text
    assert "compared with natives.dbn, line 6" in text
    assert str(tmp_path) not in text
    result = run("draw", stages / "h", "--native", native, "--out", tmp_path / "out")
    assert result.code == 1
    assert "none of the 2 structures is named h" in result.err


def test_structure_files_are_drawn_by_their_own_names(run, tmp_path):
    dbn, ct = tmp_path / "two.dbn", tmp_path / "odd name.ct"
    dbn.write_text(f">knot\n{KNOT[0].lower()}\n{KNOT[1]}\n>tail\nGAAAAC\n(....)\n")
    rows = ["5 x", *(f"{k} {'GAAAC'[k - 1]} {k - 1} {k + 1} {(5, 0, 0, 0, 1)[k - 1]} {k}" for k in range(1, 6))]
    ct.write_text("\n".join(rows) + "\n")
    result = run("draw", dbn, ct, "--out", tmp_path / "out")
    assert result.code == 0
    assert "27 lower-case letters read as upper case" in result.err
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["knot", "tail", "x"]
    assert (tmp_path / "out" / "knot" / "structure.svg").read_text().count("pseudoknot pair") == 1
    assert "No probabilities" in (tmp_path / "out" / "x" / "dots.svg").read_text()


def test_a_failing_source_does_not_stop_the_others_and_is_named(run, tmp_path):
    good, twice, status = tmp_path / "good.dbn", tmp_path / "twice.dbn", tmp_path / "status.json"
    good.write_text(">a\nGAAAC\n(...)\n")
    twice.write_text(">A\nGAAAAC\n(....)\n")
    bare = tmp_path / "bare.dbn"
    bare.write_text("(...)\n")
    result = run("draw", good, twice, bare, tmp_path / "no.dbn", "--out", tmp_path / "out", "--status", status)
    assert result.code == 1
    assert f"A was drawn from {good}" in result.err
    assert "bare.dbn, line 1: the structure has no sequence" in result.err
    assert "no.dbn: no such file" in result.err
    assert [row["status"] for row in json.loads(status.read_text()).values()] == ["done", "failed", "failed", "failed"]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a"]


def test_two_structures_of_one_name_are_refused(run, tmp_path):
    path = tmp_path / "same.dbn"
    path.write_text(">a\nGAAAC\n(...)\n>A\nGAAAC\n.....\n")
    result = run("draw", path, "--out", tmp_path / "out")
    assert result.code == 1
    assert "a stands there twice; case is ignored" in result.err
