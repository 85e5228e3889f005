"""What events cost the worker that writes them, and how fast a stream is sent."""

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import NamedTuple
from unittest import mock

from benchmarks.measuring import Result, ratio_of
from benchmarks.workers import fill_noop, run_noop
from hammerwork_cli.core.ids import new_id
from hammerwork_cli.database import Database, connect
from hammerwork_cli.features.event import queries as events
from hammerwork_cli.features.event.model import USUAL, EventType
from hammerwork_cli.features.migration import queries as migrations
from hammerwork_cli.features.streaming import queries as streams
from hammerwork_cli.features.streaming.model import Backend, Stream
from hammerwork_cli.features.webhook import queries as webhooks
from hammerwork_cli.features.webhook.model import Webhook
from tests.databases import Databases

COMPLETED = (EventType.JOB_COMPLETED,)
WORK = (
    ("nobody wants events", 1.01, "the same without the code for events"),
    ("a webhook for dead jobs", 1.02, "nobody wants events"),
    ("a stream of completed jobs", 1.35, "nobody wants events"),
    ("a stream of what streams take by default", 1.35, "nobody wants events"),
)


class _Taken(NamedTuple):
    """Seconds of a run, of the CPU of this process, and of the CPUs of the machine."""

    wall: float
    own: float
    machine: float


def measure(maker: Databases, jobs: int, runs: int) -> Iterator[Result]:
    """No-op jobs through one worker, on one kind of database."""
    url = maker.empty()
    try:
        with contextlib.closing(connect(url)) as database:
            migrations.run(database)
            taken: dict[str, list[_Taken]] = {name: [] for name in ("bare", *(name for name, *_ in WORK))}
            for number in range(runs + 1):
                for name, times in taken.items():
                    found = _run(database, name, jobs)
                    if number:  # the first warms up
                        times.append(found)
            for name, goal, against in WORK:
                peer = taken["bare" if name == WORK[0][0] else WORK[0][0]]
                yield _compared(database, name, jobs, taken[name], peer, goal, against)
    finally:
        maker.drop(url)


def _compared(
    database: Database, name: str, jobs: int, ours: list[_Taken], peer: list[_Taken], goal: float | None, against: str
) -> Result:
    walls = [[one.wall for one in times] for times in (ours, peer)]
    result = ratio_of(f"no-op jobs: {name}", database, jobs, *walls, goal=goal, against=against)
    own, machine = (
        median(getattr(one, what) for one in ours) / median(getattr(one, what) for one in peer)
        for what in ("own", "machine")
    )
    return replace(result, note=f"{result.note}; CPU {own:.2f}x, of the whole machine {machine:.2f}x")


def _run(database: Database, name: str, jobs: int) -> _Taken:
    for statement in ("hammerwork_webhooks", "hammerwork_streams", "hammerwork_stream_events"):
        database.script(f"DELETE FROM {statement}")
    now = database.now()
    if name == "a webhook for dead jobs":
        hook = Webhook(new_id(), "bench", "https://example.com/", events=(EventType.JOB_DEAD,))
        webhooks.add(database, hook, by="bench", now=now)
    elif name.startswith("a stream"):
        wanted = COMPLETED if name == "a stream of completed jobs" else USUAL
        streams.add(
            database, Stream(new_id(), "bench", Backend.COMMAND, {"command": ["true"]}, wanted), by="bench", now=now
        )
    fill_noop(database, jobs)
    with contextlib.ExitStack() as closing:
        if name == "bare":
            for function in ("jobs", "ended"):
                closing.enter_context(mock.patch.object(events, function, return_value=None))
        began = _cpu()
        wall = run_noop(database.url, jobs)
        own, machine = (after - before for before, after in zip(began, _cpu(), strict=True))
        return _Taken(wall, own, machine)


def _cpu() -> tuple[float, float]:
    """Seconds of CPU so far: of this process, and of all."""
    fields = Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()[1:]
    busy = sum(map(int, fields)) - int(fields[3]) - int(fields[4])
    return time.process_time(), busy / os.sysconf("SC_CLK_TCK")
