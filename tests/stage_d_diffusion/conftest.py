"""A hairpin's records up to stage C, made once with few iterations."""

from dataclasses import dataclass

import numpy as np
import pytest

from rna_predict.contracts import Adjacency, Coordinates, Embeddings, Ensemble, Provenance, RnaSequence, Torsions
from rna_predict.evaluation.geometry_report import model_report
from rna_predict.formats.dot_bracket import from_dot_bracket
from rna_predict.stage_b_torsion.config import StageBConfig
from rna_predict.stage_b_torsion.stage import predict_torsions
from rna_predict.stage_c_reconstruction.config import StageCConfig
from rna_predict.stage_c_reconstruction.stage import reconstruct
from rna_predict.stage_d_diffusion.config import StageDConfig
from rna_predict.stage_d_diffusion.inputs import StageDInputs
from rna_predict.stage_d_diffusion.judged import Sample
from rna_predict.stage_d_diffusion.stage import sample_ensemble


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """What stage D takes, and the RNA."""

    sequence: RnaSequence
    adjacency: Adjacency
    torsions: Torsions
    embeddings: Embeddings
    coordinates: Coordinates

    def records(self) -> StageDInputs:
        return StageDInputs(
            adjacency=self.adjacency, torsions=self.torsions, embeddings=self.embeddings, coordinates=self.coordinates
        )


@pytest.fixture(scope="session")
def hairpin() -> Inputs:
    letters = "GGGCUUCGGCCC"
    partner_L = np.asarray(from_dot_bracket("((((....))))")).astype(np.int32)
    probability_LL = np.zeros((12, 12), dtype=np.float32)
    for (i, j), value in zip([(0, 11), (1, 10), (2, 9), (3, 8)], (0.95, 0.95, 0.9, 0.85), strict=True):
        probability_LL[i, j] = probability_LL[j, i] = value
    sequence = RnaSequence(id="probe", sequence=letters)
    adjacency = Adjacency(
        id="probe",
        sequence=letters,
        provenance=Provenance(method="test", package_version="0"),
        probability_LL=probability_LL,
        partner_L=partner_L,
    )
    torsions, embeddings = predict_torsions(sequence, adjacency, StageBConfig(backend="prior-table"))
    quick = StageCConfig(starts=2, kept=1, steps_open=40, steps_closing=40, steps_closed=80, steps_polish=80)
    coordinates = reconstruct(sequence, adjacency, torsions, quick)
    return Inputs(
        sequence=sequence, adjacency=adjacency, torsions=torsions, embeddings=embeddings, coordinates=coordinates
    )


@pytest.fixture(scope="session")
def quick() -> StageDConfig:
    """Few models and iterations."""
    return StageDConfig(models=3, steps=3, iterations=6, refine_iterations=100)


@pytest.fixture(scope="session")
def ensemble(hairpin: Inputs, quick: StageDConfig) -> Ensemble:
    return sample_ensemble(hairpin.sequence, hairpin.records(), quick)


@pytest.fixture(scope="session")
def ensemble_sample(hairpin: Inputs) -> Sample:
    """A sound model with its report."""
    xyz_LA3 = hairpin.coordinates.xyz_LA3
    report = model_report(hairpin.sequence.sequence, xyz_LA3)
    return Sample(xyz_LA3=xyz_LA3, seed=0, terms={"link": 12.0}, report=report)
