"""What stages A, B and C make of a native chain, as they do at prediction, kept in a store of files.

`<store>/<key>/<chain id>/` holds `a_adjacency`, `b_torsions` and `c_coordinates.safetensors`; the key stands for the
source of the base pairs and the settings of the three stages, which `<store>/<key>.json` spells out.
"""

import json
import logging
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TypeVar

from rna_predict.atomic import atomic_path
from rna_predict.contracts import (
    Adjacency,
    Coordinates,
    GivenStructure,
    Record,
    RnaSequence,
    Torsions,
    digest_of,
    require_same_input,
    require_same_rna,
)
from rna_predict.data.chains import Chain
from rna_predict.errors import ConfigError, ContractError, PredictionError
from rna_predict.stage_a_adjacency.config import StageAConfig
from rna_predict.stage_a_adjacency.stage import predict_adjacency
from rna_predict.stage_b_torsion.config import StageBConfig
from rna_predict.stage_b_torsion.prior_table import load_table
from rna_predict.stage_b_torsion.stage import predict_torsions
from rna_predict.stage_c_reconstruction.config import StageCConfig
from rna_predict.stage_c_reconstruction.stage import reconstruct

logger = logging.getLogger(__name__)

PAIR_SOURCES = ("native", "predicted")
"""Whose base pairs stage A is given: the chain's own, or nobody's, so that it predicts them."""
ADJACENCY, TORSIONS, COORDINATES = "a_adjacency.safetensors", "b_torsions.safetensors", "c_coordinates.safetensors"
FAILURE = "c_coordinates.failed.json"
"""Stands in the place of the coordinates of a chain that stage C cannot build, and says why."""

RecordT = TypeVar("RecordT", bound=Record)


@dataclass(frozen=True, slots=True, kw_only=True)
class StageSettings:
    """Settings of the three stages; by default those of a prediction, for one secondary structure."""

    stage_a: StageAConfig = field(default_factory=lambda: StageAConfig(alternatives=0))
    stage_b: StageBConfig = field(default_factory=lambda: StageBConfig(backend="prior-table"))
    stage_c: StageCConfig = field(default_factory=StageCConfig)

    def __post_init__(self) -> None:
        """Raise ConfigError where stage B runs networks: they are what is trained on its results."""
        for name in ("backend", "torsions"):
            if getattr(self.stage_b, name) != "prior-table":
                found = f"stage_b.{name}: {getattr(self.stage_b, name)!r}"
                raise ConfigError(f"{found} makes no inputs for training. Set it to prior-table.")

    def stated(self, pairs: str) -> dict[str, object]:
        """All that results of a source of pairs hang on; of stage B that is the prior table's content.

        Raises:
            ConfigError: an unknown source.
            ContractError: the prior table cannot be used.
        """
        if pairs not in PAIR_SOURCES:
            raise ConfigError(f"pairs: {pairs!r} is unknown. Use one of: {', '.join(PAIR_SOURCES)}.")
        _, table = load_table(self.stage_b.prior_table)
        stage_b = {"prior_table": table}
        return {"pairs": pairs, "stage_a": asdict(self.stage_a), "stage_b": stage_b, "stage_c": asdict(self.stage_c)}


@dataclass(frozen=True, slots=True, kw_only=True)
class StageResults:
    """The records of one whole chain.

    Attributes:
        adjacency: of stage A.
        torsions: of stage B.
        coordinates: of stage C; None where it was not asked for, or failed.
        failure: why stage C failed; empty where it did not.
        made: names of the records that were made for this and not found in the store.
    """

    adjacency: Adjacency
    torsions: Torsions
    coordinates: Coordinates | None = None
    failure: str = ""
    made: tuple[str, ...] = ()

    def require_chain(self, chain: Chain) -> None:
        """Raise ContractError when these are results of another chain, or of a crop."""
        records = [self.adjacency, self.torsions] + ([self.coordinates] if self.coordinates is not None else [])
        require_same_rna(RnaSequence(id=chain.id, sequence=chain.sequence), *records)


def default_store(dataset: Path) -> Path:
    """The folder `<dataset>.stages` beside a dataset."""
    folder = Path(os.path.abspath(dataset))  # noqa: PTH100 (a link stays a link; `resolve` would follow it)
    return folder.with_name(f"{folder.name}.stages")


def native_pairs(chain: Chain) -> GivenStructure:
    """The chain's canonical pairs as a structure that the user gives; all other residues are said to be unpaired."""
    return GivenStructure(id=chain.id, length=chain.length, source="native", partner_L=chain.partner_L)


