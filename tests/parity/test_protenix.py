"""Our modules against Protenix 2.0.0 itself, by both of its paths."""

import pytest
import torch

from rna_predict.cli.bench_parity import package, protenix_installed
from rna_predict.cli.parity_cases import CASES, OURS_ALONE
from rna_predict.cli.parity_inputs import ARCHITECTURES

if not protenix_installed():
    pytest.skip("protenix 2.0.0 is not installed; `make install-test` does it", allow_module_level=True)

TOLERANCE = 1e-4
"""Largest absolute difference on outputs of order one."""


@pytest.fixture(scope="module")
def compare(given):
    """The comparison by size; Protenix's networks are built once."""
    return {size: package(given[size]) for size in ARCHITECTURES}


@pytest.mark.parametrize("size", ARCHITECTURES)
@pytest.mark.parametrize("module", CASES)
def test_a_module_computes_what_protenix_computes(module, size, networks, compare):
    gap, scale = compare[size](networks(size), module)
    assert gap <= TOLERANCE, f"{module} at {size}: {gap:.1e} on outputs of size {scale:.2f}"


@pytest.mark.parametrize("size", ARCHITECTURES)
def test_both_have_the_same_parameters(size, networks):
    from rna_predict.cli.parity_protenix import build

    theirs = {key: tuple(value.shape) for key, value in build(ARCHITECTURES[size]).state_dict().items()}
    ours = {
        key: tuple(value.shape)
        for network in (networks(size).trunk, networks(size).diffusion)
        for key, value in network.state_dict().items()
        if not key.startswith(OURS_ALONE)
    }
    assert ours == theirs


def test_both_sides_have_the_same_cases():
    from rna_predict.cli.parity_peer import CASES as THEIRS

    assert list(CASES) == list(THEIRS)


def test_a_network_with_one_changed_weight_is_told_apart(networks, compare):
    weight = networks("nano").block.tri_mul_in.linear_z.weight
    with torch.no_grad():
        weight[0, 0] += 0.01
        try:
            gap, _ = compare["nano"](networks("nano"), "trunk_1_cycle")
        finally:
            weight[0, 0] -= 0.01
    assert gap > 1e-3
