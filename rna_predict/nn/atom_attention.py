"""Attention of atoms within windows, from residues to atoms and back (AF3 Algorithms 5, 6 and 7)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import embedding_bag, linear
from torch.utils.checkpoint import checkpoint

from rna_predict.nn.architecture import Architecture
from rna_predict.nn.attention import masked_bias
from rna_predict.nn.diffusion_transformer import DiffusionTransformer, DiffusionTransformerBlock, Modulation, biases_of
from rna_predict.nn.features import Features
from rna_predict.nn.layers import Linear, layer_norm
from rna_predict.nn.limits import WINDOWS_AT_ONCE
from rna_predict.nn.windows import KEYS, QUERIES, key_windows, query_windows

ELEMENTS = 128
NAME_LETTERS = 64
REFERENCE_FEATURES = 1 + ELEMENTS + 4 * NAME_LETTERS
"""Columns of linear_no_bias_f: that the atom exists, its element, and the four characters of its name."""


def _flat_rows(atom_token_BA: Tensor, samples: int, residues: int) -> Tensor:
    """Row of each atom's residue among the batch's, samples' and residues' rows in one."""
    batch = atom_token_BA.shape[0]
    first = torch.arange(batch * samples, device=atom_token_BA.device).view(batch, samples, 1) * residues
    return (first + atom_token_BA[:, None, :]).flatten()


def gather_tokens(token_BSLC: Float[Tensor, "b s l c"], atom_token_BA: Int[Tensor, "b a"]) -> Float[Tensor, "b s a c"]:
    """Give each atom its residue's row."""
    batch, samples, residues = token_BSLC.shape[:3]
    rows = _flat_rows(atom_token_BA, samples, residues)
    return token_BSLC.flatten(0, 2).index_select(0, rows).unflatten(0, (batch, samples, -1))


def mean_over_atoms(atom_BSAC: Float[Tensor, "b s a c"], features: Features) -> Float[Tensor, "b s l c"]:
    """Mean of the existing atoms of each residue; 0 for a residue without any."""
    batch, samples = atom_BSAC.shape[:2]
    residues = features.token_mask_BL.shape[1]
    mask_BA = features.atom_mask_BA
    count_BL = atom_BSAC.new_zeros(batch, residues).scatter_add_(1, features.atom_token_BA, mask_BA.to(atom_BSAC.dtype))
    total = atom_BSAC.new_zeros(batch * samples * residues + 1, atom_BSAC.shape[-1])  # the last row takes the padding
    rows = _flat_rows(features.atom_token_BA, samples, residues)
    rows = rows.masked_fill(~mask_BA[:, None, :].expand(-1, samples, -1).flatten(), len(total) - 1)
    total = total.index_add_(0, rows, atom_BSAC.flatten(0, 2))[:-1].unflatten(0, (batch, samples, residues))
    return total / count_BL.clamp(min=1.0)[:, None, :, None]


def samples_at_once(x_BSAC: Float[Tensor, "b s a c"]) -> list[slice]:
    """Slices of samples that pass the atoms' layers together.

    On a CPU one by one where no gradient is recorded: a sample has atoms enough to fill a matrix product, and several
    take their memory several times and leave the cache. Elsewhere all.
    """
    samples = x_BSAC.shape[1]
    if torch.is_grad_enabled() or x_BSAC.device.type != "cpu":
        return [slice(0, samples)]
    return [slice(sample, sample + 1) for sample in range(samples)]


