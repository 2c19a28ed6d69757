"""`rna-predict predict`: exit codes, files, and one failing RNA among others. The four stages are stood in for."""

import sys
import types
from pathlib import Path

import pytest

from rna_predict.errors import PredictionError

FASTA = ">one\nGGGAAAUCCC\n>bad\nGGGNAAUCCC\n>fails\nGGGAAAUCCU\n>two words\r\ngggaaatccc\r\n"


@pytest.fixture
def aligned():
    """The alignments that arrived."""
    return {}


@pytest.fixture
def probed():
    """The reactivities that arrived."""
    return {}


@pytest.fixture
def stages(monkeypatch, lattice_ensemble, aligned, probed):
    """Stand in for the pipeline; RNAs of these ids raise; the given structures that arrived are kept."""
    arrived = {}
    raising = {"fails": PredictionError("stage C: no closed chain"), "odd": ValueError("odd\nshape")}

    def predict(sequence, config, given, on_stage, alignment, reactivity):
        on_stage("A: base pairs")
        arrived[sequence.id] = given
        aligned[sequence.id] = alignment
        probed[sequence.id] = reactivity
        if sequence.id in raising:
            raise raising[sequence.id]
        return types.SimpleNamespace(ensemble=lattice_ensemble(sequence))

    module = types.ModuleType("rna_predict.pipeline")
    module.predict = predict
    monkeypatch.setitem(sys.modules, "rna_predict.pipeline", module)
    monkeypatch.setattr("rna_predict.cli.predict.pipeline_config", lambda folder, settings: settings)
    return arrived


def table(path: Path) -> list[list[str]]:
    return [line.split("\t") for line in path.read_text().splitlines()]


def write(path: Path, text: str) -> Path:
    path.write_bytes(text.encode())
    return path


def test_failing_rnas_are_listed_and_the_others_are_whole(run, stages, tmp_path):
    out = tmp_path / "out"
    result = run("predict", write(tmp_path / "x.fasta", FASTA), "--out", out)
    assert result.code == 1
    made = {path.name for path in out.iterdir()}
    assert made == {
        "status.tsv",
        "manifest.json",
        *(f"{name}.{suffix}" for name in ("one", "two") for suffix in ("pdb", "cif", "json")),
    }
    header, *rows = table(out / "status.tsv")
    assert header == ["id", "status", "seconds", "reason"]
    status = {name: (state, reason) for name, state, _, reason in rows}
    assert {name: state for name, (state, _) in status.items()} == {
        "one": "done",
        "two": "done",
        "bad": "failed",
        "fails": "failed",
    }
    assert "'N' at position 4" in status["bad"][1]
    assert status["fails"][1] == "stage C: no closed chain"
    assert "2 of 4 failed" in result.err
    assert "two: 10 lower-case letters" in result.err
    assert "1 T read as U" in result.err
    assert result.out == ""


def test_all_done_is_exit_code_0_and_the_b_factor_is_plddt(run, stages, tmp_path):
    out = tmp_path / "new" / "out"
    assert run("predict", write(tmp_path / "x.fa", ">a\nGGGAAAUCCC\n"), "--out", out).code == 0
    atoms = [line for line in (out / "a.pdb").read_text().splitlines() if line.startswith("ATOM")]
    assert {line[60:66].strip() for line in atoms} == {"50.00"}
    assert len(atoms) == 3 * 23 + 3 * 22 + 20 + 3 * 20


def test_an_error_of_a_library_fails_one_rna_in_one_line(run, stages, tmp_path):
    out = tmp_path / "out"
    fasta = write(tmp_path / "x.fa", ">odd\nGGGAAAUCCC\n>a\nGGGAAAUCCC\n")
    assert run("predict", fasta, "--out", out).code == 1
    assert table(out / "status.tsv")[1:][0][3] == "ValueError: odd shape"
    assert (out / "a.pdb").is_file()


def test_a_rerun_replaces_and_a_now_failing_rna_leaves_no_old_model(run, stages, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    for suffix in ("pdb", "cif", "json"):
        (out / f"fails.{suffix}").write_text("old")
        (out / f"a.{suffix}").write_text("old")
    fasta = write(tmp_path / "x.fa", ">fails\nGGGAAAUCCC\n>a\nGGGAAAUCCC\n")
    assert run("predict", fasta, "--out", out).code == 1
    assert not list(out.glob("fails.*"))
    assert "old" not in (out / "a.pdb").read_text()


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "holds nothing"),
        ("\n \n", "holds only blanks"),
        ("; only\n", "holds only comments"),
        (">a\nACGUACGU\n>a\nACGU\n", "lines 1 and 3"),
        (">a\nACGUACGU\n>A\nACGU\n", "lines 1 and 3"),
        ("ACGU\n", "before the first header"),
        (">../../x\nACGU\n", "none of its 1 records can be used"),
        (">a\n\n", "none of its 1 records can be used"),
    ],
)
def test_an_unusable_fasta_is_exit_code_2_in_one_line(run, stages, tmp_path, text, named):
    result = run("predict", write(tmp_path / "x.fa", text), "--out", tmp_path / "out")
    assert result.code == 2
    assert named in result.err.splitlines()[-1]
    assert not list(tmp_path.rglob("*.pdb"))
    assert not stages


