"""Which chains of a library are like an RNA, and how they align with it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rna_predict.contracts import Adjacency, TemplateHit
from rna_predict.templates.align import (
    SCORES,
    STATES,
    Scores,
    align_chain,
    align_positions,
    align_scores,
    query_profile,
    state_codes,
)
from rna_predict.templates.config import TemplatesConfig
from rna_predict.templates.embedding import embed
from rna_predict.templates.features import Calibration, Features, measure, read_calibration
from rna_predict.templates.library import Library, Row, chain_positions

MATCHING_SHARE = 0.5
"""How much a residue's state is that of stage A's matching, and not of its probabilities."""
PAIR_BONUS = 2.0
"""What two residues score more, in a second alignment, where the first one brings their partners together."""
NEAR = ((0, 1.0), (1, 0.5), (-1, 0.5))
"""Shifts against the first alignment, and the share of the bonus that each gets."""
LETTERS_ALONE = Scores(
    match_unpaired=2.0, mismatch_unpaired=-2.0, same_state=0.0, paired_unpaired=0.0, gap_open=6.0, gap_extend=1.0
)
"""CD-HIT-EST's scores, as `data.clusters` counts identity."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A chain that was aligned.

    Attributes:
        position: of the chain in its library.
        row: the chain.
        position_L: int64 [L], the chain's position for each residue of the query, or -1.
        features: of the alignment.
        expected_tm: of the aligned residues.
    """

    position: int
    row: Row
    position_L: np.ndarray
    features: Features
    expected_tm: float

    @property
    def residue_N(self) -> np.ndarray:
        """int64 [N], aligned residues of the query."""
        return np.flatnonzero(self.position_L >= 0)

    @property
    def hit(self) -> TemplateHit:
        """For the contract."""
        letters = "".join(self.row.sequence[m] if m >= 0 else "-" for m in self.position_L)
        return TemplateHit(
            id=self.row.id,
            cluster=self.row.cluster,
            date=self.row.date,
            length=self.features.chain_length,
            identity=self.features.identity,
            query_identity=self.features.equal / self.features.length,
            coverage=self.features.coverage,
            score=self.features.score,
            pair_agreement=self.features.agreement,
            expected_tm=self.expected_tm,
            letters=letters,
        )


def search(adjacency: Adjacency, library: Library, config: TemplatesConfig) -> list[Found]:
    """The templates of an RNA, the highest expected TM-score first.

    Args:
        adjacency: the RNA's letters and pairs.
        library: where to look.
        config: what counts, and how many.

    Raises:
        ContractError: the library or the calibration cannot be used.
    """
    if not config.enabled or config.max_hits == 0 or adjacency.length < config.min_length:
        return []
    chosen = [n for n in _candidates(adjacency, library, config) if allowed(library.rows[n], config)]
    found = align_rows(adjacency, library.rows, chosen, config.aligned)
    found = [one for one in found if one.expected_tm >= config.min_expected_tm]
    found.sort(key=lambda one: (-one.expected_tm, one.row.id))
    kept: list[Found] = []
    for one in found:
        if len(kept) == config.max_hits:
            break
        if config.max_identity >= 1 or _identity(adjacency.sequence, one) <= config.max_identity:
            kept.append(one)
    return kept


def align_rows(
    adjacency: Adjacency,
    rows: Sequence[Row],
    chosen: Sequence[int],
    most: int,
    calibration: Calibration | None = None,
) -> list[Found]:
    """Align an RNA with the chosen rows, and fully with the `most` of the best scores; best score first.

    Args:
        adjacency: the RNA's letters and pairs.
        rows: of the library.
        chosen: their positions.
        most: how many are aligned fully.
        calibration: of the expected TM-score; without it the carried one.
    """
    own = calibration or read_calibration()
    partners = {n: rows[n].partner_L for n in chosen}
    codes = {n: state_codes(rows[n].sequence, partners[n]) for n in chosen}
    profile_LC = query_profile(adjacency.sequence, state_probabilities(adjacency))
    code_L = state_codes(adjacency.sequence, adjacency.partner_L)
    itself = max(float(profile_LC[np.arange(adjacency.length), code_L].sum()), 1e-3)
    score_N = align_scores(profile_LC, [codes[n] for n in chosen])
    pair_LL = _pair_weights(adjacency)
    found = []
    for k in np.argsort(-score_N, kind="stable")[:most].tolist():
        n = chosen[k]
        position_L = _aligned(profile_LC, pair_LL, codes[n], partners[n])
        if (position_L >= 0).sum() < 3:
            continue
        query = (adjacency.sequence, adjacency.partner_L)
        features = measure(query, (rows[n].sequence, partners[n]), position_L, float(score_N[k]) / itself)
        found.append(
            Found(position=n, row=rows[n], position_L=position_L, features=features, expected_tm=own.expected(features))
        )
    return found


def state_probabilities(adjacency: Adjacency) -> np.ndarray:
    """Probability that each residue is unpaired, a 5' partner, a 3' partner, float64 [L, 3]."""
    probability_LL = adjacency.probability_LL.astype(np.float64)
    five_L, three_L = np.triu(probability_LL).sum(axis=1), np.tril(probability_LL).sum(axis=1)
    by_probability_L3 = np.stack([np.clip(1 - five_L - three_L, 0, 1), five_L, three_L], axis=1)
    matching_L3 = np.eye(STATES)[state_codes(adjacency.sequence, adjacency.partner_L) % STATES]
    return MATCHING_SHARE * matching_L3 + (1 - MATCHING_SHARE) * by_probability_L3


def _pair_weights(adjacency: Adjacency) -> np.ndarray:
    """Mean of the probabilities and the matching, float64 [L, L]."""
    pair_LL = (1 - MATCHING_SHARE) * adjacency.probability_LL.astype(np.float64)
    for i, j in adjacency.pairs:
        pair_LL[i, j] += MATCHING_SHARE
        pair_LL[j, i] += MATCHING_SHARE
    return pair_LL


def _aligned(profile_LC: np.ndarray, pair_LL: np.ndarray, code_M: np.ndarray, mate_M: np.ndarray) -> np.ndarray:
    """Align once by letters and states, then again with a bonus for pairs that the first alignment brings together."""
    position_L = align_chain(profile_LC, code_M)
    near_LM = np.zeros((len(profile_LC), len(code_M)))
    for shift, share in NEAR:
        spot_L = position_L + shift
        rows = np.flatnonzero((position_L >= 0) & (spot_L >= 0) & (spot_L < len(code_M)))
        near_LM[rows, spot_L[rows]] = np.maximum(near_LM[rows, spot_L[rows]], share)
    score_LM = profile_LC[:, code_M]
    paired = np.flatnonzero(mate_M >= 0)
    score_LM[:, paired] += PAIR_BONUS * (pair_LL @ near_LM)[:, mate_M[paired]]
    return align_positions(score_LM, SCORES)


def _candidates(adjacency: Adjacency, library: Library, config: TemplatesConfig) -> Sequence[int]:
    """All chains, or of a large library the nearest by embedding."""
    chains = chain_positions(library.rows)
    if len(chains) <= config.prefilter:
        return chains
    return library.nearest(embed(adjacency.sequence, adjacency.partner_L), config.prefilter)


def allowed(row: Row, config: TemplatesConfig) -> bool:
    """Whether the config lets a chain count: its day, its id and its cluster."""
    if config.before and not ("" < row.date < config.before):
        return False
    return row.id not in config.exclude and f"cluster:{row.cluster}" not in config.exclude


def far_enough(sequence: str, row: Row, config: TemplatesConfig) -> bool:
    """Whether an RNA shares no more of a row than the config lets it; the few letters of a loop have no identity."""
    return config.max_identity >= 1 or row.loop or identity_of(sequence, row.sequence) <= config.max_identity


def identity_of(sequence: str, template: str) -> float:
    """Equal letters over the shorter of both, in the best alignment by letters alone; ends hang over freely."""
    free_L3 = np.eye(STATES)[np.zeros(len(sequence), dtype=int)]
    profile_LC = query_profile(sequence, free_L3, LETTERS_ALONE)
    position_L = align_chain(profile_LC, state_codes(template, np.full(len(template), -1)), LETTERS_ALONE)
    equal = sum(m >= 0 and template[m] == sequence[i] for i, m in enumerate(position_L))
    return equal / min(len(sequence), len(template))


def _identity(sequence: str, found: Found) -> float:
    """The more of this alignment's and the best one's by letters alone."""
    own = found.features.equal / min(len(sequence), len(found.row.sequence))
    return max(own, identity_of(sequence, found.row.sequence))
