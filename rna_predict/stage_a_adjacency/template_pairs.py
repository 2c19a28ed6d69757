"""What known structures say of an RNA's pairs: two sources of evidence, one before and one after a first fold.

Stretches that read like a stretch of a known structure (`templates.local`) need no pairs to be found. A template is
found with the first fold as the rule `templates` finds it (`templates.search`), under the same settings, so that what
is left out there has no say here. Its pairs are carried over along the alignment. They and its loops become
pseudo-energies, as a family's do; pairs that no nested fold holds (pseudoknots, single tertiary pairs) are offered to
residues that the fold leaves unpaired.
"""

import logging
import math
from typing import TYPE_CHECKING

import numpy as np

from rna_predict.contracts import Adjacency, RnaSequence, digest_of
from rna_predict.stage_a_adjacency.backends import BACKENDS
from rna_predict.stage_a_adjacency.config import StageAConfig
from rna_predict.stage_a_adjacency.evidence import Evidence
from rna_predict.stage_a_adjacency.folding import can_pair
from rna_predict.templates.config import TemplatesConfig

if TYPE_CHECKING:
    from rna_predict.templates.library import Library
    from rna_predict.templates.search import Found

NAME = "templates"
"""Of templates in `Provenance.method` and `Provenance.inputs`."""

LOCAL_NAME = "local"
"""Of known stretches there."""

logger = logging.getLogger(__name__)


def local_evidence(
    sequence: RnaSequence, config: StageAConfig, templates: TemplatesConfig, library: "Library | None" = None
) -> Evidence | None:
    """The pairs of known structures of which stretches read like an RNA's own; None without one.

    A hit favours its pairs by `local_weight` together, more where it is surer (by half of its log-odds), and each by
    `local_limit` at most. Those that no nested fold holds are offered to residues that the fold leaves unpaired.

    Args:
        sequence: the RNA.
        config: of stage A.
        templates: where to look, and what counts.
        library: an open library, instead of the one that `templates` names.

    Raises:
        ContractError: the library or the calibration cannot be used.
    """
    if config.templates == "off" or not templates.enabled:
        return None
    from rna_predict.templates.library import open_library
    from rna_predict.templates.local import search_local

    opened = library or open_library(templates.library)
    hits = search_local(sequence.sequence, opened, templates, sequence.breaks)
    if not hits:
        return None
    bonus_LL = np.zeros((sequence.length, sequence.length))
    offers: dict[tuple[int, int], float] = {}
    stretches = tuple(hit.found(opened.digest) for hit in hits)
    for hit, stretch in zip(hits, stretches, strict=True):
        logger.info("%s: %s", sequence.id, stretch.sentence)
        share = min(max(hit.expected, 1e-3), 1 - 1e-3)
        total = config.local_weight * max(0.5 + 0.5 * math.log(share / (1 - share)), 0.0)
        for i, j in hit.pairs:
            bonus_LL[i, j] -= min(total / len(hit.pairs), config.local_limit)
            offers.setdefault((i, j), hit.expected)
    return Evidence(
        name=LOCAL_NAME,
        digest=digest_of([opened.digest, [[hit.row.id, hit.residue_N.tolist(), hit.place_N.tolist()] for hit in hits]]),
        offered=tuple((i, j, expected) for (i, j), expected in offers.items()),
        bonus_LL=bonus_LL if "bonus_LL" in BACKENDS[config.backend].uses else None,
        stretches=stretches,
    )


def template_evidence(
    adjacency: Adjacency, config: StageAConfig, templates: TemplatesConfig, library: "Library | None" = None
) -> Evidence | None:
    """The pairs of the templates that an RNA has under its first fold; None without a template.

    Args:
        adjacency: the first fold.
        config: of stage A.
        templates: where to look, and what counts.
        library: an open library, instead of the one that `templates` names.

    Raises:
        ContractError: the library or the calibration cannot be used.
    """
    if config.templates == "off" or not templates.enabled or not templates.max_hits:
        return None
    from rna_predict.templates.library import open_library
    from rna_predict.templates.search import search

    opened = library or open_library(templates.library)
    found = search(adjacency, opened, templates)
    if not found:
        return None
    legal_LL = np.triu(can_pair(adjacency.sequence, adjacency.breaks), k=1)
    carried = [carried_pairs(one, legal_LL) for one in found]
    return Evidence(
        name=NAME,
        digest=digest_of([opened.digest, [[one.row.id, one.position_L.tolist()] for one in found]]),
        offered=_offers(found, carried),
        bonus_LL=_energies(found[0], carried[0], legal_LL, config),
    )


def carried_pairs(found: "Found", legal_LL: np.ndarray) -> list[tuple[int, int]]:
    """A template's pairs between residues that are aligned and can pair, 0-based, i < j, sorted.

    Args:
        found: the template.
        legal_LL: bool [L, L], pairs i < j that the RNA can form.
    """
    partner_M = found.row.partner_L
    residue_of = {int(m): i for i, m in enumerate(found.position_L) if m >= 0}
    pairs = ((i, residue_of.get(int(partner_M[m]), -1)) for m, i in residue_of.items() if partner_M[m] > m)
    return sorted((i, j) for i, j in pairs if j >= 0 and legal_LL[i, j])


def _offers(found: "list[Found]", carried: list[list[tuple[int, int]]]) -> tuple[tuple[int, int, float], ...]:
    """All templates' pairs, those of the best template first; one that two templates have counts once.

    A pair's probability is the mean of 1 and the template's expected TM-score: of pairs that were added on training
    clusters 58 % were right at 0.35, 84 % at 0.6 and 95 % from 0.8 on.
    """
    offers: dict[tuple[int, int], float] = {}
    for one, pairs in zip(found, carried, strict=True):
        for pair in pairs:
            offers.setdefault(pair, (1.0 + min(one.expected_tm, 1.0)) / 2)
    return tuple((i, j, probability) for (i, j), probability in offers.items())


def _energies(
    best: "Found", pairs: list[tuple[int, int]], legal_LL: np.ndarray, config: StageAConfig
) -> np.ndarray | None:
    """kcal/mol [L, L], i < j, that the best template adds to a pair; None where the backend takes none.

    Its pairs are favoured by `template_weight`, others of a residue that stands in a loop of the template cost
    `template_loop_weight`, both times its expected TM-score.
    """
    if "bonus_LL" not in BACKENDS[config.backend].uses:
        return None
    partner_M = best.row.partner_L
    loop_L = (best.position_L >= 0) & (partner_M[best.position_L] < 0)
    cost_LL = np.where(legal_LL & (loop_L[:, None] | loop_L), config.template_loop_weight, 0.0)
    for i, j in pairs:
        cost_LL[i, j] = -config.template_weight
    return cost_LL * best.expected_tm
