"""The confidence head (AF3 Algorithm 31): how well each atom, pair and position of a sample is predicted."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import linear

from rna_predict.errors import ConfigError
from rna_predict.nn.architecture import Architecture
from rna_predict.nn.features import Features, Representations
from rna_predict.nn.layers import Linear, layer_norm
from rna_predict.nn.pairformer import PairformerBlock, PairformerStack, own
from rna_predict.nn.rows import Update, add, by_rows, join, row_slices

PLDDT_BINS = 50
"""Bins of a predicted lDDT from 0 to 100."""

ERROR_BINS = 64
"""Bins of a predicted error from 0 to 32 Å."""

DISTANCE_BINS = 39
FIRST_DISTANCE, DISTANCE_STEP = 3.25, 1.25
LAST_EDGE = 1e6
"""Å: bins of the sample's distances begin every 1.25 Å from 3.25 Å, the last ends at `LAST_EDGE` (Protenix)."""

SINGLE_LIMIT = 512.0
"""Bound of the trunk's single representation before it is normalised (Protenix)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfidenceLogits:
    """Logits over bins.

    Attributes:
        plddt_BSA50: lDDT of each atom, 0 to 100.
        pae_BSLL64: error of a residue (second) seen from another's frame (first), 0 to 32 Å.
        pde_BSLL64: error of the distance of two residues, 0 to 32 Å; symmetric.
        resolved_BSA2: whether an experiment would see the atom: no, yes.
    """

    plddt_BSA50: Float[Tensor, "b s a 50"]
    pae_BSLL64: Float[Tensor, "b s l l 64"]
    pde_BSLL64: Float[Tensor, "b s l l 64"]
    resolved_BSA2: Float[Tensor, "b s a 2"]


class ConfidenceHead(nn.Module):
    """AF3 Algorithm 31, in float32 whatever autocast says; no gradient reaches the trunk.

    Deviations, as Protenix has them: the single representation is bounded and normalised first, the input embedding
    enters through an outer sum, distances also enter as they are, each head has a LayerNorm. A deviation of ours:
    distances are measured exactly. Protenix's `torch.cdist` multiplies matrices beyond 25 residues, whose rounding
    errors near 0 Å are visible and change as the coordinates are moved.
    """

    lower_bins: Tensor
    upper_bins: Tensor

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        c_s, c_z, c_inputs = architecture.c_s, architecture.c_z, architecture.c_inputs
        self.linear_no_bias_s1 = Linear(c_inputs, c_z)
        self.linear_no_bias_s2 = Linear(c_inputs, c_z)
        self.register_buffer("lower_bins", torch.empty(DISTANCE_BINS))
        self.register_buffer("upper_bins", torch.empty(DISTANCE_BINS))
        self.linear_no_bias_d = Linear(DISTANCE_BINS, c_z)
        self.linear_no_bias_d_wo_onehot = Linear(1, c_z)
        self.pairformer_stack = PairformerStack(architecture, blocks=architecture.confidence_blocks, c_z=c_z, c_s=c_s)
        for block in self.pairformer_stack.blocks:
            cast(PairformerBlock, block).dropout = 0.0  # Protenix drops nothing here, unlike in the trunk
        self.linear_no_bias_pae = Linear(c_z, ERROR_BINS, init="zeros")
        self.linear_no_bias_pde = Linear(c_z, ERROR_BINS, init="zeros")
        self.plddt_weight = nn.Parameter(torch.empty(architecture.atoms_per_token, c_s, PLDDT_BINS))
        self.resolved_weight = nn.Parameter(torch.empty(architecture.atoms_per_token, c_s, 2))
        self.input_strunk_ln = layer_norm(c_s)
        self.pae_ln = layer_norm(c_z)
        self.pde_ln = layer_norm(c_z)
        self.plddt_ln = layer_norm(c_s)
        self.resolved_ln = layer_norm(c_s)
        self.fill(None)

    @torch.no_grad()
    def fill(self, generator: torch.Generator | None) -> None:
        """Set the bins and let the atoms' weights start at zero; nothing is drawn from `generator`."""
        del generator
        if self.plddt_weight.is_meta:  # arithmetic on meta imports torch's decompositions, which takes seconds
            return
        self.plddt_weight.zero_()
        self.resolved_weight.zero_()
        edges = FIRST_DISTANCE + DISTANCE_STEP * torch.arange(DISTANCE_BINS)
        self.lower_bins.copy_(edges)
        self.upper_bins.copy_(torch.cat([edges[1:], torch.full_like(edges[:1], LAST_EDGE)]))

    def forward(
        self,
        features: Features,
        representations: Representations,
        xyz_BSA3: Float[Tensor, "b s a 3"],
        chunk_rows: int | None = None,
    ) -> ConfidenceLogits:
        """Judge samples, one after the other, so that one pair representation is held at a time.

        Args:
            features: the batch.
            representations: of the trunk.
            xyz_BSA3: coordinates of the samples, Å.
            chunk_rows: rows of the pair representation at once; None for all while a gradient is recorded, else few.

        Raises:
            ConfigError: an atom's place in its component is beyond `architecture.atoms_per_token`.
        """
        rows, highest = self.plddt_weight.shape[0], int(features.atom_rank_BA.max())
        if highest >= rows:
            raise ConfigError(f"architecture.atoms_per_token: {rows} is too small for an atom of rank {highest}")
        with torch.autocast(xyz_BSA3.device.type, enabled=False):
            single_BLS, start_BLLZ = self._start(representations)
            logits = _empty_logits(xyz_BSA3, start_BLLZ)
            for sample in range(xyz_BSA3.shape[1]):
                distance_BLL = _distances(xyz_BSA3[:, sample].float(), features)
                pair_BLLZ = add(own(start_BLLZ), self._distance_updates(distance_BLL, chunk_rows))
                single, pair_BLLZ = self.pairformer_stack.overwrite(
                    single_BLS, pair_BLLZ, features.token_mask_BL, chunk_rows
                )
                assert single is not None
                logits.plddt_BSA50[:, sample] = _of_atoms(self.plddt_ln(single), self.plddt_weight, features)
                logits.resolved_BSA2[:, sample] = _of_atoms(self.resolved_ln(single), self.resolved_weight, features)
                logits.pae_BSLL64[:, sample] = join(
                    by_rows(partial(self._pae, pair_BLLZ), row_slices(pair_BLLZ, chunk_rows))
                )
                logits.pde_BSLL64[:, sample] = join(
                    by_rows(partial(self._pde, pair_BLLZ), row_slices(pair_BLLZ, chunk_rows))
                )
            return logits

    def _start(self, representations: Representations) -> tuple[Tensor, Tensor]:
        """The single and the pair representation before a sample's distances enter."""
        inputs_BLI = representations.inputs_BLI.detach().float()
        single_BLS = representations.single_BLS.detach().float().clamp(-SINGLE_LIMIT, SINGLE_LIMIT)
        outer_BLLZ = self.linear_no_bias_s2(inputs_BLI)[:, :, None] + self.linear_no_bias_s1(inputs_BLI)[:, None, :]
        return self.input_strunk_ln(single_BLS), outer_BLLZ + representations.pair_BLLZ.detach().float()

    def _distance_updates(self, distance_BLL: Tensor, chunk_rows: int | None) -> Iterator[Update]:
        """What a sample's distances add to the pair representation: their bins (open intervals) and themselves."""
        layers = (self.linear_no_bias_d, self.linear_no_bias_d_wo_onehot)
        weight = torch.cat([layer.weight for layer in layers], dim=1)

        def of_rows(rows: slice) -> Tensor:
            distance_BRL1 = distance_BLL[:, rows, :, None]
            inside = (distance_BRL1 > self.lower_bins) & (distance_BRL1 < self.upper_bins)
            return linear(torch.cat([inside.to(weight.dtype), distance_BRL1], dim=-1), weight)

        return by_rows(of_rows, row_slices(distance_BLL.unsqueeze(-1), chunk_rows))

    def _pae(self, pair_BLLZ: Tensor, rows: slice) -> Tensor:
        return self.linear_no_bias_pae(self.pae_ln(pair_BLLZ[:, rows]))

    def _pde(self, pair_BLLZ: Tensor, rows: slice) -> Tensor:
        return self.linear_no_bias_pde(self.pde_ln(pair_BLLZ[:, rows] + pair_BLLZ[:, :, rows].transpose(1, 2)))


