"""Recurring jobs that spawn: children, keys and records of several occurrences."""

from datetime import timedelta
from typing import Any

import pytest

from hammerwork_cli import Handlers, Job, SpawnConfig, SpawnContext
from hammerwork_cli.errors import ConflictError
from hammerwork_cli.features.job.queries.cron import occurrence_of
from hammerwork_cli.features.worker.queries import spawn as spawn_queries
from tests.conftest import all_databases
from tests.runtime.conftest import Stage
from tests.runtime.spawn.test_early_children import SOON, cancel, retry


def due(stage: Stage, job: Job, *, days: int) -> None:
    """Makes a recurring job due, with an occurrence that many days from now."""
    then = stage.database.json_timestamp(stage.database.now() + timedelta(days=days))
    stage.execute(f"UPDATE hammerwork_jobs SET scheduled_at = created_at, next_run_at = '{then}' WHERE id = '{job.id}'")


def records(stage: Stage, table: str, job: str = "parent_id") -> list[tuple[str, str]]:
    """Returns the job and the occurrence of each record of spawning."""
    return sorted((str(row[0]), row[1]) for row in stage.database.query(f"SELECT {job}, occurrence FROM {table}"))


def test_children_of_a_recurring_parent_never_wait_for_it(stage: Stage, app: Handlers) -> None:
    outside, over = stage.enqueue(Job("outside", {}), Job("noop", {}))
    stage.work(app)

    @app.spawn("nightly")
    def nightly(context: SpawnContext) -> list[Job]:
        first = Job("noop", {})
        both = Job("noop", {}).depends_on_jobs([first, context.parent_job])
        return [
            first,
            both,
            *(Job("noop", {}).depends_on_jobs([context.parent_job, other]) for other in (over, outside)),
        ]

    (parent,) = stage.enqueue(Job("nightly", {}).with_cron("0 0 3 * * *"))
    stage.execute(f"UPDATE hammerwork_jobs SET scheduled_at = created_at WHERE id = '{parent.id}'")
    stage.work(app)
    assert sorted(stage.children(parent, "status")) == [("Completed",)] * 3 + [("Pending",)]
    cancel(stage, parent)
    app.register_job("outside", lambda job: None)  # noqa: ARG005  it does nothing
    stage.work(app)
    assert stage.children(parent, "status") == [("Completed",)] * 4


def test_a_job_that_depends_on_a_recurring_one_is_refused(stage: Stage, app: Handlers) -> None:
    (parent,) = stage.enqueue(Job("nightly", {}).with_cron("0 0 3 * * *"))
    for enqueue in (stage.queue.enqueue, lambda job: stage.queue.enqueue_many([job])):
        with pytest.raises(ConflictError, match=f"The job {parent.id} recurs and never completes"):
            enqueue(Job("noop", {}).depends_on(parent))
    other = Job("nightly", {}).with_cron("0 0 3 * * *")
    with pytest.raises(ConflictError, match=f"The job {other.id} recurs"):
        stage.enqueue(other, Job("noop", {}).depends_on(other))

    @app.spawn("parent")
    def spawn(context: SpawnContext) -> list[Job]:
        return [other, Job("noop", {}).depends_on(other)]

    (spawner,) = stage.enqueue(Job("parent", {}, max_attempts=1))
    stage.work(app)
    assert f"The child {other.id} recurs" in stage.one(spawner, "error_message")


def test_a_recurring_parent_that_was_cancelled_and_retried_spawns_in_each_run(stage: Stage, app: Handlers) -> None:
    runs: list[str] = []

    @app.job("nightly")
    def run(job: Job) -> None:
        runs.append(job.id)

    @app.spawn("nightly")
    def nightly(context: SpawnContext) -> list[Job]:
        return [Job("noop", {})]

    (parent,) = stage.enqueue(Job("nightly", {}).with_cron("0 0 3 * * *"))
    for hours in (3, 2):
        then = stage.database.json_timestamp(stage.database.now() - timedelta(hours=hours))
        stage.execute(
            f"UPDATE hammerwork_jobs SET scheduled_at = '{then}', next_run_at = '{then}' WHERE id = '{parent.id}'"
        )
        stage.work(app)
        cancel(stage, parent)
        retry(stage, parent, at_once=True)
        stage.work(app)
    assert len(stage.children(parent)) == len(runs) == len(stage.operations()) == 4


@all_databases
def test_the_records_of_a_recurring_parent_do_not_grow_without_end_and_those_of_others_stay(
    stage: Stage, app: Handlers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spawn_queries, "MOST_SPAWNS", 2)

    @app.job("nightly")
    @app.job("once")
    def run(job: Job, context: SpawnContext) -> None:
        context.spawn(Job("noop", {}), key="early")

    @app.spawn("nightly")
    @app.spawn("once")
    def late(context: SpawnContext) -> list[Job]:
        return [Job("noop", {})]

    config = SpawnConfig(max_descendants=10)
    (parent,) = stage.enqueue(Job("nightly", {}).with_cron("0 0 3 * * *").with_spawn_config(config))
    occurrences, others = [], []
    for day in range(3):
        others += stage.enqueue(Job("once", {}).with_spawn_config(config))
        due(stage, parent, days=day)
        occurrences.append(occurrence_of(recurring=True, next_run_at=stage.one(parent, "next_run_at")))
        stage.work(app)
    assert len(stage.children(parent)) == 6
    kept = {(other.id, "") for other in others} | {(parent.id, occurrence) for occurrence in occurrences[1:]}
    last = {(other.id, "") for other in others} | {(parent.id, occurrences[2])}
    assert records(stage, "hammerwork_spawn_operations") == sorted(kept)
    assert records(stage, "hammerwork_spawn_trees", "root_id") == sorted(kept)
    assert records(stage, "hammerwork_spawned_children") == sorted(last)


def test_a_retry_finds_all_early_children_of_its_occurrence_whatever_a_recurring_job_spawned_meanwhile(
    stage: Stage, app: Handlers
) -> None:
    @app.job("nightly", retry=SOON)
    @app.job("once", retry=SOON)
    def run(job: Job, context: SpawnContext) -> None:
        for key in "ab":
            context.spawn(Job("noop", {}), key=key)
        if job.attempts == 1:
            raise ValueError("once more")

    once, nightly = stage.enqueue(Job("once", {}), Job("nightly", {}).with_cron("0 0 3 * * *"))
    due(stage, nightly, days=0)
    stage.work(app, queues=["once"], max_jobs=1)
    stage.work(app, queues=["nightly"])
    stage.work(app, queues=["once"])
    assert [len(stage.children(job)) for job in (once, nightly)] == [2, 2]


def test_an_error_counts_no_early_children_of_an_earlier_occurrence(stage: Stage, app: Handlers) -> None:
    fails = [False]

    @app.spawn("nightly")
    def spawn(context: SpawnContext) -> list[Any]:
        if fails[0]:
            return ["text"]
        context.spawn(Job("noop", {}), key="early")
        return []

    (parent,) = stage.enqueue(Job("nightly", {}, max_attempts=1).with_cron("0 0 3 * * *"))
    for day, failing in enumerate((False, True)):
        fails[0] = failing
        due(stage, parent, days=day)
        stage.work(app)
    assert len(stage.children(parent)) == 1
    assert stage.one(parent, "error_message").partition("\n")[0].endswith("not a Job. Nothing was spawned.")
