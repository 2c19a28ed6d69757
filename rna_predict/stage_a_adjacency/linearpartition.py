"""The LinearPartition backend, for sequences of thousands of nucleotides: an executable that the user installs.

Zhang, Zhang, Mathews and Huang 2020, LinearPartition, Bioinformatics 36:i258. It keeps the best `linearpartition_beam`
states of each kind at each position, so that its time grows with the length and not with the cube. Run as
`linearpartition -V` (the energies of ViennaRNA, 37 °C), sequence on standard input, probabilities into a file of lines
`i j p`, 1-based.
"""

import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from rna_predict.errors import ConfigError, PredictionError
from rna_predict.stage_a_adjacency.config import StageAConfig
from rna_predict.stage_a_adjacency.folding import Constraints, Fold, pair_probabilities

SMALLEST_PROBABILITY = 1e-5
"""Pairs below it are not asked for."""


def fold(sequence: str, config: StageAConfig, constraints: Constraints) -> Fold:
    """Compute pair probabilities; the matching is read from them.

    Raises:
        ConfigError: the executable is not there.
        PredictionError: it failed, or what it wrote is not understood.
    """
    del constraints  # the registry lets none through
    executable = shutil.which(config.linearpartition)
    if executable is None:
        raise ConfigError(
            f"stage_a.linearpartition: {config.linearpartition!r} is no executable on the PATH. Build LinearPartition "
            "(github.com/LinearFold/LinearPartition) and name its path here, or use backend viennarna."
        )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pairs.txt"
        command = [executable, "-V", "-b", str(config.linearpartition_beam), "-c", str(SMALLEST_PROBABILITY)]
        try:
            done = subprocess.run(
                [*command, "-r", str(path)], input=f"{sequence}\n", capture_output=True, text=True, check=False
            )
        except OSError as error:
            raise PredictionError(f"{executable}: cannot be run ({error}). Check the file.") from error
        if done.returncode != 0 or not path.is_file():
            said = " ".join((done.stderr or done.stdout).split())[-300:]
            raise PredictionError(
                f"{executable}: exit code {done.returncode}, no probabilities written. It said: {said or 'nothing'}"
            )
        upper_LL = read_pairs(path, len(sequence))
    return Fold(probability_LL=pair_probabilities(upper_LL), partner_L=None)


def read_pairs(path: Path, length: int) -> np.ndarray:
    """Pair probabilities i < j, float64 [L, L], from LinearPartition's file; blank lines and a > line are left out.

    Raises:
        PredictionError: naming the line that is not `i j p` with two of the residues and a probability.
    """
    upper_LL = np.zeros((length, length))
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        if not line.strip() or line.startswith(">"):
            continue
        try:
            first, second, probability = line.split()
            i, j, p = int(first), int(second), float(probability)
        except ValueError as error:
            raise PredictionError(f"{path.name}, line {number}: {line[:80]!r} is not `i j p`") from error
        if not (1 <= i < j <= length and 0 <= p <= 1 + 1e-3):  # a beam's sums may exceed 1 a little
            raise PredictionError(f"{path.name}, line {number}: {line[:80]!r} is no pair of the {length} residues")
        upper_LL[i - 1, j - 1] = p
    return upper_LL
