"""What a report is made of: one RNA's results as the stages left them, and RNAs without a result with the reason."""

from dataclasses import dataclass

from rna_predict.contracts import Adjacency, Ensemble, Model, Provenance, alternatives_of
from rna_predict.contracts.templates import Motif, TemplateHit
from rna_predict.report.costs import Cost


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """Which path a stage took, and on which weights."""

    stage: str
    provenance: Provenance


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """One RNA that was predicted.

    Attributes:
        ensemble: stage D's models, best first.
        adjacency: stage A's pairs and probabilities, of the same sequence.
        made: the stages in the order in which they ran.
        templates: known structures that were threaded onto it, the best first.
        loops: known loops that stand for its own, the most trusted first.
        known: what stage A found of its family and of known stretches, a sentence each.
        costs: its jobs, in the order in which they ran; none where nobody measured them.
        notices: what the reader has to know of this RNA, e.g. that a file could not be read.
    """

    ensemble: Ensemble
    adjacency: Adjacency
    made: tuple[Made, ...]
    templates: tuple[TemplateHit, ...] = ()
    loops: tuple[Motif, ...] = ()
    known: tuple[str, ...] = ()
    costs: tuple[Cost, ...] = ()
    notices: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """Its name."""
        return self.ensemble.id

    def structure_of(self, model: Model) -> Adjacency:
        """The secondary structure that a model is of: stage A's first, or one of its alternatives."""
        place = int(model.terms.get("alternative", 0))
        return alternatives_of(self.adjacency)[place - 1] if place else self.adjacency

    @property
    def sequence(self) -> str:
        """Its letters."""
        return self.ensemble.sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """One RNA without a result.

    Attributes:
        id: its name.
        stage: the job that failed, as its log file is called; empty where none is known.
        reason: what that job said last.
        failed: False where no error is known: it was never begun, is at work, or its job was killed.
    """

    id: str
    stage: str
    reason: str
    failed: bool = True
