"""One model as numbers for the page: atoms, confidence, torsions, base pairs, contacts, and what is wrong with it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.spatial import KDTree

from rna_predict.chemistry.residues import C4, O3, P
from rna_predict.chemistry.torsions import TORSIONS
from rna_predict.contracts import Model, RnaSequence, Structure
from rna_predict.contracts.structure import full_mask, whole_structure
from rna_predict.evaluation.annotation import Annotation, annotate_pairs, share_formed
from rna_predict.evaluation.bond_geometry import BREAK_TOLERANCE, LINK_LENGTH
from rna_predict.evaluation.clashes import find_clashes
from rna_predict.evaluation.geometry_report import MAX_CLASH_SCORE, GeometryReport, geometry_report
from rna_predict.evaluation.superposition import fit
from rna_predict.formats.models import mean_plddt, residue_plddt
from rna_predict.geometry.numpy_measures import measure_pucker, measure_torsions

CONTACT = 5.0
"""Å between the nearest heavy atoms of two residues in contact."""

APART = 4
"""Residues in contact are at least so far apart in the sequence."""

PAE_SIDE = 200
"""Cells along a side of the PAE map; with more residues a cell is the mean of several."""

CLASHES_SHOWN = 100

MAX_BOND_OFF = 0.06  # Å, the project's limit for a last model


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A model with everything that is measured on it.

    Attributes:
        rank: 1 for the best.
        model: coordinates and confidence.
        structure: the same atoms.
        pairs: base pairs by their coordinates.
        report: geometry.
        formed: share of stage A's pairs that it forms; None where stage A has none.
    """

    rank: int
    model: Model
    structure: Structure
    pairs: Annotation
    report: GeometryReport
    formed: float | None

    @property
    def plddt(self) -> float:
        """Mean over all atoms."""
        return mean_plddt(self.structure.sequence, self.model.plddt_LA)


def measure(rna: RnaSequence, model: Model, rank: int, wanted: list[tuple[int, int]]) -> Measured:
    """Measure a model.

    Args:
        rna: letters and chains.
        model: the model.
        rank: 1 for the best.
        wanted: stage A's pairs.

    Raises:
        InputError: its base pairs cannot be annotated.
    """
    structure = whole_structure(f"model {rank}", rna.sequence, model.xyz_LA3, rna.breaks)
    pairs = annotate_pairs(structure)
    return Measured(
        rank=rank,
        model=model,
        structure=structure,
        pairs=pairs,
        report=geometry_report(structure),
        formed=share_formed(pairs, wanted),
    )


def model_details(measured: Measured, best: Structure) -> dict[str, Any]:
    """What the page holds of a model, as JSON values.

    `xyz` are thousandths of Å and `b` hundredths of pLDDT, each as the difference to the value before it: atom after
    atom of the chain, x, y and z in turn. `onto` is the rigid motion [R | t] that lays it on the best model by
    C4', with the longest axis of that across the screen and the shortest toward the reader.
    `pae` is in tenths of Å, row by row. `torsions` are degrees [8][L], the sugar's phase last, null where undefined.

    Args:
        measured: the model.
        best: what it is laid on.
    """
    model, structure = measured.model, measured.structure
    mask_LA = structure.mask_LA
    xyz_N3 = np.rint(structure.xyz_LA3[mask_LA] * 1000).astype(int)
    b_N = np.rint(model.plddt_LA.astype(np.float64)[mask_LA] * 100).astype(int)
    pae_SS, width = averaged(model.pae_LL.astype(np.float64))
    return {
        "rank": measured.rank,
        "seed": int(model.seed),
        "score": round(float(model.ranking_score), 4),
        "ptm": round(float(model.ptm), 3),
        "plddt": round(measured.plddt, 2),
        "residue_plddt": [round(float(value), 1) for value in residue_plddt(structure.sequence, model.plddt_LA)],
        "xyz": np.diff(xyz_N3, axis=0, prepend=0).reshape(-1).tolist(),
        "b": np.diff(b_N, prepend=0).tolist(),
        "onto": [round(float(value), 6) for value in _onto(structure, best)],
        "pae": np.rint(pae_SS * 10).astype(int).reshape(-1).tolist(),
        "pae_width": width,
        "torsions": _torsions(structure),
        "canonical": [list(pair) for pair in measured.pairs.canonical],
        "other_pairs": [list(pair) for pair in measured.pairs.non_canonical],
        "contacts": contacts(structure).reshape(-1).tolist(),
        "checks": checks(measured),
        "clashes": _clashes(structure),
        "breaks": broken_links(structure),
    }


