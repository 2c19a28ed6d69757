"""Training sees of stages A, B and C what the networks see at prediction, cut to the crop and padded in the batch."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from rna_predict.contracts import RnaSequence
from rna_predict.data import stage_tensors
from rna_predict.data.dataset import open_dataset
from rna_predict.data.examples import collate, make_example
from rna_predict.data.stage_results import StageResultsStore, StageSettings
from rna_predict.errors import ContractError
from rna_predict.nn.stage_inputs import KINDS, StageInputProjection, StageInputs, TemplateInputs
from rna_predict.stage_b_torsion.config import StageBConfig
from rna_predict.stage_b_torsion.stage import predict_torsions
from rna_predict.stage_d_diffusion.config import StageDConfig
from rna_predict.stage_d_diffusion.inputs import StageDInputs
from rna_predict.stage_d_diffusion.network_inputs import stage_inputs_of
from rna_predict.stage_d_diffusion.stage import sample_ensemble

Z = 5
CROP = np.array([0, 1, 2, 5, 6, 7, 11, 12, 18])
"""Residue 0 loses its partner 13; the pairs 1-12 and 2-11 stay."""


@pytest.fixture(scope="module")
def results(hairpin, quick_stages, tmp_path_factory):
    """Of the hairpin with ViennaRNA's pairs: probabilities between 0 and 1, another matching."""
    return StageResultsStore(tmp_path_factory.mktemp("store"), quick_stages).get(hairpin, "predicted")


@pytest.fixture
def failed(hairpin_results):
    return dataclasses.replace(hairpin_results, coordinates=None, failure="no whole chain")


def leaves(part, name=""):
    """Every tensor by its dotted name."""
    if part is None:
        return {}
    if isinstance(part, torch.Tensor):
        return {name: part}
    parts = (leaves(getattr(part, one.name), f"{name}.{one.name}") for one in dataclasses.fields(part))
    return {key: value for found in parts for key, value in found.items()}


def assert_same(first, second):
    one, other = leaves(first), leaves(second)
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert value.dtype == other[name].dtype
        assert torch.equal(value, other[name]), name


def drawn(kinds=KINDS):
    """A projection none of whose weights is zero."""
    made, generator = StageInputProjection(Z, kinds), torch.Generator().manual_seed(1)
    for weight in made.parameters():
        weight.data = torch.randn(weight.shape, generator=generator)
    return made


def added(stages, length, kinds=KINDS):
    return drawn(kinds)(torch.zeros(1, length, length, Z), stages)[0]


def with_noise_where_padded(stages, lengths):
    """Every number beside a shorter RNA is drawn; masks stay."""
    generator = torch.Generator().manual_seed(2)

    def noisy(name, value):
        if value.dtype == torch.bool:
            return value
        real_BL = torch.arange(value.shape[1]) < torch.tensor(lengths)[:, None]
        real = real_BL[:, :, None] & real_BL[:, None] if name.endswith("BLL") else real_BL
        noise = 30 * torch.rand(value.shape, generator=generator)
        return torch.where(real.view(*real.shape, *[1] * (value.dim() - real.dim())), value, noise)

    def changed(name, part):
        if part is None or isinstance(part, torch.Tensor):
            return None if part is None else noisy(name, part)
        return type(part)(**{one.name: changed(one.name, getattr(part, one.name)) for one in dataclasses.fields(part)})

    return changed("", stages)


