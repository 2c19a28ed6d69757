"""Stage D: N models around stage C's, ranked, with confidence."""

import dataclasses
from collections.abc import Callable

import numpy as np

from rna_predict import __version__
from rna_predict.contracts import Ensemble, Model, Provenance, RnaSequence, digest_of
from rna_predict.stage_d_diffusion.config import StageDConfig
from rna_predict.stage_d_diffusion.heuristic_confidence import heuristic_confidence
from rna_predict.stage_d_diffusion.inputs import StageDInputs
from rna_predict.stage_d_diffusion.ranking import ranking_score
from rna_predict.stage_d_diffusion.sampling import draw_samples


def sample_ensemble(sequence: RnaSequence, inputs: StageDInputs, config: StageDConfig) -> Ensemble:
    """Sample, rank and judge models of one RNA.

    Raises:
        ContractError: an input was made for another RNA.
        PredictionError: no sampled model is a whole molecule.
    """
    inputs.check(sequence)
    return BACKENDS[config.backend](inputs, config)


def _analytic(inputs: StageDInputs, config: StageDConfig) -> Ensemble:
    """The baseline: an analytic denoiser, heuristic confidence, no learned weights."""
    samples = draw_samples(inputs, config)
    xyz_SLA3 = np.stack([sample.xyz_LA3 for sample in samples])
    judged = zip(samples, heuristic_confidence(xyz_SLA3, inputs.adjacency, inputs.embeddings), strict=True)
    models = [
        Model(
            xyz_LA3=sample.xyz_LA3,
            plddt_LA=confidence.plddt_LA,
            pae_LL=confidence.pae_LL,
            pde_LL=confidence.pde_LL,
            ptm=confidence.ptm,
            ranking_score=ranking_score(sample, len(inputs.sequence)),
            seed=sample.seed,
            terms=sample.terms,
        )
        for sample, confidence in judged
    ]
    return Ensemble(
        id=inputs.id,
        sequence=inputs.sequence,
        confidence_kind="heuristic",
        models=tuple(sorted(models, key=lambda model: -model.ranking_score)),
        provenance=Provenance(
            method="analytic baseline, no learned weights",
            package_version=__version__,
            inputs=inputs.digests(),
            config=digest_of(dataclasses.asdict(config)),
        ),
    )


Backend = Callable[[StageDInputs, StageDConfig], Ensemble]

BACKENDS: dict[str, Backend] = {"analytic": _analytic}
"""Backends by the name in `StageDConfig.backend`; a learned denoiser takes its place here."""
