"""The ensemble end to end: sound models, ranked and judged, and every input felt."""

import dataclasses

import numpy as np
import pytest

from rna_predict.chemistry.residues import C1, MAX_ATOMS, SLOT
from rna_predict.contracts import DISTOGRAM_EDGES, RnaSequence
from rna_predict.contracts.structure import full_mask, whole_structure
from rna_predict.energy.priors import distance_priors
from rna_predict.errors import ConfigError, ContractError, PredictionError
from rna_predict.evaluation.annotation import annotate_pairs, share_formed
from rna_predict.evaluation.geometry_report import geometry_report
from rna_predict.stage_d_diffusion import analytic_backend
from rna_predict.stage_d_diffusion.config import StageDConfig
from rna_predict.stage_d_diffusion.heuristic_confidence import (
    aligned_error,
    expected_distance_error,
    expected_lddt,
    heuristic_confidence,
    pair_certainty,
    predicted_tm,
)
from rna_predict.stage_d_diffusion.judged import Sample
from rna_predict.stage_d_diffusion.stage import sample_ensemble

TINY = StageDConfig(models=2, steps=2, iterations=4, refine_iterations=100, distance_weight=0.2)


def run(inputs, config: StageDConfig = TINY):
    return sample_ensemble(inputs.sequence, inputs.records(), config)


@pytest.fixture(scope="module")
def tiny(hairpin):
    return run(hairpin)


def by_seed(ensemble) -> dict[int, np.ndarray]:
    return {model.seed: model.xyz_LA3 for model in ensemble.models}


def test_every_model_is_a_sound_molecule_with_its_pairs_formed(ensemble):
    for rank in range(len(ensemble.models)):
        structure = ensemble.structure(rank)
        report = geometry_report(structure)
        assert report.faults == ""
        assert report.atoms_missing == 0
        assert report.bonds.bond_max < 0.06
        assert share_formed(annotate_pairs(structure), [(0, 11), (1, 10), (2, 9), (3, 8)]) >= 0.75


def test_models_are_ranked_by_their_energy_and_differ(ensemble, quick, hairpin):
    assert len(ensemble.models) == quick.models
    assert sorted(model.seed for model in ensemble.models) == [0, 1, 2]
    scores = [model.ranking_score for model in ensemble.models]
    assert scores == sorted(scores, reverse=True)
    energies = [sum(model.terms.values()) for model in ensemble.models]
    assert energies == sorted(energies)
    assert scores == pytest.approx([-energy / 12 for energy in energies])
    mask = full_mask(hairpin.sequence.sequence)
    for i in range(3):
        for j in range(i):
            off = np.linalg.norm(ensemble.models[i].xyz_LA3 - ensemble.models[j].xyz_LA3, axis=-1)[mask]
            assert off.mean() > 0.05


def test_the_ensemble_says_how_it_was_made(ensemble, tiny, hairpin):
    assert ensemble.confidence_kind == "heuristic"
    assert ensemble.provenance.method == f"analytic energy; distances: {hairpin.embeddings.provenance.method}"
    assert ensemble.provenance.weights == "none"
    assert ensemble.provenance.inputs == {
        "a_adjacency": hairpin.adjacency.digest(),
        "b_torsions": hairpin.torsions.digest(),
        "b_embeddings": hairpin.embeddings.digest(),
        "c_coordinates": hairpin.coordinates.digest(),
    }
    assert ensemble.provenance.config != tiny.provenance.config


def test_the_same_inputs_repeat_every_model_bit_for_bit(hairpin, tiny):
    again = run(hairpin)
    for first, second in zip(tiny.models, again.models, strict=True):
        assert np.array_equal(first.xyz_LA3, second.xyz_LA3)
        assert np.array_equal(first.plddt_LA, second.plddt_LA)
        assert (first.seed, first.ranking_score, first.ptm) == (second.seed, second.ranking_score, second.ptm)


def test_another_seed_leads_to_other_models(hairpin, tiny):
    other = by_seed(run(hairpin, dataclasses.replace(TINY, seed=10)))
    assert sorted(other) == [10, 11]
    off = [np.abs(by_seed(tiny)[mine] - other[theirs]).max() for mine, theirs in ((0, 10), (1, 11))]
    assert off[0] > 1e-3  # the first model starts where stage C ended, whatever the seed
    assert off[1] > 0.05


