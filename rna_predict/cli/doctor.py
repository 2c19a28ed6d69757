"""`rna-predict doctor`: what is installed, what works, and what to do about what does not."""

import dataclasses
import json
from pathlib import Path
from typing import Annotated

import typer

from rna_predict.cli.console import table

MARKS = {"ok": "ok", "missing": "-", "fault": "FAULT"}


def doctor(
    results: Annotated[Path, typer.Option(help="Folder that results would be written to.")] = Path("results"),
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of the table.")] = False,
) -> None:
    """Look at Python, packages, devices, memory, carried weights and folders, and say what to do about each fault.

    Exit code 1 when something is wrong that predictions need; parts that only some uses want are marked with a dash.
    """
    from rna_predict.cli.doctor_checks import all_checks

    checks = list(all_checks(results))
    faults = [check for check in checks if check.state == "fault"]
    if as_json:
        rows = [dataclasses.asdict(check) for check in checks]
        typer.echo(json.dumps({"ok": not faults, "checks": rows}, indent=1))
    else:
        typer.echo(table(("part", "", "found"), [(c.part, MARKS[c.state], c.found) for c in checks if not c.remedy]))
        for check in checks:
            if check.remedy:
                typer.echo(f"{MARKS[check.state]:<5} {check.part}: {check.found}. {check.remedy}")
        typer.echo(f"{len(faults)} faults." if faults else "All that predictions need is there.")
    if faults:
        raise typer.Exit(1)
