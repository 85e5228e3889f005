"""A bounded number of threads that ask the database, for a server that must not wait for it itself."""

import asyncio
import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from typing import Any, TypeVar, cast

from hammerwork_cli.database import Database, DatabaseUrl, Timeouts
from hammerwork_cli.database.pool import Pool
from hammerwork_cli.database.retrying import Backoff, retry
from hammerwork_cli.errors import ConnectionLostError, DatabaseError, HammerworkError, RetryableError, TimedOutError

Result = TypeVar("Result")

WAITING_A_CONNECTION = 50
"""Questions that may wait for each connection; more are refused."""
ANSWER_SECONDS = 30.0
"""How long a connection may take to answer before it is given up; a question that only reads is asked again."""
READ_SECONDS = 25.0
"""How long a question that only reads may take before its statement is cancelled: less than :data:`ANSWER_SECONDS`."""
CANCEL_AGAIN_SECONDS = 1.0
AT_ONCE = Backoff(0.0, 0.0)
STOP_SECONDS = 5.0


class Question:
    """Work for a thread, and where its answer goes."""

    def __init__(self, work: Callable[[Database], Any], repeatable: bool) -> None:
        self.answer: Future[Any] = Future()
        self.repeatable = repeatable
        self._work = work
        # Guards the fields below: the server's thread cancels what a thread of the pool runs.
        self._lock = threading.Lock()
        self._database: Database | None = None  # while the work runs
        self._end = math.inf  # by the monotonic clock, of a question that only reads
        self._is_cancelled = False

    def run(self, database: Database) -> Any:
        """Does the work; raises TimedOutError if it was cancelled."""
        with self._lock:
            self._database, self._is_cancelled = database, False
            self._end = time.monotonic() + READ_SECONDS if self.repeatable else math.inf
        try:
            result = self._work(database)
        except ConnectionLostError:
            raise
        except HammerworkError:
            if self._has_ended():
                raise _too_slow() from None
            raise
        finally:
            self._has_ended()
        if self._is_cancelled:  # the cancellation may yet arrive, so nobody uses the connection again
            raise _too_slow()
        return result

    def _has_ended(self) -> bool:
        """Lets nobody cancel it any more; whether somebody has."""
        with self._lock:
            self._database = None
            return self._is_cancelled

    def cancel_if_late(self) -> None:
        """Cancels the statement of the work if its time is over, in another thread: some drivers connect for that."""
        with self._lock:
            database = self._database
            if database is None or time.monotonic() < self._end:
                return
            self._is_cancelled = True
        threading.Thread(target=_cancel, args=(database,), name="cancel", daemon=True).start()


def _cancel(database: Database) -> None:
    with suppress(Exception):
        database.cancel()


def _too_slow() -> TimedOutError:
    return TimedOutError(f"This takes longer than {READ_SECONDS:g} s, so it was cancelled.")


class WebConnections:
    """Threads that each use one connection at a time.

    Args:
        size: the most threads; each starts when it is first needed.
    """

    def __init__(self, url: DatabaseUrl, size: int) -> None:
        self._size = size
        # Tables may have changed after any error of the database, and a connection knows those that it found.
        self._pool = Pool(url, Timeouts(network=ANSWER_SECONDS), spoiling=(DatabaseError, TimedOutError))
        self._questions: SimpleQueue[Question | None] = SimpleQueue()
        # Guards the fields below. The server's thread and those of this pool write them.
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._waiting = 0
        self.executed = 0
        """Statements sent so far."""

    async def ask(self, work: Callable[[Database], Result], *, repeatable: bool = True) -> Result:
        """Returns what ``work`` returns for a connection.

        Raises DatabaseError if no connection can be made, or it broke, and TimedOutError if reading takes too long.

        Args:
            work: runs in a thread, alone with its connection.
            repeatable: it only reads, so it runs again if the connection turns out to be broken.
        """
        question = self._submit(work, repeatable)
        loop = asyncio.get_running_loop()

        def watch() -> None:
            if not question.answer.done():
                question.cancel_if_late()
                loop.call_later(CANCEL_AGAIN_SECONDS, watch)

        timer = loop.call_later(READ_SECONDS, watch)
        try:
            return cast(Result, await asyncio.wrap_future(question.answer))
        finally:
            if question.answer.done():  # whoever asked may have gone before
                timer.cancel()

    def _submit(self, work: Callable[[Database], Any], repeatable: bool) -> Question:
        question = Question(work, repeatable)
        with self._lock:
            if self._waiting >= self._size * WAITING_A_CONNECTION:
                raise RetryableError("The server is overloaded.", hint="Try again in a moment.")
            self._waiting += 1
            if len(self._threads) < min(self._size, self._waiting):
                self._start_thread()
        self._questions.put(question)
        return question

    def _start_thread(self) -> None:
        # A daemon, so that a statement that hangs does not keep the process from ending.
        thread = threading.Thread(target=self._serve, name=f"database-{len(self._threads)}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _serve(self) -> None:
        while (question := self._questions.get()) is not None:
            if question.answer.set_running_or_notify_cancel():
                self._answer(question)
            with self._lock:
                self._waiting -= 1
        self._pool.close()

    def _answer(self, question: Question) -> None:
        try:
            result = self._repeated(question.run) if question.repeatable else self._once(question.run)
        except BaseException as error:  # noqa: BLE001  whoever asked gets it
            question.answer.set_exception(error)
        else:
            question.answer.set_result(result)

    def _repeated(self, work: Callable[[Database], Any]) -> Any:
        # The server may have closed the connection while nobody used it, or went away and is back.
        return retry(lambda: self._pool.use(partial(self._counted, work)), AT_ONCE, passes=_is_lost, tries=2)

    def _once(self, work: Callable[[Database], Any]) -> Any:
        # A change is not tried twice, so its connection is tried first.
        has_started = False

        def on_a_good_connection(database: Database) -> Any:
            nonlocal has_started
            database.now()
            has_started = True
            return work(database)

        return retry(
            lambda: self._pool.use(partial(self._counted, on_a_good_connection)),
            AT_ONCE,
            passes=lambda error: _is_lost(error) and not has_started,
            tries=2,
        )

    def _counted(self, work: Callable[[Database], Any], database: Database) -> Any:
        before = database.executed
        try:
            return work(database)
        finally:
            with self._lock:
                self.executed += database.executed - before

    def close(self) -> None:
        """Ends the threads and their connections, and waits a little for those that are busy."""
        for _ in self._threads:
            self._questions.put(None)
        end = time.monotonic() + STOP_SECONDS
        for thread in self._threads:
            thread.join(max(end - time.monotonic(), 0))


def _is_lost(error: HammerworkError) -> bool:
    return isinstance(error, ConnectionLostError)
