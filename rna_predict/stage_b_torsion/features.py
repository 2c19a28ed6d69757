"""Named channels of the embeddings that need no learned weights."""

import numpy as np

from rna_predict.chemistry.chains import spaced
from rna_predict.chemistry.residues import RESIDUES
from rna_predict.contracts import Adjacency
from rna_predict.contracts.loops import STATES, LoopDecomposition
from rna_predict.stage_b_torsion.pair_graph import MAX_OFFSET, MAX_PATH, MAX_REACH, PairGraph

SEPARATION_BANDS = (1, 2, 5, 13, 33)
"""Lower ends of the bands of |j - i|; the last has no upper end."""
MAX_SEPARATION = 32

PAIR_CHANNELS = (
    "pair_probability",
    "paired",
    "separation",
    "separation_1",
    "separation_2_4",
    "separation_5_12",
    "separation_13_32",
    "separation_33",
    "path_length",
    "reach",
    "same_stem",
    "strand_offset",
    "stacked",
    "stacked_on_pair",
    "same_loop",
    "loop_size",
)
"""Channels of `pair_LLZ`, 64 bytes a pair together (0.58 GB at 3,000 nt)."""

SINGLE_CHANNELS = (
    *(f"letter_{letter}" for letter in RESIDUES),
    *(f"state_{state}" for state in STATES),
    "loop_size",
    "position_in_strand",
    "unpaired_probability",
)
"""Channels of `single_LS`."""


def single_features(adjacency: Adjacency, loops: LoopDecomposition) -> np.ndarray:
    """float32 [L, S], columns `SINGLE_CHANNELS`.

    Loop sizes are log(1 + n) / 5; the position is 0 at the 5' and 1 at the 3' end of the strand, 0 in stems.
    """
    letter_L4 = np.array([[letter == residue for residue in RESIDUES] for letter in adjacency.sequence])
    state_L8 = loops.state_L[:, None] == np.arange(len(STATES))
    position_L = np.maximum(loops.position_L, 0) / np.maximum(loops.strand_size_L - 1, 1)
    unpaired_L = 1 - np.clip(adjacency.probability_LL.sum(axis=1, dtype=np.float64), 0, 1)
    columns = [letter_L4, state_L8, np.log1p(loops.loop_size_L) / 5, position_L, unpaired_L]
    return np.column_stack(columns).astype(np.float32)


def spaced_numbers(adjacency: Adjacency) -> np.ndarray:
    """int32 [L], residue numbers between whose chains lie more than `MAX_SEPARATION`: no chain is another's next."""
    return spaced(adjacency.length, adjacency.breaks, MAX_SEPARATION + 1).astype(np.int32)


def pair_features(adjacency: Adjacency, graph: PairGraph) -> np.ndarray:
    """float32 [L, L, Z], channels `PAIR_CHANNELS`.

    `separation` is (j - i) / 32 clipped to ±1, `strand_offset` the same over 12 within one strand of a stem,
    `path_length` and `reach` are shares of their caps, `stacked` marks neighbours in a strand of a stem,
    `stacked_on_pair` residues whose partners' pairs are neighbours across a stem.
    """
    length = adjacency.length
    place = spaced_numbers(adjacency)
    separation_LL = place - place[:, None]
    distance_LL = np.abs(separation_LL)
    band_LL = np.digitize(distance_LL, SEPARATION_BANDS)
    pair_LLZ = np.zeros((length, length, len(PAIR_CHANNELS)), dtype=np.float32)
    channel = {name: pair_LLZ[:, :, index] for index, name in enumerate(PAIR_CHANNELS)}
    channel["pair_probability"][:] = adjacency.probability_LL
    paired = np.flatnonzero(adjacency.partner_L >= 0)
    channel["paired"][paired, adjacency.partner_L[paired]] = 1
    channel["separation"][:] = np.clip(separation_LL / MAX_SEPARATION, -1, 1)
    bands = [name for name in PAIR_CHANNELS if name.startswith("separation_")]
    for index, name in enumerate(bands, start=1):
        channel[name][:] = band_LL == index
    channel["path_length"][:] = graph.path_LL / np.float32(MAX_PATH)
    channel["reach"][:] = graph.reach_LL / np.float32(MAX_REACH)
    across_LL = graph.cross_LL.astype(np.int16) - (1 + MAX_OFFSET)
    stem_L = graph.loops.stem_L
    channel["same_stem"][:] = (stem_L[:, None] == stem_L) & (stem_L >= 0)
    channel["strand_offset"][:] = graph.strand_LL / np.float32(MAX_OFFSET)
    channel["stacked"][:] = np.abs(graph.strand_LL) == 1
    channel["stacked_on_pair"][:] = (graph.cross_LL > 0) & (np.abs(across_LL) == 1)
    channel["same_loop"][:] = graph.loop_LL > 0
    sizes = np.array([0, *(loop.size for loop in graph.loops.loops)])
    channel["loop_size"][:] = (np.log1p(sizes) / 5)[graph.loop_LL]
    return pair_LLZ
