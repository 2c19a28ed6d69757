"""A run that is asked to stop finishes its step and writes its state; then it can go on later."""

import logging
import signal
from dataclasses import dataclass
from typing import Any

log = logging.getLogger(__name__)

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
"""What asks a run to stop. Schedulers send several at once, so that only a second Ctrl-C stops it in its step."""


@dataclass(slots=True)
class Stop:
    """Whether a signal came.

    Attributes:
        asked: one of `SIGNALS` came.
    """

    asked: bool = False

    def listen(self) -> None:
        """Take the signals over, also from Lightning, which answers SIGTERM by ending with exit code 0."""
        for number in SIGNALS:
            signal.signal(number, self._ask)

    def _ask(self, number: int, frame: Any) -> None:
        del frame
        self.asked = True
        log.warning("%s: writing the state after this step, then stopping", signal.Signals(number).name)
        for each in SIGNALS:
            signal.signal(each, signal.SIG_DFL if each == signal.SIGINT else signal.SIG_IGN)
