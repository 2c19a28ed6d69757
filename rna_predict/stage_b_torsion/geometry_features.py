"""What the geometry network reads of one RNA: letters, stage A's pairs, and where residues stand in the structure."""

from dataclasses import dataclass, fields

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from rna_predict.contracts import Adjacency
from rna_predict.stage_b_torsion.features import (
    PAIR_CHANNELS,
    SINGLE_CHANNELS,
    pair_features,
    single_features,
    spaced_numbers,
)
from rna_predict.stage_b_torsion.pair_graph import MAX_OFFSET, PATH_CODES, REACH_CODES, pair_graph

SEPARATION = 32
"""Residues apart beyond which places in the sequence are alike."""

CODE_SIZES = {
    "separation": 2 * SEPARATION + 1,
    "path": PATH_CODES,
    "reach": REACH_CODES,
    "strand": 2 * MAX_OFFSET + 1,
    "cross": 2 * MAX_OFFSET + 2,
}
"""Codes of each pair of residues with the number of their values (`pair_graph.PairGraph`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GeometryFeatures:
    """Features of a padded batch; what is padded is 0.

    Attributes:
        single_BLF: columns `SINGLE_CHANNELS`.
        pair_BLLF: channels `PAIR_CHANNELS`.
        code_BLLK: a code for each of `CODE_SIZES`, in that order.
        mask_BL: where there is a residue.
    """

    single_BLF: Float[Tensor, "b l f"]
    pair_BLLF: Float[Tensor, "b l l p"]
    code_BLLK: UInt8[Tensor, "b l l k"]
    mask_BL: Bool[Tensor, "b l"]

    def to(self, device: torch.device | str) -> "GeometryFeatures":
        """The same on a device."""
        return GeometryFeatures(**{one.name: getattr(self, one.name).to(device) for one in fields(self)})

    def cut(self, index_L: np.ndarray) -> "GeometryFeatures":
        """Those of some residues, at rising positions."""
        index = torch.from_numpy(index_L)
        return GeometryFeatures(
            single_BLF=self.single_BLF[:, index],
            pair_BLLF=self.pair_BLLF[:, index][:, :, index],
            code_BLLK=self.code_BLLK[:, index][:, :, index],
            mask_BL=self.mask_BL[:, index],
        )


SINGLE_FEATURES = len(SINGLE_CHANNELS)
PAIR_FEATURES = len(PAIR_CHANNELS)


def geometry_features(adjacency: Adjacency, number_L: np.ndarray | None = None) -> GeometryFeatures:
    """Features of one whole RNA, B = 1.

    Args:
        adjacency: of stage A.
        number_L: residue numbers where some residues are missing in between; None for whole chains.
    """
    graph = pair_graph(adjacency.partner_L, adjacency.breaks)
    if number_L is None:
        number_L = spaced_numbers(adjacency)
    apart_LL = np.clip(number_L[None, :].astype(np.int64) - number_L[:, None], -SEPARATION, SEPARATION) + SEPARATION
    codes = {
        "separation": apart_LL,
        "path": graph.path_LL,
        "reach": graph.reach_LL,
        "strand": graph.strand_LL.astype(np.int16) + MAX_OFFSET,
        "cross": graph.cross_LL,
    }
    return GeometryFeatures(
        single_BLF=torch.from_numpy(single_features(adjacency, graph.loops))[None],
        pair_BLLF=torch.from_numpy(pair_features(adjacency, graph))[None],
        code_BLLK=torch.from_numpy(np.stack([codes[name].astype(np.uint8) for name in CODE_SIZES], axis=-1))[None],
        mask_BL=torch.ones(1, adjacency.length, dtype=torch.bool),
    )
