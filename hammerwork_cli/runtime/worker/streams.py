"""Sends the events of streams. One worker at a time sends those of a stream, in their order."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import TypeVar

from hammerwork_cli.core.clock import is_due
from hammerwork_cli.database import Database
from hammerwork_cli.errors import HammerworkError, UsageError
from hammerwork_cli.features.event import queries as events
from hammerwork_cli.features.streaming import queries as streams
from hammerwork_cli.features.streaming.model import Stream
from hammerwork_cli.features.streaming.queries import UnsentEvent
from hammerwork_cli.features.worker.queries import duties
from hammerwork_cli.runtime.clock import ServerClock
from hammerwork_cli.runtime.connections import Connections
from hammerwork_cli.runtime.delivery.allowed import Allowed, NotAllowedError
from hammerwork_cli.runtime.delivery.streams.backends import TIMEOUT_SECONDS, OpenBackend, open_backend
from hammerwork_cli.runtime.delivery.streams.failures import EventTooLargeError, StreamError
from hammerwork_cli.runtime.delivery.streams.messages import encode
from hammerwork_cli.runtime.worker.context import LOCK_SECONDS_OF_UPKEEP, WorkerContext
from hammerwork_cli.runtime.worker.turns import Task, TurnThread
from hammerwork_cli.runtime.worker.upkeep.thread import LONGEST_PAUSE
from hammerwork_cli.view.text import cut, plural

LEASE_SECONDS = TIMEOUT_SECONDS + 15
"""How long a worker sends the events of a stream before others may: longer than it can wait for the backend.

