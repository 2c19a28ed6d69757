"""`rna-predict templates`: build a library of known structures, search it, and fit what a hit is worth."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rna_predict.cli.bench import print_result
from rna_predict.cli.console import LOG, steps
from rna_predict.cli.stages import (
    STAGES_ROOT,
    AttemptsLeft,
    Config,
    Ids,
    Root,
    Status,
    StoreFolder,
    Threads,
    Upstream,
    run_stage,
)
from rna_predict.cli.stored import StageRun, Work
from rna_predict.cli.threads import set_threads
from rna_predict.errors import ConfigError

if TYPE_CHECKING:
    from rna_predict.cli.stage_files import StageFiles
    from rna_predict.templates.features import Calibration
    from rna_predict.templates.logistic import LogisticFit

app = typer.Typer(help="Known structures as templates: build a library, search it.", no_args_is_help=True)

LibraryOption = Annotated[str, typer.Option(help="A library that `build` made, instead of the package's.")]


@app.callback()
def templates() -> None:
    """Known structures as templates: build a library, search it."""


@app.command("build")
def build(
    source: Annotated[Path, typer.Argument(help="A dataset's folder, or a folder (list, file) of PDB or mmCIF files.")],
    out: Annotated[Path, typer.Option(help="Folder of a LanceDB table, or a file that ends in .safetensors.")],
    split: Annotated[str, typer.Option(help="Of a dataset, the split that is taken; empty for all.")] = "train",
    identity: Annotated[float, typer.Option(help="Of chains that share more the longest stays; 2 keeps all.")] = 0.95,
    min_length: Annotated[int, typer.Option(min=2, help="Fewest residues.")] = 15,
    min_atoms: Annotated[float, typer.Option(help="Least share of the heavy atoms that must be there.")] = 0.8,
    origin: Annotated[str, typer.Option(help="What the library says of where its structures come from.")] = "",
    loops: Annotated[
        Path | None, typer.Option(help="Folder of PDB or mmCIF files, each a loop cut out of a structure.")
    ] = None,
    loops_index: Annotated[
        Path | None, typer.Option(help="CSV with a column id, and optionally pdb_id and date of each loop.")
    ] = None,
) -> None:
    """Make a library of templates. The same files give the same content; the last line is one JSON object."""
    from rna_predict.data.loop_files import read_loops, with_loops
    from rna_predict.data.sources import read_index
    from rna_predict.data.template_library import LibrarySettings, build_library
    from rna_predict.templates.lance import write

    if loops_index and not loops:
        raise ConfigError("--loops-index is of the files of --loops: give both, or neither.")

    settings = LibrarySettings(split=split, identity=identity, min_length=min_length, min_atoms=min_atoms)
    words = f"--split '{split}' --identity {identity:g} --min-length {min_length} --min-atoms {min_atoms:g}"
    words += (" --loops FOLDER" if loops else "") + (" --loops-index INDEX" if loops_index else "")
    made_by = {"command": f"rna-predict templates build {words}", "source": origin or source.name}
    library = build_library(source, settings, made_by, lambda name: LOG.debug("%s", name))
    chains = library.rows
    figures = {
        "chains": len(chains),
        "residues": sum(len(row.sequence) for row in chains),
        "clusters": len({row.cluster for row in chains}),
    }
    if loops:
        reading = read_loops(loops, read_index(loops_index).rows if loops_index else {})
        for refusal in reading.refusals:
            LOG.warning("no loop, left out: %s", refusal.reason)
        library = with_loops(library, reading)
        figures |= {"loops": len(reading.rows), "loops_left_out": len(reading.refusals)}
    if out.suffix == ".safetensors":
        library.save(out)
    else:
        write(library, out)
    LOG.info("%s: %d chains, %d loops", out, len(chains), len(library.rows) - len(chains))
    print_result([], figures | {"digest": library.digest})


@app.command("search")
def search(
    fasta: Annotated[Path, typer.Argument(help="FASTA with one RNA or many; may be gzipped.")],
    library: LibraryOption = "",
    max_hits: Annotated[int, typer.Option(min=1, help="Most templates of one RNA.")] = 5,
    min_expected_tm: Annotated[float, typer.Option(help="Least expected TM-score.")] = 0.0,
    max_identity: Annotated[float, typer.Option(help="Leave out chains that share more of the shorter one.")] = 1.0,
) -> None:
    """Print the templates of each RNA under stage A's pairs, a line for each; the last line is one JSON object."""
    from rna_predict.formats.fasta import read_fasta
    from rna_predict.stage_a_adjacency.config import StageAConfig
    from rna_predict.stage_a_adjacency.stage import predict_adjacency
    from rna_predict.templates.config import TemplatesConfig
    from rna_predict.templates.library import chain_positions, open_library
    from rna_predict.templates.search import search as search_library

    records = read_fasta(fasta).records
    opened = open_library(library)
    config = TemplatesConfig(max_hits=max_hits, min_expected_tm=min_expected_tm, max_identity=max_identity)
    rows = []
    for record in records:
        for one in search_library(predict_adjacency(record, StageAConfig()), opened, config):
            hit = one.hit
            shares = ("expected_tm", "coverage", "identity", "pair_agreement")
            row = {"id": record.id, "template": hit.id, "length": hit.length}
            rows.append(row | {name: getattr(hit, name) for name in shares})
    found, chains = len({row["id"] for row in rows}), len(chain_positions(opened.rows))
    print_result(rows, {"library": chains, "rnas": len(records), "with_template": found, "hits": len(rows)})