def _empty_logits(xyz_BSA3: Tensor, pair_BLLZ: Tensor) -> ConfidenceLogits:
    batch, samples, atoms, _ = xyz_BSA3.shape
    pairs = (batch, samples, *pair_BLLZ.shape[1:3], ERROR_BINS)
    return ConfidenceLogits(
        plddt_BSA50=pair_BLLZ.new_empty(batch, samples, atoms, PLDDT_BINS),
        pae_BSLL64=pair_BLLZ.new_empty(pairs),
        pde_BSLL64=pair_BLLZ.new_empty(pairs),
        resolved_BSA2=pair_BLLZ.new_empty(batch, samples, atoms, 2),
    )


def _distances(xyz_BA3: Tensor, features: Features) -> Float[Tensor, "b l l"]:
    """Distances of the residues' distogram atoms, Å; 0 where a residue is padding."""
    mask_BL = features.token_mask_BL
    point_BL3 = xyz_BA3.gather(1, features.distogram_atom_BL[..., None].expand(-1, -1, 3))
    distance_BLL = torch.cdist(point_BL3, point_BL3, compute_mode="donot_use_mm_for_euclid_dist")
    return distance_BLL.masked_fill(~(mask_BL[:, :, None] & mask_BL[:, None, :]), 0.0)


def _of_atoms(single_BLS: Tensor, weight_RSC: Tensor, features: Features) -> Float[Tensor, "b a c"]:
    """Multiply each atom's residue by the weights of its place in the component.

    All places of a residue are computed and the atom's own picked: no more work, and no weight copied for each atom.
    """
    places_BLRC = torch.einsum("bls,rsc->blrc", single_BLS, weight_RSC)
    place_BA1 = (features.atom_token_BA * weight_RSC.shape[0] + features.atom_rank_BA).unsqueeze(-1)
    return places_BLRC.flatten(1, 2).gather(1, place_BA1.expand(-1, -1, weight_RSC.shape[-1]))
