"""The folding backends by name, each with what it can use; one is imported when it is first asked to fold."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field

from rna_predict.errors import ConfigError
from rna_predict.stage_a_adjacency.config import StageAConfig
from rna_predict.stage_a_adjacency.folding import Constraints, Fold, FoldFunction

REMEDIES = {
    "pairs": "pairs that must form; leave the given structure out, or give it with given_mode override",
    "unpaired": "residues that must stay unpaired; leave the given structure out, or give it with given_mode override",
    "bonus_LL": "pseudo-energies of pairs; leave out the given probabilities and the family",
    "reactivity_L": "reactivities; leave them out",
    "breaks": "several chains; predict each alone",
}
"""What each field of `Constraints` is, and how to go on without it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """One way to fold.

    Attributes:
        name: as in `StageAConfig.backend`.
        run: folds; called only with what `uses` and `readouts` name.
        uses: fields of `Constraints` that it respects.
        readouts: values of `StageAConfig.readout` that it knows; `auto` is the first.
        fixed: settings that it cannot change, with the only value that it takes.
    """

    name: str
    run: FoldFunction
    uses: frozenset[str]
    readouts: tuple[str, ...] = ("mea", "centroid", "mfe")
    fixed: Mapping[str, object] = field(default_factory=dict)

    def resolved(self, config: StageAConfig) -> StageAConfig:
        """The settings with this backend's own readout for `auto`."""
        return dataclasses.replace(config, readout=self.readouts[0]) if config.readout == "auto" else config

    def fold(self, sequence: str, config: StageAConfig, constraints: Constraints) -> Fold:
        """Fold one sequence.

        Raises:
            ConfigError: the readout, another setting, or something in the constraints is not for this backend.
            PredictionError: nothing fits the constraints.
        """
        config = self.resolved(config)
        if config.readout not in self.readouts:
            raise ConfigError(
                f"stage_a.readout: {config.readout} is not for backend {self.name}. Use one of: "
                f"{', '.join(self.readouts)}."
            )
        for name, value in self.fixed.items():
            if getattr(config, name) != value:
                raise ConfigError(
                    f"stage_a.{name}: {getattr(config, name)} is not for backend {self.name}, which knows {value} only."
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


def _linearpartition(sequence: str, config: StageAConfig, constraints: Constraints) -> Fold:
    from rna_predict.stage_a_adjacency import linearpartition

    return linearpartition.fold(sequence, config, constraints)


def _mxfold2(sequence: str, config: StageAConfig, constraints: Constraints) -> Fold:
    from rna_predict.stage_a_adjacency import mxfold2

    return mxfold2.fold(sequence, config, constraints)


def _rfold(sequence: str, config: StageAConfig, constraints: Constraints) -> Fold:
    from rna_predict.stage_a_adjacency import rfold

    return rfold.fold_rfold(sequence, config, constraints)


def _ensemble(sequence: str, config: StageAConfig, constraints: Constraints) -> Fold:
    from rna_predict.stage_a_adjacency import rfold

    return rfold.fold_ensemble(sequence, config, constraints)


NOT_OURS = {"temperature_celsius": 37.0, "lonely_pairs": True, "max_pair_span": 0, "energy_parameters": "turner2004"}
"""Settings of ViennaRNA's energy model, at their defaults."""

BACKENDS: dict[str, Backend] = {
    backend.name: backend
    for backend in (
        Backend(
            name="viennarna",
            run=_viennarna,
            uses=frozenset({"pairs", "unpaired", "bonus_LL", "reactivity_L", "breaks"}),
        ),
        Backend(
            name="ensemble",
            run=_ensemble,
            uses=frozenset({"pairs", "unpaired", "bonus_LL", "reactivity_L", "breaks"}),
        ),
        Backend(
            name="rfold",
            run=_rfold,
            uses=frozenset({"pairs", "unpaired", "bonus_LL", "breaks"}),
            readouts=("rooks", "mea", "centroid"),
            fixed=NOT_OURS,
        ),
        Backend(
            name="linearpartition",
            run=_linearpartition,
            uses=frozenset(),
            readouts=("mea", "centroid"),
            fixed=NOT_OURS,
        ),
        Backend(name="mxfold2", run=_mxfold2, uses=frozenset(), readouts=("mfe",), fixed=NOT_OURS),
    )
}
"""Folding backends by the name in `StageAConfig.backend`."""
