"""Work that waits for others than the database, such as receivers of webhooks."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from hammerwork_cli.errors import RetryableError

Result = TypeVar("Result")

MOST_AT_ONCE = 4


class Outside:
    """Runs such work in a few threads of its own, so that nobody else waits for it."""

    def __init__(self) -> None:
        self._free = threading.BoundedSemaphore(MOST_AT_ONCE)

    async def ask(self, work: Callable[[], Result]) -> Result:
        """Returns what ``work`` returns.

        Raises:
            RetryableError: too much of it is under way.
        """
        if not self._free.acquire(blocking=False):
            raise RetryableError(f"{MOST_AT_ONCE} tests are under way.", hint="Try again in a moment.")
        answer: Future[Result] = Future()

        def run() -> None:
            try:
                result = work()
            except BaseException as error:  # noqa: BLE001  whoever asked gets it
                answer.set_exception(error)
            else:
                answer.set_result(result)
            finally:
                self._free.release()

        # A daemon, so that a receiver that hangs does not keep the process from ending.
        threading.Thread(target=run, name="outside", daemon=True).start()
        return await asyncio.shield(asyncio.wrap_future(answer))  # it goes on when the client has gone
