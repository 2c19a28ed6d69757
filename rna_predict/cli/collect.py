"""`rna-predict collect`: put one RNA's results from the store in place, as `results/stages/<id>/` and `results/preds/`.

Run once for each RNA on the submit host, so it imports the standard library alone.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

ABOUT = "Put one RNA's results from the store in place."

PREDICTION = "prediction"
LISTING = "entry.json"


def main(arguments: Sequence[str]) -> int:
    """Place the files of one RNA.

    Returns:
        0; 1 where a stage failed on this RNA, with its reason on stderr; 2 where the status or the store is damaged.
    """
    parser = argparse.ArgumentParser(prog="rna-predict collect", description=ABOUT)
    parser.add_argument("id", help="which RNA")
    parser.add_argument("--status", type=Path, required=True, help="status of its batch after a stage")
    parser.add_argument("--store", type=Path, required=True, help="the store that the batch wrote to")
    parser.add_argument("--stages", type=Path, required=True, help="folder that gets <id>/ with the stages' files")
    parser.add_argument("--preds", type=Path, help="folder that gets <id>.pdb and <id>.cif")
    options = parser.parse_args(arguments)
    try:
        row = json.loads(options.status.read_text(encoding="utf-8"))[options.id]
        if row["status"] != "done":
            sys.stderr.write(f"{options.id}: failed: {row['reason']}\n")
            return 1
        for entry in row["entries"].values():
            place_entry(options, options.store / entry)
    except (OSError, KeyError, TypeError, ValueError) as error:
        sys.stderr.write(f"rna-predict: {options.status}: {type(error).__name__}: {error}. Remove it and run again.\n")
        return 2
    return 0


def place_entry(options: argparse.Namespace, entry: Path) -> None:
    """Link the files of one entry into the folders of the contract."""
    for name in json.loads((entry / LISTING).read_text(encoding="utf-8"))["files"]:
        stem, _, suffix = name.partition(".")
        if stem != PREDICTION:
            link(entry / name, options.stages / options.id / name)
        elif options.preds is not None:
            link(entry / name, options.preds / f"{options.id}.{suffix}")


def link(source: Path, target: Path) -> None:
    """A hard link with today's time, under a temporary name and renamed; a copy where the file system has none.

    A target that is the same file already gets the time alone: Snakemake compares it with the status's.
    """
    if target.exists() and target.samefile(source):
        os.utime(target)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as folder:
        temporary = Path(folder) / target.name
        try:
            os.link(source, temporary)
        except OSError:
            shutil.copyfile(source, temporary)
        os.utime(temporary)
        temporary.replace(target)
