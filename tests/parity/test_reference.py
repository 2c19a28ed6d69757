"""Our modules against committed outputs of Protenix 2.0.0, so that this runs where Protenix is not installed."""

import pytest
import torch

from rna_predict.cli.bench_parity import difference, reference
from rna_predict.cli.parity_cases import CASES
from rna_predict.cli.parity_inputs import ARCHITECTURES, draw, draw_integers
from rna_predict.cli.parity_reference import read_outputs, thin

TOLERANCE = 1e-4
"""Largest absolute difference on outputs of order one."""


@pytest.mark.parametrize("size", ARCHITECTURES)
@pytest.mark.parametrize("module", CASES)
def test_a_module_computes_what_protenix_computes(module, size, networks, reference_path):
    gap, scale = reference(reference_path)(networks(size), module)
    assert gap <= TOLERANCE, f"{module} at {size}: {gap:.1e} on outputs of size {scale:.2f}"
    assert scale > 0.1, f"{module} at {size}: outputs of size {scale:.2f} are too small to tell anything"


@pytest.mark.parametrize("module", CASES)
def test_the_paths_that_record_a_gradient_compute_the_same(module, networks, reference_path):
    case = f"nano/{module}"
    outputs = {name: value.detach() for name, value in networks("nano").outputs(module).items()}
    gap, scale = difference(case, thin(case, outputs), [read_outputs(reference_path, case)])
    assert gap <= TOLERANCE, f"{module}: {gap:.1e} on outputs of size {scale:.2f}"


def test_the_reference_is_small_enough_to_commit(reference_path):
    assert reference_path.stat().st_size < 3e6


def test_drawn_numbers_are_the_same_wherever_they_are_drawn():
    torch.testing.assert_close(
        draw("a name", 3), torch.tensor([1.1277319192886353, -1.2974879741668701, -0.4135289192199707]), rtol=0, atol=0
    )
    assert draw_integers("another", 21, 24, 8).tolist() == [21, 23, 22, 22, 23, 24, 23, 24]
    many = draw("many", 100_000)
    assert abs(many.mean()) < 0.01
    assert abs(many.std() - 1) < 0.01
    assert set(draw_integers("range", -1, 1, 1000).tolist()) == {-1, 0, 1}
