"""The event loop that runs coroutines of handlers."""

import logging
import sys
import threading
import time
import traceback
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from typing import Any

from hammerwork_cli import app_path
from hammerwork_cli.runtime.outcomes.failures import JobError, OutOfTimeError

GRACE_SECONDS = 0.05
"""For a coroutine that ends right at its deadline."""
BLOCKED_SECONDS = 5.0
"""A loop that does not turn for so long after a coroutine was cancelled is abandoned."""
LAST_SECONDS = 1.0
"""For tasks that coroutines have left behind, and for the thread of a loop without coroutines."""
log = logging.getLogger("hammerwork")


class EventLoop:
    """An event loop in its own thread, made for the first coroutine, and again when a coroutine blocks it.

    The slots' threads and the main thread use it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # Any thread writes these, under the lock.
        self._turning: _Loop | None = None
        self._closed = False

    def close(self) -> None:
        """Ends the thread once its coroutines have ended; waits for it if there are none."""
        with self._lock:
            self._closed = True
            loop = self._turning
        if loop is not None and loop.finish():
            loop.join(LAST_SECONDS)

    def result(self, awaitable: Any, deadline: float | None) -> Any:
        """Runs a coroutine and returns its result; cancels it at its deadline.

        Args:
            awaitable: the coroutine, or another awaitable.
            deadline: by the monotonic clock; ``None`` to wait without limit.

        Raises:
            OutOfTimeError: it was cancelled at its deadline.
            JobError: another coroutine blocked the loop, or ended it.
        """
        loop = self._current()
        future = loop.submit(awaitable)
        if self._closed:  # an abandoned attempt goes on after the end of the worker
            loop.finish()
        try:
            return loop.outcome(future, None if deadline is None else _seconds_until(deadline) + GRACE_SECONDS)
        except TimeoutError:
            if future.done() or not future.cancel():
                return loop.outcome(future)  # the error may be the coroutine's own
        if loop.over is None and not loop.turns(BLOCKED_SECONDS):
            self._give_up(loop)
        raise OutOfTimeError("It took too long and was cancelled.")

    def _current(self) -> "_Loop":
        with self._lock:
            if self._turning is None or self._turning.over is not None:
                self._turning = _Loop()
                self._turning.start()
            return self._turning

    def _give_up(self, loop: "_Loop") -> None:
        frame = sys._current_frames().get(loop.ident or 0)
        place = "".join(traceback.format_stack(frame)) if frame else ""
        log.error(
            "A coroutine does not yield and blocks the others: they fail, and new ones run in another loop.\n%s",
            place,
        )
        loop.end("Another coroutine did not yield, and blocked the event loop.")
        loop.finish()


class _Loop(threading.Thread):
    """The thread of one event loop.

    Attributes:
        over: why it accepts no further coroutine. Any thread writes it, under the lock.
    """

    def __init__(self) -> None:
        with app_path.without():
            import asyncio

        super().__init__(name="hammerwork-loop", daemon=True)
        self._loop = asyncio.new_event_loop()
        self._lock = threading.Lock()
        # Any thread writes these, under the lock.
        self._futures: set[Future[Any]] = set()
        self._finishing = False
        self.over: str | None = None

    def run(self) -> None:
        """Turns until it is finished: a coroutine that exits, or that stops the loop, ends only itself."""
        try:
            while not self._loop.is_closed() and not self._is_finished:
                try:
                    self._loop.run_forever()
                except BaseException as error:  # noqa: BLE001  its own task has it as well
                    log.warning("A coroutine raised %s in the event loop, which goes on.", type(error).__name__)
        finally:
            self.end("A coroutine ended the event loop.")
            self._clear()

    @property
    def _is_finished(self) -> bool:
        return self._finishing and not self._futures

    def finish(self) -> bool:
        """Lets the thread end once its coroutines have ended; whether they have."""
        with self._lock:
            self._finishing = True
        return self._stop_if_finished()

    def _stop_if_finished(self) -> bool:
        with self._lock:
            if not self._is_finished:
                return False
            self.over = self.over or "The worker has ended."
        with suppress(RuntimeError):  # it is closed
            self._loop.call_soon_threadsafe(self._loop.stop)
        return True

    def _clear(self) -> None:
        """Cancels tasks that coroutines have left behind, and closes the loop."""
        import asyncio

        if self._loop.is_closed():
            return
        with suppress(BaseException):  # whatever a task raises that is cancelled
            tasks = asyncio.all_tasks(self._loop)
            for task in tasks:
                task.cancel()
            if tasks:
                self._loop.run_until_complete(asyncio.wait(tasks, timeout=LAST_SECONDS))
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        with suppress(RuntimeError):
            self._loop.close()

    def submit(self, awaitable: Any) -> Future[Any]:
        """Starts a coroutine in a copy of the caller's context variables."""
        with app_path.without():
            import asyncio

        with self._lock:
            if self.over is not None:
                raise JobError(self.over)
            future = asyncio.run_coroutine_threadsafe(_awaited(awaitable), self._loop)
            self._futures.add(future)
        future.add_done_callback(self._done)
        return future

    def _done(self, future: Future[Any]) -> None:
        with self._lock:
            self._futures.discard(future)
        self._stop_if_finished()

    def outcome(self, future: Future[Any], seconds: float | None = None) -> Any:
        """Waits for a coroutine and returns its result.

        Raises:
            TimeoutError: not within so many seconds; or it raised that itself.
            JobError: the loop ended before it did.
        """
        try:
            return future.result(seconds)
        except CancelledError as error:
            if self.over is not None:
                raise JobError(self.over) from error
            raise

    def turns(self, seconds: float) -> bool:
        """Whether the loop turns within so many seconds."""
        turned = threading.Event()
        with suppress(RuntimeError):  # it is closed
            self._loop.call_soon_threadsafe(turned.set)
        return turned.wait(seconds)

    def end(self, why: str) -> None:
        """Cancels all coroutines, and accepts no further one."""
        with self._lock:
            self.over = why
            futures = tuple(self._futures)
        for future in futures:
            future.cancel()


def _seconds_until(deadline: float) -> float:
    return min(max(0.0, deadline - time.monotonic()), threading.TIMEOUT_MAX / 2)


async def _awaited(awaitable: Any) -> Any:
    return await awaitable
