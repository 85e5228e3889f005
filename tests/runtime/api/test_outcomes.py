"""Handlers that decide themselves how their attempts end: in threads, coroutines and processes."""

import json
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from hammerwork_cli import (
    Cancel,
    Discard,
    HammerworkError,
    Handlers,
    Job,
    Retry,
    RetryStrategy,
    Snooze,
    SpawnConfig,
    SpawnContext,
    SpawnHandler,
    UsageError,
    Worker,
)
from hammerwork_cli.core.values import timestamp
from hammerwork_cli.features.job.queries import attempts
from hammerwork_cli.testing import Outcome, run
from tests.conftest import each_row
from tests.runtime.conftest import Stage

HANDLERS = """
import builtins
import time
from datetime import timedelta
from pathlib import Path

from hammerwork_cli import Cancel, Discard, Handlers, Job, Retry, Snooze

app = Handlers()
SOON, LATER = timedelta(milliseconds=20), timedelta(hours=3)


def decide(job):
    calls = Path(job.payload["folder"]) / job.id
    number = len(calls.read_text()) if calls.exists() else 0
    calls.write_text("x" * (number + 1))
    match job.payload["wants"][number : number + 1]:
        case ["snooze"]:
            raise Snooze(SOON)
        case ["snooze for long"]:
            raise Snooze(LATER)
        case ["retry"]:
            raise Retry(SOON, "the other side is busy")
        case ["retry for long"]:
            raise Retry(LATER)
        case ["discard"]:
            raise Discard("there is no such address")
        case ["cancel"]:
            raise Cancel("the order was withdrawn")
        case [error] if error:
            raise getattr(builtins, error)(7)
    return job.attempts


@app.job("plain")
def plain(job):
    return decide(job)


@app.job("coroutine")
async def coroutine(job):
    return decide(job)


@app.spawn("parent")
def children(context):
    decide(context.parent_job)
    yield Job("child")


app.register_job("child", lambda job: None)
app.register_job("files", decide, retry_on=(OSError, ValueError), give_up_on=FileNotFoundError)
app.register_job("busy", decide, retry=lambda job, error: timedelta(hours=error.args[0] + job.attempts))
app.register_job("broken", decide, retry=lambda job, error: "soon")


@app.spawn("files")
def more(context):
    decide(context.parent_job)
    return []


@app.job("limited", timeout=timedelta(minutes=7))
def limited(job, context):
    return context.deadline and context.deadline.isoformat()


app.register_job("unlimited", lambda job, context: context.deadline)


@app.job("slow", timeout=timedelta(seconds=1), retry_timeouts=True, retry=lambda job, error: error and SOON)
def slow(job):
    if job.attempts == 1:
        time.sleep(2)
"""


pytestmark = pytest.mark.usefixtures("forked_processes")
DAY = timedelta(days=1)
CASES = [("sqlite", "thread"), ("sqlite", "process")]
in_threads_and_processes = pytest.mark.parametrize(("dialect", "isolation"), CASES)
everywhere = pytest.mark.parametrize(
    ("dialect", "isolation"),
    [
        *CASES,
        pytest.param("postgres", "thread", marks=pytest.mark.postgres),
        pytest.param("mysql", "thread", marks=pytest.mark.mysql),
    ],
)