class StageResultsStore:
    """Finds results of stages A, B and C, or makes and keeps them.

    Several processes may use one folder: files appear whole, and who makes one that another has just made replaces it
    by its like. Chains of different datasets that share ids need different folders.
    """

    def __init__(self, folder: Path, settings: StageSettings | None = None) -> None:
        """Name the folder; nothing is written before the first result.

        Raises:
            ContractError: the prior table cannot be used.
        """
        self.folder, self.settings = folder, settings or StageSettings()
        self.keys = {pairs: digest_of(self.settings.stated(pairs))[:16] for pairs in PAIR_SOURCES}
        self._said: set[Path] = set()

    def path(self, id: str, pairs: str) -> Path:
        """The folder of one chain.

        Raises:
            ConfigError: an unknown source of pairs.
        """
        if pairs not in self.keys:
            raise ConfigError(f"pairs: {pairs!r} is unknown. Use one of: {', '.join(PAIR_SOURCES)}.")
        return self.folder / self.keys[pairs] / id

    def get(self, chain: Chain, pairs: str, *, coordinates: bool = True) -> StageResults:
        """The results of a whole chain, from the store where they are there and belong to each other.

        Args:
            chain: not a crop.
            pairs: one of `PAIR_SOURCES`.
            coordinates: False neither runs nor reads stage C, which takes seconds to minutes.

        Raises:
            ConfigError: an unknown source of pairs.
            InputError: longer than the stages take.
            PredictionError: stage A cannot fold around the pairs (only with given_mode constrain). What stage C cannot
                build is no error: it is remembered, logged once, and stands in `StageResults.failure`.
        """
        start, sequence = time.perf_counter(), RnaSequence(id=chain.id, sequence=chain.sequence)
        folder, given = self.path(chain.id, pairs), native_pairs(chain) if pairs == "native" else None
        adjacency, fresh_a = _kept(
            folder / ADJACENCY,
            lambda path: _load_adjacency(path, sequence, given),
            lambda: predict_adjacency(sequence, self.settings.stage_a, given),
        )
        torsions, fresh_b = _kept(
            folder / TORSIONS,
            lambda path: _load_torsions(path, sequence, adjacency),
            lambda: predict_torsions(sequence, adjacency, self.settings.stage_b)[0],
        )
        model, failure, fresh_c = None, "", False
        if coordinates:
            model, failure, fresh_c = self._coordinates(folder, sequence, adjacency, torsions)
        fresh = {ADJACENCY: fresh_a, TORSIONS: fresh_b, COORDINATES: fresh_c}
        made = tuple(name.partition(".")[0] for name, one in fresh.items() if one)
        if made:
            self._describe(pairs)
            what, seconds = f"{chain.id} ({chain.length} nt), {pairs} pairs", time.perf_counter() - start
            logger.info("%s: made %s in %.1f s", what, ", ".join(made), seconds)
        return StageResults(adjacency=adjacency, torsions=torsions, coordinates=model, failure=failure, made=made)

    def _coordinates(
        self, folder: Path, sequence: RnaSequence, adjacency: Adjacency, torsions: Torsions
    ) -> tuple[Coordinates | None, str, bool]:
        """Stage C's model or the reason why there is none, and whether it was run."""
        inputs = {"a_adjacency": adjacency.digest(), "b_torsions": torsions.digest()}
        failed = folder / FAILURE
        failure = _read_failure(failed, inputs)
        if failure:
            self._say(failed, sequence, failure)
            return None, failure, False
        try:
            coordinates, fresh = _kept(
                folder / COORDINATES,
                lambda path: _load_coordinates(path, sequence, adjacency, torsions),
                lambda: reconstruct(sequence, adjacency, torsions, self.settings.stage_c),
            )
        except PredictionError as error:
            with atomic_path(failed) as temporary:
                temporary.write_text(json.dumps({"reason": str(error), "inputs": inputs}) + "\n", encoding="utf-8")
            self._say(failed, sequence, str(error))
            return None, str(error), True
        if fresh:
            failed.unlink(missing_ok=True)
        return coordinates, "", fresh

    def _say(self, failed: Path, sequence: RnaSequence, reason: str) -> None:
        if failed not in self._said:
            self._said.add(failed)
            logger.warning("%s: goes without coordinates (%s); delete %s to try again", sequence.id, reason, failed)

    def _describe(self, pairs: str) -> None:
        """Spell out what the key stands for, beside its folder."""
        path = self.folder / f"{self.keys[pairs]}.json"
        if not path.is_file():
            with atomic_path(path) as temporary:
                temporary.write_text(json.dumps(self.settings.stated(pairs), indent=1) + "\n", encoding="utf-8")


def _kept(path: Path, load: Callable[[Path], RecordT], make: Callable[[], RecordT]) -> tuple[RecordT, bool]:
    """The record at `path`, made and written where it is not there or not what it should be; whether it was made."""
    if path.is_file():
        try:
            return load(path), False
        except ContractError as error:
            logger.warning("%s: is made again: %s", path, error)
    record = make()
    record.save(path)
    return record, True


def _load_adjacency(path: Path, sequence: RnaSequence, given: GivenStructure | None) -> Adjacency:
    adjacency = Adjacency.load(path, sequence)
    expected = {} if given is None else {"given": given.digest()}
    found = {name: digest for name, digest in adjacency.provenance.inputs.items() if name != "family"}
    if found != expected:  # what a family says follows from the sequence and the settings, which the folder is named by
        raise ContractError(f"{path}: was made from other pairs than the chain has. Run stage_a again.")
    return adjacency


def _load_torsions(path: Path, sequence: RnaSequence, adjacency: Adjacency) -> Torsions:
    torsions = Torsions.load(path, sequence)
    require_same_input(torsions, "a_adjacency", adjacency)
    return torsions


def _load_coordinates(path: Path, sequence: RnaSequence, adjacency: Adjacency, torsions: Torsions) -> Coordinates:
    coordinates = Coordinates.load(path, sequence)
    require_same_input(coordinates, "a_adjacency", adjacency)
    require_same_input(coordinates, "b_torsions", torsions)
    return coordinates


def _read_failure(path: Path, inputs: dict[str, str]) -> str:
    """Why stage C failed on these very inputs; empty where it did not, as far as is known."""
    if not path.is_file():
        return ""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["inputs"] == inputs:
            return str(found["reason"])
        logger.warning("%s: is of other base pairs or torsions; stage C runs again", path)
    except (ValueError, TypeError, KeyError) as error:
        logger.warning("%s: is damaged (%s); stage C runs again", path, error)
    return ""
