"""The networks' keys and shapes are those of Protenix's published sizes, key by key."""

import json
import runpy

import pytest
import torch

from rna_predict.nn.infer_architecture import infer_architecture
from rna_predict.nn.profiles import PROFILES
from rna_predict.nn.weights import OURS, compare
from rna_predict.stage_b_torsion.trunk import Trunk
from rna_predict.stage_d_diffusion.network import DiffusionModel

SIZES = ("base", "mini", "tiny", "v2")


@pytest.fixture(scope="module")
def layout(root):
    """The functions of the script that made the committed lists."""
    return runpy.run_path(str(root / "tests" / "parity" / "make_layout.py"))


@pytest.fixture(scope="module")
def stated(root):
    """Counts and hash of every published size."""
    return json.loads((root / "tests" / "parity" / "layout_digests.json").read_text())


def our_shapes(architecture):
    """Keys and shapes of both stages' networks, without the parts that the layout lacks."""
    with torch.device("meta"):
        tensors = Trunk(architecture).state_dict() | DiffusionModel(architecture).state_dict()
    return {key: tuple(tensor.shape) for key, tensor in tensors.items() if key.split(".")[0] not in OURS}


def test_base_has_the_listed_keys_and_shapes(root, layout, stated):
    listed = layout["from_text"]((root / "tests" / "parity" / "layout_base.txt").read_text())
    assert layout["summary"](listed) == stated["base"]
    report = compare(our_shapes(PROFILES["base"]), listed)
    assert report.counts() == dict.fromkeys(report.counts(), 0) | {"loaded": 4174}


@pytest.mark.parametrize("size", SIZES)
def test_every_published_size_has_its_keys_and_shapes_and_is_recognised_by_them(layout, stated, size):
    shapes = our_shapes(PROFILES[size])
    assert layout["summary"](shapes) == stated[size]
    assert infer_architecture(shapes) == PROFILES[size]


@pytest.mark.parametrize("size", SIZES)
def test_the_lists_are_what_protenix_builds(layout, stated, size):
    pytest.importorskip("protenix")
    assert layout["summary"](layout["state_shapes"](layout["PUBLISHED"][size])) == stated[size]


@pytest.mark.parametrize(
    ("size", "millions"), [("base", 368.5), ("mini", 134.1), ("tiny", 109.5), ("v2", 464.4)], ids=SIZES
)
def test_the_published_parameter_counts(stated, size, millions):
    assert stated[size]["values"] / 1e6 == pytest.approx(millions, abs=0.05)
