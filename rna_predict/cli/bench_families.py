"""`rna-predict bench families`: what knowing an RNA's family is worth, on structures from experiments.

The settings of `stage_a.family_*` were chosen on the group `chosen_on` and are judged on `judged_on` (decision 0014).
Both hold one row a cluster at 80 % identity; `chosen_on` has no row near one of `judged_on`, and neither has one near a
sequence of `--leave-out`.
"""

import csv
import dataclasses
import io
import logging
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from rna_predict.chemistry.residues import CANONICAL_PAIRS
from rna_predict.cli.bench import print_result
from rna_predict.cli.console import LOG, Steps, steps
from rna_predict.cli.threads import set_threads
from rna_predict.config import resolve_stage_config
from rna_predict.contracts import RnaSequence
from rna_predict.contracts.loops import find_stems
from rna_predict.data.clusters import align, greedy_clusters
from rna_predict.errors import InputError
from rna_predict.evaluation.base_pairs import count_exact, pairs_of, score_pairs
from rna_predict.formats.dot_bracket import from_dot_bracket
from rna_predict.formats.reading import read_text
from rna_predict.stage_a_adjacency.config import StageAConfig

CHOSEN_ON = (
    ("PDB-RNA(SPOT-RNA TR1/TS1)", "train"),
    ("sincFold-ablation(PDB<=200)", ""),
    ("SQUARNA-SR", "train"),
    ("RNAstrand-NDB/PDB-verified", ""),
)
JUDGED_ON = (("PDB-RNA(SPOT-RNA TR1/TS1)", "test"), ("SQUARNA-SR", "test"))
"""Collection and split of the rows, those that stand for a cluster first."""

LENGTHS = (20, 700)
MIN_PAIRED = 0.25
"""Least share of a row's residues that pair within itself; with less it is half of a duplex."""
IDENTITY, COVERAGE = 0.8, 0.7
"""Two sequences are near with this share of equal letters and these lengths."""

MEASURES = ("f1", "f1_canonical", "f1_stems", "precision", "recall_canonical")


@dataclass(frozen=True, slots=True, kw_only=True)
class NativeRow:
    """One known structure.

    Attributes:
        collection: where it comes from.
        sequence: letters A C G U.
        partner_L: int32 [L], index of the paired residue or -1.
    """

    collection: str
    sequence: str
    partner_L: np.ndarray


def command(
    table: Annotated[Path, typer.Argument(help="CSV (.gz) with id, sequence, dot_bracket, dataset, split.")],
    leave_out: Annotated[
        Path | None, typer.Option(help="CSV with a column sequence: no row near one of these is used.")
    ] = None,
    config: Annotated[list[str] | None, typer.Option(help="Setting of stage A in all runs, key=value.")] = None,
    threads: Annotated[int, typer.Option(min=1, help="Threads for OpenMP and BLAS.")] = 1,
) -> None:
    """F1 of stage A with and without families, for RNAs with a hit and for those without.

    `f1` counts all pairs of the structure, `f1_canonical` those with letters that can pair, `f1_stems` those of
    canonical stems of two pairs and more.
    """
    set_threads(threads)
    logging.getLogger("rna_predict.stage_a_adjacency").setLevel(logging.WARNING)  # a line for each hit is too many
    base = resolve_stage_config("stage_a", None, config or ())
    assert isinstance(base, StageAConfig)
    groups = read_groups(table, leave_out)
    for name, rows in groups.items():
        LOG.info("%s: %d rows", name, len(rows))
    with steps(2 * sum(map(len, groups.values()))) as progress:
        lines = [line for name, rows in groups.items() for line in _measure(name, rows, base, progress)]
    print_result(lines, {"lines": lines})


def read_groups(table: Path, leave_out: Path | None) -> dict[str, list[NativeRow]]:
    """The rows to measure, by group.

    Raises:
        InputError: a column is missing, or no row is left.
    """
    rows = list(_table(table, ("id", "sequence", "dot_bracket", "dataset", "split")))
    others = [row["sequence"] for row in _table(leave_out, ("sequence",))] if leave_out else []
    judged = _apart(_singles(rows, JUDGED_ON), others)
    chosen = _apart(_singles(rows, CHOSEN_ON), [*others, *(row.sequence for row in judged)])
    if not judged or not chosen:
        raise InputError(f"{table}: no rows of {JUDGED_ON[0][0]} or {CHOSEN_ON[0][0]} are left to measure.")
    return {"chosen_on": chosen, "judged_on": judged}


