"""The whole pipeline with quick settings: each stage heeds what it is given, and nothing else decides the result."""

import dataclasses
import subprocess
import sys

import gemmi
import numpy as np
import pytest

from rna_predict.contracts import GivenStructure, RnaSequence
from rna_predict.contracts.structure import full_mask
from rna_predict.evaluation.annotation import annotate_pairs, nested_pairs, share_formed
from rna_predict.evaluation.geometry_report import geometry_report
from rna_predict.formats.models import read_ensemble
from rna_predict.formats.structure import read_structure
from rna_predict.pipeline import PipelineConfig, predict
from rna_predict.stage_a_adjacency.config import StageAConfig
from rna_predict.stage_a_adjacency.stage import predict_adjacency
from rna_predict.stage_b_torsion.stage import predict_torsions
from rna_predict.stage_c_reconstruction.config import StageCConfig
from rna_predict.stage_c_reconstruction.stage import reconstruct
from rna_predict.stage_d_diffusion.config import StageDConfig
from rna_predict.stage_d_diffusion.inputs import StageDInputs
from rna_predict.stage_d_diffusion.stage import sample_ensemble

RNAS = {"hairpin": "GGGCUUCGGCCC", "two_stems": "GGGCUUCGGCCCAGCCGAAAGGCA"}
TRNA = "GCGGAUUUAGCUCAGUUGGGAGAGCGCCAGACUGAAGAUCUGGAGGUCCUGUGUUCGAUCCACAGAAUUCGCACCA"
QUICK_C = {"starts": 1, "kept": 1, "steps_open": 30, "steps_closing": 30, "steps_closed": 80, "steps_polish": 40}
QUICK_D = {"models": 1, "steps": 2, "iterations": 4, "refine_iterations": 40}
QUICK_D_ENDED = ("--set=stage_d.steps=3", "--set=stage_d.refine_iterations=100")
QUICK = PipelineConfig(stage_c=StageCConfig(**QUICK_C), stage_d=StageDConfig(**QUICK_D))


@pytest.fixture(scope="module")
def prediction():
    """Everything that the stages make of the hairpin."""
    return predict(RnaSequence(id="hairpin", sequence=RNAS["hairpin"]), QUICK)


@pytest.fixture(scope="module")
def opened(prediction):
    """Stage A's result without the first pair of the first stem."""
    partner = prediction.adjacency.partner_L.copy()
    partner[[0, partner[0]]] = -1
    return dataclasses.replace(prediction.adjacency, partner_L=partner)


def moved(first, second):
    """Largest change of a distance between two atoms of a kind, Å: a rigid motion of the whole is none."""

    def distances(xyz):
        points = xyz[:, [0, 5, 11]].reshape(-1, 3).astype(float)
        return np.linalg.norm(points[:, None] - points, axis=-1)

    return np.abs(distances(first) - distances(second)).max()


def models(prediction, **inputs):
    """The best model's coordinates with some inputs of stage D replaced."""
    return sample_ensemble(prediction.sequence, stage_d_inputs(prediction, **inputs), QUICK.stage_d).models[0].xyz_LA3


def stage_d_inputs(prediction, **inputs):
    names = (field.name for field in dataclasses.fields(StageDInputs))
    return StageDInputs(**{name: inputs.get(name, getattr(prediction, name)) for name in names})


def test_a_sequence_decides_the_pairs_and_a_given_structure_decides_against_it(prediction):
    length = prediction.sequence.length
    partner = nested_pairs(prediction.adjacency.partner_L)[1:]
    given = GivenStructure.from_pairs(prediction.sequence.id, length, partner, "drawn")
    found = predict_adjacency(prediction.sequence, StageAConfig(), given)
    assert found.pairs == partner != prediction.adjacency.pairs
    swapped = prediction.sequence.sequence.translate(str.maketrans("C", "A"))
    assert not predict_adjacency(RnaSequence(id="x", sequence=swapped), StageAConfig()).pairs


def test_stage_b_heeds_pairs_and_stage_bs_pair_features_heed_probabilities(prediction, opened):
    torsions, embeddings = predict_torsions(prediction.sequence, opened, QUICK.stage_b)
    assert np.abs(torsions.angle_L7 - prediction.torsions.angle_L7).max() > 0.05
    assert np.abs(embeddings.distogram_GLLB - prediction.embeddings.distogram_GLLB).max() > 0.1
    fainter = dataclasses.replace(prediction.adjacency, probability_LL=prediction.adjacency.probability_LL * 0.5)
    _, embeddings = predict_torsions(prediction.sequence, fainter, QUICK.stage_b)
    assert np.abs(embeddings.pair_LLZ - prediction.embeddings.pair_LLZ).max() > 0.1


def test_stage_c_heeds_pairs(prediction, opened):
    found = reconstruct(prediction.sequence, opened, prediction.torsions, QUICK.stage_c)
    assert moved(found.xyz_LA3, prediction.coordinates.xyz_LA3) > 0.5


@pytest.mark.parametrize(("name", "value"), [("angle_L7", 2.5), ("pucker_phase_L", 0.3)])
def test_stage_c_heeds_torsions_and_puckers_of_a_loop(prediction, name, value):
    changed = getattr(prediction.torsions, name).copy()
    changed[5] = value
    torsions = dataclasses.replace(prediction.torsions, **{name: changed})
    found = reconstruct(prediction.sequence, prediction.adjacency, torsions, QUICK.stage_c)
    assert moved(found.xyz_LA3, prediction.coordinates.xyz_LA3) > 0.5


