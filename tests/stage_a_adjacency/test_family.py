"""What an RNA's families say: it moves pairs and is stated; without a hit nothing changes."""

import dataclasses
import functools
import json
import subprocess
import sys

import numpy as np
import pytest

from rna_predict.contracts import Adjacency, FamilyFound, GivenStructure, RnaSequence
from rna_predict.errors import ConfigError, ContractError
from rna_predict.families.library import load_library
from rna_predict.formats.dot_bracket import from_dot_bracket, to_dot_bracket
from rna_predict.stage_a_adjacency import backends, stage
from rna_predict.stage_a_adjacency.config import StageAConfig
from rna_predict.stage_a_adjacency.family import family_a3m, family_alignment, family_evidence, family_json
from rna_predict.stage_a_adjacency.stage import predict_adjacency

vienna = functools.partial(StageAConfig, backend="viennarna")

ASN = RnaSequence(id="ffy", sequence="GGGCUUGUAGCUCAGGUGGUUAGAGCGCACCCCUGAUAAGGGUGAGGUCGGUGGUUCAAGUCCACUCAGGCCCACC")
"""A tRNA that ViennaRNA alone folds wrong: 6 of 21 pairs of its cloverleaf."""
CLOVERLEAF = "(((((((..((((.........)))).(((((.......))))).....(((((.......))))))))))))..."
FREE = RnaSequence(id="free", sequence="GGGACUUCGGUCCCAAAAGCGUAGCUCUUCGGAGCAACGC")
"""Of no family."""


def pairs_of(structure: str) -> set[tuple[int, int]]:
    """Pairs i < j of a dot-bracket."""
    return {(i, int(j)) for i, j in enumerate(from_dot_bracket(structure)) if j > i}


def test_a_trna_that_folds_wrong_alone_folds_right_with_its_family():
    alone = predict_adjacency(ASN, vienna(family="off"))
    known = pairs_of(CLOVERLEAF)
    assert len(known & set(alone.pairs)) < 12
    found = predict_adjacency(ASN, vienna())
    assert to_dot_bracket(found.partner_L) == CLOVERLEAF
    assert min(found.probability_LL[i, j] for i, j in known) > 0.5


def test_the_family_is_stated_with_evalue_coverage_and_release():
    found = predict_adjacency(ASN, vienna())
    (family,) = found.families
    assert (family.accession, family.name, family.release) == ("RF00005", "tRNA", "Rfam 14.9")
    assert family.evalue < 1e-5
    assert family.model_coverage > 0.9
    assert family.query_coverage == pytest.approx((family.last - family.first + 1) / 76, abs=1e-3)
    assert found.provenance.method == "viennarna+family"
    assert len(found.provenance.inputs["family"]) == 64


def test_the_log_says_what_was_found(caplog):
    with caplog.at_level("INFO", logger="rna_predict"):
        predict_adjacency(ASN, vienna())
    assert "ffy: residues 2-73 are tRNA (RF00005 of Rfam 14.9), E-value " in caplog.text
    assert "% of the family's profile" in caplog.text


def test_without_a_hit_the_result_is_that_of_family_off():
    found, alone = (predict_adjacency(FREE, vienna(family=mode)) for mode in ("auto", "off"))
    assert found.families == ()
    assert found.digest() == alone.digest()
    assert dataclasses.replace(found.provenance, config="") == dataclasses.replace(alone.provenance, config="")
    assert family_a3m(FREE, vienna()) == family_a3m(FREE, vienna(family="off")) == f">free\n{FREE.sequence}\n"
    assert family_alignment(FREE, vienna()) is None


def test_a_family_that_is_left_out_or_too_weak_says_nothing():
    for config in (
        vienna(family_evalue=1e-50),
        vienna(family_exclude=["RF00005"], family_evalue=1e-6),
        vienna(family="off"),
    ):
        found = predict_adjacency(ASN, config)
        assert found.families == ()
        assert found.provenance.method == "viennarna"


