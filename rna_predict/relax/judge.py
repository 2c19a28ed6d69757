"""Whether a relaxed model is worse than the prediction in anything that must not suffer."""

from collections.abc import Callable
from dataclasses import dataclass

from rna_predict.contracts import Structure
from rna_predict.evaluation.annotation import annotate_pairs
from rna_predict.evaluation.geometry_report import GeometryReport, geometry_report


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What is compared.

    Attributes:
        geometry: needs no native.
        pairs: canonical pairs, 0-based.
    """

    geometry: GeometryReport
    pairs: frozenset[tuple[int, int]]


def measure(structure: Structure) -> Measured:
    """Geometry and canonical pairs of a structure.

    Raises:
        InputError: its pairs cannot be annotated.
    """
    return Measured(geometry=geometry_report(structure), pairs=frozenset(annotate_pairs(structure).canonical))


def worsened(before: Measured, after: Measured) -> str:
    """What is worse in `after`, in words; "" where nothing is.

    Chain breaks, inverted sugar centres, pierced rings, clashes, bonds off by more than 0.06 Å, bases out of plane, and
    canonical pairs that are gone.
    """
    counts = {
        "chain breaks": _pair(before, after, lambda report: report.bonds.breaks),
        "inverted sugar centres": _pair(before, after, lambda report: report.inverted),
        "pierced rings": _pair(before, after, lambda report: report.pierced),
        "clashes": _pair(before, after, lambda report: report.clashes),
        "bonds off by 0.06 A": _pair(before, after, lambda report: report.bonds.bonds_over_006),
        "bases out of plane": _pair(before, after, lambda report: report.nonplanar),
    }
    found = [f"{name}: {was} before, {now} after" for name, (was, now) in counts.items() if now > was]
    lost = sorted(before.pairs - after.pairs)
    if lost:
        shown = ", ".join(f"{i + 1}-{j + 1}" for i, j in lost[:5])
        found.append(f"{len(lost)} of {len(before.pairs)} pairs lost ({shown})")
    return "; ".join(found)


def _pair(before: Measured, after: Measured, count: Callable[[GeometryReport], int]) -> tuple[int, int]:
    return count(before.geometry), count(after.geometry)
