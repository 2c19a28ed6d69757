"""`rna-predict relax IN OUT`: a model minimised in a force field, or the model as it was where that is no better."""

import dataclasses
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rna_predict.cli.console import LOG
from rna_predict.cli.threads import set_threads
from rna_predict.errors import InputError

if TYPE_CHECKING:
    from rna_predict.relax.judge import Measured
    from rna_predict.relax.stage import Relaxed

ENDINGS = (".pdb", ".ent", ".cif", ".mmcif")


def relax(
    model: Annotated[Path, typer.Argument(metavar="IN", help="A model, PDB or mmCIF; of several its first.")],
    out: Annotated[
        Path, typer.Argument(metavar="OUT", help="File .pdb or .cif; or a folder for <id>.pdb and <id>.cif.")
    ],
    confidence: Annotated[
        Path | None,
        typer.Option(help="d_confidence.json (<id>.json) of IN: OUT then holds what `export` writes, relaxed."),
    ] = None,
    chain: Annotated[str | None, typer.Option(help="Author's chain name, where IN has several RNA chains.")] = None,
    solvent: Annotated[str | None, typer.Option(help="none, vacuum, obc2 or gbn2.")] = None,
    stiffness: Annotated[float | None, typer.Option(help="Of the restraints to IN, kcal/mol/Å².")] = None,
    seconds: Annotated[float | None, typer.Option(help="Most time of the minimiser.")] = None,
    threads: Annotated[int, typer.Option(min=1, help="Threads of OpenMM.")] = 1,
) -> None:
    """Relax a model with OpenMM (AMBER RNA OL3), restrained to where it is; B-factors stay.

    Never worse: IN is written again where the result has a new chain break, inverted sugar centre, pierced ring, clash
    or stretched bond, or has lost a base pair; the log and the file say so. The last line is one JSON object.
    """
    set_threads(threads)
    from rna_predict.cli.bench import print_result
    from rna_predict.formats.structure import read_structure
    from rna_predict.formats.structure_file import read_b_factors, write_structure
    from rna_predict.relax.config import RelaxConfig
    from rna_predict.relax.stage import relax as run

    given = {"solvent": solvent, "stiffness": stiffness, "seconds": seconds}
    config = RelaxConfig(**{name: value for name, value in given.items() if value is not None})  # pyright: ignore
    if confidence is None:
        structure = read_structure(model, chain, together=True)
        b_LA = read_b_factors(model, structure, chain)
        relaxed = run(structure, config, threads)
        for path in _paths(out, structure.id):
            write_structure(relaxed.structure, path, b_LA, remarks=_remarks(relaxed.how))
    else:
        relaxed = _relax_best(model, confidence, out, config, threads)
    log = LOG.warning if relaxed.kept else LOG.info
    log("%s: %s", relaxed.structure.id, relaxed.how)
    rows = [_row(name, found) for name, found in (("before", relaxed.before), ("after", relaxed.after)) if found]
    print_result(rows, _figures(relaxed))


def _paths(out: Path, id: str) -> list[Path]:
    """The files that OUT stands for."""
    if out.suffix in ENDINGS and not out.is_dir():
        return [out]
    if out.is_file():
        raise InputError(f"{out}: is a file that ends in none of {', '.join(ENDINGS)}. Name a folder or such a file.")
    return [out / f"{id}.pdb", out / f"{id}.cif"]


def _remarks(how: str) -> list[str]:
    """Lines as long as PDB has room for."""
    return textwrap.wrap(how, 68)


def _relax_best(model: Path, confidence: Path, out: Path, config, threads: int) -> "Relaxed":
    """The best model of an ensemble, with its confidence and provenance."""
    import numpy as np

    from rna_predict.formats.models import read_ensemble, write_best_cif, write_best_pdb
    from rna_predict.relax.stage import relax as run

    ensemble = read_ensemble(model, confidence)
    relaxed = run(ensemble.structure(0), config, threads)
    best = dataclasses.replace(ensemble.models[0], xyz_LA3=relaxed.structure.xyz_LA3.astype(np.float32))
    provenance = dataclasses.replace(ensemble.provenance, method=f"{ensemble.provenance.method}; {relaxed.how}")
    ensemble = dataclasses.replace(ensemble, models=(best, *ensemble.models[1:]), provenance=provenance)
    for path in _paths(out, ensemble.id):
        if path.suffix in (".pdb", ".ent"):
            write_best_pdb(ensemble, path, remarks=_remarks(relaxed.how))
        else:
            write_best_cif(ensemble, path)
    return relaxed


def _row(name: str, found: "Measured") -> dict[str, object]:
    report = found.geometry
    return {
        "model": name,
        "clash": report.clash_score,
        "breaks": report.bonds.breaks,
        "bond_max": report.bonds.bond_max,
        "angle_outliers": report.bonds.angle_outliers,
        "inverted": report.inverted,
        "pierced": report.pierced,
        "nonplanar": report.nonplanar,
        "pairs": len(found.pairs),
    }


def _figures(relaxed: "Relaxed") -> dict[str, object]:
    before, after = relaxed.energies or (None, None)
    return {
        "id": relaxed.structure.id,
        "relaxed": not relaxed.kept,
        "reason": relaxed.kept,
        "moved": relaxed.moved,
        "energy_before": before,
        "energy_after": after,
        "seconds": relaxed.seconds,
    }
