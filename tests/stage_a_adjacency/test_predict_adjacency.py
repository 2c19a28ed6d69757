"""Stage A: ViennaRNA's own numbers, legal matchings, given structures that rule or guide."""

import functools
import subprocess
import sys

import numpy as np
import pytest
import RNA
from hypothesis import given as drawn_from
from hypothesis import settings
from hypothesis import strategies as st

from rna_predict.chemistry.residues import CANONICAL_PAIRS
from rna_predict.contracts import Adjacency, GivenStructure, RnaSequence, require_same_input
from rna_predict.errors import ConfigError, ContractError, InputError, PredictionError
from rna_predict.formats.dot_bracket import forced_unpaired, from_dot_bracket, to_dot_bracket
from rna_predict.stage_a_adjacency.backends import BACKENDS
from rna_predict.stage_a_adjacency.config import BACKEND_NAMES, StageAConfig
from rna_predict.stage_a_adjacency.evidence import constraints_of
from rna_predict.stage_a_adjacency.folding import Constraints, pair_probabilities
from rna_predict.stage_a_adjacency.given import given_evidence
from rna_predict.stage_a_adjacency.stage import predict_adjacency
from rna_predict.stage_a_adjacency.viennarna import fold, mea_matching

folding = functools.partial(StageAConfig, backend="viennarna", family="off", calibration="off")
"""Settings without what families say of the pairs."""

HAIRPIN = RnaSequence(id="hairpin", sequence="GGGCUUCGGCCC")
TRNA = RnaSequence(
    id="trna_phe", sequence="GCGGAUUUAGCUCAGUUGGGAGAGCGCCAGACUGAAGAUCUGGAGGUCCUGUGUUCGAUCCACAGAAUUCGCACCA"
)
CLOVERLEAF = "(((((((..((((........)))).(((((.......))))).....(((((.......))))))))))))...."
ADD = RnaSequence(
    id="add_riboswitch", sequence="CGCUUCAUAUAAUCCUAAUGAUAUGGUUUGGGAGUUUCUACCAAGAGCCUUAAACUCUUGAUUAUGAAGUG"
)


def stated(sequence: RnaSequence, text: str) -> GivenStructure:
    return GivenStructure(
        id=sequence.id,
        length=sequence.length,
        source="test",
        partner_L=from_dot_bracket(text),
        unpaired_L=forced_unpaired(text),
    )


def matrix_of(sequence: RnaSequence, values: dict[tuple[int, int], float]) -> GivenStructure:
    matrix = np.zeros((sequence.length, sequence.length), dtype=np.float32)
    for (i, j), p in values.items():
        matrix[i, j] = matrix[j, i] = p
    return GivenStructure(id=sequence.id, length=sequence.length, source="test", probability_LL=matrix)


def vienna_bpp(sequence: str, celsius: float = 37.0) -> np.ndarray:
    model = RNA.md()
    model.temperature = celsius
    compound = RNA.fold_compound(sequence, model)
    compound.exp_params_rescale(compound.mfe()[1])
    compound.pf()
    return np.array(compound.bpp())[1:, 1:]


# Without a given structure


def test_the_hairpin_folds_into_four_pairs_that_are_nearly_certain():
    found = predict_adjacency(HAIRPIN, folding())
    assert to_dot_bracket(found.partner_L) == "((((....))))"
    assert found.probability_LL[[0, 1, 2, 3], [11, 10, 9, 8]].min() > 0.97
    assert found.probability_LL[0, 11] < found.probability_LL[1, 10], "the helix frays at its end"
    assert found.provenance.method == "viennarna"
    assert dict(found.provenance.inputs) == {}
    assert not found.given


def test_the_add_riboswitch_has_its_three_helices():
    # PDB 1Y26: P1 1-9/63-71, P2 13-18/28-33 and P3 42-47/55-60 (numbered from this sequence's start)
    found = predict_adjacency(ADD, folding())
    assert to_dot_bracket(found.partner_L).count("(") == 9 + 6 + 6
    assert {(0, 70), (8, 62), (12, 32), (17, 27), (41, 59), (46, 54)} <= set(found.pairs)


def test_probabilities_are_viennarnas_own():
    found = predict_adjacency(TRNA, folding()).probability_LL
    own = vienna_bpp(TRNA.sequence)
    np.testing.assert_allclose(np.triu(found), np.triu(own, 1), atol=2e-6)
    assert found[0, 71] == pytest.approx(own[0, 71], abs=2e-6)
    assert found[0, 71] > 0.8, "1-based rows were shifted to 0-based ones"


