"""A program that works like a worker and the reaper of version 3 of hammerwork (Rust), beside our workers."""

import json
import logging
import random
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from chaos.rust import HASTY, OFTEN_FAILS, PAUSE, QUEUE, SOMETIMES_LONG, take_turns
from chaos.worker import JOB_LEASES
from hammerwork_cli.database import connect
from tests.rust3.runs import Run, Version3

REAPS = 1.0
"""Seconds between two looks of the reaper, which the original takes each minute."""


def work(url: str, folder: Path, lease: float) -> None:
    """Takes jobs and reaps until it is told to end; then it ends the job that it runs first."""
    lasts = timedelta(seconds=JOB_LEASES * lease)
    take_turns(folder, "rust3", lambda ended, ran: _Shift(url, lasts).run(ended, ran))


class _Shift:
    """As long as its connection holds; what it runs then is left to the reapers."""

    def __init__(self, url: str, lease: timedelta) -> None:
        self.database = connect(url, HASTY)
        self.version3 = Version3(self.database, lease=lease)
        self._reaps_at = 0.0

    def run(self, ended: list[int], ran: Callable[[str], object]) -> None:
        """Until it is told to end, or the connection breaks."""
        try:
            while not ended:
                self._reap()
                run = self.version3.claim(QUEUE)
                if run is None:
                    time.sleep(PAUSE)
                else:
                    ran(f"{run.job} {run.attempts}\n")
                    self._run(run, ended)
        finally:
            self.database.close()

    def _reap(self) -> None:
        if time.monotonic() >= self._reaps_at:
            self._reaps_at = time.monotonic() + REAPS
            if taken := self.version3.reap(self.version3.lease):
                logging.info("took %s", taken)

    def _run(self, run: Run, ended: list[int]) -> None:
        lease = self.version3.lease.total_seconds()
        long = 1.5 * lease if random.random() < SOMETIMES_LONG else random.uniform(0, 0.05)
        until, beats_at = time.monotonic() + long, time.monotonic() + lease / 3
        while not ended and (left := until - time.monotonic()) > 0:  # a long run may outlast the wait for its end
            time.sleep(min(left, PAUSE))
            self._reap()
            if time.monotonic() >= beats_at:
                beats_at = time.monotonic() + lease / 3
                self.version3.heartbeat(run)
        if run.attempts < run.max_attempts and random.random() < OFTEN_FAILS:
            self.version3.fail(run)
        else:
            content = run.payload if isinstance(run.payload, dict) else json.loads(run.payload)
            self.version3.complete(run, {"name": content["name"]})
