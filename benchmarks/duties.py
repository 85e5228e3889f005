"""Schedules, retention and counts of batches, against the fewest statements that do the same work."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta

from benchmarks.loading import tidy
from benchmarks.measuring import Result, compare, goal_at, ratio_of
from benchmarks.workload import NOW
from hammerwork_cli.core.cron.expressions import Expression
from hammerwork_cli.core.ids import new_id
from hammerwork_cli.core.values import JobStatus
from hammerwork_cli.database import Database, connect
from hammerwork_cli.features.archive.models.policies import Policy, PolicyAction
from hammerwork_cli.features.archive.queries import retention
from hammerwork_cli.features.batch.queries import listing
from hammerwork_cli.features.cron.model import NewSchedule, Overlap
from hammerwork_cli.features.cron.queries import changes, ticks
from hammerwork_cli.features.cron.queries.changes import Author
from hammerwork_cli.features.job.models.new_job import NewJob
from hammerwork_cli.features.job.queries import enqueue
from hammerwork_cli.features.migration import queries as migrations
from hammerwork_cli.features.queue.model import EVERY_QUEUE
from tests.databases import Databases

SCHEDULES = 100
CHILDREN = 9
"""Children in each tree that retention takes."""
MOST_KEPT = 20_000
"""The most jobs for retention: each run inserts them again."""
TICK_GOAL = 2.0
COUNT_GOAL = 1.3
BATCH = "ba7c4000-0000-4000-8000-000000000000"
YEAR = timedelta(days=365)
_PAYLOAD = {
    "postgresql": "convert_to(payload::text, 'UTF8')",
    "mysql": "CAST(payload AS BINARY)",
    "sqlite": "CAST(payload AS BLOB)",
}


def measure(maker: Databases, jobs: int, runs: int) -> Iterator[Result]:
    """Each on one new database."""
    url = maker.empty()
    try:
        with closing(connect(url)) as database:
            migrations.run(database)
            yield _ticks(database, jobs, runs)
            yield from _retention(database, lambda: tidy(url), min(jobs, MOST_KEPT), runs)
            yield _counts(database, lambda: tidy(url), jobs, runs)
    finally:
        maker.drop(url)


def _ticks(database: Database, jobs: int, runs: int) -> Result:
    """A job and a run for each of some due schedules, one transaction each."""
    for number in range(SCHEDULES):
        expression = Expression.of("* * * * * *", None)
        new = NewSchedule(f"every second {number}", "tick", '{"a": 1}', expression, overlap=Overlap.ALLOW)
        changes.add(database, new, Author("bench"), NOW)

    def ours() -> None:
        for schedule in ticks.upcoming(database, NOW + YEAR, SCHEDULES):
            assert schedule.due is not None
            assert ticks.tick(database, schedule, schedule.due) is not None

    due = NOW + YEAR  # a time at which ours has recorded no run

    def peer() -> None:
        nonlocal due
        due += timedelta(seconds=1)
        at = database._adapt(due)
        for schedule in ticks.upcoming(database, NOW + YEAR, SCHEDULES):
            job = NewJob("tick", '{"a": 1}', due, due)
            database.transaction(lambda schedule=schedule, job=job: _bare_tick(database, schedule.id, at, job))

    return compare(
        ours,
        peer,
        runs,
        measure=f"ticks of {SCHEDULES} schedules",
        database=database.server,
        jobs=SCHEDULES,
        goal=goal_at(jobs, TICK_GOAL),
        against="an UPDATE and two INSERTs in a transaction each",
    )


def _bare_tick(database: Database, schedule: str, at: object, job: NewJob) -> None:
    mark = database.placeholder
    # It leaves the due time as it is, so that ours finds it.
    database._execute(f"UPDATE hammerwork_schedules SET last_error = NULL WHERE id = {mark}", [schedule])
    runs = "schedule_id, due_at, kind, outcome, job_id, created_at"
    marks = ", ".join([mark] * 6)
    row = [schedule, at, "scheduled", "enqueued", job.id, at]
    database._execute(f"INSERT INTO hammerwork_schedule_runs ({runs}) VALUES ({marks})", row)
    nobody = enqueue.stored_ids(database, ())
    columns = "id, queue_name, payload, status, priority, created_at, scheduled_at, depends_on, dependents"
    values = [job.id, job.queue, job.payload, "Pending", 2, at, at, nobody, nobody]
    database._execute(f"INSERT INTO hammerwork_jobs ({columns}) VALUES ({', '.join([mark] * 9)})", values)


def _retention(database: Database, tidied: Callable[[], None], jobs: int, runs: int) -> Iterator[Result]:
    """Whole trees, found, checked and moved or deleted, against one statement for all rows."""
    ages = {JobStatus.COMPLETED: timedelta(days=1)}
    before = database._adapt(NOW)

    def policy(action: PolicyAction) -> Callable[[], object]:
        wanted = Policy(EVERY_QUEUE, action, ages)
        return lambda: [*retention.run_policies(database, [wanted], NOW + YEAR, lambda: False)]

    def delete() -> None:
        database._execute(
            f"DELETE FROM hammerwork_jobs WHERE status = 'Completed' AND completed_at < {database.placeholder}",
            [before],
        )

    def move() -> None:
        columns = "id, queue_name, status, created_at, scheduled_at, completed_at, depends_on"
        database._execute(
            f"INSERT INTO hammerwork_jobs_archive ({columns}, payload) SELECT {columns}, {_PAYLOAD[database.dialect]}"
            f" FROM hammerwork_jobs WHERE status = 'Completed' AND completed_at < {database.placeholder}",
            [before],
        )
        delete()

    for name, action, bare, against in (
        ("archive", PolicyAction.ARCHIVE, move, "one INSERT ... SELECT and one DELETE"),
        ("delete", PolicyAction.DELETE, delete, "one DELETE"),
    ):
        times: dict[str, list[float]] = {"ours": [], "peer": []}
        for _ in range(runs + 1):
            for contender, work in (("ours", policy(action)), ("peer", lambda bare=bare: database.transaction(bare))):
                _fill(database, jobs)
                tidied()
                start = time.perf_counter()
                work()
                times[contender].append(time.perf_counter() - start)
                assert not database.query("SELECT 1 FROM hammerwork_jobs WHERE status = 'Completed' LIMIT 1")
                database.script("DELETE FROM hammerwork_jobs_archive")
        yield ratio_of(
            f"{name} {jobs:,} jobs in trees of {CHILDREN + 1}",
            database,
            jobs,
            times["ours"][1:],
            times["peer"][1:],
            goal=None,
            against=against,
        )


def _fill(database: Database, jobs: int) -> None:
    """Inserts completed trees."""
    ended = NOW - timedelta(days=9)
    made: list[NewJob] = []
    for _ in range(jobs // (CHILDREN + 1)):
        root = new_id()
        for number in range(CHILDREN + 1):
            parents, state = ((), "none") if number == 0 else ((root,), "satisfied")
            job = NewJob("kept", json.dumps({"a": number}), ended, ended, depends_on=parents, dependency_status=state)
            job.id = new_id() if number else root
            job.status, job.started_at, job.completed_at = JobStatus.COMPLETED, ended, ended
            made.append(job)
    enqueue.insert(database, made)


def _counts(database: Database, tidied: Callable[[], None], jobs: int, runs: int) -> Result:
    """A batch of many jobs."""
    rows = [NewJob("batch", "{}", NOW, NOW, batch_id=BATCH) for _ in range(jobs)]
    enqueue.insert(database, rows)
    tidied()
    database.run("batch.enqueue.insert", id=BATCH, name="many", total=jobs, now=NOW)
    statement = f"SELECT status, COUNT(*) FROM hammerwork_jobs WHERE batch_id = '{BATCH}' GROUP BY status"
    return compare(
        lambda: listing.one(database, BATCH),
        lambda: database.query(statement),
        runs,
        measure="count the jobs of a batch",
        database=database.server,
        jobs=jobs,
        goal=goal_at(jobs, COUNT_GOAL),
        against="one statement that groups them by status",
    )
