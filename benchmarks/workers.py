"""A worker against its own statements, sent bare; against peers; and spawning against bare inserts."""

import asyncio
import contextlib
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import spawning
from benchmarks.measuring import FULL_SIZE, Result, goal_at, peak_kib, ratio_of
from hammerwork_cli import Handlers, Job, Queue, SpawnConfig, Worker
from hammerwork_cli.core.ids import new_id
from hammerwork_cli.database import Database, connect
from hammerwork_cli.features.job.models.new_job import NewJob
from hammerwork_cli.features.job.queries import enqueue
from hammerwork_cli.features.migration import queries as migrations
from hammerwork_cli.features.worker.queries.claim import CLAIMED_COLUMNS, LARGE
from tests.databases import Databases

PEERS = Path(__file__).parent / "peers"
HUNDRED = 100
SLEEP, MOST_SLEEPING = 1.0, 5_000
"""Seconds, and coroutines."""
WORKER = "11111111-1111-4111-8111-111111111111"


def measure(maker: Databases, jobs: int, runs: int) -> Iterator[Result]:
    """Everything about workers on one kind of database, with so many jobs a run."""
    url = maker.empty()
    try:
        with contextlib.closing(connect(url)) as database:
            migrations.run(database)
            yield from _throughput(database, jobs, runs)
            yield _sleeping(database, jobs, runs)
            yield from _waiting(database, jobs, runs)
            yield from spawning.measure(database, jobs, runs)
            if database.dialect == "postgresql":
                yield _latency(database, 50 if jobs >= FULL_SIZE else 5, goal_at(jobs, 50))
                yield from _peers(maker, database, jobs)
    finally:
        maker.drop(url)


# No-op jobs.


def fill_noop(database: Database, jobs: int) -> None:
    """Enqueues so many jobs that do nothing, in place of all before."""
    database.script("DELETE FROM hammerwork_jobs WHERE queue_name = 'noop'")
    now = database.now()
    enqueue.insert(database, [NewJob("noop", "{}", now, now) for _ in range(jobs)])
    if database.dialect == "postgresql":
        database.script("VACUUM ANALYZE hammerwork_jobs")


def _nothing(job: Job) -> None:
    """A handler that does nothing."""


async def _coroutine(job: Job) -> None:
    """A coroutine that does nothing."""


async def _sleep(job: Job) -> None:  # noqa: ARG001
    """A coroutine that waits, as for a network."""
    await asyncio.sleep(SLEEP)


def run_noop(url: Any, jobs: int, handler: Callable[[Job], Any] = _nothing, concurrency: int = 4) -> float:
    """Seconds from the start of a worker to its last job's completion being committed."""
    app = Handlers()
    app.register_job("noop", handler)
    last = [time.perf_counter()]
    worker = Worker(url, app, drain=True, concurrency=concurrency)
    worker = worker._with_options(on_progress=lambda: last.__setitem__(0, time.perf_counter()))
    began = time.perf_counter()
    report = worker.run()
    assert report.completed == jobs, report
    return last[0] - began


def _bare(database: Database, jobs: int, size: int = HUNDRED) -> float:
    """Seconds for claiming and completing by the hundred with the worker's statements and nothing around them."""
    done, began = 0, time.perf_counter()
    while done < jobs:
        now, token = database.now(), new_id()

        def claim(now: Any = now, token: str = token) -> Sequence[str]:
            wanted = {"queue": "noop", "now": now, "priority": None, "limit": size, "large": LARGE, "spawning": False}
            wanted |= {"per": None, "full": (), "left_webhooks": (), "columns": CLAIMED_COLUMNS}
            rows = database.rows("worker.claim.ready", **wanted)
            ids = [row[0] for row in rows]
            database.run("worker.claim.claim", ids=database.ids(ids), token=token, worker=WORKER, now=now, lease=300)
            return ids

        ids = database.transaction(claim)
        done += database.run(
            "worker.finish.complete", ids=database.ids(ids), token=token, start=now, started=now, now=database.now()
        )
    return time.perf_counter() - began


def _throughput(database: Database, jobs: int, runs: int) -> Iterator[Result]:
    ours, coroutines, bare = [], [], []
    for _ in range(runs + 1):
        fill_noop(database, jobs)
        ours.append(run_noop(database.url, jobs))
        fill_noop(database, jobs)
        coroutines.append(run_noop(database.url, jobs, _coroutine))
        fill_noop(database, jobs)
        bare.append(_bare(database, jobs))
    for name, times in (("no-op jobs", ours), ("no-op coroutines", coroutines)):
        yield ratio_of(
            f"{name}, one worker process",
            database,
            jobs,
            times[1:],
            bare[1:],
            goal=1.0 if database.dialect == "postgresql" else 2.0,
            against="its claim and complete statements, by the hundred",
        )


