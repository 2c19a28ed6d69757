"""Pseudoknots from probabilities and by folding again."""

import dataclasses
import functools

import numpy as np
import pytest
import RNA

from rna_predict.contracts import RnaSequence
from rna_predict.errors import ConfigError
from rna_predict.formats.dot_bracket import from_dot_bracket, to_dot_bracket
from rna_predict.stage_a_adjacency import stage
from rna_predict.stage_a_adjacency.backends import Backend
from rna_predict.stage_a_adjacency.config import PSEUDOKNOTS, StageAConfig
from rna_predict.stage_a_adjacency.evidence import Evidence
from rna_predict.stage_a_adjacency.folding import Constraints, Fold
from rna_predict.stage_a_adjacency.helix_energy import PAIR_NUMBERS, Helix, HelixEnergy, candidates, turner
from rna_predict.stage_a_adjacency.pseudoknot_search import GAS_CONSTANT
from rna_predict.stage_a_adjacency.reactivity import stacked_energy
from rna_predict.stage_a_adjacency.stage import fold_with
from rna_predict.stage_a_adjacency.viennarna import fold as viennarna_fold

vienna = functools.partial(StageAConfig, backend="viennarna", calibration="off")

BWYV = "CGCGGCACCGUCCGCGGAACAAACGG"
"""Beet western yellows virus frameshift signal (PDB 437D): stem 1 CGCGG-CCGCG, stem 2 CCG-CGG."""

MMTV = "GGCGCAGUGGGCUAGCGCCACUCAAAAGGCCCAU"
"""Mouse mammary tumour virus frameshift signal (PDB 1KPY): stems GGCGC-GCGCC and UGGGC-GCCCA."""

HAIRPIN = "GGGCUUCGGCCC"

RT = GAS_CONSTANT * 310.15


def by(mode: str, **changes: object) -> StageAConfig:
    return dataclasses.replace(vienna(pseudoknots=mode), **changes)


def text(fold: Fold) -> str:
    return to_dot_bracket(fold.matching)


# Energies of helices


def test_stacks_are_those_that_viennarna_evaluates():
    stacks, terminal = turner(37.0)
    assert len(stacks) == 36
    for outer in PAIR_NUMBERS:
        for inner in PAIR_NUMBERS:
            own = RNA.fold_compound(outer[0] + inner[0] + "AAAA" + inner[1] + outer[1]).eval_int_loop(1, 8, 2, 7)
            assert stacks[outer, inner] == own / 100, (outer, inner)
    assert stacks["GC", "CG"] == -3.4
    assert terminal == 0.5


def test_a_cold_helix_is_more_stable():
    assert turner(10.0)[0]["GC", "CG"] < turner(37.0)[0]["GC", "CG"] - 0.5


def test_a_helix_costs_what_the_whole_model_says_without_its_loop():
    sequence = "GAUCAAAAAAGGUC"
    pairs = ((0, 13), (1, 12), (2, 11), (3, 10))
    stated = RNA.fold_compound(sequence)
    loop = stated.eval_hp_loop(4, 11) / 100
    whole = stated.eval_structure("((((......))))")
    assert HelixEnergy(sequence, 37.0, Constraints()).of(pairs) == pytest.approx(whole - loop, abs=1e-5)
    shorter = HelixEnergy(sequence, 37.0, Constraints()).of(pairs[1:])
    outer = turner(37.0)[0]["GC", "AU"]
    assert shorter == pytest.approx(whole - loop - outer + 0.5, abs=1e-5), "A-U now ends the helix"


def test_bonuses_and_reactivities_count_as_in_the_fold():
    sequence = "GAGCAAAAAAGCUC"
    pairs = ((0, 13), (1, 12), (2, 11), (3, 10))
    bonus_LL = np.zeros((14, 14))
    bonus_LL[1, 12] = bonus_LL[12, 1] = -0.7
    reactivity_L = np.full(14, np.nan, dtype=np.float32)
    reactivity_L[[0, 2, 13]] = 0.1, 0.9, 0.4
    told = Constraints(bonus_LL=bonus_LL, reactivity_L=reactivity_L)
    config = vienna()
    compound = RNA.fold_compound(sequence)
    bare = compound.eval_structure("((((......))))")
    compound.sc_add_bp(2, 13, -0.7)
    values = [-999.0, *(-999.0 if np.isnan(value) else float(value) for value in reactivity_L)]
    compound.sc_add_SHAPE_deigan(values, config.shape_slope, config.shape_intercept)
    added = compound.eval_structure("((((......))))") - bare
    stacked_L = stacked_energy(reactivity_L, config)
    without = HelixEnergy(sequence, 37.0, Constraints()).of(pairs)
    assert HelixEnergy(sequence, 37.0, told, stacked_L).of(pairs) - without == pytest.approx(added, abs=0.02)
    assert added != pytest.approx(-0.7, abs=0.3), "the reactivities are in the sum"


