"""The events of an attempt in a test are those that a worker writes."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from hammerwork_cli import Cancel, Discard, Handlers, Job, RetryStrategy, Snooze, SpawnContext, UsageError
from hammerwork_cli.testing import Jobs, run
from tests.runtime.conftest import Stage
from tests.runtime.events.conftest import ENDS, Listening

MINUTE = timedelta(minutes=1)
VARIES = ("id", "root_id", "created_at", "scheduled_at", "started_at", "ended_at", "run_seconds", "depends_on")


@pytest.fixture
def app() -> Handlers:
    app = Handlers()
    app.register_job("parcel", lambda _: None)
    app.register_job("fails", lambda _: 1 / 0, retry=RetryStrategy.fixed(MINUTE))
    app.register_job("ends", lambda job: _raise(job.payload))

    @app.job("shop")
    def shop(job: Job, context: SpawnContext) -> int:
        context.after_all(Job("parcel", priority="low"))
        context.spawn(Job("parcel", priority="high"), key="early")
        context.queue.enqueue(Job("parcel", correlation_id="mail"))  # type: ignore[union-attr]
        return 2

    @app.spawn("shop")
    def parcels(context: SpawnContext) -> Iterator[Job]:
        for number in range(context.result):
            yield Job("parcel", {"number": number}, trace_id=f"trace-{number}")

    return app


def _raise(name: str) -> None:
    raise {"snooze": Snooze(MINUTE), "discard": Discard("g" * 600), "cancel": Cancel("withdrawn")}[name]


def told(records: Any) -> list[Any]:
    """What events say, but for ids and times, of which they say only whether there are any; in order of time."""
    return [
        (one["type"], {key: value is not None if key in VARIES else value for key, value in one["data"].items()})
        for one in records
    ]


JOBS = {
    "completes": Job("parcel", {"secret": 1}, priority="critical", correlation_id="c"),
    "spawns": Job("shop"),
    "retries": Job("fails"),
    "dies": Job("fails").with_max_attempts(1),
    "discards": Job("ends", "discard"),
    "cancels": Job("ends", "cancel"),
    "snoozes": Job("ends", "snooze"),
    "recurs": Job("parcel").with_cron("0 0 0 1 1 *"),
    "recurs in vain": Job("ends", "discard").with_cron("0 0 0 1 1 *"),
}


@pytest.mark.parametrize("name", JOBS)
def test_an_attempt_has_the_events_that_a_worker_writes(lite: Stage, app: Handlers, name: str) -> None:
    job = JOBS[name]
    outcome = run(app, job)
    listening = Listening(lite, ENDS)
    made = lite.queue.enqueue(job)
    if made.cron_schedule:
        lite.database.script("UPDATE hammerwork_jobs SET scheduled_at = created_at")
    listening.clear()
    lite.work(app, max_jobs=1, queues=[made.queue])
    assert sorted(told(outcome.events), key=str) == sorted(told(listening.records()), key=str)
    assert [one["type"] for one in outcome.events if one["data"].get("id") == outcome.events[0]["data"]["id"]] == [
        one["type"] for one in listening.records() if one["data"].get("id") == made.id
    ]


def test_a_job_that_is_cancelled_meanwhile_has_the_events_until_then() -> None:
    app = Handlers()

    @app.job("long")
    def long(_: Job, context: SpawnContext) -> None:
        context.spawn(Job("page"), key="first")
        while not context.cancelled:
            pass

    @app.spawn("long")
    def pages(_: SpawnContext) -> list[Job]:
        return [Job("page")]

    outcome = run(app, Job("long"), cancel_after=2)
    assert [one["type"] for one in outcome.events] == ["job.started", "job.enqueued", "job.cancelled"]
    started, enqueued, cancelled = outcome.events
    assert enqueued["data"]["root_id"] == started["data"]["id"] == cancelled["data"]["id"]
    assert cancelled["timestamp"] == cancelled["data"]["ended_at"]
    assert len({one["id"] for one in outcome.events}) == 3


def test_a_database_of_a_test_keeps_the_events_that_somebody_listens_to(lite_url: str, app: Handlers) -> None:
    with Jobs(lite_url) as jobs:
        with pytest.raises(UsageError, match="Nobody keeps events yet"):
            _ = jobs.events
        jobs.queue.enqueue(Job("parcel"))
        jobs.listen()
        shop = jobs.queue.enqueue(Job("shop"))
        jobs.queue.enqueue(Job("fails").with_max_attempts(1))
        jobs.drain(app)
        assert [one["type"] for one in jobs.events if one["data"]["id"] == shop.id] == [
            "job.enqueued",
            "job.started",
            "job.completed",
            "tree.completed",
        ]
        assert {"job.dead", "tree.failed"} <= {one["type"] for one in jobs.events}
        jobs.listen("dead")
        assert jobs.events == []
        job = jobs.queue.enqueue(Job("fails", {"secret": 1}).with_max_attempts(1))
        jobs.drain(app)
        (dead,) = jobs.events
        assert (dead["type"], dead["data"]["id"], "payload" in dead["data"]) == ("job.dead", job.id, False)
        with pytest.raises(UsageError, match="There is no event 'explodes'"):
            jobs.listen("explodes")
        assert len(jobs.events) == 1
    with Jobs(lite_url) as jobs:
        assert jobs.enqueued() == []


def test_events_of_schedules_and_of_a_moved_time_are_kept_too(lite_url: str) -> None:
    app = Handlers()
    app.cron("30 2 * * *", overlap="skip")(_nightly)
    with Jobs(lite_url) as jobs:
        jobs.listen("cron.skipped", "enqueued")
        jobs.advance(timedelta(days=2), app)
        assert [one["type"] for one in jobs.events] == ["job.enqueued", "cron.skipped"]


def _nightly(_: Job) -> None:
    pass
