"""What an RNA's families in Rfam say: evidence for the backend, a statement, an alignment for stage B."""

import functools
import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rna_predict.atomic import atomic_path
from rna_predict.contracts import Adjacency, Alignment, FamilyFound, RnaSequence, digest_of
from rna_predict.stage_a_adjacency.config import StageAConfig
from rna_predict.stage_a_adjacency.evidence import Evidence
from rna_predict.stage_a_adjacency.folding import can_pair

if TYPE_CHECKING:  # pyhmmer is imported when a family is looked for
    from rna_predict.families.library import FamilyLibrary
    from rna_predict.families.search import FamilyHit

logger = logging.getLogger(__name__)

NAME = "family"
"""Of this source in `Provenance.method` and `Provenance.inputs`."""
STRENGTH = {"ensemble": 2.8, "rfold": 4.0}
"""By which `family_weight` and `family_loop_weight` are multiplied for backends that are surer of themselves than
ViennaRNA: their opinions, which are not told of families, would else outvote them (decision 0014)."""
MIN_WEIGHT = 0.01
"""Weights of pairs below it earn no bonus, and costs in kcal/mol below it are left out."""
MIN_CROSSING = 0.35
"""From this weight on a pair of a pseudoknot is added where both residues are free; 0.2 to 0.5 were as good."""


def find_families(sequence: str, config: StageAConfig) -> tuple["FamilyHit", ...]:
    """Hits of the sequence that do not overlap, best first; none with `family: off`.

    Chains are looked up as one sequence, so that a family is found whose strands they are.

    Raises:
        ContractError: the library of `family_library` cannot be used.
    """
    if config.family == "off":
        return ()
    return _search(sequence, config.family_library, config.family_evalue, tuple(config.family_exclude))


@functools.lru_cache(maxsize=64)
def _search(sequence: str, path: str, evalue: float, exclude: tuple[str, ...]) -> tuple["FamilyHit", ...]:
    from rna_predict.families.search import SearchSettings, search

    return search(sequence, _library(path), SearchSettings(evalue=evalue, exclude=exclude))


def _library(path: str) -> "FamilyLibrary":
    from rna_predict.families.library import load_library

    return load_library(path)


def family_evidence(sequence: str, config: StageAConfig, breaks: tuple[int, ...] = ()) -> Evidence | None:
    """Pairs of the families' consensus as pseudo-energies, and their pseudoknots as offers; None without a hit.

    The weight of a pair (`families.prior.family_prior`) times `family_weight` lowers its energy; a canonical pair that
    is not of the consensus costs `family_loop_weight` times the probability that one of its residues stands in a loop
    of the consensus, or `family_knot_weight` times the weight with which it belongs to a pseudoknot. So a weak or
    partial hit can be overruled by the energy model. `STRENGTH` fits the energies to the backend.
    """
    hits = find_families(sequence, config)
    if not hits:
        return None
    from rna_predict.families.prior import family_prior

    library = _library(config.family_library)
    prior = family_prior(sequence, hits, library)
    legal_LL = np.triu(can_pair(sequence, breaks), k=1)
    strength = STRENGTH.get(config.backend, 1.0)
    cost_L = np.maximum(strength * config.family_loop_weight * prior.loop_L, config.family_knot_weight * prior.knot_L)
    cost_LL = np.maximum(cost_L[:, None], cost_L)
    other_LL = legal_LL & (prior.nested_LL < MIN_WEIGHT) & (cost_LL >= MIN_WEIGHT)
    favour_LL = strength * config.family_weight * prior.nested_LL
    bonus_LL = np.where(legal_LL & (prior.nested_LL >= MIN_WEIGHT), -favour_LL, 0.0)
    bonus_LL += np.where(other_LL, cost_LL, 0.0)
    offers = np.argwhere(legal_LL & (prior.crossing_LL >= MIN_CROSSING))
    offered = [(int(i), int(j), float(prior.crossing_LL[i, j])) for i, j in offers]
    return Evidence(
        name=NAME,
        digest=digest_of([library.digest, [found_family(hit, library.release) for hit in hits]]),
        offered=tuple(sorted(offered, key=lambda offer: -offer[2])),
        bonus_LL=bonus_LL,
    )


def found_family(hit: "FamilyHit", release: str) -> FamilyFound:
    """A hit as results state it."""
    return FamilyFound(
        accession=hit.accession,
        name=hit.name,
        evalue=float(f"{hit.evalue:.3g}"),
        first=hit.query[0] + 1,
        last=hit.query[1],
        query_coverage=round(hit.query_coverage, 3),
        model_coverage=round(hit.model_coverage, 3),
        release=release,
    )


def stated_families(sequence: RnaSequence, config: StageAConfig) -> tuple[FamilyFound, ...]:
    """The sequence's hits as results state them, each in the log as well."""
    hits = find_families(sequence.sequence, config)
    if not hits:
        return ()
    release = _library(config.family_library).release
    found = tuple(found_family(hit, release) for hit in hits)
    for one in found:
        logger.info("%s: %s", sequence.id, one.sentence)
    return found


def family_a3m(sequence: RnaSequence, config: StageAConfig) -> str:
    """The families' seed rows on the sequence, as an a3m file; without a hit the sequence alone."""
    hits = find_families(sequence.sequence, config)
    if not hits:
        return f">{sequence.id}\n{sequence.sequence}\n"
    from rna_predict.families.msa import a3m_text, family_rows

    library = _library(config.family_library)
    said = "; ".join(found_family(hit, library.release).sentence for hit in hits)
    return a3m_text(family_rows(sequence, hits, library), said)


def family_alignment(sequence: RnaSequence, config: StageAConfig) -> Alignment | None:
    """The same in memory; None without a hit, as a sequence alone says no more than itself."""
    if not find_families(sequence.sequence, config):
        return None
    from rna_predict.formats.alignment import parse_a3m

    return parse_a3m(family_a3m(sequence, config), sequence, source=f"stage A's family alignment of {sequence.id}")


def family_json(adjacency: Adjacency) -> dict[str, object]:
    """What `a_family.json` holds: the families of a result, and whether they took part in its pairs."""
    used = NAME in adjacency.provenance.inputs
    return {"id": adjacency.id, "used": used, "families": [found._asdict() for found in adjacency.families]}


def write_family(adjacency: Adjacency, config: StageAConfig, a3m: Path, statement: Path) -> None:
    """Write the families' alignment and what was found; both are there without a hit as well.

    Args:
        adjacency: the result that they belong to.
        config: that it was made with.
        a3m: `a_family.a3m`.
        statement: `a_family.json`.
    """
    sequence = adjacency.rna
    texts = {a3m: family_a3m(sequence, config), statement: json.dumps(family_json(adjacency), indent=1) + "\n"}
    for path, text in texts.items():
        with atomic_path(path) as temporary:
            temporary.write_text(text, encoding="utf-8", newline="\n")
