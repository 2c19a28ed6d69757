"""The learned backend on the smallest network: what it heeds, what it refuses, what its ensembles are and say."""

import dataclasses
import logging

import numpy as np
import pytest
import torch

from rna_predict.contracts import RnaSequence
from rna_predict.contracts.structure import full_mask
from rna_predict.errors import ConfigError, ContractError, PredictionError
from rna_predict.evaluation.annotation import annotate_pairs, share_formed
from rna_predict.evaluation.geometry_report import geometry_report
from rna_predict.formats.models import read_ensemble, write_ensemble
from rna_predict.nn.featurise import featurise
from rna_predict.nn.profiles import PROFILES
from rna_predict.nn.weights import WeightsHeader, open_network, save_weights
from rna_predict.stage_b_torsion.config import StageBConfig
from rna_predict.stage_b_torsion.stage import predict_torsions
from rna_predict.stage_d_diffusion import diffusion_backend
from rna_predict.stage_d_diffusion.config import StageDConfig
from rna_predict.stage_d_diffusion.diffusion_backend import LearnedSampling
from rna_predict.stage_d_diffusion.inputs import StageDInputs
from rna_predict.stage_d_diffusion.learned import LearnedDenoiser, bind, open_model
from rna_predict.stage_d_diffusion.network import DiffusionModel
from rna_predict.stage_d_diffusion.network_inputs import representations_of, stage_inputs_of
from rna_predict.stage_d_diffusion.stage import sample_ensemble

NANO = PROFILES["nano"]
RAW = {"start": "noise", "guidance": False, "refine": False, "diffusion_steps": 3}
GUIDED = {"start": "stage_c", "diffusion_steps": 15, "refine_iterations": 60, "models": 2}


def drawn_model() -> DiffusionModel:
    """Every tensor drawn, the projections of other stages' inputs too, so that nothing is zero by its start."""
    model = open_network(DiffusionModel, untrained_profile="nano").module
    assert isinstance(model, DiffusionModel)
    generator = torch.Generator().manual_seed(3)
    for name, parameter in model.named_parameters():
        if not name.endswith(("lower_bins", "upper_bins")) and parameter.dim() > 1:
            scale = parameter.shape[-1] ** -0.5
            parameter.data = scale * torch.randn(parameter.shape, generator=generator)
    return model


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> dict[str, str]:
    """Weights files: `drawn` has projections for A, B and C, `public` has zeros there."""
    folder, model = tmp_path_factory.mktemp("weights"), drawn_model()
    paths = {}
    for name in ("drawn", "public"):
        if name == "public":
            for parameter in model.diffusion_inputs.parameters():
                parameter.data.zero_()
        paths[name] = str(folder / f"{name}.safetensors")
        header = WeightsHeader(architecture=NANO, trained=True, source=f"{name} by a test")
        save_weights(folder / f"{name}.safetensors", model.state_dict(), header)
    return paths


@pytest.fixture(scope="module")
def embedded(hairpin, weights):
    """The hairpin's records with embeddings of the network's widths, as if those weights had made them."""
    draw = np.random.default_rng(5).standard_normal
    length = hairpin.sequence.length

    def made(name: str) -> StageDInputs:
        found = open_model(StageDConfig(backend="diffusion", weights=weights[name])).header.sha256
        embeddings = dataclasses.replace(
            hairpin.embeddings,
            inputs_LI=draw((length, NANO.c_inputs), dtype=np.float32),
            single_LS=draw((length, NANO.c_s), dtype=np.float32),
            pair_LLZ=draw((length, length, NANO.c_z), dtype=np.float32),
            channels=[],
            distogram_atoms=["C4/C2"],
            provenance=dataclasses.replace(hairpin.embeddings.provenance, weights=found),
        )
        return dataclasses.replace(hairpin.records(), embeddings=embeddings)

    return {name: made(name) for name in weights}


def settings(weights: dict[str, str], name: str, **changes) -> StageDConfig:
    return StageDConfig(backend="diffusion", weights=weights[name], **changes)


