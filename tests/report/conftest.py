"""Subjects to draw, and a reader that sees an SVG as its groups of shapes."""

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from rna_predict.formats.dot_bracket import from_dot_bracket
from rna_predict.report.subject import Subject

SVG = "{http://www.w3.org/2000/svg}"


@dataclass
class Picture:
    """A parsed SVG."""

    root: ET.Element

    def shapes(self, name: str) -> list[ET.Element]:
        """All shapes in the groups of a class; a group that is not there has none."""
        return [shape for group in self.root.iter(f"{SVG}g") if group.get("class") == name for shape in group]

    def groups(self, name: str) -> list[ET.Element]:
        """The groups of a class."""
        return [group for group in self.root.iter(f"{SVG}g") if group.get("class") == name]

    def tips(self, name: str) -> dict[str, ET.Element]:
        """The shapes of a class by the first word of their tips, e.g. `G1–C12`."""
        return {(shape.findtext(f"{SVG}title") or "").split()[0]: shape for shape in self.shapes(name)}

    def texts(self, name: str) -> list[str]:
        """What the texts of a class say."""
        return [shape.text or "" for shape in self.shapes(name)]

    @property
    def key(self) -> str:
        """All texts of the key."""
        return " | ".join(text for group in self.groups("key") for text in group.itertext() if text.strip())

    @property
    def heading(self) -> list[str]:
        """The lines of the heading."""
        return self.texts("heading")

    @property
    def size(self) -> tuple[float, float]:
        """Width and height."""
        return float(self.root.get("width", "nan")), float(self.root.get("height", "nan"))


@pytest.fixture(scope="session")
def read_svg() -> Callable[[str], Picture]:
    """Parses an SVG's text."""
    return lambda text: Picture(ET.fromstring(text))


@pytest.fixture(scope="session")
def subject() -> Callable[..., Subject]:
    """`subject(structure, sequence)`: its pairs have probability 0.9, and `others` theirs."""

    def build(
        structure: str,
        sequence: str | None = None,
        *,
        p: float = 0.9,
        others: dict[tuple[int, int], float] | None = None,
        native: str | None = None,
    ) -> Subject:
        partner_L = from_dot_bracket(structure)
        probability_LL = np.zeros((len(structure), len(structure)), dtype=np.float32)
        for i in np.flatnonzero(partner_L >= 0):
            probability_LL[i, partner_L[i]] = p
        for (i, j), value in (others or {}).items():
            probability_LL[i, j] = probability_LL[j, i] = value
        return Subject(
            id="rna",
            sequence=sequence or _letters(partner_L),
            partner_L=partner_L,
            probability_LL=probability_LL,
            source="viennarna",
            native_L=None if native is None else from_dot_bracket(native),
            native_source="" if native is None else "native.dbn",
        )

    return build


def _letters(partner_L: np.ndarray) -> str:
    """G and C where a pair opens and closes, A elsewhere."""
    index = np.arange(len(partner_L))
    return "".join(np.where(partner_L < 0, "A", np.where(partner_L > index, "G", "C")))


TRNA = "(((((((..((((........)))).((((.........)))).....(((((.......))))))))))))...."
KNOT = ".(((((..[[[.))))).......]]]"


@pytest.fixture(params=[".", "....", "((....))", KNOT, TRNA, "." * 60, ".." + TRNA * 5 + "..."], ids=len)
def any_subject(request, subject) -> Subject:
    """From one nucleotide to 385, with pseudoknots and without pairs."""
    return subject(request.param)


def numbers_of(steps: str) -> list[float]:
    """The numbers in path data."""
    return [float(word) for word in re.findall(r"-?\d*\.?\d+", steps)]
