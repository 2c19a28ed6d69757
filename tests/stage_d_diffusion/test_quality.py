"""The quality network: what it reads of a model, what it says, and when it is asked."""

import dataclasses

import numpy as np
import pytest
import torch

from rna_predict.chemistry.residues import C1
from rna_predict.contracts import EDGES, Embeddings, RnaSequence
from rna_predict.data.judged_models import QualityExample, collate_quality
from rna_predict.errors import ConfigError
from rna_predict.nn.initialise import initialise
from rna_predict.nn.profiles import PROFILES
from rna_predict.stage_b_torsion.config import StageBConfig
from rna_predict.stage_b_torsion.stage import predict_torsions
from rna_predict.stage_c_reconstruction.config import StageCConfig
from rna_predict.stage_c_reconstruction.stage import reconstruct
from rna_predict.stage_d_diffusion.config import StageDConfig
from rna_predict.stage_d_diffusion.inputs import StageDInputs
from rna_predict.stage_d_diffusion.quality_features import KINDS, quality_features
from rna_predict.stage_d_diffusion.quality_network import QualityModel
from rna_predict.stage_d_diffusion.stage import sample_ensemble

QUICK_C = StageCConfig(starts=2, kept=1, steps_open=40, steps_closing=40, steps_closed=80, steps_polish=80)
QUICK_D = StageDConfig(models=2, steps=3, iterations=6, refine_iterations=100)
C1_SHARES = slice(6, 10)
"""Channels with the chances that a C1' distance is within each threshold of the model's."""


@pytest.fixture(scope="module")
def inputs(hairpin) -> StageDInputs:
    """The hairpin with the distograms of the geometry network that the package carries."""
    torsions, embeddings = predict_torsions(hairpin.sequence, hairpin.adjacency, StageBConfig())
    coordinates = reconstruct(hairpin.sequence, hairpin.adjacency, torsions, QUICK_C, embeddings)
    return StageDInputs(adjacency=hairpin.adjacency, torsions=torsions, embeddings=embeddings, coordinates=coordinates)


@pytest.fixture(scope="module")
def found(hairpin, inputs):
    return sample_ensemble(hairpin.sequence, inputs, QUICK_D)


def features_of(inputs: StageDInputs, xyz_LA3=None, embeddings: Embeddings | None = None):
    coordinates = inputs.coordinates
    xyz_LA3 = coordinates.xyz_LA3 if xyz_LA3 is None else xyz_LA3
    return quality_features(xyz_LA3, inputs.adjacency, embeddings or inputs.embeddings, coordinates.built_L)


@pytest.fixture(scope="module")
def network() -> QualityModel:
    """Starting values with nothing left at zero."""
    module = QualityModel(PROFILES["nano"]).eval()
    initialise(module, 0)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return module


# What it reads.


def test_chances_are_those_that_the_distogram_gives_to_the_models_own_distances(inputs):
    """Half a bin on either side of a centre holds one bin, 1 Å on either side two, and so on."""
    point_L3 = inputs.coordinates.xyz_LA3[:, C1]
    gap_LL = np.linalg.norm(point_L3[:, None] - point_L3, axis=-1)
    logits = inputs.embeddings.distogram_GLLB[KINDS.index("C1'")]
    chance_LLB = np.exp(logits - logits.max(-1, keepdims=True))
    chance_LLB /= chance_LLB.sum(-1, keepdims=True)
    lower = np.array([3.0, *EDGES["wide"]])
    shares = features_of(inputs).pair_BLLP[0, :, :, C1_SHARES].numpy()
    for i, j in ((0, 5), (1, 9), (2, 7)):
        for k, threshold in enumerate((0.5, 1.0, 2.0, 4.0)):
            low, high = gap_LL[i, j] - threshold, gap_LL[i, j] + threshold
            within = np.clip(np.minimum(lower + 1, high) - np.maximum(lower, low), 0, 1)
            assert shares[i, j, k] == pytest.approx(within @ chance_LLB[i, j], abs=1e-4)


def test_a_model_that_the_distogram_contradicts_is_seen_as_such(inputs):
    """Pulled apart in the middle, the two halves lose their chances; within each nothing changes."""
    torn_LA3 = inputs.coordinates.xyz_LA3.copy()
    half = len(torn_LA3) // 2
    torn_LA3[half:] += np.float32(40)
    before, after = (features_of(inputs, xyz).pair_BLLP[0, ..., C1_SHARES] for xyz in (None, torn_LA3))
    assert after[:half, half:].max() < 0.2 * before[:half, half:].max()
    assert torch.allclose(after[:half, :half], before[:half, :half], atol=1e-5)


def test_a_model_that_is_turned_and_moved_reads_the_same(inputs):
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    moved = (inputs.coordinates.xyz_LA3 @ turn + 5).astype(np.float32)
    same, other = features_of(inputs), features_of(inputs, moved)
    for name in ("single_BLF", "pair_BLLP", "distance_BLL"):
        assert torch.allclose(getattr(same, name), getattr(other, name), atol=2e-3), name


# What it says.


