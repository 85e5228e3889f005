"""A handler that forks, as careless ones do; all of the processes use one ``Queue`` that was used before."""

import os
import signal
import subprocess
import time
from contextlib import suppress
from multiprocessing import get_context

from hammerwork_cli import Job, Queue

MOST_SECONDS = 60
"""More than an outage takes."""


def enqueue(queue: Queue, first: Job, second: Job) -> None:
    """Lets one forked process enqueue ``first``, and one of multiprocessing ``second``.

    Raises:
        RuntimeError: one of them could not.
    """
    queue.find(first)
    child = os.fork()
    if child == 0:
        with suppress(BaseException):
            queue.enqueue(first)
            os._exit(0)
        os._exit(1)
    _wait(child)
    process = get_context("fork").Process(target=queue.enqueue, args=(second,))
    process.start()
    process.join(MOST_SECONDS)
    if process.exitcode != 0:
        process.kill()
        raise RuntimeError(f"A process of multiprocessing ended with {process.exitcode}.")
    subprocess.run(["true"], check=True)


def _wait(child: int) -> None:
    until = time.monotonic() + MOST_SECONDS
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            break
        if time.monotonic() > until:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            raise RuntimeError("A forked process hung.")
        time.sleep(0.01)
    if status:
        raise RuntimeError(f"A forked process ended with {status}.")
