"""Stage B's pair representation: what stage D is conditioned on."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from rna_predict.contracts.record import Record, array
from rna_predict.errors import ContractError

DISTOGRAM_EDGES = tuple(2.0 + 0.3125 * k for k in range(1, 64))
"""Upper edges in Å of the first 63 of 64 distance bins, 2.3125 … 21.6875 (AF3: 64 bins between 2 and 22 Å)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Embeddings(Record):
    """Single and pair representation and the distogram.

    Attributes:
        single_LS: float32 [L, c_s].
        pair_LLZ: float32 [L, L, c_z].
        distogram_LL64: float32 [L, L, 64], logits over distance bins between C1' atoms (`DISTOGRAM_EDGES`).
        channels: names of the pair channels where they have a meaning (the baseline), else empty.
    """

    SCHEMA: ClassVar[str] = "rna_predict.embeddings"
    STAGE: ClassVar[str] = "stage_b"

    single_LS: np.ndarray = array("float32")
    pair_LLZ: np.ndarray = array("float32")
    distogram_LL64: np.ndarray = array("float32")
    channels: list[str]

    def __post_init__(self) -> None:
        """Raise ContractError when a shape is off or the channels' names are not as many as the channels."""
        Record.__post_init__(self)
        length = self.length
        self.expect_shape("single_LS", (length, -1))
        self.expect_shape("pair_LLZ", (length, length, -1))
        self.expect_shape("distogram_LL64", (length, length, len(DISTOGRAM_EDGES) + 1))
        if self.channels and len(self.channels) != self.pair_LLZ.shape[2]:
            found = f"{len(self.channels)} names for {self.pair_LLZ.shape[2]} channels"
            raise ContractError(f"channels of {self.id}: {found} of pair_LLZ")
