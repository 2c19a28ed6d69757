"""The folding backends by name, each with what it can use; one is imported when it is first asked to fold."""

from dataclasses import dataclass

from rna_predict.errors import ConfigError
from rna_predict.stage_a_adjacency.config import READOUTS, StageAConfig
from rna_predict.stage_a_adjacency.folding import Constraints, Fold, FoldFunction

REMEDIES = {
    "pairs": "pairs that must form; leave the given structure out, or give it with given_mode override",
    "unpaired": "residues that must stay unpaired; leave the given structure out, or give it with given_mode override",
    "bonus_LL": "pseudo-energies of pairs; leave out the given probabilities and the family",
    "reactivity_L": "reactivities; leave them out",
}
"""What each field of `Constraints` is, and how to go on without it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """One way to fold.

    Attributes:
        name: as in `StageAConfig.backend`.
        run: folds; called only with what `uses` and `readouts` name.
        uses: fields of `Constraints` that it respects.
        readouts: values of `StageAConfig.readout` that it knows.
    """

    name: str
    run: FoldFunction
    uses: frozenset[str]
    readouts: tuple[str, ...] = READOUTS

    def fold(self, sequence: str, config: StageAConfig, constraints: Constraints) -> Fold:
        """Fold one sequence.

        Raises:
            ConfigError: the readout, or something in the constraints, is not for this backend.
            PredictionError: nothing fits the constraints.
        """
        if config.readout not in self.readouts:
            raise ConfigError(
                f"stage_a.readout: {config.readout} is not for backend {self.name}. Use one of: "
                f"{', '.join(self.readouts)}."
            )
        for name in constraints.present:
            if name not in self.uses:
                raise ConfigError(
                    f"stage_a.backend: {self.name} cannot use {name} ({REMEDIES[name]}). Or use backend viennarna."
                )
        return self.run(sequence, config, constraints)


def _viennarna(sequence: str, config: StageAConfig, constraints: Constraints) -> Fold:
    from rna_predict.stage_a_adjacency import viennarna

    return viennarna.fold(sequence, config, constraints)


BACKENDS: dict[str, Backend] = {
    backend.name: backend
    for backend in (
        Backend(
            name="viennarna",
            run=_viennarna,
            uses=frozenset({"pairs", "unpaired", "bonus_LL", "reactivity_L"}),
        ),
    )
}
"""Folding backends by the name in `StageAConfig.backend`."""
