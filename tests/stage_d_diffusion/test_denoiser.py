"""The denoiser: its preconditioning, what is made once per RNA, and what must not change its output."""

from dataclasses import fields, replace

import pytest
import torch

from rna_predict.cli.parity_inputs import NANO, Given, draw, draw_integers, fill
from rna_predict.nn import rows
from rna_predict.nn.features import Features, Representations
from rna_predict.nn.featurise import collate, featurise
from rna_predict.stage_d_diffusion import denoiser
from rna_predict.stage_d_diffusion.denoiser import DiffusionModule

SEQUENCES = ("GGCAUCUUCGGAUGC", "GCGAAAGUC")
SIGMA = torch.tensor([[40.0, 3.0, 0.2], [7.0, 90.0, 1.0]])


def representations_of(features: Features, name: str) -> Representations:
    drawn = Given(NANO, features).representations
    return Representations(**{f.name: draw(name + f.name, *getattr(drawn, f.name).shape) for f in fields(drawn)})


def merged(each: list[Representations]) -> Representations:
    """Representations of two RNAs in one batch, noise in the padding."""
    values = {}
    for field in fields(Representations):
        parts = [getattr(one, field.name) for one in each]
        whole = 5 * draw(field.name, len(parts), *parts[0].shape[1:])
        for row, part in zip(whole, parts, strict=True):
            row[tuple(slice(size) for size in part.shape[1:])] = part[0]
        values[field.name] = whole
    return Representations(**values)


@pytest.fixture(scope="module")
def network() -> DiffusionModule:
    module = DiffusionModule(NANO)
    fill(module)
    return module.eval()


@pytest.fixture(scope="module")
def singles():
    """Features and representations of each RNA."""
    features = [featurise(sequence, seed=3) for sequence in SEQUENCES]
    return [(one, representations_of(one, str(n))) for n, one in enumerate(features)]


@pytest.fixture(scope="module")
def noisy(singles):
    """Three noisy samples of each RNA."""
    return [20 * draw(f"noisy {n}", 1, 3, one.atom_mask_BA.shape[1], 3) for n, (one, _) in enumerate(singles)]


def largest(difference: torch.Tensor) -> float:
    return float(difference.detach().abs().max())


@torch.no_grad()
def test_the_network_adds_to_the_preconditioned_coordinates(network, singles, noisy):
    features, representations = singles[0]
    sigma = SIGMA[:1]
    conditions = network.conditions(features, representations)
    scaled = noisy[0] / (sigma**2 + 256).sqrt()[..., None, None]
    update = network._network(scaled, sigma, features, conditions)
    skip, out = 256 / (sigma**2 + 256), 16 * sigma / (sigma**2 + 256).sqrt()
    expected = skip[..., None, None] * noisy[0] + out[..., None, None] * update
    assert update.std() > 0.1
    assert largest(network(noisy[0], sigma, features, representations) - expected) < 1e-4


@torch.no_grad()
def test_without_noise_the_coordinates_stay(network, singles, noisy):
    clean = network(noisy[0], torch.full((1, 1), 1e-6), *singles[0])
    assert largest(clean - noisy[0]) < 1e-4


@torch.no_grad()
def test_conditions_made_once_give_what_conditions_made_anew_give(network, singles, noisy, monkeypatch):
    conditions = network.conditions(*singles[0])
    assert len(conditions.pair.biases) == NANO.diffusion_blocks
    expected = network(noisy[0], SIGMA[:1], *singles[0])
    again = [network(noisy[0], SIGMA[:1], *singles[0], conditions) for _ in range(2)]
    assert torch.equal(again[0], again[1])
    assert largest(again[0] - expected) == 0
    monkeypatch.setattr(denoiser, "BIAS_BYTES", 0)
    large = network.conditions(*singles[0])
    assert not large.pair.biases
    assert largest(network(noisy[0], SIGMA[:1], *singles[0], large) - expected) < 1e-4


@torch.no_grad()
@pytest.mark.parametrize("limit", [0, 2**30])
def test_rows_of_pairs_in_parts_give_what_all_at_once_give(network, singles, monkeypatch, limit):
    monkeypatch.setattr(denoiser, "BIAS_BYTES", limit)
    expected = network.conditions(*singles[0])
    monkeypatch.setattr(rows, "CPU_POSITIONS", 4 * 15)
    found = network.conditions(*singles[0])
    pairs = [(found.pair.pair_BLLZ, expected.pair.pair_BLLZ)] if limit == 0 else []
    pairs += zip(found.pair.biases, expected.pair.biases, strict=True)
    atoms = zip(found.atoms.encoder, expected.atoms.encoder, strict=True)
    pairs += [(one.bias_B1WHQK, other.bias_B1WHQK) for one, other in atoms]
    assert len(pairs) == NANO.encoder_atom_blocks + (NANO.diffusion_blocks if limit else 1)
    assert all(largest(one - other) < 1e-5 * float(other.abs().max()) for one, other in pairs)


