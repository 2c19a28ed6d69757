"""`rna-predict bench templates`: what the template search finds for targets of known structure, and what it is worth.

Every target is looked up with its own pairs and with the default's predicted ones. The library must not hold it.
"""

import csv
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Annotated

import numpy as np
import typer

from rna_predict.cli.bench import print_result
from rna_predict.cli.console import steps
from rna_predict.cli.shared_natives import natives_folder
from rna_predict.cli.template_calibration import PAIRS, adjacency_of, threaded_tm
from rna_predict.cli.threads import set_threads
from rna_predict.data.chains import Chain, Origin, measure_chain
from rna_predict.data.nearest import Nearest, nearest_chains
from rna_predict.errors import InputError
from rna_predict.formats.structure import read_structure
from rna_predict.templates.config import TemplatesConfig
from rna_predict.templates.library import Library, open_library
from rna_predict.templates.search import search

NEAR = 0.65
"""Share of the target's residues, more than chance gives, from which a library chain is a near relative."""


def command(
    targets: Annotated[
        Path | None, typer.Option(help="CSV with a column id; without it the validation targets.")
    ] = None,
    natives: Annotated[Path | None, typer.Option(help="Folder with <id>.pdb.gz of each target.")] = None,
    library: Annotated[str, typer.Option(help="A library that `templates build` made.")] = "",
    max_identity: Annotated[float, typer.Option(help="Leave out chains that share more of the shorter one.")] = 1.0,
    min_expected_tm: Annotated[float | None, typer.Option(help="Least expected TM-score of a hit.")] = None,
    threads: Annotated[int, typer.Option(min=1, help="Threads for OpenMP, BLAS and torch.")] = 1,
) -> None:
    """Hits of targets of known structure: how many, expected and true TM-score, near relatives."""
    set_threads(threads)
    listed = targets or natives_folder() / "validation_targets.csv"
    folder = natives or natives_folder() / "chains"
    with listed.open(encoding="utf-8") as file:
        ids = [row["id"] for row in csv.DictReader(file)]
    opened = open_library(library)
    if held := {row.id for row in opened.rows} & set(ids):
        raise InputError(f"the library holds targets: {', '.join(sorted(held))}. Build one of the training split.")
    config = TemplatesConfig(max_identity=max_identity)
    if min_expected_tm is not None:
        config = replace(config, min_expected_tm=min_expected_tm)
    chains = [read_chain(folder / f"{name}.pdb.gz", name) for name in ids]
    known = {row.id: row.sequence for row in opened.rows if not row.loop}
    near = nearest_chains({chain.id: chain.sequence for chain in chains}, known)
    rows: list[dict[str, object]] = []
    with steps(len(chains)) as progress:
        for chain, relative in zip(chains, near, strict=True):
            progress.now(chain.id)
            rows += measure_target(chain, relative, opened, config)
            progress.done()
    counts = {"library": len(known), "near": sum(relative.related(NEAR) for relative in near)}
    print_result(rows, figures(rows) | counts)


def read_chain(path: Path, name: str) -> Chain:
    """A native as a chain of a dataset."""
    structure = read_structure(path, id=name)
    origin = Origin(source=path.name, source_sha256="", entry=name, chain="A")
    return measure_chain(structure, np.zeros(structure.length, dtype=bool), origin)


def measure_target(chain: Chain, near: Nearest, library: Library, config: TemplatesConfig) -> list[dict[str, object]]:
    """A row for each source of pairs: the best hit by expected TM-score, its true one, and the best of all hits."""
    rows: list[dict[str, object]] = []
    for pairs in PAIRS:
        found = search(adjacency_of(chain, pairs), library, config)
        true = [threaded_tm(chain, library, one) for one in found]
        first = found[0] if found else None
        rows.append(
            {
                "id": chain.id,
                "length": chain.length,
                "pairs": pairs,
                "hits": len(found),
                "best": first.row.id if first else "-",
                "identity": first.features.identity if first else None,
                "coverage": first.features.coverage if first else None,
                "expected_tm": first.expected_tm if first else None,
                "tm": true[0] if true else None,
                "best_tm": max(true, default=None),
                "nearest": near.identity,
                "chance": near.chance,
            }
        )
    return rows


def figures(rows: list[dict[str, object]]) -> dict[str, object]:
    """Counts and means by source of pairs."""
    result: dict[str, object] = {"targets": len(rows) // len(PAIRS)}
    for pairs in PAIRS:
        own = [row for row in rows if row["pairs"] == pairs]
        hit = [row for row in own if row["hits"]]
        result |= {f"{pairs}_with_hit": len(hit)}
        for name in ("expected_tm", "tm", "best_tm"):
            result[f"{pairs}_{name}"] = fmean(_number(row[name]) for row in hit) if hit else None
    return result


def _number(value: object) -> float:
    return value if isinstance(value, float) else 0.0
