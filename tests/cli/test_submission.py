"""`rna-predict submission`: from predictions in any of their folders to one file, or to a refusal."""

import dataclasses

import numpy as np
import pytest

from rna_predict.chemistry.residues import C1
from rna_predict.contracts import RnaSequence
from rna_predict.formats.models import write_best_cif, write_ensemble

HAIRPIN = RnaSequence(id="hairpin", sequence="GGGCUUCGGCCC")
OTHER = RnaSequence(id="other", sequence="GGCAAUGCC")


@pytest.fixture
def ensemble(lattice_ensemble):
    """Five models of an RNA that differ by noise."""

    def make(sequence, count=5):
        given = lattice_ensemble(sequence)
        rng = np.random.default_rng(1)
        models = tuple(
            dataclasses.replace(
                given.models[0],
                xyz_LA3=given.models[0].xyz_LA3 + rng.normal(0, 2, (sequence.length, 1, 3)).astype(np.float32),
                ranking_score=1.0 - rank,
                seed=rank,
            )
            for rank in range(count)
        )
        return dataclasses.replace(given, models=models)

    return make


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "test_sequences.csv"
    path.write_text(f"target_id,sequence\n{OTHER.id},{OTHER.sequence}\n{HAIRPIN.id},{HAIRPIN.sequence}\n")
    return path


def written(path, ensembles):
    """Whether the file holds C1' of the ensembles, target by target."""
    rows = [line.split(",") for line in path.read_text().splitlines()[1:]]
    expected = np.concatenate([[m.xyz_LA3[:, C1] for m in one.models[:5]] for one in ensembles], axis=1)
    found = np.array([row[3:] for row in rows], dtype=float).reshape(-1, 5, 3).transpose(1, 0, 2)
    return np.abs(found - expected).max() < 1e-3


def test_the_folder_of_predict_and_that_of_the_stages_give_the_same(run, ensemble, table, tmp_path):
    first, second = ensemble(OTHER), ensemble(HAIRPIN, 6)
    for one in (first, second):
        write_ensemble(one, tmp_path / "preds" / f"{one.id}.cif", tmp_path / "preds" / f"{one.id}.json")
        stage = tmp_path / "results" / "stages" / one.id
        write_ensemble(one, stage / "d_models.cif", stage / "d_confidence.json")
        write_best_cif(one, tmp_path / "results" / "preds" / f"{one.id}.cif")
    texts = []
    for folder in ("preds", "results/stages", "results/preds"):
        out = tmp_path / f"{len(texts)}.csv"
        result = run("submission", tmp_path / folder, "--sequences", table, "--out", out)
        assert result.code == 0, result.err
        assert "2 targets, 21 residues" in result.err
        texts.append(out.read_text())
    assert texts[0] == texts[1] == texts[2]
    assert written(out, [first, second])
    assert texts[0].splitlines()[1].startswith("other_1,G,1,")
    result = run("submission", out, "--sequences", table)
    assert result.code == 0
    assert "right in all that is checked" in result.err


def test_what_is_missing_or_foreign_is_named_and_nothing_is_written(run, ensemble, table, tmp_path):
    folder, out = tmp_path / "preds", tmp_path / "s.csv"

    def refused(said):
        result = run("submission", folder, "--sequences", table, "--out", out)
        assert result.code == 2
        assert said in result.err
        assert not out.exists()

    refused("no such folder")
    folder.mkdir()
    refused("2 of 2 targets: other, hairpin. Predict them")
    write_ensemble(ensemble(OTHER), folder / "other.cif", folder / "other.json")
    refused("1 of 2 targets: hairpin")
    write_ensemble(ensemble(HAIRPIN, 4), folder / "hairpin.cif", folder / "hairpin.json")
    refused("hairpin: 5 models are needed; found " + str(folder / "hairpin.cif") + " (4). Predict it with --models 5")
    foreign = RnaSequence(id="hairpin", sequence="GGGCUUCGGCCA")
    write_ensemble(ensemble(foreign), folder / "hairpin.cif", folder / "hairpin.json")
    refused("sequence GGGCUUCGGCCA is not that of target hairpin (12 nt)")
    same = ensemble(HAIRPIN)
    same = dataclasses.replace(same, models=(*same.models[:4], dataclasses.replace(same.models[1], ranking_score=-9.0)))
    write_ensemble(same, folder / "hairpin.cif", folder / "hairpin.json")
    refused("target hairpin: x_2 to z_5: models 2 and 5 are the same")


def test_stages_that_do_not_belong_to_the_predictions_are_refused(run, ensemble, table, tmp_path):
    for one in (ensemble(OTHER), ensemble(HAIRPIN)):
        stage = tmp_path / "stages" / one.id
        write_ensemble(one, stage / "d_models.cif", stage / "d_confidence.json")
        turned = dataclasses.replace(one, models=(dataclasses.replace(one.models[2], ranking_score=2.0),))
        write_best_cif(turned, tmp_path / "preds" / f"{one.id}.cif")
    result = run("submission", tmp_path / "preds", "--sequences", table, "--out", tmp_path / "s.csv")
    assert result.code == 2
    assert "one of them is stale. Predict other again" in result.err


def test_a_file_from_elsewhere_is_checked(run, table, tmp_path):
    path = tmp_path / "theirs.csv"
    path.write_text("ID,resname,resid,x_1\nother_1,G,1,0\n")
    result = run("submission", path, "--sequences", table)
    assert result.code == 2
    assert f"{path}: line 1: 4 columns" in result.err