def test_the_estimate_never_exceeds_what_freeing_a_helix_costs():
    free = viennarna_fold(MMTV, vienna(), Constraints())
    assert free.free_energy is not None
    unpaired_L = 1 - free.probability_LL.sum(axis=1, dtype=np.float64)
    cost_L = -RT * np.log(np.clip(unpaired_L, 1e-6, 1))
    found = candidates(MMTV, HelixEnergy(MMTV, 37.0, Constraints()), frozenset(), cost_L, 3)
    assert len(found) > 5
    assert [estimate for estimate, _ in found] == sorted(estimate for estimate, _ in found)
    for estimate, helix in found:
        rest = viennarna_fold(MMTV, vienna(), Constraints(unpaired=helix.residues))
        assert rest.free_energy is not None
        assert estimate <= helix.energy + rest.free_energy - free.free_energy + 1e-3


def test_candidates_leave_blocked_residues_alone_and_may_be_trimmed():
    energy = HelixEnergy(BWYV, 37.0, Constraints())
    nothing = np.zeros(len(BWYV))
    best = candidates(BWYV, energy, frozenset(), nothing, 3)[0][1]
    assert best.pairs == ((0, 15), (1, 14), (2, 13), (3, 12), (4, 11))
    blocked = candidates(BWYV, energy, frozenset({2}), nothing, 3)
    assert all(2 not in helix.residues for _, helix in blocked)
    dear = nothing.copy()
    dear[0] = 20.0
    trimmed = candidates(BWYV, energy, frozenset(), dear, 3)[0][1]
    assert trimmed.pairs == ((1, 14), (2, 13), (3, 12), (4, 11))


def test_a_run_of_pairs_is_one_candidate():
    found = candidates(
        "GGGGGGAAAACCCCCC", HelixEnergy("GGGGGGAAAACCCCCC", 37.0, Constraints()), frozenset(), np.zeros(16), 3
    )
    diagonals = [helix.pairs[0][0] + helix.pairs[0][1] for _, helix in found]
    assert sorted(diagonals) == list(range(12, 19)), "six pairs, and the slipped helices of five, four and three"
    assert found[0][1].pairs == tuple((k, 15 - k) for k in range(6))


# Probabilities alone

KNOT = "GGGGAAACCUAACCCCAAAAAGGA"
NESTED = "((((........))))........"
CROSSING = ".......[[[..........]]]."
BOTH = "((((...[[[..))))....]]]."


def matrix_of(helices: dict[str, float]) -> np.ndarray:
    matrix = np.zeros((24, 24), dtype=np.float32)
    for marks, probability in helices.items():
        partner_L = from_dot_bracket(marks)
        paired = np.flatnonzero(partner_L >= 0)
        matrix[paired, partner_L[paired]] = probability
    return matrix


def told(monkeypatch, probability_LL: np.ndarray, nested: str = NESTED, free_energy: float | None = None) -> None:
    answer = Fold(probability_LL=probability_LL, partner_L=from_dot_bracket(nested), free_energy=free_energy)
    backend = Backend(name="told", run=lambda *_: answer, uses=frozenset({"pairs"}))
    monkeypatch.setitem(stage.BACKENDS, "viennarna", backend)


def test_mutually_most_probable_partners_are_the_matching(monkeypatch):
    told(monkeypatch, matrix_of({NESTED: 0.6, CROSSING: 0.39}), nested="." * 24)
    assert text(fold_with(KNOT, by("threshknot"), [])) == BOTH
    assert text(fold_with(KNOT, by("threshknot", pseudoknot_threshold=0.4), [])) == NESTED
    assert text(fold_with(KNOT, by("threshknot", pseudoknot_min_stem=4), [])) == NESTED


