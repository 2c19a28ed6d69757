"""The force field on a molecule: OL3, implicit water or none, restraints, and 5' phosphates as obstacles."""

from typing import Any

import numpy as np

from rna_predict.chemistry.residues import P
from rna_predict.relax.config import RelaxConfig
from rna_predict.relax.molecule import NM, Molecule

FORCE_FIELD = "amber14/RNA.OL3.xml"
"""Parm10 with χOL3 (Zgarbová et al. 2011) and ff99bsc0 (Pérez et al. 2007), as OpenMM carries it."""

SOLVENT_FILES = {"obc2": "implicit/obc2.xml", "gbn2": "implicit/gbn2.xml"}

KJ_PER_NM2 = 418.4
"""Of a stiffness of 1 kcal/mol/Å²."""

LENNARD_JONES = {True: (0.374177, 0.8368), False: (0.295992, 0.87864)}
"""Of phosphorus and of its free oxygens (O2): σ in nm and ε in kJ/mol, parm10."""

NEAR = 1.2
"""Nanometres from a 5' phosphate up to which atoms feel it."""

FORCE_FIELD_GROUP, RESTRAINT_GROUP = 0, 1


def heavy_atoms(modeller: Any) -> list[int]:
    """Indices of the atoms that are no hydrogens, in the order of the molecule's own topology."""
    from openmm.app import element

    return [atom.index for atom in modeller.topology.atoms() if atom.element is not element.hydrogen]


def system_of(molecule: Molecule, modeller: Any, solvent: str, config: RelaxConfig) -> Any:
    """An OpenMM system.

    Args:
        molecule: gives the places of the restraints.
        modeller: its atoms with hydrogens.
        solvent: one of `config.SOLVENTS`.
        config: stiffness and cut-off.

    Raises:
        ValueError: OpenMM does not know a residue.
    """
    import openmm
    from openmm import app
    from openmm.unit import nanometer  # pyright: ignore[reportAttributeAccessIssue]

    files = [FORCE_FIELD, *([SOLVENT_FILES[solvent]] if solvent in SOLVENT_FILES else [])]
    system = app.ForceField(*files).createSystem(
        modeller.topology,
        nonbondedMethod=app.CutoffNonPeriodic,  # pyright: ignore[reportArgumentType]
        nonbondedCutoff=config.cutoff * NM * nanometer,
    )
    heavy = heavy_atoms(modeller)
    if solvent == "none":
        _without_charges(openmm, system)
    _restrain(openmm, system, heavy, molecule.nm_N3, config)
    _set_obstacles(openmm, system, modeller, molecule)
    for place in molecule.standing:
        system.setParticleMass(heavy[place], 0.0)  # the minimiser leaves it where it is
    return system


def _without_charges(openmm: Any, system: Any) -> None:
    """Set every charge, and those of the 1-4 exceptions, to 0."""
    for force in system.getForces():
        if isinstance(force, openmm.NonbondedForce):
            for n in range(force.getNumParticles()):
                _, sigma, epsilon = force.getParticleParameters(n)
                force.setParticleParameters(n, 0.0, sigma, epsilon)
            for n in range(force.getNumExceptions()):
                one, other, _, sigma, epsilon = force.getExceptionParameters(n)
                force.setExceptionParameters(n, one, other, 0.0, sigma, epsilon)


def _restrain(openmm: Any, system: Any, heavy: list[int], nm_N3: np.ndarray, config: RelaxConfig) -> None:
    """A spring from each heavy atom to its place in the prediction."""
    force = openmm.CustomExternalForce("0.5*k*((x-x0)^2+(y-y0)^2+(z-z0)^2)")
    force.addGlobalParameter("k", config.stiffness * KJ_PER_NM2)
    for name in ("x0", "y0", "z0"):
        force.addPerParticleParameter(name)
    for index, place in zip(heavy, nm_N3.tolist(), strict=True):
        force.addParticle(index, place)
    force.setForceGroup(RESTRAINT_GROUP)
    system.addForce(force)


def _set_obstacles(openmm: Any, system: Any, modeller: Any, molecule: Molecule) -> None:
    """The 5' phosphates outside, as Lennard-Jones spheres that stand still; their own residue does not feel them."""
    from openmm.unit import md_unit_system

    nonbonded = next(force for force in system.getForces() if isinstance(force, openmm.NonbondedForce))
    at_N3 = np.array(modeller.getPositions().value_in_unit_system(md_unit_system))
    residue_N = np.array([atom.residue.index for atom in modeller.topology.atoms()])
    force = openmm.CustomExternalForce("4*e*((s/r)^12-(s/r)^6); r=sqrt((x-px)^2+(y-py)^2+(z-pz)^2)")
    for name in ("px", "py", "pz", "s", "e"):
        force.addPerParticleParameter(name)
    for residue, slot in molecule.outside:
        place = molecule.structure.xyz_LA3[residue, slot] * NM
        sigma, epsilon = LENNARD_JONES[slot == P]
        near_N = (np.linalg.norm(at_N3 - place, axis=-1) < NEAR) & (residue_N != residue)
        for index in np.flatnonzero(near_N).tolist():
            _, own_sigma, own_epsilon = (
                value.value_in_unit_system(md_unit_system) for value in nonbonded.getParticleParameters(index)
            )
            if own_epsilon > 0:
                mixed = ((sigma + own_sigma) / 2, float(np.sqrt(epsilon * own_epsilon)))
                force.addParticle(index, [*place.tolist(), *mixed])
    force.setForceGroup(RESTRAINT_GROUP)
    system.addForce(force)