def test_changed_pairs_change_the_models(hairpin, tiny):
    partner_L = hairpin.adjacency.partner_L.copy()
    partner_L[[0, 11]] = -1
    opened = dataclasses.replace(hairpin.adjacency, partner_L=partner_L)
    assert differs(tiny, run(dataclasses.replace(hairpin, adjacency=opened)))


def test_changed_distances_change_the_models(hairpin, tiny):
    logits = hairpin.embeddings.distogram_GLLB.copy()
    logits[0, 0, 6] = logits[0, 6, 0] = -20.0
    logits[0, 0, 6, 8] = logits[0, 6, 0, 8] = 0.0  # about 4.7 Å
    embeddings = dataclasses.replace(hairpin.embeddings, distogram_GLLB=logits)
    assert differs(tiny, run(dataclasses.replace(hairpin, embeddings=embeddings)))


def test_changed_coordinates_change_the_models(hairpin, tiny):
    xyz = hairpin.coordinates.xyz_LA3.copy()
    xyz[5] += np.float32(0.1)
    shifted = dataclasses.replace(hairpin.coordinates, xyz_LA3=xyz * full_mask(hairpin.sequence.sequence)[..., None])
    assert differs(tiny, run(dataclasses.replace(hairpin, coordinates=shifted)))


def differs(one, other) -> bool:
    return all(np.abs(by_seed(one)[seed] - xyz).max() > 1e-2 for seed, xyz in by_seed(other).items())


def test_inputs_of_another_rna_are_refused(hairpin):
    other = dataclasses.replace(hairpin, sequence=RnaSequence(id="probe", sequence="GGGCUUCGGCCU"))
    with pytest.raises(ContractError, match="another RNA"):
        run(other)


@pytest.fixture
def drawing(hairpin, monkeypatch):
    """Replaces the sampler: `drawing(kind_by_seed)` draws models of that kind and returns the seeds asked for."""
    good = hairpin.coordinates.xyz_LA3
    mask = full_mask(hairpin.sequence.sequence)[..., None]
    parted, strained = good.copy(), good.copy()
    parted[6:] += np.float32(5.0)
    strained[6:] += np.float32(0.11)  # bends one link by about 0.1 Å, too little for a break
    models = {
        "good": good,
        "parted": parted * mask,
        "mirrored": good * np.float32([-1, 1, 1]),
        "strained": strained * mask,
    }

    def prepare(kinds: dict[int, str]) -> list[range]:
        asked = []

        def batch(model, start, adjacency, config, seeds):
            asked.append(seeds)
            return [one(models[kinds[seed]], seed) for seed in seeds]

        monkeypatch.setattr(analytic_backend, "_batch", batch)
        return asked

    def one(xyz_LA3: np.ndarray, seed: int) -> Sample:
        report = geometry_report(whole_structure("model", hairpin.sequence.sequence, xyz_LA3))
        return Sample(xyz_LA3=xyz_LA3, seed=seed, terms={"link": float(seed)}, report=report)

    return prepare


def drawn(hairpin, models: int) -> list[int]:
    config = StageDConfig(models=models, seed=4)
    return [sample.seed for sample in analytic_backend.analytic_models(hairpin.records(), config).samples]


def test_broken_models_are_replaced_by_those_of_the_next_seeds(hairpin, drawing):
    asked = drawing({4: "parted", 5: "good", 6: "mirrored", 7: "good", 8: "mirrored", 9: "good"})
    assert drawn(hairpin, 3) == [5, 7, 9]
    assert [list(seeds) for seeds in asked] == [[4, 5, 6], [7, 8], [9]]


def test_strained_models_stand_in_only_where_good_ones_are_too_few(hairpin, drawing, caplog):
    asked = drawing({4: "strained", 5: "good", 6: "good"})
    assert drawn(hairpin, 2) == [5, 6]
    assert len(asked) == 2
    assert not caplog.records
    drawing({4: "strained", 5: "good", 6: "parted", 7: "mirrored"})
    assert drawn(hairpin, 2) == [5, 4]
    assert "1 of 2 models are good, 1 more" in caplog.text


def test_an_ensemble_without_a_whole_molecule_is_refused(hairpin, drawing):
    drawing(dict.fromkeys(range(4, 20), "mirrored"))
    with pytest.raises(PredictionError, match=r"probe: none of 6 .*inverted.*seed"):
        drawn(hairpin, 2)


