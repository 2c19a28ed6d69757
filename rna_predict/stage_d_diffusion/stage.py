"""Stage D: N models of one RNA, ranked, with confidence."""

import dataclasses
from collections.abc import Callable

from rna_predict import __version__
from rna_predict.contracts import Ensemble, Model, Provenance, RnaSequence, digest_of
from rna_predict.contracts.record import UNTRAINED
from rna_predict.stage_d_diffusion.config import StageDConfig
from rna_predict.stage_d_diffusion.inputs import StageDInputs
from rna_predict.stage_d_diffusion.judged import Judged


def sample_ensemble(sequence: RnaSequence, inputs: StageDInputs, config: StageDConfig) -> Ensemble:
    """Sample, rank and judge models of one RNA.

    Raises:
        ContractError: an input was made for another RNA, or stage B's embeddings by other weights than stage D's.
        ConfigError: the networks' device or profile cannot be used.
        WeightsError: the weights file or the partial checkpoint is refused.
        PredictionError: no sampled model is a whole molecule.
    """
    inputs.check(sequence)
    judged = BACKENDS[config.backend](inputs, config)
    models = [
        Model(
            xyz_LA3=sample.xyz_LA3,
            plddt_LA=confidence.plddt_LA,
            pae_LL=confidence.pae_LL,
            pde_LL=confidence.pde_LL,
            ptm=confidence.ptm,
            ranking_score=score,
            seed=sample.seed,
            terms=sample.terms | ({} if sample.drift is None else {"drift": sample.drift}),
        )
        for sample, confidence, score in zip(judged.samples, judged.confidences, judged.scores, strict=True)
    ]
    return Ensemble(
        id=inputs.id,
        sequence=inputs.sequence,
        breaks=inputs.adjacency.breaks,
        confidence_kind=judged.confidence_kind,
        models=tuple(sorted(models, key=lambda model: -model.ranking_score)),
        provenance=Provenance(
            method=_method(inputs, judged),
            package_version=__version__,
            inputs=inputs.digests(),
            config=digest_of(dataclasses.asdict(config)),
            weights=judged.weights,
        ),
    )


def _method(inputs: StageDInputs, judged: Judged) -> str:
    """How the models were made; random weights and partial checkpoints upstream are not forgotten."""
    upstream = (inputs.torsions.provenance, inputs.embeddings.provenance)
    method = judged.method
    for partial in sorted({each.partial for each in upstream if each.partial not in method}):
        method += f"; {partial} in stage B"
    if any(each.untrained for each in upstream) and UNTRAINED not in method:
        method = f"{UNTRAINED} in stage B; {method}"
    return method


def _analytic(inputs: StageDInputs, config: StageDConfig) -> Judged:
    from rna_predict.stage_d_diffusion.analytic_backend import analytic_models

    return analytic_models(inputs, config)


def _diffusion(inputs: StageDInputs, config: StageDConfig) -> Judged:
    from rna_predict.stage_d_diffusion.diffusion_backend import diffusion_models

    return diffusion_models(inputs, config)


Backend = Callable[[StageDInputs, StageDConfig], Judged]

BACKENDS: dict[str, Backend] = {"analytic": _analytic, "diffusion": _diffusion}
"""Backends by the name in `StageDConfig.backend`; each is imported when it is used."""
