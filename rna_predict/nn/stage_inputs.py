"""What other stages found out enters the pair representation here, through projections that start at zero.

AF3 has no such inputs. As every weight begins at zero, a checkpoint that lacks them gives exactly what it gave before.
"""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from rna_predict.errors import ConfigError
from rna_predict.geometry.frames import frame_from_atoms
from rna_predict.nn.layers import Linear

KINDS = ("adjacency", "torsions", "coordinates", "templates")
"""Names of the projections; `StageInputProjection` takes any of them."""
ANGLES = ("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "chi", "pucker_phase")
"""Order of the angles in `TorsionInputs`."""
DISTANCE_BINS = 39
FIRST_DISTANCE, LAST_DISTANCE = 3.25, 50.75
"""Å, centres of the first and last distance bin (AF3, section 2.4: the template distogram's 39 bins)."""
TORSION_CHANNELS = 4 * len(ANGLES)
GEOMETRY_CHANNELS = DISTANCE_BINS + 3 + 1
CHUNK_ELEMENTS = 2**24
"""Most features held at once where no gradient is recorded: 64 MB in float32."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TorsionInputs:
    """Stage B's torsions, the angles in the order of `ANGLES`.

    Attributes:
        sincos_BL82: sine and cosine of each angle.
        mask_BL8: False where the angle is undefined (or the residue padded).
        concentration_BL8: von Mises κ ≥ 0; at 0 the angle itself is not looked at.
    """

    sincos_BL82: Float[Tensor, "b l 8 2"]
    mask_BL8: Bool[Tensor, "b l 8"]
    concentration_BL8: Float[Tensor, "b l 8"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameAtoms:
    """Stage C's coordinates as far as they are looked at.

    Attributes:
        xyz_BL33: C1', C3' and C4' of each residue, Å.
        mask_BL: False where one of the three is missing (or the residue padded).
    """

    xyz_BL33: Float[Tensor, "b l 3 3"]
    mask_BL: Bool[Tensor, "b l"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateInputs:
    """Known structures threaded onto the RNA; an RNA with fewer than T has rows whose mask is False throughout.

    Attributes:
        xyz_BTL33: C1', C3' and C4' of each residue, Å.
        mask_BTL: False where the template does not cover the residue (or the residue is padded).
    """

    xyz_BTL33: Float[Tensor, "b t l 3 3"]
    mask_BTL: Bool[Tensor, "b t l"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StageInputs:
    """Results of other stages and templates; what is None adds nothing.

    Attributes:
        pair_probability_BLL: stage A's pair probabilities, symmetric.
        partner_BLL: stage A's matching, 1 where two residues pair, else 0.
        torsions: of stage B.
        coordinates: of stage C.
        templates: known structures.
    """

    pair_probability_BLL: Float[Tensor, "b l l"] | None = None
    partner_BLL: Float[Tensor, "b l l"] | None = None
    torsions: TorsionInputs | None = None
    coordinates: FrameAtoms | None = None
    templates: TemplateInputs | None = None

    def present(self) -> tuple[str, ...]:
        """The kinds that have something to say, in the order of `KINDS`."""
        adjacency = self.pair_probability_BLL if self.partner_BLL is None else self.partner_BLL
        parts = (adjacency, self.torsions, self.coordinates, self.templates)
        return tuple(kind for kind, part in zip(KINDS, parts, strict=True) if part is not None)

    def only(self, kinds: tuple[str, ...]) -> "StageInputs":
        """The inputs of these kinds (`StageInputProjection.kinds`), the others left out: each network gets its own."""
        kind_of = {"pair_probability_BLL": "adjacency", "partner_BLL": "adjacency"}
        names = [field.name for field in fields(self) if kind_of.get(field.name, field.name) in kinds]
        return StageInputs(**{name: getattr(self, name) for name in names})

    def to(self, device: torch.device | str) -> "StageInputs":
        """The same inputs on another device."""
        return StageInputs(**{field.name: _moved(getattr(self, field.name), device) for field in fields(self)})


def pair_inputs(probability_LL: np.ndarray, partner_L: np.ndarray) -> StageInputs:
    """Stage A's result as an input of the networks, B = 1.

    Args:
        probability_LL: pair probabilities.
        partner_L: index of each residue's partner, or -1.
    """
    partner_BL = torch.from_numpy(partner_L.astype(np.int64))[None]
    return StageInputs(
        pair_probability_BLL=torch.from_numpy(probability_LL.astype(np.float32))[None],
        partner_BLL=(partner_BL[:, :, None] == torch.arange(len(partner_L))).float(),
    )


def _moved(part: Any, device: torch.device | str) -> Any:
    """A tensor, a dataclass of tensors or None on another device."""
    if isinstance(part, Tensor):
        return part.to(device)
    if part is None:
        return None
    return type(part)(**{field.name: _moved(getattr(part, field.name), device) for field in fields(part)})


class StageInputProjection(nn.Module):
    """Adds linear projections of the stages' results to the pair representation; not in AF3.

    Keys: `adjacency` [c_z, 2], `torsions_first` and `torsions_second` [c_z, 32] for the two residues of a pair,
    `coordinates` and `templates` [c_z, 43]. None has a bias, all start at zero.
    """

    def __init__(self, c_z: int, kinds: tuple[str, ...]) -> None:
        """Make the projections of `kinds`.

        Raises:
            ConfigError: a kind that is not one of `KINDS`, or named twice.
        """
        super().__init__()
        if len(set(kinds)) != len(kinds) or not set(kinds) <= set(KINDS):
            raise ConfigError(f"stage inputs: kinds {kinds} must be different ones of {', '.join(KINDS)}")
        self.kinds = kinds
        if "adjacency" in kinds:
            self.adjacency = Linear(2, c_z, init="zeros")
        if "torsions" in kinds:
            self.torsions_first = Linear(TORSION_CHANNELS, c_z, init="zeros")
            self.torsions_second = Linear(TORSION_CHANNELS, c_z, init="zeros")
        if "coordinates" in kinds:
            self.coordinates = Linear(GEOMETRY_CHANNELS, c_z, init="zeros")
        if "templates" in kinds:
            self.templates = Linear(GEOMETRY_CHANNELS, c_z, init="zeros")

    def forward(
        self, pair_BLLZ: Float[Tensor, "b l l z"], stage_inputs: StageInputs | None
    ) -> Float[Tensor, "b l l z"]:
        """The pair representation plus what the inputs add; `pair_BLLZ` itself is not changed.

        A pair depends on its own two residues alone, so that padded residues reach no real pair.

        Raises:
            ConfigError: an input is given whose projection was not made: it would be ignored.
        """
        present = stage_inputs.present() if stage_inputs is not None else ()
        if stage_inputs is None or not present:
            return pair_BLLZ
        unknown = [kind for kind in present if kind not in self.kinds]
        if unknown:
            raise ConfigError(f"stage inputs: {', '.join(unknown)} given, this network takes {', '.join(self.kinds)}")
        length = pair_BLLZ.shape[1]
        rows = length
        if not torch.is_grad_enabled():
            rows = max(1, CHUNK_ELEMENTS // (pair_BLLZ.shape[0] * length * max(GEOMETRY_CHANNELS, pair_BLLZ.shape[3])))
        if rows >= length:
            return pair_BLLZ + self._rows(stage_inputs, slice(0, length)).to(pair_BLLZ.dtype)
        result_BLLZ = pair_BLLZ.clone()
        for start in range(0, length, rows):
            part = slice(start, min(start + rows, length))
            result_BLLZ[:, part] += self._rows(stage_inputs, part).to(pair_BLLZ.dtype)
        return result_BLLZ

    def _rows(self, stage_inputs: StageInputs, rows: slice) -> Tensor:
        """What is added to these rows of the pair representation, [B, rows, L, Z]."""
        added: list[Tensor] = []
        if stage_inputs.pair_probability_BLL is not None or stage_inputs.partner_BLL is not None:
            added.append(_projected(self.adjacency, _adjacency_features(stage_inputs, rows)))
        if stage_inputs.torsions is not None:
            residue_BLC = torsion_features(stage_inputs.torsions)
            first_BLZ = _projected(self.torsions_first, residue_BLC[:, rows])
            added.append(first_BLZ[:, :, None] + _projected(self.torsions_second, residue_BLC)[:, None])
        if stage_inputs.coordinates is not None:
            atoms = stage_inputs.coordinates
            added.append(_projected(self.coordinates, geometry_features(atoms.xyz_BL33, atoms.mask_BL, rows)))
        if stage_inputs.templates is not None:
            added.append(_projected(self.templates, _template_features(stage_inputs.templates, rows)))
        return sum(added[1:], start=added[0])


def _projected(layer: Linear, features: Tensor) -> Tensor:
    return layer(features.to(layer.weight.dtype))


def _adjacency_features(stage_inputs: StageInputs, rows: slice) -> Tensor:
    """[B, rows, L, 2]: probability and matching; the one that is absent is zero."""
    found = (stage_inputs.pair_probability_BLL, stage_inputs.partner_BLL)
    shown = [part_BLL[:, rows].float() for part_BLL in found if part_BLL is not None]
    channels = [torch.zeros_like(shown[0]) if part_BLL is None else part_BLL[:, rows].float() for part_BLL in found]
    return torch.stack(channels, dim=-1)


def torsion_features(torsions: TorsionInputs) -> Float[Tensor, "b l 32"]:
    """Per angle ρ·sin, ρ·cos, ρ and the mask; ρ = I1(κ) / I0(κ) is the mean resultant length of a von Mises κ.

    So an angle of which nothing is known (κ = 0) says nothing, whatever its value. Masked angles give zeros.
    """
    kappa_BL8 = torsions.concentration_BL8.float()
    length_BL81 = (torch.special.i1e(kappa_BL8) / torch.special.i0e(kappa_BL8))[..., None]
    mask_BL81 = torsions.mask_BL8[..., None]
    features = [torsions.sincos_BL82.float() * length_BL81, length_BL81, torch.ones_like(length_BL81)]
    return torch.where(mask_BL81, torch.cat(features, dim=-1), 0.0).flatten(-2)


def geometry_features(
    xyz_BL33: Float[Tensor, "b l 3 3"], mask_BL: Bool[Tensor, "b l"], rows: slice
) -> Float[Tensor, "b r l 43"]:
    """What pairs of residues look like from their own frames; rigid motions of the whole do not change it.

    Per pair: 39 bins of the C1'-C1' distance, the unit vector from the first residue's C1' to the second's in the first
    residue's sugar frame (C1', C3', C4', as in AF3, section 2.8), and 1 where both residues are there; zeros elsewhere.

    Deviation from AF3's template distogram: a distance is shared between the two nearest bins instead of falling
    into one, so that rounding cannot move it to another bin; distances outside the bins belong to the outermost.
    """
    xyz_BL33 = torch.where(mask_BL[..., None, None], xyz_BL33.float(), 0.0)
    first, third, fourth = xyz_BL33.unbind(dim=-2)
    axes_BR33 = frame_from_atoms(first[:, rows], third[:, rows], fourth[:, rows]).rotation
    step_BRL3 = first[:, None] - first[:, rows, None]
    distance_BRL1 = step_BRL3.square().sum(dim=-1, keepdim=True).clamp(min=1e-12).sqrt()
    local_BRL3 = torch.einsum("brji,brlj->brli", axes_BR33, step_BRL3 / distance_BRL1)
    both_BRL1 = (mask_BL[:, rows, None] & mask_BL[:, None])[..., None]
    width = (LAST_DISTANCE - FIRST_DISTANCE) / (DISTANCE_BINS - 1)
    place_BRL1 = ((distance_BRL1 - FIRST_DISTANCE) / width).clamp(0, DISTANCE_BINS - 1)
    bins = torch.arange(DISTANCE_BINS, device=xyz_BL33.device, dtype=torch.float32)
    shares = (1 - (place_BRL1 - bins).abs()).clamp(min=0)
    return torch.where(both_BRL1, torch.cat([shares, local_BRL3, torch.ones_like(distance_BRL1)], dim=-1), 0.0)


def _template_features(templates: TemplateInputs, rows: slice) -> Tensor:
    """[B, rows, L, 43]: mean over the templates that cover both residues; zeros where none does."""
    total = counts = None
    for xyz_BL33, mask_BL in zip(templates.xyz_BTL33.unbind(1), templates.mask_BTL.unbind(1), strict=True):
        features = geometry_features(xyz_BL33, mask_BL, rows)
        total = features if total is None else total + features
        counts = features[..., -1:] if counts is None else counts + features[..., -1:]
    if total is None or counts is None:
        raise ConfigError("stage inputs: templates hold no template. Leave them out instead.")
    return total / counts.clamp(min=1)
