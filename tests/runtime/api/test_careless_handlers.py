"""A job costs only itself, whatever its handler returns, raises, or says about itself."""

import asyncio
import inspect
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from hammerwork_cli import Handlers, Job, RetryStrategy, SpawnConfig, SpawnContext, SpawnHandler, Worker
from hammerwork_cli.runtime.execution import event_loop, outcome_policy
from hammerwork_cli.runtime.outcomes import backoff
from tests.runtime.conftest import Stage, until

AT_ONCE = RetryStrategy.fixed(timedelta(0))


class UnprintableError(Exception):
    def __str__(self) -> str:
        raise ValueError("no text")

    def __reduce__(self) -> str | tuple[Any, ...]:
        raise ValueError("no pickle")


class OddExit(BaseException):
    pass


def grouped() -> BaseException:
    group: Exception = ValueError("innermost")
    for _ in range(2000):
        group = ExceptionGroup("group", [group])
    return group


ODD_ERRORS: list[Callable[[], BaseException]] = [
    lambda: SystemExit(3),
    KeyboardInterrupt,
    OddExit,
    GeneratorExit,
    UnprintableError,
    grouped,
    asyncio.CancelledError,
    StopIteration,
    lambda: ValueError("\udce9\x00" * 100_000),
    RecursionError,
    TimeoutError,
]


def test_whatever_is_raised_fails_its_own_attempt_and_nothing_else(lite: Stage, app: Handlers) -> None:
    @app.job("sync")
    def sync(job: Job) -> None:
        raise ODD_ERRORS[job.payload]()

    @app.job("async")
    async def later(job: Job) -> None:
        await asyncio.sleep(0)
        raise ODD_ERRORS[job.payload]()

    @app.job("nested")
    async def nested(job: Job) -> None:
        async def task() -> None:
            raise SystemExit(job.id)

        await asyncio.create_task(task())

    @app.job("stops")
    async def stops(job: Job) -> str:
        asyncio.get_running_loop().stop()
        await asyncio.sleep(0.01)
        return "went on"

    @app.job("well")
    async def well(job: Job) -> str:
        await asyncio.sleep(0.01)
        return "well"

    odd = [Job(queue, number, max_attempts=1) for queue in ("sync", "async") for number in range(len(ODD_ERRORS))]
    odd.append(Job("nested", max_attempts=1))
    fine = [Job("stops"), *(Job("well") for _ in range(len(odd)))]
    lite.enqueue(*(job for pair in zip(odd, fine, strict=False) for job in pair), fine[-1])
    lite.work(app, concurrency=3)
    assert set(lite.status(*odd)) == {"Dead"}
    assert set(lite.status(*fine)) == {"Completed"}
    errors = [lite.one(job, "error_message") for job in odd]
    assert errors[0].startswith("SystemExit: 3")
    assert errors[4].startswith("UnprintableError: its text cannot be shown")
    assert errors[5].startswith("ExceptionGroup: group")
    assert all(errors)


class Exits(SpawnHandler):
    """Exits from the hook that the payload names."""

    def validate_spawn(self, parent_job: Job, config: SpawnConfig) -> None:
        exit_in("validate", parent_job)

    def spawn_jobs(self, context: SpawnContext) -> Any:
        exit_in("spawn", context.parent_job)
        if context.parent_job.payload == "async":
            return self.later(context.parent_job)
        return self.now(context.parent_job)

    def now(self, parent: Job) -> Iterator[Job]:
        yield Job("noop")
        try:
            exit_in("generator", parent)
            yield Job("noop", {1, 2}) if parent.payload == "close" else Job("noop")
        finally:
            exit_in("close", parent)

    async def later(self, parent: Job) -> AsyncIterator[Job]:
        yield Job("noop")
        exit_in("async", parent)

    def on_spawn_complete(self, result: Any) -> None:
        if result.children == 2:
            raise OddExit("complete")


class ExitingStrategy(RetryStrategy):
    def delay(self, attempt: int) -> timedelta:
        raise OddExit("no delay")


class ExitingResult:
    @property
    def __class__(self) -> Any:  # what isinstance asks
        raise OddExit("class")


