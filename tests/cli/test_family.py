"""The family that stage A finds goes on to stage B as an alignment, from the command line as in one process."""

import json

import numpy as np
import pytest

from rna_predict.contracts import Embeddings, RnaSequence
from rna_predict.formats.alignment import read_alignment
from rna_predict.pipeline import PipelineConfig
from rna_predict.stage_a_adjacency.config import StageAConfig
from rna_predict.stage_b_torsion.config import StageBConfig

HAIRPIN = "GGGCUUCGGCCC"
IRE = "GUUCUUGCUUCAACAGUGUUUGAACGGAAC"
"""An iron-responsive element, the shortest RNA here with a family."""
TRUNK = "backend: trunk\nuntrained_profile: nano\ncycles: 1\n"


@pytest.fixture
def stages(run, tmp_path):
    """Stage A done for both RNAs, and settings for a trunk on random weights."""
    run("prepare", "--root", tmp_path, f"ire={IRE}", f"h={HAIRPIN}")
    for stage in ("stage-a", "stage-templates"):
        assert run(stage, "--root", tmp_path, "ire", "h").code == 0
    (tmp_path / "trunk.yaml").write_text(TRUNK)
    return tmp_path


def embeddings(folder, id: str = "ire", sequence: str = IRE) -> Embeddings:
    """Stage B's result."""
    return Embeddings.load(folder / id / "b_embeddings.safetensors", RnaSequence(id=id, sequence=sequence))


def test_stage_a_writes_what_it_found_and_the_alignment(stages):
    found = json.loads((stages / "ire" / "a_family.json").read_text())
    assert found["used"] is True
    assert found["families"][0]["name"] == "IRE_I"
    assert found["families"][0]["release"] == "Rfam 14.9"
    alignment, _ = read_alignment(stages / "ire" / "a_family.a3m", RnaSequence(id="ire", sequence=IRE))
    assert alignment.depth > 5


def test_without_a_hit_both_files_are_there_and_say_so(stages):
    assert json.loads((stages / "h" / "a_family.json").read_text()) == {"id": "h", "used": False, "families": []}
    assert (stages / "h" / "a_family.a3m").read_text() == f">h\n{HAIRPIN}\n"


def test_the_trunk_reads_the_familys_alignment(run, stages):
    config = stages / "trunk.yaml"
    assert run("stage-b", "--root", stages, "--config", config, "ire").code == 0
    with_family = embeddings(stages)
    assert "alignment" in with_family.provenance.inputs
    config.write_text(TRUNK + "family_alignment: false\n")
    assert run("stage-b", "--root", stages, "--config", config, "ire").code == 0
    without = embeddings(stages)
    assert "alignment" not in without.provenance.inputs
    assert np.abs(with_family.pair_LLZ - without.pair_LLZ).max() > 1e-3


def test_another_row_in_the_alignment_changes_the_embeddings(run, stages):
    words = ("stage-b", "--root", stages, "--config", stages / "trunk.yaml", "ire")
    run(*words)
    before = embeddings(stages)
    path = stages / "ire" / "a_family.a3m"
    path.write_text(path.read_text() + ">other\n" + "A" * len(IRE) + "\n")
    run(*words)
    assert embeddings(stages).digest() != before.digest()


def test_an_alignment_of_the_users_wins(run, stages):
    msa = stages / "own.a3m"
    msa.write_text(f">ire\n{IRE}\n>other\n{'A' * len(IRE)}\n")
    assert run("stage-b", "--root", stages, "--config", stages / "trunk.yaml", "--msa", f"ire={msa}", "ire").code == 0
    alignment, _ = read_alignment(msa, RnaSequence(id="ire", sequence=IRE))
    assert embeddings(stages).provenance.inputs["alignment"] == alignment.digest()


def test_an_rna_alone_is_no_alignment(run, stages):
    assert run("stage-b", "--root", stages, "--config", stages / "trunk.yaml", "h").code == 0
    assert "alignment" not in embeddings(stages, "h", HAIRPIN).provenance.inputs


def test_a_lost_alignment_names_the_stage_to_run_again(run, stages):
    (stages / "ire" / "a_family.a3m").unlink()
    result = run("stage-b", "--root", stages, "--config", stages / "trunk.yaml", "ire")
    assert result.code == 1
    assert "a_family.a3m: no such file. Run stage_a again." in result.err
    assert run("stage-b", "--root", stages, "ire").code == 0  # the prior table reads no alignment


def test_in_one_process_the_trunk_reads_the_same_alignment(run, stages, monkeypatch):
    from rna_predict import pipeline

    run("stage-b", "--root", stages, "--config", stages / "trunk.yaml", "ire")
    config = PipelineConfig(
        stage_a=StageAConfig(), stage_b=StageBConfig(backend="trunk", untrained_profile="nano", cycles=1)
    )
    for name in ("reconstruct", "sample_ensemble", "StageDInputs"):
        monkeypatch.setattr(pipeline, name, lambda *given, **named: None)
    made = pipeline.predict(RnaSequence(id="ire", sequence=IRE), config)
    assert made.embeddings.digest() == embeddings(stages).digest()
    assert made.adjacency.families[0].name == "IRE_I"
