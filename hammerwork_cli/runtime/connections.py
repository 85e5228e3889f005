"""Connections that threads share, and that outlive a server's restart."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TypeVar

from hammerwork_cli.database import PATIENT, Database, DatabaseUrl, Timeouts
from hammerwork_cli.database.pool import Pool
from hammerwork_cli.database.retrying import Backoff, is_an_outage, retry
from hammerwork_cli.errors import (
    BrokenInstallationError,
    ConnectionLostError,
    HammerworkError,
    RetryableError,
    SilentConnectionError,
)
from hammerwork_cli.runtime.outages import OutageLog, Outages

Result = TypeVar("Result")
Passes = Callable[[HammerworkError], bool]

LONGEST_PAUSE = 5.0
BACKOFF = Backoff(0.1, LONGEST_PAUSE)
CLOSED_LONG_AGO = (ConnectionLostError,)
"""The first time, the server may have closed the connection long ago and be up again."""
SHORTEST_WAIT = 2.0
"""For a host, a lock or a place in the pool, also without patience: a healthy server takes a moment, too."""
SHORTEST_ANSWER = 5.0
LONGEST_WAIT = PATIENT.connect
LONGER_THAN_LOCKS = 2.0
"""Seconds by which the wait for an answer exceeds that for a lock."""
ENDLESS = 86_400.0
log = logging.getLogger("hammerwork")


class _NoPlaceError(RetryableError):
    """Other threads have used all connections for as long as the patience lasted."""


def _never() -> bool:
    return False


def _tell_nobody(_: HammerworkError) -> None:
    """Nobody wants to know."""


def timeouts_of(patience: float, hosts: int) -> Timeouts:
    """Timeouts of connections for a caller with some seconds of patience.

    Args:
        hosts: number of hosts in the database's URL, which are tried one after the other.
    """
    if patience > ENDLESS:
        return PATIENT
    return Timeouts(
        connect=_between(SHORTEST_WAIT, patience / max(hosts, 1), LONGEST_WAIT),
        lock=_between(SHORTEST_WAIT, patience / 3, LONGEST_WAIT),
        network=max(SHORTEST_ANSWER, patience),
    )


def _between(least: float, value: float, most: float) -> float:
    return max(least, min(value, most))


def timeouts_within(lease: float, lock: float, hosts: int = 1) -> Timeouts:
    """Timeouts of a worker's connections, which give up whatever is silent for a lease.

    Args:
        lease: of the worker, in seconds.
        lock: seconds to wait for a lock; with a short lease a part of it.
        hosts: number of hosts in the database's URL, which are tried one after the other.
    """
    lock = min(lock, max(1.0, lease / 2))
    connect = _between(SHORTEST_WAIT, lease / max(hosts, 1), LONGEST_WAIT)
    return Timeouts(connect=connect, lock=lock, network=max(lease, lock + LONGER_THAN_LOCKS))


class _Patience:
    """For how long a call goes on trying."""

    def __init__(self, seconds: float | None) -> None:
        self._seconds, self._has_begun_again = seconds, False
        # By the monotonic clock; `None` without limit.
        self.until = None if seconds is None else time.monotonic() + seconds

    @property
    def is_over(self) -> bool:
        return self.until is not None and time.monotonic() >= self.until

    def begin_again(self) -> None:
        """Once, after waiting for a connection that was dead has used it up. Who tries once does not try again."""
        if self._seconds and not self._has_begun_again:
            self._has_begun_again, self.until = True, time.monotonic() + self._seconds


class Connections:
    """At most ``size`` connections to one database, each used by one thread at a time.

    A process that was forked leaves the connections that it inherited alone, and opens its own. Threads share
    it: only a fork changes its attributes.

    Args:
        stopped_at_once: set when nobody wants to wait any longer; then waiting ends with the last error.
        passes: returns, for each unit that fails, a function that says which of its errors pass.
        outages: of the worker whose threads log an outage once.
        broken: told of a statement that cannot be used, which no other try mends.
    """

    def __init__(
        self,
        url: str | DatabaseUrl,
        size: int,
        stopped_at_once: threading.Event | None = None,
        timeouts: Timeouts = PATIENT,
        passes: Callable[[], Passes] = lambda: is_an_outage,
        outages: Outages | None = None,
        broken: Callable[[BrokenInstallationError], None] = _tell_nobody,
    ) -> None:
        self.url = DatabaseUrl.parse(url) if isinstance(url, str) else url
        self.timeouts = timeouts
        self.outages = outages or Outages()
        self._size, self._passes, self._broken = size, passes, broken
        self._pool = Pool(self.url, timeouts, invalidation=self.outages.invalidation)
        self._begin(stopped_at_once or threading.Event())

    def _begin(self, stopped_at_once: threading.Event) -> None:
        self.stopped_at_once = stopped_at_once
        self._places = threading.Semaphore(self._size)

    def _begin_after_a_fork(self) -> None:
        # Threads that do not exist here may have had places.
        if self._pool.leave_to_parent():
            self._begin(threading.Event())

    def run(
        self,
        unit: Callable[[Database], Result],
        *,
        patience: float | None = None,
        over: Callable[[], bool] = _never,
        passes: Passes | None = None,
        told: Callable[[HammerworkError], None] = _tell_nobody,
    ) -> Result:
        """Runs ``unit`` with a connection; again, with a new one, when it fails by an error that passes.

        A lost connection leaves open whether a commit took place: ``unit`` must find out when it runs again.

        Args:
            unit: one transaction or one statement.
            patience: seconds to go on trying, and to wait for one of the connections; without limit when it is not
                given. They begin again after a connection that died without a word. The timeouts limit a single try.
            over: whether nobody wants the result any longer; asked after each failure.
            passes: which of its errors pass, if others than those of these connections.
            told: of each error after which it is tried again.

        Raises:
            UnreachableError, ConnectionLostError, RetryableError: the patience ended, or the worker stops at once.
            DatabaseError: the database refuses what ``unit`` does.
        """
        self._begin_after_a_fork()
        left = _Patience(patience)
        outage_log = OutageLog(self.outages, shared=True)
        judge = passes
        # Of the next try: either a silent connection was dead, or the server needs longer for this unit.
        longer: Timeouts | None = None

        def once() -> Result:
            nonlocal longer
            try:
                return self._once(unit, left.until, longer)
            except SilentConnectionError:
                left.begin_again()
                longer = (longer or self.timeouts).doubled()
                raise

        def ended() -> bool:
            return self.stopped_at_once.is_set() or left.is_over or over()

        def may_pass(error: HammerworkError) -> bool:
            nonlocal judge
            if isinstance(error, _NoPlaceError):
                return False
            judge = judge or self._passes()
            return judge(error)

        def failed(error: HammerworkError, failures: int) -> None:
            told(error)
            if failures == 1 and type(error) is ConnectionLostError:
                log.debug("%s Trying again.", error.message)
            elif not isinstance(error, RetryableError):
                outage_log.failed(f"{error.message} Trying again.")
            elif failures == 1 or failures % 10 == 0:
                log.warning("%s Trying again.", error.message)

        result = retry(
            once,
            BACKOFF,
            passes=may_pass,
            ended=ended,
            failed=failed,
            wait=self._wait,
            at_once=CLOSED_LONG_AGO,
        )
        outage_log.recovered()
        return result

    @contextmanager
    def lend(self, patience: float) -> Iterator[Database]:
        """A connection that has just answered. What then fails is not tried again.

        Raises:
            UnreachableError, ConnectionLostError, RetryableError: none answered, or none was free, within the patience.
        """
        self._begin_after_a_fork()
        left = _Patience(patience)

        def enter() -> tuple[ExitStack, Database]:
            with ExitStack() as lent:
                database = lent.enter_context(self._lent(left.until))
                database.ping()
                return lent.pop_all(), database

        lent, database = retry(
            enter,
            BACKOFF,
            passes=lambda error: is_an_outage(error) and not isinstance(error, _NoPlaceError),
            ended=lambda: self.stopped_at_once.is_set() or left.is_over,
            wait=self._wait,
            at_once=CLOSED_LONG_AGO,
        )
        with lent:
            yield database

    def read_tables_anew(self) -> None:
        """Replaces all connections of the worker, each when nobody uses it: the tables are others than before."""
        self.outages.invalidation.at = time.monotonic()

    def _wait(self, seconds: float) -> None:
        self.stopped_at_once.wait(seconds)

    def _once(self, unit: Callable[[Database], Result], give_up: float | None, timeouts: Timeouts | None) -> Result:
        with self._lent(give_up, timeouts) as database:
            return unit(database)

    @contextmanager
    def _lent(self, give_up: float | None, timeouts: Timeouts | None = None) -> Iterator[Database]:
        places = self._places
        wait = None if give_up is None else min(max(SHORTEST_WAIT, give_up - time.monotonic()), ENDLESS)
        if not places.acquire(timeout=wait):
            raise _NoPlaceError(
                f"All {self._size} connections are in use.", hint="Other threads have them: a larger pool_size helps."
            )
        try:
            with self._pool.lend(give_up, timeouts) as database:
                yield database
        except BrokenInstallationError as error:
            self._broken(error)
            raise
        finally:
            places.release()

    def close(self) -> None:
        """Closes the connections that no thread uses now."""
        self._begin_after_a_fork()
        self._pool.close()