def test_the_temperature_reaches_the_energy_model():
    warm = predict_adjacency(HAIRPIN, folding(temperature_celsius=80.0)).probability_LL
    np.testing.assert_allclose(np.triu(warm), np.triu(vienna_bpp(HAIRPIN.sequence, 80.0), 1), atol=2e-6)
    assert warm[3, 8] < 0.5 < predict_adjacency(HAIRPIN, folding()).probability_LL[3, 8]


@pytest.mark.parametrize("sequence", ["A", "GC", "GAC", "GAAC", "GAAAC"])
def test_what_is_too_short_to_fold_has_no_pairs(sequence):
    found = predict_adjacency(RnaSequence(id="short", sequence=sequence), folding())
    assert (found.partner_L == -1).all()
    assert found.probability_LL.max() < 0.01


def test_one_changed_base_changes_the_answer():
    changed = RnaSequence(id="hairpin", sequence="GGGAUUCGGCCC")
    before, after = (predict_adjacency(s, folding()) for s in (HAIRPIN, changed))
    assert before.partner_L[3] == 8
    assert after.partner_L[3] == -1
    assert after.digest() != before.digest()


def test_two_runs_agree_to_the_last_bit():
    first, second = (predict_adjacency(TRNA, folding()) for _ in range(2))
    assert first.digest() == second.digest()
    assert first.provenance == second.provenance


def test_a_higher_gamma_adds_pairs_and_a_minimal_stem_removes_lonely_ones():
    counts = [len(predict_adjacency(TRNA, folding(mea_gamma=g, min_stem=1)).pairs) for g in (0.1, 1.0, 8.0)]
    assert counts[0] < counts[1] < counts[2]
    short = to_dot_bracket(predict_adjacency(TRNA, folding(mea_gamma=8.0, min_stem=4)).partner_L)
    assert "(" in short
    assert all(len(run) >= 4 for run in short.replace(")", ".").split(".") if run)


def test_every_readout_is_viennarnas_own():
    model = RNA.fold_compound(TRNA.sequence)
    structure, energy = model.mfe()
    model.exp_params_rescale(energy)
    model.pf()
    for readout, own in {"mfe": structure, "centroid": model.centroid()[0], "mea": model.MEA(1.0)[0]}.items():
        found = predict_adjacency(TRNA, folding(readout=readout, min_stem=1, mea_gamma=1.0))
        assert to_dot_bracket(found.partner_L) == own, readout


def test_without_lonely_pairs_the_probability_of_a_lonely_pair_is_zero():
    # G1-C5 can only be alone.
    lone = RnaSequence(id="lone", sequence="GAAAAC")
    assert predict_adjacency(lone, folding()).probability_LL[0, 5] > 0
    assert predict_adjacency(lone, folding(lonely_pairs=False)).probability_LL[0, 5] == 0


@drawn_from(st.text("ACGU", min_size=1, max_size=200))
@settings(max_examples=40, deadline=None)
def test_any_sequence_gives_legal_nested_pairs_and_exact_sums(sequence):
    config = folding(min_stem=1, mea_gamma=2.0, pseudoknots="off")
    found = predict_adjacency(RnaSequence(id="drawn", sequence=sequence), config)
    matrix = found.probability_LL
    assert np.array_equal(matrix, matrix.T)
    assert matrix.astype(np.float64).sum(axis=1).max() <= 1
    assert set(to_dot_bracket(found.partner_L)) <= set("(.)")
    for i, j in found.pairs:
        assert j - i > 3
        assert sequence[i] + sequence[j] in CANONICAL_PAIRS
    for i, j in np.argwhere(np.triu(matrix) > 0):
        assert sequence[i] + sequence[j] in CANONICAL_PAIRS, "ViennaRNA gives no weight to other pairs"


# A given structure is the answer


def test_the_given_cloverleaf_is_the_answer():
    given = stated(TRNA, CLOVERLEAF)
    found = predict_adjacency(TRNA, folding(), given)
    assert to_dot_bracket(found.partner_L) == CLOVERLEAF
    expected = np.zeros((76, 76), dtype=np.float32)
    for i, j in found.pairs:
        expected[i, j] = expected[j, i] = 1
    assert np.array_equal(found.probability_LL, expected), "nothing of the ensemble is mixed in"
    assert found.given
    assert found.provenance.method == "given"
    assert dict(found.provenance.inputs) == {"given": given.digest()}
    assert to_dot_bracket(predict_adjacency(TRNA, folding()).partner_L) != CLOVERLEAF


