"""Tracking of training runs: runs, metrics, checkpoints, embeddings and predictions in one folder of LanceDB tables.

Any number of processes may write to a folder at once, from its first moment on. Rows are only ever added; what a
resumed run says again counts once, with its newest value. When `flush` has returned, everything handed over before is
stored whole, whatever happens to this or another process afterwards (a power cut of the machine excepted: lancedb
leaves it to the system when files reach the disk).
"""

import os
import re
import secrets
import socket
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from rna_predict import __version__
from rna_predict.contracts import Ensemble, RnaSequence, digest_of
from rna_predict.errors import ContractError, InputError
from rna_predict.training.tracking_read import TrackingReader
from rna_predict.training.tracking_rows import (
    EMBEDDINGS,
    STATUSES,
    Checkpoint,
    Metric,
    Prediction,
    Residue,
    Run,
    as_table,
    json_text,
    vector_table,
)
from rna_predict.training.tracking_store import create_folder

if TYPE_CHECKING:
    import pyarrow as pa

BUFFER_ROWS = 4096
"""Rows of a table that are kept back at most; with more it is written without waiting for `flush`."""

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
"""What ids of runs look like."""


def open_tracker(folder: Path) -> "Tracker":
    """The tracker of a folder, which is made where it does not exist.

    Raises:
        InputError: the folder holds something else, or cannot be written to.
        ContractError: it is of another version.
        ConfigError: lancedb is not installed.
    """
    create_folder(folder)
    return Tracker(folder)


