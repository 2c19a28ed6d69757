"""β-D-ribofuranose as a function of its pseudorotation: exact bonds, exact phase, the right hand at every phase.

Ring: bonds are those of Gelbin et al. 1996; the two remaining degrees of freedom and the swing of O4' are polynomials
that `ribose_fit` fitted (its docstring says how). The substituents follow from the two angles that each makes with
the ring, straight lines in τm cos P through the C3'-endo and C2'-endo values of Gelbin et al. 1996.
Holds for amplitudes up to 48°. From 30° to 41° every ring angle lies within 3° of the range between those two values;
at 45° within 3.4°, which no closed ring with these bonds can better by much (the sum of the angles falls with τm²).
"""

import json
import math
from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor

from rna_predict.chemistry.ideal import BOND_LENGTHS, PUCKER_ANGLES
from rna_predict.geometry.ribose_ring import RING_FILE, place_ring

RIBOSE_ATOMS = ("C4'", "O4'", "C3'", "O3'", "C2'", "O2'", "C1'", "C5'", "N")
"""Atoms of `ribose` in order; N is the glycosidic nitrogen."""

_SUBSTITUENTS = (
    # substituent, centre, ring neighbours in the order that puts it along their cross product
    ("O3'", "C3'", "C4'", "C2'"),
    ("O2'", "C2'", "C3'", "C1'"),
    ("C5'", "C4'", "C3'", "O4'"),
    ("N", "C1'", "O4'", "C2'"),
)
_TYPICAL_AMPLITUDE = math.radians(38.0)
"""Amplitude at which the straight lines of the substituent angles pass through both puckers' values."""


def ribose(phase: Float[Tensor, "*b"], amplitude: Float[Tensor, "*b"]) -> Float[Tensor, "*b 9 3"]:
    """Coordinates of C4', O4', C3', O3', C2', O2', C1', C5' and the glycosidic N (`RIBOSE_ATOMS`), Å.

    Frame: origin C2', x axis towards C3', C1' in the xy plane with y > 0.

    Args:
        phase: pseudorotation phase P, radians, any branch.
        amplitude: τm in radians, up to 0.84 (48°).
    """
    x, y = amplitude * torch.cos(phase), amplitude * torch.sin(phase)
    angle_c2, angle_c3, swing = _ring_variables(x, y)
    atoms = place_ring(torch, x, angle_c2, angle_c3, swing)
    for name, centre, first, second in _SUBSTITUENTS:
        length = _length(centre, name)
        angles = (_angle(first, centre, name, x), _angle(second, centre, name, x))
        atoms[name] = _place_substituent(atoms[centre], (atoms[first], atoms[second]), angles, length)
    return torch.stack([atoms[name] for name in RIBOSE_ATOMS], dim=-2)


def _ring_variables(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Angles at C2' and C3' and the swing of O4', polynomials in x = τm cos P and y = τm sin P."""
    powers, coefficients = _polynomials()
    basis = _powers(x, powers[0]) * _powers(y, powers[1])
    angle_c2, angle_c3, swing = (basis @ coefficients.to(basis)).unbind(-1)
    return angle_c2, angle_c3, swing


def _powers(x: Tensor, exponents: tuple[int, ...]) -> Tensor:
    """x to each of `exponents`, by repeated products."""
    rising = [torch.ones_like(x)]
    for _ in range(max(exponents)):
        rising.append(rising[-1] * x)
    return torch.stack([rising[k] for k in exponents], dim=-1)


@lru_cache(maxsize=1)
def _polynomials() -> tuple[tuple[tuple[int, ...], tuple[int, ...]], Tensor]:
    """Exponents of x and y, and coefficients [terms, 3] in float64, lower degrees padded with zeros."""
    table: dict[str, list[float]] = json.loads(RING_FILE.read_text())
    columns = [table[name] for name in ("angle_c2", "angle_c3", "swing_o4")]
    degrees = [round((math.sqrt(8 * len(column) + 1) - 3) / 2) for column in columns]
    top = max(degrees)
    terms = [(i, j) for i in range(top + 1) for j in range(top + 1 - i)]
    coefficients = torch.zeros(len(terms), 3, dtype=torch.float64)
    for k, (column, degree) in enumerate(zip(columns, degrees, strict=True)):
        own = [(i, j) for i in range(degree + 1) for j in range(degree + 1 - i)]
        for term, value in zip(own, column, strict=True):
            coefficients[terms.index(term), k] = value
    return (tuple(i for i, _ in terms), tuple(j for _, j in terms)), coefficients


def _length(centre: str, name: str) -> float:
    return (BOND_LENGTHS.get((centre, name)) or BOND_LENGTHS[name, centre]).value


def _angle(neighbour: str, centre: str, name: str, x: Tensor) -> Tensor:
    """Angle in radians: the mean of both puckers' values at x = 0, each value at its own pucker."""
    c3_endo, c2_endo = PUCKER_ANGLES.get((neighbour, centre, name)) or PUCKER_ANGLES[name, centre, neighbour]
    slope = math.radians(c3_endo - c2_endo) / 2 / (_TYPICAL_AMPLITUDE * math.cos(math.radians(18)))
    return math.radians(c3_endo + c2_endo) / 2 + slope * x


def _place_substituent(
    centre: Tensor, neighbours: tuple[Tensor, Tensor], angles: tuple[Tensor, Tensor], length: float
) -> Tensor:
    """The point at `length` from `centre` that makes `angles` with both neighbours, on the side of u x v."""
    u, v = ((n - centre) / (n - centre).norm(dim=-1, keepdim=True) for n in neighbours)
    cos_u, cos_v = (torch.cos(a)[..., None] for a in angles)
    cos_uv = (u * v).sum(-1, keepdim=True)
    sin2 = 1 - cos_uv**2
    along_u, along_v = (cos_u - cos_uv * cos_v) / sin2, (cos_v - cos_uv * cos_u) / sin2
    in_plane = along_u * u + along_v * v
    up = torch.sqrt(1 - (in_plane * in_plane).sum(-1, keepdim=True))
    return centre + length * (in_plane + up * torch.linalg.cross(u, v) / torch.sqrt(sin2))
