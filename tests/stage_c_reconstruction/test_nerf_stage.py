import numpy as np
import pytest
import torch

from rna_predict.contracts import Coordinates, Provenance, RnaSequence, Torsions
from rna_predict.contracts.structure import full_mask
from rna_predict.errors import ContractError, PredictionError
from rna_predict.geometry.numpy_measures import measure_pucker, measure_torsions, wrap
from rna_predict.stage_c_reconstruction.nerf import build_from_torsions, rebuild

SEQUENCE = RnaSequence(id="loop", sequence="GGCUUCGGCC")


def some_torsions(**changes: np.ndarray) -> Torsions:
    rng = np.random.default_rng(11)
    length = len(SEQUENCE.sequence)
    mask = np.ones((length, 7), dtype=bool)
    mask[0, 0] = mask[-1, 4] = mask[-1, 5] = False
    arrays = {
        "angle_L7": (rng.uniform(-3.1, 3.1, (length, 7)) * mask).astype(np.float32),
        "mask_L7": mask,
        "concentration_L7": np.ones((length, 7), dtype=np.float32),
        "pucker_phase_L": rng.uniform(-3.1, 3.1, length).astype(np.float32),
        "pucker_amplitude_L": np.full(length, 0.66, dtype=np.float32),
        "pucker_concentration_L": np.ones(length, dtype=np.float32),
    } | changes
    provenance = Provenance(method="prior-table", package_version="0.1.0")
    return Torsions(id=SEQUENCE.id, sequence=SEQUENCE.sequence, provenance=provenance, **arrays)


def test_the_contracts_torsions_and_puckers_are_in_the_model():
    torsions = some_torsions()
    xyz = rebuild(SEQUENCE, torsions)
    assert xyz.dtype == np.float32
    mask = full_mask(SEQUENCE.sequence)
    found, defined = measure_torsions(xyz.astype(float), mask, SEQUENCE.sequence)
    np.testing.assert_array_equal(defined, torsions.mask_L7)
    given = defined & (np.arange(7) != 3)
    assert np.abs(wrap(found - torsions.angle_L7))[given].max() < 1e-4
    phase, amplitude, _ = measure_pucker(xyz.astype(float), mask, SEQUENCE.sequence)
    assert np.degrees(np.abs(wrap(phase - torsions.pucker_phase_L))).max() < 0.2
    assert np.degrees(np.abs(amplitude - 0.66)).max() < 0.3


def test_the_model_passes_the_contract_of_stage_c():
    xyz = rebuild(SEQUENCE, some_torsions())
    provenance = Provenance(method="nerf", package_version="0.1.0")
    built = np.zeros(len(xyz), dtype=np.uint8)
    model = Coordinates(id=SEQUENCE.id, sequence=SEQUENCE.sequence, provenance=provenance, xyz_LA3=xyz, built_L=built)
    assert model.structure().mask_LA.sum() == sum({"A": 22, "G": 23, "C": 20, "U": 20}[x] for x in SEQUENCE.sequence)


def test_a_changed_torsion_changes_the_model():
    torsions = some_torsions()
    angle = torsions.angle_L7.copy()
    angle[4, 1] += 0.2
    assert np.abs(rebuild(SEQUENCE, some_torsions(angle_L7=angle)) - rebuild(SEQUENCE, torsions)).max() > 0.5


def test_a_torsion_masked_out_inside_the_chain_is_refused():
    mask, angle = some_torsions().mask_L7.copy(), some_torsions().angle_L7.copy()
    mask[5, 2], angle[5, 2] = False, 0.0
    with pytest.raises(ContractError, match="gamma of residue 6"):
        rebuild(SEQUENCE, some_torsions(mask_L7=mask, angle_L7=angle))


def test_another_sequence_and_an_impossible_amplitude_are_refused():
    with pytest.raises(ContractError, match="another sequence"):
        rebuild(RnaSequence(id="loop", sequence="GGCUUCGGCA"), some_torsions())
    wide = np.full(len(SEQUENCE.sequence), 1.2, dtype=np.float32)
    with pytest.raises(PredictionError, match=r"1\.20 rad"):
        rebuild(SEQUENCE, some_torsions(pucker_amplitude_L=wide))


def test_delta_follows_the_pucker_whatever_the_column_says():
    torsions = some_torsions()
    angles = torch.from_numpy(torsions.angle_L7.copy())
    phase, amplitude = (torch.from_numpy(x.copy()) for x in (torsions.pucker_phase_L, torsions.pucker_amplitude_L))
    other = angles.clone()
    other[:, 3] = 1.0
    first, second = (build_from_torsions(SEQUENCE.sequence, x, phase, amplitude) for x in (angles, other))
    assert torch.equal(first, second)