class Tracker(TrackingReader):
    """Writes facts, and reads those that are stored. For one thread; leaving the `with` block flushes.

    Every method that writes may raise InputError, when the disk is full for one, and ContractError, when a table is
    damaged. Rows that could not be written are kept for the next `flush`.
    """

    def __init__(self, folder: Path) -> None:
        """Open a folder that `open_tracker` made; errors as there."""
        super().__init__(folder)
        self._runs: dict[str, Run] = {}
        self._metrics: list[Metric] = []
        self._predictions: list[Prediction] = []
        self._vectors: dict[str, list[pa.Table]] = {}
        self._last = datetime.fromtimestamp(0, UTC)

    def __enter__(self) -> "Tracker":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.flush()

    def start_run(
        self, name: str, config: Mapping[str, Any], config_key: str = "", base_sha256: str = "none", run: str = ""
    ) -> str:
        """State that a run begins, or goes on; stored when this returns.

        Args:
            name: for people; need not be unique.
            config: settings, as JSON knows them.
            config_key: sha256 of what decides the settings.
            base_sha256: of the weights that training starts from.
            run: id; without it a new one is made. An id that is known resumes its run.

        Returns:
            The run's id.

        Raises:
            InputError: an id that is none.
        """
        run = run or f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
        if not NAME.fullmatch(run):
            raise InputError(f"run {run[:100]!r}: must match {NAME.pattern}. Name the run otherwise.")
        earlier = self._rows("runs", Run, run=run)
        self._follow(run)
        now = self._now()
        state = Run(
            run=run,
            name=name,
            status="running",
            started=earlier[0].started if earlier else now,
            config=json_text(config, f"config of run {run}"),
            config_key=config_key,
            package_version=__version__,
            base_sha256=base_sha256,
            host=socket.gethostname(),
            pid=os.getpid(),
            time=now,
        )
        self._store.append("runs", as_table("runs", [state]))
        self._runs[run] = state
        return run

    def end_run(self, run: str, status: str) -> None:
        """State how a run ended, after what it logged is stored.

        Args:
            run: one that this tracker started.
            status: `finished`, `stopped` or `failed`.

        Raises:
            InputError: another status, or a run that was not started here.
        """
        if status not in STATUSES[1:]:
            raise InputError(f"status of run {run}: {status!r} is none of {', '.join(STATUSES[1:])}.")
        self._require(run)
        self.flush()
        ended = replace(self._runs[run], status=status, time=self._now())
        self._store.append("runs", as_table("runs", [ended]))
        del self._runs[run]

    def log_metrics(self, run: str, step: int, values: Mapping[str, float], split: str = "train") -> None:
        """Take numbers of one step; stored with the next `flush`. NaN and infinities are kept as such.

        Raises:
            InputError: a value is no number, or the run was not started here.
        """
        self._require(run)
        now, rows = self._now(), []
        for name, value in values.items():
            try:
                number = float(value)
            except (TypeError, ValueError) as error:
                text = f"metric {name} of run {run}, step {step}: {value!r} is no number. Log NaN where there is none."
                raise InputError(text) from error
            rows.append(Metric(run=run, step=int(step), name=name, split=split, value=number, time=now))
        self._metrics += rows
        if len(self._metrics) >= BUFFER_ROWS:
            self._flush_metrics()

    def log_checkpoint(
        self, run: str, tag: str, file: Path, step: int, meta: Mapping[str, Any] | None = None
    ) -> Checkpoint:
        """State that a file was written, with the sha256 of its bytes; stored when this returns.

        Raises:
            InputError: there is no such file, or the run was not started here.
        """
        self._require(run)
        if not file.is_file():
            raise InputError(f"checkpoint {tag} of run {run}: {file}: no such file. Log it when it is written.")
        row = Checkpoint(
            run=run,
            tag=tag,
            step=int(step),
            file=str(file),
            sha256=digest_of(file),
            meta=json_text(meta or {}, f"meta of checkpoint {tag}"),
            time=self._now(),
        )
        self._store.append("checkpoints", as_table("checkpoints", [row]))
        return row

    def add_embeddings(self, rna: RnaSequence, vectors_LC: np.ndarray, weights: str, method: str) -> None:
        """Take a vector for each residue, and their mean; stored with the next `flush`.

        They replace what was added before for the same id and weights.

        Args:
            rna: whose residues.
            vectors_LC: float [L, c].
            weights: sha256 of those that made them.
            method: as in the provenance of a record.

        Raises:
            ContractError: another number of vectors, no columns, NaN or infinity.
        """
        vectors_LC = np.asarray(vectors_LC, dtype=np.float32)
        if vectors_LC.ndim != 2 or len(vectors_LC) != rna.length or not vectors_LC.shape[1]:
            raise ContractError(f"vectors of {rna.id}: expected [{rna.length}, c], found {vectors_LC.shape}.")
        if not np.isfinite(vectors_LC).all():
            raise ContractError(f"vectors of {rna.id}: hold NaN or infinity.")
        now, batch = self._now(), secrets.token_hex(8)
        residues = [
            Residue(id=rna.id, position=k, letter=letter, weights=weights, method=method, batch=batch, time=now)
            for k, letter in enumerate(("", *rna.sequence))
        ]
        mean_C = vectors_LC.mean(axis=0, dtype=np.float64)
        name = f"{EMBEDDINGS}{vectors_LC.shape[1]}"
        waiting = self._vectors.setdefault(name, [])
        waiting.append(vector_table(residues, np.vstack([mean_C, vectors_LC])))
        if sum(part.num_rows for part in waiting) >= BUFFER_ROWS:
            self._flush_vectors(name)

    def add_predictions(self, ensemble: Ensemble, file: Path, scores: Sequence[Mapping[str, float]] = ()) -> None:
        """Take the models of an ensemble; stored with the next `flush`.

        They replace what was added before for the same id, method, config and weights.

        Args:
            ensemble: best first.
            file: where its models lie.
            scores: for each model what an evaluation found, kept beside its energy terms.

        Raises:
            InputError: scores of another number of models.
        """
        from rna_predict.formats.model_cif import mean_plddt

        if scores and len(scores) != len(ensemble.models):
            raise InputError(f"scores of {ensemble.id}: {len(scores)} for {len(ensemble.models)} models.")
        now, batch, made = self._now(), secrets.token_hex(8), ensemble.provenance
        for k, model in enumerate(ensemble.models):
            found = {**model.terms, **(scores[k] if scores else {})}
            row = Prediction(
                id=ensemble.id,
                rank=k + 1,
                seed=int(model.seed),
                score=float(model.ranking_score),
                ptm=float(model.ptm),
                mean_plddt=mean_plddt(ensemble.sequence, model.plddt_LA),
                method=made.method,
                config=made.config,
                weights=made.weights,
                file=str(file),
                scores=json_text(found, f"scores of {ensemble.id}"),
                batch=batch,
                time=now,
            )
            self._predictions.append(row)
        if len(self._predictions) >= BUFFER_ROWS:
            self._flush_predictions()

    def flush(self) -> None:
        """Store what was taken; when this returns it is there for everybody.

        Each call adds a file, and a version that names all files: their size grows with the square of the calls until
        `optimize`. So call it every few dozen steps, not at each.
        """
        self._flush_metrics()
        for name in list(self._vectors):
            self._flush_vectors(name)
        self._flush_predictions()

    def optimize(self) -> bool:
        """Merge the small files that appends leave; for one process at the end, others may go on writing.

        Returns:
            Whether it was done: not where another process is at it.
        """
        self.flush()
        return self._store.optimize()

    def _flush_metrics(self) -> None:
        if self._metrics:
            self._store.append("metrics", as_table("metrics", self._metrics))
            self._metrics = []

    def _flush_predictions(self) -> None:
        if self._predictions:
            self._store.append("predictions", as_table("predictions", self._predictions))
            self._predictions = []

    def _flush_vectors(self, name: str) -> None:
        import pyarrow as pa

        self._store.ensure(name)
        self._store.append(name, pa.concat_tables(self._vectors[name]))
        del self._vectors[name]

    def _require(self, run: str) -> None:
        if run not in self._runs:
            raise InputError(f"run {run!r}: was not started by this tracker. Call start_run first, to resume it too.")

    def _now(self) -> datetime:
        """The time, later than that of every row before, also where the clock stands or was set back."""
        self._last = max(datetime.now(UTC), self._last + timedelta(microseconds=1))
        return self._last

    def _follow(self, run: str) -> None:
        """Let later rows of a run be newer than those that a machine with a faster clock wrote."""
        for table in ("runs", "metrics", "checkpoints"):
            times = self._store.read(table, f"run = '{run}'", ["run", "time"]).group_by("run")
            for row in times.aggregate([("time", "max")]).to_pylist():
                self._last = max(self._last, row["time_max"])