def test_given_non_canonical_and_pseudoknotted_pairs_are_kept():
    text = "((((....[[))))..]]"
    sequence = RnaSequence(id="knot", sequence="GGAGAAAAGACACCAAAC")
    found = predict_adjacency(sequence, folding(), stated(sequence, text))
    assert to_dot_bracket(found.partner_L) == text
    assert sequence.sequence[2] + sequence.sequence[11] == "AA"


def test_a_given_matrix_is_the_answer_with_its_pseudoknot():
    sequence = RnaSequence(id="knot", sequence="GGGGAAACCAAACCCCAAAGG")
    values = {(0, 15): 0.9, (1, 14): 0.95, (2, 13): 0.95, (3, 12): 0.9, (7, 20): 0.8, (8, 19): 0.8, (4, 18): 0.1}
    given = matrix_of(sequence, values)
    found = predict_adjacency(sequence, folding(), given)
    assert to_dot_bracket(found.partner_L) == "((((...[[...))))...]]"
    assert np.array_equal(found.probability_LL, given.probability_LL)
    assert found.provenance.method == "given"
    strict = predict_adjacency(sequence, folding(given_threshold=0.85), given)
    assert to_dot_bracket(strict.partner_L) == "((((........))))....."


def test_pairs_that_no_structure_may_hold_are_not_read_from_a_matrix():
    sequence = RnaSequence(id="bad", sequence="GAAAACGGAC")
    found = predict_adjacency(sequence, folding(), matrix_of(sequence, {(1, 8): 0.9, (6, 9): 0.9, (0, 5): 0.9}))
    assert found.pairs == [(0, 5)], "A-A is not canonical, 7-10 has two residues between"
    assert found.probability_LL[1, 8] == np.float32(0.9)


def test_given_pairs_beside_a_matrix_rule_the_matching():
    matrix = matrix_of(HAIRPIN, {(1, 10): 0.7, (0, 11): 0.6}).probability_LL
    given = GivenStructure(
        id="hairpin", length=12, source="test", partner_L=from_dot_bracket(".((......))."), probability_LL=matrix
    )
    found = predict_adjacency(HAIRPIN, folding(), given)
    assert to_dot_bracket(found.partner_L) == ".((......))."
    assert np.array_equal(found.probability_LL, matrix)


def test_rows_a_little_above_one_are_brought_to_one():
    rounded = np.zeros((12, 12))
    rounded[0, 11], rounded[0, 10], rounded[1, 10] = 0.6, 0.4009, 0.5
    matrix = pair_probabilities(rounded)
    assert matrix.astype(np.float64).sum(axis=1).max() <= 1
    assert matrix[0, 11] == pytest.approx(0.6 / 1.0009, abs=1e-5)
    assert matrix[1, 10] == np.float32(0.5), "rows within the limit are not touched"


# A given structure guides the folding


def test_constrained_pairs_hold_and_the_rest_folds():
    arms = ".........((((........)))).(((((.......)))))................................."
    config = folding(given_mode="constrain")
    found = predict_adjacency(TRNA, config, stated(TRNA, arms))
    assert to_dot_bracket(found.partner_L) == CLOVERLEAF, "with D and anticodon arm the energy model finds the others"
    assert found.probability_LL[9, 24] == 1
    assert 0.5 < found.probability_LL[0, 71] < 1, "a pair that was not given keeps its own probability"
    assert found.provenance.method == "viennarna+given"
    assert found.provenance.inputs["given"] == stated(TRNA, arms).digest()


def test_forced_unpaired_residues_stay_alone_and_free_ones_do_not():
    config = folding(given_mode="constrain", min_stem=1)
    found = predict_adjacency(HAIRPIN, config, stated(HAIRPIN, ".x.........."))
    assert found.partner_L[1] == -1
    assert found.probability_LL[1].sum() == 0
    free = predict_adjacency(HAIRPIN, config, stated(HAIRPIN, "............"))
    assert free.partner_L[1] == 10
    np.testing.assert_array_equal(free.probability_LL, predict_adjacency(HAIRPIN, config).probability_LL)


