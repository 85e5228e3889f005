"""An attempt at a job, without a database: what is called with what, and what becomes of the answer."""

import asyncio
import inspect
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from hammerwork_cli import Handlers, Job, RetryStrategy, SpawnConfig, SpawnContext
from hammerwork_cli.core.codecs import CodecError
from hammerwork_cli.features.worker.queries.finish import AttemptEnd, EndedAttempt
from hammerwork_cli.runtime.clock import ServerClock
from hammerwork_cli.runtime.execution import attempt_runner as module
from hammerwork_cli.runtime.execution.attempt_runner import AttemptRunner
from hammerwork_cli.runtime.execution.attempts import STILL_RUNNING, Attempt, ClaimedRequest
from hammerwork_cli.runtime.execution.isolation import Elsewhere
from hammerwork_cli.runtime.execution.outcome_policy import OutcomePolicy
from tests.unit.runtime.test_slots import claimed


class Making:
    """A runner whose other parts write down how they are called.

    Attributes:
        calls: of the other parts.
        started: coroutines, with their deadlines and what they call when they have ended.
    """

    def __init__(self, handlers: Handlers, *, codecs: Any = None, can_kill: bool = False) -> None:
        self.calls: list[Any] = []
        self.started: list[Any] = []
        isolation: Any = SimpleNamespace(
            can_kill=can_kill,
            ready=lambda _: self.calls.append("ready"),
            done=lambda _: self.calls.append("done"),
            kill=lambda *arguments: self.calls.append(("kill", *arguments)),
        )
        slots: Any = SimpleNamespace(
            end=lambda attempt, ended: self.calls.append(("end", attempt.job.id, ended)),
            resume=lambda attempt, *, blocks: self.calls.append(("resume", attempt.job.id, blocks)),
        )
        loop: Any = SimpleNamespace(
            start=lambda *arguments: self.started.append(arguments),
            cancel_of=lambda attempt: self.calls.append(("cancel", attempt.job.id)),
        )
        url: Any = SimpleNamespace(codecs=codecs)
        spawner: Any = SimpleNamespace(
            context=lambda _, job, config: SpawnContext(job, config),
            spawn=lambda *arguments: self.calls.append(("spawn", *arguments)),
            fulfil=lambda attempt, request: self.calls.append(("fulfil", attempt.job.id, request)),
        )
        policy = OutcomePolicy(handlers, RetryStrategy.fixed(timedelta(0)), ServerClock(), threading.Event())
        self.runner = AttemptRunner(handlers, isolation, slots, loop, url, policy, spawner)

    def run(self, **fields: Any) -> tuple[Attempt, Any]:
        job = {"payload": '{"text":"x"}', "attempts": 1, "max_attempts": 1, **fields}
        attempt = Attempt(claimed("a")._replace(**job), threading.RLock())
        attempt.began = 0.0
        return attempt, self.runner.run(attempt)


def one_handler(function: Callable[..., Any], **options: Any) -> Handlers:
    handlers = Handlers()
    handlers.register_job("queue", function, **options)
    return handlers


def test_a_handler_that_returns_completes_its_job() -> None:
    made = Making(one_handler(lambda job: job.payload["text"] * 3))
    attempt, ended = made.run(timeout_seconds=5)
    assert (ended.end, ended.result, ended.job) == (AttemptEnd.COMPLETED, '"xxx"', attempt.job)
    assert made.calls == ["ready", "done"]
    assert attempt.began > 0, "it counts from when its process is ready"
    assert attempt.deadline == attempt.began + 5


