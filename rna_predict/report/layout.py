"""Where residues lie in a structure drawing: ViennaRNA's layouts, and which of them to take."""

from dataclasses import dataclass

import numpy as np
import RNA
from scipy.spatial import KDTree

from rna_predict.chemistry.chains import spaced, split_chains
from rna_predict.contracts.loops import decompose
from rna_predict.errors import PredictionError

STEP = 25.0
"""Distance of neighbours along a strand, in the picture's units, unless the layout stretches a loop."""

ROOMY = 0.6
"""Least distance of any two residues, in steps, at which a drawing counts as free of overlaps."""

BETWEEN = 3
"""Residues that the place between two chains has room for: as many as the smallest hairpin loop."""

COMPACT = 4.0
"""A drawing counts as compact up to so many times as long as wide …"""

LONG = 45
"""… or up to so many steps long."""

LAYOUTS = {"puzzler": RNA.PLOT_TYPE_PUZZLER, "simple": RNA.PLOT_TYPE_SIMPLE, "naview": RNA.PLOT_TYPE_NAVIEW}
"""ViennaRNA's layouts in the order that they are tried. RNApuzzler (Wiegreffe et al. 2019) bends loops until nothing
overlaps, but lays the exterior loop out as one line; `simple` lays it on a circle."""

ONE_STEP = {"puzzler": 25.0, "simple": 15.0, "naview": 15.0}
"""Distance of neighbours in ViennaRNA's own units."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Coordinates of a drawing.

    Attributes:
        name: key of `LAYOUTS`.
        xy_L2: float64 [L, 2], in the picture's units, y downwards, as ViennaRNA's own
            SVG has them: 5' at the left, a tRNA's acceptor stem on top.
        nearest_L: distance of each residue to the nearest other one; infinite for a single residue.
    """

    name: str
    xy_L2: np.ndarray
    nearest_L: np.ndarray

    def part(self, place_L: np.ndarray) -> "Layout":
        """The layout of some of its places."""
        xy_L2 = self.xy_L2[place_L]
        return Layout(name=self.name, xy_L2=xy_L2, nearest_L=KDTree(xy_L2).query(xy_L2, k=2)[0][:, 1])

    @property
    def separation(self) -> float:
        """Least distance of two residues."""
        return float(self.nearest_L.min())


def lay_out(partner_L: np.ndarray, breaks: tuple[int, ...] = ()) -> Layout:
    """The first layout of the nested skeleton that is free of overlaps and compact, else without overlaps, else widest.

    Args:
        partner_L: int32 [L], a matching; pairs of pseudoknots do not shape the drawing.
        breaks: first residue of each chain but the first; between chains there is room for `BETWEEN` residues.

    Raises:
        PredictionError: no layout has finite coordinates.
    """
    structure = ("." * BETWEEN).join(split_chains(skeleton(partner_L), breaks))
    place_L = spaced(len(partner_L), breaks, BETWEEN)
    found: list[Layout] = []
    for name in LAYOUTS:
        layout = _layout(structure, name)
        if layout is None:
            continue
        layout = layout.part(place_L) if breaks else layout
        if layout.separation >= ROOMY * STEP and _is_compact(layout.xy_L2):
            return layout
        found.append(layout)
    if not found:
        raise PredictionError(f"ViennaRNA has no layout for {structure[:80]}. Report the structure.")
    roomy = [layout for layout in found if layout.separation >= ROOMY * STEP]
    return roomy[0] if roomy else max(found, key=lambda layout: layout.separation)


def skeleton(partner_L: np.ndarray) -> str:
    """The nested skeleton of a matching as dot-bracket, one kind of bracket."""
    marks = ["."] * len(partner_L)
    for stem in decompose(partner_L).stems:
        for i, j in stem.pairs:
            marks[i], marks[j] = "(", ")"
    return "".join(marks)


def _layout(structure: str, name: str) -> Layout | None:
    """One layout in the picture's units; None where ViennaRNA's coordinates are not finite."""
    if len(structure) == 1:  # naview has NaN for it
        return Layout(name=name, xy_L2=np.zeros((1, 2)), nearest_L=np.full(1, np.inf))
    before = RNA.cvar.rna_plot_type
    RNA.cvar.rna_plot_type = LAYOUTS[name]  # the API has no other way to ask for a layout's coordinates
    try:
        points = RNA.get_xy_coordinates(structure)
    finally:
        RNA.cvar.rna_plot_type = before
    xy_L2 = np.array([(points.get(k).X, points.get(k).Y) for k in range(len(structure))], dtype=np.float64)
    if not np.isfinite(xy_L2).all():
        return None
    xy_L2 *= STEP / ONE_STEP[name]
    return Layout(name=name, xy_L2=xy_L2, nearest_L=KDTree(xy_L2).query(xy_L2, k=2)[0][:, 1])


def _is_compact(xy_L2: np.ndarray) -> bool:
    short, long = sorted(np.ptp(xy_L2, axis=0))
    return long <= max(LONG * STEP, COMPACT * short)