class ExitingLog(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        if "(unlogged)" in record.getMessage():
            raise OddExit("log")


@dataclass
class Called:  # it cannot be hashed
    answer: str

    def __call__(self, job: Job, context: SpawnContext) -> str:
        return self.answer + context.root_id[:0]


def exit_in(hook: str, job: Job) -> None:
    if job.payload == hook:
        raise OddExit(hook)


def test_no_hook_ends_a_thread_of_the_worker(lite: Stage, app: Handlers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backoff, "PAUSE", timedelta(0))
    app.register_handler("exits", Exits())
    app.register_job("result", lambda job: ExitingResult())  # noqa: ARG005
    app.register_job("unprintable", lambda job: {}["nothing"], retry=ExitingStrategy("Fixed", timedelta(0)))  # noqa: ARG005

    app.register_job("unlogged", lambda job: {}["nothing"])  # noqa: ARG005
    app.register_job("called", Called("well"))
    exiting_log = ExitingLog()
    monkeypatch.setattr(outcome_policy.log, "handlers", [*outcome_policy.log.handlers, exiting_log])

    hooks = ("validate", "spawn", "generator", "close", "async")
    failing = [Job("exits", hook, max_attempts=1) for hook in hooks]
    failing += [Job("result", max_attempts=1), Job("unlogged", max_attempts=1)]
    called = Job("called")
    completing, again = Job("exits", "complete"), Job("unprintable", max_attempts=2)
    lite.enqueue(*failing, completing, again, called)
    slots: list[str] = []
    app.register_job("last", lambda job: slots.extend(thread.name for thread in threading.enumerate()))  # noqa: ARG005
    lite.work(app, concurrency=1)
    lite.enqueue(Job("last"))
    lite.work(app, concurrency=1)
    assert set(lite.status(*failing, again)) == {"Dead"}
    assert lite.status(completing, called) == ["Completed"] * 2
    assert len(lite.children(completing)) == 2
    assert [lite.children(job) for job in failing] == [[]] * len(failing)
    assert "OddExit: complete" in lite.operations("hook_error")[0][0]
    assert "hammerwork-slot-0" in slots


def test_a_function_that_returns_a_coroutine_is_awaited(lite: Stage, app: Handlers) -> None:
    async def later(job: Job) -> str:
        await asyncio.sleep(0)
        return str(job.payload)

    app.register_job("lambda", lambda job: later(job))
    (job,) = lite.enqueue(Job("lambda", "東京"))
    lite.work(app)
    assert lite.queue.results([job]) == {job.id: "東京"}


def test_a_coroutine_that_never_yields_times_out_and_the_next_ones_run_elsewhere(
    lite: Stage, app: Handlers, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(event_loop, "BLOCKED_SECONDS", 0.2)
    blocked, released = threading.Event(), threading.Event()

    @app.job("blocks", retry=AT_ONCE)
    async def blocks(job: Job) -> None:
        blocked.set()
        released.wait(30)

    @app.job("neighbour", retry=AT_ONCE)
    async def neighbour(job: Job) -> int:
        while job.attempts == 1:
            await asyncio.sleep(0.01)
        return job.attempts

    first, blocking = lite.enqueue(Job("neighbour"), Job("blocks").with_timeout(timedelta(seconds=1)))
    lite.work(app, concurrency=2)
    assert lite.status(first, blocking) == ["Completed", "TimedOut"]
    assert lite.queue.results([first]) == {first.id: 2}
    assert "released.wait(30)" in caplog.text
    released.set()


def test_a_coroutine_that_waits_behind_one_that_never_yields_is_closed(
    lite: Stage, app: Handlers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_loop, "BLOCKED_SECONDS", 0.2)
    waiting: list[Coroutine[Any, Any, None]] = []
    released = threading.Event()

    @app.job("blocks", retry=AT_ONCE)
    async def blocks(job: Job) -> None:
        while not waiting:
            time.sleep(0.01)
        released.wait(30)

    def waits(job: Job) -> Coroutine[Any, Any, None]:
        waiting.append(asyncio.sleep(0 * job.attempts))
        return waiting[-1]

    app.register_job("waits", waits, retry=AT_ONCE)
    blocking, behind = lite.enqueue(Job("blocks").with_timeout(timedelta(seconds=1)), Job("waits"))
    lite.work(app, concurrency=2)
    released.set()
    assert lite.status(blocking, behind) == ["TimedOut", "Completed"]
    assert len(waiting) == 2
    until(lambda: {inspect.getcoroutinestate(coroutine) for coroutine in waiting} == {inspect.CORO_CLOSED})


def test_an_event_loop_that_a_coroutine_closes_is_made_anew(lite: Stage, app: Handlers) -> None:
    @app.job("closes", retry=AT_ONCE)
    async def closes(job: Job) -> str:
        loop = asyncio.get_running_loop()
        if job.attempts == 1:
            loop.run_forever = loop.close  # type: ignore[method-assign]
            loop.stop()
            await asyncio.sleep(60)
        return "went on"

    (job,) = lite.enqueue(Job("closes"))
    lite.work(app)
    assert lite.one(job, "status, attempts") == ("Completed", 2)


def test_a_timeout_that_the_main_thread_does_not_see_is_a_timeout(
    lite: Stage, app: Handlers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "hammerwork_cli.runtime.execution.slots.Slots.expire", lambda *_: None
    )  # it waits for a row, say

    @app.job("slow")
    async def slow(job: Job) -> None:
        await asyncio.sleep(60)

    (job,) = lite.enqueue(Job("slow").with_timeout(timedelta(seconds=1)))
    lite.work(app)
    assert lite.one(job, "status, attempts, error_message") == ("TimedOut", 1, "It took too long and was cancelled.")


def test_a_failure_after_the_timeout_is_reported_once(
    lite: Stage, app: Handlers, caplog: pytest.LogCaptureFixture
) -> None:
    @app.job("slow")
    def slow(job: Job) -> None:
        time.sleep(1.2)
        raise ValueError("late")

    lite.enqueue(Job("slow").with_timeout(timedelta(seconds=1)))
    before = set(threading.enumerate())
    Worker(lite.queue, app, drain=True, poll_interval=0.05).run()
    for thread in set(threading.enumerate()) - before:
        thread.join(5)
    assert [record.message for record in caplog.records if "failed in attempt" in record.message] == [
        next(record.message for record in caplog.records if "It did not end within 1 s" in record.message)
    ]


def test_a_job_s_words_about_itself_harm_no_neighbour(stage: Stage, app: Handlers) -> None:
    app.register_job("returns", lambda job: {"text": job.payload})
    app.register_job("fails", lambda job: 1 / (job.attempts - 1))

    long, odd, fine = stage.enqueue(
        Job("returns", "long").with_result_ttl(timedelta(days=1)),
        Job("fails", "odd").with_retry_strategy(AT_ONCE),
        Job("returns", "fine").with_result_ttl(timedelta(days=1)),
    )
    stage.execute(f"UPDATE hammerwork_jobs SET result_ttl_seconds = 900000000000000 WHERE id = '{long.id}'")
    multiplier = "NaN" if stage.database.dialect == "sqlite" else "1e999"  # which no JSON of a server can be
    words = f'{{"type": "Exponential", "base_ms": 1, "multiplier": {multiplier}, "jitter": {{"type": "Odd"}}}}'
    stage.execute(f"UPDATE hammerwork_jobs SET retry_strategy = '{words}' WHERE id = '{odd.id}'")
    stage.work(app, retry=AT_ONCE)
    assert stage.status(long, odd, fine) == ["Completed"] * 3
    assert stage.queue.results([long, odd, fine]) == {
        long.id: {"text": "long"},
        odd.id: 1.0,
        fine.id: {"text": "fine"},
    }
    assert stage.one(long, "result_expires_at") is None
    assert stage.timestamp(fine, "result_expires_at") > datetime.now(UTC)


IN_A_PROCESS = """
import asyncio
from hammerwork_cli import Handlers, Job, SpawnHandler

app = Handlers()

class UnprintableError(Exception):
    def __str__(self):
        raise SystemExit("no text")

    def __reduce__(self):
        raise SystemExit("no pickle")

@app.job("set")
def odd(job):
    return {1, 2}

@app.job("unprintable")
def unprintable(job):
    raise UnprintableError

@app.job("exits")
async def exits(job):
    async def task():
        raise SystemExit(3)

    asyncio.get_running_loop().stop()
    await asyncio.create_task(task())

@app.job("interrupted")
async def interrupted(job):
    async def task():
        raise KeyboardInterrupt("in a task")

    if job.payload == "task":
        await asyncio.create_task(task())
    raise KeyboardInterrupt("at once")

@app.job("limited")
def limited(job, context):
    context.spawn(Job("leaf"), key="1")

@app.job("taken")
def taken(job, context):
    context.spawn(Job("leaf", "another", id=job.payload), key="1")

@app.spawn("no_jobs")
def no_jobs(context):
    return ["text"]

class Careful(SpawnHandler):
    def validate_spawn(self, parent, config):
        Job("half a name \\udce9")

    def spawn_jobs(self, context):
        return ()

app.register_handler("careful", Careful())

app.register_job("lambda", lambda job: later(job))

async def later(job):
    return "went on"
"""


@pytest.mark.usefixtures("forked_processes")
def test_all_of_it_is_the_same_in_a_process(lite: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "careless_app.py").write_text(IN_A_PROCESS)
    monkeypatch.syspath_prepend(str(tmp_path))
    none = SpawnConfig(max_depth=0)
    once = [Job("set"), Job("no_jobs"), Job("limited").with_spawn_config(none.with_handler("no_jobs")), Job("careful")]
    once.append(Job("taken", once[0].id))
    again = [Job(queue, max_attempts=2) for queue in ("unprintable", "exits", "interrupted")]
    again.append(Job("interrupted", "task", max_attempts=2))
    fine = [Job("lambda"), Job("lambda")]
    lite.enqueue(*once, *again, *fine)
    settings: dict[str, Any] = {"drain": True, "poll_interval": 0.05, "concurrency": 1, "retry": AT_ONCE}
    Worker(lite.queue, "careless_app:app", isolation="process", **settings).run()
    ends = [lite.one(job, "status, attempts") for job in (*once, *again)]
    assert ends == [*[("Dead", 1)] * 5, *[("Dead", 2)] * 4]
    assert lite.queue.results(fine) == {job.id: "went on" for job in fine}
    assert lite.one(once[2], "error_message").startswith("SpawnLimitError: max_depth allows 0")
    assert lite.one(once[3], "error_message").startswith("validate_spawn of careful refused: The queue's name has half")
    assert lite.one(again[0], "error_message").startswith("UnprintableError: its text cannot be shown")
    assert lite.one(again[1], "error_message").startswith("SystemExit: 3")
    assert lite.one(again[2], "error_message").startswith("KeyboardInterrupt: at once")
    assert lite.one(again[3], "error_message").startswith("KeyboardInterrupt: in a task")
