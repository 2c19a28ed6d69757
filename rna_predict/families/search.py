"""Which families a sequence holds: profile search with pyhmmer on the forward strand.

HMMER's pipeline: the MSV, bias and Viterbi filters, then the forward score and its domains (Eddy 2011, PLoS Comput
Biol 7:e1002195). E-values are for one sequence against all families of the library, also where many sequences are
searched at once, so that both ways give the same hits.
"""

import functools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pyhmmer.easel import DigitalSequence, DigitalSequenceBlock, TextSequence
from pyhmmer.plan7 import HMM, Background, Hit, OptimizedProfileBlock, Pipeline, Profile

from rna_predict.errors import ConfigError
from rna_predict.families.library import FamilyLibrary
from rna_predict.families.profile import RNA, open_profile

WEAK = 10.0
"""Largest E-value of a further domain that is joined to a hit of the same family, in line with it."""
MAX_OVERLAP = 0.2
"""Two hits exclude each other when they share more than this part of the shorter one's residues."""


@dataclass(kw_only=True)
class SearchSettings:
    """What counts as a hit."""

    evalue: float = 1e-3
    """Largest E-value of a hit."""
    min_coverage: float = 0.0
    """Least share of the profile's match states that a hit spans."""
    exclude: tuple[str, ...] = ()
    """Accessions of families that are left out of the search."""
    overlapping: bool = False
    """Whether hits on the same residues are all kept, and not the best alone: they tell which families are kin."""

    def __post_init__(self) -> None:
        """Raise ConfigError for a value that means nothing."""
        if not (math.isfinite(self.evalue) and self.evalue > 0):
            raise ConfigError(f"families: evalue {self.evalue} must be above 0.")
        if not 0 <= self.min_coverage <= 1:
            raise ConfigError(f"families: min_coverage {self.min_coverage} is outside 0 … 1.")


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyHit:
    """A family found in a sequence. Ranges are 0-based, the end excluded; a range of the model counts match states.

    Attributes:
        accession: Rfam's.
        name: the family's.
        clan: accession of its clan, or empty.
        evalue: expected number of hits this good among the library's families in a random sequence.
        score: bits.
        query: first residue and the one after the last.
        model: first match state and the one after the last.
        model_length: number of match states.
        query_length: residues of the sequence.
    """

    accession: str
    name: str
    clan: str
    evalue: float
    score: float
    query: tuple[int, int]
    model: tuple[int, int]
    model_length: int
    query_length: int

    @property
    def model_coverage(self) -> float:
        """Share of the profile's match states within the hit."""
        return (self.model[1] - self.model[0]) / self.model_length

    @property
    def query_coverage(self) -> float:
        """Share of the sequence within the hit."""
        return (self.query[1] - self.query[0]) / self.query_length


def search(sequence: str, library: FamilyLibrary, settings: SearchSettings | None = None) -> tuple[FamilyHit, ...]:
    """The families of one sequence, best first; of hits that overlap the better one alone.

    Args:
        sequence: letters A C G U; any other letter counts as unknown.
        library: the families.
        settings: what counts as a hit.
    """
    settings = settings or SearchSettings()
    hits = _pipeline(len(library.families)).scan_seq(_digital("0", sequence), _optimised(library))
    found = [one for hit in hits for one in _chains(hit, hit.name, library, len(sequence))]
    return choose(found, settings)


def search_many(
    sequences: Sequence[str], library: FamilyLibrary, settings: SearchSettings | None = None
) -> list[tuple[FamilyHit, ...]]:
    """`search` for each of many sequences, faster: each profile is searched against all of them."""
    settings = settings or SearchSettings()
    block = DigitalSequenceBlock(RNA, [_digital(str(n), letters) for n, letters in enumerate(sequences)])
    found: list[list[FamilyHit]] = [[] for _ in sequences]
    if not sequences:
        return []
    pipeline = _pipeline(len(library.families))
    for hmm in _profiles(library):
        for hit in pipeline.search_hmm(hmm, block):
            number = int(hit.name)
            found[number] += _chains(hit, hmm.name, library, len(sequences[number]))
        pipeline.clear()
    return [choose(hits, settings) for hits in found]


