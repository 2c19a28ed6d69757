"""Stage D: N models around stage C's, ranked, with confidence."""

import dataclasses
from collections.abc import Callable

import numpy as np

from rna_predict import __version__
from rna_predict.contracts import (
    Adjacency,
    Coordinates,
    Embeddings,
    Ensemble,
    Model,
    Provenance,
    RnaSequence,
    digest_of,
    require_same_rna,
)
from rna_predict.stage_d_diffusion.config import StageDConfig
from rna_predict.stage_d_diffusion.heuristic_confidence import heuristic_confidence
from rna_predict.stage_d_diffusion.ranking import ranking_score
from rna_predict.stage_d_diffusion.sampling import draw_samples


def sample_ensemble(
    sequence: RnaSequence,
    adjacency: Adjacency,
    embeddings: Embeddings,
    coordinates: Coordinates,
    config: StageDConfig,
) -> Ensemble:
    """Sample, rank and judge models of one RNA.

    Raises:
        ContractError: an input was made for another RNA.
        PredictionError: no sampled model is a whole molecule.
    """
    require_same_rna(sequence, adjacency, embeddings, coordinates)
    return BACKENDS[config.backend](adjacency, embeddings, coordinates, config)


def _analytic(adjacency: Adjacency, embeddings: Embeddings, coordinates: Coordinates, config: StageDConfig) -> Ensemble:
    """The baseline: an analytic denoiser, heuristic confidence, no learned weights."""
    samples = draw_samples(adjacency, embeddings, coordinates, config)
    xyz_SLA3 = np.stack([sample.xyz_LA3 for sample in samples])
    judged = zip(samples, heuristic_confidence(xyz_SLA3, adjacency, embeddings), strict=True)
    models = [
        Model(
            xyz_LA3=sample.xyz_LA3,
            plddt_LA=confidence.plddt_LA,
            pae_LL=confidence.pae_LL,
            pde_LL=confidence.pde_LL,
            ptm=confidence.ptm,
            ranking_score=ranking_score(sample, adjacency.length),
            seed=sample.seed,
            terms=sample.terms,
        )
        for sample, confidence in judged
    ]
    return Ensemble(
        id=adjacency.id,
        sequence=adjacency.sequence,
        confidence_kind="heuristic",
        models=tuple(sorted(models, key=lambda model: -model.ranking_score)),
        provenance=Provenance(
            method="analytic baseline, no learned weights",
            package_version=__version__,
            inputs={
                "a_adjacency": adjacency.digest(),
                "b_embeddings": embeddings.digest(),
                "c_coordinates": coordinates.digest(),
            },
            config=digest_of(dataclasses.asdict(config)),
        ),
    )


Backend = Callable[[Adjacency, Embeddings, Coordinates, StageDConfig], Ensemble]

BACKENDS: dict[str, Backend] = {"analytic": _analytic}
"""Backends by the name in `StageDConfig.backend`; a learned denoiser takes its place here."""
