"""Colours: a scale for probabilities, and inks that are read on them and on the picture's own ground.

The scale goes from orange (doubtful) over rose to blue (certain), ever darker: its order survives a black-and-white
printer and any colour blindness, and its light end still stands out as a thin line on white.
"""

CARD = "#ffffff"
"""Ground of every picture; painted, so that a picture reads the same on a light and on a dark page."""
INK = "#1d2433"
"""Text and native pairs."""
FAINT = "#5d6678"
"""Numbers and remarks."""
RULE = "#c9ced8"
"""Backbone, ticks and the frame."""
GRID = "#eceff4"
"""Lines behind a plot."""
UNKNOWN = "#7d8fb3"
"""What has no probability: a structure read from a file."""

STOPS = ((0xF6, 0xA6, 0x2B), (0xEC, 0x7F, 0x4B), (0xD6, 0x58, 0x78), (0x96, 0x4A, 0xA3), (0x2F, 0x45, 0xA8))
"""sRGB at probabilities 0, ¼, ½, ¾ and 1."""

SERIES = ("#2f45a8", "#d55e00", "#00795a", "#964aa3", "#6b5b00", "#5d6678")
"""One colour each for what is compared; the first three differ for every colour vision (after Okabe and Ito 2002)."""


def colour(probability: float | None) -> str:
    """The colour of a probability, linear between `STOPS`; `UNKNOWN` for None."""
    if probability is None:
        return UNKNOWN
    place = min(max(float(probability), 0.0), 1.0) * (len(STOPS) - 1)
    below = min(int(place), len(STOPS) - 2)
    share = place - below
    mixed = [round(a + (b - a) * share) for a, b in zip(STOPS[below], STOPS[below + 1], strict=True)]
    return "#" + "".join(f"{value:02x}" for value in mixed)


def luminance(shade: str) -> float:
    """Relative luminance of `#rrggbb`, 0 to 1 (WCAG 2)."""
    parts = [int(shade[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two colours, 1 to 21 (WCAG 2)."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def ink_on(shade: str) -> str:
    """White on a colour where bold letters are read on it (a contrast of 3, WCAG 2), else dark."""
    return CARD if contrast(CARD, shade) >= 3 else INK