def test_a_partner_that_prefers_another_is_none(monkeypatch):
    matrix = matrix_of({NESTED: 0.6, CROSSING: 0.39})
    matrix[4, 9] = matrix[9, 4] = 0.45  # A5-U10: now U10 prefers A5, and A21 is left alone
    told(monkeypatch, matrix)
    assert text(fold_with(KNOT, by("threshknot", pseudoknot_min_stem=2), [])) == "((((...[[...)))).....]]."


def test_crossing_adds_to_the_nested_matching_and_takes_nothing_away(monkeypatch):
    matrix = matrix_of({NESTED: 0.15, CROSSING: 0.12})
    told(monkeypatch, matrix)
    assert text(fold_with(KNOT, by("crossing", pseudoknot_threshold=0.1), [])) == BOTH
    assert text(fold_with(KNOT, by("crossing", pseudoknot_threshold=0.13), [])) == NESTED
    assert text(fold_with(KNOT, by("threshknot", pseudoknot_threshold=0.13), [])) == NESTED
    found = fold_with(KNOT, by("crossing", pseudoknot_threshold=0.1), [])
    assert np.array_equal(found.probability_LL, matrix), "probabilities are the backend's"


def test_threshknot_pairs_no_residue_of_a_hard_pair_with_another(monkeypatch):
    slipped = "(((.........)))........."
    told(monkeypatch, matrix_of({slipped: 0.5}), nested=slipped)
    hard = Evidence(name="given", digest="a", pairs=((0, 15),))
    found = fold_with("GGGGAAACCUAACCCCAAAAAGGA", by("threshknot", pseudoknot_min_stem=2), [hard])
    assert text(found) == "(((.........)).)........"
    assert found.matching[14] == -1


def test_threshknot_keeps_hard_pairs_that_are_improbable(monkeypatch):
    told(monkeypatch, matrix_of({NESTED: 0.1, CROSSING: 0.4}))
    hard = Evidence(name="given", digest="a", pairs=((0, 15),))
    assert text(fold_with(KNOT, by("threshknot"), [hard])) == "[......(((.....]....)))."


# Folding again


def test_both_stems_of_viral_pseudoknots_are_found():
    assert text(fold_with(BWYV, by("off"), [])) == "(((((......)))))..........", "one nested stem is the optimum"
    found = {(int(i), int(j)) for i, j in enumerate(fold_with(BWYV, by("iterative"), []).matching) if j > i}
    assert {(0, 15), (1, 14), (2, 13), (3, 12), (4, 11), (7, 25), (8, 24), (9, 23)} <= found
    both = {(k, 18 - k) for k in range(5)} | {(7 + k, 32 - k) for k in range(5)}
    nested = {(int(i), int(j)) for i, j in enumerate(fold_with(MMTV, by("off"), []).matching) if j > i}
    found = {(int(i), int(j)) for i, j in enumerate(fold_with(MMTV, by("iterative"), []).matching) if j > i}
    assert len(nested & both) <= 5
    assert both <= found


def test_the_probabilities_are_a_mixture_by_boltzmann_weights():
    before, after = fold_with(BWYV, by("off"), []), fold_with(BWYV, by("iterative"), [])
    helix = ((7, 25), (8, 24), (9, 23), (10, 22))
    rest = viennarna_fold(BWYV, vienna(), Constraints(unpaired=tuple(sorted(sum(helix, ())))))
    assert rest.free_energy is not None
    assert before.free_energy is not None
    knotted = rest.free_energy + HelixEnergy(BWYV, 37.0, Constraints()).of(helix)
    config = by("iterative")
    unpaired = BWYV[16:22]  # the loop between the stems, and the two letters before stem 2
    knotted += config.pseudoknot_penalty + config.pseudoknot_unpaired * (len(unpaired) + 2)
    weight = 1 / (1 + np.exp((knotted - before.free_energy) / RT))
    assert 0.5 < weight < 1
    for i, j in helix:
        assert after.probability_LL[i, j] == pytest.approx(weight, abs=2e-3)
    expected = (1 - weight) * before.probability_LL[0, 15] + weight * rest.probability_LL[0, 15]
    assert after.probability_LL[0, 15] == pytest.approx(expected, abs=2e-3)
    assert after.probability_LL.astype(np.float64).sum(axis=1).max() <= 1
    together = -RT * np.log(np.exp(-before.free_energy / RT) + np.exp(-knotted / RT))
    assert after.free_energy == pytest.approx(together, abs=1e-3)


