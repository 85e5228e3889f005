"""What a handler leaves running in its process."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from hammerwork_cli.runtime.api.resources import OpenResources

if TYPE_CHECKING:
    import asyncio

GRACE_SECONDS = 0.1
"""For what is about to end: a thread after its last statement, a task that is cancelled."""
_LOOK_SECONDS = 0.002


class Leftovers:
    """Tells what a handler has left running from what stays between jobs. Only the main thread of the process uses it.

    What modules, lifespans and resources have started stays. So do daemon threads, which libraries keep for a
    connection or a monitor that they make at first use, and threads and processes of executors that have nothing to do.
    """

    def __init__(self, resources: OpenResources) -> None:
        self._started = resources.started
        self._started.update(threading.enumerate())

    def names(self, loop: "asyncio.AbstractEventLoop | None") -> list[str]:
        """What runs, in words.

        Args:
            loop: the event loop of the process, which does not run now.
        """
        return [*self._threads(), *self._tasks(loop)]

    def names_after_grace(self, loop: "asyncio.AbstractEventLoop | None") -> list[str]:
        """What still runs when all that is about to end had the time for it."""
        end = time.monotonic() + GRACE_SECONDS
        while (found := self.names(loop)) and time.monotonic() < end:
            _let_pass(loop)
        return found

    def _threads(self) -> Iterator[str]:
        for thread in threading.enumerate():
            if not thread.daemon and thread not in self._started and not _is_idle(thread):
                yield f"the thread {thread.name!r}"

    def _tasks(self, loop: "asyncio.AbstractEventLoop | None") -> Iterator[str]:
        if loop is None or loop.is_closed():
            return
        import asyncio

        for task in asyncio.all_tasks(loop):
            if task not in self._started:
                yield f"the task {getattr(task.get_coro(), '__qualname__', task.get_name())!r}"


def _let_pass(loop: "asyncio.AbstractEventLoop | None") -> None:
    if loop is None or loop.is_closed():
        time.sleep(_LOOK_SECONDS)
        return
    import asyncio

    with suppress(SystemExit, KeyboardInterrupt, RuntimeError):  # a task that exits, or that stops the loop
        loop.run_until_complete(asyncio.sleep(_LOOK_SECONDS))


def _is_idle(thread: threading.Thread) -> bool:
    """Whether it belongs to an executor that is kept for later, and waits for work."""
    if pools := sys.modules.get("concurrent.futures.thread"):
        frame = sys._current_frames().get(thread.ident or 0)
        if frame is not None and frame.f_code is pools._worker.__code__:
            return True
    return getattr(thread, "pending_work_items", None) == {}  # a ProcessPoolExecutor's
