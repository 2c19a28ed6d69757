"""Where a network runs: what the machine has, or a refusal that names the setting."""

import pytest
import torch

from rna_predict.errors import ConfigError
from rna_predict.nn.device import bfloat16_is_native, choose_device, choose_dtype


def test_auto_takes_what_is_there_and_a_named_device_is_that_device():
    assert choose_device("auto", "x").type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert choose_device("cpu", "x") == torch.device("cpu")


@pytest.mark.parametrize("name", ["abacus", "cuda:99", "meta", ""])
def test_a_device_that_is_not_there_is_refused_by_its_setting(name):
    with pytest.raises(ConfigError, match=r"stage_b\.device: .*Use auto or cpu"):
        choose_device(name, "stage_b.device")


@pytest.mark.parametrize(
    ("capabilities", "native"),
    [
        ({}, False),
        ({"avx512_bf16": False, "avx512_f": True}, False),
        ({"avx512_bf16": True}, True),
        ({"bf16": True}, True),
    ],
)
def test_bfloat16_is_taken_by_itself_only_where_the_processor_has_it(monkeypatch, capabilities, native):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    cpu = torch.device("cpu")
    assert bfloat16_is_native(cpu) is native
    assert choose_dtype("auto", cpu) == (torch.bfloat16 if native else torch.float32)
    assert choose_dtype("float32", cpu) == torch.float32
    assert choose_dtype("bfloat16", cpu) == torch.bfloat16


def test_the_capabilities_read_are_ones_that_torch_knows():
    assert {"avx512_bf16", "amx_bf16", "bf16"} & set(torch.cpu.get_capabilities()), "torch renamed them"


def test_another_precision_is_refused():
    with pytest.raises(ConfigError, match=r"'half' is unknown\. Use one of: auto, float32, bfloat16"):
        choose_dtype("half", torch.device("cpu"))