def test_padding_changes_nothing_and_distances_have_no_direction(inputs, network):
    features = features_of(inputs)
    length = features.mask_BL.shape[1]
    whole = QualityExample(
        ids=("x",),
        features=features,
        lddt_BL=torch.zeros(1, length),
        pae_BLL=torch.zeros(1, length, length),
        pde_BLL=torch.zeros(1, length, length),
        tm_B=torch.ones(1),
    )
    both = collate_quality([whole, whole.cut(0, 5)])
    assert both.known_BL.sum(1).tolist() == [length, 5]
    assert both.tm_B.isnan().tolist() == [False, True], "a stretch has no TM-score"
    with torch.no_grad():
        alone, padded, short = network(features), network(both.features), network(features.cut(0, 5))
    for name in ("tm_B", "lddt_BL", "pae_BLLE", "pde_BLLE"):
        one, other = getattr(alone, name)[0], getattr(padded, name)
        assert torch.allclose(other[0], one, atol=1e-5), name
        cut = getattr(short, name)[0]
        part = other[1][(slice(5),) * min(cut.ndim, 2)]
        assert torch.allclose(part, cut, atol=1e-5), name
    assert torch.equal(alone.pde_BLLE, alone.pde_BLLE.transpose(1, 2))
    assert not torch.allclose(alone.pae_BLLE, alone.pae_BLLE.transpose(1, 2))


def test_the_default_is_judged_by_the_network_that_the_package_carries(found, inputs):
    assert found.confidence_kind == "learned"
    assert "confidence: quality network, profile small" in found.provenance.method
    assert found.provenance.weights not in ("none", inputs.embeddings.provenance.weights)
    for model in found.models:
        assert np.ptp(model.plddt_LA[:, C1]) > 1
        assert (np.diag(model.pae_LL) == 0).all()
        assert model.pae_LL.max() > 0.5
        assert 0 < model.ptm < 1


def test_it_thinks_less_of_a_model_that_is_torn(inputs, hairpin):
    """The same pairs and distograms, the loop's first half moved away."""
    from rna_predict.stage_d_diffusion.quality_confidence import opened_quality, quality_confidence

    torn_LA3 = inputs.coordinates.xyz_LA3.copy()
    torn_LA3[: len(torn_LA3) // 2] += np.float32(12)
    pair = np.stack([inputs.coordinates.xyz_LA3, torn_LA3])
    good, bad = quality_confidence(pair, inputs, opened_quality(StageDConfig()))
    assert bad.plddt_LA[:, C1].mean() < good.plddt_LA[:, C1].mean() - 10
    assert bad.pae_LL.mean() > good.pae_LL.mean() + 1
    assert bad.ptm < good.ptm


# When it is asked.


def test_without_the_distograms_that_it_reads_the_formulas_judge_and_say_so(hairpin, inputs):
    torsions, embeddings = predict_torsions(hairpin.sequence, hairpin.adjacency, StageBConfig(backend="prior-table"))
    coordinates = reconstruct(hairpin.sequence, hairpin.adjacency, torsions, QUICK_C, embeddings)
    prior = dataclasses.replace(inputs, torsions=torsions, embeddings=embeddings, coordinates=coordinates)
    ensemble = sample_ensemble(hairpin.sequence, prior, QUICK_D)
    assert ensemble.confidence_kind == "heuristic"
    assert "quality" not in ensemble.provenance.method
    with pytest.raises(ConfigError, match=r"stage_d\.confidence: learned reads distograms of P, C1', N1/N3"):
        sample_ensemble(hairpin.sequence, prior, dataclasses.replace(QUICK_D, confidence="learned"))


def test_the_formulas_can_be_asked_for_and_change_no_atom(hairpin, inputs, found):
    ensemble = sample_ensemble(hairpin.sequence, inputs, dataclasses.replace(QUICK_D, confidence="heuristic"))
    assert (ensemble.confidence_kind, ensemble.provenance.weights) == ("heuristic", "none")
    for one, other in zip(ensemble.models, found.models, strict=True):
        assert np.array_equal(one.xyz_LA3, other.xyz_LA3)
        assert not np.allclose(one.plddt_LA, other.plddt_LA)


def test_starting_values_are_named_as_such(hairpin, inputs):
    ensemble = sample_ensemble(hairpin.sequence, inputs, dataclasses.replace(QUICK_D, untrained_profile="nano"))
    assert "UNTRAINED random weights" in ensemble.provenance.method
    with pytest.raises(ConfigError, match="heuristic runs no network"):
        StageDConfig(confidence="heuristic", untrained_profile="nano")


def test_complexes_are_judged_too():
    """Two strands: ends of both are ends, and what pairs across counts."""
    from rna_predict.pipeline import PipelineConfig, predict

    config = PipelineConfig(stage_c=QUICK_C, stage_d=QUICK_D)
    config.stage_a.family, config.templates.enabled = "off", False
    found = predict(RnaSequence(id="duplex", sequence="GGACGUCCGGACGUCC", breaks=(8,)), config)
    assert found.ensemble.confidence_kind == "learned"
    embeddings, coordinates = found.embeddings, found.coordinates
    features = quality_features(coordinates.xyz_LA3, found.adjacency, embeddings, coordinates.built_L)
    assert features.single_BLF[0, [0, 7, 8, 15], -1].tolist() == [0, 0, 0, 0]
    assert features.separation_BLL[0, 7, 8] == features.separation_BLL.max()