Others need not wait for the end of it once the worker is lost: who rescues its jobs gives up its streams."""
SOON = 0.2
"""Seconds until the next look while there are events."""
BUSY_SECONDS = 5.0
"""Seconds without events after which the looks become rare."""
BETWEEN_TRIMS = 30.0
"""Seconds between two looks whether the backlog of a stream is too large."""
LONGEST_TRIM = 10.0
"""Seconds after which a worker pauses dropping events: it would lose other duties meanwhile."""
BETWEEN_TIDIES = 3600.0
"""Seconds between two looks for events of deleted streams."""
LEFT_SECONDS = 10.0
"""For another worker to take a stream, before it counts as failing."""
FIRST_PAUSE, LONGEST_FAILURE_PAUSE = 1.0, 30.0
"""Seconds before a failed stream is tried again."""
log = logging.getLogger("hammerwork")
Result = TypeVar("Result")


def duty_of(stream: Stream) -> str:
    """Names the duty to send the events of a stream."""
    return f"stream {stream.id}"


def trim(database: Database, stream: Stream, worker: str, clock: ServerClock) -> None:
    """Drops the events that a backlog has no room for, and says so.

    One worker at a time does that: two would count the same events as too many.
    """
    due, length, began = duties.times(database), timedelta(seconds=BETWEEN_TRIMS), time.monotonic()
    if not duties.take_due(database, f"trim {stream.id}", worker, due, now=clock.now(), length=length):
        return
    while dropped := streams.trim(database, stream, clock.now()):
        log.error("Stream %s: %s dropped: the backlog is full.", stream.name, plural(dropped, "event"))
        if time.monotonic() - began > LONGEST_TRIM:
            break


class StreamSender(threading.Thread):
    """Sends the events of one stream until there are none, the worker stops, or another one has the duty."""

    def __init__(
        self, stream: Stream, worker: str, allowed: Allowed, clock: ServerClock, connections: Connections
    ) -> None:
        super().__init__(name=f"hammerwork-stream-{stream.name[:40]}", daemon=True)
        self._allowed = allowed
        self.stream, self.worker, self.clock, self.connections = stream, worker, clock, connections
        self.stopped = threading.Event()
        self._failures = 0
        self._idle_since = time.monotonic()
        self._is_behind = False  # whether there were more events than are sent together
        self._next_trim = 0.0

    def run(self) -> None:
        """Sends what there is, again and again. It notes what fails, and tries that again."""
        backend: OpenBackend | None = None
        try:
            backend = open_backend(self.stream, self._allowed)
            while not self.stopped.is_set():
                pause = self._turn(backend)
                if pause is None:
                    return
                self.stopped.wait(pause)
        except Exception as error:  # noqa: BLE001  the next look starts another one
            self._fail(error)
        finally:
            if backend is not None:
                backend.close()
            self._try(lambda database: duties.give_up(database, duty_of(self.stream), self.worker))

    def _turn(self, backend: OpenBackend) -> float | None:
        """Sends the next events; returns the seconds until the next turn, ``None`` if there is nothing to do."""
        if self._is_behind and time.monotonic() >= self._next_trim:
            self._next_trim = time.monotonic() + BETWEEN_TRIMS
            self._run(partial(trim, stream=self.stream, worker=self.worker, clock=self.clock))
        until = self.clock.now() + timedelta(seconds=LEASE_SECONDS)
        if not self._run(lambda database: duties.keep(database, duty_of(self.stream), self.worker, until=until)):
            return None
        kept_until = time.monotonic() + LEASE_SECONDS
        present = self._run(lambda database: streams.by_id(database, self.stream.id))
        if present is None or not present.enabled or present.updated_at != self.stream.updated_at:
            return None  # the next look begins anew
        found = self._run(lambda database: streams.unsent(database, self.stream, self.stream.buffer_size))
        if not found:
            return None if time.monotonic() - self._idle_since > BUSY_SECONDS else SOON
        self._idle_since = time.monotonic()
        self._is_behind = len(found) == self.stream.buffer_size
        if not self._is_behind and self.stream.buffer_seconds:
            now, longest = self.clock.now(), timedelta(seconds=self.stream.buffer_seconds)
            if not is_due(due := found[0].at + longest, now, longest):
                return min((due - now).total_seconds(), LONGEST_PAUSE)
        if kept_until - time.monotonic() < TIMEOUT_SECONDS:
            return 0.0  # another worker might begin meanwhile
        return self._send(backend, found)

    def _send(self, backend: OpenBackend, found: list[UnsentEvent]) -> float:
        try:
            backend.send([encode(self.stream, one.record, one.key) for one in found])
        except EventTooLargeError as error:
            refused, said = [found[position] for position in error.positions], f"{error.message} It was dropped."
            self._run(lambda database: streams.drop(database, self.stream, refused, said, self.clock.now()))
            log.error("Stream %s: %s", self.stream.name, said)
            return 0.0
        except StreamError as error:
            sent = [found[position] for position in sorted(error.acknowledged)]
            self._run(lambda database: streams.note_sent(database, self.stream, sent, self.clock.now()))
            if sent:  # the backend is slow, and does not fail
                self._failures = 0
                return 0.0
            self._fail(error)
            return min(FIRST_PAUSE * float(2 ** min(self._failures - 1, 10)), LONGEST_FAILURE_PAUSE)
        self._run(lambda database: streams.note_sent(database, self.stream, found, self.clock.now()))
        if self._failures:
            log.info("Stream %s: events are sent again.", self.stream.name)
        self._failures = 0
        return 0.0 if len(found) == self.stream.buffer_size else SOON

    def _fail(self, error: Exception) -> None:
        said = error.message if isinstance(error, HammerworkError) else f"{type(error).__name__}: {error}"
        said = cut(said, streams.LONGEST_ERROR)
        self._failures += 1
        is_new = self._failures == 1 and said != self.stream.last_error  # an earlier sender may have said it
        level = logging.WARNING if is_new else logging.DEBUG
        log.log(level, "Stream %s: events could not be sent, and wait: %s", self.stream.name, said)

        def note(database: Database) -> None:
            streams.note_failure(database, self.stream, said, self.clock.now())
            trim(database, self.stream, self.worker, self.clock)

        self._try(note)

    def _run(self, unit: Callable[[Database], Result]) -> Result:
        return self.connections.run(unit, over=self.stopped.is_set)

    def _try(self, unit: Callable[[Database], object]) -> None:
        with suppress(HammerworkError):
            self.connections.run(unit, patience=0)


class StreamSenders(TurnThread):
    """Starts a thread for each stream that has events to send, unless another worker sends them."""

    def __init__(self, context: WorkerContext) -> None:
        super().__init__("streams", context.connections.for_thread(LOCK_SECONDS_OF_UPKEEP))
        self._worker, self._clock, self._allowed = context.registration.id, context.clock, context.options.allowed
        self._for_sender: Callable[[], Connections] = partial(context.connections.for_thread, LOCK_SECONDS_OF_UPKEEP)
        # This thread alone uses the rest.
        self._senders: dict[str, StreamSender] = {}
        self._connections: dict[str, Connections] = {}
        self._written = 0
        self._left: dict[str, float] = {}  # to other workers, since when
        self._next_tidy = time.monotonic() + BETWEEN_TRIMS

    def tasks(self) -> Mapping[str, Task]:
        """Looks for streams that have events to send."""
        return {"Sending events": lambda: self.connections.run(self._look, patience=0)}

    def pause(self) -> float:
        """A few seconds, unless this process writes events meanwhile."""
        return LONGEST_PAUSE

    def rest(self, seconds: float) -> None:
        """Waits until the next turn, or until somebody in this process has written events for streams."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and not self.stopped.wait(SOON):
            if events.streamed.count != self._written:
                self._written = events.streamed.count
                return

    def end(self) -> None:
        super().end()
        for sender in list(self._senders.values()):
            sender.stopped.set()

    def join(self, timeout: float | None = None) -> None:
        super().join(timeout)
        for sender in list(self._senders.values()):
            sender.join(timeout)

    def _look(self, database: Database) -> None:
        self._senders = {stream: sender for stream, sender in self._senders.items() if sender.is_alive()}
        if not database.is_current:
            return
        if time.monotonic() >= self._next_tidy:
            self._next_tidy = time.monotonic() + BETWEEN_TIDIES
            streams.remove_orphans(database)
        waiting = [stream for stream in streams.to_send(database) if stream.id not in self._senders]
        due = duties.times(database) if waiting else {}
        for stream in waiting:
            if self.stopped.is_set():
                return
            length = timedelta(seconds=LEASE_SECONDS)
            now = self._clock.now()
            taken_until = due.get(duty_of(stream))
            if taken_until is not None and not is_due(taken_until, now, length):
                continue  # another worker sends them
            if problem := self._cannot_send(stream):
                self._leave(database, stream, problem)
                continue
            if duties.take_due(database, duty_of(stream), self._worker, due, now=now, length=length):
                connections = self._connections.setdefault(stream.id, self._for_sender())
                self._senders[stream.id] = StreamSender(stream, self._worker, self._allowed, self._clock, connections)
                self._senders[stream.id].start()

    def _cannot_send(self, stream: Stream) -> str | None:
        """Why this worker cannot send the events of a stream, if another one may: it may have the library, say."""
        try:
            open_backend(stream, self._allowed).close()
        except (UsageError, NotAllowedError) as error:
            return f"{error.message} {error.hint or ''}".strip()
        except HammerworkError:
            return None  # the sender notes it
        self._left.pop(stream.id, None)
        return None

    def _leave(self, database: Database, stream: Stream, problem: str) -> None:
        """Leaves a stream to other workers, and notes why if none takes it."""
        if stream.id not in self._left:
            log.warning("Stream %s is left to other workers: %s", stream.name, problem)
        since = self._left.setdefault(stream.id, time.monotonic())
        if time.monotonic() - since > LEFT_SECONDS and problem != stream.last_error:
            streams.note_failure(database, stream, problem, self._clock.now())
        trim(database, stream, self._worker, self._clock)
