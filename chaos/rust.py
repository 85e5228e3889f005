"""A program that works like a Rust worker on a queue that our workers serve as well: jobs change hands."""

import json
import logging
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

from chaos.worker import end_with_parent, log_to
from hammerwork_cli.database import Timeouts, connect
from tests.rust_worker import MAX_RETRIES, RustWorker

QUEUE = "shared"
OFTEN_FAILS = 0.4
SOMETIMES_LONG = 0.1
PAUSE = 0.1
HASTY = Timeouts(lock=3.0, network=3.0)
"""It gives up what it waits for before it is killed for not ending."""


def work(url: str, folder: Path, lease: float) -> None:
    """Takes jobs until it is told to end; then it ends the one that it runs first."""
    take_turns(folder, "rust", lambda ended, ran: _Shift(url, lease).run(ended, ran))


def take_turns(folder: Path, name: str, shift: Callable[[list[int], Callable[[str], object]], None]) -> None:
    """Works until it is told to end, in shifts that each last until their connection breaks.

    Args:
        folder: for the log, and for the file of what ran.
        name: of the program, in its log's name.
        shift: called with a list that is no longer empty when it has to end, and with what notes a run.
    """
    log_to(folder, name)
    end_with_parent()
    ended: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: ended.append(number))
    with (folder / "effects").open("a", encoding="ascii", buffering=1) as effects:
        while not ended:
            try:
                shift(ended, effects.write)
            except Exception as error:  # noqa: BLE001  its statements pass drivers' errors on as they are
                logging.info("%s", error)
                time.sleep(PAUSE)


class _Shift:
    """As long as its connection holds."""

    def __init__(self, url: str, lease: float) -> None:
        self.database = connect(url, HASTY)
        self.worker, self.lease = RustWorker(self.database), lease

    def run(self, ended: list[int], ran: Callable[[str], object]) -> None:
        """Until it is told to end, or the connection breaks."""
        try:
            self._give_back()
            while not ended:
                job = self.worker.take(QUEUE)
                if job is None:
                    time.sleep(PAUSE)
                    continue
                self._run(job, ran)
        finally:
            self.database.close()

    def _run(self, job: str, ran: Callable[[str], object]) -> None:
        ((attempts, payload),) = self.worker.ask("SELECT attempts, payload FROM hammerwork_jobs WHERE id = %s", job)
        ran(f"{job} {attempts}\n")
        time.sleep(1.5 * self.lease if random.random() < SOMETIMES_LONG else random.uniform(0, 0.05))
        if attempts < MAX_RETRIES and random.random() < OFTEN_FAILS:
            self.worker.fail(job)
        else:
            content = payload if isinstance(payload, dict) else json.loads(payload)
            self.worker.complete(job, {"name": content["name"]})

    def _give_back(self) -> None:
        """What it had when its connection broke: a Rust worker leaves it, and ``spawn doctor`` fixes it."""
        left = self.worker.ask(
            "SELECT id FROM hammerwork_jobs WHERE queue_name = %s AND status = 'Running'"
            " AND (claimed_at IS NULL OR claimed_at <> started_at)",
            QUEUE,
        )
        for (job,) in left:
            self.worker.try_again(str(job))
