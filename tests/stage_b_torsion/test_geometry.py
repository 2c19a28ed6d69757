"""The geometry network: what its distances hang on, what its loss pays for, and what stage B makes of it."""

import dataclasses
import logging
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from rna_predict.contracts import EDGES, TORSION_FIELDS, Adjacency
from rna_predict.errors import ConfigError, InputError, PredictionError, WeightsError
from rna_predict.nn.profiles import PROFILES
from rna_predict.nn.weights import WeightsHeader, open_network, save_weights
from rna_predict.stage_b_torsion.config import StageBConfig
from rna_predict.stage_b_torsion.geometry_features import CODE_SIZES, GeometryFeatures, geometry_features
from rna_predict.stage_b_torsion.geometry_loss import NEAR, blurred, distance_loss
from rna_predict.stage_b_torsion.geometry_network import GEOMETRY_ATOMS, GeometryModel, distance_centres
from rna_predict.stage_b_torsion.stage import predict_torsions

HAIRPIN = ("GGGCUUCGGCCC", "((((....))))")
LONGER = ("GGACGAUACGUCUUAGACGUCGCC", "((.(((..((((...)))))))))")
GENERATOR = torch.Generator().manual_seed(5)


@pytest.fixture(scope="module")
def tensors() -> dict[str, torch.Tensor]:
    """Nano's network as training leaves it: nothing is zero any more."""
    state = open_network(GeometryModel, untrained_profile="nano").module.state_dict()
    generator = torch.Generator().manual_seed(1)
    return {key: value + 0.1 * torch.randn(value.shape, generator=generator) for key, value in state.items()}


@pytest.fixture(scope="module")
def model(tensors) -> GeometryModel:
    module = GeometryModel(PROFILES["nano"])
    module.load_state_dict(tensors)
    return module.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def features(make_input):
    """`features(sequence, dot_bracket)`."""
    return lambda *rna: geometry_features(make_input(*rna)[1])


@pytest.fixture
def weights(tmp_path, tensors):
    """`weights(**changes)` writes a file of the network, called trained."""

    def write(**changes) -> str:
        header = WeightsHeader(architecture=PROFILES["nano"], trained=True, source="a test")
        save_weights(tmp_path / "w.safetensors", {**tensors, **changes}, header)
        return str(tmp_path / "w.safetensors")

    return write


def config_of(**changes) -> StageBConfig:
    return StageBConfig(**{"backend": "geometry", "device": "cpu"} | changes)


def padded_with_noise(features: GeometryFeatures, length: int) -> GeometryFeatures:
    """Residues beyond the chain hold numbers like any other; the mask alone says that they are none."""
    own = features.mask_BL.shape[1]
    single = torch.randn(1, length, features.single_BLF.shape[-1], generator=GENERATOR)
    pair = torch.randn(1, length, length, features.pair_BLLF.shape[-1], generator=GENERATOR)
    sizes = torch.tensor(list(CODE_SIZES.values()))
    code = (torch.rand(1, length, length, len(sizes), generator=GENERATOR) * sizes).to(torch.uint8)
    single[:, :own], pair[:, :own, :own], code[:, :own, :own] = (
        features.single_BLF,
        features.pair_BLLF,
        features.code_BLLK,
    )
    return GeometryFeatures(
        single_BLF=single, pair_BLLF=pair, code_BLLK=code, mask_BL=(torch.arange(length) < own)[None]
    )


def both(first: GeometryFeatures, second: GeometryFeatures) -> GeometryFeatures:
    names = [one.name for one in dataclasses.fields(first)]
    return GeometryFeatures(**{name: torch.cat([getattr(first, name), getattr(second, name)]) for name in names})


# The network.


def test_distances_are_the_same_in_both_directions_and_not_all_the_same(model, features):
    found = model(features(*LONGER)).distance_BGLLD
    assert found.shape == (1, 3, 24, 24, 48)
    torch.testing.assert_close(found, found.transpose(2, 3), atol=1e-5, rtol=0)
    assert found.std(dim=(2, 3)).min() > 1e-2
    assert (found[:, 0] - found[:, 1]).abs().mean() > 1e-2


