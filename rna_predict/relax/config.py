"""How a model is relaxed."""

from dataclasses import dataclass

from rna_predict.errors import ConfigError

SOLVENTS = ("none", "vacuum", "obc2", "gbn2")
"""`none` has no charges at all: bonds, angles, torsions and Lennard-Jones alone. `vacuum` has charges and no water.
`obc2` and `gbn2` are OpenMM's generalised Born models, the second being slow without a cut-off."""


@dataclass(kw_only=True)
class RelaxConfig:
    """Settings of the minimisation."""

    solvent: str = "obc2"
    """Implicit solvent, one of `SOLVENTS`."""
    stiffness: float = 5.0
    """Of the harmonic restraint that holds each heavy atom at its place in the prediction, kcal/mol/Å²."""
    cutoff: float = 12.0
    """Å beyond which atoms do not see each other."""
    tolerance: float = 10.0
    """Root mean square force at which the minimiser is done, kJ/mol/nm."""
    iterations: int = 300
    """Most iterations of the minimiser."""
    seconds: float = 120.0
    """Most time of the minimiser; it stops where it is then."""

    def __post_init__(self) -> None:
        """Raise ConfigError for an unknown solvent or a number out of range."""
        if self.solvent not in SOLVENTS:
            raise ConfigError(f"relax.solvent: {self.solvent!r} is not one of {', '.join(SOLVENTS)}")
        for name in ("stiffness", "cutoff", "tolerance", "iterations", "seconds"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"relax.{name}: {getattr(self, name)} must be above 0")
