"""Where a run stands, on disk: checkpoints that appear whole or not at all, and are known by their hash.

The folder of a run holds `state/step_<n>.ckpt` (torch, plain values and tensors only) and `state.json`, which names the
last two with their sha256, newest first, and the key of the run that they belong to. A state is taken up only by the
same run: other settings, chains or weights begin anew, and what was there is moved aside, never overwritten.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io.checkpoint_io import CheckpointIO

from rna_predict.atomic import atomic_path
from rna_predict.contracts import digest_of
from rna_predict.errors import TrainingError
from rna_predict.nn.checkpoint import TORCH_ERRORS

STATE = "state.json"
KEPT = 2


class WholeCheckpoints(CheckpointIO):
    """Lightning's door to the disk: whole files beside their names, and no code from a pickle."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write under a temporary name in the same folder, sync, rename."""
        del storage_options
        with atomic_path(Path(path)) as temporary:
            torch.save(checkpoint, temporary)

    def load_checkpoint(self, path: Any, map_location: Any = "cpu", weights_only: bool | None = True) -> dict[str, Any]:
        """Tensors and plain values.

        Raises:
            TrainingError: the file is none, or asks for more than that.
        """
        del weights_only
        try:
            return torch.load(path, map_location=map_location or "cpu", weights_only=True)
        except TORCH_ERRORS as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise TrainingError(
                f"{path}: no readable state of a training ({reason}). Remove it to begin anew."
            ) from error

    def remove_checkpoint(self, path: Any) -> None:
        """Delete a file."""
        Path(path).unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class Saved:
    """A checkpoint by its file name in `state/`, the step after which it was written, and its hash."""

    file: str
    step: int
    sha256: str


@dataclass(frozen=True, slots=True)
class StateFolder:
    """The checkpoints of a run.

    Attributes:
        folder: of the run.
        key: of what decides its numbers.
    """

    folder: Path
    key: str

    def path(self, step: int) -> Path:
        """Where the checkpoint after a step goes."""
        return self.folder / "state" / f"step_{step:08d}.ckpt"

    def note(self, step: int) -> None:
        """Record a checkpoint that was written, and delete those before the last two."""
        path = self.path(step)
        newest = Saved(file=path.name, step=step, sha256=digest_of(path))
        known = [newest, *(one for one in self._known() if one.step < step)][:KEPT]
        with atomic_path(self.folder / STATE) as temporary:
            entries = [{"file": one.file, "step": one.step, "sha256": one.sha256} for one in known]
            temporary.write_text(json.dumps({"key": self.key, "checkpoints": entries}, indent=1) + "\n")
        for other in path.parent.glob("step_*.ckpt"):
            if other.name not in {one.file for one in known}:
                other.unlink()

    def newest(self) -> Path | None:
        """The checkpoint to go on from; None where there is none.

        Raises:
            TrainingError: it is damaged; the message names the one before it.
        """
        known = self._known()
        if not known:
            return None
        path = self.folder / "state" / known[0].file
        if path.is_file() and digest_of(path) == known[0].sha256:
            return path
        found = "is gone" if not path.is_file() else "does not match its sha256: it is damaged"
        before = f"To go on from step {known[1].step} instead, remove" if len(known) > 1 else "To begin anew, remove"
        what = f"the first entry of {self.folder / STATE}" if len(known) > 1 else str(self.folder / STATE)
        raise TrainingError(f"{path}: {found}. {before} {what}.")

    def foreign(self) -> bool:
        """Whether the folder holds the state of another run."""
        stated = _read(self.folder / STATE)
        return bool(stated) and stated.get("key") != self.key

    def _known(self) -> list[Saved]:
        stated = _read(self.folder / STATE)
        if not stated or stated.get("key") != self.key:
            return []
        return [Saved(**entry) for entry in stated["checkpoints"]]


def set_aside(folder: Path, keep: tuple[str, ...] = ()) -> Path | None:
    """Move everything in a run's folder into `before_<k>/` there, but for names in `keep`; None where nothing is.

    A run that was stopped with other settings stays to be looked at.
    """
    names = [path for path in folder.iterdir() if path.name not in keep and not path.name.startswith("before_")]
    if not names:
        return None
    number = 1 + max([int(path.name[7:]) for path in folder.glob("before_*") if path.name[7:].isdigit()], default=0)
    place = folder / f"before_{number}"
    place.mkdir()
    for path in names:
        path.replace(place / path.name)
    return place


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        stated = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise TrainingError(f"{path}: damaged ({error}). Remove it to begin anew.") from error
    if not isinstance(stated, dict) or not isinstance(stated.get("checkpoints"), list):
        raise TrainingError(f"{path}: is no state of a training. Remove it to begin anew.")
    return stated