def test_padding_changes_nothing(model, features):
    short, long = features(*HAIRPIN), features(*LONGER)
    batch = both(padded_with_noise(short, 24), long)
    found = model(batch)
    for row, alone in enumerate((model(short), model(long))):
        length = alone.single_BLS.shape[1]
        for name, value in (
            ("distances", found.distance_BGLLD[row, :, :length, :length] - alone.distance_BGLLD[0]),
            ("torsions", found.torsions.vector_BL82[row, :length] - alone.torsions.vector_BL82[0]),
            ("single", found.single_BLS[row, :length] - alone.single_BLS[0]),
            ("pairs", found.pair_BLLZ[row, :length, :length] - alone.pair_BLLZ[0]),
        ):
            assert value.abs().max() < 1e-5, name
    unmasked = model(dataclasses.replace(batch, mask_BL=torch.ones_like(batch.mask_BL)))
    change = unmasked.distance_BGLLD[0, :, :12, :12] - found.distance_BGLLD[0, :, :12, :12]
    assert change.abs().max() > 1e-2, "the padding would be felt"


def test_another_pair_changes_distances_and_torsions(model, features):
    base = model(features(*HAIRPIN))
    opened = model(features(HAIRPIN[0], "(((......)))"))
    change_LL = (opened.distance_BGLLD - base.distance_BGLLD).abs().amax(dim=(0, 1, 4))
    assert change_LL[3, 8] > 1e-2
    assert change_LL[5, 6] > 1e-3, "residues around it notice"
    assert (opened.torsions.vector_BL82 - base.torsions.vector_BL82).abs().max() > 1e-3


def test_a_letter_and_a_weaker_probability_are_felt(model, make_input):
    base = make_input(*HAIRPIN)[1]
    weaker = dataclasses.replace(base, probability_LL=base.probability_LL * np.float32(0.5))
    letter = make_input("GGGCUACGGCCC", HAIRPIN[1])[1]
    expected = model(geometry_features(base)).distance_BGLLD
    for other in (weaker, letter):
        assert (model(geometry_features(other)).distance_BGLLD - expected).abs().max() > 1e-3


def test_residues_that_are_missing_in_between_stand_apart_and_cuts_keep_what_the_whole_says(make_input):
    adjacency: Adjacency = make_input(*HAIRPIN)[1]
    code = list(CODE_SIZES).index("separation")
    whole = geometry_features(adjacency)
    assert whole.code_BLLK[0, 3, [0, 3, 4, 11], code].tolist() == [29, 32, 33, 40]
    number_L = np.array([1, 2, 3, 4, 9, 10, 11, 12, 13, 14, 15, 90])
    apart = geometry_features(adjacency, number_L)
    assert apart.code_BLLK[0, 3, [0, 3, 4, 11], code].tolist() == [29, 32, 37, 64]
    others = [place for place in range(len(CODE_SIZES)) if place != code]
    assert torch.equal(apart.code_BLLK[..., others], whole.code_BLLK[..., others])
    index = np.array([0, 1, 5, 11])
    cut = whole.cut(index)
    assert torch.equal(cut.pair_BLLF, whole.pair_BLLF[:, [[0], [1], [5], [11]], [0, 1, 5, 11]])
    assert cut.code_BLLK[0, 0, 3].tolist() == whole.code_BLLK[0, 0, 11].tolist(), "0 and 11 are a pair still"


def test_codes_stay_in_their_tables(make_input):
    stem = ("GC" * 40 + "GAAA" + "GC" * 40, "(" * 80 + "...." + ")" * 80)
    code_LLK = geometry_features(make_input(*stem)[1]).code_BLLK[0]
    assert (code_LLK.amax((0, 1)) < torch.tensor(list(CODE_SIZES.values()))).all()


def test_only_training_drops_channels(model, features):
    given = features(*HAIRPIN)
    assert torch.equal(model(given).distance_BGLLD, model(given).distance_BGLLD)
    torch.manual_seed(0)
    model.train()
    try:
        assert (model(given).distance_BGLLD - model(given).distance_BGLLD).abs().max() > 1e-3
    finally:
        model.eval()


# The loss.


def chain_of_points(length: int, seed: int = 0, atoms: int = 3) -> torch.Tensor:
    """A walk of about 6 Å a step."""
    steps = torch.randn(1, atoms, length, 3, generator=torch.Generator().manual_seed(seed))
    return 6 * torch.nn.functional.normalize(steps, dim=-1).cumsum(2)


