"""The assembly end to end on small RNAs: whole molecules with their pairs formed, and every input felt."""

import dataclasses

import numpy as np
import pytest

from rna_predict.contracts import BUILD_METHODS, Coordinates, RnaSequence, Torsions
from rna_predict.contracts.loops import decompose
from rna_predict.errors import ConfigError, ContractError, PredictionError
from rna_predict.evaluation.annotation import annotate_pairs, share_formed
from rna_predict.evaluation.geometry_report import geometry_report
from rna_predict.formats.dot_bracket import from_dot_bracket
from rna_predict.formats.structure import read_structure
from rna_predict.geometry.numpy_measures import measure_pucker
from rna_predict.stage_c_reconstruction import assembly
from rna_predict.stage_c_reconstruction.chain import draw
from rna_predict.stage_c_reconstruction.config import StageCConfig
from rna_predict.stage_c_reconstruction.stage import how_built, reconstruct

HAIRPIN = ("GGGCUUCGGCCC", "((((....))))")
FREE = ("GACUA", ".....")
STANDING = dict.fromkeys(("steps_open", "steps_closing", "steps_closed", "steps_polish"), 0)
BRIEF = StageCConfig(starts=1, kept=1, steps_open=10, steps_closing=20, steps_closed=30, steps_polish=60)
KNOT = ("GGCGCGAACCAGGAGCGCCAAUAAUAAUCCUGGA", "(((((...[[[[[[)))))........]]]]]].")
"""H-type; the longer second stem is the skeleton, the first one its pseudoknot."""


def require_molecule(model: Coordinates) -> None:
    """No break, no inverted centre, no pierced ring, every bond within 0.03 Å of ideal."""
    report = geometry_report(model.structure())
    assert report.faults == ""
    assert report.bonds.breaks == 0
    assert report.inverted == 0
    assert report.pierced == 0
    assert report.centers_left_out == 0
    assert report.atoms_missing == 0
    assert report.nonplanar == 0
    assert report.bonds.bond_max < 0.03


@pytest.fixture(scope="module")
def hairpin(inputs, quick) -> Coordinates:
    return reconstruct(*inputs(*HAIRPIN), quick)


def test_a_hairpin_is_a_molecule_with_its_pairs_formed(hairpin):
    require_molecule(hairpin)
    formed = annotate_pairs(hairpin.structure())
    assert share_formed(formed, [(0, 11), (1, 10), (2, 9), (3, 8)]) == 1.0
    assert {(0, 1), (1, 2), (2, 3)} <= set(formed.stackings)
    assert geometry_report(hairpin.structure()).clashes <= 1


def test_each_residue_says_how_it_was_built(hairpin):
    names = [BUILD_METHODS[code] for code in hairpin.built_L]
    assert names == ["helix"] * 4 + ["hairpin"] * 4 + ["helix"] * 4
    expected = {
        "..((.((....)).((....)).))": {0: "external", 2: "helix", 4: "multiloop", 8: "hairpin", 13: "multiloop"},
        "((.((...))..))((.((...))))": {2: "internal", 11: "internal", 16: "internal", 15: "helix"},
        KNOT[1]: {0: "pseudoknot", 5: "external", 9: "helix", 15: "pseudoknot", 20: "hairpin", 28: "helix"},
    }
    for brackets, kinds in expected.items():
        built_L = how_built(decompose(np.asarray(from_dot_bracket(brackets))))
        assert {k: BUILD_METHODS[built_L[k]] for k in kinds} == kinds


def test_the_model_names_its_inputs_and_settings(hairpin, inputs, quick):
    _, adjacency, torsions = inputs(*HAIRPIN)
    assert hairpin.provenance.method == "assembly"
    assert hairpin.provenance.inputs == {"a_adjacency": adjacency.digest(), "b_torsions": torsions.digest()}
    other = reconstruct(*inputs("G", "."), dataclasses.replace(quick, steps_open=1))
    assert other.provenance.config != hairpin.provenance.config


@pytest.mark.parametrize("letters", ["G", "AC", "UUGACAUAGCAAUCUAGAAC"])
def test_rnas_without_pairs_are_molecules_too(inputs, quick, letters):
    model = reconstruct(*inputs(letters, "." * len(letters)), quick)
    require_molecule(model)
    assert {BUILD_METHODS[code] for code in model.built_L} == {"external"}
    assert not [pair for pair in annotate_pairs(model.structure()).canonical if pair[1] - pair[0] < 4]