def test_the_networks_get_in_training_what_they_get_at_prediction(hairpin, hairpin_results, monkeypatch):
    seen = []
    forward = StageInputProjection.forward

    def watched(self, pair_BLLZ, stage_inputs):
        seen.append((self.kinds, stage_inputs))
        return forward(self, pair_BLLZ, stage_inputs)

    monkeypatch.setattr(StageInputProjection, "forward", watched)
    sequence = RnaSequence(id=hairpin.id, sequence=hairpin.sequence)
    settings = StageBConfig(backend="trunk", untrained_profile="nano", cycles=1, device="cpu")
    torsions, embeddings = predict_torsions(sequence, hairpin_results.adjacency, settings)
    inputs = StageDInputs(
        adjacency=hairpin_results.adjacency,
        torsions=torsions,
        embeddings=embeddings,
        coordinates=hairpin_results.coordinates,
    )
    sampling = StageDConfig(
        backend="diffusion", untrained_profile="nano", diffusion_steps=2, models=1, start="noise", device="cpu"
    )
    sample_ensemble(sequence, inputs, dataclasses.replace(sampling, guidance=False, refine=False))
    stages = make_example(hairpin, seed=0, stages=hairpin_results).stages
    assert torsions.digest() == hairpin_results.torsions.digest()
    assert [kinds for kinds, _ in seen] == [("adjacency", "templates"), ("adjacency", "torsions", "coordinates")]
    for kinds, at_prediction in seen:
        assert_same(stages.only(kinds), at_prediction)


def test_a_real_chain_built_by_stage_c_as_at_prediction(small, tmp_path):
    chain = open_dataset(small.folder).get("17ra_A")
    found = StageResultsStore(tmp_path, StageSettings()).get(chain, "native")
    assert found.coordinates.provenance.method == "assembly"
    sequence = RnaSequence(id=chain.id, sequence=chain.sequence)
    _, embeddings = predict_torsions(sequence, found.adjacency, StageBConfig(backend="prior-table"))
    inputs = StageDInputs(
        adjacency=found.adjacency, torsions=found.torsions, embeddings=embeddings, coordinates=found.coordinates
    )
    stages = make_example(chain, seed=0, stages=found).stages
    assert_same(stages, stage_inputs_of(inputs))
    index_L = np.arange(4, 19)
    assert_same(make_example(chain, index_L, seed=0, stages=found).stages, stage_tensors.cut(stages, index_L))


def test_the_inputs_of_a_crop_are_those_at_its_places(hairpin, results):
    whole = make_example(hairpin, seed=0, stages=results).stages
    crop = make_example(hairpin, CROP, seed=0, stages=results).stages
    rows, columns = np.ix_(CROP, CROP)
    assert np.array_equal(crop.pair_probability_BLL[0], results.adjacency.probability_LL[rows, columns])
    assert 0 < crop.pair_probability_BLL.max() < 1
    assert np.array_equal(crop.torsions.mask_BL8[0, :, :7], results.torsions.mask_L7[CROP])
    assert np.array_equal(crop.torsions.concentration_BL8[0, :, 7], results.torsions.pucker_concentration_L[CROP])
    assert torch.equal(crop.torsions.sincos_BL82, whole.torsions.sincos_BL82[:, CROP])
    assert torch.equal(crop.coordinates.xyz_BL33, whole.coordinates.xyz_BL33[:, CROP])
    assert crop.coordinates.mask_BL.shape == (1, 9)
    part = drawn()(torch.zeros(1, 9, 9, Z), crop)[0]
    torch.testing.assert_close(part, added(whole, hairpin.length)[CROP][:, CROP])


def test_a_pair_stays_in_the_crop_when_both_ends_do(hairpin, hairpin_results):
    crop = make_example(hairpin, CROP, seed=0, stages=hairpin_results).stages
    expected = [[0, 1, 7], [0, 2, 6], [0, 6, 2], [0, 7, 1]]
    assert crop.partner_BLL.nonzero().tolist() == expected
    assert crop.pair_probability_BLL.nonzero().tolist() == expected


def test_a_padded_batch_is_its_examples_one_by_one(hairpin, results, hairpin_results):
    singles = [
        make_example(hairpin, CROP, seed=0, stages=results),
        make_example(hairpin, seed=0, stages=hairpin_results),
    ]
    stages = collate(singles).stages
    assert not any(value[0, 9:].any() for value in leaves(stages).values()), "zeros and False where padded"
    noisy = with_noise_where_padded(stages, [9, 20])
    assert not torch.equal(noisy.torsions.sincos_BL82, stages.torsions.sincos_BL82)
    together = drawn()(torch.zeros(2, 20, 20, Z), noisy)
    for b, one in enumerate(singles):
        length = one.point_BL3.shape[1]
        torch.testing.assert_close(together[b, :length, :length], added(one.stages, length))
        assert together[b].abs().max() > 1


