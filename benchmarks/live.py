"""A look of ``spawn monitor``, and ``monitor health``, against their own statements; and both in a larger table."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from benchmarks.lists import NO_GROWTH, bare
from benchmarks.measuring import Result, compare
from benchmarks.workload import ERROR, Workload
from hammerwork_cli.core.values import JobStatus
from hammerwork_cli.database import Database, connect
from hammerwork_cli.features.job.models.new_job import NewJob
from hammerwork_cli.features.job.queries import enqueue
from hammerwork_cli.features.monitor.models.health import CheckName, MonitorLimits
from hammerwork_cli.features.monitor.queries import health
from hammerwork_cli.features.queue.model import HealthLimits
from hammerwork_cli.features.spawn.queries.monitor import MonitorWatch

MEASURE = "a look of spawn monitor"
AGAINST = "its statements, sent without a snapshot"
GOAL = 1.5
OPERATIONS, CHILDREN = 5, 40
HEALTH = "monitor health"
HEALTH_SECONDS = 0.05


def measure(url: str, workload: Workload, runs: int) -> Iterator[Result]:
    """A look while five operations of forty children run, whatever else is in the table."""
    with closing(connect(url)) as database:
        if not database.is_current:
            return
        began = _stir(database)
        for name, queue in (("", None), (", of one queue", "video_ingest")):
            watch = MonitorWatch(database, queues=[queue] if queue else (), window=timedelta(seconds=5))
            watch.refresh()

            def look(watch: MonitorWatch = watch) -> None:
                # Otherwise a look would only be about the instant since the one before.
                watch._since = began
                watch.refresh()

            yield compare(
                look,
                bare(database, look),
                runs,
                measure=f"{MEASURE}{name}",
                database=database.server,
                jobs=workload.size,
                goal=workload.goal(GOAL),
                against=AGAINST,
            )
        yield from _health(database, workload, runs)


def _health(database: Database, workload: Workload, runs: int) -> Iterator[Result]:
    """All checks of monitor health, beside their statements and alone."""
    limits = MonitorLimits(
        HealthLimits(10_000, timedelta(hours=1), timedelta(hours=1), timedelta(days=1), 100, 10, 0.15),
        timedelta(minutes=10),
    )

    def look() -> None:
        report = health.health(lambda: database, limits, now=lambda database: database.now())
        assert len(report.checks) == len(CheckName)

    result = compare(
        look,
        bare(database, look),
        runs,
        measure=HEALTH,
        database=database.server,
        jobs=workload.size,
        goal=workload.goal(GOAL),
        against="its statements, sent bare",
    )
    yield result
    yield replace(
        result,
        measure=f"{HEALTH}, alone",
        value=result.ours or 0.0,
        unit="s",
        goal=workload.goal(HEALTH_SECONDS),
        ours=None,
        peer=None,
        against="",
    )


def _stir(database: Database) -> datetime:
    """Writes what happens while one looks, and returns when it began."""
    now = datetime.now(UTC)
    began = now - timedelta(seconds=10)
    jobs: list[NewJob] = []
    for _ in range(OPERATIONS):
        parent = _job("video_ingest", began, JobStatus.COMPLETED, payload='{"_spawn_config": {"handler": "segment"}}')
        jobs.append(parent)
        for number in range(CHILDREN):
            status = (JobStatus.COMPLETED, JobStatus.RUNNING, JobStatus.PENDING, JobStatus.DEAD)[number % 8 % 4]
            jobs.append(_job("segment", began, status, depends_on=(parent.id,), dependency_status="satisfied"))
    database.transaction(lambda: enqueue.insert(database, jobs))
    return began


def _job(queue: str, began: datetime, status: JobStatus, payload: str = "{}", **fields: object) -> NewJob:
    job = NewJob(queue, payload, began, began, id=str(uuid4()), status=status)
    if status is not JobStatus.PENDING:
        job.started_at = began + timedelta(seconds=1)
    if status is JobStatus.COMPLETED:
        job.completed_at = began + timedelta(seconds=2)
    if status is JobStatus.DEAD:
        job.failed_at, job.error_message = began + timedelta(seconds=2), ERROR
    for name, value in fields.items():
        setattr(job, name, value)
    return job


def growth(results: Sequence[Result]) -> Iterator[Result]:
    """How a look grows from the smallest table to the largest; without our indexes there is no goal."""
    found = {(one.measure, one.database, one.jobs): one for one in results if one.against == AGAINST}
    sizes = sorted({jobs for _, _, jobs in found})
    for (name, database, jobs), small in found.items():
        large = found.get((name, database, sizes[-1]))
        if jobs != sizes[0] or jobs == sizes[-1] or large is None or not small.ours or not large.ours:
            continue
        yield Result(
            f"growth: {name}",
            database,
            sizes[-1],
            large.ours / small.ours,
            goal=None if "without" in name else NO_GROWTH,
            ours=large.ours,
            peer=small.ours,
            against=f"the same with {jobs:,} jobs",
        )
