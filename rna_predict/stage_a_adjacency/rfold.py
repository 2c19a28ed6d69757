"""The backends `rfold` (the network alone) and `ensemble` (the network and energy models together).

`rfold` reads the sequence alone. `ensemble` asks four: the network that is told two energy models' ensembles, the
network that is not, and the energy models of Langdon 2018 and Andronescu 2007. Their mean opinion of a pair becomes a
pseudo-energy, under which ViennaRNA folds: whatever else is known of the RNA is respected as it always is.
"""

import dataclasses

import numpy as np
import torch

from rna_predict.nn.device import choose_device
from rna_predict.nn.opened import NetworkSource, OpenedNetwork, open_for_prediction
from rna_predict.stage_a_adjacency import viennarna
from rna_predict.stage_a_adjacency.config import StageAConfig
from rna_predict.stage_a_adjacency.energy_models import PARAMETER_SETS, ensemble_of
from rna_predict.stage_a_adjacency.featurise import TOLD, features_of, told_ensembles
from rna_predict.stage_a_adjacency.folding import Constraints, Fold, can_pair, pair_probabilities
from rna_predict.stage_a_adjacency.krook import rooks
from rna_predict.stage_a_adjacency.loss import pair_distributions
from rna_predict.stage_a_adjacency.network import NEVER, FoldingModel, FoldingScores

KT = 0.61632
"""kcal/mol at 37 °C, by which bonuses become scores."""

SHARES = {"told": 0.4, "untold": 0.2, "langdon2018": 0.2, "andronescu2007": 0.2}
"""Weights of the opinions: of the network, told and not, and of two sets of energies; ViennaRNA's own folds under them.

Chosen on families that neither train nor test, docs/decisions/0015-folding-network.md."""

SMALLEST = 1e-6
"""Probabilities count as at least this, and at most one less it."""

CERTAIN = 30.0
"""Score of a pair that must form: nothing else of its two residues competes."""


def open_network_of(config: StageAConfig) -> OpenedNetwork:
    """The network that a config names: its weights, the package's own, or a profile's starting values.

    Raises:
        WeightsError: a file is refused, or the partial checkpoint belongs to other weights.
    """
    named = {"weights": config.weights, "untrained_profile": config.untrained_profile, "partial": config.partial}
    source = NetworkSource.or_carried("folding_small", **named)
    return open_for_prediction(FoldingModel, source, choose_device(config.device, "stage_a.device"))


@torch.no_grad()
def scores_of(
    sequence: str, energies: np.ndarray | None, opened: OpenedNetwork, breaks: tuple[int, ...] = ()
) -> FoldingScores:
    """What the network makes of one RNA.

    Args:
        sequence: letters A C G U.
        energies: of `told_ensembles`, or None.
        opened: the network.
        breaks: first residue of each chain but the first.
    """
    features = features_of([sequence], [energies])
    if not breaks:
        return opened.network.module(features.to(opened.device))
    legal_BLL = torch.from_numpy(can_pair(sequence, breaks))[None]
    features = dataclasses.replace(features, legal_BLL=legal_BLL).apart(breaks)
    return opened.network.module(features.to(opened.device)).without_gaps(breaks)


def fold_rfold(sequence: str, config: StageAConfig, constraints: Constraints) -> Fold:
    """Fold by the network alone; the matching is read as rooks, pseudoknots included.

    A bonus is added to the pair's score in units of kT. Pairs that must form get a score that nothing competes with,
    residues that must not pair get none.
    """
    opened = open_network_of(config)
    scores = _constrained(scores_of(sequence, None, opened, constraints.breaks), constraints)
    partner_L = None
    if config.readout == "rooks":
        partner_L = rooks(scores.pair_BLL[0].cpu().numpy(), scores.alone_BL[0].cpu().numpy())
    return Fold(
        probability_LL=_probabilities(scores),
        partner_L=partner_L,
        weights=opened.header.sha256,
    )


def fold_ensemble(sequence: str, config: StageAConfig, constraints: Constraints) -> Fold:
    """Fold by ViennaRNA under pseudo-energies: the mean opinion of `SHARES`.

    A pair whose mean probability has log-odds x is favoured by `ensemble_weight` · clip(x, ±`ensemble_clip`) kcal/mol.
    """
    opened = open_network_of(config)
    odds_LL = _opinion(sequence, opened, constraints.breaks)
    bonus_LL = -config.ensemble_weight * np.clip(odds_LL, -config.ensemble_clip, config.ensemble_clip)
    bonus_LL = np.where(can_pair(sequence, constraints.breaks), bonus_LL, 0.0)
    if constraints.bonus_LL is not None:
        bonus_LL = bonus_LL + constraints.bonus_LL
    fold = viennarna.fold(sequence, config, dataclasses.replace(constraints, bonus_LL=bonus_LL))
    return dataclasses.replace(fold, weights=opened.header.sha256)


def _opinion(sequence: str, opened: OpenedNetwork, breaks: tuple[int, ...]) -> np.ndarray:
    """Log-odds of the mean opinion [L, L]; the last is kept: a search for pseudoknots folds an RNA again."""
    key = (sequence, breaks, opened.header.sha256, str(opened.device))
    if key not in _KEPT:
        names = {*TOLD, *SHARES} & set(PARAMETER_SETS)
        ensembles = {name: ensemble_of(sequence, name, breaks) for name in names}
        mean_LL = np.zeros((len(sequence), len(sequence)))
        for name, share in SHARES.items():
            if name in ensembles:
                mean_LL += share * (ensembles[name] + ensembles[name].T)
            else:
                energies = told_ensembles(ensembles) if name == "told" else None
                mean_LL += share * _probabilities(scores_of(sequence, energies, opened, breaks))
        mean_LL = np.clip(mean_LL, SMALLEST, 1 - SMALLEST)
        _KEPT.clear()
        _KEPT[key] = np.log(mean_LL / (1 - mean_LL))
    return _KEPT[key]


_KEPT: dict[tuple[str, tuple[int, ...], str, str], np.ndarray] = {}


def _constrained(scores: FoldingScores, constraints: Constraints) -> FoldingScores:
    """The scores under bonuses, forced pairs and residues that must not pair."""
    pair_BLL, alone_BL = scores.pair_BLL.clone(), scores.alone_BL.clone()
    if constraints.bonus_LL is not None:
        bonus_LL = constraints.bonus_LL + constraints.bonus_LL.T if _upper(constraints) else constraints.bonus_LL
        added_LL = torch.from_numpy(-bonus_LL / KT).to(pair_BLL)
        pair_BLL = torch.where(pair_BLL > NEVER, pair_BLL + added_LL, NEVER)
    taken = [*constraints.unpaired, *(end for pair in constraints.pairs for end in pair)]
    pair_BLL[:, taken, :] = NEVER
    pair_BLL[:, :, taken] = NEVER
    for i, j in constraints.pairs:
        pair_BLL[:, i, j] = pair_BLL[:, j, i] = CERTAIN
        alone_BL[:, [i, j]] = 0.0
    return dataclasses.replace(scores, pair_BLL=pair_BLL, alone_BL=alone_BL)


def _upper(constraints: Constraints) -> bool:
    """Whether the bonus stands above the diagonal alone."""
    return constraints.bonus_LL is not None and not np.tril(constraints.bonus_LL).any()


def _probabilities(scores: FoldingScores) -> np.ndarray:
    """Pair probabilities as `Adjacency` wants them, float32 [L, L]."""
    return pair_probabilities(pair_distributions(scores)[0].double().cpu().numpy())
