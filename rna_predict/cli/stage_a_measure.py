"""Run `rna-predict bench stage-a`: choose rows, predict with every method, score, and put the figures together."""

import csv
import dataclasses
import json
import logging
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rna_predict.atomic import atomic_path
from rna_predict.cli.console import LOG, Steps, steps
from rna_predict.cli.stage_a_calibration import Sampled, calibration_figures, fit
from rna_predict.cli.stage_a_figures import (
    DEFAULT,
    FULL_LIBRARY,
    MEASURES,
    MFE,
    NO_FAMILY,
    Record,
    Scored,
    by_family,
    by_name,
    file_rows,
    headline,
    in_rfam,
    length_bin,
    method_table,
    name_table,
    summary,
    timing,
)
from rna_predict.cli.stage_a_methods import Method, StageA, Vienna
from rna_predict.cli.stage_a_peers import PROGRAMS, Peer
from rna_predict.cli.stage_a_rows import RowSettings, Selection, choose_rows
from rna_predict.config import resolve_stage_config
from rna_predict.data.pair_table import read_pair_table
from rna_predict.errors import ConfigError, InputError, PredictionError
from rna_predict.evaluation.calibration import Calibration
from rna_predict.stage_a_adjacency.config import StageAConfig

VIENNA = {MFE: Vienna(name=MFE, mea=False), "vienna_mea": Vienna(name="vienna_mea", mea=True)}

UNIT = (
    "f1_<method>_<group> is a mean over families of their rows' means, …_rows a mean over rows; one row a cluster of "
    "80 % identity. Intervals: 95 %, bootstrap of families, then rows within."
)


@dataclass(kw_only=True)
class Options:
    """What is measured."""

    rows: RowSettings
    """Which rows are taken."""

    peers: tuple[str, ...] = (MFE,)
    """What is run beside stage A; ViennaRNA's MFE always is."""

    settings: tuple[str, ...] = ()
    """Settings of stage A, `key=value`."""

    family: str = "auto"
    """`off` measures stage A without families; `auto` with and without."""

    calibrate: bool = False
    """Fit a calibration on the default's probabilities."""

    def __post_init__(self) -> None:
        """Raise ConfigError, naming the option and what it may be."""
        known = (*VIENNA, *PROGRAMS)
        for name in self.peers:
            if name not in known:
                raise ConfigError(f"--peers {name!r}: no such program. Names: {', '.join(known)}.")
        if self.family not in ("off", "auto"):
            raise ConfigError(f"--family {self.family!r}: use off or auto.")
        if self.calibrate and self.rows.across != "validation":
            raise ConfigError(
                f"--calibration: with --across {self.rows.across} it would be fitted on families that test. "
                "Use --across validation."
            )


@dataclass(slots=True, kw_only=True)
class Measured:
    """All that came out.

    Attributes:
        scored: a row with the results of all methods.
        figures: for the JSON line.
        tables: by title, for the screen.
        calibration: where it was asked for.
    """

    scored: list[Scored]
    figures: Record
    tables: dict[str, list[Record]]
    calibration: Calibration | None = None


@dataclass(slots=True)
class Line:
    """The methods, which rows each gets, and what could not be run."""

    methods: list[Method] = field(default_factory=list)
    across_only: set[str] = field(default_factory=set)
    missing: dict[str, str] = field(default_factory=dict)


def measure(folder: Path, options: Options) -> Measured:
    """Measure everything on the rows of a table.

    Raises:
        InputError: the folder holds no table, or no row to measure.
        ConfigError: a setting of stage A is unknown or out of range.
    """
    table = read_pair_table(folder)
    chosen = choose_rows(table, options.rows)
    line = line_up(options, chosen)
    scored = [Scored(row=row, results={}) for row in chosen.rows]
    sampled = _run(line, scored)
    figures: Record = {
        "dataset": table.manifest.digest[:16],
        "options": dataclasses.asdict(options),
        "left_out": chosen.left_out,
        "held_out_families": len(chosen.held_out),
        "missing": line.missing,
        "unit": UNIT,
    }
    tables: dict[str, list[Record]] = {}
    _put_together(scored, line, options.rows.seed, figures, tables)
    figures |= calibration_figures(sampled, options.rows.seed, tables)
    calibration = fit(sampled, figures, options.rows.seed) if options.calibrate else None
    return Measured(scored=scored, figures=figures, tables=tables, calibration=calibration)


def line_up(options: Options, chosen: Selection) -> Line:
    """The methods to run; a program that is not there is missing with its reason."""
    line = Line()
    base = _stage_a_config(options.settings)
    off = dataclasses.replace(base, family="off")
    if "off" in (options.family, base.family):
        line.methods.append(StageA(name=DEFAULT, across=off, within=off, probabilities=True))
    else:
        unknown = sorted({*base.family_exclude, *with_clans(chosen.held_out, base)})
        blind = dataclasses.replace(base, family_exclude=unknown)
        line.methods.append(StageA(name=DEFAULT, across=blind, within=base, probabilities=True))
        line.methods.append(StageA(name=NO_FAMILY, across=off, within=off))
        line.methods.append(StageA(name=FULL_LIBRARY, across=base, within=base))
        line.across_only.add(FULL_LIBRARY)  # within families it is the default itself
    for name in dict.fromkeys((MFE, *options.peers)):
        if name in VIENNA:
            line.methods.append(VIENNA[name])
            continue
        try:
            line.methods.append(Peer.find(PROGRAMS[name]))
        except (InputError, PredictionError) as error:
            line.missing[name] = str(error)
    return line