# Equal inputs give equal bits (below), so that any change is the input's. With these few steps, and one model, which
# starts at stage C's, the terms move the atoms little.


def test_stage_d_heeds_pairs(prediction, opened):
    """Little: it asks of stems what stage C's model has, where that is sound."""
    assert moved(models(prediction, adjacency=opened), models(prediction)) > 0.003


def test_stage_d_heeds_the_distogram(prediction):
    reversed_bins = np.ascontiguousarray(prediction.embeddings.distogram_GLLB[..., ::-1])
    embeddings = dataclasses.replace(prediction.embeddings, distogram_GLLB=reversed_bins)
    assert moved(models(prediction, embeddings=embeddings), models(prediction)) > 0.001


def test_stage_d_heeds_coordinates(prediction):
    other = reconstruct(prediction.sequence, prediction.adjacency, prediction.torsions, StageCConfig(method="nerf"))
    assert moved(models(prediction, coordinates=other), models(prediction)) > 0.5


def test_equal_inputs_give_equal_bits_and_another_seed_does_not(prediction):
    again = predict(prediction.sequence, QUICK)
    for name in ("adjacency", "torsions", "embeddings", "coordinates"):
        assert getattr(again, name).digest() == getattr(prediction, name).digest(), name
        assert getattr(again, name).provenance == getattr(prediction, name).provenance, name
    assert again.ensemble.provenance == prediction.ensemble.provenance
    for first, second in zip(again.ensemble.models, prediction.ensemble.models, strict=True):
        for field in dataclasses.fields(first):
            np.testing.assert_array_equal(getattr(first, field.name), getattr(second, field.name))
    seed = dataclasses.replace(QUICK.stage_d, seed=1)
    other = sample_ensemble(prediction.sequence, stage_d_inputs(prediction), seed)
    assert moved(other.models[0].xyz_LA3, prediction.ensemble.models[0].xyz_LA3) > 0.01


def test_a_given_structure_reaches_the_model():
    sequence = RnaSequence(id="hairpin", sequence=RNAS["hairpin"])
    pairs = [(0, 10), (1, 9)]
    given = GivenStructure.from_pairs("hairpin", 12, pairs, "drawn")
    found = predict(sequence, QUICK, given)
    assert found.adjacency.pairs == pairs
    best = found.ensemble.structure()
    assert share_formed(annotate_pairs(best), pairs) == 1
    assert share_formed(annotate_pairs(best), [(0, 11), (1, 10)]) == 0
    assert geometry_report(best).faults == ""


def run_cli(folder, threads, rnas, *settings):
    """`rna-predict predict` in a process of its own; the folder with its results."""
    folder.mkdir()
    (folder / "x.fa").write_text("".join(f">{name}\n{letters}\n" for name, letters in rnas.items()))
    words = [f"--set=stage_c.{name}={value}" for name, value in QUICK_C.items()]
    command = [sys.executable, "-m", "rna_predict", "predict", "x.fa", "--out", "out", "--threads", str(threads)]
    subprocess.run([*command, "--models", "2", *words, *settings], cwd=folder, check=True, capture_output=True)
    return folder / "out"


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """Results of the command line for both RNAs."""
    return run_cli(tmp_path_factory.mktemp("cli") / "x", 1, RNAS, *QUICK_D_ENDED)


@pytest.mark.parametrize("name", RNAS)
def test_pdb_and_cif_agree_atom_for_atom_and_b_factors_are_plddt(out, name):
    sequence = RnaSequence(id=name, sequence=RNAS[name])
    ensemble = read_ensemble(out / f"{name}.cif", out / f"{name}.json", sequence)
    files = [gemmi.read_structure(str(out / f"{name}.{suffix}"))[0] for suffix in ("pdb", "cif")]
    rows = [
        [
            (c.name, r.name, r.seqid.num, a.name, a.element.name, a.pos.tolist(), a.b_iso)
            for c in m
            for r in c
            for a in r
        ]
        for m in files
    ]
    assert len(rows[0]) == len(rows[1]) == full_mask(sequence.sequence).sum()
    for first, second in zip(*rows, strict=True):
        assert first[:5] == second[:5]
        assert first[5] == pytest.approx(second[5], abs=1e-6)
        assert first[6] == pytest.approx(second[6], abs=1e-4)
    best = ensemble.models[0]
    plddt = best.plddt_LA[full_mask(sequence.sequence)]
    assert [row[6] for row in rows[0]] == pytest.approx(plddt.tolist(), abs=0.006)
    assert plddt.std() > 0.1
    assert len(ensemble.models) == 2


@pytest.mark.parametrize("name", RNAS)
def test_the_written_chain_is_whole_and_its_pairs_are_formed(out, name):
    for suffix in ("pdb", "cif"):
        structure = read_structure(out / f"{name}.{suffix}")
        assert structure.sequence == RNAS[name]
        report = geometry_report(structure)
        assert (report.atoms_missing, report.centers_left_out, report.faults) == (0, 0, "")
        assert report.bonds.bond_max < 0.06
        partner = predict_adjacency(RnaSequence(id=name, sequence=RNAS[name]), StageAConfig()).partner_L
        assert share_formed(annotate_pairs(structure), nested_pairs(partner)) >= 0.95


@pytest.mark.slow
def test_the_number_of_threads_does_not_change_the_model(tmp_path):
    first, second = (run_cli(tmp_path / str(n), n, {"trna": TRNA}, *QUICK_D_ENDED) / "trna.pdb" for n in (1, 2))
    difference = np.abs(read_structure(first).xyz_LA3 - read_structure(second).xyz_LA3)
    assert difference.max() <= 0.001, "measured: 0"
