"""The event loop that runs coroutines of handlers."""

import logging
import sys
import threading
import time
import traceback
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from contextvars import Context
from math import inf
from typing import TYPE_CHECKING, Any

from hammerwork_cli import app_path
from hammerwork_cli.runtime.outcomes.failures import JobError, OutOfTimeError

GRACE_SECONDS = 0.25
"""Time beyond a deadline, for a coroutine that ends right then, and for the main thread, which names in the error where
it was."""
BLOCKED_SECONDS = 5.0
"""A loop that does not turn within this time after a coroutine was cancelled is abandoned."""
LAST_SECONDS = 1.0
"""Time to end, for tasks that coroutines have left behind, and for the thread of a loop without coroutines."""
TURN_SECONDS = 0.01
"""Pause between two looks whether cancelled coroutines have ended."""
if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

Done = Callable[[Any, BaseException | None], None]
log = logging.getLogger("hammerwork")


class EventLoop:
    """An event loop in its own thread, made for the first coroutine, and again when a coroutine blocks it.

    The slots' threads, the loop's own and the main thread use it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # Any thread writes these, under the lock.
        self._turning: _Loop | None = None
        self._closed = False

    @property
    def thread(self) -> int | None:
        """Id of its thread, if there is one."""
        loop = self._turning
        return None if loop is None else loop.ident

    def close(self) -> None:
        """Ends the thread once its coroutines have ended; waits for it if there are none."""
        with self._lock:
            self._closed = True
            loop = self._turning
        if loop is not None and loop.finish():
            loop.join(LAST_SECONDS)

    def cancel(self, seconds: float) -> None:
        """Cancels all coroutines, and waits until they have ended, or until the time is up."""
        with self._lock:
            loop = self._turning
        if loop is not None:
            loop.cancel(seconds)

    def cancel_of(self, owner: object) -> None:
        """Cancels the coroutine of an owner as at its deadline, without waiting for its end."""
        with self._lock:
            loop = self._turning
        if loop is not None:
            loop.expire(owner)

    def start(
        self, awaitable: Any, deadline: float | None, done: Done, owner: object = None, inner: object = None
    ) -> None:
        """Starts a coroutine in a copy of the caller's context variables; cancels it at its deadline.

        Args:
            deadline: by the monotonic clock; ``None`` to let it run without limit.
            done: called once with its result or its error, in a thread that must not wait. The error is an
                OutOfTimeError when it was cancelled at its deadline, and a JobError when another coroutine blocked the
                loop, or ended it.
            owner: by whom :meth:`cancel_of` finds it.
            inner: the coroutine of a handler for which this one waits; closed with it if it never starts.

        Raises:
            JobError: another coroutine has just done so.
        """
        run = _Run(awaitable, inf if deadline is None else deadline + GRACE_SECONDS, done, owner, inner)
        try:
            loop = self._current()
            loop.submit(run)
        except BaseException:
            run.close_unstarted()
            raise
        if self._closed:  # an abandoned attempt goes on after the end of the worker
            loop.finish()

    def result(self, awaitable: Any, deadline: float | None, owner: object = None, inner: object = None) -> Any:
        """Runs a coroutine as :meth:`start` does, waits for it, and returns its result or raises its error."""
        future: Future[Any] = Future()

        def done(value: Any, error: BaseException | None) -> None:
            if error is None:
                future.set_result(value)
            else:
                future.set_exception(error)

        self.start(awaitable, deadline, done, owner, inner)
        return future.result()

    def _current(self) -> "_Loop":
        with self._lock:
            if self._turning is None or self._turning.over is not None:
                loop = _Loop()
                try:
                    loop.start()
                except RuntimeError:  # the system refuses it a thread
                    loop.discard()
                    raise
                self._turning = loop
            return self._turning


class _Run:
    """A coroutine on a loop.

    Attributes:
        deadline: by the monotonic clock, with the grace; infinite without one.
        task: the loop's thread writes it.
        owner: by whom it is found.
        late: it was cancelled at its deadline or later, and its result or error does not count. Written before its
            task is cancelled.
        is_begun: the loop has taken it up, and will end it. The loop's thread writes it, under the lock.
        is_driven: its task has made its first step. The loop's thread writes it.
    """

    __slots__ = ("awaitable", "deadline", "done", "inner", "is_begun", "is_driven", "late", "owner", "task")

    def __init__(self, awaitable: Any, deadline: float, done: Done, owner: object, inner: object) -> None:
        self.awaitable, self.deadline, self.done, self.owner, self.inner = awaitable, deadline, done, owner, inner
        self.task: Any = None
        self.late = self.is_begun = self.is_driven = False

    def close_unstarted(self) -> None:
        """Closes a coroutine that will never run: Python warns of one that is merely dropped."""
        for awaitable in (self.awaitable, self.inner):
            if isinstance(awaitable, Coroutine):
                awaitable.close()


class _Loop(threading.Thread):
    def __init__(self) -> None:
        with app_path.without():
            import asyncio

        super().__init__(name="hammerwork-loop", daemon=True)
        self._loop = asyncio.new_event_loop()
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        # Any thread writes these, under the lock.
        self._runs: set[_Run] = set()
        self._finishing = False
        # Why it accepts no further coroutine. Any thread writes it, under the lock.
        self.over: str | None = None
        self._deadlines: threading.Thread | None = None
        self._next_deadline = inf

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
        return self._finishing and not self._runs

    def finish(self) -> bool:
        """Lets the thread end once its coroutines have ended; returns whether they have."""
        with self._lock:
            self._finishing = True
        return self._stop_if_finished()

    def _stop_if_finished(self) -> bool:
        with self._lock:
            if not self._is_finished:
                return False
            self.over = self.over or "The worker has ended."
            self._changed.notify()
        with suppress(RuntimeError):  # it is closed
            self._loop.call_soon_threadsafe(self._loop.stop)
        return True

    def _clear(self) -> None:
        """Cancels tasks that coroutines have left behind, and closes the loop."""
        import asyncio

        if self._loop.is_closed():
            return
        # Some tasks go on all the same. Asyncio would write lines to the terminal once they are deleted.
        self._loop.set_exception_handler(_say_nothing_of_tasks_left)
        with suppress(BaseException):  # whatever a cancelled task raises
            tasks = asyncio.all_tasks(self._loop)
            for task in tasks:
                task.cancel()
            if tasks:
                self._loop.run_until_complete(asyncio.wait(tasks, timeout=LAST_SECONDS))
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        with suppress(RuntimeError):
            self._loop.close()

    def discard(self) -> None:
        """Closes a loop whose thread has never started."""
        self._loop.close()

    def submit(self, run: _Run) -> None:
        """Starts a coroutine in a copy of the caller's context variables."""
        with self._lock:
            if self.over is not None:
                raise JobError(self.over)
            if run.deadline < inf:
                self._watch_deadlines()
            is_here = threading.get_ident() == self.ident
            call = self._loop.call_soon if is_here else self._loop.call_soon_threadsafe
            call(self._begin, run)
            self._runs.add(run)
            if run.deadline < self._next_deadline:
                self._next_deadline = run.deadline
                self._changed.notify()

    def _watch_deadlines(self) -> None:
        if self._deadlines is None:
            watching = threading.Thread(target=self._watch, name="hammerwork-deadlines", daemon=True)
            with suppress(RuntimeError):  # the next coroutine tries again; the worker still writes the timeout
                watching.start()
                self._deadlines = watching

    def expire(self, owner: object) -> None:
        """Lets the deadline of an owner's coroutine pass now."""
        with self._lock:
            for run in self._runs:
                if run.owner is owner:
                    run.deadline = 0.0
            self._watch_deadlines()
            self._changed.notify()

    def _begin(self, run: _Run) -> None:
        with self._lock:
            run.is_begun = run in self._runs
        if run.is_begun:
            run.task = self._loop.create_task(self._drive(run))
            run.task.add_done_callback(lambda _: self._end_of_task(run))

    async def _drive(self, run: _Run) -> None:
        run.is_driven = True
        value: Any = None
        error: BaseException | None = None
        try:
            value = await run.awaitable
        except BaseException as raised:  # noqa: BLE001  whatever a coroutine raises ends only itself
            error = raised
        try:
            self._conclude(run, value, error)
        finally:
            del error  # else its traceback and this frame would keep each other, and all that the handler had

    def _end_of_task(self, run: _Run) -> None:
        if not run.is_driven:  # its task was cancelled before its first step
            run.close_unstarted()
            self._conclude(run, None, CancelledError())

    def _conclude(self, run: _Run, value: Any, error: BaseException | None) -> None:
        """Hands over the result or the error of a coroutine, only once."""
        if run not in self._runs:  # first without the lock: the garbage collector may close a coroutine anywhere
            return
        with self._lock:
            if run not in self._runs:
                return
            self._runs.discard(run)
        if not run.is_begun:
            run.close_unstarted()
        if run.late:
            value, error = None, OutOfTimeError("It took too long and was cancelled.")
        Context().run(run.done, value, error)  # which may start the next coroutine: without the variables of this one
        if self._finishing:
            self._stop_if_finished()

    def _watch(self) -> None:
        """Cancels coroutines at their deadlines, and abandons the loop when it does not turn then."""
        while late := self._late():
            for run in late:
                run.late = True
                with suppress(RuntimeError):  # it is closed
                    self._loop.call_soon_threadsafe(_cancel, run)
            # A slot that is free before would run its next coroutine in a loop that is about to be abandoned.
            if self._turns(BLOCKED_SECONDS):
                for run in late:
                    self._conclude(run, None, None)
            elif self.over is None:
                self._abandon()

    def _late(self) -> list[_Run]:
        """Waits for the next deadline; returns the coroutines whose deadline has passed, none once the loop is over."""
        with self._lock:
            while self.over is None:
                now = time.monotonic()
                if late := [run for run in self._runs if run.deadline <= now]:
                    return late
                self._next_deadline = min((run.deadline for run in self._runs), default=inf)
                self._changed.wait(min(self._next_deadline - now, threading.TIMEOUT_MAX / 2))
        return []

    def _turns(self, seconds: float) -> bool:
        """Whether the loop turns in this time."""
        turned = threading.Event()
        try:
            self._loop.call_soon_threadsafe(turned.set)
        except RuntimeError:  # it is closed
            return False
        return turned.wait(seconds)

    def _abandon(self) -> None:
        frame = sys._current_frames().get(self.ident or 0)
        place = "".join(traceback.format_stack(frame)) if frame else ""
        self.end("Another coroutine did not yield, and blocked the event loop.")
        self.finish()
        log.error(
            "A coroutine does not yield and blocks the others: they fail, and new ones run in another loop.\n%s",
            place,
        )

    def cancel(self, seconds: float) -> None:
        """Cancels all coroutines, and waits until they have ended, or until the time is up."""
        now = time.monotonic()
        with self._lock:
            runs = set(self._runs)
        for run in runs:  # the worker may end within the grace of one that has timed out
            run.late |= run.deadline - GRACE_SECONDS <= now
        with suppress(RuntimeError):  # it is closed
            for run in runs:
                self._loop.call_soon_threadsafe(_cancel, run)
        end = time.monotonic() + seconds
        while runs and time.monotonic() < end:
            time.sleep(TURN_SECONDS)
            with self._lock:
                runs &= self._runs
        self._turns(max(0.0, end - time.monotonic()))  # the loop may still be telling how the last of them ended

    def end(self, why: str) -> None:
        """Fails all coroutines, and accepts no further one. The end of the loop cancels their tasks."""
        with self._lock:
            self.over = why
            runs = tuple(self._runs)
            self._changed.notify()
        for run in runs:
            self._conclude(run, None, JobError(why))


def _say_nothing_of_tasks_left(loop: "AbstractEventLoop", context: dict[str, Any]) -> None:
    if "task" not in context:
        loop.default_exception_handler(context)


def _cancel(run: _Run) -> None:
    if run.task is not None:
        run.task.cancel()