def test_bins_are_those_of_the_record():
    centres = distance_centres()
    assert len(centres) == len(EDGES["wide"]) + 1 == 48
    assert centres[[0, 1, 46, 47]].tolist() == [3.5, 4.5, 49.5, 50.5]


def test_a_target_sums_to_one_and_peaks_at_its_distance():
    distance = torch.tensor([3.5, 5.4, 10.6, 17.2, 33.9, 49.6, 50.5, 80.0])
    target = blurred(distance)
    torch.testing.assert_close(target.sum(-1), torch.ones(8))
    peak = distance_centres()[target.argmax(-1)]
    assert ((peak - distance).abs()[:-1] <= 0.5).all()
    assert peak[-1] == 50.5
    inner = (target @ distance_centres())[1:5]
    torch.testing.assert_close(inner, distance[1:5], atol=0.02, rtol=0)
    spread = ((distance_centres() - inner[:, None]).square() * target[1:5]).sum(-1).sqrt()
    torch.testing.assert_close(spread, torch.full((4,), 0.7), atol=0.02, rtol=0)


def test_the_loss_is_zero_at_the_targets_and_by_hand_elsewhere():
    point = chain_of_points(9)
    everywhere = torch.ones(1, 3, 9, dtype=torch.bool)
    distance = torch.cdist(point, point)
    right = blurred(distance.flatten()).clamp(min=1e-30).log().view(1, 3, 9, 9, 48)
    assert distance_loss(right + 3.0, point, everywhere).item() == pytest.approx(0.0, abs=1e-4)
    total = weight = 0.0
    for kind in range(3):
        for i in range(9):
            for j in range(i + 1, 9):
                d = float((point[0, kind, i] - point[0, kind, j]).norm())
                target = np.exp(-0.5 * ((min(d, 50.5) - (3.5 + np.arange(48))) / 0.7) ** 2)
                target /= target.sum()
                own = 1 / (1 + (d / NEAR) ** 2)
                total += own * (math.log(48) + float((target * np.log(np.maximum(target, 1e-300))).sum()))
                weight += own
    flat = distance_loss(torch.zeros(1, 3, 9, 9, 48), point, everywhere)
    assert flat.item() == pytest.approx(total / weight, rel=1e-4)


def test_near_pairs_weigh_more():
    """Three atoms on a line: one pair at 5 Å, two at 40 and 45, each wrong by itself and by as much."""
    point = torch.tensor([[[[0.0, 0, 0], [5.0, 0, 0], [45.0, 0, 0]]]])
    mask = torch.ones(1, 1, 3, dtype=torch.bool)
    right = blurred(torch.cdist(point, point).flatten()).clamp(min=1e-30).log().view(1, 1, 3, 3, 48)

    def wrong(i: int, j: int) -> float:
        logits = right.clone()
        logits[0, 0, i, j] = 0
        return distance_loss(logits, point, mask).item()

    assert wrong(0, 1) / wrong(1, 2) == pytest.approx((1 + (40 / 20) ** 2) / (1 + (5 / 20) ** 2), rel=0.02)


def test_atoms_that_were_not_seen_may_be_anything_and_get_no_gradient():
    generator = torch.Generator().manual_seed(2)
    point, mask = chain_of_points(8).repeat(2, 1, 1, 1), torch.ones(2, 3, 8, dtype=torch.bool)
    mask[0, :, 3] = mask[1, 0] = mask[1, 2, 5:] = False
    logits = torch.randn(2, 3, 8, 8, 48, generator=generator)
    clean = distance_loss(logits, point, mask)
    logits = torch.where((mask[..., None] & mask[:, :, None])[..., None], logits, torch.nan).requires_grad_()
    found = distance_loss(logits, torch.where(mask[..., None], point, torch.nan), mask)
    assert found.item() == clean.item()
    assert found.isfinite()
    found.backward()
    there = mask[..., None] & mask[:, :, None] & torch.ones(8, 8, dtype=torch.bool).triu(1)
    assert (logits.grad[~there] == 0).all()
    assert (logits.grad[there].abs().amax(-1) > 0).all()


def test_a_batch_weighs_each_rna_as_alone():
    first, second = chain_of_points(5, 1), chain_of_points(9, 2)
    logits = torch.randn(2, 3, 9, 9, 48, generator=torch.Generator().manual_seed(3))
    mask = torch.ones(2, 3, 9, dtype=torch.bool)
    mask[0, :, 5:] = False
    point = torch.cat([torch.cat([first, torch.full((1, 3, 4, 3), 7.0)], dim=2), second])
    alone = [
        distance_loss(logits[:1, :, :5, :5], first, mask[:1, :, :5]),
        distance_loss(logits[1:], second, mask[1:]),
    ]
    assert distance_loss(logits, point, mask).item() == pytest.approx(sum(map(float, alone)) / 2, rel=1e-6)