def test_the_weight_is_what_moves_the_pairs():
    pair = (0, 72)
    values = [
        predict_adjacency(ASN, vienna(family_weight=w, family_loop_weight=0.0)).probability_LL[pair]
        for w in (0.0, 0.3, 1.25)
    ]
    assert values[0] < values[1] < values[2]


def test_a_loop_of_the_consensus_costs_pairs():
    dear, free = (
        predict_adjacency(ASN, vienna(family_weight=0.0, family_loop_weight=w)).probability_LL for w in (3.0, 0.0)
    )
    anticodon_loop = slice(32, 39)
    assert free[anticodon_loop].sum() > 0.2
    assert dear[anticodon_loop].sum() < 0.5 * free[anticodon_loop].sum()


def test_evidence_is_an_energy_for_canonical_pairs_only():
    evidence = family_evidence(ASN.sequence, vienna())
    assert evidence is not None
    assert evidence.bonus_LL is not None
    assert evidence.pairs == evidence.unpaired == ()
    assert np.array_equal(evidence.bonus_LL, np.triu(evidence.bonus_LL, 4))
    assert evidence.bonus_LL.min() >= -1.25
    assert evidence.bonus_LL.max() <= 0.7 + 1e-6
    assert evidence.bonus_LL[0, 72] < -1.0
    letters = {ASN.sequence[i] + ASN.sequence[j] for i, j in np.argwhere(evidence.bonus_LL)}
    assert letters <= {"AU", "UA", "GC", "CG", "GU", "UG"}


def test_backends_that_are_surer_of_themselves_are_told_louder():
    plain = family_evidence(ASN.sequence, vienna()).bonus_LL
    for backend, strength in (("ensemble", 2.8), ("rfold", 4.0), ("viennarna", 1.0)):
        told = family_evidence(ASN.sequence, vienna(backend=backend)).bonus_LL
        assert told == pytest.approx(strength * plain, abs=0.02)


def test_a_pseudoknot_of_the_consensus_is_put_on_top():
    hdv = RnaSequence(id="hdv", sequence="GGCCGGCAUGGUCCCAGCCUCCUCGCUGGCGCCGGCUGGGCAACACCAUUGCACUCCGGUGGUGAAUGGGAC")
    found = predict_adjacency(hdv, vienna(pseudoknots="off"))
    assert found.families[0].name == "HDV_ribozyme"
    structure = to_dot_bracket(found.partner_L)
    assert "[" in structure
    crossing = {(i, j) for i, j in found.pairs if structure[i] == "["}
    assert all(found.probability_LL[pair] >= 0.35 for pair in crossing)


def test_a_pseudoknots_residues_are_dear_to_other_pairs():
    sam = (
        "UUCUUAUCAAGAGAAGCAGAGGGACUGGCCCGACGAAGCUUCAGCAACCGGUGUAAUGGCGAUCAGCCAUGACCAAGGUGCUAAAUCCAGCAAGCUCGAACAGC"
        "UUGGAAGAUAAGAA"
    )
    evidence = {w: family_evidence(sam, vienna(family_knot_weight=w)) for w in (0.0, 3.0)}
    assert evidence[3.0].offered == evidence[0.0].offered
    assert len(evidence[3.0].offered) >= 3
    costs = evidence[3.0].bonus_LL - evidence[0.0].bonus_LL
    for residue in {end for i, j, _ in evidence[3.0].offered for end in (i, j)}:
        assert max(costs[residue].max(), costs[:, residue].max()) > 1.0
    assert not costs[np.ix_(range(3), range(112, 118))].any()  # P1, which is no part of the pseudoknot


def test_a_given_structure_is_the_answer_and_the_family_is_still_stated():
    given = GivenStructure.from_pairs("ffy", 76, [(0, 71), (1, 70)], "test")
    found = predict_adjacency(ASN, vienna(), given)
    assert found.pairs == [(0, 71), (1, 70)]
    assert [one.accession for one in found.families] == ["RF00005"]
    assert found.provenance.method == "given"
    assert family_json(found)["used"] is False


