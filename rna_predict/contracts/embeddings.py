"""Stage B's pair representation: what stage D is conditioned on."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from rna_predict.chemistry.residues import CHI_FOURTH, SLOT
from rna_predict.contracts.record import Record, array
from rna_predict.errors import ContractError

DISTOGRAM_EDGES = tuple(2.0 + 0.3125 * k for k in range(1, 64))
"""Upper edges in Å of the first 63 of 64 distance bins, 2.3125 … 21.6875 (AF3: 64 bins between 2 and 22 Å)."""

EDGES = {
    "af3": DISTOGRAM_EDGES,
    "wide": tuple(4.0 + k for k in range(47)),
}
"""Upper edges in Å of all bins but the last, open one, by the name in `Embeddings.distogram_bins`.

`wide` has 48 bins of 1 Å from 3 to 50 Å, which reach across most RNAs."""

DISTOGRAM_ATOMS: dict[str, dict[str, str]] = {
    "C1'": dict.fromkeys("ACGU", "C1'"),
    "C4/C2": CHI_FOURTH,
    "P": dict.fromkeys("ACGU", "P"),
    "N1/N3": {"A": "N1", "G": "N1", "C": "N3", "U": "N3"},
}
"""Atom of each residue that a distogram measures from, by the name in `Embeddings.distogram_atoms`.

`C4/C2` is C4 of A and G and C2 of C and U, as in AF3 (section 4.4) and Protenix: the last atom of χ.
"""


def atom_slots(atoms: str, sequence: str) -> np.ndarray:
    """int64 [L], slot of each residue's atom of a kind (a key of `DISTOGRAM_ATOMS`) in arrays [L, MAX_ATOMS, 3]."""
    names = DISTOGRAM_ATOMS[atoms]
    return np.array([SLOT[letter][names[letter]] for letter in sequence], dtype=np.int64)


def bin_centres(edges: tuple[float, ...]) -> np.ndarray:
    """float64 [B], Å, centre of each bin; the open one counts as half a bin beyond its edge."""
    width = edges[1] - edges[0]
    return np.array([*(edge - width / 2 for edge in edges), edges[-1] + width / 2])


@dataclass(frozen=True, slots=True, kw_only=True)
class Embeddings(Record):
    """Input embedding, single and pair representation, and distograms.

    Version 2 added `inputs_LI`, `distogram_atoms` and `conformer_seed`; version 3 several distograms with bins by name.

    Attributes:
        inputs_LI: float32 [L, c_inputs], the trunk's input embedding (AF3's s_inputs), which stage D's networks read
            beside `single_LS`; no columns where no AF3-class network made the embeddings.
        single_LS: float32 [L, c_s].
        pair_LLZ: float32 [L, L, c_z].
        distogram_GLLB: float32 [G, L, L, B], logits over distance bins for each kind of atoms.
        distogram_atoms: kinds of atoms, keys of `DISTOGRAM_ATOMS`: `C1'` (the prior table), `C4/C2` (the trunk), or
            `P`, `C1'`, `N1/N3` (the geometry network).
        distogram_bins: which bins, a key of `EDGES`.
        conformer_seed: how the reference conformers were turned; stage D's networks must see the same ones.
        channels: names of the pair channels where they have a meaning (the baseline), else empty.
    """

    SCHEMA: ClassVar[str] = "rna_predict.embeddings"
    VERSION: ClassVar[int] = 3
    STAGE: ClassVar[str] = "stage_b"

    inputs_LI: np.ndarray = array("float32")
    single_LS: np.ndarray = array("float32")
    pair_LLZ: np.ndarray = array("float32")
    distogram_GLLB: np.ndarray = array("float32")
    distogram_atoms: list[str]
    distogram_bins: str
    conformer_seed: int
    channels: list[str]

    def __post_init__(self) -> None:
        """Raise ContractError when a shape is off, atoms or bins are unknown, or a channel lacks its name."""
        Record.__post_init__(self)
        length = self.length
        self.expect_shape("inputs_LI", (length, -1))
        self.expect_shape("single_LS", (length, -1))
        self.expect_shape("pair_LLZ", (length, length, -1))
        for field, known, found in (
            ("distogram_bins", EDGES, [self.distogram_bins]),
            ("distogram_atoms", DISTOGRAM_ATOMS, self.distogram_atoms),
        ):
            for name in found:
                if name not in known:
                    stated = f"{field} of {self.id}: {name!r} is unknown. Known: {', '.join(known)}."
                    raise ContractError(stated)
        bins = len(self.distogram_edges) + 1
        self.expect_shape("distogram_GLLB", (len(self.distogram_atoms), length, length, bins))
        if self.channels and len(self.channels) != self.pair_LLZ.shape[2]:
            found = f"{len(self.channels)} names for {self.pair_LLZ.shape[2]} channels"
            raise ContractError(f"channels of {self.id}: {found} of pair_LLZ")

    @property
    def distogram_edges(self) -> tuple[float, ...]:
        """Å, upper edges of all bins but the last, of equal width."""
        return EDGES[self.distogram_bins]

    def distogram_slots(self, kind: int = 0) -> np.ndarray:
        """int64 [L], slot of each residue's atom of one of `distogram_atoms` in arrays of shape [L, MAX_ATOMS, 3]."""
        return atom_slots(self.distogram_atoms[kind], self.sequence)
