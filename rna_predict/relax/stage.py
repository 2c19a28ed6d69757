"""Relax one structure: minimise, judge, and hand back the result or the prediction as it was."""

import time
from dataclasses import dataclass

import numpy as np

from rna_predict.contracts import Structure
from rna_predict.errors import InputError, PredictionError
from rna_predict.relax.config import RelaxConfig
from rna_predict.relax.judge import Measured, measure, worsened
from rna_predict.relax.minimise import Minimised, minimise, openmm_version
from rna_predict.relax.molecule import molecule_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Relaxed:
    """What became of a structure.

    Attributes:
        structure: the relaxed one, or the very structure that was given.
        kept: why the given one was kept; "" where it was not.
        how: what was done, in ASCII words, for the log, the provenance and PDB's remarks.
        before: geometry and pairs of the given one; None where it could not even be read as a molecule.
        after: of what the minimiser made, kept or not; None where it made nothing.
        moved: root mean square shift of the heavy atoms in what the minimiser made, Å.
        energies: kJ/mol of the force field before and after.
        seconds: of all of it.
    """

    structure: Structure
    kept: str
    how: str
    before: Measured | None = None
    after: Measured | None = None
    moved: float | None = None
    energies: tuple[float, float] | None = None
    seconds: float = 0.0


def relax(structure: Structure, config: RelaxConfig, threads: int = 1) -> Relaxed:
    """Relax a structure; never worse than it was.

    The given structure is handed back where anything that `judge.worsened` counts is worse, where atoms are missing, or
    where OpenMM fails; `kept` says why. A relax repairs neither inverted centres nor pierced rings.

    Args:
        structure: one whole RNA, or strands of it.
        config: settings.
        threads: of OpenMM.

    Raises:
        ConfigError: OpenMM is not installed.
    """
    version = openmm_version()
    start = time.perf_counter()
    how = f"AMBER OL3, {_solvent(config)}, restraints of {config.stiffness:g} kcal/mol/A^2 (OpenMM {version})"
    before = None
    try:
        before = measure(structure)
        molecule = molecule_of(structure)
        found = minimise(molecule, config, threads)
        moved = molecule.with_positions(found.nm_N3)
        after = measure(moved)
    except (InputError, PredictionError) as error:
        reason = str(error).encode("ascii", "replace").decode()
        return Relaxed(structure=structure, kept=reason, how=f"not relaxed: {reason}", before=before)
    kept = worsened(before, after)
    shift = float(np.sqrt(((moved.xyz_LA3 - structure.xyz_LA3)[structure.mask_LA] ** 2).sum(axis=-1).mean()))
    return Relaxed(
        structure=structure if kept else moved,
        kept=kept,
        how=f"not relaxed, as it would be worse: {kept}" if kept else f"relaxed by {shift:.2f} A: {how}{_end(found)}",
        before=before,
        after=after,
        moved=shift,
        energies=(found.energy_before, found.energy_after),
        seconds=time.perf_counter() - start,
    )


def _solvent(config: RelaxConfig) -> str:
    words = {"none": "no charges", "vacuum": "vacuum"}
    return words.get(config.solvent, config.solvent.upper())


def _end(found: Minimised) -> str:
    return ", not to its end" if found.stopped else ""
