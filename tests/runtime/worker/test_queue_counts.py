"""A worker counts the ends and the run times of its queues, and Prometheus reads them as counters."""

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from hammerwork_cli import Handlers, Job, RetryStrategy, SpawnContext
from hammerwork_cli.core.ids import new_id
from hammerwork_cli.features.monitor.queries.metrics import figures
from hammerwork_cli.features.monitor.views.metrics import exposition, families
from hammerwork_cli.features.queue import queries as queues
from hammerwork_cli.features.worker.models.counts import MOST_QUEUES, QueueCounts, read_counts, written_counts
from hammerwork_cli.features.worker.queries import registry
from hammerwork_cli.features.worker.queries.finish import AttemptEnd, EndedAttempt
from hammerwork_cli.runtime.faults import Progress
from tests.conftest import all_databases
from tests.runtime.conftest import Stage
from tests.worker_context import WORKER

SOON = RetryStrategy.fixed(timedelta(milliseconds=1))


def counters(stage: Stage) -> dict[str, float]:
    """Name and labels but those of the worker -> value."""
    now = stage.database.now()
    found = {}
    for line in exposition(families(figures(stage.database, now=now))):
        name, _, value = line.rpartition(" ")
        if "_total{" in name:
            kept = [label for label in name.partition("{")[2].rstrip("}").split(",") if not label.startswith("worker")]
            found[f"{name.partition('{')[0]} {' '.join(kept)}".replace('"', "")] = float(value)
    return found


@all_databases
def test_ends_and_run_times_of_each_queue_are_counted_and_outlive_the_jobs(stage: Stage) -> None:
    app = Handlers()

    @app.job("slow")
    def slow(job: Job) -> None:
        time.sleep(0.05)

    @app.job("bad", retry=SOON)
    def bad(job: Job) -> None:
        raise ValueError("bad")

    @app.spawn("fan")
    def fan(context: SpawnContext) -> Iterator[Job]:
        yield Job("slow")

    stage.enqueue(*(Job("slow") for _ in range(5)), Job("bad").with_max_attempts(3), Job("fan"))
    stage.work(app, concurrency=1)
    stats = queues.stats(stage.database, now=stage.database.now(), queue="slow", window=timedelta(hours=1))
    assert stats.mean is not None
    assert timedelta(seconds=0.05) <= stats.mean < timedelta(seconds=0.1)
    assert stage.database.query("SELECT completed, failed FROM hammerwork_workers") == [(7, 3)]
    stage.execute("DELETE FROM hammerwork_jobs")
    found = counters(stage)
    assert found["hammerwork_attempts_total queue=slow outcome=completed"] == 6
    assert found["hammerwork_attempts_total queue=bad outcome=failed"] == 3
    assert found["hammerwork_jobs_ended_total queue=bad outcome=failed"] == 1
    assert found["hammerwork_jobs_ended_total queue=slow outcome=completed"] == 6
    assert found["hammerwork_jobs_ended_total queue=fan outcome=completed"] == 1
    assert found["hammerwork_timed_attempts_total queue=slow"] == 6
    assert found["hammerwork_timed_attempts_total queue=fan"] == 1
    # The true run times: a job that is claimed ahead waits in the worker for the others, which is not in them.
    assert 0.3 <= found["hammerwork_attempt_seconds_total queue=slow"] < 0.3 + 6 * 0.05


def test_counts_are_read_of_workers_that_were_heard_of_or_ended_lately(lite: Stage) -> None:
    now = lite.database.now()
    long_ago, lately = (now - timedelta(minutes=minutes) for minutes in (20, 5))
    stored = written_counts({"mail": QueueCounts(1)})
    for name, heard, ended in [
        ("silent", long_ago, None),
        ("running", lately, None),
        ("ended long ago", lately, long_ago),
        ("ended", long_ago, lately),
    ]:
        worker = WORKER._replace(id=new_id(), name=name)
        registry.register(lite.database, worker)
        values = [lite.database.json_timestamp(time) if time else None for time in (heard, ended)]
        lite.database._execute(
            "UPDATE hammerwork_workers SET queue_counts = ?, heartbeat_at = ?, ended_at = ? WHERE id = ?",
            [stored, *values, worker.id],
        )
    found = registry.queue_counts(lite.database, since=now - timedelta(minutes=10))
    assert {one.name for one in found} == {"running", "ended"}


def test_counts_of_many_queues_stay_small() -> None:
    progress = Progress(30.0)
    for number in range(MOST_QUEUES + 50):
        job: Any = SimpleNamespace(queue_name=f"queue {number}", payload="")
        progress.count([EndedAttempt(job, AttemptEnd.COMPLETED, took=0.5)])
    read = read_counts(progress.queue_counts())
    assert len(read) == MOST_QUEUES + 1
    assert read["other"] == QueueCounts(completed=50, timed=50, seconds=25.0)


@pytest.mark.parametrize("stored", ["", "[]", "7", '{"q": 1}', '{"q": ["x"]}', '{"q": [1, 2, 3, 4, 5, 6, 7]}'])
def test_counts_that_cannot_be_read_are_none(stored: str) -> None:
    assert read_counts(stored) == {}


def test_counts_are_read_as_they_were_written() -> None:
    counts = {"mail": QueueCounts(1, 2, 3, 4, 5, 6.5)}
    assert read_counts(written_counts(counts)) == counts


def test_the_verdict_is_measured(migrated_url: str, run: Callable[..., Any]) -> None:
    lines = run("monitor", "metrics", "--format", "prometheus", url=migrated_url).stdout.splitlines()
    assert "hammerwork_health 2.0" in lines  # no worker runs
    assert 'hammerwork_health_check{check="workers"} 2.0' in lines
    assert "# TYPE hammerwork_attempts_total counter" in lines
