"""Profile HMMs of families: built from a seed with pyhmmer, kept as one byte a parameter, and read back.

HMMER3: Eddy 2011, PLoS Comput Biol 7:e1002195. pyhmmer: Larralde & Zeller 2023, Bioinformatics 39:btad214.
"""

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from pyhmmer.easel import Alphabet, MatrixF, MSAFile
from pyhmmer.plan7 import HMM, Background, Builder

from rna_predict.families.seeds import SeedAlignment

RNA = Alphabet.rna()
LETTERS = "ACGU"
"""Order of the emissions."""
STEP_BITS = 1 / 16
"""A parameter p is kept as -log2(p) in steps of this size; `NEVER` is p = 0."""
NEVER = 255
TRANSITIONS = ((0, 3), (3, 5), (5, 7))
"""Columns of the seven transitions that sum to one: from match (to M, I, D), insertion (M, I), deletion (M, D)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileCodes:
    """A profile as bytes.

    Attributes:
        match_M4: uint8 [M, 4], emissions of the match states, in the order of `LETTERS`.
        transition_M7: uint8 [M + 1, 7]; row 0 is the begin state's.
        evalue_6: float32, μ and λ of the MSV and Viterbi scores, τ and λ of the forward score.
    """

    match_M4: np.ndarray
    transition_M7: np.ndarray
    evalue_6: np.ndarray


def build_profile(seed: SeedAlignment) -> ProfileCodes:
    """The profile of a seed; its match states are the columns of the seed's line RF ("hand" architecture).

    HMMER's defaults: position-based weights, entropy weighting, its nucleotide prior, a fixed seed for calibration.
    """
    lines = [f"{n} {row}" for n, row in enumerate(seed.rows)]
    text = "\n".join(["# STOCKHOLM 1.0", *lines, f"#=GC RF {seed.reference}", "//", ""])
    # read from text: an alignment made in memory with its `reference` set crashes in pyhmmer 0.12.3 (heap)
    msa: Any = MSAFile(io.BytesIO(text.encode()), format="stockholm", digital=True, alphabet=RNA).read()
    msa.name = seed.accession
    hmm: Any = Builder(RNA, architecture="hand", seed=42).build_msa(msa, Background(RNA))[0]
    return ProfileCodes(
        match_M4=_encode(np.asarray(hmm.match_emissions)[1:]),
        transition_M7=_encode(np.asarray(hmm.transition_probabilities)),
        evalue_6=np.array(hmm.evalue_parameters.as_vector(), dtype=np.float32),
    )


def open_profile(name: str, codes: ProfileCodes) -> HMM:
    """The profile as pyhmmer searches with it; insertions emit the background."""
    length = len(codes.match_M4)
    hmm: Any = HMM(RNA, length, name)  # pyhmmer's stubs lack its matrices
    match_M4 = _decode(codes.match_M4)
    _fill(hmm.match_emissions, slice(1, None), match_M4 / match_M4.sum(axis=1, keepdims=True))
    _fill(hmm.match_emissions, slice(0, 1), np.array([[1.0, 0.0, 0.0, 0.0]]))  # HMMER's own for the begin state
    _fill(hmm.insert_emissions, slice(None), np.full((length + 1, 4), 0.25))
    transition_M7 = _decode(codes.transition_M7)
    for first, last in TRANSITIONS:
        transition_M7[:, first:last] /= transition_M7[:, first:last].sum(axis=1, keepdims=True)
    _fill(hmm.transition_probabilities, slice(None), transition_M7)
    np.asarray(hmm.evalue_parameters.as_vector())[:] = codes.evalue_6
    hmm.set_composition()
    hmm.set_consensus()
    return hmm


def _fill(matrix: MatrixF, rows: slice, values: np.ndarray) -> None:
    np.asarray(matrix)[rows] = values


def _encode(probability: np.ndarray) -> np.ndarray:
    bits = -np.log2(np.maximum(probability, 1e-30)) / STEP_BITS
    return np.where(probability > 0, np.clip(np.round(bits), 0, NEVER - 1), NEVER).astype(np.uint8)


def _decode(code: np.ndarray) -> np.ndarray:
    return np.where(code == NEVER, 0.0, np.exp2(-STEP_BITS * code.astype(np.float64)))