def test_the_model_of_lower_energy_a_residue_ranks_higher(hairpin, drawing):
    drawing(dict.fromkeys(range(4, 20), "good"))
    ensemble = run(hairpin, StageDConfig(models=3, seed=4))
    assert [model.seed for model in ensemble.models] == [4, 5, 6]
    assert [model.ranking_score for model in ensemble.models] == pytest.approx([-4 / 12, -5 / 12, -6 / 12])


def test_identical_models_agree_fully(hairpin):
    same = np.stack([hairpin.coordinates.xyz_LA3] * 3)
    assert np.abs(aligned_error(same, 1)).max() < 1e-4
    assert predicted_tm(aligned_error(same, 1)) == pytest.approx(1.0)


def test_aligned_errors_are_large_where_models_differ_and_do_not_see_rigid_motion(hairpin):
    one = hairpin.coordinates.xyz_LA3
    bent = one.copy()
    bent[5] += np.float32(6.0)
    turn = np.float32([[0, -1, 0], [1, 0, 0], [0, 0, 1]])
    error = aligned_error(np.stack([one, bent @ turn.T]), 0)
    assert np.abs(np.diagonal(error)).max() < 3.0  # C1' in a frame of its own residue
    others = np.delete(np.arange(12), 5)
    assert error[others, 5] == pytest.approx(np.full(11, 6 * np.sqrt(3)), abs=0.1)
    assert np.abs(error[np.ix_(others, others)]).max() < 1e-3
    assert np.allclose(np.abs(aligned_error(np.stack([one, one @ turn.T]), 0)), 0, atol=1e-3)


def test_the_expected_lddt_is_one_where_the_distogram_is_sure_of_the_models_distances_and_falls_where_it_is_not(
    hairpin,
):
    xyz = hairpin.coordinates.xyz_LA3
    c1_L3 = xyz[:, C1].astype(float)
    sure = one_hot(hairpin, np.linalg.norm(c1_L3[:, None] - c1_L3, axis=-1))
    assert expected_lddt(xyz, sure).min() > 0.93  # bins of 0.31 Å about thresholds from 0.5 Å
    bent = xyz.copy()
    bent[5] += np.float32(6.0)
    found = expected_lddt(bent, sure)
    assert found.argmin() == 5
    assert found[5] < 0.45
    logits = np.zeros_like(sure.distogram_GLLB)
    vague = dataclasses.replace(sure, distogram_GLLB=logits)
    assert expected_lddt(xyz, vague).max() < 0.3


def one_hot(hairpin, distance_LL: np.ndarray):
    """Embeddings certain of these distances, and the distances rounded to their bins' centres."""
    edges = np.array(DISTOGRAM_EDGES)
    bins = np.clip(np.digitize(distance_LL, edges), 0, 62)
    logits = np.full((12, 12, 64), -80.0, dtype=np.float32)
    np.put_along_axis(logits, bins[..., None], 0.0, axis=-1)
    return dataclasses.replace(hairpin.embeddings, distogram_GLLB=logits[None])


def on_line(slots, spacing: float) -> np.ndarray:
    """Coordinates [12, MAX_ATOMS, 3] whose atoms of these slots lie on a line; all others at one point."""
    xyz = np.zeros((12, MAX_ATOMS, 3))
    xyz[np.arange(12), slots, 0] = np.arange(12) * spacing
    return xyz


def test_the_expected_distance_error_is_the_distance_from_a_certain_distogram(hairpin):
    spacing = 0.3125 * 5  # distances are whole numbers of bins
    distance = np.abs(np.subtract.outer(np.arange(12), np.arange(12))) * spacing
    points = on_line(C1, spacing)
    centred = 2.0 + 0.3125 * 0.5  # centre of the first bin
    embeddings = one_hot(hairpin, distance)
    found = expected_distance_error(points, embeddings)
    bins = np.clip(np.floor((distance - 2.0) / 0.3125), 0, 62)
    expected = np.abs(distance - (centred + 0.3125 * bins))
    far = (distance >= 2.0) & (distance < 21.0)
    assert found[far] == pytest.approx(expected[far], abs=1e-4)
    assert found[far].max() < 0.3125
    assert np.diagonal(found).tolist() == [0.0] * 12
    stretched = expected_distance_error(points * 2, embeddings)
    assert stretched[0, 3] == pytest.approx(distance[0, 3], abs=0.32)
    assert np.array_equal(stretched, stretched.T)
    bases = dataclasses.replace(embeddings, distogram_atoms=["C4/C2"])
    slots = [SLOT[letter]["C4" if letter in "AG" else "C2"] for letter in hairpin.sequence.sequence]
    assert np.array_equal(expected_distance_error(on_line(slots, spacing), bases), found)
    assert expected_distance_error(points, bases)[0, 11] == pytest.approx(distance[0, 11], abs=0.32)


