"""Batches of chains by a budget of residues, the same whatever stops and resumes, shared out over processes.

Padding is what a batch costs, so chains of similar length go together: an epoch's order is drawn, cut into windows of
chains, each window sorted by length and packed, and the batches' order drawn again. The batches of an epoch hang on
the seed, the epoch and the lengths alone. Process r of R takes batches r, r + R, r + 2R, …
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from rna_predict.contracts import digest_of
from rna_predict.errors import ConfigError

WINDOW = 100
"""Chains that are sorted by length together: more would pad less and mix less."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """Which process of how many this is."""

    rank: int = 0
    ranks: int = 1

    def __post_init__(self) -> None:
        """Raise ConfigError for a rank that does not exist."""
        if not 0 <= self.rank < self.ranks:
            raise ConfigError(f"rank {self.rank} of {self.ranks}: count from 0.")


class TokenBatches:
    """A batch sampler: yields lists of positions whose padded size is at most `budget` residues.

    An epoch gives every position exactly once over all ranks. All ranks get the same number of batches: where the
    number does not divide, the largest batches are halved until it does. Where that cannot be, as there are too few
    chains to halve, ranks would wait for each other for ever, and `ConfigError` says so.

    `len()` is the number of this rank's batches in the whole epoch, also after a resume in its middle.
    """

    def __init__(self, lengths: Sequence[int], budget: int, seed: int, share: Share | None = None) -> None:
        """Plan epoch 0.

        Args:
            lengths: residues of each chain as they will be cropped.
            budget: most residues of a batch, padding included: chains times the longest of them.
            seed: decides all orders.
            share: this process's place; default the only one.

        Raises:
            ConfigError: no chains, a length outside 1 to `budget`, or too few chains for the ranks.
        """
        self.length_N = np.asarray(lengths, dtype=np.int64)
        self.budget, self.seed, self.share = budget, seed, share or Share()
        if not len(self.length_N) or self.length_N.min() < 1:
            raise ConfigError("batches: no chains, or one without residues.")
        if self.length_N.max() > budget:
            raise ConfigError(
                f"batches: a chain of {self.length_N.max()} residues does not fit a budget of {budget}. "
                "Crop it, or raise the budget."
            )
        self.epoch, self.position = 0, 0
        self._batches: list[list[int]] = []
        self.set_epoch(0)

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[list[int]]:
        """The batches from `position` on; at the end of the epoch `position` is 0 again."""
        while self.position < len(self._batches):
            batch = self._batches[self.position]
            self.position += 1
            yield list(batch)
        self.position = 0

    def set_epoch(self, epoch: int) -> None:
        """Plan an epoch from its beginning; what is planned already stays where it is.

        Raises:
            ConfigError: too few chains for the ranks.
        """
        if self._batches and epoch == self.epoch:
            return
        self._batches = plan(self.length_N, self.budget, (self.seed, epoch), self.share.ranks)
        self._batches = self._batches[self.share.rank :: self.share.ranks]
        self.epoch, self.position = epoch, 0

    def state_dict(self) -> dict[str, int | str]:
        """Plain values from which `load_state_dict` goes on with the next batch.

        `position` counts batches that were handed out; a loader that fetches ahead has trained on fewer. The one who
        counts training steps should overwrite it.
        """
        return {"epoch": self.epoch, "position": self.position, "plan": self._plan_digest()}

    def load_state_dict(self, state: dict[str, int | str]) -> None:
        """Go on where another sampler of the same chains stood.

        Raises:
            ConfigError: lengths, budget, seed or number of ranks differ, or there is no such position.
        """
        if state["plan"] != self._plan_digest():
            raise ConfigError(
                "batches: the state is of other chains, another budget, seed or number of processes. "
                "Resume with the same dataset and settings, or begin a new run."
            )
        self.set_epoch(int(state["epoch"]))
        position = int(state["position"])
        if not 0 <= position <= len(self._batches):
            raise ConfigError(f"batches: position {position} of {len(self._batches)} in epoch {self.epoch}.")
        self.position = position

    def _plan_digest(self) -> str:
        return digest_of([self.length_N.tolist(), self.budget, self.seed, self.share.ranks, WINDOW])


def plan(length_N: np.ndarray, budget: int, seed: tuple[int, int], ranks: int = 1) -> list[list[int]]:
    """All batches of one epoch in order; their number is a multiple of `ranks`.

    Raises:
        ConfigError: no such number can be had by halving batches.
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(length_N))
    batches: list[list[int]] = []
    for start in range(0, len(order), WINDOW):
        window = order[start : start + WINDOW]
        batches.extend(_packed(window[np.argsort(length_N[window], kind="stable")], length_N, budget))
    while len(batches) % ranks:
        largest = max(range(len(batches)), key=lambda k: len(batches[k]))
        batch = batches[largest]
        if len(batch) == 1:
            raise ConfigError(
                f"batches: {len(length_N)} chains cannot be shared out evenly over {ranks} processes. "
                f"Leave out {len(batches) % ranks}, or use fewer processes."
            )
        batches[largest : largest + 1] = [batch[: len(batch) // 2], batch[len(batch) // 2 :]]
    return [batches[k] for k in rng.permutation(len(batches))]


def _packed(rising: np.ndarray, length_N: np.ndarray, budget: int) -> Iterator[list[int]]:
    """Positions of rising length, cut so that each batch holds as many as fit."""
    batch: list[int] = []
    for position in rising.tolist():
        if batch and (len(batch) + 1) * length_N[position] > budget:
            yield batch
            batch = []
        batch.append(position)
    if batch:
        yield batch