def _table(path: Path, columns: Sequence[str]) -> Iterator[dict[str, str]]:
    reader = csv.DictReader(io.StringIO(read_text(path)))
    missing = [name for name in columns if name not in (reader.fieldnames or [])]
    if missing:
        raise InputError(f"{path}: has no column {', '.join(missing)}. Columns: {', '.join(reader.fieldnames or [])}.")
    yield from reader


def _singles(rows: Sequence[dict[str, str]], collections: Sequence[tuple[str, str]]) -> list[NativeRow]:
    """One row a cluster, from the earliest of the collections and there the first in the table."""
    rank = {key: n for n, key in enumerate(collections)}
    wanted = [row for row in rows if (row["dataset"], row["split"]) in rank]
    wanted.sort(key=lambda row: rank[row["dataset"], row["split"]])
    usable: dict[str, NativeRow] = {}
    for row in wanted:
        sequence = row["sequence"].upper().replace("T", "U")
        if sequence in usable or set(sequence) - set("ACGU") or not LENGTHS[0] <= len(sequence) <= LENGTHS[1]:
            continue
        partner_L = from_dot_bracket(row["dot_bracket"], row["id"])
        if (partner_L >= 0).mean() >= MIN_PAIRED:
            usable[sequence] = NativeRow(collection=row["dataset"], sequence=sequence, partner_L=partner_L)
    first: dict[int, NativeRow] = {}
    for cluster, row in zip(greedy_clusters(list(usable), IDENTITY), usable.values(), strict=True):
        first.setdefault(cluster, row)
    return list(first.values())


def _apart(rows: Sequence[NativeRow], others: Sequence[str]) -> list[NativeRow]:
    return [row for row in rows if not any(_near(row.sequence, other) for other in others)]


def _near(first: str, second: str) -> bool:
    short, long = sorted((len(first), len(second)))
    return short >= COVERAGE * long and align(first, second).identity >= IDENTITY


def _measure(name: str, rows: Sequence[NativeRow], base: StageAConfig, progress: Steps) -> list[dict[str, object]]:
    """Lines of the table: with and without a hit, and with a hit by collection; both modes beside each other."""
    from rna_predict.stage_a_adjacency.stage import predict_adjacency

    found: dict[str, list[dict[str, float]]] = {}
    families: list[str] = []
    for mode in ("off", "auto"):
        config, scores = dataclasses.replace(base, family=mode), []
        for row in rows:
            progress.now(f"{name}, family {mode}")
            adjacency = predict_adjacency(RnaSequence(id="row", sequence=row.sequence), config)
            scores.append(_score(adjacency.partner_L, row))
            if mode == "auto":
                families.append(adjacency.families[0].accession if adjacency.families else "")
            progress.done()
        found[mode] = scores
    parts: dict[str, list[int]] = defaultdict(list)
    for n, row in enumerate(rows):
        parts["with a family" if families[n] else "without"].append(n)
        if families[n]:
            parts[f"with, {row.collection}"].append(n)
    lines = []
    for part in sorted(parts):
        known = [families[n] for n in parts[part]]
        for mode, scores in found.items():
            picked = [scores[n] for n in parts[part]]
            head = {
                "group": name,
                "rows are": part,
                "family": mode,
                "rows": len(picked),
                "families": len({*known} - {""}),
            }
            lines.append(
                head | {key: _mean(picked, key) for key in MEASURES} | {"by_family": _by_family(picked, known)}
            )
    return lines


def _score(predicted_L: np.ndarray, row: NativeRow) -> dict[str, float]:
    score = score_pairs(predicted_L, row.partner_L, row.sequence)
    stems_L = np.full(len(row.sequence), -1, dtype=np.int32)
    for stem in find_stems(row.partner_L):
        pairs = [(i, j) for i, j in stem.pairs if row.sequence[i] + row.sequence[j] in CANONICAL_PAIRS]
        for i, j in pairs if len(pairs) > 1 else []:
            stems_L[i], stems_L[j] = j, i
    stems = count_exact(pairs_of(predicted_L), pairs_of(stems_L), len(row.sequence))
    values = (score.exact.f1, score.canonical.f1, stems.f1, score.exact.precision, score.canonical.recall)
    return {key: np.nan if value is None else float(value) for key, value in zip(MEASURES, values, strict=True)}


def _mean(scores: Sequence[dict[str, float]], key: str) -> float:
    return float(np.nanmean([score[key] for score in scores]))


def _by_family(scores: Sequence[dict[str, float]], families: Sequence[str]) -> float | None:
    """Mean over families of their rows' mean f1; None for rows without a family."""
    if "" in families:
        return None
    of_family = defaultdict(list)
    for score, family in zip(scores, families, strict=True):
        of_family[family].append(score["f1"])
    return float(np.mean([np.nanmean(values) for values in of_family.values()]))
