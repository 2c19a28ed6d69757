"""The template embedder: known structures as pairs of residues."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.functional import embedding, relu

from rna_predict.errors import ConfigError
from rna_predict.nn.architecture import RESTYPES, Architecture
from rna_predict.nn.layers import Linear, layer_norm
from rna_predict.nn.pairformer import PairformerStack
from rna_predict.nn.rows import Update, by_rows, join, row_slices

DISTANCE_BINS = 39
"""Bins of a template's distogram, 3.25 to 50.75 Å."""

PAIR_FACTOR = 2
"""Hidden channels of the pair transition divided by the embedder's channels."""

NO_TEMPLATE = ((31, 1), (0, 3))
"""What Protenix feeds for a chain of RNA, which never has a template: one that is all gaps, and three rows that only
pad to four, whose letter is therefore 0 (alanine). Letter, and how many templates have it throughout."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateFeatures:
    """Structures threaded onto the query, T of them, which all count; what is missing is zero, as between chains.

    Attributes:
        distogram_BTLLD: one-hot distance of the residues' representative atoms.
        distance_mask_BTLL: whether both representative atoms are there.
        unit_vector_BTLL3: direction of the second residue in the first one's frame.
        frame_mask_BTLL: whether both frames are there.
        letter_BTL: the template's letters as Protenix numbers them.
    """

    distogram_BTLLD: Float[Tensor, "b t l l d"]
    distance_mask_BTLL: Float[Tensor, "b t l l"]
    unit_vector_BTLL3: Float[Tensor, "b t l l 3"]
    frame_mask_BTLL: Float[Tensor, "b t l l"]
    letter_BTL: Int[Tensor, "b t l"]


class TemplateEmbedder(nn.Module):
    """AF3 Algorithm 16.

    Protenix skips it when its batch lacks template features, but its featuriser always makes some: for an RNA four
    templates without any atom (`NO_TEMPLATE`). Its weights know no RNA without them, so that we embed the same four
    where no template is given; equal ones are computed once and weighted.

    The first layer acts on 108 features of which most are one-hot; its columns are applied one group at a time, so that
    the features are never put together.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        channels, c_z = architecture.c_template, architecture.c_z
        self.linear_no_bias_z = Linear(c_z, channels)
        self.layernorm_z = layer_norm(c_z)
        self.linear_no_bias_a = Linear(sum(COLUMNS), channels)
        self.pairformer_stack = PairformerStack(
            architecture, blocks=architecture.template_blocks, c_z=channels, c_s=0, pair_factor=PAIR_FACTOR
        )
        self.layernorm_v = layer_norm(channels)
        self.linear_no_bias_u = Linear(channels, c_z)

    def forward(
        self,
        pair_BLLZ: Float[Tensor, "b l l z"],
        templates: TemplateFeatures | None = None,
        mask_BL: Bool[Tensor, "b l"] | None = None,
        chunk_rows: int | None = None,
    ) -> Float[Tensor, "b l l z"]:
        """The update of the pair representation (not yet added).

        Args:
            pair_BLLZ: the pair representation.
            templates: None for none.
            mask_BL: False where a residue is padding.
            chunk_rows: rows at once; None for all while a gradient is recorded, else few.

        Raises:
            ConfigError: the network has no blocks here (layout of v0.5.0), which leaves the embedder out.
        """
        return join(self.updates(pair_BLLZ, templates, mask_BL, chunk_rows))

    def updates(
        self,
        pair_BLLZ: Tensor,
        templates: TemplateFeatures | None = None,
        mask_BL: Tensor | None = None,
        chunk_rows: int | None = None,
    ) -> Iterator[Update]:
        """The update row by row, as `rows.add` takes it."""
        if not len(self.pairformer_stack.blocks):
            raise ConfigError("architecture.template_blocks: 0, such a network has no template embedder to call")
        slices = row_slices(pair_BLLZ, chunk_rows)
        query_BLLC = join(by_rows(lambda rows: self.linear_no_bias_z(self.layernorm_z(pair_BLLZ[:, rows])), slices))
        total_BLLC, count = torch.zeros_like(query_BLLC), 0
        for embedded_BLLC, weight in self._templates(templates):
            value_BLLC = query_BLLC + embedded_BLLC
            _, value_BLLC = self.pairformer_stack.overwrite(None, value_BLLC, mask_BL, chunk_rows)
            total_BLLC = total_BLLC + weight * self.layernorm_v(value_BLLC)
            count += weight
        mean_BLLC = total_BLLC / (1e-7 + count)
        yield from by_rows(lambda rows: self.linear_no_bias_u(relu(mean_BLLC[:, rows])), slices)

    def _templates(self, templates: TemplateFeatures | None) -> Iterator[tuple[Tensor, int]]:
        """What the first layer makes of each template, broadcasting to (B, L, L, C), and how often it counts."""
        distance, has_distance, second, first, vector, has_frame = self.linear_no_bias_a.weight.t().split(COLUMNS)
        if templates is None:
            for letter, weight in NO_TEMPLATE:
                yield first[letter] + second[letter], weight
            return
        for t in range(templates.letter_BTL.shape[1]):
            letter_BL = templates.letter_BTL[:, t]
            embedded = embedding(letter_BL, first).unsqueeze(2) + embedding(letter_BL, second).unsqueeze(1)
            embedded = embedded + templates.distogram_BTLLD[:, t] @ distance
            embedded = embedded + templates.distance_mask_BTLL[:, t].unsqueeze(-1) * has_distance
            embedded = embedded + templates.unit_vector_BTLL3[:, t] @ vector
            yield embedded + templates.frame_mask_BTLL[:, t].unsqueeze(-1) * has_frame, 1


COLUMNS = [DISTANCE_BINS, 1, RESTYPES, RESTYPES, 3, 1]
"""Inputs of the first layer: distogram, its mask, letter of the second residue, of the first, unit vector, its mask."""
