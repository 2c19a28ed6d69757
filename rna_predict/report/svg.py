"""A small SVG writer: typed shapes, escaped text, numbers of two decimals; no scripts, styles, ids or links.

Without styles and ids a picture changes nothing of a page that it is put into, and several of them live side by side.
"""

import math
import xml.etree.ElementTree as ET
from dataclasses import dataclass

from rna_predict.errors import PredictionError

NAMESPACE = "http://www.w3.org/2000/svg"
FONTS = "Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif"
"""What systems have; nothing is loaded."""

BASELINE = 0.35
"""How far below its middle a capital's baseline lies, in font sizes; not every viewer knows `dominant-baseline`."""

Point = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pen:
    """How a shape, or all shapes of a group, are painted; None leaves it to the group."""

    fill: str | None = None
    stroke: str | None = None
    width: float | None = None
    dash: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Font:
    """How a text, or all texts of a group, are set; None leaves it to the group."""

    size: float | None = None
    anchor: str | None = None
    """`start`, `middle` or `end`."""
    weight: str | None = None
    fill: str | None = None


AS_GROUP = Pen()
AS_GROUP_FONT = Font()


def number(value: float) -> str:
    """A coordinate with at most two decimals, as short as it can be written.

    Raises:
        PredictionError: NaN or infinite; a viewer would drop the shape without a word.
    """
    if not math.isfinite(value):
        raise PredictionError(f"a picture's coordinate is {value}. Report the structure that was drawn.")
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def numbers(*values: float) -> str:
    """Numbers of path data, separated by blanks."""
    return " ".join(number(value) for value in values)


def polyline(points: list[Point]) -> str:
    """Path data of straight lines through points."""
    return "M" + "L".join(numbers(*point) for point in points)


def printable(text: str) -> str:
    """The text without characters that XML cannot hold; ElementTree escapes the rest."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)


class Group:
    """A `<g>` or the `<svg>` itself; each method adds one shape."""

    def __init__(self, element: ET.Element) -> None:
        self.element = element

    def group(self, name: str, pen: Pen = AS_GROUP, font: Font = AS_GROUP_FONT, shift: Point = (0, 0)) -> "Group":
        """A group within, of a class name that tells what its shapes are.

        Args:
            name: class name.
            pen: for its shapes.
            font: for its texts.
            shift: what its coordinates are relative to.
        """
        attributes = {"class": name, **_of_pen(pen), **_of_font(font)}
        if shift != (0, 0):
            attributes["transform"] = f"translate({numbers(*shift)})"
        return Group(ET.SubElement(self.element, "g", attributes))

    def circle(self, centre: Point, radius: float, pen: Pen = AS_GROUP, tip: str = "") -> None:
        """A circle; `tip` is shown where the pointer rests, and read out."""
        x, y = (number(value) for value in centre)
        self._add("circle", {"cx": x, "cy": y, "r": number(radius), **_of_pen(pen)}, tip)

    def rect(self, corner: Point, size: Point, pen: Pen = AS_GROUP, tip: str = "") -> None:
        """A rectangle by its upper left corner."""
        x, y = (number(value) for value in corner)
        width, height = (number(value) for value in size)
        self._add("rect", {"x": x, "y": y, "width": width, "height": height, **_of_pen(pen)}, tip)

    def path(self, steps: str, pen: Pen = AS_GROUP, tip: str = "") -> None:
        """Any line, by SVG path data."""
        self._add("path", {"d": steps, **_of_pen(pen)}, tip)

    def text(self, middle: Point, content: str, size: float, font: Font = AS_GROUP_FONT) -> None:
        """A line of text.

        Args:
            middle: x as the anchor says, y of the middle of a capital letter.
            content: any text.
            size: the font size that holds here; only written where `font` has one.
            font: what differs from the group.
        """
        x, y = number(middle[0]), number(middle[1] + BASELINE * size)
        self._add("text", {"x": x, "y": y, **_of_font(font)}).text = printable(content)

    def _add(self, tag: str, attributes: dict[str, str], tip: str = "") -> ET.Element:
        element = ET.SubElement(self.element, tag, attributes)
        if tip:
            ET.SubElement(element, "title").text = printable(tip)
        return element


class Svg(Group):
    """A whole picture."""

    def __init__(self, size: Point, title: str, description: str) -> None:
        """An empty picture.

        Args:
            size: width and height, in the units of its coordinates; shown so many pixels large where nothing else is
                said.
            title: its name, also for screen readers.
            description: what it shows, in a sentence.
        """
        width, height = (number(math.ceil(value)) for value in size)
        attributes = {"xmlns": NAMESPACE, "viewBox": f"0 0 {width} {height}", "width": width, "height": height}
        attributes |= {"role": "img", "aria-label": printable(f"{title}. {description}"), "font-family": FONTS}
        super().__init__(ET.Element("svg", attributes))
        self.size = (float(width), float(height))
        ET.SubElement(self.element, "title").text = printable(title)
        ET.SubElement(self.element, "desc").text = printable(description)

    def markup(self) -> str:
        """The file's text."""
        return ET.tostring(self.element, encoding="unicode", xml_declaration=False) + "\n"


def _of_pen(pen: Pen) -> dict[str, str]:
    width = None if pen.width is None else number(pen.width)
    found = {"fill": pen.fill, "stroke": pen.stroke, "stroke-width": width, "stroke-dasharray": pen.dash}
    return {name: value for name, value in found.items() if value is not None}


def _of_font(font: Font) -> dict[str, str]:
    size = None if font.size is None else number(font.size)
    found = {"font-size": size, "text-anchor": font.anchor, "font-weight": font.weight, "fill": font.fill}
    return {name: value for name, value in found.items() if value is not None}
