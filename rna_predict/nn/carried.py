"""The weights that the package carries; beside each a card in weights/ says what it is."""

from importlib import resources
from pathlib import Path

from rna_predict.errors import WeightsError


def carried_weights(name: str) -> Path:
    """The file weights/<name>.safetensors.

    Raises:
        WeightsError: the package was installed without it.
    """
    path = Path(str(resources.files("rna_predict") / "weights" / f"{name}.safetensors"))
    if not path.is_file():
        raise WeightsError(f"{path}: the package's own weights are missing. Install the package again.")
    return path