def joined(parts: Sequence[Tensor]) -> Float[Tensor, "b s a c"]:
    """Samples that were computed apart."""
    return parts[0] if len(parts) == 1 else torch.cat(list(parts), 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockConditions:
    """What one block of an atom transformer reads of the atoms' conditioning.

    Attributes:
        modulation: (B, 1, A, C) each.
        bias_B1WHQK: bias of the attention, keys that do not exist masked.
    """

    modulation: Modulation
    bias_B1WHQK: Float[Tensor, "b 1 w h q k"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AtomConditions:
    """The conditioning of the atoms (AF3's c_l) and what the blocks make of it and of the pairs (p_lm).

    Nothing here depends on the noise, so that one set serves all samples and steps.

    Attributes:
        atom_B1AC: c_l.
        encoder: for each block of the encoder.
        decoder: for each block of the decoder; empty where there is none.
    """

    atom_B1AC: Float[Tensor, "b 1 a c"]
    encoder: tuple[BlockConditions, ...]
    decoder: tuple[BlockConditions, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TrunkOfAtoms:
    """What the trunk gives to the denoiser's atoms.

    Attributes:
        single_BLS: the single representation.
        pair_BLLP: the conditioned pair representation, from `AtomAttentionEncoder.pair_of_atoms`.
    """

    single_BLS: Float[Tensor, "b l s"]
    pair_BLLP: Float[Tensor, "b l l p"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Windows:
    """Atoms as queries and as keys of their windows.

    Attributes:
        position: reference position, (B, W, N, 3).
        residue: (B, W, N).
        exists: (B, W, N).
        channels: the atoms' share of the pairs' embedding, (B, W, N, P).
    """

    position: Tensor
    residue: Tensor
    exists: Tensor
    channels: Tensor

    def part(self, windows: slice) -> "_Windows":
        """Some of the windows."""
        return _Windows(
            position=self.position[:, windows],
            residue=self.residue[:, windows],
            exists=self.exists[:, windows],
            channels=self.channels[:, windows],
        )


class AtomTransformer(nn.Module):
    """AF3 Algorithm 7: blocks in which atoms attend within windows."""

    def __init__(self, architecture: Architecture, blocks: int) -> None:
        super().__init__()
        c_atom, c_pair = architecture.c_atom, architecture.c_atompair
        self.heads = architecture.atom_heads
        self.diffusion_transformer = DiffusionTransformer(
            c_atom, c_atom, c_pair, architecture.atom_heads, blocks=blocks, windows=True
        )

    def blocks(self) -> list[DiffusionTransformerBlock]:
        """The blocks in order."""
        return self.diffusion_transformer.all_blocks()

    def forward(
        self, atom_BSAC: Float[Tensor, "b s a c"], conditions: tuple[BlockConditions, ...]
    ) -> Float[Tensor, "b s a c"]:
        """Update the atoms."""
        checkpointing = self.training and torch.is_grad_enabled()
        for block, read in zip(self.blocks(), conditions, strict=True):
            if checkpointing:
                atom_BSAC = checkpoint(block, atom_BSAC, read.modulation, read.bias_B1WHQK, use_reentrant=False)
            else:
                atom_BSAC = block(atom_BSAC, read.modulation, read.bias_B1WHQK)
        return atom_BSAC


class AtomAttentionEncoder(nn.Module):
    """AF3 Algorithm 5.

    Deviations, as Protenix has them: the charge enters through arcsinh; the noisy positions are added to the atoms'
    embedding, not to the conditioning of the transformer; outputs are as many channels as the token's.

    Args:
        architecture: sizes.
        c_token: channels of a residue's output.
        blocks: of the atom transformer.
        with_trunk: whether the trunk's representations and noisy positions enter (denoiser) or not (input embedder).
    """

    def __init__(self, architecture: Architecture, *, c_token: int, blocks: int, with_trunk: bool) -> None:
        super().__init__()
        c_atom, c_pair = architecture.c_atom, architecture.c_atompair
        self.linear_no_bias_ref_pos = Linear(3, c_atom)
        self.linear_no_bias_ref_charge = Linear(1, c_atom)
        self.linear_no_bias_f = Linear(REFERENCE_FEATURES, c_atom)
        self.linear_no_bias_d = Linear(3, c_pair)
        self.linear_no_bias_invd = Linear(1, c_pair)
        self.linear_no_bias_v = Linear(1, c_pair)
        if with_trunk:
            self.layernorm_s = layer_norm(architecture.c_s, offset=False)
            self.linear_no_bias_s = Linear(architecture.c_s, c_atom, init="zeros")
            self.layernorm_z = layer_norm(architecture.c_z, offset=False)
            self.linear_no_bias_z = Linear(architecture.c_z, c_pair, init="zeros")
            self.linear_no_bias_r = Linear(3, c_atom)
        self.linear_no_bias_cl = Linear(c_atom, c_pair)
        self.linear_no_bias_cm = Linear(c_atom, c_pair)
        self.small_mlp = nn.Sequential(
            nn.ReLU(),
            Linear(c_pair, c_pair, init="relu"),
            nn.ReLU(inplace=True),
            Linear(c_pair, c_pair, init="relu"),
            nn.ReLU(inplace=True),
            Linear(c_pair, c_pair, init="zeros"),
        )
        self.atom_transformer = AtomTransformer(architecture, blocks)
        self.linear_no_bias_q = Linear(c_atom, c_token)

    def conditions(
        self,
        features: Features,
        trunk: TrunkOfAtoms | None = None,
        decoder: AtomTransformer | None = None,
    ) -> AtomConditions:
        """Make what does not depend on the noise.

        Args:
            features: the batch.
            trunk: what the trunk says of each residue and pair; given exactly when the encoder was made for it.
            decoder: the decoder's transformer, which reads the same conditioning.
        """
        atom_B1AC = self._reference(features).unsqueeze(1)
        if trunk is not None:
            single_BLC = self.linear_no_bias_s(self.layernorm_s(trunk.single_BLS))
            atom_B1AC = atom_B1AC + gather_tokens(single_BLC.unsqueeze(1), features.atom_token_BA)
        atom_B1AC = atom_B1AC.masked_fill(~features.atom_mask_BA[:, None, :, None], 0.0)
        transformers = [self.atom_transformer] + ([] if decoder is None else [decoder])
        blocks = [block for transformer in transformers for block in transformer.blocks()]
        biases = self._biases(features, atom_B1AC.squeeze(1), None if trunk is None else trunk.pair_BLLP, blocks)
        read = tuple(
            BlockConditions(modulation=block.modulation(atom_B1AC), bias_B1WHQK=bias)
            for block, bias in zip(blocks, biases, strict=True)
        )
        of_encoder = len(self.atom_transformer.blocks())
        return AtomConditions(atom_B1AC=atom_B1AC, encoder=read[:of_encoder], decoder=read[of_encoder:])

    def pair_of_atoms(self, pair_BLLZ: Float[Tensor, "b r l z"]) -> Float[Tensor, "b r l p"]:
        """Project (rows of) the conditioned pair representation to the channels of pairs of atoms."""
        return self.linear_no_bias_z(self.layernorm_z(pair_BLLZ))

    def forward(
        self, features: Features, conditions: AtomConditions, noisy_BSA3: Float[Tensor, "b s a 3"] | None = None
    ) -> tuple[Float[Tensor, "b s l c"], Float[Tensor, "b s a ca"]]:
        """Embed residues and atoms.

        Args:
            features: the batch.
            conditions: from `conditions`.
            noisy_BSA3: scaled noisy positions; None in the input embedder, which has one sample then.

        Returns:
            The residues' mean over their atoms, and the atoms.
        """
        if noisy_BSA3 is None:
            return self._encode(features, conditions, conditions.atom_B1AC)
        parts = []
        for samples in samples_at_once(noisy_BSA3):
            atom_BSAC = conditions.atom_B1AC + self.linear_no_bias_r(noisy_BSA3[:, samples])
            atom_BSAC = atom_BSAC.masked_fill(~features.atom_mask_BA[:, None, :, None], 0.0)
            parts.append(self._encode(features, conditions, atom_BSAC))
        tokens, atoms = zip(*parts, strict=True)
        return joined(tokens), joined(atoms)

    def _encode(self, features: Features, conditions: AtomConditions, atom_BSAC: Tensor) -> tuple[Tensor, Tensor]:
        atom_BSAC = self.atom_transformer(atom_BSAC, conditions.encoder)
        return mean_over_atoms(self.linear_no_bias_q(atom_BSAC).relu_(), features), atom_BSAC

    def _reference(self, features: Features) -> Float[Tensor, "b a c"]:
        """Embed the reference conformers; rows of the weight stand for one-hot columns."""
        column = self.linear_no_bias_f.weight.t()
        element_BA = features.ref_element_BA.clamp(min=0)  # atomic number n is column n: the mask is column 0, H is 1
        first_letter = 1 + ELEMENTS + NAME_LETTERS * torch.arange(4, device=element_BA.device)
        rows_BA6 = torch.cat(
            [
                torch.zeros_like(element_BA).unsqueeze(-1),
                element_BA.unsqueeze(-1),
                features.ref_name_BA4 + first_letter,
            ],
            dim=-1,
        )
        named_BAC = embedding_bag(rows_BA6.flatten(0, 1), column, mode="sum").unflatten(0, element_BA.shape)
        charge_BA1 = torch.arcsinh(features.ref_charge_BA).unsqueeze(-1)
        return (
            named_BAC + self.linear_no_bias_ref_pos(features.ref_pos_BA3) + self.linear_no_bias_ref_charge(charge_BA1)
        )

    def _biases(
        self,
        features: Features,
        atom_BAC: Tensor,
        pair_BLLP: Tensor | None,
        blocks: list[DiffusionTransformerBlock],
    ) -> list[Float[Tensor, "b 1 w h q k"]]:
        """Bias of each block's attention, some windows at a time, so that the pairs are never all held."""
        queries = _windows_of(features, self.linear_no_bias_cl(atom_BAC.relu()), query_windows)
        keys = _windows_of(features, self.linear_no_bias_cm(atom_BAC.relu()), key_windows)
        count, heads = queries.exists.shape[1], self.atom_transformer.heads
        shape = (atom_BAC.shape[0], 1, count, heads, QUERIES, KEYS)
        biases = atom_BAC.new_empty(len(blocks), *shape)
        at_once = count if torch.is_grad_enabled() else WINDOWS_AT_ONCE
        for first in range(0, count, at_once):
            some = slice(first, first + at_once)
            pair_BWQKP = self._pairs(queries.part(some), keys.part(some), pair_BLLP)
            exists = keys.exists[:, some, None, None, :]
            biases[:, :, 0, some] = masked_bias(biases_of(blocks, pair_BWQKP), exists)
        return list(biases.unbind(0))

    def _pairs(self, queries: _Windows, keys: _Windows, pair_BLLP: Tensor | None) -> Float[Tensor, "b w q k p"]:
        """Embed pairs of atoms (AF3's p_lm): reference distances within a residue, the trunk's pairs, both atoms."""
        same = (queries.residue[..., :, None] == keys.residue[..., None, :]) & (
            queries.exists[..., :, None] & keys.exists[..., None, :]
        )
        offset = queries.position[..., :, None, :] - keys.position[..., None, :, :]
        nearness = 1 / (1 + offset.square().sum(-1, keepdim=True))
        columns = torch.cat([offset, nearness, torch.ones_like(nearness)], dim=-1).masked_fill(~same[..., None], 0.0)
        layers = (self.linear_no_bias_d, self.linear_no_bias_invd, self.linear_no_bias_v)
        pair = linear(columns, torch.cat([layer.weight for layer in layers], dim=1))
        if pair_BLLP is not None:
            batch = torch.arange(pair.shape[0], device=pair.device)[:, None, None, None]
            pair = pair + pair_BLLP[batch, queries.residue[..., :, None], keys.residue[..., None, :]]
        pair = pair + queries.channels[..., :, None, :] + keys.channels[..., None, :, :]
        return pair + self.small_mlp(pair)


def _windows_of(features: Features, channels_BAP: Tensor, windows: Callable[[Tensor], Tensor]) -> _Windows:
    """Cut what the pairs read of each atom into windows."""
    return _Windows(
        position=windows(features.ref_pos_BA3),
        residue=windows(features.atom_token_BA.unsqueeze(-1)).squeeze(-1),
        exists=windows(features.atom_mask_BA.unsqueeze(-1)).squeeze(-1),
        channels=windows(channels_BAP),
    )


class AtomAttentionDecoder(nn.Module):
    """AF3 Algorithm 6: residues to atoms, an atom transformer, and an update of each atom's position.

    Args:
        architecture: sizes.
        c_token: channels of a residue.
        blocks: of the atom transformer.
    """

    def __init__(self, architecture: Architecture, *, c_token: int, blocks: int) -> None:
        super().__init__()
        self.linear_no_bias_a = Linear(c_token, architecture.c_atom)
        self.layernorm_q = layer_norm(architecture.c_atom, offset=False)
        self.linear_no_bias_out = Linear(architecture.c_atom, 3)
        self.atom_transformer = AtomTransformer(architecture, blocks)

    def forward(
        self,
        features: Features,
        conditions: AtomConditions,
        token_BSLC: Float[Tensor, "b s l c"],
        atom_BSAC: Float[Tensor, "b s a ca"],
    ) -> Float[Tensor, "b s a 3"]:
        """Update of the positions, in units of the scaled noisy positions.

        Args:
            features: the batch.
            conditions: from the encoder's `conditions`, made with this decoder's transformer.
            token_BSLC: residues after the diffusion transformer.
            atom_BSAC: atoms as the encoder left them.
        """
        parts = []
        for samples in samples_at_once(atom_BSAC):
            part = gather_tokens(self.linear_no_bias_a(token_BSLC[:, samples]), features.atom_token_BA)
            part = self.atom_transformer(part + atom_BSAC[:, samples], conditions.decoder)
            parts.append(self.linear_no_bias_out(self.layernorm_q(part)))
        return joined(parts)