def _sleeping(database: Database, jobs: int, runs: int) -> Result:
    """Coroutines that sleep all at once, against their statements and one sleep."""
    jobs = min(jobs, MOST_SLEEPING)
    ours, bare = [], []
    for _ in range(max(1, runs // 2)):
        fill_noop(database, jobs)
        ours.append(run_noop(database.url, jobs, _sleep, concurrency=jobs))
        fill_noop(database, jobs)
        bare.append(_bare(database, jobs) + SLEEP)
    return ratio_of(
        f"{jobs:,} coroutines that sleep for {SLEEP:g} s at once",
        database,
        jobs,
        ours,
        bare,
        goal=2.0,
        against="their claim and complete statements, by the hundred, and one sleep",
    )


def _waiting(database: Database, jobs: int, runs: int) -> Iterator[Result]:
    """The same while very many jobs wait for others: none of them may be in the way."""
    now = database.now()
    parents = [
        NewJob("held", "{}", now + timedelta(days=9), now + timedelta(days=9)) for _ in range(max(jobs // 20, 1))
    ]
    waiting = [
        NewJob(
            "noop",
            "{}",
            now,
            now,
            priority=parents[0].priority.CRITICAL,
            depends_on=(parent.id,),
            dependency_status="waiting",
        )
        for parent in parents
        for _ in range(100)
    ]
    with_waiting, without = [], []
    for _ in range(max(1, runs // 2)):
        fill_noop(database, jobs)
        without.append(run_noop(database.url, jobs))
        fill_noop(database, jobs)
        enqueue.insert(database, parents)
        enqueue.insert(database, waiting)
        with_waiting.append(run_noop(database.url, jobs))
        database.script("DELETE FROM hammerwork_jobs")
    yield ratio_of(
        f"no-op jobs while {len(waiting):,} wait for others",
        database,
        jobs,
        with_waiting,
        without,
        goal=1.5,
        against="the same without them",
    )


# A job that has just been enqueued.


def _latency(database: Database, jobs: int, goal: float | None) -> Result:
    started: list[float] = []
    app = Handlers()
    app.register_job("noop", lambda job: started.append(time.perf_counter()))  # noqa: ARG005  only when
    database.script("DELETE FROM hammerwork_jobs")
    worker = Worker(database.url, app, poll_interval=600)
    thread = threading.Thread(target=worker.run)
    thread.start()
    waited = []
    with Queue(database.url) as queue:
        time.sleep(1.5)
        for number in range(jobs):
            began = time.perf_counter()
            queue.enqueue(Job("noop", {}))
            while len(started) <= number:
                time.sleep(0.0005)
            waited.append(started[number] - began)
            time.sleep(0.02)
    worker.stop()
    thread.join()
    return Result(
        "from enqueue to the start of the job, idle worker",
        database.server,
        jobs,
        median(waited) * 1000,
        "ms",
        goal=goal,
        note=f"slowest {max(waited) * 1000:.0f} ms",
    )


# Peers, installed for this alone.


def _peers(maker: Databases, database: Database, jobs: int) -> Iterator[Result]:
    if jobs < FULL_SIZE:
        return
    with tempfile.TemporaryDirectory(prefix="hammerwork-peers-") as folder:
        python = environment(Path(folder))
        for name, program, count, goal in (
            ("Procrastinate, 10 at once", "procrastinate_noop.py", jobs // 10, 0.05),
            ("PgQueuer, by the hundred, with a pool of ten", "pgqueuer_noop.py", jobs, 1 / 1.2),
        ):
            peers, ours = [], []
            for _ in range(3):
                url = maker.empty()
                try:
                    done = subprocess.run(
                        [python, PEERS / program, url, str(count)], capture_output=True, encoding="utf-8", check=True
                    )
                    peers.append(float(done.stdout.split()[-1]) * jobs / count)
                finally:
                    maker.drop(url)
                fill_noop(database, jobs)
                ours.append(run_noop(database.url, jobs))
            yield ratio_of("no-op jobs, one worker process", database, jobs, ours, peers, goal=goal, against=name)


def environment(folder: Path) -> Path:
    """A Python with the peers."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = folder / "bin" / "python"
    packages = ["procrastinate==3.10.0", "pgqueuer[asyncpg]==1.6.0"]
    subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True)
    return python


# A million children.


def memory(maker: Databases, children: int) -> Iterator[Result]:
    """The most memory of a process whose handler spawns so many children, against one that spawns a thousand."""
    peaks = {}
    for count in (1000, children):
        url = maker.empty()
        try:
            with contextlib.closing(connect(url)) as database:
                migrations.run(database)
                server = database.server
            done = subprocess.run(
                [sys.executable, "-m", "benchmarks.workers", url, str(count)],
                capture_output=True,
                encoding="utf-8",
                check=True,
            )
            peaks[count] = json.loads(done.stdout)
        finally:
            maker.drop(url)
    small, large = peaks[1000], peaks[children]
    yield Result(
        f"peak memory, {children:,} children from a generator",
        server,
        children,
        (large["peak_kib"] - small["peak_kib"]) / 1024,
        "MiB more than for 1,000",
        goal=64.0 if children >= FULL_SIZE else None,
        note=f"{large['peak_kib'] / 1024:.0f} MiB in all, {children / large['seconds']:,.0f} children/s",
    )


def _spawn_many(url: str, children: int) -> None:
    app = Handlers()

    @app.spawn("parent")
    def spawn(context: Any) -> Iterator[Job]:
        del context
        for number in range(children):
            yield Job("child", {"number": number})

    with Queue(url) as queue:
        queue.enqueue(Job("parent", {}).with_spawn_config(SpawnConfig(max_spawn_count=None)))
    began = time.perf_counter()
    report = Worker(url, app, max_jobs=1).run()
    assert report.completed == 1, report
    print(json.dumps({"peak_kib": peak_kib(), "seconds": time.perf_counter() - began}))


if __name__ == "__main__":
    _spawn_many(sys.argv[1], int(sys.argv[2]))
