"""Stage B's pair representation: what stage D is conditioned on."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from rna_predict.chemistry.residues import CHI_FOURTH, SLOT
from rna_predict.contracts.record import Record, array
from rna_predict.errors import ContractError

DISTOGRAM_EDGES = tuple(2.0 + 0.3125 * k for k in range(1, 64))
"""Upper edges in Å of the first 63 of 64 distance bins, 2.3125 … 21.6875 (AF3: 64 bins between 2 and 22 Å)."""

DISTOGRAM_ATOMS: dict[str, dict[str, str]] = {
    "C1'": dict.fromkeys("ACGU", "C1'"),
    "C4/C2": CHI_FOURTH,
}
"""Atom of each residue that a distogram measures from, by the name in `Embeddings.distogram_atoms`.

`C4/C2` is C4 of A and G and C2 of C and U, as in AF3 (section 4.4) and Protenix: the last atom of χ.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Embeddings(Record):
    """Input embedding, single and pair representation, and the distogram.

    Version 2 added `inputs_LI`, `distogram_atoms` and `conformer_seed`.

    Attributes:
        inputs_LI: float32 [L, c_inputs], the trunk's input embedding (AF3's s_inputs), which stage D's networks read
            beside `single_LS`; no columns where no network made the embeddings (the prior table).
        single_LS: float32 [L, c_s].
        pair_LLZ: float32 [L, L, c_z].
        distogram_LL64: float32 [L, L, 64], logits over distance bins (`DISTOGRAM_EDGES`) between `distogram_atoms`.
        distogram_atoms: which atoms, a key of `DISTOGRAM_ATOMS`: `C1'` (the prior table) or `C4/C2` (the trunk).
        conformer_seed: how the reference conformers were turned; stage D's networks must see the same ones.
        channels: names of the pair channels where they have a meaning (the baseline), else empty.
    """

    SCHEMA: ClassVar[str] = "rna_predict.embeddings"
    VERSION: ClassVar[int] = 2
    STAGE: ClassVar[str] = "stage_b"

    inputs_LI: np.ndarray = array("float32")
    single_LS: np.ndarray = array("float32")
    pair_LLZ: np.ndarray = array("float32")
    distogram_LL64: np.ndarray = array("float32")
    distogram_atoms: str
    conformer_seed: int
    channels: list[str]

    def __post_init__(self) -> None:
        """Raise ContractError when a shape is off, the atoms are unknown, or a channel lacks its name."""
        Record.__post_init__(self)
        length = self.length
        self.expect_shape("inputs_LI", (length, -1))
        self.expect_shape("single_LS", (length, -1))
        self.expect_shape("pair_LLZ", (length, length, -1))
        self.expect_shape("distogram_LL64", (length, length, len(DISTOGRAM_EDGES) + 1))
        if self.distogram_atoms not in DISTOGRAM_ATOMS:
            known = ", ".join(DISTOGRAM_ATOMS)
            raise ContractError(f"distogram_atoms of {self.id}: {self.distogram_atoms!r} is unknown. Known: {known}.")
        if self.channels and len(self.channels) != self.pair_LLZ.shape[2]:
            found = f"{len(self.channels)} names for {self.pair_LLZ.shape[2]} channels"
            raise ContractError(f"channels of {self.id}: {found} of pair_LLZ")

    def distogram_slots(self) -> np.ndarray:
        """int64 [L], slot of each residue's distogram atom in arrays of shape [L, MAX_ATOMS, 3]."""
        atoms = DISTOGRAM_ATOMS[self.distogram_atoms]
        return np.array([SLOT[letter][atoms[letter]] for letter in self.sequence], dtype=np.int64)