def choose(hits: Sequence[FamilyHit], settings: SearchSettings) -> tuple[FamilyHit, ...]:
    """Hits within the settings' limits that do not overlap, best first."""
    chosen: list[FamilyHit] = []
    for hit in sorted(hits, key=lambda one: (one.evalue, -one.score, one.accession, one.query)):
        within = hit.evalue <= settings.evalue and hit.model_coverage >= settings.min_coverage
        free = settings.overlapping or not any(_overlap(hit, other) for other in chosen)
        if within and free and hit.accession not in settings.exclude:
            chosen.append(hit)
    return tuple(chosen)


def _overlap(first: FamilyHit, second: FamilyHit) -> bool:
    shared = min(first.query[1], second.query[1]) - max(first.query[0], second.query[0])
    shorter = min(first.query[1] - first.query[0], second.query[1] - second.query[0])
    return shared > MAX_OVERLAP * shorter


@dataclass(frozen=True, slots=True)
class _Part:
    """One domain as HMMER found it."""

    evalue: float
    score: float
    query: tuple[int, int]
    model: tuple[int, int]

    def precedes(self, other: "_Part") -> bool:
        """Whether `other` can follow in one alignment: both ends move on, in sequence and model."""
        return all(
            mine[0] < theirs[0] and mine[1] < theirs[1] and mine[1] <= (theirs[0] + theirs[1]) / 2
            for mine, theirs in ((self.query, other.query), (self.model, other.model))
        )


def _chains(hit: Hit, accession: str, library: FamilyLibrary, length: int) -> Iterator[FamilyHit]:
    """One hit for each run of domains that are in line with one another."""
    parts = []
    for domain in hit.domains:
        if domain.i_evalue > WEAK:
            continue
        aligned = domain.alignment
        query, model = (aligned.target_from - 1, aligned.target_to), (aligned.hmm_from - 1, aligned.hmm_to)
        parts.append(_Part(domain.i_evalue, domain.score, query, model))
    parts.sort(key=lambda part: part.query)
    runs: list[list[_Part]] = []
    for part in parts:
        if runs and runs[-1][-1].precedes(part):
            runs[-1].append(part)
        else:
            runs.append([part])
    family = library.families[library.number[accession]]
    for run in runs:
        yield FamilyHit(
            accession=accession,
            name=family.name,
            clan=family.clan,
            evalue=min(part.evalue for part in run),
            score=max(part.score for part in run),
            query=(run[0].query[0], run[-1].query[1]),
            model=(run[0].model[0], run[-1].model[1]),
            model_length=family.length,
            query_length=length,
        )


def _digital(name: str, sequence: str) -> DigitalSequence:
    letters = "".join(letter if letter in "ACGU" else "N" for letter in sequence)
    return TextSequence(name=name, sequence=letters).digitize(RNA)


def _pipeline(families: int) -> Pipeline:
    return Pipeline(RNA, background=Background(RNA), Z=families, domZ=families, E=WEAK, domE=WEAK)


@functools.lru_cache(maxsize=2)
def _profiles(library: FamilyLibrary) -> tuple[HMM, ...]:
    named = zip(library.families, library.codes, strict=True)
    return tuple(open_profile(family.accession, codes) for family, codes in named)


@functools.lru_cache(maxsize=2)
def _optimised(library: FamilyLibrary) -> OptimizedProfileBlock:
    background = Background(RNA)
    block = OptimizedProfileBlock(RNA)
    for hmm in _profiles(library):
        profile = Profile(hmm.M, RNA)
        profile.configure(hmm, background, 100)
        block.append(profile.to_optimized())
    return block