def test_a_higher_penalty_keeps_the_nested_fold_to_the_last_bit():
    before = fold_with(BWYV, by("off"), [])
    after = fold_with(BWYV, by("iterative", pseudoknot_penalty=12.0), [])
    assert np.array_equal(before.probability_LL, after.probability_LL)
    assert text(before) == text(after)
    hairpin = fold_with(HAIRPIN, by("iterative"), [])
    assert text(hairpin) == "((((....))))"


def test_the_search_respects_given_pairs_and_residues():
    helix = ((7, 25), (8, 24), (9, 23))
    unpaired = Evidence(name="given", digest="a", unpaired=(24,))
    assert "[" not in text(fold_with(BWYV, by("iterative"), [unpaired]))
    hard = Evidence(name="given", digest="a", pairs=helix)
    found = fold_with(BWYV, by("iterative"), [hard])
    assert {(i, int(found.matching[i])) for i, _ in helix} == set(helix)
    assert {(0, 15), (4, 11)} <= {(int(i), int(j)) for i, j in enumerate(found.matching)}, "the other stem crosses it"


def test_a_knot_inside_a_closing_stem_is_left_out():
    closed = "GGGGCGGA" + BWYV + "UCCGCCCC"
    assert "[" not in text(fold_with(closed, by("iterative"), []))
    beside = "GGGGCGGA" + "GAAA" + "UCCGCCCC" + "AAA" + BWYV
    assert "[" in text(fold_with(beside, by("iterative"), []))


def test_a_third_loop_that_cannot_pass_the_first_helix_is_none():
    loop = BWYV[16:22]
    found = [text(fold_with(BWYV.replace(loop, "A" * k), by("iterative"), [])) for k in (0, 1, 2)]
    assert "[" not in found[0] + found[1]
    assert "[" in found[2]


def test_iterative_needs_a_free_energy(monkeypatch):
    told(monkeypatch, matrix_of({NESTED: 0.6}))
    with pytest.raises(
        ConfigError, match=r"stage_a\.pseudoknots: iterative needs a free energy.*threshknot or crossing"
    ):
        fold_with(KNOT, by("iterative"), [])


def test_auto_folds_again_where_the_backend_can(monkeypatch):
    auto = fold_with(BWYV, by("auto"), [])
    assert np.array_equal(auto.probability_LL, fold_with(BWYV, by("iterative"), []).probability_LL)
    assert "[" in text(auto)
    assert "[" in text(fold_with(BWYV, by("auto", pseudoknot_max_length=26), []))
    assert "[" not in text(fold_with(BWYV, by("auto", pseudoknot_max_length=25), []))
    assert "[" in text(fold_with(BWYV, by("iterative", pseudoknot_max_length=25), []))
    told(monkeypatch, matrix_of({NESTED: 0.6}))
    assert text(fold_with(KNOT, by("auto"), [])) == NESTED, "no free energy"
    told(monkeypatch, matrix_of({NESTED: 0.6}), free_energy=-5.0)
    assert text(fold_with(KNOT, by("auto"), [])) == NESTED, "no way to keep residues unpaired"


def test_every_mode_gives_a_record_with_its_own_config_digest():
    rna = RnaSequence(id="bwyv", sequence=BWYV)
    records = [stage.predict_adjacency(rna, by(mode, family="off")) for mode in PSEUDOKNOTS]
    assert len({record.provenance.config for record in records}) == len(PSEUDOKNOTS)
    assert len({record.digest() for record in records}) >= 2


def test_a_wrong_pseudoknot_setting_is_named():
    with pytest.raises(ConfigError, match=r"stage_a\.pseudoknots: 'all' is unknown. Use one of: auto, off, threshknot"):
        by("all")
    with pytest.raises(ConfigError, match=r"stage_a\.pseudoknot_min_stem: 1 is outside"):
        by("iterative", pseudoknot_min_stem=1)


def test_a_helix_knows_what_crosses_it():
    helix = Helix(pairs=((4, 12), (5, 11)), energy=-2.0)
    assert helix.residues == (4, 5, 11, 12)
    assert helix.crosses(0, 8)
    assert helix.crosses(8, 20)
    assert not helix.crosses(6, 10)
    assert not helix.crosses(0, 20)
