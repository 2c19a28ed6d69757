"""The five ring atoms from two bond angles, ν2 and the swing of O4'; bonds are exact. For numpy and torch alike."""

from pathlib import Path
from types import ModuleType
from typing import Any

from rna_predict.chemistry.ideal import BOND_LENGTHS

RING_FILE = Path(__file__).with_name("ribose_ring.json")
"""Coefficients that `ribose_fit` wrote."""

C1_C2 = BOND_LENGTHS["C1'", "C2'"].value
C2_C3 = BOND_LENGTHS["C2'", "C3'"].value
C3_C4 = BOND_LENGTHS["C3'", "C4'"].value
C4_O4 = BOND_LENGTHS["C4'", "O4'"].value
O4_C1 = BOND_LENGTHS["O4'", "C1'"].value


def place_ring(lib: ModuleType, nu2: Any, angle_c2: Any, angle_c3: Any, swing: Any) -> dict[str, Any]:
    """Ring atoms [..., 3] by name.

    Frame: origin C2', x towards C3', C1' in the xy plane with y > 0.

    Args:
        lib: numpy or torch; the other arguments are its arrays.
        nu2: torsion C1'-C2'-C3'-C4'.
        angle_c2: angle C1'-C2'-C3'.
        angle_c3: angle C2'-C3'-C4'.
        swing: turn of O4' about the axis C1'→C4', 0 in the plane that holds the middle of C2'-C3'.
    """
    zero = lib.zeros_like(nu2)
    c2 = lib.stack([zero, zero, zero], -1)
    c3 = lib.stack([zero + C2_C3, zero, zero], -1)
    c1 = C1_C2 * lib.stack([lib.cos(angle_c2), lib.sin(angle_c2), zero], -1)
    out = lib.sin(angle_c3)
    c4 = c3 + C3_C4 * lib.stack([-lib.cos(angle_c3), out * lib.cos(nu2), out * lib.sin(nu2)], -1)
    axis = c4 - c1
    span = lib.sqrt((axis * axis).sum(-1))[..., None]
    axis = axis / span
    outward = (c1 + c4) / 2 - c3 / 2
    outward = outward - (outward * axis).sum(-1)[..., None] * axis
    outward = outward / lib.sqrt((outward * outward).sum(-1))[..., None]
    along = (O4_C1**2 - C4_O4**2 + span * span) / (2 * span)
    height = lib.sqrt(O4_C1**2 - along * along)
    turned = lib.cos(swing)[..., None] * outward + lib.sin(swing)[..., None] * lib.linalg.cross(axis, outward)
    return {"C1'": c1, "C2'": c2, "C3'": c3, "C4'": c4, "O4'": c1 + along * axis + height * turned}
