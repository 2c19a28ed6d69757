"""The letters of sequences and alignments as AF3-class networks number them.

32 letters: 20 amino acids and an unknown one (0-20), A G C U and any nucleotide (21-25), the same of DNA (26-30), gap.
The order is that of AF3's supplement, table 13, and of Protenix, whose weights depend on it.
"""

import numpy as np

from rna_predict.chemistry.residues import RESIDUES, residue_codes

LETTER_ID = {"A": 21, "G": 22, "C": 23, "U": 24}
ANY_ID = 25
"""N, and every other IUPAC letter that stands for more than one base."""
GAP_ID = 31

_ID_OF_CODE = np.array([LETTER_ID[letter] for letter in RESIDUES])


def letter_ids(sequence: str) -> np.ndarray:
    """Number of each letter, int64 [L].

    Raises:
        ValueError: a letter is not one of A C G U.
    """
    return _ID_OF_CODE[residue_codes(sequence)]
