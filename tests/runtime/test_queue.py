"""Putting jobs into queues from Python, and reading them."""

import time
from datetime import timedelta
from operator import attrgetter

import pytest

from hammerwork_cli import HammerworkError, Handlers, Job, JobPriority, RetryStrategy, SpawnContext
from hammerwork_cli.models import new_id
from tests.runtime.conftest import Stage


def test_a_job_is_read_as_it_is_now(stage: Stage, app: Handlers) -> None:
    @app.job("fails")
    def fail(job: Job) -> None:
        raise ValueError("no data")

    done, dead = stage.enqueue(Job("noop", {"a": "東京"}).as_high_priority(), Job("fails", max_attempts=1))
    waiting = stage.queue.get(done)
    assert waiting is not None
    assert (waiting.status, waiting.attempts, waiting.started_at, waiting.error) == ("Pending", 0, None, None)
    assert (waiting.queue, waiting.payload, waiting.priority) == ("noop", {"a": "東京"}, JobPriority.HIGH)
    stage.work(app)
    ended, failed = stage.queue.get(done.id), stage.queue.get(dead.id.upper())
    assert ended is not None
    assert failed is not None
    assert (ended.status, ended.attempts) == ("Completed", 1)
    assert ended.started_at is not None
    assert failed.status == "Dead"
    assert (failed.error or "").startswith("ValueError: no data")


def test_a_job_that_is_not_there_is_none_and_what_is_no_id_an_error(stage: Stage) -> None:
    assert stage.queue.get(new_id()) is None
    with pytest.raises(HammerworkError, match="is not the id of a job"):
        stage.queue.get("first")


def test_everything_that_a_job_was_given_comes_back(stage: Stage) -> None:
    other = Job("noop")
    given = (
        Job("noop", [1, {"two": None}])
        .with_timeout(timedelta(minutes=2))
        .with_max_attempts(9)
        .with_retry_strategy(RetryStrategy.fibonacci(timedelta(seconds=2), jitter=0.5))
        .with_cron("0 30 2 * * Mon-Fri", "Europe/Oslo")
        .with_trace_id("trace")
        .with_correlation_id("correlation")
        .with_workflow(new_id(), "nightly")
        .with_result_ttl(timedelta(days=1))
        .depends_on(other)
    )
    stage.enqueue(other, given)
    found = stage.queue.get(given)
    assert found is not None
    same = attrgetter(
        *("queue", "payload", "max_attempts", "timeout", "retry_strategy", "cron_schedule", "timezone", "recurring"),
        *("trace_id", "correlation_id", "workflow_id", "workflow_name", "result_ttl", "dependencies"),
    )
    assert same(found) == same(given)


def test_a_timeout_counts_for_a_job_that_only_spawns(stage: Stage, app: Handlers) -> None:
    @app.spawn("slow")
    def slowly(context: SpawnContext) -> list[Job]:
        time.sleep(1.6)
        return [Job("noop")]

    (parent,) = stage.enqueue(Job("slow").with_timeout(timedelta(seconds=1)))
    stage.work(app)
    assert stage.status(parent) == ["TimedOut"]
    assert stage.children(parent) == []
