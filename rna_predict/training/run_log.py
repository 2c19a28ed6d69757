"""A run as it is recorded in tracking: it begins, or goes on under the same id, and says how it ended."""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rna_predict.nn.partial import PartialHeader
from rna_predict.training.config import TrainConfig
from rna_predict.training.tracking import Tracker, open_tracker


@dataclass(frozen=True, slots=True)
class RunLog:
    """One run in a tracking database.

    Metrics are stored whenever weights are: a run that is killed makes those behind its last state again.

    Attributes:
        tracker: of the database.
        run: id of the run, made of its name and its key, so that a resumed run is the same one.
    """

    tracker: Tracker
    run: str

    @classmethod
    def begin(cls, name: str, key: str, config: TrainConfig, base_sha256: str) -> "RunLog":
        """Open `trainer.tracking` and state that the run begins or goes on.

        Raises:
            InputError: the folder cannot be used, or the name is none.
            ContractError: the database is damaged.
            ConfigError: lancedb is not installed.
        """
        tracker = open_tracker(Path(config.trainer.tracking))
        settings = dataclasses.asdict(config)
        run = tracker.start_run(name, settings, config_key=key, base_sha256=base_sha256, run=f"{name}-{key[:8]}")
        return cls(tracker, run)

    def metrics(self, step: int, values: Mapping[str, float | None], split: str) -> None:
        """Numbers of a step; one that is not defined is kept as NaN."""
        known = {name: math.nan if value is None else value for name, value in values.items()}
        self.tracker.log_metrics(self.run, step, known, split)

    def checkpoint(self, tag: str, path: Path, header: PartialHeader) -> None:
        """A partial checkpoint that was written; what was measured before it is stored first."""
        self.tracker.flush()
        meta = {"tensors_sha256": header.sha256, "parameters": header.parameters, "base_sha256": header.base_sha256}
        self.tracker.log_checkpoint(self.run, tag, path, header.step, meta)

    def end(self, status: str) -> None:
        """`finished`, `stopped` or `failed`; the small files that many appends leave are merged."""
        self.tracker.end_run(self.run, status)
        self.tracker.optimize()
