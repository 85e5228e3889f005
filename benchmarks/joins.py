"""A join of very many jobs, which four workers end: against the same jobs without one."""

import contextlib
import logging
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from benchmarks.loading import tidy
from benchmarks.measuring import Result, goal_at, peak_kib
from hammerwork_cli import Handlers, Worker
from hammerwork_cli.core.ids import new_id
from hammerwork_cli.core.values import JobStatus, timestamp
from hammerwork_cli.database import Database, connect
from hammerwork_cli.database.batches import batched
from hammerwork_cli.features.job.models.new_job import NewJob
from hammerwork_cli.features.job.queries import enqueue
from hammerwork_cli.features.migration import queries as migrations
from hammerwork_cli.features.tree.ancestry import Ancestry
from hammerwork_cli.features.tree.queries import joins
from tests.databases import Databases

WORKERS = 4
MOST_MIB = 100
SLOWER = 1 / 0.9
"""The longest time with the join, as a multiple of the time without."""


def measure(maker: Databases, jobs: int) -> Iterator[Result]:
    """Each once: a million jobs take minutes."""
    url = maker.empty()
    try:
        with contextlib.closing(connect(url)) as database:
            migrations.run(database)
            fill(database, min(jobs, 10_000), with_join=False)
            _work(url)  # warms up
            without, *_ = _round(database, url, jobs, with_join=False)
            seconds, standing, grown = _round(database, url, jobs, with_join=True)
            (ended,) = database.query("SELECT status FROM hammerwork_jobs WHERE queue_name = 'joined'")
            assert ended == (JobStatus.COMPLETED,)
            server = database.server
    finally:
        maker.drop(url)
    yield Result(
        "complete the jobs of a join, four workers",
        server,
        jobs,
        seconds / without,
        goal=goal_at(jobs, SLOWER),
        ours=seconds,
        peer=without,
        against="the same jobs without a join",
    )
    yield Result("seconds in which no job of a join completes", server, jobs, standing, "s", goal_at(jobs, 0))
    yield Result("growth of the memory of a worker", server, jobs, grown, "KiB", goal_at(jobs, MOST_MIB * 1024))


def _round(database: Database, url: str, jobs: int, *, with_join: bool) -> tuple[float, int, int]:
    """Seconds from the first end to the last, those without an end, and the most KiB by which a worker grew."""
    fill(database, jobs, with_join=with_join)
    tidy(url)
    grown = _work(url)
    ends: Counter[int] = Counter()
    first, last = float("inf"), 0.0
    for end in _ends(database):
        first, last = min(first, end), max(last, end)
        ends[int(end)] += 1
    return last - first, sum(not ends[second] for second in range(int(first), int(last) + 1)), grown


def _ends(database: Database) -> Iterator[float]:
    for (stored,) in database.query("SELECT completed_at FROM hammerwork_jobs WHERE queue_name = 'noop'"):
        if (at := timestamp(stored)) is not None:
            yield at.timestamp()


def fill(database: Database, jobs: int, *, with_join: bool) -> None:
    """So many jobs below a parent that has ended, in place of all before."""
    for table in ("hammerwork_jobs", "hammerwork_joins"):
        database.script(f"DELETE FROM {table}")
    now, parent, join = database.now(), new_id(), new_id()
    top = NewJob("top", "{}", now, now, parent, JobStatus.COMPLETED, completed_at=now)
    place = Ancestry(parent).child()
    after = NewJob("joined", "{}", now, now, join, depends_on=(parent,), dependency_status="waiting")
    after.ancestry = place._replace(awaits=True).stored()
    enqueue.insert(database, [top, after] if with_join else [top])
    place = place._replace(joined=(join,)) if with_join else place
    for part in batched(range(jobs), 5_000):
        same = {"depends_on": (parent,), "dependency_status": "satisfied", "ancestry": place.stored()}
        enqueue.insert(database, [NewJob("noop", "{}", now, now, **same) for _ in part])  # type: ignore[arg-type]

    def add() -> None:
        joins.add(database, join, parent, "children", "fail", now)
        joins.count(database, {join: jobs})
        joins.parents_ended(database, [join])

    if with_join:
        database.transaction(add)


def _work(url: str) -> int:
    """Lets workers end all jobs; returns the most KiB by which one of them grew."""
    command = [sys.executable, "-m", "benchmarks.joins", url]
    root = Path(__file__).parents[1]
    workers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root) for _ in range(WORKERS)]
    grown = [int(worker.communicate()[0]) for worker in workers]
    assert not any(worker.returncode for worker in workers)
    return max(grown)


def _be_a_worker(url: str) -> None:
    """Ends jobs until there are none, and prints by how many KiB it grew."""
    logging.disable()
    app = Handlers()
    for queue in ("noop", "joined"):
        app.register_job(queue, lambda _: None)
    worker = Worker(url, app, drain=True, poll_interval=0.2, concurrency=8)
    before = peak_kib()
    worker.run()
    print(peak_kib() - before)


if __name__ == "__main__":
    _be_a_worker(sys.argv[1])