@app.command("calibrate")
def calibrate(
    dataset: Annotated[Path, typer.Argument(help="Folder of a dataset.")],
    out: Annotated[Path, typer.Option(help="The JSON file to write.")],
    library: LibraryOption = "",
    split: Annotated[str, typer.Option(help="Split whose chains are looked up and fitted.")] = "train",
) -> None:
    """Fit the expected TM-score of a hit to those of chains of known structure; minutes on one core."""
    from rna_predict.cli.template_calibration import fit_samples, queries, sample_split
    from rna_predict.data.dataset import open_dataset
    from rna_predict.templates.config import TemplatesConfig
    from rna_predict.templates.library import open_library

    set_threads(1)
    opened, chains = open_library(library), open_dataset(dataset)
    shortest = TemplatesConfig().min_length
    with steps(len(queries(chains, split, shortest, seed=0))) as progress:

        def advance(name: str) -> None:
            progress.now(name)
            progress.done()

        samples = sample_split(chains, opened, split, shortest, advance)
    made_by: dict[str, object] = {
        "command": f"rna-predict templates calibrate DATASET --split {split}",
        "dataset": chains.digest,
        "library": opened.digest,
    }
    _write_fit(fit_samples(samples, made_by), out)


@app.command("calibrate-motifs")
def calibrate_motifs(
    out: Annotated[Path, typer.Option(help="The JSON file to write.")], library: LibraryOption = ""
) -> None:
    """Fit the expected lDDT of a known loop to those of a library's own loops; seconds on one core."""
    from rna_predict.cli.library_calibration import calibrate_motifs
    from rna_predict.templates.library import open_library

    _write_fit(calibrate_motifs(open_library(library)), out)


@app.command("calibrate-local")
def calibrate_local(
    out: Annotated[Path, typer.Option(help="The JSON file to write.")], library: LibraryOption = ""
) -> None:
    """Fit the expected share of right pairs of a known stretch to a library's own chains; seconds on one core."""
    from rna_predict.cli.library_calibration import calibrate_local
    from rna_predict.templates.library import open_library

    _write_fit(calibrate_local(open_library(library)), out)


@app.command("calibrate-stretches")
def calibrate_stretches(
    out: Annotated[Path, typer.Option(help="The JSON file to write.")], library: LibraryOption = ""
) -> None:
    """Fit the expected lDDT of a known stretch to a library's own chains; seconds on one core."""
    from rna_predict.cli.library_calibration import calibrate_stretches
    from rna_predict.templates.library import open_library

    _write_fit(calibrate_stretches(open_library(library)), out)


def _write_fit(calibration: "Calibration | LogisticFit", out: Path) -> None:
    """Write a fit, and print how it was made and how good it is."""
    from rna_predict.atomic import atomic_path

    with atomic_path(out) as temporary:
        temporary.write_text(calibration.text(), encoding="utf-8")
    print_result([], {name: value for name, value in calibration.made_by.items() if name != "command"})


def stage_templates(
    ids: Ids,
    root: Root = STAGES_ROOT,
    config: Config = None,
    threads: Threads = 1,
    status: Status = None,
    store: StoreFolder = None,
    upstream: Upstream = None,
    attempts_left: AttemptsLeft = 0,
) -> None:
    """Known structures that are like the RNA, threaded onto it, from the base pairs."""
    set_threads(threads)

    def load() -> Work:
        from rna_predict.templates.stage import find_templates, write_summary

        def work(files: "StageFiles", settings: Any) -> None:
            templates = find_templates(files.adjacency(files.sequence()), settings)
            for found in (*templates.hits, *templates.motifs):
                LOG.info("%s: %s", files.id, found.sentence)
            templates.save(files.path("t_templates.safetensors"))
            write_summary(templates, files.path("t_templates.json"))

        return work

    run = StageRun(
        stage="templates",
        ids=ids,
        config=config,
        status=status,
        store=store,
        upstream=upstream,
        attempts_left=attempts_left,
    )
    run_stage(run, root, load)
