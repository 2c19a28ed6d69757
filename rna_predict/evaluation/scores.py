"""All measures of one model against its native."""

from dataclasses import dataclass

from rna_predict.chemistry.residues import C1, C3
from rna_predict.contracts import Structure
from rna_predict.evaluation.correspondence import common, shared_atoms
from rna_predict.evaluation.geometry_report import GeometryReport, geometry_report
from rna_predict.evaluation.interactions import compare_interactions, deformation_index
from rna_predict.evaluation.lddt import lddt
from rna_predict.evaluation.mcq import mcq
from rna_predict.evaluation.superposition import rmsd
from rna_predict.evaluation.tm_score import tm_score

FEWEST_POINTS = 3
"""A superposition of fewer points is not unique."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Measures of a model; None where a measure is undefined, never a number that stands for it.

    Attributes:
        id: name of the model.
        native_length: residues of the native (those with coordinates).
        residues_missing: residues of the native that the model lacks.
        atoms_compared: heavy atoms that both have.
        atoms_missing: heavy atoms of the native that the model lacks.
        notice: how residues were matched when not by number, else None.
        tm_c3: TM-score on C3', 0-1.
        tm_c1: TM-score on C1'.
        rmsd: Å, all heavy atoms.
        lddt: 0-1, all heavy atoms.
        inf_wc: interaction network fidelity of canonical pairs; None where neither has one.
        inf_nwc: of all other pairs.
        inf_stacking: of stackings.
        inf_all: of all interactions together.
        di: deformation index RMSD / INF(all), Å.
        pair_f1: F1 of the model's canonical pairs.
        bases_left_out: residues left out of INF and F1 because the native shows no whole base.
        mcq: degrees.
        torsions_left_out: torsions that the native does not define.
        geometry: what needs no native.
    """

    id: str
    native_length: int
    residues_missing: int
    atoms_compared: int
    atoms_missing: int
    notice: str | None
    tm_c3: float | None
    tm_c1: float | None
    rmsd: float | None
    lddt: float | None
    inf_wc: float | None
    inf_nwc: float | None
    inf_stacking: float | None
    inf_all: float | None
    di: float | None
    pair_f1: float | None
    bases_left_out: int
    mcq: float | None
    torsions_left_out: int
    geometry: GeometryReport


def score(model: Structure, native: Structure) -> Scores:
    """Score a model.

    Raises:
        InputError: the sequences contradict each other, or bases are collapsed so that pairs cannot be annotated.
    """
    match = common(model, native)
    atoms = shared_atoms(model, native, match)
    enough_A = atoms.mask_LA.sum(axis=0) >= FEWEST_POINTS
    compared = int(atoms.mask_LA.sum())
    deviation = rmsd(atoms) if compared >= FEWEST_POINTS else None
    interactions = compare_interactions(model, native, match)
    torsions = mcq(model, native, match)
    inf_all = interactions.all.inf
    return Scores(
        id=model.id,
        native_length=native.length,
        residues_missing=match.missing,
        atoms_compared=compared,
        atoms_missing=int(atoms.native_mask_LA.sum()) - compared,
        notice=match.notice,
        tm_c3=tm_score(atoms, "C3'") if enough_A[C3] else None,
        tm_c1=tm_score(atoms, "C1'") if enough_A[C1] else None,
        rmsd=deviation,
        lddt=lddt(atoms).value,
        inf_wc=interactions.wc.inf,
        inf_nwc=interactions.nwc.inf,
        inf_stacking=interactions.stacking.inf,
        inf_all=inf_all,
        di=None if deviation is None else deformation_index(deviation, inf_all),
        pair_f1=interactions.wc.f1,
        bases_left_out=interactions.left_out,
        mcq=torsions.value,
        torsions_left_out=torsions.left_out,
        geometry=geometry_report(model),
    )