def test_what_one_example_lacks_another_may_have(hairpin, results, failed):
    without = dataclasses.replace(results, coordinates=None)
    singles = [
        make_example(hairpin, CROP, seed=0, stages=results),
        make_example(hairpin, seed=0, stages=without),
        make_example(hairpin, CROP, seed=0),
        make_example(hairpin, seed=0, stages=failed),
    ]
    assert singles[1].stages.present() == ("adjacency", "torsions")
    assert singles[2].stages == StageInputs()
    stages = collate(singles).stages
    assert stages.coordinates.mask_BL.sum(1).tolist() == [9, 0, 0, 0]
    assert stages.torsions.mask_BL8.any(-1).sum(1).tolist() == [9, 20, 0, 20]
    noisy = with_noise_where_padded(stages, [9, 20, 9, 20])
    together = drawn()(torch.zeros(4, 20, 20, Z), noisy)
    for b, one in enumerate(singles):
        length = one.point_BL3.shape[1]
        torch.testing.assert_close(together[b, :length, :length], added(one.stages, length))
    assert collate([singles[2], singles[2]]).stages == StageInputs()
    assert collate([singles[1], singles[2]]).stages.coordinates is None


def test_a_chain_that_stage_c_cannot_build_has_masked_coordinates(hairpin, failed, hairpin_results):
    stages = make_example(hairpin, seed=0, stages=failed).stages
    assert stages.present() == ("adjacency", "torsions", "coordinates")
    assert not stages.coordinates.mask_BL.any()
    bare = dataclasses.replace(stages, coordinates=None)
    assert torch.equal(added(stages, 20), added(bare, 20))
    built = make_example(hairpin, seed=0, stages=hairpin_results).stages
    assert (added(built, 20) - added(stages, 20)).abs().max() > 0.1
    network = drawn(("coordinates",))
    network(torch.zeros(1, 20, 20, Z), stages.only(("coordinates",))).sum().backward()
    assert not network.coordinates.weight.grad.any(), "the weights take part, which processes that share them rely on"


def test_templates_are_cut_and_padded_as_well():
    generator = torch.Generator().manual_seed(0)

    def threaded(count, length):
        xyz_BTL33 = torch.randn(1, count, length, 3, 3, generator=generator)
        return StageInputs(templates=TemplateInputs(xyz_BTL33=xyz_BTL33, mask_BTL=torch.ones(1, count, length).bool()))

    first, second = threaded(3, 4), threaded(1, 6)
    part = stage_tensors.cut(first, np.array([1, 3])).templates
    assert torch.equal(part.xyz_BTL33, first.templates.xyz_BTL33[:, :, [1, 3]])
    both = stage_tensors.collate([first, second, StageInputs()], [1, 1, 2], 6).templates
    assert both.mask_BTL.sum((1, 2)).tolist() == [12, 6, 0, 0]
    assert torch.equal(both.xyz_BTL33[1, :1], second.templates.xyz_BTL33[0])


def test_an_example_moves_with_its_stages(hairpin, results):
    example = make_example(hairpin, seed=0, stages=results).to("meta")
    assert {value.device.type for value in leaves(example.stages).values()} == {"meta"}
    assert len(leaves(example.stages)) == 7


def test_results_of_another_chain_or_of_a_crop_are_refused(hairpin, results, made_chain):
    for chain in (made_chain(20, seed=3), dataclasses.replace(hairpin, sequence="C" + hairpin.sequence[1:])):
        with pytest.raises(ContractError, match="another RNA"):
            make_example(chain, seed=0, stages=results)


def test_angles_enter_as_sine_and_cosine(hairpin, results):
    stages = make_example(hairpin, seed=0, stages=results).stages
    delta = float(results.torsions.angle_L7[4, 3])
    assert stages.torsions.sincos_BL82[0, 4, 3].tolist() == pytest.approx([math.sin(delta), math.cos(delta)])
    phase = float(results.torsions.pucker_phase_L[4])
    assert stages.torsions.sincos_BL82[0, 4, 7].tolist() == pytest.approx([math.sin(phase), math.cos(phase)])
