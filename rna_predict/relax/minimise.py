"""Minimise a molecule with OpenMM: hydrogens added, heavy atoms held near the prediction, an end to the time."""

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from rna_predict.errors import ConfigError, PredictionError
from rna_predict.relax.config import RelaxConfig
from rna_predict.relax.forces import FORCE_FIELD, FORCE_FIELD_GROUP, heavy_atoms, system_of
from rna_predict.relax.molecule import Molecule


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
    """Minimise under restraints: first without charges, which no start is too rough for, then in the solvent.

    Raises:
        PredictionError: the force field does not know the molecule, or its energy is no number.
    """
    import openmm
    from openmm import app
    from openmm.unit import md_unit_system

    platform = _platform(openmm, threads)
    end = time.monotonic() + config.seconds
    try:
        modeller = app.Modeller(molecule.topology, molecule.nm_N3)
        with _repeatable():
            modeller.addHydrogens(app.ForceField(FORCE_FIELD), platform=platform)
        contexts = []
        for solvent in dict.fromkeys(("none", config.solvent)):
            system = system_of(molecule, modeller, solvent, config)
            contexts.append(openmm.Context(system, openmm.VerletIntegrator(0.001), platform))
        contexts[-1].setPositions(modeller.positions)
        before, stopped = _energy(contexts[-1]), False
        positions: Any = modeller.positions
        for context in contexts:
            context.setPositions(positions)
            stopped = _run(openmm, context, config, end)
            positions = context.getState(getPositions=True).getPositions(asNumpy=True)
        after = _energy(contexts[-1])
    except (openmm.OpenMMException, ValueError) as error:
        raise PredictionError(f"{molecule.structure.id}: OpenMM: {' '.join(str(error).split())[:300]}") from error
    nm_N3 = np.asarray(positions.value_in_unit_system(md_unit_system))[heavy_atoms(modeller)]
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


def _energy(context: Any) -> float:
    from openmm.unit import md_unit_system

    state = context.getState(getEnergy=True, groups={FORCE_FIELD_GROUP})
    return float(state.getPotentialEnergy().value_in_unit_system(md_unit_system))


def _run(openmm: Any, context: Any, config: RelaxConfig, end: float) -> bool:
    """Whether the minimiser was stopped by time, or by the number of iterations."""

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