def sampling(inputs: StageDInputs, config: StageDConfig) -> LearnedSampling:
    opened = open_model(config)
    features = featurise(inputs.sequence, seed=inputs.embeddings.conformer_seed)
    denoiser = bind(
        opened, features, representations_of(inputs.embeddings), stage_inputs_of(inputs), config.samples_at_once
    )
    return LearnedSampling.make(inputs, denoiser, config, trained=opened.header.trained)


def drawn(inputs: StageDInputs, config: StageDConfig, seeds: range = range(1)) -> np.ndarray:
    """Coordinates [S, L, MAX_ATOMS, 3] of the samples of these seeds."""
    return np.stack([one.xyz_LA3 for one in sampling(inputs, config).batch(seeds)])


def apart(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.abs(first - second).max())


def changed(inputs: StageDInputs) -> dict[str, StageDInputs]:
    """The inputs with one thing changed, by its name."""
    adjacency, torsions, embeddings, coordinates = (
        getattr(inputs, field.name) for field in dataclasses.fields(StageDInputs)
    )
    opened = adjacency.partner_L.copy()
    opened[[0, 11]] = -1
    xyz_LA3 = coordinates.xyz_LA3.copy()
    xyz_LA3[5] += np.float32(1.5) * full_mask(inputs.sequence)[5][:, None]
    return {
        "pairs": dataclasses.replace(inputs, adjacency=dataclasses.replace(adjacency, partner_L=opened)),
        "probabilities": dataclasses.replace(
            inputs, adjacency=dataclasses.replace(adjacency, probability_LL=adjacency.probability_LL * np.float32(0.5))
        ),
        "torsions": dataclasses.replace(inputs, torsions=dataclasses.replace(torsions, angle_L7=-torsions.angle_L7)),
        "puckers": dataclasses.replace(
            inputs, torsions=dataclasses.replace(torsions, pucker_phase_L=-torsions.pucker_phase_L)
        ),
        "inputs": _embedded(inputs, inputs_LI=embeddings.inputs_LI[::-1].copy()),
        "single": _embedded(inputs, single_LS=embeddings.single_LS[::-1].copy()),
        "pair": _embedded(inputs, pair_LLZ=embeddings.pair_LLZ[::-1].copy()),
        "conformers": dataclasses.replace(inputs, embeddings=dataclasses.replace(embeddings, conformer_seed=1)),
        "coordinates": dataclasses.replace(inputs, coordinates=dataclasses.replace(coordinates, xyz_LA3=xyz_LA3)),
    }


def _embedded(inputs: StageDInputs, **arrays: np.ndarray) -> StageDInputs:
    return dataclasses.replace(inputs, embeddings=dataclasses.replace(inputs.embeddings, **arrays))


CELLS = ("pairs", "probabilities", "torsions", "puckers", "inputs", "single", "pair", "conformers", "coordinates")


def test_every_input_reaches_the_network_through_its_projection(embedded, weights):
    """From noise, without guidance and refinement, the network alone decides."""
    config = settings(weights, "drawn", **RAW)
    before = drawn(embedded["drawn"], config)
    assert apart(before, drawn(embedded["drawn"], config)) == 0
    moved = {name: apart(before, drawn(inputs, config)) for name, inputs in changed(embedded["drawn"]).items()}
    assert tuple(moved) == CELLS
    assert min(moved.values()) > 1e-3, moved


def test_with_zero_projections_the_start_and_guidance_carry_stages_a_and_c(embedded, weights):
    inputs = changed(embedded["public"])
    raw = settings(weights, "public", **RAW)
    before = drawn(embedded["public"], raw)
    untouched = ("pairs", "probabilities", "torsions", "puckers", "coordinates")
    assert {name: apart(before, drawn(inputs[name], raw)) for name in untouched} == dict.fromkeys(untouched, 0.0)
    assert min(apart(before, drawn(inputs[name], raw)) for name in ("inputs", "single", "pair")) > 1e-3
    started = settings(weights, "public", **RAW | {"start": "stage_c", "diffusion_steps": 12})
    assert apart(drawn(embedded["public"], started), drawn(inputs["coordinates"], started)) > 0.1
    guided = settings(weights, "public", **GUIDED | {"guidance_iterations": 4, "refine": False})
    assert apart(drawn(embedded["public"], guided), drawn(inputs["pairs"], guided)) > 0.01


