"""The weights of stage A's network that the package carries; weights/folding_small.md says what they are."""

from importlib import resources
from pathlib import Path

from rna_predict.errors import WeightsError


def carried_weights() -> Path:
    """Their file.

    Raises:
        WeightsError: the package was installed without it.
    """
    path = Path(str(resources.files("rna_predict") / "weights" / "folding_small.safetensors"))
    if not path.is_file():
        raise WeightsError(f"{path}: the package's own weights are missing. Install the package again.")
    return path
