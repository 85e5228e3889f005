"""A bounded number of database connections, each with a thread of its own, for a server that must not wait for them."""

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, NamedTuple, TypeVar

from hammerwork_cli.database import Database, DatabaseUrl, connect
from hammerwork_cli.errors import ConnectionLostError, DatabaseError, RetryableError

Result = TypeVar("Result")

WAITING_A_CONNECTION = 50
"""Questions that may wait for each connection; more are refused."""
STOP_SECONDS = 5.0


class Question(NamedTuple):
    """What is to be asked of a connection."""

    work: Callable[[Database], Any]
    repeatable: bool
    answer: "Future[Any]"


class Connections:
    """Threads that each hold one connection.

    Args:
        url: where the connections lead.
        size: how many there are at most; each is opened when it is first needed.
    """

    def __init__(self, url: DatabaseUrl, size: int) -> None:
        self.executed = 0
        """Statements sent so far."""
        self._url = url
        self._size = size
        self._questions: SimpleQueue[Question | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._waiting = 0
        self._lock = threading.Lock()

    async def ask(self, work: Callable[[Database], Result], *, repeatable: bool = True) -> Result:
        """What ``work`` returns for a connection.

        Args:
            work: is run in a thread, alone with its connection.
            repeatable: it only reads, so it is run again when the connection turns out to be broken.

        Raises:
            DatabaseError: no connection can be made, or it broke.
            RetryableError: too much is waiting already.
        """
        return await asyncio.wrap_future(self._submit(work, repeatable))

    def _submit(self, work: Callable[[Database], Result], repeatable: bool) -> "Future[Result]":
        answer: Future[Result] = Future()
        with self._lock:
            if self._waiting >= self._size * WAITING_A_CONNECTION:
                raise RetryableError("The server has too much to do.", hint="Try again in a moment.")
            self._waiting += 1
            if len(self._threads) < min(self._size, self._waiting):
                self._start_thread()
        self._questions.put(Question(work, repeatable, answer))
        return answer

    def _start_thread(self) -> None:
        # A daemon, so that a statement that hangs does not keep the process from ending.
        thread = threading.Thread(target=self._serve, name=f"database-{len(self._threads)}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _serve(self) -> None:
        line = _Line(self._url, self._count)
        while (question := self._questions.get()) is not None:
            if question.answer.set_running_or_notify_cancel():
                line.answer(question)
            with self._lock:
                self._waiting -= 1
        line.hang_up()

    def _count(self, statements: int) -> None:
        with self._lock:
            self.executed += statements

    def close(self) -> None:
        """Ends the threads and their connections, and waits a little for those that are busy."""
        for _ in self._threads:
            self._questions.put(None)
        end = time.monotonic() + STOP_SECONDS
        for thread in self._threads:
            thread.join(max(end - time.monotonic(), 0))


class _Line:
    """A connection that is made when it is needed, and made anew after an error."""

    def __init__(self, url: DatabaseUrl, count: Callable[[int], None]) -> None:
        self._url = url
        self._count = count
        self._database: Database | None = None

    def answer(self, question: Question) -> None:
        try:
            result = self._repeated(question.work) if question.repeatable else self._once(question.work)
        except BaseException as error:  # noqa: BLE001  whoever asked is told
            # Tables may have changed too, and a connection knows those that it found.
            if isinstance(error, DatabaseError):
                self.hang_up()
            question.answer.set_exception(error)
        else:
            question.answer.set_result(result)

    def _repeated(self, work: Callable[[Database], Any]) -> Any:
        is_old = self._database is not None
        try:
            return self._run(work)
        except ConnectionLostError:
            if not is_old:
                raise
            # The server closed it while nobody used it, or went away and may be back.
            self.hang_up()
            return self._run(work)

    def _once(self, work: Callable[[Database], Any]) -> Any:
        """What changes something is not tried twice, so the connection is tried first."""
        self._repeated(lambda database: database.now())
        return self._run(work)

    def _run(self, work: Callable[[Database], Any]) -> Any:
        if self._database is None:
            self._database = connect(self._url)
        before = self._database.executed
        try:
            return work(self._database)
        finally:
            self._count(self._database.executed - before)

    def hang_up(self) -> None:
        """Closes the connection."""
        database, self._database = self._database, None
        try:
            if database is not None:
                database.close()
        except Exception as error:  # noqa: BLE001  it was broken already
            del error