@pytest.fixture
def work(isolation: str, stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """``work(*jobs)``: enqueues jobs, and runs them until there is nothing more to do."""
    (tmp_path / "deciding_app.py").write_text(HANDLERS)
    monkeypatch.syspath_prepend(str(tmp_path))

    def run(*jobs: Job, **more: Any) -> Any:
        stage.enqueue(*jobs)
        # Starting a process takes as long as everything else here.
        options = {"concurrency": 1 if isolation == "process" else 4, "isolation": isolation, **more}
        retry = RetryStrategy.fixed(timedelta(0))
        return Worker(stage.queue, "deciding_app:app", retry=retry, drain=True, poll_interval=0.05, **options).run()

    yield run
    monkeypatch.delitem(__import__("sys").modules, "deciding_app", raising=False)


def jobs_that_want(folder: Path, *wants: str, **columns: Any) -> list[Job]:
    """One of each kind of handler."""
    queues = ("plain", "coroutine", "parent")
    return [Job(queue, {"folder": str(folder), "wants": wants}, **columns) for queue in queues]


def outcomes(stage: Stage, job: Job) -> list[str]:
    return [past.outcome for past in attempts.of_jobs(stage.database, [job.id]).get(job.id, [])]


@in_threads_and_processes
def test_a_snoozed_job_runs_again_and_its_attempts_do_not_count(
    stage: Stage, work: Callable[..., Any], tmp_path: Path
) -> None:
    jobs = jobs_that_want(tmp_path, "snooze", "snooze", "snooze", max_attempts=1)
    report = work(*jobs)
    assert stage.status(*jobs) == ["Completed"] * 3
    assert [stage.one(job, "attempts, error_message") for job in jobs] == [(1, None)] * 3
    assert [json.loads(stage.one(job, "result_data")) for job in jobs[:2]] == [1, 1]
    assert [(tmp_path / job.id).read_text() for job in jobs] == ["xxxx"] * 3
    assert (report.completed, report.failed) == (4, 0)
    assert len(stage.children(jobs[2])) == 1
    assert [outcomes(stage, job) for job in jobs] == [[], [], []]


@everywhere
def test_a_snoozed_job_is_pending_until_it_is_due(stage: Stage, work: Callable[..., Any], tmp_path: Path) -> None:
    jobs = jobs_that_want(tmp_path, "snooze for long")
    before = stage.database.now()
    work(*jobs)
    for job in jobs:
        status, count, at, started, worker = stage.one(job, "status, attempts, scheduled_at, started_at, claimed_by")
        assert (status, count, started, worker) == ("Pending", 0, None, None)
        assert timedelta(hours=3) <= timestamp(at) - before < timedelta(hours=3, minutes=2)


@in_threads_and_processes
def test_a_retry_fails_the_attempt_and_chooses_when_the_next_one_starts(
    stage: Stage, work: Callable[..., Any], tmp_path: Path
) -> None:
    soon = jobs_that_want(tmp_path, "retry", "retry")
    late, last = jobs_that_want(tmp_path, "retry for long"), jobs_that_want(tmp_path, "retry", max_attempts=1)
    before = stage.database.now()
    report = work(*soon, *late, *last)
    assert stage.status(*soon, *late, *last) == ["Completed"] * 3 + ["Pending"] * 3 + ["Dead"] * 3
    assert [outcomes(stage, job) for job in soon] == [["failed", "failed"]] * 3
    assert {stage.one(job, "error_message") for job in last} == {"the other side is busy"}
    assert {stage.one(job, "error_message") for job in late} == {"The handler asked for another attempt."}
    assert all(_due(stage, job) - before >= timedelta(hours=3) for job in late)
    assert (report.completed, report.failed) == (4, 12)


def _due(stage: Stage, job: Job) -> datetime:
    due: datetime = stage.timestamp(job, "scheduled_at")
    return due


@in_threads_and_processes
def test_a_discarded_job_is_dead_at_once_with_the_reason_of_its_handler(
    stage: Stage, work: Callable[..., Any], tmp_path: Path
) -> None:
    jobs = jobs_that_want(tmp_path, "discard", max_attempts=5)
    waits = Job("child").depends_on(jobs[0])
    report = work(*jobs, waits)
    assert stage.status(*jobs, waits) == ["Dead"] * 3 + ["Failed"]
    assert {stage.one(job, "attempts, error_message") for job in jobs} == {(1, "there is no such address")}
    assert stage.children(jobs[2]) == []
    assert [outcomes(stage, job) for job in jobs] == [["failed"]] * 3
    assert (report.completed, report.failed) == (0, 3)


@everywhere
def test_a_cancelled_job_and_those_that_wait_for_it_are_no_failures(
    stage: Stage, work: Callable[..., Any], tmp_path: Path
) -> None:
    jobs = jobs_that_want(tmp_path, "cancel", max_attempts=5)
    waits = Job("child").depends_on(jobs[0])
    report = work(*jobs, waits)
    assert [stage.queue.get(job).status for job in (*jobs, waits)] == ["Cancelled"] * 4
    said = "cancelled by its handler through hammerwork"
    assert {stage.one(job, "attempts, error_message") for job in jobs} == {(1, f"{said}: the order was withdrawn")}
    assert stage.one(waits, "error_message") == f"a job that it depends on was {said}"
    assert stage.children(jobs[2]) == []
    assert [outcomes(stage, job) for job in jobs] == [[], [], []]
    assert (report.completed, report.failed) == (0, 0)


@in_threads_and_processes
def test_a_handler_says_after_which_errors_there_is_another_attempt(
    stage: Stage, work: Callable[..., Any], tmp_path: Path
) -> None:
    def wants(*errors: str) -> Job:
        return Job("files", {"folder": str(tmp_path), "wants": errors})

    again = wants("PermissionError", "ValueError"), wants("", "TimeoutError"), wants("retry", "retry")
    final = wants("FileNotFoundError"), wants("KeyError"), wants("SystemExit"), wants("", "KeyError")
    work(*again, *final)
    assert stage.status(*again, *final) == ["Completed"] * 3 + ["Dead"] * 4
    assert [stage.one(job, "attempts") for job in (*again, *final)] == [3, 2, 3, 1, 1, 1, 1]
    assert "KeyError: 7" in stage.one(final[-1], "error_message")


@in_threads_and_processes
def test_a_function_of_the_handler_chooses_the_pause_after_an_error(
    stage: Stage, work: Callable[..., Any], tmp_path: Path
) -> None:
    payload = {"folder": str(tmp_path), "wants": ["ValueError"]}
    jobs = [Job("busy", payload), Job("broken", payload), Job("busy", payload, retry_strategy=RetryStrategy.fixed(DAY))]
    before = stage.database.now()
    work(*jobs, max_jobs=3)
    assert stage.status(*jobs) == ["Pending"] * 3
    for job, expected in zip(jobs, (timedelta(hours=8), timedelta(seconds=10), DAY), strict=True):
        assert timedelta(0) <= _due(stage, job) - before - expected < timedelta(minutes=1)


@in_threads_and_processes
def test_a_handler_knows_when_its_time_is_up(stage: Stage, work: Callable[..., Any]) -> None:
    jobs = [Job("limited"), Job("limited", timeout=timedelta(minutes=3)), Job("unlimited")]
    before = stage.database.now()
    work(*jobs)
    found = stage.queue.results(jobs)
    assert found[jobs[2].id] is None
    for job, minutes in zip(jobs, (7, 3), strict=False):
        left = datetime.fromisoformat(found[job.id]) - before
        assert timedelta(0) <= left - timedelta(minutes=minutes) < timedelta(seconds=30)


@in_threads_and_processes
def test_a_handler_may_have_another_attempt_after_one_that_took_too_long(
    stage: Stage, work: Callable[..., Any]
) -> None:
    job = Job("slow")
    work(job)
    assert stage.one(job, "status, attempts") == ("Completed", 2)
    assert outcomes(stage, job) == ["timed_out"]


def test_a_function_that_takes_its_time_to_choose_the_pause_keeps_no_other_coroutine_waiting(lite: Stage) -> None:
    app, together = Handlers(), threading.Barrier(3)

    def meets(job: Job, error: Exception) -> timedelta:
        together.wait(10)
        return timedelta(hours=3)

    @app.job("coroutine", retry=meets)
    async def coroutine(job: Job) -> None:
        raise ValueError(job.id)

    jobs = lite.enqueue(*(Job("coroutine") for _ in range(3)))
    lite.work(app, concurrency=3)
    assert not together.broken
    assert all(_due(lite, job) - lite.database.now() > timedelta(hours=2) for job in jobs)


RAISED: list[Callable[[], BaseException]] = [
    lambda: ValueError("a value"),
    lambda: KeyError("a key"),
    lambda: TimeoutError("of its own"),
    lambda: SystemExit(3),
    lambda: UsageError("of its own"),
    lambda: HammerworkError("of its own"),
    lambda: ExceptionGroup("several", [ValueError(), Cancel("in a group")]),
    lambda: Snooze(timedelta(hours=2)),
    lambda: Retry(timedelta(hours=2), "busy"),
    lambda: Discard("gone"),
    lambda: Cancel("withdrawn"),
]


def test_run_tells_what_a_worker_would_make_of_an_attempt(lite: Stage) -> None:
    app, options = Handlers(), {"retry_on": (Exception, SystemExit), "give_up_on": KeyError}

    def fail(job: Job) -> None:
        raise RAISED[job.payload["number"]]()

    async def fail_later(job: Job) -> None:
        fail(job)

    def children(context: SpawnContext) -> list[Job]:
        context.spawn(Job("child"), key="early")
        fail(context.parent_job)
        return []

    def generated(context: SpawnContext) -> Iterator[Job]:
        yield Job("child")
        fail(context.parent_job)

    class Guarded(SpawnHandler):
        def validate_spawn(self, job: Job, config: SpawnConfig) -> None:
            fail(job)

        def spawn_jobs(self, context: SpawnContext) -> list[Job]:
            return [Job("child")]

    app.register_job("function", fail, **options)  # type: ignore[arg-type]
    app.register_job("coroutine", fail_later, **options)  # type: ignore[arg-type]
    spawning = {"children": children, "generated": generated, "guarded": Guarded()}
    for queue, handler in spawning.items():
        app.register_job(queue, lambda job: "its result", **options)  # type: ignore[arg-type]  # noqa: ARG005
        app.register_handler(queue, handler)  # type: ignore[arg-type]
    jobs = [
        Job(queue, {"number": number}, spawn_config=config)
        .with_max_attempts(most)
        .with_retry_strategy(RetryStrategy.fixed(timedelta(hours=1)))
        for queue in app.queues
        for number in range(len(RAISED))
        for most in (1, 2)
        for config in (None, *([SpawnConfig(on_error="complete")] if queue in spawning else []))
    ]
    lite.enqueue(*jobs)
    lite.work(app)
    for job in jobs:
        _agrees(lite, job, run(app, job))


def _agrees(stage: Stage, job: Job, said: Outcome) -> None:
    written = stage.queue.get(job)
    is_due_later = said.delay is not None and written.status == "Pending"
    assert is_due_later or said.status == written.status, (job, said)
    if said.delay is not None:
        assert abs(_due(stage, job) - stage.database.now() - said.delay) < timedelta(minutes=5), (job, said)
    assert said.result == written.result, (job, said)
    assert len(said.children) + len(said.early) == len(stage.children(job)), (job, said)
    if said.status != "Completed":  # its error would be that of its operation
        first, error = ((text or "").partition("\n")[0] for text in (said.error, written.error))
        assert first == error, (job, said)


@everywhere
def test_a_snoozed_recurring_job_keeps_the_due_time_of_its_occurrence(
    stage: Stage, work: Callable[..., Any], tmp_path: Path
) -> None:
    (job, *_) = jobs_that_want(tmp_path, "snooze for long")
    stage.enqueue(job.with_cron("0 30 2 * * *"))
    stage.execute(f"UPDATE hammerwork_jobs SET scheduled_at = created_at WHERE id = '{job.id}'")
    occurrence = stage.one(job, "next_run_at")
    work()
    assert stage.one(job, "status, attempts, next_run_at") == ("Pending", 0, occurrence)
    assert _due(stage, job) - stage.database.now() > timedelta(hours=2)


async def _never(job: Job, error: Exception) -> timedelta:
    return timedelta(0)


@each_row(
    "make",
    [
        lambda: Snooze(5),  # type: ignore[arg-type]
        lambda: Snooze(timedelta(seconds=-1)),
        lambda: Snooze(timedelta(days=400)),
        lambda: Retry(timedelta(days=400)),
        lambda: Retry(timedelta(0), 7),  # type: ignore[arg-type]
        lambda: Discard(None),  # type: ignore[arg-type]
        lambda: Cancel(None),  # type: ignore[arg-type]
        lambda: Handlers().register_job("q", print, retry_on="OSError"),  # type: ignore[arg-type]
        lambda: Handlers().register_job("q", print, give_up_on=(OSError, 7)),  # type: ignore[arg-type]
        lambda: Handlers().register_job("q", print, retry=timedelta),  # type: ignore[arg-type]
        lambda: Handlers().register_job("q", print, retry=_never),  # type: ignore[arg-type]
        lambda: Handlers().register_job("q", print, retry=lambda: timedelta(0)),  # type: ignore[arg-type,misc]
        lambda: Handlers().register_job("q", print, attempts=7),  # type: ignore[call-arg]
    ],
)
def test_a_delay_or_a_reason_that_is_none_is_refused_where_it_is_written(make: Callable[[], object]) -> None:
    with pytest.raises(UsageError):
        make()
