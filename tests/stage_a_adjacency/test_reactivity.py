"""Folding under reactivities: ViennaRNA's own numbers, and what they mend."""

import functools

import numpy as np
import pytest
import RNA

from rna_predict.contracts import GivenStructure, Reactivity, RnaSequence
from rna_predict.errors import InputError
from rna_predict.formats.dot_bracket import from_dot_bracket
from rna_predict.stage_a_adjacency.config import StageAConfig
from rna_predict.stage_a_adjacency.reactivity import stacked_energy
from rna_predict.stage_a_adjacency.stage import predict_adjacency

folding = functools.partial(StageAConfig, backend="viennarna", family="off", calibration="off")
"""Settings without what families say of the pairs."""

HAIRPIN = RnaSequence(id="hairpin", sequence="GGGCUUCGGCCC")
TRNA = RnaSequence(
    id="trna_phe", sequence="GCGGAUUUAGCUCAGUUGGGAGAGCGCCAGACUGAAGAUCUGGAGGUCCUGUGUUCGAUCCACAGAAUUCGCACCA"
)
CLOVERLEAF = "(((((((..((((........)))).(((((.......))))).....(((((.......))))))))))))...."


def simulated(sequence: RnaSequence, drawn: str, seed: int, letters: str = "ACGU") -> Reactivity:
    """Reactivities drawn from exponentials of mean 0.7 (unpaired) and 0.1 (paired), a fifth of them missing."""
    draw = np.random.default_rng(seed)
    paired_L = from_dot_bracket(drawn) >= 0
    value_L = draw.exponential(np.where(paired_L, 0.1, 0.7)).astype(np.float32)
    value_L[draw.random(sequence.length) < 0.2] = np.nan
    value_L[[letter not in letters for letter in sequence.sequence]] = np.nan
    return Reactivity(id=sequence.id, source="simulated", value_L=value_L)


def f1(sequence: RnaSequence, drawn: str, reactivity: Reactivity | None) -> float:
    partner_L = from_dot_bracket(drawn)
    known = {(int(i), int(partner_L[i])) for i in np.flatnonzero(partner_L > np.arange(len(drawn)))}
    found = set(predict_adjacency(sequence, folding(), None, reactivity).pairs)
    return 2 * len(found & known) / (len(found) + len(known))


def test_reactivities_of_the_true_structure_mend_a_wrong_fold():
    assert f1(TRNA, CLOVERLEAF, None) < 0.6
    assert np.mean([f1(TRNA, CLOVERLEAF, simulated(TRNA, CLOVERLEAF, seed)) for seed in range(8)]) > 0.85
    assert np.mean([f1(TRNA, CLOVERLEAF, simulated(TRNA, CLOVERLEAF, seed, "AC")) for seed in range(8)]) > 0.75, "DMS"


def test_probabilities_are_viennarnas_own_under_the_same_reactivities():
    reactivity = simulated(TRNA, CLOVERLEAF, 1)
    config = folding(shape_slope=2.4, shape_intercept=-0.3)
    compound = RNA.fold_compound(TRNA.sequence)
    values = [-999.0, *(-999.0 if np.isnan(value) else float(value) for value in reactivity.value_L)]
    compound.sc_add_SHAPE_deigan(values, 2.4, -0.3)
    compound.exp_params_rescale(compound.mfe()[1])
    compound.pf()
    own = np.array(compound.bpp())[1:, 1:]
    found = predict_adjacency(TRNA, config, None, reactivity).probability_LL
    np.testing.assert_allclose(np.triu(found), np.triu(own, 1), atol=2e-6)
    assert np.abs(found - predict_adjacency(TRNA, folding(), None, reactivity).probability_LL).max() > 0.01


def test_the_energy_is_deigans():
    energy_L = stacked_energy(np.array([0.0, 1.0, np.nan], dtype=np.float32), folding())
    np.testing.assert_allclose(energy_L, [-0.6, 1.8 * np.log(2) - 0.6, 0.0])


def test_given_pairs_and_reactivities_go_together():
    given = GivenStructure.from_pairs("trna_phe", 76, [(9, 24)], "test")
    reactivity = simulated(TRNA, CLOVERLEAF, 2)
    found = predict_adjacency(TRNA, folding(given_mode="constrain"), given, reactivity)
    assert found.partner_L[9] == 24
    assert found.provenance.method == "viennarna+given+reactivity"
    assert dict(found.provenance.inputs) == {"given": given.digest(), "reactivity": reactivity.digest()}


def test_reactivities_beside_a_structure_that_is_the_answer_are_refused():
    given = GivenStructure.from_pairs("trna_phe", 76, [(9, 24)], "test")
    with pytest.raises(InputError, match=r"simulated: reactivities have no say .* use given_mode constrain"):
        predict_adjacency(TRNA, folding(), given, simulated(TRNA, CLOVERLEAF, 2))


def test_reactivities_of_another_length_are_refused():
    with pytest.raises(InputError, match="simulated: reactivities of 76 residues, hairpin has 12"):
        predict_adjacency(HAIRPIN, folding(), None, simulated(TRNA, CLOVERLEAF, 2))
