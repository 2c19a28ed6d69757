"""An ensemble's two files together: write them, read them back as one Ensemble, export the best model."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rna_predict.contracts import Ensemble, Model, RnaSequence, digest_of
from rna_predict.errors import ContractError
from rna_predict.formats.confidence import Confidence, read_confidence_json, write_confidence_json
from rna_predict.formats.model_cif import (
    AGAIN,
    mean_plddt,
    read_atom_table,
    read_models_cif,
    residue_plddt,
    write_best_cif,
    write_models_cif,
)
from rna_predict.formats.pdb import KEPT, write_pdb

__all__ = [
    "Confidence",
    "export_best",
    "mean_plddt",
    "read_confidence_json",
    "read_ensemble",
    "read_models_cif",
    "residue_plddt",
    "write_best_cif",
    "write_best_pdb",
    "write_confidence_json",
    "write_ensemble",
    "write_models_cif",
]


def write_ensemble(ensemble: Ensemble, models_cif: Path, confidence_json: Path) -> None:
    """Write the models, then the confidence that names their sha256; a crash between the two is noticed on reading."""
    write_models_cif(ensemble, models_cif)
    write_confidence_json(ensemble, confidence_json, models_cif)


def read_ensemble(models_cif: Path, confidence_json: Path, sequence: RnaSequence | None = None) -> Ensemble:
    """Read both files and check that they belong together, to this code's schema and, where given, to `sequence`.

    Coordinates come back with three decimals, pLDDT, PAE and PDE with two.

    Raises:
        ContractError: a file is missing, damaged, foreign, stale or of another RNA; names stage_d.
    """
    confidence = read_confidence_json(confidence_json, sequence)
    if not models_cif.is_file():
        raise ContractError(f"{models_cif}: no such file. {AGAIN}")
    if digest_of(models_cif) != confidence.models_sha256:
        raise ContractError(
            f"{models_cif}: is not the file that {confidence_json} was written for (sha256 differs). {AGAIN}"
        )
    rna, xyz_MLA3, b_MLA = read_atom_table(models_cif)
    if (rna, len(xyz_MLA3)) != (confidence.rna, len(confidence.models)):
        raise ContractError(
            f"{models_cif}: holds {len(xyz_MLA3)} models of {rna.id}, {confidence_json} {len(confidence.models)} of "
            f"{confidence.id}. {AGAIN}"
        )
    if any(np.abs(b - m.plddt_LA).max() > 0.006 for b, m in zip(b_MLA, confidence.models, strict=True)):
        raise ContractError(f"{models_cif}: B-factors differ from the pLDDT in {confidence_json}. {AGAIN}")
    try:
        return _ensemble(confidence, xyz_MLA3)
    except ContractError as error:
        raise ContractError(f"{confidence_json}: {error}. {AGAIN}") from error


def _ensemble(confidence: Confidence, xyz_MLA3: np.ndarray) -> Ensemble:
    models = tuple(
        Model(
            xyz_LA3=xyz_LA3.astype(np.float32),
            plddt_LA=entry.plddt_LA,
            pae_LL=entry.pae_LL,
            pde_LL=entry.pde_LL,
            ptm=entry.ptm,
            ranking_score=entry.ranking_score,
            seed=entry.seed,
            terms=entry.terms,
        )
        for entry, xyz_LA3 in zip(confidence.models, xyz_MLA3, strict=True)
    )
    return Ensemble(
        id=confidence.id,
        sequence=confidence.sequence,
        breaks=confidence.breaks,
        provenance=confidence.provenance,
        confidence_kind=confidence.confidence_kind,
        models=models,
    )


def write_best_pdb(ensemble: Ensemble, path: Path, remarks: Sequence[str] = ()) -> None:
    """Write the best model as PDB, pLDDT in the B-factor column, what it is in REMARK lines, then further `remarks`."""
    best = ensemble.models[0]
    provenance = ensemble.provenance
    lines = (
        f"rna_predict {provenance.package_version}",
        f"method {_kept_together(provenance.method, provenance.partial)}",
        f"{ensemble.id}: rank 1 of {len(ensemble.models)}, seed {best.seed}",
        f"B-factor column: pLDDT per atom, 0-100, {ensemble.confidence_kind}{', UNTRAINED' * provenance.untrained}",
        f"mean pLDDT {mean_plddt(ensemble.sequence, best.plddt_LA):.2f}, pTM {best.ptm:.3f}",
        *remarks,
    )
    write_pdb(ensemble.structure(0), path, best.plddt_LA, remarks=lines)


def _kept_together(text: str, part: str) -> str:
    """The text with a part of it, if it has one, that no line ends in."""
    return text.replace(part, part.replace(" ", KEPT)) if part else text


def export_best(ensemble: Ensemble, pdb_out: Path, cif_out: Path) -> None:
    """Write the best model as PDB and mmCIF, replacing what is there; the two agree atom for atom.

    Raises:
        InputError: the model does not fit PDB's columns; then nothing is written.
    """
    write_best_pdb(ensemble, pdb_out)
    write_best_cif(ensemble, cif_out)