@pytest.mark.parametrize("seen", [0, 1])
def test_an_rna_without_a_distance_is_refused(seen):
    mask = torch.ones(2, 3, 6, dtype=torch.bool)
    mask[1] = False
    mask[1, :, :seen] = True
    with pytest.raises(InputError, match=r"distance loss: RNA \[2\] of the batch has no pair of residues"):
        distance_loss(torch.zeros(2, 3, 6, 6, 48), torch.zeros(2, 3, 6, 3), mask)


# The backend.


def test_records_hold_what_the_network_says(model, weights, make_input):
    rna = make_input(*HAIRPIN)
    torsions, embeddings = predict_torsions(*rna, config_of(weights=weights(), torsions="head"))
    said = model(geometry_features(rna[1]))
    assert (embeddings.distogram_atoms, embeddings.distogram_bins) == (["P", "C1'", "N1/N3"], "wide")
    assert embeddings.distogram_atoms == list(GEOMETRY_ATOMS)
    assert embeddings.distogram_GLLB.shape == (3, 12, 12, 48)
    np.testing.assert_allclose(np.exp(embeddings.distogram_GLLB).sum(-1), 1, atol=1e-5)
    expected = said.distance_BGLLD[0].log_softmax(-1).numpy()
    np.testing.assert_allclose(embeddings.distogram_GLLB, expected, atol=1e-5)
    np.testing.assert_allclose(embeddings.single_LS, said.single_BLS[0].numpy(), atol=1e-5)
    np.testing.assert_allclose(embeddings.pair_LLZ, said.pair_BLLZ[0].numpy(), atol=1e-5)
    assert embeddings.inputs_LI.shape == (12, 0)
    slots = [embeddings.distogram_slots(kind).tolist() for kind in range(3)]
    assert slots[0] == [0] * 12
    assert slots[1] == [11] * 12
    assert slots[2][:5] == [18] * 3 + [15] * 2, "N1 of G, N3 of C and U"
    angle_L8 = said.torsions.angle_BL8()[0].numpy()
    mask = torsions.mask_L7
    np.testing.assert_allclose(torsions.angle_L7[mask], angle_L8[:, :7][mask], atol=1e-5)
    np.testing.assert_allclose(torsions.pucker_phase_L, angle_L8[:, 7], atol=1e-5)
    assert (mask.sum(), mask[0, 0], mask[-1, 4:6].any()) == (7 * 12 - 3, False, False)
    for record in (torsions, embeddings):
        assert record.provenance.inputs == {"a_adjacency": rna[1].digest()}
        assert record.provenance.method.endswith("geometry network, profile nano")
        assert record.provenance.weights == open_network(GeometryModel, weights=weights()).header.sha256


def test_the_prior_table_s_torsions_stay_where_they_are_asked_for(weights, make_input):
    rna = make_input(*HAIRPIN)
    torsions = predict_torsions(*rna, config_of(weights=weights(), torsions="prior-table"))[0]
    prior = predict_torsions(*rna, StageBConfig(backend="prior-table", torsions="prior-table"))[0]
    np.testing.assert_array_equal(torsions.angle_L7, prior.angle_L7)
    np.testing.assert_array_equal(torsions.concentration_L7, prior.concentration_L7)
    assert (torsions.provenance.method, torsions.provenance.weights) == ("prior-table", "none")


def test_starting_values_know_nothing_and_say_so(make_input, caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("rna_predict"), "propagate", True)
    with caplog.at_level(logging.WARNING):
        torsions, embeddings = predict_torsions(
            *make_input(*HAIRPIN), config_of(untrained_profile="nano", torsions="head")
        )
    np.testing.assert_allclose(embeddings.distogram_GLLB, -math.log(48), atol=1e-5)
    for text in (caplog.text, torsions.provenance.method, embeddings.provenance.method):
        assert "UNTRAINED random weights" in text