def test_a_given_pseudoknot_is_put_on_top_of_the_fold():
    # The loop-loop contact of the riboswitch (PDB 1Y26, G37-C61 and G38-C60, numbered from 13).
    contact = from_dot_bracket("." * 24 + "[[" + "." * 21 + "]]" + "." * 22)
    helices = from_dot_bracket("(((((((((...((((((.........))))))........((((((.......))))))..)))))))))")
    both = helices.copy()
    both[[24, 25, 47, 48]] = contact[[24, 25, 47, 48]]
    text = to_dot_bracket(both)
    assert {ADD.sequence[i] + ADD.sequence[j] for i, j in ((24, 48), (25, 47))} == {"GC"}
    assert "[" in text
    found = predict_adjacency(ADD, folding(given_mode="constrain"), stated(ADD, text))
    assert to_dot_bracket(found.partner_L) == text
    assert found.probability_LL[24, 48] == 1
    assert found.probability_LL[24].sum() == 1


def test_the_backend_is_told_what_holds_and_what_is_put_on_top():
    sequence = RnaSequence(id="knot", sequence="GGGGAAACCAAACCCCAAAGGAA")
    stem = stated(sequence, "((((...[[...))))...]].x")
    told = constraints_of([given_evidence(sequence.sequence, stem, folding())])
    assert told.pairs == ((0, 15), (1, 14), (2, 13), (3, 12))
    assert told.unpaired == (7, 8, 19, 20, 22)
    assert told.bonus_LL is None
    assert told.present == ["pairs", "unpaired"]


def test_a_given_pair_keeps_the_short_stem_that_grows_on_it():
    config = folding(given_mode="constrain", min_stem=5)
    assert to_dot_bracket(predict_adjacency(HAIRPIN, config).partner_L) == "............"
    grown = predict_adjacency(HAIRPIN, config, stated(HAIRPIN, ".(........)."))
    assert to_dot_bracket(grown.partner_L) == "((((....))))"


def test_a_soft_matrix_moves_the_ensemble_towards_its_pairs():
    config = folding(given_mode="constrain")
    given = matrix_of(TRNA, {(9 + k, 24 - k): 0.9 for k in range(4)} | {(26 + k, 42 - k): 0.9 for k in range(5)})
    free = predict_adjacency(TRNA, config).probability_LL
    guided = predict_adjacency(TRNA, config, given).probability_LL
    assert free[10, 23] < 0.3
    assert guided[10, 23] > 0.9
    weaker = predict_adjacency(TRNA, folding(given_mode="constrain", given_bonus=0.0), given).probability_LL
    np.testing.assert_array_equal(weaker, free)
    assert guided[28, 40] < 1, "soft: the pair is favoured, not stated"


def test_constraints_that_the_energy_model_cannot_hold_are_refused():
    # An internal loop of 50 residues where none can pair: ViennaRNA's limit is 30.
    sequence = RnaSequence(id="wide", sequence="G" + "A" * 50 + "GAAAAC" + "C")
    given = stated(sequence, "(" + "." * 50 + "(....)" + ")")
    with pytest.raises(PredictionError, match=r"no structure that has all given pairs \(1-58, 52-57"):
        predict_adjacency(sequence, folding(given_mode="constrain"), given)
    assert predict_adjacency(sequence, folding(), given).pairs == [(0, 57), (51, 56)]