def test_unusable_files_and_folders_are_exit_code_2(run, stages, tmp_path):
    fasta = write(tmp_path / "x.fa", ">a\nGGGAAAUCCC\n")
    assert "no such file" in run("predict", tmp_path / "no.fa", "--out", tmp_path / "out").err
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    for out in (fasta, fasta / "below", loop, Path("/proc/nowhere")):
        result = run("predict", fasta, "--out", out)
        assert result.code == 2
        assert f"--out {out}: cannot write there" in result.err
    assert fasta.read_text() == ">a\nGGGAAAUCCC\n"
    assert run("predict", fasta).code == 2  # --out is missing


def test_letters_are_mapped_only_when_asked(run, stages, tmp_path):
    fasta = write(tmp_path / "x.fa", ">a\nGGGNAAUCCC\n")
    assert run("predict", fasta, "--out", tmp_path / "o").code == 2
    result = run("predict", fasta, "--out", tmp_path / "o", "--ambiguous", "map")
    assert result.code == 0
    assert "1 N → A" in result.err
    assert run("predict", fasta, "--out", tmp_path / "o", "--ambiguous", "guess").code == 2


def test_a_given_structure_reaches_the_rna_that_it_names(run, stages, tmp_path):
    fasta = write(tmp_path / "x.fa", ">a\nGGGAAAUCCC\n>b\nGGGAAAUCCC\n>c\nGGGAAAUCCC\n")
    given = write(tmp_path / "x.dbn", ">c\nGGGAAAUCCC\n(((....)))\n>a\nGGGAAAUCC\n(((....))\n")
    result = run("predict", fasta, "--out", tmp_path / "o", "--ss", given)
    assert result.code == 1
    assert stages["b"] is None
    assert stages["c"].partner_L.tolist() == [9, 8, 7, -1, -1, -1, -1, 2, 1, 0]
    assert "a" not in stages
    assert "structures for 2 of 3 sequences" in result.err


@pytest.mark.parametrize(
    ("text", "named"),
    [("(((....))", "9"), ("(((....(((", "never closed"), (">z\n(((....)))\n>y\n(((....)))\n", "named")],
)
def test_a_given_structure_that_does_not_fit_is_exit_code_2(run, stages, tmp_path, text, named):
    fasta = write(tmp_path / "x.fa", ">a\nGGGAAAUCCC\n")
    result = run("predict", fasta, "--out", tmp_path / "o", "--ss", write(tmp_path / "x.dbn", text))
    assert result.code == 2
    assert named in result.err
    assert not stages


