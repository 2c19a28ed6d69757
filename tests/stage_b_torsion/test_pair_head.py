"""Log-odds of base pairs: symmetric, of each pair alone, zero before training."""

import torch

from rna_predict.stage_b_torsion.heads import PairHead


def drawn():
    head, generator = PairHead(16), torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.normal_(generator=generator)
    return head, torch.randn(2, 6, 6, 16, generator=generator)


def test_it_starts_by_knowing_nothing():
    head, pair_BLLZ = PairHead(16), drawn()[1]
    assert not head(pair_BLLZ).any()


def test_both_orders_of_two_residues_say_the_same():
    head, pair_BLLZ = drawn()
    logits_BLL = head(pair_BLLZ)
    assert torch.equal(logits_BLL, logits_BLL.transpose(1, 2))
    assert logits_BLL.std() > 0.1


def test_a_pair_depends_on_its_own_two_places_alone():
    head, pair_BLLZ = drawn()
    other_BLLZ = torch.randn(pair_BLLZ.shape, generator=torch.Generator().manual_seed(1))
    other_BLLZ[0, 1, 4], other_BLLZ[0, 4, 1] = pair_BLLZ[0, 1, 4], pair_BLLZ[0, 4, 1]
    assert head(other_BLLZ)[0, 1, 4] == head(pair_BLLZ)[0, 1, 4]
    assert head(other_BLLZ)[0, 1, 3] != head(pair_BLLZ)[0, 1, 3]
