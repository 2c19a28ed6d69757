"""Random and helical RNAs to measure energies on."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from rna_predict.energy.pose import Pose
from rna_predict.geometry.frames import Frame
from rna_predict.geometry.helix import stem_frames
from rna_predict.geometry.nucleotide import NucleotideShape, nucleotide_shape

Sample = tuple[NucleotideShape, Pose]


def shape_of(sequence: str) -> NucleotideShape:
    return nucleotide_shape(
        sequence,
        torch.full((len(sequence),), math.radians(18.0), dtype=torch.float64),
        torch.full((len(sequence),), math.radians(38.0), dtype=torch.float64),
    )


@pytest.fixture(scope="session")
def a_strand() -> Callable[[str, int, float], Sample]:
    """S single strands stacked as in A-form, float64; `noise` in Å and about as much by torsions and turns."""

    def make(sequence: str, samples: int = 1, noise: float = 0.0) -> Sample:
        rng = np.random.default_rng(len(sequence) + samples)
        frame, _ = stem_frames(sequence, sequence)
        turn = Rotation.from_rotvec(rng.normal(size=(samples * len(sequence), 3)) * noise * 0.2).as_matrix()
        turn = torch.from_numpy(turn).reshape(samples, len(sequence), 3, 3)
        shift = torch.from_numpy(rng.normal(size=(samples, len(sequence), 3))) * noise
        torsion = torch.tensor([-161.0, 54.0, 174.0, -65.0], dtype=torch.float64).deg2rad()
        torsion = torsion + torch.from_numpy(rng.normal(size=(samples, len(sequence), 4))) * noise * 0.3
        pose = Pose(rotation_SL33=frame.rotation @ turn, origin_SL3=frame.origin + shift, torsion_SL4=torsion)
        return shape_of(sequence), pose

    return make


@pytest.fixture(scope="session")
def some_motion() -> Frame:
    """A turn and a shift of the whole molecule."""
    rotation = Rotation.random(rng=np.random.default_rng(8)).as_matrix()
    return Frame(torch.from_numpy(rotation), torch.tensor([12.0, -30.0, 7.0], dtype=torch.float64))
