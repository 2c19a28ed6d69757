"""Stage A's network: scores that are symmetric, legal, independent of the batch, and a loss that wants the partner."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rna_predict.nn.initialise import initialise
from rna_predict.nn.profiles import PROFILES
from rna_predict.stage_a_adjacency.featurise import ensembles_to_tell, features_of, scaled_log_odds
from rna_predict.stage_a_adjacency.folding import can_pair
from rna_predict.stage_a_adjacency.krook import rooks
from rna_predict.stage_a_adjacency.loss import folding_losses, known_weight, pair_distributions, partner_loss
from rna_predict.stage_a_adjacency.network import NEVER, FoldingModel, FoldingScores, log_rows

HAIRPIN = "GGGCAUUCGUGCCCAAUAGG"


@pytest.fixture(scope="module")
def model():
    """A network with values that nothing has trained, none of them zero."""
    with torch.device("meta"):
        made = FoldingModel(PROFILES["nano"])
    initialise(made)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator))
    return made.eval()


@torch.no_grad()
def run(model, sequence, energies=None):
    return model(features_of([sequence], [energies]))


def test_scores_are_symmetric_and_low_where_no_pair_can_form(model):
    scores = run(model, HAIRPIN)
    pair_LL, legal_LL = scores.pair_BLL[0], torch.from_numpy(can_pair(HAIRPIN))
    assert torch.equal(pair_LL, pair_LL.T)
    assert (pair_LL[~legal_LL] == NEVER).all()
    assert float(pair_LL[legal_LL].std()) > 0.05


def test_a_shorter_rna_gets_the_same_scores_beside_a_longer_one(model):
    sequences = (HAIRPIN, "GCGGAUUUAGCUCAGUUGGGAGAGCGCCAGACUGAAG")
    energies = [ensembles_to_tell(sequence) for sequence in sequences]
    features = features_of(sequences, energies)
    features.energy_BMLL[0, :, len(HAIRPIN) :] = 7.0
    with torch.no_grad():
        together = model(features)
    for k, sequence in enumerate(sequences):
        alone, size = run(model, sequence, energies[k]), len(sequence)
        torch.testing.assert_close(together.pair_BLL[k, :size, :size], alone.pair_BLL[0], rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(together.alone_BL[k, :size], alone.alone_BL[0], rtol=1e-4, atol=1e-4)


def test_one_base_and_what_it_is_told_change_the_scores(model):
    other = "C" + HAIRPIN[1:]
    base, energies = run(model, HAIRPIN), ensembles_to_tell(HAIRPIN)
    legal_LL = torch.from_numpy(can_pair(HAIRPIN) & can_pair(other))
    assert float((run(model, other).pair_BLL - base.pair_BLL)[0][legal_LL].abs().max()) > 1e-3
    told = run(model, HAIRPIN, energies)
    assert float((told.pair_BLL - base.pair_BLL)[0][legal_LL].abs().max()) > 1e-3
    told_other = run(model, HAIRPIN, np.where(np.abs(energies) > 0.1, -energies, energies))
    assert float((told_other.pair_BLL - told.pair_BLL)[0][legal_LL].abs().max()) > 1e-3


def test_rows_with_the_choice_to_stay_alone_are_distributions(model):
    scores = run(model, HAIRPIN)
    row_BLL = log_rows(scores.pair_BLL, scores.alone_BL).exp()
    alone_BL = 1 - row_BLL.sum(-1)
    expected = (scores.alone_BL - torch.logaddexp(scores.pair_BLL.logsumexp(-1), scores.alone_BL)).exp()
    torch.testing.assert_close(alone_BL, expected, rtol=1e-4, atol=1e-5)
    both_BLL = pair_distributions(scores)
    torch.testing.assert_close(both_BLL, (row_BLL * row_BLL.mT).sqrt(), rtol=1e-4, atol=1e-6)


def scores_from(pair_LL, alone_L):
    pair = torch.tensor(pair_LL, dtype=torch.float32)[None]
    return FoldingScores(pair_BLL=pair, alone_BL=torch.tensor(alone_L)[None], draft_BLL=pair)


def test_the_loss_by_hand():
    pair_LL = np.full((3, 3), NEVER)
    pair_LL[0, 2] = pair_LL[2, 0] = 2.0
    scores = scores_from(pair_LL, [0.0, 0.0, 1.0])
    partner_BL, weight_BL = torch.tensor([[2, -1, 0]]), torch.tensor([[1.0, 1.0, 0.5]])
    rows = [np.log(1 + np.exp(2)) - 2, 0.0, np.log(np.e + np.exp(2)) - 2]
    expected = (rows[0] + rows[1] + 0.5 * rows[2]) / 2.5
    assert float(partner_loss(scores.pair_BLL, scores.alone_BL, partner_BL, weight_BL)) == pytest.approx(expected)
    found = folding_losses(scores, partner_BL, weight_BL)
    assert float(found["folding"]) == float(found["folding_draft"]) == pytest.approx(expected)


def test_a_partner_that_is_not_legal_weighs_nothing():
    legal_BLL = torch.zeros(1, 3, 3, dtype=torch.bool)
    legal_BLL[0, 0, 1] = legal_BLL[0, 1, 0] = True
    assert known_weight(legal_BLL, torch.tensor([[1, 0, -1]])).tolist() == [[1.0, 1.0, 1.0]]
    assert known_weight(legal_BLL, torch.tensor([[2, -1, 0]])).tolist() == [[0.0, 1.0, 0.0]]


def test_learning_lowers_the_loss_until_the_matching_is_read(model):
    """Enough steps on one RNA, and the rooks stand on its pairs: scores, loss and readout mean the same."""
    with torch.device("meta"):
        learner = FoldingModel(PROFILES["nano"])
    initialise(learner)
    partner_BL = torch.full((1, len(HAIRPIN)), -1)
    for i, j in ((0, 13), (1, 12), (2, 11), (3, 10)):
        partner_BL[0, i], partner_BL[0, j] = j, i
    features = features_of([HAIRPIN], [None])
    optimiser = torch.optim.Adam(learner.parameters(), lr=3e-3)
    for _ in range(60):
        loss = folding_losses(learner(features), partner_BL, torch.ones(1, len(HAIRPIN)))["folding"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    scores = run(learner, HAIRPIN)
    assert rooks(scores.pair_BLL[0].numpy(), scores.alone_BL[0].numpy()).tolist() == partner_BL[0].tolist()


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 12), st.integers(0, 2**32 - 1))
def test_rooks_never_attack_each_other(length, seed):
    rng = np.random.default_rng(seed)
    pair_LL = rng.normal(size=(length, length)).round(1)
    pair_LL = pair_LL + pair_LL.T
    pair_LL[rng.random((length, length)) < 0.3] = NEVER
    pair_LL = np.minimum(pair_LL, pair_LL.T)
    np.fill_diagonal(pair_LL, NEVER)
    alone_L = rng.normal(size=length)
    partner_L = rooks(pair_LL, alone_L)
    for i in np.flatnonzero(partner_L >= 0):
        j = partner_L[i]
        assert partner_L[j] == i != j
        assert pair_LL[i, j] == pair_LL[i].max() == pair_LL[:, j].max()
        assert pair_LL[i, j] > max(alone_L[i], alone_L[j])


def test_staying_alone_wins_where_it_is_worth_more():
    pair_LL = np.array([[NEVER, 1.0], [1.0, NEVER]])
    assert rooks(pair_LL, np.array([0.0, 0.9])).tolist() == [1, 0]
    assert rooks(pair_LL, np.array([0.0, 1.1])).tolist() == [-1, -1]


def test_the_energy_models_differ_and_do_not_depend_on_which_came_before():
    first = ensembles_to_tell(HAIRPIN)
    assert float(np.abs(first[0] - first[1]).max()) > 0.01
    np.testing.assert_array_equal(ensembles_to_tell(HAIRPIN), first)
    assert np.array_equal(first, first.transpose(0, 2, 1))
    odds = scaled_log_odds(np.triu(np.full((6, 6), 0.5), 1))
    assert odds[0, 5] == odds[5, 0] == 0.0
