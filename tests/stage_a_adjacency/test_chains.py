"""Stage A folds several chains as one complex."""

import numpy as np
import pytest
import RNA
import torch

from rna_predict.contracts import GivenStructure, RnaSequence
from rna_predict.contracts.sequence import rna_of_text
from rna_predict.errors import ConfigError, InputError
from rna_predict.formats.dot_bracket import to_dot_bracket
from rna_predict.stage_a_adjacency.config import StageAConfig
from rna_predict.stage_a_adjacency.featurise import features_of
from rna_predict.stage_a_adjacency.folding import can_pair
from rna_predict.stage_a_adjacency.network import GAP, FoldingScores, places_apart
from rna_predict.stage_a_adjacency.stage import predict_adjacency
from rna_predict.stage_a_adjacency.viennarna import mea_matching

DUPLEX = rna_of_text("duplex", "GGCACUUCGG&CCGAAGUGCC")
PLAIN = {"family": "off", "pseudoknots": "off", "calibration": "off"}


@pytest.mark.parametrize("backend", ["ensemble", "viennarna", "rfold"])
def test_two_strands_pair_with_each_other_to_their_ends(backend):
    found = predict_adjacency(DUPLEX, StageAConfig(backend=backend))
    assert (found.breaks, to_dot_bracket(found.partner_L)) == ((10,), "((((((((((" + "))))))))))")
    assert found.probability_LL[9, 10] > 0.3


def test_one_chain_of_the_same_letters_folds_otherwise():
    alone = RnaSequence(id="one", sequence=DUPLEX.sequence)
    found = predict_adjacency(alone, StageAConfig(backend="viennarna"))
    assert found.partner_L[9] == -1, "a hairpin needs a loop"


def test_probabilities_are_viennarnas_for_the_complex():
    sequence = rna_of_text("x", "GGGAUCUGAUGAGAAACCC&GGGUCAGAUCCCUU")
    compound = RNA.fold_compound(sequence.text)
    compound.exp_params_rescale(compound.mfe()[1])
    compound.pf()
    expected = np.triu(np.array(compound.bpp())[1:, 1:], k=1)
    found = predict_adjacency(sequence, StageAConfig(backend="viennarna", **PLAIN)).probability_LL
    assert np.abs(np.triu(found, k=1) - expected).max() < 1e-5
    assert expected[:19, 19:].sum() > 3, "strands do pair"


def test_residues_of_different_chains_may_be_neighbours():
    allowed = can_pair("GGCC", (2,))
    assert allowed[1, 2]
    assert not can_pair("GGCC")[1, 2]
    probability_LL = np.zeros((4, 4), dtype=np.float32)
    probability_LL[1, 2] = probability_LL[2, 1] = probability_LL[0, 3] = probability_LL[3, 0] = 0.9
    assert mea_matching("GGCC", probability_LL, 1.0, (2,)).tolist() == [3, 2, 1, 0]
    assert mea_matching("GGCC", probability_LL, 1.0).tolist() == [-1, -1, -1, -1]


def test_a_given_structure_across_chains_is_kept_and_folded_around():
    pairs = [(2, 17), (3, 16), (4, 15)]
    given = GivenStructure.from_pairs("duplex", 20, pairs, "drawn", breaks=(10,))
    assert predict_adjacency(DUPLEX, StageAConfig(), given).pairs == pairs
    around = predict_adjacency(DUPLEX, StageAConfig(given_mode="constrain"), given)
    assert set(pairs) < set(around.pairs)
    with pytest.raises(InputError, match="has 20 residues, duplex has 20 residues in 2 chains"):
        predict_adjacency(DUPLEX, StageAConfig(), GivenStructure.from_pairs("duplex", 20, pairs, "drawn"))


@pytest.mark.parametrize("backend", ["linearpartition", "mxfold2"])
def test_backends_that_know_one_chain_refuse_several(backend):
    with pytest.raises(ConfigError, match=r"cannot use breaks \(several chains; predict each alone\)"):
        predict_adjacency(DUPLEX, StageAConfig(backend=backend, calibration="off"))


def test_the_network_sees_a_gap_between_chains_and_answers_for_residues_alone():
    place_L = places_apart(5, (2, 4))
    assert place_L.tolist() == [0, 1, 2 + GAP, 3 + GAP, 4 + 2 * GAP]
    apart = features_of(["GGCCA"], [None]).apart((2, 4))
    assert apart.mask_BL.sum() == 5
    assert apart.code_BL[0, place_L].tolist() == features_of(["GGCCA"], [None]).code_BL[0].tolist()
    size = apart.code_BL.shape[1]
    numbered = torch.arange(size * size, dtype=torch.float32).view(1, size, size)
    scores = FoldingScores(pair_BLL=numbered, alone_BL=numbered[:, 0], draft_BLL=numbered).without_gaps((2, 4))
    assert torch.equal(scores.pair_BLL[0], numbered[0][place_L][:, place_L])
    assert torch.equal(scores.alone_BL[0], place_L.float())
