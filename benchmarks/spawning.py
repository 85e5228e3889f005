"""Spawning against bare inserts of the same rows."""

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Any

from benchmarks.measuring import Result, ratio_of
from hammerwork_cli import SpawnConfig
from hammerwork_cli.core.ids import new_id
from hammerwork_cli.database import Database
from hammerwork_cli.features.job.models.new_job import NewJob
from hammerwork_cli.features.job.queries import enqueue
from hammerwork_cli.features.worker.queries import ancestry
from hammerwork_cli.features.worker.queries import claim as claim_queries
from hammerwork_cli.features.worker.queries import spawn as spawn_queries
from hammerwork_cli.features.worker.queries.ancestry import Spawner
from hammerwork_cli.features.worker.queries.finish import AttemptEnd, EndedAttempt

WORKER = "11111111-1111-4111-8111-111111111111"


def measure(database: Database, jobs: int, runs: int) -> Iterator[Result]:
    """One parent that spawns many children, against inserting them in three other ways."""
    children = min(jobs, 10_000)
    now = database.now()

    def made(parent: str) -> list[NewJob]:
        return [
            NewJob("resize", '{"image": 7}', now, now, depends_on=(parent,), dependency_status="satisfied")
            for _ in range(children)
        ]

    def spawn() -> None:
        database.script("DELETE FROM hammerwork_jobs")
        parent = NewJob("parent", "{}", now, now)
        enqueue.insert(database, [parent])
        later = now + timedelta(seconds=1)
        (job,) = claim_queries.claim(database, "parent", worker=WORKER, now=later, limit=1, slots=1)
        batch = made(job.id)
        config = SpawnConfig(max_spawn_count=None)
        spawner = Spawner.of(job, ancestry.of(database, job), config)
        operation = spawn_queries.Operation(new_id(), spawner, "parent", config, now, children)
        start = time.perf_counter()
        parts = [batch[place : place + 500] for place in range(0, children, 500)]
        spawn_queries.complete(database, EndedAttempt(job, AttemptEnd.COMPLETED), operation, lambda: parts, now=later)
        times["ours"].append(time.perf_counter() - start)

    def bare(insert: Callable[[Database, Sequence[tuple[Any, ...]]], object], name: str, share: int = 1) -> None:
        database.script("DELETE FROM hammerwork_jobs")
        rows = [_raw_row(database, job) for job in made(new_id())][: max(children // share, 1)]
        start = time.perf_counter()
        insert(database, rows)
        times[name].append((time.perf_counter() - start) * children / len(rows))

    many = _copied if database.dialect == "postgresql" else _inserted
    times: dict[str, list[float]] = {"ours": [], "inserted": [], "same way": [], "one by one": []}
    for _ in range(runs + 1):
        spawn()
        bare(many, "same way")
        bare(_inserted, "inserted")
    bare(_one_by_one, "one by one", share=10)
    name = f"spawn {children:,} children atomically"
    for peer, goal, against in (
        ("inserted", 1 / 0.6, "a bare INSERT of the same rows, 500 a statement"),
        ("same way", 1 / 0.6, "a bare COPY of the same rows"),
        ("one by one", 0.1, "one INSERT a child"),
    ):
        if peer != "same way" or many is _copied:
            peers = times[peer][1:] or times[peer]
            yield ratio_of(name, database, children, times["ours"][1:], peers, goal=goal, against=against)


COLUMNS = (
    "id, queue_name, payload, status, priority, attempts, max_attempts, created_at, scheduled_at, depends_on,"
    " dependents, dependency_status"
)


def _raw_row(database: Database, job: NewJob) -> tuple[Any, ...]:
    empty = enqueue.stored_ids(database, ())
    parents = enqueue.stored_ids(database, job.depends_on)
    times = [database._adapt(when) for when in (job.created_at, job.scheduled_at)]
    return (job.id, job.queue, job.payload, "Pending", 2, 0, 3, *times, parents, empty, "satisfied")


def _inserted(database: Database, rows: Sequence[tuple[Any, ...]]) -> None:
    def work() -> None:
        for start in range(0, len(rows), 500):
            _insert(database, rows[start : start + 500])

    database.transaction(work)


def _one_by_one(database: Database, rows: Sequence[tuple[Any, ...]]) -> None:
    for row in rows:
        _insert(database, [row])


def _copied(database: Database, rows: Sequence[tuple[Any, ...]]) -> None:
    def work() -> None:
        with database._connection.cursor() as cursor, cursor.copy(f"COPY hammerwork_jobs ({COLUMNS}) FROM STDIN") as to:
            for row in rows:
                to.write_row(row)

    database.transaction(work)


def _insert(database: Database, rows: Sequence[tuple[Any, ...]]) -> None:
    one = "(" + ",".join([database.placeholder] * len(rows[0])) + ")"
    sql = f"INSERT INTO hammerwork_jobs ({COLUMNS}) VALUES {','.join([one] * len(rows))}"
    database._execute(sql, [value for row in rows for value in row])