@pytest.mark.slow
def test_a_pseudoknot_is_closed(inputs):
    sequence, adjacency, torsions = inputs(*KNOT)
    assert len(decompose(adjacency.partner_L).pseudoknots) == 1
    model = reconstruct(sequence, adjacency, torsions, StageCConfig(starts=4))
    require_molecule(model)
    assert share_formed(annotate_pairs(model.structure()), adjacency.pairs) >= 0.6


@pytest.mark.slow
def test_the_pseudoknot_of_a_riboswitch_is_closed_onto_its_native_pairs(inputs, chains_dir):
    native = read_structure(chains_dir / "2qwy_A.pdb.gz")
    partner_L = np.full(native.length, -1)
    for i, j in annotate_pairs(native).canonical:
        partner_L[i], partner_L[j] = j, i
    knots = [pair for stem in decompose(partner_L).pseudoknots for pair in stem.pairs]
    opened = {i: "[" for i, _ in knots} | {j: "]" for _, j in knots}
    brackets = "".join(
        opened.get(i, "." if partner_L[i] < 0 else "(" if partner_L[i] > i else ")") for i in range(native.length)
    )
    sequence, adjacency, torsions = inputs(native.sequence, brackets)
    model = reconstruct(sequence, adjacency, torsions, StageCConfig(starts=4))
    require_molecule(model)
    assert len(knots) >= 3
    assert share_formed(annotate_pairs(model.structure()), adjacency.pairs) >= 0.8


def test_the_same_seed_repeats_the_model_bit_for_bit(inputs):
    first, second = (reconstruct(*inputs(*FREE), BRIEF) for _ in range(2))
    assert np.array_equal(first.xyz_LA3, second.xyz_LA3)
    assert first.digest() == second.digest()


def test_every_attempt_draws_with_the_next_seed(inputs, monkeypatch):
    seeds = []

    def spy(torsions, samples, spread, generator):
        if spread:
            seeds.append(generator.initial_seed())
        return draw(torsions, samples, spread, generator)

    monkeypatch.setattr(assembly, "draw", spy)
    config = StageCConfig(starts=1, kept=1, attempts=3, seed=7, **STANDING)
    with pytest.raises(PredictionError, match=r"probe: .* 3 attempts.*chain breaks.*seed"):
        reconstruct(*inputs(*HAIRPIN), config)
    assert seeds == [7, 8, 9]


def test_changed_torsions_change_the_model(inputs):
    sequence, adjacency, torsions = inputs(*FREE)
    before = reconstruct(sequence, adjacency, torsions, BRIEF).xyz_LA3
    angle = torsions.angle_L7.copy()
    angle[2, 6] = -angle[2, 6]  # χ
    turned = dataclasses.replace(torsions, angle_L7=angle)
    assert np.abs(reconstruct(sequence, adjacency, turned, BRIEF).xyz_LA3 - before).max() > 0.2
    phase = torsions.pucker_phase_L.copy()
    phase[2] = np.radians(162)
    puckered = dataclasses.replace(torsions, pucker_phase_L=phase)
    found = reconstruct(sequence, adjacency, puckered, BRIEF).structure()
    measured, _, _ = measure_pucker(found.xyz_LA3, found.mask_LA, found.sequence)
    assert np.degrees(measured[2]) == pytest.approx(162, abs=1)


def test_changed_pairs_change_the_model(hairpin, inputs, quick):
    sequence, _, torsions = inputs(*HAIRPIN)
    _, opened, _ = inputs(HAIRPIN[0], ".(((....))).")
    model = reconstruct(sequence, opened, torsions, quick)
    assert np.abs(model.xyz_LA3 - hairpin.xyz_LA3).max() > 0.2
    assert BUILD_METHODS[model.built_L[0]] == "external"


def test_inputs_of_another_rna_are_refused(inputs):
    sequence, adjacency, torsions = inputs(*FREE)
    with pytest.raises(ContractError, match="another RNA"):
        reconstruct(RnaSequence(id="probe", sequence="GACUU"), adjacency, torsions, BRIEF)
    other: Torsions = dataclasses.replace(torsions, id="somebody")
    with pytest.raises(ContractError, match="stage_b"):
        reconstruct(sequence, adjacency, other, BRIEF)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("method", "guess"),
        ("starts", 0),
        ("kept", 0),
        ("attempts", 0),
        ("spread", -1.0),
        ("steps_open", -1),
        ("seed", -1),
    ],
)
def test_settings_out_of_range_are_refused(field, value):
    with pytest.raises(ConfigError, match=rf"stage_c\.{field}"):
        StageCConfig(**{field: value})