def test_the_analytic_energy_measures_between_the_distograms_atoms(hairpin):
    bases = dataclasses.replace(hairpin.embeddings, distogram_atoms=["C4/C2"])
    for embeddings, atoms in ((hairpin.embeddings, ("C1'", "C1'")), (bases, ("C4", "C2"))):
        slot_L = distance_priors(embeddings)[0].slot_L.tolist()
        assert slot_L[0] == SLOT["G"][atoms[0]]
        assert slot_L[4] == SLOT["U"][atoms[1]]


def test_ptm_is_between_zero_and_one_and_falls_with_the_error():
    scores = [predicted_tm(np.full((40, 40), error)) for error in (0.0, 0.5, 2.0, 30.0)]
    assert scores[0] == 1.0
    assert scores == sorted(scores, reverse=True)
    assert 0 < scores[-1] < 0.05
    best_row = np.full((40, 40), 30.0)
    best_row[7] = 0.0
    assert predicted_tm(best_row) == 1.0


def test_confidence_is_high_in_certain_stems_and_follows_stage_a(hairpin, ensemble):
    xyz = np.stack([model.xyz_LA3 for model in ensemble.models])
    paired = hairpin.adjacency.partner_L >= 0
    confidence = heuristic_confidence(xyz, hairpin.adjacency, hairpin.embeddings)
    plddt = confidence[0].plddt_LA[:, 0]
    assert plddt[paired].mean() > plddt[~paired].mean() + 5
    doubtful = dataclasses.replace(
        hairpin.adjacency, probability_LL=(hairpin.adjacency.probability_LL * 0.4).astype(np.float32)
    )
    lower = heuristic_confidence(xyz, doubtful, hairpin.embeddings)[0].plddt_LA[:, 0]
    assert (lower[paired] < plddt[paired] - 5).all()
    for one in confidence:
        assert one.plddt_LA.min() >= 0
        assert one.plddt_LA.max() <= 100
        assert 0 < one.ptm <= 1
        # the frame's origin is C4', so a model's own C1' differs by little in it
        assert np.diagonal(one.pae_LL).max() < 0.5
        assert np.diagonal(one.pde_LL).tolist() == [0.0] * 12
        assert np.array_equal(one.pde_LL, one.pde_LL.T)


def test_certainty_is_the_probability_of_what_was_chosen(hairpin):
    expected = [0.95, 0.95, 0.9, 0.85, 1, 1, 1, 1, 0.85, 0.9, 0.95, 0.95]
    assert pair_certainty(hairpin.adjacency).tolist() == pytest.approx(expected)
    open_L = dataclasses.replace(hairpin.adjacency, partner_L=np.full(12, -1, dtype=np.int32))
    assert pair_certainty(open_L)[0] == pytest.approx(0.05, abs=1e-6)


def test_a_single_model_is_judged_by_the_distogram(hairpin):
    alone = heuristic_confidence(hairpin.coordinates.xyz_LA3[None], hairpin.adjacency, hairpin.embeddings)
    assert len(alone) == 1
    assert np.array_equal(alone[0].pae_LL, alone[0].pde_LL)
    assert alone[0].pde_LL.max() > 0.1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("backend", "magic"),
        ("models", 0),
        ("steps", 0),
        ("seed", -1),
        ("churn", -0.1),
        ("rho", 0.5),
        ("sigma_end", 5.0),
        ("sigma_start", 161.0),
        ("sigma_start", float("nan")),
    ],
)
def test_settings_out_of_range_are_refused(field, value):
    with pytest.raises(ConfigError, match=field):
        StageDConfig(**{field: value})
