"""What `rna-predict bench fold` predicts: natives of one folder or several, each folder a set."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rna_predict.cli.shared_natives import natives_folder
from rna_predict.contracts import Structure
from rna_predict.errors import InputError, RnaPredictError
from rna_predict.evaluation.folder import structure_files
from rna_predict.formats.reading import read_text
from rna_predict.formats.structure import read_structure

VALIDATION = "validation"
"""Name of the set that is measured where no folder is named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One RNA with its native.

    Attributes:
        set: the folder that it comes from, by name.
        id: name of its file.
        native: None where it cannot be read.
        sequence: what is predicted; empty without a native.
        cluster: RNAs of one cluster resemble each other, and intervals draw them together.
        reason: why there is no native.
    """

    set: str
    id: str
    native: Structure | None
    sequence: str
    cluster: str
    reason: str = ""


def read_targets(
    folders: Sequence[Path], table: Path | None, chains: Mapping[str, str], max_length: int
) -> tuple[list[Target], int]:
    """The targets of all folders, and how many are left out because they are longer than `max_length` (0: none is).

    Args:
        folders: each with `<id>.pdb` or `<id>.cif`, also .gz; a single file counts as a folder of one. Without any the
            validation targets that `RNA_PREDICT_SHARED` names.
        table: CSV or TSV with the column id, these are taken; with sequence, it is predicted instead of the residues
            that the native shows; with cluster, intervals draw clusters.
        chains: author's chain name by id, where a file has several RNA chains.
        max_length: of the sequences.

    Raises:
        InputError: no native, two folders of one name, or an id of the table without a file.
    """
    if not folders:
        shared = natives_folder()
        sets = {VALIDATION: structure_files(shared / "chains")}
        table = table or shared / "validation_targets.csv"
    else:
        sets = _sets(folders)
    rows = None if table is None else read_table(table)
    if rows is not None:
        lost = sorted(set(rows) - {id for files in sets.values() for id in files})
        if lost:
            raise InputError(f"--targets {table}: {lost[0]} (and {len(lost) - 1} more) has no native in these folders.")
    found = [
        _target(name, id, path, chains.get(id), (rows or {}).get(id, {}))
        for name, files in sets.items()
        for id, path in sorted(files.items())
        if rows is None or id in rows
    ]
    if not found:
        raise InputError(f"{', '.join(map(str, folders))}: no structure file (.pdb, .cif, also .gz) to predict.")
    kept = [target for target in found if not max_length or len(target.sequence) <= max_length]
    return kept, len(found) - len(kept)


def read_table(path: Path) -> dict[str, dict[str, str]]:
    """Rows of a comma- or tab-separated table by the column id.

    Raises:
        InputError: no such column, or an id twice.
    """
    lines = [line for line in read_text(path).splitlines() if line.strip() and not line.startswith("#")]
    reader = csv.DictReader(lines, delimiter="\t" if lines and "\t" in lines[0] else ",")
    if "id" not in (reader.fieldnames or []):
        raise InputError(f"--targets {path}: no column id; found {reader.fieldnames}.")
    rows: dict[str, dict[str, str]] = {}
    for row in reader:
        if row["id"] in rows:
            raise InputError(f"--targets {path}: id {row['id']} stands twice. Remove one.")
        rows[row["id"]] = {name: value for name, value in row.items() if value}
    return rows


def _sets(folders: Sequence[Path]) -> dict[str, dict[str, Path]]:
    sets: dict[str, dict[str, Path]] = {}
    for folder in folders:
        name = folder.resolve().name
        if name in sets:
            raise InputError(f"{folder}: a set {name} is there already. Rename one of the folders.")
        sets[name] = {name.split(".")[0]: folder} if folder.is_file() else structure_files(folder)
    return sets


def _target(set: str, id: str, path: Path, chain: str | None, row: Mapping[str, str]) -> Target:
    try:
        native = read_structure(path, chain, id)
    except RnaPredictError as error:
        return Target(set=set, id=id, native=None, sequence="", cluster=id, reason=str(error))
    return Target(
        set=set,
        id=id,
        native=native,
        sequence=row.get("sequence", native.sequence).upper().replace("T", "U"),
        cluster=row.get("cluster", id),
    )