def test_a_sample_depends_on_its_seed_and_on_nothing_beside_it(embedded, weights):
    base = settings(weights, "drawn", **RAW)
    together = drawn(embedded["drawn"], base, range(5, 8))
    for at_once in (1, 2):
        config = dataclasses.replace(base, samples_at_once=at_once)
        assert apart(together, drawn(embedded["drawn"], config, range(5, 8))) < 2e-3
    assert apart(together[1:2], drawn(embedded["drawn"], base, range(6, 7))) < 2e-3
    assert apart(together[0], together[1]) > 0.5


def test_the_denoisers_samples_can_be_put_in_any_order(embedded, weights):
    one = sampling(embedded["drawn"], settings(weights, "drawn", **RAW)).denoiser
    noisy = 8 * torch.randn(3, one.features.atom_mask_BA.shape[1], 3, generator=torch.Generator().manual_seed(1))
    found = one(noisy, 2.0)
    torch.testing.assert_close(one(noisy[[2, 0, 1]], 2.0), found[[2, 0, 1]], atol=1e-4, rtol=1e-4)
    assert (found[0] - found[1]).abs().max() > 1
    assert found.dtype == torch.float32
    torch.testing.assert_close(one(noisy.double(), 2.0).float(), found)


def test_guidance_and_refinement_can_be_switched_off_one_by_one(embedded, weights):
    base = settings(weights, "public", **GUIDED)
    found = {
        (guidance, refine): drawn(
            embedded["public"], dataclasses.replace(base, guidance=guidance, refine=refine), range(1)
        )
        for guidance in (True, False)
        for refine in (True, False)
    }
    assert apart(found[True, False], found[False, False]) > 1
    assert 0.01 < apart(found[True, True], found[True, False]) < 2
    assert apart(found[False, True], found[False, False]) > 1


def test_damaged_weights_are_named_when_they_give_nan(embedded, weights, monkeypatch):
    monkeypatch.setattr(LearnedDenoiser, "_part", lambda self, part, sigma: part * float("nan"))
    with pytest.raises(PredictionError, match="NaN or infinity at 4608"):
        drawn(embedded["drawn"], settings(weights, "drawn", **RAW))


def test_embeddings_of_other_weights_or_of_none_are_refused(hairpin, embedded, weights):
    config = settings(weights, "drawn", **RAW)
    own = embedded["drawn"].embeddings.provenance.weights
    other = embedded["public"].embeddings.provenance.weights
    assert own != other
    with pytest.raises(ContractError, match=rf"weights {other}.*stage D runs on weights {own}.*Run stage_b again"):
        sample_ensemble(hairpin.sequence, embedded["public"], config)
    with pytest.raises(ContractError, match=rf"made by prior-table \(weights none\).*{own}.*Run stage_b again"):
        sample_ensemble(hairpin.sequence, hairpin.records(), config)


def test_the_analytic_backend_takes_embeddings_of_networks(hairpin, embedded):
    quick = StageDConfig(models=1, steps=2, iterations=4, refine_iterations=60, distance_weight=0.2)
    bases = sample_ensemble(hairpin.sequence, embedded["public"], quick).models[0]
    sugars = dataclasses.replace(embedded["public"].embeddings, distogram_atoms=["C1'"])
    other = dataclasses.replace(embedded["public"], embeddings=sugars)
    found = sample_ensemble(hairpin.sequence, other, quick).models[0]
    assert apart(bases.xyz_LA3, found.xyz_LA3) > 1e-3
    assert apart(bases.pde_LL, found.pde_LL) > 0.1


@pytest.fixture(scope="module")
def untrained(hairpin):
    """Stage B's records by the untrained trunk of nano, the rest as before."""
    config = StageBConfig(backend="trunk", untrained_profile="nano", cycles=1)
    torsions, embeddings = predict_torsions(hairpin.sequence, hairpin.adjacency, config)
    return dataclasses.replace(hairpin.records(), torsions=torsions, embeddings=embeddings)


