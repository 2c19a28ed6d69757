"""Where the benchmarks find native structures, which the package does not carry."""

import os
from pathlib import Path

from rna_predict.errors import InputError


def natives_folder() -> Path:
    """The folder `rna3d` with index.csv, validation_targets.csv and chains/.

    Raises:
        InputError: it is not there; the message says how to name it.
    """
    folder = Path(os.environ.get("RNA_PREDICT_SHARED", "../shared")) / "data" / "rna3d"
    if not (folder / "validation_targets.csv").is_file():
        raise InputError(f"{folder}: no natives here; set RNA_PREDICT_SHARED to the folder that holds data/rna3d")
    return folder
