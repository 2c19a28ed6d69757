"""What the networks hold and cost, counted from their sizes, is what the built networks hold and cost."""

import dataclasses
import math
import subprocess
import sys

import pytest
import torch

from rna_predict.errors import ConfigError
from rna_predict.nn import cost
from rna_predict.nn.architecture import PAIR_HEAD_WIDTH
from rna_predict.nn.atom_attention import WINDOWS_AT_ONCE
from rna_predict.nn.cost import Run, parameters, peak_bytes, seconds, weight_bytes, works
from rna_predict.nn.pairformer import PairformerStack
from rna_predict.nn.profiles import PROFILES
from rna_predict.nn.rows import CPU_POSITIONS
from rna_predict.nn.template import NO_TEMPLATE
from rna_predict.nn.triangle import CHANNELS_AT_ONCE
from rna_predict.nn.weights import OURS, build_on_meta
from rna_predict.nn.windows import KEYS, QUERIES
from rna_predict.nn.work import KINDS, POSITIONS_AT_ONCE, Work, pairformer
from rna_predict.stage_b_torsion.trunk import Trunk
from rna_predict.stage_d_diffusion.denoiser import BIAS_BYTES
from rna_predict.stage_d_diffusion.network import DiffusionModel


def built(architecture):
    """Number of values of both stages' networks by first word of the key, without this package's own parts."""
    counts = {}
    for build in (Trunk, DiffusionModel):
        for key, tensor in build_on_meta(build, architecture).state_dict().items():
            root = key.split(".", 1)[0]
            if root not in OURS:
                counts[root] = counts.get(root, 0) + math.prod(tensor.shape)
    return counts


@pytest.mark.parametrize("name", PROFILES)
def test_the_counted_parameters_are_those_of_the_built_networks(name):
    counted = {
        part: work.parameters
        for parts in works(PROFILES[name], Run(length=50, cycles=3, msa_rows=7)).values()
        for part, work in parts.items()
    }
    found = built(PROFILES[name])
    assert counted["input embedder"] == found["input_embedder"]
    assert counted["template embedder"] == found["template_embedder"]
    assert counted["MSA module"] == found["msa_module"]
    assert counted["Pairformer"] == found["pairformer_stack"]
    assert counted["confidence head"] == found["confidence_head"]
    assert counted["conditioning"] + counted["denoising"] == found["diffusion_module"]
    assert parameters(PROFILES[name]) == sum(found.values())


def test_small_and_nano_are_as_large_as_they_say():
    assert 1e6 <= parameters(PROFILES["small"]) <= 4e6
    assert parameters(PROFILES["nano"]) <= 1.05e6


def test_the_constants_that_are_repeated_here_are_the_networks_own():
    assert POSITIONS_AT_ONCE == CPU_POSITIONS
    assert cost.BIAS_BYTES == BIAS_BYTES
    assert cost.WINDOWS_AT_ONCE == WINDOWS_AT_ONCE
    assert cost.CHANNELS_AT_ONCE == CHANNELS_AT_ONCE
    assert (cost.QUERIES, cost.KEYS) == (QUERIES, KEYS)
    assert len(NO_TEMPLATE) == cost.EMPTY_TEMPLATES


def test_matrix_products_of_a_block_are_as_many_as_torch_counts():
    from torch.utils.flop_counter import FlopCounterMode

    a = PROFILES["small"]
    stack = PairformerStack(a, blocks=1, c_z=a.c_z, c_s=a.c_s).eval()
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        stack(torch.zeros(1, 40, a.c_s), torch.zeros(1, 40, 40, a.c_z))
    work = pairformer(a, 40, 1)
    products = work.flops - 4 * PAIR_HEAD_WIDTH * work.amounts["attention"]  # torch does not count its CPU attention
    assert counter.get_total_flops() == pytest.approx(products, rel=1e-3)


def test_work_adds_up_repeats_and_multiplies():
    one = Work(3, {"pair": 2.0, "call": 1.0})
    assert one + Work(1, {"pair": 1.0, "atom": 4.0}) == Work(4, {"pair": 3.0, "call": 1.0, "atom": 4.0})
    assert one.times(2) == Work(6, {"pair": 4.0, "call": 2.0})
    assert one.again(2) == Work(3, {"pair": 4.0, "call": 2.0})
    assert seconds(one, dict.fromkeys(KINDS, 2.0)) == pytest.approx(1.5 / cost.EFFICIENCY)


def test_more_of_anything_costs_more():
    a, run = PROFILES["small"], Run(length=100, cycles=2, models=2, steps=10)

    def total(stage, **changes):
        parts = works(a, dataclasses.replace(run, **changes))[stage].values()
        return sum(seconds(work, dict.fromkeys(KINDS, 1e9)) for work in parts)

    for stage, grown in (
        ("stage_b", {"cycles": 4}),
        ("stage_b", {"msa_rows": 64}),
        ("stage_d", {"models": 4}),
        ("stage_d", {"steps": 20}),
    ):
        assert total(stage, **grown) > 1.01 * total(stage)
    assert total("stage_b", length=200) > 4 * total("stage_b")
    for stage in cost.STAGES:
        assert peak_bytes(a, stage, dataclasses.replace(run, length=800)) > peak_bytes(a, stage, run) + 50e6
        assert peak_bytes(a, stage, run) > weight_bytes(a, stage)


def test_what_cannot_be_run_is_refused():
    with pytest.raises(ConfigError, match="length: 0 must be at least 1"):
        Run(length=0, cycles=1)
    with pytest.raises(ConfigError, match=r"'stage_c': runs no networks\. Stages: stage_b, stage_d"):
        peak_bytes(PROFILES["nano"], "stage_c", Run(length=10, cycles=1))


MEASURE = """
import pathlib, re, torch
from rna_predict.nn.featurise import featurise
from rna_predict.nn.weights import open_network
from rna_predict.stage_b_torsion.trunk import Trunk
trunk = open_network(Trunk, untrained_profile="nano").module
with torch.inference_mode():
    found = trunk(featurise("ACGU" * 50, seed=0), 1)
    trunk.distogram(found.pair_BLLZ)
print(1024 * int(re.findall(r"VmHWM:\\s+(\\d+)", pathlib.Path("/proc/self/status").read_text())[0]))
"""
"""Not ru_maxrss: a child inherits that of the process that started it."""


def test_the_peak_of_a_real_trunk_is_within_a_factor_of_one_and_a_half():
    found = subprocess.run([sys.executable, "-c", MEASURE], capture_output=True, text=True, check=True).stdout
    estimate = peak_bytes(PROFILES["nano"], "stage_b", Run(length=200, cycles=1))
    assert 1 / 1.5 < estimate / int(found) < 1.5


def test_costs_need_no_torch():
    code = "import sys, rna_predict.nn.cost; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