@pytest.fixture(scope="module")
def untrained_ensemble(hairpin, untrained):
    config = StageDConfig(backend="diffusion", untrained_profile="nano", **GUIDED | {"start": "auto"})
    return sample_ensemble(hairpin.sequence, untrained, config)


def test_untrained_networks_give_whole_molecules_with_their_pairs(untrained_ensemble):
    assert len(untrained_ensemble.models) == 2
    for rank, model in enumerate(untrained_ensemble.models):
        structure = untrained_ensemble.structure(rank)
        report = geometry_report(structure)
        assert report.faults == ""
        assert report.acceptable
        assert share_formed(annotate_pairs(structure), [(0, 11), (1, 10), (2, 9), (3, 8)]) >= 0.75
        assert 0 < model.terms["drift"] < 1
    assert apart(*(model.xyz_LA3 for model in untrained_ensemble.models)) > 0.05


def test_untrained_models_are_ranked_by_energy_and_judged_by_a_head_that_knows_nothing(untrained_ensemble, hairpin):
    scores = [model.ranking_score for model in untrained_ensemble.models]
    energies = [sum(v for k, v in model.terms.items() if k != "drift") for model in untrained_ensemble.models]
    assert scores == pytest.approx([-energy / 12 for energy in energies])
    assert untrained_ensemble.confidence_kind == "learned"
    mask_LA = full_mask(hairpin.sequence.sequence)
    for model in untrained_ensemble.models:
        assert model.plddt_LA[mask_LA] == pytest.approx(50.0, abs=0.01)
        assert not model.plddt_LA[~mask_LA].any()


def test_untrained_ensembles_say_so_wherever_they_go(untrained_ensemble, untrained, hairpin, tmp_path):
    provenance = untrained_ensemble.provenance
    assert provenance.method == "UNTRAINED random weights (profile nano), diffusion"
    assert provenance.weights == untrained.embeddings.provenance.weights != "none"
    assert provenance.inputs == untrained.digests()
    cif, confidence = tmp_path / "d_models.cif", tmp_path / "d_confidence.json"
    write_ensemble(untrained_ensemble, cif, confidence)
    assert "UNTRAINED" in cif.read_text()
    assert "UNTRAINED" in confidence.read_text()
    assert read_ensemble(cif, confidence, hairpin.sequence).models[0].terms["drift"] > 0


def test_an_analytic_ensemble_on_an_untrained_trunk_says_so_too(untrained, hairpin):
    quick = StageDConfig(models=1, steps=2, iterations=2, refine_iterations=60)
    found = sample_ensemble(hairpin.sequence, untrained, quick).provenance
    assert found.method == f"analytic energy; distances: {untrained.embeddings.provenance.method}"
    assert "UNTRAINED random weights" in found.method
    assert found.untrained
    assert not sample_ensemble(hairpin.sequence, hairpin.records(), quick).provenance.untrained


def test_opening_untrained_networks_warns(caplog):
    with caplog.at_level(logging.WARNING):
        open_model(StageDConfig(backend="diffusion", untrained_profile="nano"))
    assert "UNTRAINED random weights" in caplog.text
    assert "mean nothing" in caplog.text


def test_trained_weights_start_from_noise_and_untrained_ones_from_stage_c(embedded, weights):
    config = settings(weights, "public")
    one = sampling(embedded["public"], config)
    assert one.start is None
    assert one.schedule.start == pytest.approx(2560)
    from_c = LearnedSampling.make(embedded["public"], one.denoiser, config, trained=False)
    assert from_c.start is not None
    assert from_c.schedule.start == 4.0
    asked = LearnedSampling.make(
        embedded["public"], one.denoiser, dataclasses.replace(config, start="stage_c", sigma_start=9.0), trained=True
    )
    assert asked.schedule.start == 9.0


