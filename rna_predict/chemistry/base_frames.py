"""Bases in the standard reference frame, and how paired and stacked bases lie to each other.

Source of the coordinates: Olson et al. 2001, J. Mol. Biol. 313, 229 (table 1), which places the mean base geometries
of Clowney et al. 1996, J. Am. Chem. Soc. 118, 509 so that both bases of an ideal Watson-Crick pair share one frame:
x points to the major groove, y along the pair towards the first strand's backbone, z along its 5'→3' direction.
The CCD's ideal coordinates differ from these crystal means by up to 0.05 Å in base bonds (C N1-C2, A C6-N6), so the
bases are taken from here (docs/decisions/0005).
"""

STANDARD_BASES: dict[str, dict[str, tuple[float, float, float]]] = {
    "A": {
        "C1'": (-2.479, 5.346, 0.0),
        "N9": (-1.291, 4.498, 0.0),
        "C8": (0.024, 4.897, 0.0),
        "N7": (0.877, 3.902, 0.0),
        "C5": (0.071, 2.771, 0.0),
        "C6": (0.369, 1.398, 0.0),
        "N6": (1.611, 0.909, 0.0),
        "N1": (-0.668, 0.532, 0.0),
        "C2": (-1.912, 1.023, 0.0),
        "N3": (-2.320, 2.290, 0.0),
        "C4": (-1.267, 3.124, 0.0),
    },
    "C": {
        "C1'": (-2.477, 5.402, 0.0),
        "N1": (-1.285, 4.542, 0.0),
        "C2": (-1.472, 3.158, 0.0),
        "O2": (-2.628, 2.709, 0.0),
        "N3": (-0.391, 2.344, 0.0),
        "C4": (0.837, 2.868, 0.0),
        "N4": (1.875, 2.027, 0.0),
        "C5": (1.056, 4.275, 0.0),
        "C6": (-0.023, 5.068, 0.0),
    },
    "G": {
        "C1'": (-2.477, 5.399, 0.0),
        "N9": (-1.289, 4.551, 0.0),
        "C8": (0.023, 4.962, 0.0),
        "N7": (0.870, 3.969, 0.0),
        "C5": (0.071, 2.833, 0.0),
        "C6": (0.424, 1.460, 0.0),
        "O6": (1.554, 0.955, 0.0),
        "N1": (-0.700, 0.641, 0.0),
        "C2": (-1.999, 1.087, 0.0),
        "N2": (-2.949, 0.139, 0.0),
        "N3": (-2.342, 2.364, 0.0),
        "C4": (-1.265, 3.177, 0.0),
    },
    "U": {
        "C1'": (-2.481, 5.354, 0.0),
        "N1": (-1.284, 4.500, 0.0),
        "C2": (-1.462, 3.131, 0.0),
        "O2": (-2.563, 2.608, 0.0),
        "N3": (-0.302, 2.397, 0.0),
        "C4": (0.989, 2.884, 0.0),
        "O4": (1.935, 2.094, 0.0),
        "C5": (1.089, 4.311, 0.0),
        "C6": (-0.024, 5.053, 0.0),
    },
}
"""Å, base atoms and C1' in the standard frame."""

A_FORM_STEP = {"slide": -1.63, "rise": 3.21, "roll": 8.5, "twist": 32.74}
"""Step between the middle frames of neighbouring pairs, Å and degrees. Median of 2,108 stem steps in one X-ray chain
of each training cluster, fitted with shift and tilt zero by symmetry; Olson et al. 2001 give slide -1.53, rise 3.32,
roll 8.6 and twist 31.6 for A-form."""

PROPELLER = -10.0
"""Degrees between the two bases of a pair about y (same source: medians of 1,408 pairs; 8.7° median deviation)."""

PAIR_DISPLACEMENT: dict[str, tuple[float, float]] = {
    "AU": (0.0, -0.055),
    "UA": (0.0, -0.055),
    "GC": (0.0, -0.065),
    "CG": (0.0, -0.065),
    "GU": (-1.11, -0.26),
    "UG": (1.11, -0.26),
}
"""Displacement in Å along x and y of the first base from the pair's middle frame (same source)."""