def averaged(values_LL: np.ndarray) -> tuple[np.ndarray, int]:
    """A matrix with at most `PAE_SIDE` cells a side, and how many residues a cell is the mean of."""
    length = len(values_LL)
    width = -(-length // PAE_SIDE)
    if width == 1:
        return values_LL, 1
    edges = np.arange(0, length, width)
    sums = np.add.reduceat(np.add.reduceat(values_LL, edges, axis=0), edges, axis=1)
    counts = np.diff(np.append(edges, length))
    return sums / np.outer(counts, counts), width


def contacts(structure: Structure) -> np.ndarray:
    """Pairs of residues [N, 2], i < j, at least `APART` apart, with heavy atoms within `CONTACT`."""
    residue_N = np.nonzero(structure.mask_LA)[0]
    near_P2 = KDTree(structure.xyz_LA3[structure.mask_LA]).query_pairs(CONTACT, output_type="ndarray")
    pairs_P2 = np.unique(np.sort(residue_N[near_P2], axis=1), axis=0)
    return pairs_P2[pairs_P2[:, 1] - pairs_P2[:, 0] >= APART]


def broken_links(structure: Structure) -> list[int]:
    """0-based residues whose O3' is not bound to the P of the next one of the chain."""
    xyz = structure.xyz_LA3
    off = np.abs(np.linalg.norm(xyz[:-1, O3] - xyz[1:, P], axis=-1) - LINK_LENGTH)
    return [int(index) for index in np.flatnonzero((off > BREAK_TOLERANCE) & structure.linked_L)]


def checks(measured: Measured) -> list[dict[str, Any]]:
    """Lines of the table of checks: name, found, asked for, and whether it is so (None: nothing is asked for)."""
    report, bonds = measured.report, measured.report.bonds
    score = report.clash_score or 0.0
    angles = 100 * bonds.angle_outliers / max(bonds.angles, 1)
    formed = measured.formed
    return [
        _check("Chain breaks", f"{bonds.breaks} of {bonds.links}", "0", bonds.breaks == 0),
        _check(
            "Clash score (clashes)",
            f"{score:.1f} ({report.clashes})",
            f"≤ {MAX_CLASH_SCORE:g} in 1,000",
            score <= MAX_CLASH_SCORE,
        ),
        _check(
            "Largest bond error",
            f"{bonds.bond_max or 0.0:.3f} Å",
            f"≤ {MAX_BOND_OFF} Å",
            (bonds.bond_max or 0.0) <= MAX_BOND_OFF,
        ),
        _check("Angles > 5° off", f"{bonds.angle_outliers} ({angles:.1f} %)", "", None),
        _check("Inverted sugars", str(report.inverted), "0", report.inverted == 0),
        _check("Pierced rings", str(report.pierced), "0", report.pierced == 0),
        _check("Bent bases", str(report.nonplanar), "0", report.nonplanar == 0),
        _check("Pairs of A formed", "no pairs" if formed is None else f"{100 * formed:.0f} %", "", None),
    ]


def _check(name: str, found: str, wanted: str, good: bool | None) -> dict[str, Any]:
    return {"name": name, "found": found, "wanted": wanted, "good": good}


def _torsions(structure: Structure) -> list[list[int | None]]:
    angle_LT, mask_LT = measure_torsions(structure.xyz_LA3, structure.mask_LA, structure.sequence, structure.linked_L)
    phase_L, _, ring_L = measure_pucker(structure.xyz_LA3, structure.mask_LA, structure.sequence)
    degrees_LT = np.rint(np.degrees(np.column_stack([angle_LT, phase_L]))).astype(int) % 360
    known_LT = np.column_stack([mask_LT, ring_L])
    return [
        [int(value) if known else None for value, known in zip(degrees_LT[:, k], known_LT[:, k], strict=True)]
        for k in range(len(TORSIONS) + 1)
    ]


def _clashes(structure: Structure) -> list[list[int]]:
    """The first of them as numbers of atoms along the chain."""
    count = np.cumsum(full_mask(structure.sequence).reshape(-1)) - 1
    found = find_clashes(structure)[:CLASHES_SHOWN]
    return [[int(count[i]), int(count[j])] for i, j in found]


def _onto(structure: Structure, best: Structure) -> np.ndarray:
    """R (row by row) and t, 12 numbers; of an RNA too short to have axes only a shift to the middle."""
    moving, fixed = structure.xyz_LA3[:, C4], best.xyz_LA3[:, C4]
    middle = fixed.mean(axis=0)
    if len(moving) < 3:
        return np.append(np.eye(3).reshape(-1), -middle)
    _, _, axes = np.linalg.svd(fixed - middle)
    axes[0] *= 1 if axes[0] @ (fixed[-1] - fixed[0]) >= 0 else -1  # the 5' end at the left
    axes[2] *= np.linalg.det(axes)
    rotation_F33, shift_F3 = fit(moving, fixed, np.ones((1, len(moving))))
    return np.append((axes @ rotation_F33[0]).reshape(-1), axes @ (shift_F3[0] - middle))