def test_the_start_of_an_attempt_is_logged_where_somebody_wants_to_know(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", "hammerwork")
    Making(one_handler(lambda _: None)).run()
    assert caplog.messages == ["The job starts attempt 1 of 1."]


def test_an_error_of_the_worker_itself_fails_the_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("A defect.")

    request: Any = "request"
    for log_fails in (False, True):
        made = Making(one_handler(lambda _: 7))
        made.runner._isolation.done = fail  # type: ignore[method-assign]
        with monkeypatch.context() as patch:
            if log_fails:
                patch.setattr(module.log, "error", fail)
            attempt, ended = made.run()
            asked = made.runner.run(Attempt(ClaimedRequest(request, claimed("b")), threading.RLock()))
        assert (ended.end, ended.job, ended.error.partition("\n")[0]) == (
            AttemptEnd.FAILED,
            attempt.job,
            "RuntimeError: A defect.",
        )
        assert asked is None


def test_a_handler_that_raises_fails_its_attempt_unless_that_is_decided() -> None:
    def fail(job: Job) -> None:
        if job.payload["text"] == "late":
            attempts[0].over = True
        raise ValueError(job.id)

    attempts: list[Attempt] = []
    made = Making(one_handler(fail))
    _, ended = made.run()
    assert (ended.end, ended.error.partition("\n")[0]) == (AttemptEnd.FAILED, "ValueError: a")
    attempts.append(Attempt(claimed("b")._replace(payload='{"text":"late"}'), threading.RLock()))
    assert made.runner.run(attempts[0]) is None


def test_a_job_without_a_handler_fails_with_the_queues_that_have_one() -> None:
    made = Making(one_handler(print))
    _, ended = made.run(queue_name="other")
    assert ended.error == ("This worker has no handler for the queue 'other'. It has handlers for: queue.")
    _, ended = Making(Handlers()).run()
    assert "It has handlers for: none." in ended.error


def test_a_result_that_is_too_large_fails_its_attempt() -> None:
    _, ended = Making(one_handler(lambda _: "x" * 100)).run(result_max_size_bytes=50)
    assert ended.end == AttemptEnd.FAILED


class Codecs:
    def encoded(self, result: str, queue: str) -> str:
        if result == '"odd"':
            raise CodecError("It cannot be encoded.")
        return f"{queue} {result}"


def test_results_are_encoded_and_nothing_else_is() -> None:
    for result, stored, end in (
        ("fine", 'queue "fine"', AttemptEnd.COMPLETED),
        (None, None, AttemptEnd.COMPLETED),
        ("odd", None, AttemptEnd.FAILED),
    ):
        _, ended = Making(one_handler(lambda _, result=result: result), codecs=Codecs()).run()
        assert (ended.end, ended.result) == (end, stored)
        assert ("cannot be encoded" in (ended.error or "")) == (end == AttemptEnd.FAILED)


def test_payloads_are_decoded_only_where_that_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[str] = []

    def readable(job: Any, url: Any) -> Any:
        decoded.append(job.payload)
        return job._replace(payload='{"text":"decoded"}')

    monkeypatch.setattr(module, "readable", readable)
    monkeypatch.setattr(module, "may_be_coded", lambda payload: "coded" in payload)
    made = Making(one_handler(lambda job: job.payload["text"]))
    secret: Any = SimpleNamespace(text="secret")
    results = [made.run(payload=payload)[1].result for payload in ('{"text":"x"}', '{"text":"coded"}', secret)]
    assert results == ['"x"', '"decoded"', '"decoded"']
    assert decoded == ['{"text":"coded"}', secret]


def test_a_handler_gets_what_it_asks_for_and_its_spawn_handler_gets_what_it_returned() -> None:
    def plain(job: Job) -> str:
        return type(job).__name__

    def with_context(_: Job, context: SpawnContext) -> str:
        return f"{context.config.max_spawn_count} {context.job.id}"

    three, four = SpawnConfig(max_spawn_count=3), SpawnConfig(max_spawn_count=4)
    for function, default, carried, result in (
        (plain, None, None, '"Job"'),
        (with_context, None, None, '"100 a"'),
        (with_context, three, None, '"3 a"'),
        (with_context, three, four, '"4 a"'),
    ):
        handlers = one_handler(function)
        handlers.register_handler("queue", lambda _: [])
        if default:
            handlers._configure("queue", default)
        job = Job("queue", {}).with_spawn_config(carried) if carried else Job("queue", {})
        made = Making(handlers)
        _, ended = made.run(payload=job._new_job(datetime.now(UTC)).payload)
        assert ended is None
        ((_, _, completed, found, given, returned),) = [call for call in made.calls if call[0] == "spawn"]
        assert (completed.result, returned, found.name) == (result, result, "queue")
        assert given == (carried or default or SpawnConfig())


def test_a_spawn_handler_alone_completes_the_job_without_a_result() -> None:
    handlers = Handlers()
    handlers.register_handler("queue", lambda _: [])
    made = Making(handlers)
    assert made.run()[1] is None
    ((_, _, completed, _, _, result),) = [call for call in made.calls if call[0] == "spawn"]
    assert (completed.end, completed.result, result) == (AttemptEnd.COMPLETED, None, None)


def test_a_request_is_fulfilled_and_leaves_no_outcome() -> None:
    made = Making(one_handler(print))
    request: Any = "request"
    assert made.runner.run(Attempt(ClaimedRequest(request, claimed("a")), threading.RLock())) is None
    assert made.calls == [("fulfil", "a", "request"), "done"]


async def sleeps(job: Job) -> str:
    return job.id


@pytest.mark.parametrize(
    ("state", "calls"),
    [
        ({}, ("end", AttemptEnd.COMPLETED)),
        ({"over": True}, ("end", None)),
        ({"over": True, "error": ValueError("7")}, ("end", None)),
        ({"recurring": True}, ("resume", False)),
        ({"codecs": Codecs()}, ("resume", False)),
        ({"spawns": True}, ("resume", True)),
        ({"error": ValueError("7")}, ("resume", False)),
        ({"error": ValueError("7"), "retry": lambda *_: timedelta(0)}, ("resume", True)),
        ({"error": ValueError("7"), "spawns": True}, ("resume", False)),
    ],
)
def test_the_rest_after_a_coroutine_is_done_by_a_thread_if_it_may_wait(
    state: dict[str, Any], calls: tuple[Any, ...]
) -> None:
    handlers = one_handler(sleeps, **({"retry": state["retry"]} if "retry" in state else {}))
    if "spawns" in state:
        handlers.register_handler("queue", lambda _: [])
    made = Making(handlers, codecs=state.get("codecs"))
    attempt, running = made.run(timeout_seconds=9, recurring=state.get("recurring", False))
    assert running is STILL_RUNNING
    ((awaitable, deadline, done, owner, inner),) = made.started
    assert (awaitable, deadline, owner) == (attempt.awaits, attempt.began + 9, attempt)
    assert inspect.iscoroutine(inner)
    assert asyncio.run(awaitable) == '"a"'
    made.calls.clear()
    attempt.over = state.get("over", False)
    error = state.get("error")
    done(None if error else '"x"', error)
    ((what, job, given),) = made.calls
    assert job == "a"
    assert (what, given.end if isinstance(given, EndedAttempt) else given) == calls
    if isinstance(given, EndedAttempt):
        assert given.result == '"x"'
    if what == "resume" and not state.get("recurring"):
        made.calls.clear()
        ended: Any = made.runner.run(attempt)
        assert attempt.rest is None
        assert attempt.awaits is None
        if error:
            assert (ended.end, made.calls) == (AttemptEnd.FAILED, ["done"])
        elif "spawns" in state:
            ((_, _, completed, _, _, result), _) = made.calls
            assert (ended, completed.result, result) == (None, '"x"', '"x"')
        else:
            assert (ended.end, ended.result) == (AttemptEnd.COMPLETED, 'queue "x"')


def test_a_handler_is_ended_by_the_means_that_there_are() -> None:
    made = Making(one_handler(sleeps), can_kill=True)
    attempt = Attempt(claimed("a"), threading.RLock())
    attempt.thread, attempt.awaits = 7, "coroutine"
    assert made.runner.end(attempt) == "Its process is killed."
    assert (made.calls, attempt.holds_slot) == ([("kill", 7, attempt)], False)
    made = Making(one_handler(sleeps))
    assert made.runner.end(attempt) == "Its coroutine is cancelled."
    attempt.job = attempt.job._replace(queue_name="unknown")
    assert made.runner.end(attempt) == "Its coroutine is cancelled."
    assert (made.calls, attempt.holds_slot) == ([("cancel", "a")] * 2, False)
    attempt.awaits = None
    assert made.runner.end(attempt).startswith("Its thread cannot be killed")
    assert (len(made.calls), attempt.holds_slot) == (2, True)


def test_a_task_that_an_executor_has_is_cancelled_as_far_as_it_can_be() -> None:
    handlers = one_handler(sleeps)
    job_handler: Any = handlers._job_handler("queue")
    elsewhere = Elsewhere.__new__(Elsewhere)
    around: Any = "around"
    handlers._arounds.append(around)
    made = Making(handlers)
    attempt = Attempt(claimed("a"), threading.RLock())
    attempt.awaits = "task"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(handlers, "_job_handler", lambda _: SimpleNamespace(function=elsewhere))
        assert made.runner.end(attempt).startswith("Its task is cancelled; if its executor runs that already")
    assert made.calls == [("cancel", "a")]
    assert made.runner._around(SimpleNamespace(function=elsewhere)) == ()  # type: ignore[arg-type]
    assert made.runner._around(job_handler) == (around,)


def test_functions_around_handlers_surround_only_those_that_run_here(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    def surrounded(arounds: Any, handler: Any, arguments: Any, context: Any, runner: Any) -> str:
        seen.append((arounds, handler.function, len(arguments), type(context), type(runner)))
        return "surrounded"

    def here(_: Job) -> str:
        return "here"

    class There(Elsewhere):
        def __init__(self) -> None: ...

        def __call__(self, *_: Any) -> Any:
            return "there"

    monkeypatch.setattr(module, "surrounded", surrounded)
    around: Any = "around"
    results = []
    for function in (here, There()):
        handlers = one_handler(function)
        handlers._arounds.append(around)
        results.append(Making(handlers).run()[1].result)
    assert results == ['"surrounded"', '"there"']
    assert seen == [((around,), here, 1, SpawnContext, module._InLoop)]


def test_a_worker_knows_which_queues_never_hold_a_thread() -> None:
    handlers = one_handler(sleeps)
    handlers.register_job("blocks", print)
    handlers.spawn("spawns")(lambda _: [])
    assert Making(handlers).runner.coroutines == {"queue"}
