"""Long RNAs: what is left out for their sake, the limit on a pair's span, and memory."""

import random
import subprocess
import sys

import numpy as np
import pytest
import RNA

from rna_predict.contracts import RnaSequence
from rna_predict.stage_a_adjacency.config import StageAConfig
from rna_predict.stage_a_adjacency.folding import Constraints
from rna_predict.stage_a_adjacency.stage import predict_adjacency
from rna_predict.stage_a_adjacency.viennarna import SMALLEST_PROBABILITY, fold

DRAWN = "".join(random.Random(5).choices("ACGU", k=300))


def test_only_pairs_of_no_weight_are_left_out():
    compound = RNA.fold_compound(DRAWN)
    compound.exp_params_rescale(compound.mfe()[1])
    free_energy = compound.pf()[1]
    own = np.triu(np.array(compound.bpp())[1:, 1:], 1)
    found = fold(DRAWN, StageAConfig(backend="viennarna", calibration="off", readout="mea"), Constraints())
    assert found.free_energy == pytest.approx(free_energy)
    upper = np.triu(found.probability_LL)
    left_out = (upper == 0) & (own > 0)
    assert left_out.any()
    assert own[left_out].max() <= SMALLEST_PROBABILITY
    np.testing.assert_allclose(upper[~left_out], own[~left_out], rtol=1e-6)


def test_the_span_limits_the_distance_of_a_pair_and_nothing_else():
    rna = RnaSequence(id="hairpin", sequence="GGGCUUCGGCCC")
    free, reached, short = (
        predict_adjacency(
            rna, StageAConfig(backend="viennarna", calibration="off", max_pair_span=span, pseudoknots="off")
        )
        for span in (0, 11, 10)
    )
    assert free.digest() == reached.digest()
    assert free.partner_L[0] == 11
    assert short.partner_L[0] == -1
    assert short.partner_L[1] == 10
    first, second = np.nonzero(short.probability_LL)
    assert np.abs(first - second).max() == 10


CODE = """
import random, resource
from rna_predict.contracts import RnaSequence
from rna_predict.stage_a_adjacency.config import StageAConfig
from rna_predict.stage_a_adjacency.stage import predict_adjacency
letters = "".join(random.Random(1).choices("ACGU", k=3000))
found = predict_adjacency(RnaSequence(id="long", sequence=letters), StageAConfig())
assert len(found.pairs) > 500
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
def test_three_thousand_residues_fit_into_eight_gigabytes():
    done = subprocess.run([sys.executable, "-c", CODE], check=True, capture_output=True, text=True)
    assert 1e5 < int(done.stdout) < 8e6, "kB"
