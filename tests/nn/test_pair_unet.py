"""The U-Net over pairs: an RNA gets the same numbers alone as in a batch, whatever its length."""

import pytest
import torch

from rna_predict.nn.initialise import initialise
from rna_predict.nn.pair_unet import PairUNet


@pytest.fixture(scope="module")
def unet():
    made = PairUNet(8, 3)
    initialise(made)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator))
    return made.eval()


@pytest.mark.parametrize("length", [1, 2, 5, 13, 16])
def test_what_stands_beside_a_shorter_rna_changes_nothing(unet, length):
    generator = torch.Generator().manual_seed(length)
    pair_BCLL = torch.randn(2, 8, 17, 17, generator=generator)
    mask_BLL = torch.ones(2, 17, 17, dtype=torch.bool)
    mask_BLL[1, length:] = mask_BLL[1, :, length:] = False
    with torch.no_grad():
        together = unet(pair_BCLL, mask_BLL)[1, :, :length, :length]
        alone = unet(pair_BCLL[1:, :, :length, :length], mask_BLL[1:, :length, :length])[0]
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)
    assert float(alone.std()) > 0.05 or length == 1


def test_a_place_sees_far_beyond_one_convolution(unet):
    pair_BCLL = torch.zeros(1, 8, 24, 24)
    mask_BLL = torch.ones(1, 24, 24, dtype=torch.bool)
    moved_BCLL = pair_BCLL.clone()
    moved_BCLL[0, :, 2, 2] = torch.linspace(-5.0, 5.0, 8)
    with torch.no_grad():
        change = (unet(moved_BCLL, mask_BLL) - unet(pair_BCLL, mask_BLL)).abs().amax(1)[0]
    assert float(change[2, 2]) > 1e-3
    assert float(change[12, 12]) > 1e-6, "ten places away, through the coarse levels"