@st.composite
def rnas_with_pairs(draw):
    sequence = draw(st.text("ACGU", min_size=8, max_size=34))  # below the 30 residues that an internal loop may hold
    order = draw(st.permutations(range(len(sequence))))
    count = draw(st.integers(0, len(sequence) // 3))
    pairs = [(i, j) for i, j in zip(order[: 2 * count : 2], order[1 : 2 * count : 2], strict=True) if abs(i - j) > 3]
    return RnaSequence(id="drawn", sequence=sequence), pairs


@drawn_from(rnas_with_pairs())
@settings(max_examples=60, deadline=None)
def test_any_given_pairs_are_in_the_answer_of_both_modes(case):
    sequence, pairs = case
    given = GivenStructure.from_pairs("drawn", sequence.length, pairs, "drawn")
    wanted = {(min(pair), max(pair)) for pair in pairs}
    assert set(predict_adjacency(sequence, folding(), given).pairs) == wanted
    guided = predict_adjacency(sequence, folding(given_mode="constrain"), given)
    assert wanted <= set(guided.pairs)
    assert guided.probability_LL.astype(np.float64).sum(axis=1).max() <= 1


def test_the_digest_of_a_given_structure_follows_its_content_only():
    drawn = stated(HAIRPIN, "((((....))))")
    renamed = GivenStructure(
        id="hairpin", length=12, source="elsewhere", partner_L=drawn.partner_L, unpaired_L=drawn.unpaired_L
    )
    assert renamed.digest() == drawn.digest()
    others = [
        stated(HAIRPIN, "(((......)))"),
        stated(HAIRPIN, "((((.x..))))"),
        matrix_of(HAIRPIN, {(0, 11): 0.5}),
        matrix_of(HAIRPIN, {(0, 11): 0.6}),
    ]
    assert len({given.digest() for given in (drawn, *others)}) == 5


# What is refused


def test_a_given_structure_of_another_length_is_refused():
    for mode in ("override", "constrain"):
        with pytest.raises(InputError, match="the given structure has 12 residues, trna_phe has 76"):
            predict_adjacency(TRNA, folding(given_mode=mode), stated(HAIRPIN, "((((....))))"))


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ([(0, 3)], "pair 1-4 has 2 residues between"),
        ([(0, 11), (11, 4)], "residue 12 of hairpin pairs with both 1 and 5"),
        ([(0, 12)], "pair 1-13 lies outside the 12 residues"),
        ([(4, 4)], "pair 5-5 has 0 residues between"),
    ],
)
def test_impossible_pairs_are_refused_by_name(pairs, message):
    with pytest.raises(ContractError, match=message):
        GivenStructure.from_pairs("hairpin", 12, pairs, "test")


def test_a_residue_cannot_be_paired_and_forced_unpaired():
    with pytest.raises(ContractError, match="residue 2 is both paired and forced unpaired"):
        GivenStructure(
            id="h",
            length=12,
            source="test",
            partner_L=from_dot_bracket("((((....))))"),
            unpaired_L=forced_unpaired(".x.........."),
        )


def test_a_sequence_above_the_limit_is_refused_with_its_cost():
    with pytest.raises(InputError, match=r"3001 nt is longer than stage_a.max_length 3000.*about 4.5 GB"):
        predict_adjacency(RnaSequence(id="long", sequence="A" * 3001), folding())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"backend": "magic"}, "stage_a.backend: 'magic' is unknown. Use one of: viennarna"),
        ({"readout": "best"}, "stage_a.readout: 'best' is unknown"),
        ({"given_mode": "ignore"}, "stage_a.given_mode: 'ignore'.*override, constrain"),
        ({"mea_gamma": float("nan")}, "stage_a.mea_gamma: nan is outside"),
        ({"given_threshold": 0.4}, "stage_a.given_threshold: 0.4 is outside 0.5"),
        ({"max_length": -1}, "stage_a.max_length: -1 is outside"),
    ],
)
def test_a_wrong_setting_is_named(change, message):
    with pytest.raises(ConfigError, match=message):
        folding(**change)


def test_every_named_backend_exists():
    assert tuple(BACKENDS) == BACKEND_NAMES
    assert [backend.name for backend in BACKENDS.values()] == list(BACKEND_NAMES)


# The file, and what the stage may import


def test_the_record_reads_back_and_a_changed_one_is_stale_downstream(tmp_path):
    found = predict_adjacency(HAIRPIN, folding(), stated(HAIRPIN, "((((....))))"))
    found.save(tmp_path / "a_adjacency.safetensors")
    back = Adjacency.load(tmp_path / "a_adjacency.safetensors", HAIRPIN)
    assert back.digest() == found.digest()
    assert back.given is True
    other = predict_adjacency(HAIRPIN, folding(), stated(HAIRPIN, "(((......)))"))
    with pytest.raises(ContractError, match="stale"):
        require_same_input(back, "given", other)


def test_mea_of_a_matrix_equals_mea_of_the_ensemble():
    upper = pair_probabilities(vienna_bpp(TRNA.sequence))
    own = fold(TRNA.sequence, folding(min_stem=1), Constraints())
    assert to_dot_bracket(mea_matching(TRNA.sequence, upper, 1.0)) == to_dot_bracket(own.partner_L)


def test_stage_a_does_not_import_torch():
    code = "import sys, rna_predict.stage_a_adjacency.stage, rna_predict.formats.secondary_structure; "
    done = subprocess.run([sys.executable, "-c", code + "sys.exit('torch' in sys.modules)"], check=False)
    assert done.returncode == 0
