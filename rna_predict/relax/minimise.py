"""Minimise a molecule with OpenMM: hydrogens added, heavy atoms held near the prediction, an end to the time."""

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from rna_predict.chemistry.residues import P
from rna_predict.errors import ConfigError, PredictionError
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Minimised:
    """Where the minimiser ended.

    Attributes:
        nm_N3: heavy atoms of the topology, nanometres.
        energy_before: force field without restraints, kJ/mol, with hydrogens as they were added.
        energy_after: the same at the end.
        stopped: whether time or iterations ran out before the force was small.
    """

    nm_N3: np.ndarray
    energy_before: float
    energy_after: float
    stopped: bool


def openmm_version() -> str:
    """OpenMM's version.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        import openmm
    except ImportError as error:
        raise ConfigError(
            f"relax: OpenMM cannot be imported ({error}). Install it: pip install 'rna-predict[relax]'."
        ) from error
    return openmm.__version__


def minimise(molecule: Molecule, config: RelaxConfig, threads: int = 1) -> Minimised:
    """Minimise under restraints.

    Raises:
        PredictionError: the force field does not know the molecule, or its energy is no number.
    """
    import openmm
    from openmm import app
    from openmm.unit import md_unit_system, nanometer  # pyright: ignore[reportAttributeAccessIssue]

    files = [FORCE_FIELD, *([SOLVENT_FILES[config.solvent]] if config.solvent in SOLVENT_FILES else [])]
    platform = _platform(openmm, threads)
    try:
        modeller = app.Modeller(molecule.topology, molecule.nm_N3)
        with _repeatable():
            modeller.addHydrogens(app.ForceField(FORCE_FIELD), platform=platform)
        system = app.ForceField(*files).createSystem(
            modeller.topology,
            nonbondedMethod=app.CutoffNonPeriodic,  # pyright: ignore[reportArgumentType]
            nonbondedCutoff=config.cutoff * NM * nanometer,
        )
        heavy = [atom.index for atom in modeller.topology.atoms() if atom.element is not app.element.hydrogen]
        if config.solvent == "none":
            _without_charges(openmm, system)
        _restrain(openmm, system, heavy, molecule.nm_N3, config)
        _set_obstacles(openmm, system, modeller, molecule)
        for place in molecule.standing:
            system.setParticleMass(heavy[place], 0.0)  # the minimiser leaves it where it is
        context = openmm.Context(system, openmm.VerletIntegrator(0.001), platform)
        context.setPositions(modeller.positions)
        before = _energy(context)
        stopped = _run(openmm, context, config)
        state = context.getState(getPositions=True)
        after = _energy(context)
    except (openmm.OpenMMException, ValueError) as error:
        raise PredictionError(f"{molecule.structure.id}: OpenMM: {' '.join(str(error).split())[:300]}") from error
    nm_N3 = np.asarray(state.getPositions(asNumpy=True).value_in_unit_system(md_unit_system))[heavy]
    if not np.isfinite(nm_N3).all() or not np.isfinite(after):
        raise PredictionError(f"{molecule.structure.id}: OpenMM ended at an energy of {after} kJ/mol")
    return Minimised(nm_N3=nm_N3, energy_before=before, energy_after=after, stopped=stopped)


@contextmanager
def _repeatable() -> Iterator[None]:
    """OpenMM adds hydrogens at random places of Python's generator before it minimises them: the same each time."""
    state = random.getstate()
    random.seed(0)
    try:
        yield
    finally:
        random.setstate(state)


def _platform(openmm: Any, threads: int) -> Any:
    """The CPU: of the platforms that are always there the quick one.

    Whatever it starts from here on takes so many threads and adds forces up in the same order each time: also the
    context in which OpenMM places hydrogens, which takes no settings.
    """
    platform = openmm.Platform.getPlatformByName("CPU")
    for name, value in (("Threads", str(threads)), ("DeterministicForces", "true")):
        platform.setPropertyDefaultValue(name, value)
    return platform


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


def _energy(context: Any) -> float:
    from openmm.unit import md_unit_system

    state = context.getState(getEnergy=True, groups={FORCE_FIELD_GROUP})
    return float(state.getPotentialEnergy().value_in_unit_system(md_unit_system))


def _run(openmm: Any, context: Any, config: RelaxConfig) -> bool:
    """Whether the minimiser was stopped by time, or by the number of iterations."""
    end = time.monotonic() + config.seconds

    class Clock(openmm.MinimizationReporter):
        """Counts iterations and ends the minimisation when the time is up."""

        last, late = 0, False

        def report(self, iteration: int, x: Any, grad: Any, args: Any) -> bool:
            """True ends the minimisation."""
            self.last, self.late = iteration + 1, time.monotonic() > end
            return self.late

    clock = Clock()
    openmm.LocalEnergyMinimizer.minimize(context, config.tolerance, config.iterations, clock)
    return clock.late or clock.last >= config.iterations
