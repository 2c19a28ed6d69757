"""The whole prediction in one process: a sequence goes in, four stages follow one another, ranked models come out.

Start reading here. The workflow (Snakefile) makes the same four calls, one job each, with files in between; what
crosses from stage to stage is in `contracts/`, what each stage does in its own folder's `stage.py`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from rna_predict.contracts import Adjacency, Coordinates, Embeddings, Ensemble, RnaSequence, TemplateHits, Torsions
from rna_predict.contracts.alignment import Alignment
from rna_predict.contracts.given import GivenStructure
from rna_predict.contracts.reactivity import Reactivity
from rna_predict.stage_a_adjacency.config import StageAConfig
from rna_predict.stage_a_adjacency.family import family_alignment
from rna_predict.stage_a_adjacency.stage import predict_adjacency
from rna_predict.stage_b_torsion.config import StageBConfig
from rna_predict.stage_b_torsion.stage import predict_torsions
from rna_predict.stage_c_reconstruction.config import StageCConfig
from rna_predict.stage_c_reconstruction.stage import reconstruct
from rna_predict.stage_d_diffusion.config import StageDConfig
from rna_predict.stage_d_diffusion.inputs import StageDInputs
from rna_predict.stage_d_diffusion.stage import sample_ensemble
from rna_predict.templates.config import TemplatesConfig
from rna_predict.templates.stage import find_templates


@dataclass(kw_only=True)
class PipelineConfig:
    """Settings of the four stages and of the search for templates."""

    stage_a: StageAConfig = field(default_factory=StageAConfig)
    templates: TemplatesConfig = field(default_factory=TemplatesConfig)
    stage_b: StageBConfig = field(default_factory=StageBConfig)
    stage_c: StageCConfig = field(default_factory=StageCConfig)
    stage_d: StageDConfig = field(default_factory=StageDConfig)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """What each stage made of one RNA; the answer is `ensemble`, best model first."""

    sequence: RnaSequence
    adjacency: Adjacency
    templates: TemplateHits
    torsions: Torsions
    embeddings: Embeddings
    coordinates: Coordinates
    ensemble: Ensemble


def predict(
    sequence: RnaSequence,
    config: PipelineConfig,
    given: GivenStructure | None = None,
    on_stage: Callable[[str], None] | None = None,
    alignment: Alignment | None = None,
    reactivity: Reactivity | None = None,
) -> Prediction:
    """Predict the structure of one RNA.

    Args:
        sequence: the RNA.
        config: settings of the four stages.
        given: a secondary structure to keep to.
        on_stage: called with a few words before each stage, for progress.
        alignment: of the RNA's homologs, which stage B's trunk reads; without it the trunk reads the alignment of the
            families that stage A found.
        reactivity: chemical probing of the RNA, which stage A folds under.

    Raises:
        PredictionError: a stage could not produce a result that passes its own checks.
    """
    say = on_stage or (lambda words: None)

    say("A: base pairs")
    adjacency = predict_adjacency(sequence, config.stage_a, given, reactivity, config.templates)

    say("templates")
    templates = find_templates(adjacency, config.templates)

    say("B: torsions")
    if alignment is None and config.stage_b.reads_family:
        alignment = family_alignment(sequence, config.stage_a)
    torsions, embeddings = predict_torsions(sequence, adjacency, config.stage_b, alignment, templates)

    say("C: coordinates")
    coordinates = reconstruct(sequence, adjacency, torsions, config.stage_c, embeddings, templates)

    say("D: ensemble")
    inputs = StageDInputs(adjacency=adjacency, torsions=torsions, embeddings=embeddings, coordinates=coordinates)
    ensemble = sample_ensemble(sequence, inputs, config.stage_d)

    return Prediction(
        sequence=sequence,
        adjacency=adjacency,
        templates=templates,
        torsions=torsions,
        embeddings=embeddings,
        coordinates=coordinates,
        ensemble=ensemble,
    )
