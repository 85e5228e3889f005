"""A thread of a worker that takes one turn after the other until it is stopped, whatever happens."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from enum import Enum, auto
from typing import ClassVar

from hammerwork_cli.errors import HammerworkError, RetryableError
from hammerwork_cli.runtime.connections import Connections
from hammerwork_cli.runtime.outages import OutageLog

log = logging.getLogger("hammerwork")

Task = Callable[[], object]


class Turn(Enum):
    """How a turn ended."""

    DONE = auto()
    WAITED = auto()
    """A task lost to another transaction, or the worker stops at once."""
    FAILED = auto()


class TurnThread(threading.Thread):
    """Performs its tasks, turn by turn. A task that fails is logged, and performed again in the next turn.

    Args:
        name: of the thread, after ``hammerwork-``.
        connections: used by this thread alone.
    """

    harmless: ClassVar[tuple[type[HammerworkError], ...]] = (RetryableError,)
    """Errors that only say that a task has to wait for others."""
    ends_at_once: ClassVar[bool] = True
    """Whether it ends when the worker stops at once; otherwise it goes on until a turn fails."""

    def __init__(self, name: str, connections: Connections) -> None:
        super().__init__(name=f"hammerwork-{name}", daemon=True)
        self.connections = connections
        self.stopped = threading.Event()  # end() sets it
        # This thread alone uses the rest.
        self.began, self.turn = 0.0, Turn.DONE  # the last turn: when it began, by the monotonic clock, and its end
        self.failures = 0  # turns in a row that failed
        self._has_told = False  # in this turn
        self._outage_log = OutageLog(connections.outages)

    def tasks(self) -> Mapping[str, Task]:
        """The name of a task in the log -> the task, in the order in which a turn performs them."""
        raise NotImplementedError

    def pause(self) -> float | None:
        """Seconds until the next turn; ``None`` to take no other."""
        raise NotImplementedError

    def run(self) -> None:
        """Takes turns until it is stopped, whatever happens."""
        tasks = self.tasks()
        stopped_at_once = self.connections.stopped_at_once
        while not self.stopped.is_set() and not (self.ends_at_once and stopped_at_once.is_set()):
            self.began = time.monotonic()
            self.turn = self._take(tasks)
            if stopped_at_once.is_set() and self.turn is not Turn.DONE:
                return
            self.failures = self.failures + 1 if self.turn is Turn.FAILED else 0
            pause = self.pause()
            if pause is None:
                return
            if pause > 0:
                self.rest(pause)

    def rest(self, seconds: float) -> None:
        """Waits until the next turn."""
        self.stopped.wait(seconds)

    def end(self) -> None:
        """Lets it end after its turn."""
        self.stopped.set()

    def _take(self, tasks: Mapping[str, Task]) -> Turn:
        self._has_told = False
        ends = [self._do(name, task) for name, task in tasks.items()]
        if Turn.FAILED in ends:
            return Turn.FAILED
        if Turn.WAITED in ends:
            return Turn.WAITED
        self._outage_log.recovered()
        return Turn.DONE

    def _do(self, name: str, task: Task) -> Turn:
        if self.stopped.is_set() or (self.ends_at_once and self.connections.stopped_at_once.is_set()):
            return Turn.WAITED
        try:
            task()
        except Exception as error:  # noqa: BLE001  the thread goes on
            return self._after(name, error)
        return Turn.DONE

    def _after(self, name: str, error: Exception) -> Turn:
        if self.connections.stopped_at_once.is_set():
            return Turn.WAITED  # the worker stops at once: nothing will be retried
        if isinstance(error, self.harmless):
            log.debug("%s waits: %s", name, error)
            return Turn.WAITED
        if not isinstance(error, HammerworkError):
            log.error("%s failed and will be retried.", name, exc_info=error)
        elif not self._has_told:  # every task would say the same of an outage
            self._has_told = True
            self._outage_log.failed(f"{name} failed and will be retried: {error.message}")
        return Turn.FAILED
