"""What all pictures have around them: the card, the heading, the colour scale and the key."""

from collections.abc import Callable
from dataclasses import dataclass

from rna_predict.report.palette import CARD, FAINT, INK, colour
from rna_predict.report.subject import Subject
from rna_predict.report.svg import Font, Group, Pen, Point, Svg, numbers

LETTER_WIDTH = 0.56
"""Mean width of a letter in font sizes, on the wide side: text is measured by no font here."""

SMALLEST = 13.0
"""Font size of heading and key where a picture is shown as large as its coordinates say."""

UNITS_ACROSS = 72
"""A wide picture has its heading and key scaled so that this many font sizes go across: still read when it is fitted
to a page."""

NARROWEST = 34
"""Least width of a card in font sizes: the heading needs it, whatever is drawn."""

SAMPLE = 3.0
"""Width of a sample in the key, in font sizes."""

STRIPS = 40
"""Rectangles of the colour scale."""

Draw = Callable[[Group, Point, float], None]
"""Draws a sample of the key: into a group, from the middle of its left end, as many units wide as `SAMPLE` times the
font size that is given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One line of the key.

    Attributes:
        label: what the sample stands for.
        sample: draws it; None for a remark without one.
    """

    label: str
    sample: Draw | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """A card with heading and key.

    Attributes:
        svg: the picture.
        content: where to draw, with the origin at the content's upper left corner.
        unit: font size of heading and key.
    """

    svg: Svg
    content: Group
    unit: float


def unit_of(width: float) -> float:
    """Font size of heading and key for a content of some width."""
    return max(SMALLEST, width / UNITS_ACROSS)


def text_width(text: str, size: float) -> float:
    """About how wide a line of text becomes."""
    return LETTER_WIDTH * size * len(text)


def fitted(text: str, size: float, width: float) -> str:
    """The text, cut with an ellipsis where it is wider than `width`."""
    room = max(int(width / (LETTER_WIDTH * size)), 1)
    return text if len(text) <= room else text[: room - 1] + "…"


def framed(subject: Subject, what: str, size: Point, keys: list[Key]) -> Frame:
    """An empty card of the size that a content needs, with heading, colour scale and key.

    Args:
        subject: what is drawn.
        what: name of the kind of picture, e.g. `Arc diagram`.
        size: width and height of the content.
        keys: lines of the key, besides the colour scale.
    """
    unit = unit_of(size[0])
    inner = max(size[0], NARROWEST * unit)
    rows = _flow(keys, unit, inner)
    margin, head = 1.5 * unit, 5.8 * unit
    foot = (2.0 + 1.75 * len(rows)) * unit
    title = f"{what} of {subject.id}"
    card = (inner + 2 * margin, head + size[1] + foot + margin)
    svg = Svg(card, title, f"{_counts(subject)}; {subject.source}")
    svg.rect((0, 0), svg.size, Pen(fill=CARD))
    _heading(svg.group("heading", Pen(fill=INK), shift=(margin, margin)), subject, unit, inner)
    key = svg.group("key", Pen(fill=INK), Font(size=unit), shift=(margin, head + size[1] + 1.4 * unit))
    _scale(key, subject, unit)
    for line, row in enumerate(rows, start=1):
        _row(key, row, unit, 1.75 * unit * line)
    content = svg.group("content", shift=(margin + (inner - size[0]) / 2, head))
    return Frame(svg=svg, content=content, unit=unit)


def _counts(subject: Subject) -> str:
    pairs = len(subject.pairs)
    text = f"{subject.length} nt, {pairs} {'pair' if pairs == 1 else 'pairs'}"
    if subject.native_L is None:
        return text
    right = len(set(subject.pairs) & set(subject.native_pairs))
    return f"{text}: {right} right, {pairs - right} wrong; {len(subject.missed_pairs)} missed"


def _heading(group: Group, subject: Subject, unit: float, width: float) -> None:
    large = 1.35 * unit
    group.text((0, 0.5 * unit), fitted(subject.id, large, width), large, Font(size=large, weight="bold"))
    against = f" · compared with {subject.native_source}" if subject.native_L is not None else ""
    for line, text in enumerate((_counts(subject), f"{subject.source}{against}")):
        group.text((0, (2.0 + 1.35 * line) * unit), fitted(text, unit, width), unit, Font(size=unit, fill=FAINT))


def _scale(group: Group, subject: Subject, unit: float) -> None:
    """The colour scale with its ends and what it means."""
    if subject.probability_LL is None:
        group.text((0, 0), "No probabilities: the structure is as it was given.", unit, Font(fill=FAINT))
        return
    left, width, height = 0.9 * unit, 9 * unit, 0.9 * unit
    strips = group.group("scale")
    for k in range(STRIPS):  # each as far as the right end, under the next, so that no seam shows
        start = width * k / STRIPS
        strips.rect((left + start, -height / 2), (width - start, height), Pen(fill=colour((k + 0.5) / STRIPS)))
    group.text((0, 0), "0", unit)
    group.text((left + width + 0.35 * unit, 0), "1", unit)
    group.text((left + width + 1.6 * unit, 0), "probability of what is shown", unit)


def _flow(keys: list[Key], unit: float, width: float) -> list[list[Key]]:
    """Lines of the key, as many on a row as fit."""
    rows: list[list[Key]] = []
    left = 0.0
    for key in keys:
        needed = _key_width(key, unit)
        if not rows or left + needed > width:
            rows.append([])
            left = 0.0
        rows[-1].append(key)
        left += needed
    return rows


def _key_width(key: Key, unit: float) -> float:
    return ((SAMPLE + 0.6 if key.sample else 0.0) + 1.6) * unit + text_width(key.label, unit)


def _row(group: Group, keys: list[Key], unit: float, y: float) -> None:
    x = 0.0
    for key in keys:
        if key.sample is not None:
            key.sample(group.group("sample"), (x, y), unit)
        start = x + (SAMPLE + 0.6 if key.sample else 0.0) * unit
        group.text((start, y), key.label, unit, Font(fill=FAINT if key.sample is None else INK))
        x += _key_width(key, unit)


def line_sample(pen: Pen) -> Draw:
    """A sample that is a straight line."""

    def draw(group: Group, left: Point, unit: float) -> None:
        group.path(f"M{numbers(*left)}h{numbers(SAMPLE * unit)}", pen)

    return draw