def with_clans(accessions: Iterable[str], config: StageAConfig) -> set[str]:
    """The accessions, and the library's other families of their clans, which a table need not have a row of."""
    from rna_predict.families.library import load_library

    families = load_library(config.family_library).families
    held_out = set(accessions)
    clans = {family.clan for family in families if family.accession in held_out and family.clan}
    return held_out | {family.accession for family in families if family.clan in clans}


def _stage_a_config(settings: Iterable[str]) -> StageAConfig:
    config = resolve_stage_config("stage_a", None, list(settings))
    if not isinstance(config, StageAConfig):
        raise ConfigError(f"stage_a: the settings are {type(config).__name__}, expected StageAConfig")
    return config


def _run(line: Line, scored: Sequence[Scored]) -> list[Sampled]:
    """Score every method's answers in place; the default's probabilities as samples."""
    sampled: list[Sampled] = []
    parts = [
        (method, [one for one in scored if one.row.across or method.name not in line.across_only])
        for method in line.methods
    ]
    with _quiet(), steps(sum(len(part) for _, part in parts)) as progress:
        for method, part in parts:
            progress.now(method.name)
            start = time.perf_counter()
            sampled += _answers(method, part, progress)
            LOG.info("%s: %d rows in %.0f s", method.name, len(part), time.perf_counter() - start)
    return sampled


@contextmanager
def _quiet() -> Iterator[None]:
    """Stage A says what it finds in each RNA; here that would be a line for every row."""
    logger = logging.getLogger("rna_predict.stage_a_adjacency")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)


def _answers(method: Method, part: Sequence[Scored], progress: Steps) -> Iterator[Sampled]:
    for one, answer in zip(part, method.answers([one.row for one in part]), strict=True):
        one.add(method.name, answer)
        progress.done()
        if answer.probability_LL is not None:
            yield Sampled.of(one.row, answer)


def _put_together(
    scored: Sequence[Scored], line: Line, seed: int, figures: Record, tables: dict[str, list[Record]]
) -> None:
    """Means of each group into figures and tables."""
    names = [method.name for method in line.methods]
    groups = {
        "cross_family": ([one for one in scored if one.row.across], names),
        "within_family": (
            [one for one in scored if not one.row.across],
            [name for name in names if name not in line.across_only],
        ),
    }
    details: Record = {}
    for group, (part, methods) in groups.items():
        if not part:
            figures |= {f"f1_{DEFAULT}_{group}": None}
            continue
        full = summary(part, methods, MEASURES, seed)
        times = timing(part, methods)
        figures |= headline(group, full)
        details[group] = full | {"timing": times}
        tables[f"{group}: {full['rows']} rows of {full['families']} families"] = method_table(full, times)
        for what, key in (("dataset", lambda row: row.row.source), ("length", lambda row: length_bin(row.row.length))):
            details[group][f"by_{what}"] = found = by_name(part, methods, key, seed)
            tables[f"{group} by {what}, F1 over rows"] = name_table(what, found)
        details[group]["by_family"] = by_family(part, methods)
        figures[f"hits_{group}"] = sum(bool(one.results[DEFAULT].answer.hits) for one in part)
    figures["f1_within_family"] = figures[f"f1_{DEFAULT}_within_family"]
    figures |= _known_family(scored, line, seed)
    figures["groups"] = details


def _known_family(scored: Sequence[Scored], line: Line, seed: int) -> Record:
    """F1 on rows whose family is in Rfam with the whole library, held out or not."""
    if not line.across_only:
        return {}
    part = []
    for one in scored:
        if in_rfam(one.row):
            results = {DEFAULT: one.results.get(FULL_LIBRARY, one.results[DEFAULT]), NO_FAMILY: one.results[NO_FAMILY]}
            part.append(Scored(row=one.row, results=results))
    if not part:
        return {"f1_known_family": None}
    full = summary(part, [DEFAULT, NO_FAMILY], ("f1", "f1_canonical"), seed)
    found = headline("known_family", full)
    return {name.replace(f"f1_{DEFAULT}_known_family", "f1_known_family"): value for name, value in found.items()} | {
        "known_family_rows": full["rows"],
        "known_family_families": full["families"],
    }


def write_rows(path: Path, scored: Iterable[Scored]) -> None:
    """Write a line for each row and method as TSV, whole or not at all."""
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer: csv.DictWriter[str] | None = None
        for record in file_rows(scored):
            if writer is None:
                writer = csv.DictWriter(file, list(record), delimiter="\t", lineterminator="\n")
                writer.writeheader()
            writer.writerow(record)


def write_calibration(path: Path, calibration: Calibration) -> None:
    """Write the numbers as JSON, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(calibration.values(), indent=1) + "\n", encoding="utf-8")