def test_trained_models_are_ranked_by_ptm(hairpin, embedded, weights, monkeypatch, caplog, ensemble_sample):
    bent = ensemble_sample.xyz_LA3 * np.float32(1.2)
    fixed = [ensemble_sample, dataclasses.replace(ensemble_sample, seed=1, xyz_LA3=bent, terms={"link": -9e9})]
    monkeypatch.setattr(LearnedSampling, "batch", lambda self, seeds: [fixed[k] for k in seeds])
    config = settings(weights, "public", models=2)
    ensemble = sample_ensemble(hairpin.sequence, embedded["public"], config)
    assert [model.ranking_score for model in ensemble.models] == [model.ptm for model in ensemble.models]
    assert ensemble.models[0].ptm > ensemble.models[1].ptm
    assert ensemble.provenance.method == "diffusion, profile nano"
    assert not ensemble.provenance.untrained
    assert "UNTRAINED" not in caplog.text


def test_broken_samples_are_replaced_and_an_ensemble_without_a_whole_one_is_refused(
    hairpin, untrained, monkeypatch, caplog, ensemble_sample
):
    torn = dataclasses.replace(
        ensemble_sample.report, bonds=dataclasses.replace(ensemble_sample.report.bonds, breaks=3)
    )
    asked = []

    def batch(self, seeds: range):
        asked.append(list(seeds))
        return [
            dataclasses.replace(ensemble_sample, seed=k, report=torn if k in broken else ensemble_sample.report)
            for k in seeds
        ]

    monkeypatch.setattr(diffusion_backend.LearnedSampling, "batch", batch)
    config = StageDConfig(backend="diffusion", untrained_profile="nano", models=2)
    broken = {1}
    with caplog.at_level(logging.INFO):
        ensemble = sample_ensemble(hairpin.sequence, untrained, config)
    assert sorted(model.seed for model in ensemble.models) == [0, 2]
    assert asked == [[0, 1], [2]]
    assert "the sample of seed 1 is left out, it has 3 chain breaks" in caplog.text
    broken = set(range(20))
    with pytest.raises(PredictionError, match=r"none of 6 samples is a whole molecule.*start=stage_c"):
        sample_ensemble(hairpin.sequence, untrained, config)
    raw = dataclasses.replace(config, refine=False)
    assert len(sample_ensemble(hairpin.sequence, untrained, raw).models) == 2  # the network's atoms as they are


def test_a_molecule_that_refinement_had_to_make_up_is_named(untrained, caplog):
    config = StageDConfig(
        backend="diffusion", untrained_profile="nano", **GUIDED | {"guidance": False, "refine_iterations": 2}
    )
    sampling(untrained, config).batch(range(1))
    assert "the network's atoms of seed 0 were no molecule: refinement moved them by" in caplog.text


def test_records_of_another_rna_are_refused(hairpin, untrained):
    other = RnaSequence(id="probe", sequence="GGGCUUCGGCCU")
    with pytest.raises(ContractError, match="another RNA"):
        sample_ensemble(other, untrained, StageDConfig(backend="diffusion", untrained_profile="nano"))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"backend": "diffusion"}, r"stage_d\.backend: diffusion needs either stage_d\.weights"),
        ({"backend": "diffusion", "weights": "a", "untrained_profile": "nano"}, "'a' and 'nano'"),
        ({"weights": "a", "untrained_profile": "nano"}, "name one of them"),
        ({"confidence": "heuristic", "weights": "a"}, "heuristic runs no network"),
        ({"start": "middle"}, r"stage_d\.start: 'middle'"),
        ({"samples_at_once": 0}, "samples_at_once"),
        ({"diffusion_steps": 0}, "diffusion_steps"),
        ({"guidance_below": -1.0}, "guidance_below"),
        ({"step_scale": 0.0}, "step_scale"),
        ({"noise_min": 200.0}, "noise_min"),
        ({"noise_scale": float("nan")}, "noise_scale"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(changes, named):
    with pytest.raises(ConfigError, match=named):
        StageDConfig(**changes)


def test_a_device_that_is_not_there_is_refused(untrained, hairpin):
    config = StageDConfig(backend="diffusion", untrained_profile="nano", device="cuda:77")
    with pytest.raises(ConfigError, match=r"stage_d\.device"):
        sample_ensemble(hairpin.sequence, untrained, config)
