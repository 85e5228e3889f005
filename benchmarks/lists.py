"""Lists and figures against their own statements, sent bare; and what ten times as many jobs cost."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, nullcontext
from datetime import timedelta
from typing import Any

from benchmarks.measuring import Result, compare
from benchmarks.workload import DAYS, NOW, Workload
from hammerwork_cli.database import Database, connect
from hammerwork_cli.features.queue import queries as queues
from hammerwork_cli.features.queue.model import HealthLimits
from hammerwork_cli.features.spawn.queries import failures, operations
from hammerwork_cli.features.spawn.queries import stats as stats_queries

AGAINST = "its statements, sent bare"
GOAL = 1.3
GOAL_OF_EVERYTHING = 1.5
NO_GROWTH = 1.5
"""What the same index, ten times as large, may cost: a level more of its tree, and colder pages."""
FAILURES_GOAL = 15.0
"""The statement reads rows and counts; ours also folds each error, and follows each job to its root."""
GROUPING = """
SELECT error_message, COUNT(*), MIN(failed_at), MAX(failed_at) FROM hammerwork_jobs
WHERE status IN ('Failed', 'Dead', 'TimedOut') AND archived_at IS NULL GROUP BY error_message
"""
GROUPING_BY_PARENT = """
SELECT {job}, {status}, COUNT(*), MIN(c.created_at), MAX(COALESCE(c.completed_at, c.failed_at))
FROM hammerwork_jobs j JOIN hammerwork_jobs c ON {child} WHERE {config} GROUP BY {job}, {status}
"""
SHOWN_STATUS = """
CASE WHEN c.status = 'Pending' AND c.attempts > 0 AND c.error_message IS NOT NULL THEN 'Retrying'
WHEN c.status = 'Failed' AND (c.error_message LIKE 'cancelled by % through hammerwork%'
OR c.error_message LIKE 'a job that it depends on was cancelled by % through hammerwork%'
OR c.error_message = 'Workflow cancelled') THEN 'Cancelled' ELSE c.status END
"""
BY_DIALECT = {
    "postgresql": {"job": "j.id", "child": "c.depends_on[1] = j.id", "config": "j.payload ? '_spawn_config'"},
    "mysql": {"job": "j.id", "child": "c.first_parent = j.id", "config": "j.has_spawn_config = 1"},
    "sqlite": {
        "job": "+j.id",  # without the plus sign, SQLite reads the whole table to get the groups in order
        "child": "lower(json_extract(c.depends_on, '$[0]')) = +j.id",
        "config": "json_type(j.payload, '$._spawn_config') IS NOT NULL",
    },
}
NEWEST = "newest 20 operations (spawn list)"


def measure(url: str, workload: Workload, runs: int) -> Iterator[Result]:
    """Every list on one database."""
    with closing(connect(url)) as database:
        suffix = "" if database.is_current else ", without 015"
        for name, ask in _questions(database).items():
            yield compare(
                ask,
                bare(database, ask),
                runs,
                measure=name + suffix,
                database=database.server,
                jobs=workload.size,
                goal=workload.goal(GOAL),
                against=AGAINST,
            )
        if database.is_current:
            yield _everything(database, workload, runs)


def _everything(database: Database, workload: Workload, runs: int) -> Result:
    """The figures of all spawns against the one statement that groups the children of all parents."""
    start = NOW - timedelta(days=2 * DAYS)
    return compare(
        lambda: stats_queries.stats(database, since=start, recent=NOW - timedelta(hours=1)),
        lambda: database.query(GROUPING_BY_PARENT.format(status=SHOWN_STATUS, **BY_DIALECT[database.dialect])),
        runs,
        measure="spawn stats of everything",
        database=database.server,
        jobs=workload.size,
        goal=workload.goal(GOAL_OF_EVERYTHING),
        against="one statement that groups children by parent and status",
    )


def measure_failures(url: str, workload: Workload, runs: int) -> Result:
    """All errors with their trees, against one statement that groups the same rows by error and knows no trees."""
    with closing(connect(url)) as database:
        suffix = "" if database.is_current else ", without 015"
        return compare(
            lambda: failures.failures(database, limit=20),
            lambda: database.query(GROUPING),
            runs,
            measure="spawn why of all failures" + suffix,
            database=database.server,
            jobs=workload.size,
            goal=workload.goal(FAILURES_GOAL),
            against="one statement that groups the same rows by error",
        )


def _questions(database: Database) -> dict[str, Callable[[], object]]:
    hour, day, month = NOW - timedelta(hours=1), NOW - timedelta(days=1), NOW - timedelta(days=DAYS)
    return {
        NEWEST: lambda: operations.operations(database, limit=20),
        "spawn stats of a day": lambda: stats_queries.stats(database, since=day, recent=hour),
        f"spawn stats of {DAYS} days": lambda: stats_queries.stats(database, since=month, recent=hour),
        "queue stats": lambda: queues.stats(database, now=NOW),
        "queue health": lambda: queues.health(database, HealthLimits(), now=NOW),
    }


def bare(database: Database, ask: Callable[[], object]) -> Callable[[], None]:
    """Sends the statements that ``ask`` sends, in a snapshot where it takes one, and fetches their rows."""
    sent: list[tuple[str, list[Any]]] = []
    snapshots: list[None] = []
    execute, begin = database._execute, database._begin_snapshot

    def record(sql: str, values: list[Any], **how: bool) -> object:
        sent.append((sql, values))
        return execute(sql, values, **how)

    def record_snapshot() -> None:
        snapshots.append(None)
        begin()
        sent.clear()

    database._execute, database._begin_snapshot = record, record_snapshot  # type: ignore[method-assign]
    try:
        ask()
    finally:
        del database._execute, database._begin_snapshot

    def send() -> None:
        with database.snapshot() if snapshots else nullcontext():
            for sql, values in sent:
                database.query(sql, values)

    return send


def growth(results: Sequence[Result]) -> Iterator[Result]:
    """How the lists grow from the smallest table to the largest."""
    sizes = sorted({result.jobs for result in results if result.against == AGAINST})
    if len(sizes) < 2:
        return
    small, large = sizes[0], sizes[-1]
    figures = {(one.measure, one.database, one.jobs): one for one in results if one.against == AGAINST}
    for (measure, database, jobs), one in figures.items():
        other = figures.get((measure, database, large))
        if jobs != small or other is None or not one.ours or not other.ours:
            continue
        yield Result(
            f"growth: {measure}",
            database,
            large,
            other.ours / one.ours,
            goal=NO_GROWTH if measure == NEWEST else GOAL * large / small,
            ours=other.ours,
            peer=one.ours,
            against=f"the same with {small:,} jobs",
        )
