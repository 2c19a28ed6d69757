"""`rna-predict plan`: the memory and the time that the networks will take, before they run."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rna_predict.cli.bench import print_result
from rna_predict.cli.threads import set_threads

if TYPE_CHECKING:
    from rna_predict.nn.architecture import Architecture
    from rna_predict.nn.cost import Run

NOTE = """\
An estimate for float32 on this machine's CPU, from the networks' sizes and the machine's speed as just measured:
within a factor of 2 in time and 1.5 in memory. Not counted: stages A and C, guidance and refinement of the models.
"""


def plan(
    length: Annotated[int, typer.Option(min=1, help="Residues of the RNA.")],
    profile: Annotated[str, typer.Option(help="nano, small, tiny, mini, base, v2, or a file's stem.")],
    models: Annotated[int | None, typer.Option(min=1, help="Models of stage D; stage D's default.")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Denoising steps; stage D's default.")] = None,
    cycles: Annotated[int | None, typer.Option(min=1, help="Cycles of the trunk; the profile's.")] = None,
    msa_rows: Annotated[int, typer.Option(min=1, help="Rows of the alignment, the RNA itself included.")] = 1,
    threads: Annotated[int, typer.Option(min=1, help="Threads for OpenMP, BLAS and torch.")] = 1,
    profile_dir: Annotated[Path | None, typer.Option(help="Folder with profiles in files.")] = None,
) -> None:
    """Print memory and time of stages B and D on the networks, part by part; the last line is one JSON object."""
    set_threads(threads)
    from rna_predict.cli.machine_speed import measure
    from rna_predict.nn.cost import Run
    from rna_predict.nn.profiles import find_profile
    from rna_predict.stage_d_diffusion.config import StageDConfig

    architecture, defaults = find_profile(profile, profile_dir), StageDConfig()
    run = Run(
        length=length,
        cycles=cycles or architecture.cycles,
        models=models or defaults.models,
        steps=steps or defaults.diffusion_steps,
        msa_rows=msa_rows,
        samples_at_once=defaults.samples_at_once,
    )
    rows, figures = estimate(architecture, run, measure(architecture, length, min(run.models, run.samples_at_once)))
    typer.echo(NOTE)
    for name, value in figures.items():
        typer.echo(f"{name:<22}{value}")
    typer.echo()
    print_result(rows, figures)


def estimate(
    architecture: "Architecture", run: "Run", speeds: dict[str, float]
) -> tuple[list[dict[str, object]], dict[str, object]]:
    """Rows of the table, a part each, and the figures of the whole.

    Args:
        architecture: sizes of the networks.
        run: what is run.
        speeds: of this machine, from `machine_speed.measure`.
    """
    from rna_predict.nn.cost import STAGES, pair_bytes, parameters, peak_bytes, seconds, works

    rows: list[dict[str, object]] = []
    figures: dict[str, object] = {
        "profile": architecture.name,
        "length": run.length,
        "cycles": run.cycles,
        "models": run.models,
        "steps": run.steps,
        "msa_rows": run.msa_rows,
        "parameters": parameters(architecture),
        "weights_mb": round(4 * parameters(architecture) / 1e6, 1),
        "pair_mb": round(pair_bytes(architecture, run.length) / 1e6, 1),
    }
    for stage, parts in works(architecture, run).items():
        times = {name: seconds(work, speeds) for name, work in parts.items()}
        rows += [
            {
                "part": f"{stage} {name}",
                "parameters": work.parameters,
                "GFLOP": round(work.flops / 1e9, 1),
                "seconds": round(times[name], 2),
            }
            for name, work in parts.items()
        ]
        figures[f"{stage}_seconds"] = round(sum(times.values()), 1)
    for stage in STAGES:
        figures[f"{stage}_peak_mb"] = round(peak_bytes(architecture, stage, run) / 1e6)
    return rows, figures