@pytest.mark.parametrize("sequence", ["G", "AC"])
def test_the_shortest_rnas_go_through(make_input, sequence):
    _, embeddings = predict_torsions(
        *make_input(sequence, "." * len(sequence)), config_of(untrained_profile="nano", torsions="head")
    )
    assert embeddings.distogram_GLLB.shape == (3, len(sequence), len(sequence), 48)


def test_the_carried_network_knows_a_form(make_input):
    """Within a stem of eight pairs; lengths of a Watson-Crick pair and of steps in A-RNA, δ of C3'-endo riboses."""
    rna = make_input("GGGCACGCUUCGGCGUGCCC", "((((((((....))))))))")
    torsions, embeddings = predict_torsions(*rna, config_of(torsions="head"))
    expected_GLL = np.exp(embeddings.distogram_GLLB) @ distance_centres().numpy()
    phosphate, sugar, base = expected_GLL
    inner = np.arange(1, 7)
    np.testing.assert_allclose(sugar[inner, 19 - inner], 10.6, atol=0.5)
    np.testing.assert_allclose(sugar[inner, inner + 1], 5.5, atol=0.5)
    np.testing.assert_allclose(phosphate[inner, inner + 1], 5.9, atol=0.6)
    assert (embeddings.distogram_GLLB[2, inner, 19 - inner].argmax(-1) == 0).all(), "N1-N3 is 2.9 Å"
    assert (base[inner, 19 - inner] < 4).all()
    delta = np.degrees(torsions.angle_L7[:, TORSION_FIELDS.index("delta")])
    np.testing.assert_allclose(delta[inner], 81, atol=10)
    assert "UNTRAINED" not in embeddings.provenance.method


def test_what_is_too_long_takes_the_prior_table_and_says_so(make_input, caplog, monkeypatch):
    rna = make_input(*HAIRPIN)
    config = config_of(untrained_profile="nano", torsions="head", geometry_max_length=11)
    monkeypatch.setattr(logging.getLogger("rna_predict"), "propagate", True)
    with caplog.at_level(logging.WARNING):
        torsions, embeddings = predict_torsions(*rna, config)
    assert "probe: 12 nt is longer than stage_b.geometry_max_length 11: the prior table gives" in caplog.text
    prior = predict_torsions(*rna, StageBConfig(backend="prior-table", torsions="prior-table"))
    np.testing.assert_array_equal(embeddings.distogram_GLLB, prior[1].distogram_GLLB)
    np.testing.assert_array_equal(torsions.angle_L7, prior[0].angle_L7)
    assert (torsions.provenance.method, embeddings.provenance.method) == ("prior-table", "prior-table")
    assert embeddings.provenance.weights == "none"
    caplog.clear()
    assert predict_torsions(*rna, dataclasses.replace(config, geometry_max_length=12))[1].distogram_bins == "wide"
    assert "longer" not in caplog.text


def test_damaged_weights_are_refused(weights, tmp_path, make_input, tensors):
    rna = make_input(*HAIRPIN)
    huge = torch.full_like(tensors["geometry.pair_in.weight"], 3e38)
    with pytest.raises(PredictionError, match="probe: the geometry network gives NaN or infinity"):
        predict_torsions(*rna, config_of(weights=weights(**{"geometry.pair_in.weight": huge})))
    whole = weights()
    (tmp_path / "cut.safetensors").write_bytes(Path(whole).read_bytes()[:-100])
    with pytest.raises(WeightsError, match=r"cut\.safetensors"):
        predict_torsions(*rna, config_of(weights=str(tmp_path / "cut.safetensors")))
    header = WeightsHeader(architecture=PROFILES["small"], trained=True, source="a test")
    save_weights(tmp_path / "other.safetensors", tensors, header)
    with pytest.raises(WeightsError, match=r"other\.safetensors"):
        predict_torsions(*rna, config_of(weights=str(tmp_path / "other.safetensors")))
    with pytest.raises(WeightsError, match="nowhere"):
        predict_torsions(*rna, config_of(weights=str(tmp_path / "nowhere.safetensors")))


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"weights": "w", "untrained_profile": "nano"}, r"not both; found 'w' and 'nano'"),
        ({"cycles": 2}, r"stage_b\.cycles: 2 is given, but the geometry network has no cycles"),
        ({"geometry_max_length": -1}, r"stage_b\.geometry_max_length: -1 must not be negative"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(settings, named):
    with pytest.raises(ConfigError, match=named):
        config_of(**settings)
