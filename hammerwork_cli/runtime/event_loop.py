"""Where coroutines of handlers run."""

import threading
import time
from typing import Any

from hammerwork_cli.runtime.failures import JobError


class EventLoop:
    """One event loop in a thread of its own, made when the first coroutine comes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: Any = None

    def result(self, awaitable: Any, deadline: float | None) -> Any:
        """What a coroutine returns; at its deadline it is cancelled.

        Raises:
            JobError: it was.
        """
        import asyncio
        import concurrent.futures

        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=self._loop.run_forever, name="hammerwork-loop", daemon=True).start()
        future = asyncio.run_coroutine_threadsafe(_awaited(awaitable), self._loop)
        try:
            return future.result(None if deadline is None else max(0.0, deadline - time.monotonic()) + 0.05)
        except concurrent.futures.TimeoutError:
            if future.done():
                raise
            future.cancel()
            raise JobError("It took too long and was cancelled.") from None


async def _awaited(awaitable: Any) -> Any:
    return await awaitable
