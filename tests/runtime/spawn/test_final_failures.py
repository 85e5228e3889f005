"""What cannot succeed is not tried again, since that would repeat what the handler has done outside the database."""

from datetime import UTC, datetime, timedelta
from typing import Any

from hammerwork_cli import Handlers, Job, RetryStrategy, SpawnConfig, SpawnContext
from hammerwork_cli.core.ids import new_id
from hammerwork_cli.core.values import timestamp
from tests.runtime.conftest import Stage

AT_ONCE = RetryStrategy.fixed(timedelta(0))


def test_a_job_that_cannot_succeed_is_tried_once_and_says_why(stage: Stage, app: Handlers) -> None:
    deep: Any = 1
    for _ in range(200):
        deep = [deep]
    results = {
        "set": {1, 2},
        "large": "x" * 100,
        "huge": "x" * ((16 << 20) + 1),
        "deep": deep,
        "half": "\ud800",
        "job": Job("noop"),
    }
    results["odd"] = {"mysql": deep, "postgresql": "\x00", "sqlite": {1, 2}}[stage.database.dialect]
    calls: list[str] = []

    @app.job("result")
    def result(job: Job) -> Any:
        calls.append(job.payload)
        return results[job.payload]

    taken, endless, nowhere = Job("outside"), Job("outside").with_cron("@yearly"), new_id()
    refused = {
        "taken": Job("noop", "another", id=taken.id),
        "recurs": Job("noop").depends_on(endless),
        "nowhere": Job("noop").depends_on(nowhere),
        "long": Job("q" * 256),
    }

    @app.job("early")
    def early(job: Job, context: SpawnContext) -> None:
        calls.append(job.id)
        context.spawn(refused[job.payload], key="child")

    @app.job("enqueues")
    async def enqueues(job: Job, context: SpawnContext) -> None:
        calls.append(job.id)
        context.queue.enqueue_many([refused[job.payload], Job("noop")])

    app.register_job("late", lambda job: calls.append(job.id))
    app.register_handler("late", lambda context: [refused[context.parent_job.payload], Job("noop")])
    app.register_handler("children", lambda context: [Job("noop")] * context.parent_job.payload["jobs"])
    app.register_handler("no_jobs", lambda context: ["text"])  # noqa: ARG005
    app.register_handler("no_json", lambda context: [Job("noop", {1, 2})])  # noqa: ARG005
    app.register_handler("deep", lambda context: [Job("noop", deep)])  # noqa: ARG005

    said = {
        stage.put("children", {"jobs": 1, "_spawn_config": {"max_depth": -1}}): "The spawn configuration's max_depth",
        Job("result", "set"): "The result cannot be stored. JSON cannot hold this value: a value of type"
        " set has no place in it. Return sorted(...).",
        Job("result", "job"): "The result cannot be stored. JSON cannot hold this value: a value of type"
        " Job has no place in it. Spawn it with context.spawn or from a spawn handler",
        Job("result", "half"): "The result cannot be stored. JSON cannot hold this value",
        Job("result", "large", result_max_size=10): "The result has 102 bytes, and the job allows 10.",
        Job("result", "huge"): "The result has 16,777,219 bytes, and the job allows 16,777,216. Keep it elsewhere",
        Job("children", {"jobs": 2}).with_spawn_config(SpawnConfig(max_spawn_count=1)): "max_spawn_count allows 1",
        Job("children", {"jobs": 2}): "was produced twice",
        Job("noop", {}).with_spawn_handler("typo"): "There is no spawn handler 'typo'",
        Job("no_jobs"): "The spawn handler produced a value of type str",
        Job("no_json"): "Child 1 (noop) cannot be written: JSON cannot hold",
        Job("deep"): "levels of nested JSON",
    }
    sentences = {
        "taken": f"There is another job {taken.id} (outside, Pending) with a different queue, payload",
        "recurs": f"The job {endless.id} recurs and never completes",
        "nowhere": f"There is no job {nowhere} to depend on",
        "long": "A queue's name has 1 to 255 characters, not 256",
    }
    said |= {Job(way, why): sentence for way in ("early", "enqueues") for why, sentence in sentences.items()}
    sentences["taken"] = f"The child {taken.id} cannot be written: a job with this id already exists"
    said |= {Job("late", why): sentence for why, sentence in sentences.items()}
    stage.enqueue(taken, endless)
    if stage.database.dialect == "mysql":
        said[Job("result", "deep")] = "The database cannot hold the result of the job."
    recurring = Job("result", "odd").with_cron("@yearly")
    stage.enqueue(*said, recurring)
    due = "'2026-01-01 00:00:00'"
    stage.execute(f"UPDATE hammerwork_jobs SET scheduled_at = {due}, next_run_at = {due} WHERE id = '{recurring.id}'")
    others = ["children", "noop", "no_jobs", "no_json", "deep"]
    stage.work(app, queues=["result", "early", "enqueues", "late", *others], retry=AT_ONCE)
    for job, sentence in said.items():
        status, attempts, error = stage.one(job, "status, attempts, error_message")
        assert (status, attempts) == ("Dead", 1), (job.queue, job.payload, error)
        assert sentence in error
    assert len(calls) == len(set(calls))
    status, error, due = stage.one(recurring, "status, error_message, scheduled_at")
    assert (status, timestamp(due)) == ("Pending", datetime(datetime.now(UTC).year + 1, 1, 1, tzinfo=UTC))
    assert "the result of the job" in error or "The result " in error
    assert stage.rows("id", "queue_name = 'noop' AND status = 'Pending'") == []


def test_a_child_of_a_failed_job_is_tried_again_since_that_job_may_be_retried(stage: Stage, app: Handlers) -> None:
    @app.job("fails")
    def fail(job: Job) -> None:
        raise ValueError("no data")

    (failed,) = stage.enqueue(Job("fails", max_attempts=1))
    stage.work(app)

    @app.job("early")
    def early(job: Job, context: SpawnContext) -> None:
        context.spawn(Job("noop").depends_on(failed), key="child")

    app.register_handler("late", lambda context: [Job("noop").depends_on(failed)])  # noqa: ARG005
    jobs = stage.enqueue(Job("early", max_attempts=2), Job("late", max_attempts=2))
    stage.work(app, retry=AT_ONCE)
    for job in jobs:
        status, attempts, error = stage.one(job, "status, attempts, error_message")
        assert (status, attempts) == ("Dead", 2)
        assert f"The job {failed.id} is Dead" in error
