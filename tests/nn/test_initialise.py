"""Starting values: the same for a part as for the whole, and none left out."""

import pytest
import torch
from torch import nn

from rna_predict.errors import WeightsError
from rna_predict.nn.initialise import initialise, unfilled
from rna_predict.nn.layers import Linear, layer_norm
from rna_predict.nn.profiles import PROFILES

NANO = PROFILES["nano"]


def on_meta(build):
    with torch.device("meta"):
        return build(NANO)


@pytest.mark.parametrize("part", ["trunk", "diffusion"])
def test_a_part_built_alone_gets_the_numbers_that_it_has_in_the_whole(parts, part):
    whole, alone = on_meta(parts.whole), getattr(parts, part)(NANO)
    assert initialise(whole, seed=5) == sorted(whole.state_dict())
    assert initialise(alone, seed=5) == sorted(alone.state_dict())
    values = whole.state_dict()
    assert all(torch.equal(values[key], tensor) for key, tensor in alone.state_dict().items())


def test_another_seed_and_another_key_give_other_numbers(parts):
    first, second = parts.whole(NANO), parts.whole(NANO)
    initialise(first, seed=5)
    initialise(second, seed=6)
    blocks = first.pairformer_stack.blocks
    assert not torch.equal(blocks[0].linear_q.weight, second.pairformer_stack.blocks[0].linear_q.weight)
    assert not torch.equal(blocks[0].linear_q.weight, blocks[1].linear_q.weight)
    assert not torch.equal(first.diffusion_module.w, first.diffusion_module.b)


def test_each_layer_starts_as_the_paper_says():
    module = nn.Sequential(
        Linear(400, 300),
        Linear(400, 300, init="relu"),
        Linear(400, 300, bias=True, init="adaptive_zero"),
        layer_norm(7),
        layer_norm(7, offset=False),
    )
    initialise(module)
    assert module[0].weight.std().item() == pytest.approx((1 / 400) ** 0.5, rel=0.01)
    assert module[1].weight.std().item() == pytest.approx((2 / 400) ** 0.5, rel=0.01)
    assert module[0].weight.abs().max().item() <= 2 * (1 / 400) ** 0.5 / 0.8796
    assert not module[2].weight.any()
    assert (module[2].bias == -2).all()
    assert (module[3].weight == 1).all()
    assert not module[3].bias.any()
    assert (module[4].weight == 1).all()


def test_only_the_tensors_asked_for_change_and_a_meta_module_says_what_it_lacks(parts):
    whole = on_meta(parts.whole)
    assert initialise(whole, wanted=lambda key: key.startswith("torsion_head.")) == [
        "torsion_head.bias",
        "torsion_head.weight",
    ]
    assert unfilled(whole) == sorted(set(whole.state_dict()) - {"torsion_head.bias", "torsion_head.weight"})
    with pytest.raises(WeightsError, match=r"torsion_head: only a part"):
        initialise(whole, wanted=lambda key: key == "torsion_head.bias")


class Forgetful(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.kept = nn.Parameter(torch.zeros(3))
        self.forgotten = nn.Parameter(torch.zeros(3))


class HalfFilled(Forgetful):
    def fill(self, generator):
        self.kept.zero_()


@pytest.mark.parametrize(
    ("kind", "named"),
    [(Forgetful, r"head: no rule to initialise a Forgetful"), (HalfFilled, r"head\.forgotten: HalfFilled\.fill left")],
)
def test_a_parameter_without_a_starting_value_is_an_error(kind, named):
    with pytest.raises(WeightsError, match=named):
        initialise(nn.ModuleDict({"head": kind()}))
