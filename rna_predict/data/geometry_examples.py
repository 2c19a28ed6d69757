"""Chains of known structure as the geometry network and its losses read them."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from rna_predict.contracts import Adjacency, atom_slots
from rna_predict.data.chains import Chain
from rna_predict.data.padding import stacked
from rna_predict.stage_b_torsion.geometry_features import GeometryFeatures, geometry_features
from rna_predict.stage_b_torsion.geometry_network import GEOMETRY_ATOMS
from rna_predict.stage_b_torsion.loss import NativeTorsions


@dataclass(frozen=True, slots=True, kw_only=True)
class GeometryExample:
    """A padded batch of chains or crops.

    Attributes:
        ids: of the chains.
        features: what the network reads.
        point_BGL3: native atoms `GEOMETRY_ATOMS`, Å.
        point_mask_BGL: where they were seen; residues that pair with another chain of their entry do not count, for
            nothing that the network reads tells of it.
        torsions: native torsions, of the same residues.
    """

    ids: tuple[str, ...]
    features: GeometryFeatures
    point_BGL3: Float[Tensor, "b g l 3"]
    point_mask_BGL: Bool[Tensor, "b g l"]
    torsions: NativeTorsions

    def to(self, device: torch.device | str) -> "GeometryExample":
        """The same on a device."""
        torsions = {one.name: getattr(self.torsions, one.name).to(device) for one in fields(NativeTorsions)}
        return GeometryExample(
            ids=self.ids,
            features=self.features.to(device),
            point_BGL3=self.point_BGL3.to(device),
            point_mask_BGL=self.point_mask_BGL.to(device),
            torsions=NativeTorsions(**torsions),
        )

    @property
    def has_points_B(self) -> Tensor:
        """bool [B], two residues whose atoms were seen."""
        return self.point_mask_BGL.sum(-1).amax(-1) > 1

    @property
    def has_torsions_B(self) -> Tensor:
        """bool [B], a torsion is known: not in traces of C1' atoms."""
        return self.torsions.mask_BL8.flatten(1).any(1)


def geometry_example(chain: Chain, adjacency: Adjacency, index_L: np.ndarray | None = None) -> GeometryExample:
    """The example of a chain, or of the residues of it at rising positions; features are those of the whole chain, cut.

    Args:
        chain: a whole chain.
        adjacency: of the whole chain.
        index_L: positions of a crop; None takes all.
    """
    index_L = np.arange(chain.length) if index_L is None else np.asarray(index_L, dtype=np.int64)
    rows, own_L = np.arange(chain.length), ~chain.elsewhere_L
    points, masks = [], []
    for name in GEOMETRY_ATOMS:
        slot_L = atom_slots(name, chain.sequence)
        points.append(chain.xyz_LA3[rows, slot_L][index_L])
        masks.append((chain.mask_LA[rows, slot_L] & own_L)[index_L])
    angle_L8 = np.concatenate([chain.torsion_L7, chain.pucker_L2[:, :1]], axis=1)[index_L]
    known_L8 = np.concatenate([chain.torsion_mask_L7, chain.pucker_mask_L[:, None]], axis=1)
    return GeometryExample(
        ids=(chain.id,),
        features=geometry_features(adjacency, chain.number_L).cut(index_L),
        point_BGL3=torch.from_numpy(np.stack(points))[None],
        point_mask_BGL=torch.from_numpy(np.stack(masks))[None],
        torsions=NativeTorsions(
            angle_BL8=torch.from_numpy(angle_L8)[None],
            mask_BL8=torch.from_numpy((known_L8 & own_L[:, None])[index_L])[None],
            amplitude_BL=torch.from_numpy(chain.pucker_L2[index_L, 1])[None],
        ),
    )


def collate_geometry(examples: Sequence[GeometryExample]) -> GeometryExample:
    """One padded batch; what is padded is 0, and False in the masks."""
    length = max(one.features.mask_BL.shape[1] for one in examples)
    atoms = len(GEOMETRY_ATOMS)
    features = [one.features for one in examples]
    torsions = [one.torsions for one in examples]
    return GeometryExample(
        ids=tuple(id for one in examples for id in one.ids),
        features=GeometryFeatures(
            single_BLF=stacked([one.single_BLF for one in features], length),
            pair_BLLF=stacked([one.pair_BLLF for one in features], length, length),
            code_BLLK=stacked([one.code_BLLK for one in features], length, length),
            mask_BL=stacked([one.mask_BL for one in features], length),
        ),
        point_BGL3=stacked([one.point_BGL3 for one in examples], atoms, length),
        point_mask_BGL=stacked([one.point_mask_BGL for one in examples], atoms, length),
        torsions=NativeTorsions(
            angle_BL8=stacked([one.angle_BL8 for one in torsions], length),
            mask_BL8=stacked([one.mask_BL8 for one in torsions], length),
            amplitude_BL=stacked([one.amplitude_BL for one in torsions], length),
        ),
    )
