"""The same work by hammerwork and by Procrastinate, each in a process of its own, in turn on one PostgreSQL server."""

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from statistics import median

from benchmarks.measuring import Result, ratio_of
from benchmarks.workers import PEERS, environment
from hammerwork_cli.database import connect
from tests.databases import Databases

Run = Callable[[str, int], tuple[float, float]]
"""The work and its jobs -> seconds, and seconds of the process's CPU."""
WORK = (
    ("enqueue in a transaction of psycopg", "enqueue", 5_000, "defer(connection=...)"),
    ("jobs that run again at once", "snooze", 1_000, "Snooze against a failure and a retry"),
    ("ten tenants, one job of each at a time", "limited", 1_000, "a limit against locks"),
    ("the same without limit and locks", "free", 1_000, "10 at once"),
)
JOINED = 10_000


def measure(maker: Databases, runs: int, share: float = 1.0) -> Iterator[Result]:
    """Everything, with this share of the jobs."""
    with tempfile.TemporaryDirectory(prefix="hammerwork-peers-") as folder:
        ours, peer = (
            _runner(maker, sys.executable, "hammerwork"),
            _runner(maker, environment(Path(folder)), "procrastinate"),
        )
        for name, what, jobs, against in WORK:
            yield _compared(
                maker, name, max(10, int(jobs * share)), runs, (ours, what), (peer, what), f"Procrastinate: {against}"
            )
        both = (ours, "join"), (ours, "spawn")
        yield _compared(
            maker, "spawn, run and join", max(10, int(JOINED * share)), runs, *both, "the same without the join"
        )
        both = (ours, "limited"), (ours, "free")
        yield _compared(maker, "one job of each tenant at a time", max(10, int(1_000 * share)), runs, *both, "no limit")


def _runner(maker: Databases, python: str | Path, peer: str) -> Run:
    def run(what: str, jobs: int) -> tuple[float, float]:
        url = maker.empty()
        try:
            done = subprocess.run(
                [python, PEERS / f"{peer}_side.py", url, what, str(jobs)],
                env={**os.environ, "PYTHONPATH": str(PEERS.parent.parent)},
                capture_output=True,
                encoding="utf-8",
                check=True,
            )
        finally:
            maker.drop(url)
        seconds, used = map(float, done.stdout.split()[-2:])
        return seconds, used

    return run


def _compared(
    maker: Databases, name: str, jobs: int, runs: int, ours: tuple[Run, str], peer: tuple[Run, str], against: str
) -> Result:
    taken: tuple[list[tuple[float, float]], ...] = ([], [])
    for _ in range(runs):
        for times, (run, what) in zip(taken, (ours, peer), strict=True):
            times.append(run(what, jobs))
    url = maker.empty()
    try:
        with contextlib.closing(connect(url)) as database:
            mine, other = ([seconds for seconds, _ in times] for times in taken)
            result = ratio_of(name, database, jobs, mine, other, goal=None, against=against)
    finally:
        maker.drop(url)
    used = [median(cpu for _, cpu in times) for times in taken]
    return replace(result, note=f"{result.note}; {used[0]:.2f} and {used[1]:.2f} s of CPU")
