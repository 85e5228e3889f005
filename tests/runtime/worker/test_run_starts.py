"""Run times are those of handlers: a worker claims short jobs ahead, and their wait for a slot is no part of a run."""

import json
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import pytest

from hammerwork_cli import Handlers, Job, SpawnConfig, SpawnContext
from hammerwork_cli.core.ids import new_id
from hammerwork_cli.core.values import Timestamp, timestamp
from hammerwork_cli.features.worker.queries import claim, finish
from hammerwork_cli.features.worker.queries.finish import AttemptEnd, EndedAttempt
from tests.conftest import all_databases
from tests.runtime.conftest import Stage, mariadb_too

JOBS, SECONDS, LONG = 80, 0.005, (20, 40, 60)
WAIT, TOLERANCE = 0.3, 0.1
"""Seconds: for which some jobs hold the slot, and those behind wait; for which a busy machine may keep it from one."""


class Ran(NamedTuple):
    """What a worker with one slot ran: a parent and its children; and for how long each child."""

    parent: Job
    seconds: dict[str, float]


@pytest.fixture
def ran(stage: Stage) -> Ran:
    app = Handlers()
    seconds: dict[str, float] = {}

    @app.spawn("fan")
    def fan(context: SpawnContext) -> Iterator[Job]:
        yield from (Job("short", {"sleeps": WAIT if number in LONG else SECONDS}) for number in range(JOBS))

    @app.job("short")
    def short(job: Job) -> None:
        began = time.monotonic()
        time.sleep(job.payload["sleeps"])
        seconds[job.id] = time.monotonic() - began

    parent = Job("fan").with_spawn_config(SpawnConfig())
    stage.enqueue(parent)
    stage.work(app, concurrency=1)
    return Ran(parent, seconds)


def test_every_view_shows_how_long_handlers_ran(stage: Stage, ran: Ran, run: Callable[..., Any]) -> None:
    def asked(*words: str) -> Any:
        return json.loads(run(*words, "--format", "json", url=stage.url).stdout)

    waited, job = max(
        (between(claimed, ended) - ran.seconds[str(job)], str(job))
        for job, claimed, ended in stage.rows("id, started_at, completed_at", "queue_name = 'short'")
        if ran.seconds[str(job)] + TOLERANCE < WAIT
    )
    assert waited > WAIT, "the job was claimed ahead"
    slowest = sorted(ran.seconds.values())[-len(LONG) - 1]
    timeline, compared = (asked("spawn", verb, *[ran.parent.id] * n) for verb, n in (("timeline", 1), ("compare", 2)))
    log = run("monitor", "logs", "--job", job, "--format", "jsonl", url=stage.url).stdout.splitlines()
    (listed,) = [one for one in asked("job", "list", "--queue", "short", "--limit", "1000") if one["id"] == job]
    seconds = {
        "queue stats": asked("queue", "stats", "short", "--detailed")["p95_seconds"],
        "monitor metrics": quantile(run("monitor", "metrics", "--format", "prometheus", url=stage.url).stdout),
        "spawn stats": asked("spawn", "stats")["p95_seconds"],
        "spawn timeline": of_queue(timeline["by_queue"])["ran_p95_seconds"],
        "spawn compare": of_queue(compared["by_queue"])["b"]["ran_p95_seconds"],
        "job show": length(asked("job", "show", job)),
        "job list": length(listed),
        "monitor logs": json.loads(log[-1])["seconds"],
    }
    assert {view: one for view, one in seconds.items() if not SECONDS <= one < slowest + TOLERANCE} == {}


def between(first: Timestamp, last: Timestamp) -> float:
    began, ended = timestamp(first), timestamp(last)
    assert isinstance(began, datetime)
    assert isinstance(ended, datetime)
    return (ended - began).total_seconds()


def length(job: Any) -> float:
    return between(job["run_started_at"], job["completed_at"] or job["failed_at"])


def of_queue(queues: list[Any]) -> Any:
    (found,) = [queue for queue in queues if queue["queue"] == "short"]
    return found


def quantile(exposition: str) -> float:
    (line,) = [
        line for line in exposition.splitlines() if line.startswith('hammerwork_spawn_child_seconds{quantile="0.95"}')
    ]
    return float(line.rpartition(" ")[2])


@mariadb_too
def test_a_job_that_fails_keeps_the_start_of_its_handler(stage: Stage) -> None:
    app = Handlers()

    @app.job("bad")
    def bad(job: Job) -> None:
        time.sleep(2 * TOLERANCE)  # heartbeats may correct the clock meanwhile
        raise ValueError("bad")

    (job,) = stage.enqueue(Job("bad").with_max_attempts(1))
    stage.work(app)
    assert TOLERANCE < between(stage.one(job, "run_started_at"), stage.one(job, "failed_at")) < 3 * TOLERANCE


def test_the_start_of_an_earlier_attempt_is_not_taken_for_that_of_the_last_one(
    stage: Stage, run: Callable[..., Any]
) -> None:
    """As after a Rust worker, which writes claims alone."""
    app = Handlers()
    app.register_job("short", lambda _: None)
    (job,) = stage.enqueue(Job("short"))
    stage.work(app)
    stage.execute("UPDATE hammerwork_jobs SET started_at = completed_at")
    shown = json.loads(run("job", "show", job.id, "--format", "json", url=stage.url).stdout)
    assert shown["run_started_at"] == shown["started_at"] == shown["completed_at"]


@all_databases
def test_jobs_that_end_together_end_at_one_time_and_share_a_start_only_if_they_ran_for_as_long(stage: Stage) -> None:
    seconds = {5.0: 5.0, 0.5: 0.5, 0.5 + finish.CLOSE_SECONDS / 2: 0.5, 0.5 + 2 * finish.CLOSE_SECONDS: 0.502, 7.0: 7.0}
    stage.enqueue(*[Job("noop") for _ in seconds])
    now = stage.database.now()
    taken = claim.claim(stage.database, "noop", worker=new_id(), now=now, limit=9, slots=9)
    ended = [EndedAttempt(job, AttemptEnd.COMPLETED, took=took) for job, took in zip(taken, seconds, strict=True)]
    end = now + timedelta(seconds=10)
    stage.execute("UPDATE hammerwork_jobs SET error_message = 'It failed before.'")
    assert finish.set_completed(stage.database, taken[0].claim, ended, end) == len(seconds)
    for one in ended:
        assert stage.timestamp(one.job.id, "completed_at") == end
        assert stage.one(one.job.id, "error_message") is None
        assert between(stage.one(one.job.id, "run_started_at"), end) == seconds[one.took or 0.0]