def test_models_and_seed_become_settings_of_stage_d(run, stages, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr("rna_predict.cli.predict.pipeline_config", lambda folder, settings: asked.extend(settings))
    fasta = write(tmp_path / "x.fa", ">a\nGGGAAAUCCC\n")
    words = ("--models", 3, "--seed", 9, "--set", "stage_c.steps_open=5")
    assert run("predict", fasta, "--out", tmp_path / "o", *words).code == 0
    assert asked == ["stage_c.steps_open=5", "stage_d.models=3", "stage_d.seed=9"]


def test_a_failed_neighbours_structure_is_not_put_on_the_rna_that_is_left(run, stages, tmp_path):
    two = write(tmp_path / "x.fasta", ">bad\nGGGNAAUCCC\n>one\nGGGAAAUCCC\n")
    result = run("predict", two, "--out", tmp_path / "a", "--ss", write(tmp_path / "bad.dbn", ">bad\n(((....)))\n"))
    assert result.code == 2
    assert "names none of the 1 sequences" in result.err
    assert not stages
    named = write(tmp_path / "one.dbn", ">one\n(((....)))\n")
    assert run("predict", two, "--out", tmp_path / "b", "--ss", named).code == 1
    assert stages["one"].partner_L.tolist()[:3] == [9, 8, 7]


def test_with_no_usable_record_the_fasta_is_at_fault_not_the_structure(run, stages, tmp_path):
    bad = write(tmp_path / "x.fasta", ">bad\nGGGNAAUCCC\n")
    result = run("predict", bad, "--out", tmp_path / "a", "--ss", write(tmp_path / "s.dbn", "(((....)))\n"))
    assert result.code == 2
    assert "none of its 1 records can be used" in result.err
    assert table(tmp_path / "a" / "status.tsv")[1][:2] == ["bad", "failed"]


A3M = ">q\nGGGAAAUCCC\n>r\nGGG-AAUCCa-\n>s\nGGCAAAaaUGCC\n"


def test_an_alignment_reaches_the_rna_of_its_name(run, stages, aligned, tmp_path):
    folder = tmp_path / "msa"
    folder.mkdir()
    write(folder / "b.a3m", A3M)
    write(folder / "z.a3m", A3M)
    fasta = write(tmp_path / "x.fa", ">a\nGGGAAAUCCC\n>b\nGGGAAAUCCC\n")
    result = run("predict", fasta, "--out", tmp_path / "o", "--msa", folder)
    assert result.code == 0
    assert aligned["a"] is None
    assert [aligned["b"].row(k) for k in range(3)] == ["GGGAAAUCCC", "GGG-AAUCC-", "GGCAAAUGCC"]
    assert "alignments for 1 of 2 sequences" in result.err
    assert "b: 3 aligned sequences" in result.err
    lone = write(tmp_path / "y.fa", ">c\nGGGAAAUCCC\n")
    assert run("predict", lone, "--out", tmp_path / "o", "--msa", folder / "z.a3m").code == 0
    assert aligned["c"].depth == 3


def test_an_alignment_of_another_rna_fails_its_rna_alone_and_before_any_stage(run, stages, aligned, tmp_path):
    folder = tmp_path / "msa"
    folder.mkdir()
    write(folder / "b.sto", "# STOCKHOLM 1.0\nq GGGAAAUCCG\n//\n")
    fasta = write(tmp_path / "x.fa", ">a\nGGGAAAUCCC\n>b\nGGGAAAUCCC\n")
    result = run("predict", fasta, "--out", tmp_path / "o", "--msa", folder)
    assert result.code == 1
    assert set(aligned) == {"a"}
    assert "b: failed" in result.err
    assert "Align to this RNA" in result.err


def test_alignments_that_belong_to_no_one_are_exit_code_2(run, stages, tmp_path):
    two = write(tmp_path / "x.fa", ">a\nGGGAAAUCCC\n>b\nGGGAAAUCCC\n")
    file = write(tmp_path / "a.a3m", A3M)
    empty = tmp_path / "empty"
    empty.mkdir()
    both = tmp_path / "both"
    both.mkdir()
    for name in ("a.a3m", "a.sto"):
        write(both / name, A3M)
    for msa, named in (
        (file, "one file for several sequences"),
        (tmp_path / "no", "no such file or folder"),
        (empty, "holds no <id>.a3m"),
        (both, "a.a3m and a.sto both align a"),
    ):
        result = run("predict", two, "--out", tmp_path / "o", "--msa", msa)
        assert result.code == 2
        assert named in result.err
    assert not stages


def test_reactivities_reach_the_rna_of_their_name(run, stages, probed, tmp_path):
    fasta = write(tmp_path / "x.fa", ">a\nGGGAAAUCCC\n>b\nGGGAAAUCCC\n")
    shape = write(tmp_path / "b.shape", "4 0.5\n5 -0.25\n6 -999\n")
    result = run("predict", fasta, "--out", tmp_path / "o", "--reactivity", f"b={shape}")
    assert result.code == 0
    assert probed["a"] is None
    assert probed["b"].value_L[3:5].tolist() == [0.5, 0.0]
    assert "b: 2 of 10 residues have a reactivity" in result.err
    assert "1 negative reactivities count as 0" in result.err
    result = run("predict", fasta, "--out", tmp_path / "o", "--reactivity", f"c={shape}")
    assert result.code == 2
    assert "this id is not asked for" in result.err


def test_reactivities_of_another_length_fail_their_rna_alone(run, stages, probed, tmp_path):
    fasta = write(tmp_path / "x.fa", ">a\nGGGAAAUCCC\n>b\nGGGAAAUCCC\n")
    shape = write(tmp_path / "b.shape", "11 0.5\n")
    result = run("predict", fasta, "--out", tmp_path / "o", "--reactivity", f"b={shape}")
    assert result.code == 1
    assert set(probed) == {"a"}
    assert "position 11, b has 10 residues" in result.err