@torch.no_grad()
def test_a_level_that_samples_share_may_be_given_once(network, singles, noisy):
    expected = network(noisy[0], torch.full((1, 3), 6.0), *singles[0])
    assert largest(network(noisy[0], torch.full((1, 1), 6.0), *singles[0]) - expected) < 1e-4


@torch.no_grad()
def test_samples_are_judged_alone_and_in_any_order(network, singles, noisy):
    expected = network(noisy[0], SIGMA[:1], *singles[0])
    order = torch.tensor([2, 0, 1])
    turned = network(noisy[0][:, order], SIGMA[:1, order], *singles[0])
    assert largest(turned - expected[:, order]) < 1e-4
    for sample in range(3):
        one = slice(sample, sample + 1)
        alone = network(noisy[0][:, one], SIGMA[:1, one], *singles[0])
        assert largest(alone - expected[:, one]) < 1e-4


@torch.no_grad()
def test_an_rna_in_a_batch_with_noise_for_padding_is_as_alone(network, singles, noisy):
    batch = collate([features for features, _ in singles])
    missing = {"L": ~batch.token_mask_BL, "A": ~batch.atom_mask_BA}
    noise = {
        "residue_index_BL": draw_integers("index", 1, 60, *missing["L"].shape),
        "atom_token_BA": draw_integers("token", 0, 14, *missing["A"].shape),
        "ref_pos_BA3": 9 * draw("position", *missing["A"].shape, 3),
        "ref_charge_BA": 9 * draw("charge", *missing["A"].shape),
        "ref_element_BA": draw_integers("element", 1, 90, *missing["A"].shape),
        "ref_name_BA4": draw_integers("name", 0, 63, *missing["A"].shape, 4),
    }
    changed = {}
    for name, drawn in noise.items():
        mask = missing[name.rpartition("_")[2][1]]
        changed[name] = torch.where(mask.reshape(*mask.shape, *[1] * (drawn.dim() - 2)), drawn, getattr(batch, name))
    coordinates = 90 * draw("padding", 2, 3, batch.atom_mask_BA.shape[1], 3)
    for row, part in zip(coordinates, noisy, strict=True):
        row[:, : part.shape[2]] = part[0]
    together = network(coordinates, SIGMA, replace(batch, **changed), merged([each for _, each in singles]))
    for rna, part in enumerate(noisy):
        alone = network(part, SIGMA[rna : rna + 1], *singles[rna])
        assert largest(together[rna, :, : part.shape[2]] - alone[0]) < 1e-4


def test_autocast_changes_nothing(network, singles, noisy):
    with torch.no_grad():
        expected = network(noisy[0], SIGMA[:1], *singles[0])
        with torch.autocast("cpu", torch.bfloat16):
            assert torch.equal(network(noisy[0], SIGMA[:1], *singles[0]), expected)


def test_training_gives_the_same_numbers_and_a_gradient_to_all(network, singles, noisy):
    features, representations = singles[0]
    features = replace(features, ref_charge_BA=draw("charge", *features.ref_charge_BA.shape))  # RNA's are all zero
    given = Representations(
        **{f.name: getattr(representations, f.name).clone().requires_grad_() for f in fields(Representations)}
    )
    with torch.no_grad():
        expected = network(noisy[0], SIGMA[:1], features, representations)
    network.train()
    found = network(noisy[0], SIGMA[:1], features, given)
    network.eval()
    assert largest(found - expected) < 1e-4
    found.square().sum().backward()
    trained = {name: p.grad for name, p in network.named_parameters() if p.requires_grad}
    network.zero_grad()
    assert not [name for name, gradient in trained.items() if gradient is None or not gradient.abs().max() > 0]
    assert all(getattr(given, f.name).grad.abs().max() > 0 for f in fields(Representations))
    frozen = [name for name, p in network.named_parameters() if not p.requires_grad]
    assert frozen == [f"diffusion_conditioning.fourier_embedding.{name}" for name in ("w", "b")]
