"""Atoms attend within windows as a full attention with a band of keys would."""

import torch

from rna_predict.cli.parity_inputs import draw, fill
from rna_predict.nn.attention import MASKED, GatedAttention
from rna_predict.nn.windows import WindowAttention, key_windows, query_windows, window_count

ATOMS, HEADS, CHANNELS = 150, 2, 8


def test_a_window_has_32_queries_and_the_128_atoms_around_them():
    number = torch.arange(1.0, ATOMS + 1).unsqueeze(-1)
    queries, keys = query_windows(number)[..., 0], key_windows(number)[..., 0]
    assert queries.shape == (window_count(ATOMS), 32)
    assert keys.shape == (5, 128)
    for window in range(5):
        around = torch.arange(32 * window - 48, 32 * window + 80)
        expected = torch.where((around >= 0) & (around < ATOMS), around + 1, 0)
        assert keys[window].tolist() == expected.tolist()
        assert queries[window].tolist() == expected[48:80].tolist()


def test_windows_give_what_a_full_attention_with_a_band_gives():
    windows, full = (kind(CHANNELS, HEADS, query_bias=True) for kind in (WindowAttention, GatedAttention))
    fill(windows)
    full.load_state_dict(windows.state_dict())
    atoms, keys = draw("atoms", 2, ATOMS, CHANNELS), draw("keys", 2, ATOMS, CHANNELS)
    bias = draw("bias", 2, HEADS, ATOMS, ATOMS)
    first = 32 * (torch.arange(ATOMS) // 32) - 48
    band = (torch.arange(ATOMS) >= first[:, None]) & (torch.arange(ATOMS) < first[:, None] + 128)
    place = first[:, None] + torch.arange(128)
    there = (place >= 0) & (place < ATOMS)
    in_windows = bias.gather(-1, place.clamp(0, ATOMS - 1).expand(2, HEADS, -1, -1)).masked_fill(~there, MASKED)
    in_windows = query_windows(in_windows).transpose(1, 2)
    with torch.no_grad():
        expected = full(atoms, keys, bias.masked_fill(~band, MASKED))
        found = windows(atoms, keys, in_windows)
    assert (found - expected).abs().max() < 1e-6
    assert expected.abs().mean() > 0.1
