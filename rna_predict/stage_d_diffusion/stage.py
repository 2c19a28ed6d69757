"""Stage D: N models around stage C's, ranked, with confidence."""

import dataclasses
from collections.abc import Callable

import torch

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
from rna_predict.energy.stems import stem_bodies
from rna_predict.stage_d_diffusion.analytic import AnalyticDenoiser, energy_model, scattered
from rna_predict.stage_d_diffusion.config import StageDConfig
from rna_predict.stage_d_diffusion.heuristic_confidence import heuristic_confidence
from rna_predict.stage_d_diffusion.ranking import model_report, ranking_scores, sound
from rna_predict.stage_d_diffusion.sampler import noise_schedule, sample


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
    model, start = energy_model(adjacency, embeddings, coordinates, config)
    seeds = [config.seed + k for k in range(config.models)]
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    pose = scattered(start, stem_bodies(adjacency.partner_L), config, generators)
    denoiser = AnalyticDenoiser(model=model, pose=pose, config=config)
    levels = noise_schedule(config.sigma_start, config.sigma_end, config.steps, config.rho)
    sample(denoiser, pose.atoms(model.shape), levels, config.churn, generators)
    xyz_SLA3 = denoiser.finish(lambda xyz: model_report(adjacency.sequence, xyz.numpy()).settled).numpy()
    kept = sound(adjacency.id, adjacency.sequence, xyz_SLA3)
    xyz_SLA3 = xyz_SLA3[kept]
    terms = {name: value[kept].tolist() for name, value in denoiser.terms().items()}
    confidence = heuristic_confidence(xyz_SLA3, adjacency, embeddings)
    scores = ranking_scores(xyz_SLA3, terms, adjacency)
    models = [
        Model(
            xyz_LA3=xyz_SLA3[k],
            plddt_LA=confidence[k].plddt_LA,
            pae_LL=confidence[k].pae_LL,
            pde_LL=confidence[k].pde_LL,
            ptm=confidence[k].ptm,
            ranking_score=scores[k],
            seed=seeds[index],
            terms={name: float(values[k]) for name, values in terms.items()},
        )
        for k, index in enumerate(kept)
    ]
    return Ensemble(
        id=adjacency.id,
        sequence=adjacency.sequence,
        confidence_kind="heuristic",
        models=tuple(sorted(models, key=lambda m: -m.ranking_score)),
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
