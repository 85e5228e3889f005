"""Tells whether a thread of a worker still goes round: the heartbeat, which has a thread of its own, reports it."""

import time


class Rounds:
    """Notes when a thread began its present round. While it waits for work, it is in none.

    A round that fails goes on, since the thread has not come round.

    Only that thread calls :meth:`begin` and :meth:`end`; any thread may read how long the round has taken.
    """

    def __init__(self) -> None:
        self._began: float | None = None

    def begin(self) -> None:
        """Begins another round, unless the last one has failed."""
        if self._began is None:
            self._began = time.monotonic()

    def end(self) -> None:
        """Ends the round: the thread waits for work, or has ended."""
        self._began = None

    def stalled(self, patience: float) -> float | None:
        """Seconds that the present round has taken; ``None`` while that is less than ``patience``."""
        began = self._began
        took = 0.0 if began is None else time.monotonic() - began
        return took if took > patience else None