def test_given_pairs_and_the_family_go_together():
    given = GivenStructure.from_pairs("ffy", 76, [(0, 72)], "test")
    found = predict_adjacency(ASN, vienna(given_mode="constrain"), given)
    assert found.provenance.method == "viennarna+given+family"
    assert found.probability_LL[0, 72] == 1.0
    assert to_dot_bracket(found.partner_L) == CLOVERLEAF


def test_a_backend_without_pseudo_energies_leaves_the_pairs_out_and_says_so(monkeypatch, caplog):
    plain = dataclasses.replace(backends.BACKENDS["viennarna"], uses=frozenset({"pairs", "unpaired"}))
    monkeypatch.setitem(stage.BACKENDS, "viennarna", plain)
    with caplog.at_level("WARNING", logger="rna_predict"):
        found = predict_adjacency(ASN, vienna())
    assert "ffy: backend viennarna cannot use its family's pairs" in caplog.text
    assert found.provenance.method == "viennarna"
    assert [one.accession for one in found.families] == ["RF00005"]


def test_another_library_changes_what_is_found(tmp_path):
    carried = load_library()
    small = dataclasses.replace(
        carried,
        release="one family",
        families=carried.families[:1],
        codes=carried.codes[:1],
        packed_rows=carried.packed_rows[:1],
    )
    small.save(tmp_path / "one.safetensors")
    config = vienna(family_library=str(tmp_path / "one.safetensors"))
    assert predict_adjacency(ASN, config).families == ()
    with pytest.raises(ContractError, match="no such family library"):
        predict_adjacency(ASN, vienna(family_library=str(tmp_path / "none.safetensors")))


def test_the_alignment_in_memory_is_the_one_of_the_file(tmp_path):
    from rna_predict.formats.alignment import read_alignment

    text = family_a3m(ASN, vienna())
    assert text.startswith("# residues ")
    (tmp_path / "a_family.a3m").write_text(text)
    read, _ = read_alignment(tmp_path / "a_family.a3m", ASN)
    alignment = family_alignment(ASN, vienna())
    assert alignment is not None
    assert alignment.digest() == read.digest()
    assert alignment.depth > 100
    assert alignment.names[1].startswith("RF00005|")


def test_families_come_back_from_a_file(tmp_path):
    found = predict_adjacency(ASN, vienna())
    found.save(tmp_path / "a_adjacency.safetensors")
    back = Adjacency.load(tmp_path / "a_adjacency.safetensors", ASN)
    assert back.families == found.families
    assert back.families[0].name == "tRNA"
    assert json.loads(json.dumps(family_json(back)))["families"][0]["accession"] == "RF00005"


def test_families_are_part_of_the_digest():
    found = predict_adjacency(ASN, vienna())
    assert dataclasses.replace(found, families=()).digest() != found.digest()


@pytest.mark.parametrize("families", [(("RF00005",),), (FamilyFound("RF00005", "t", 1e-5, 70, 80, 0.1, 0.1, "x"),)])
def test_families_that_cannot_be_are_refused(families):
    found = predict_adjacency(ASN, vienna(family="off"))
    with pytest.raises(ContractError, match="families of ffy"):
        dataclasses.replace(found, families=families)


@pytest.mark.parametrize(
    "wrong",
    [{"family": "on"}, {"family_evalue": 0.0}, {"family_weight": -1.0}, {"family_exclude": ["tRNA"]}],
)
def test_settings_that_mean_nothing_are_refused(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        vienna(**wrong)


def test_without_families_pyhmmer_is_not_imported():
    code = (
        "import sys; from rna_predict.contracts import RnaSequence\n"
        "from rna_predict.stage_a_adjacency.config import StageAConfig\n"
        "from rna_predict.stage_a_adjacency.stage import predict_adjacency\n"
        "config = StageAConfig(backend='viennarna', family='off')\n"
        "predict_adjacency(RnaSequence(id='x', sequence='GGGGAAAACCCC'), config)\n"
        "print('pyhmmer' in sys.modules, 'torch' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["False", "False"]
