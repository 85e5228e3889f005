"""What an attempt leads to, by a clock that stands still."""

import json
import threading
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from hammerwork_cli import RetryStrategy
from hammerwork_cli.errors import RefusedValueError, UnreachableError
from hammerwork_cli.features.worker.queries.claim import Claimed
from hammerwork_cli.features.worker.queries.finish import AttemptEnd, EndedAttempt
from hammerwork_cli.runtime.api.outcomes import Cancel, Retry, Snooze
from hammerwork_cli.runtime.api.spawn import SpawnFailedError
from hammerwork_cli.runtime.execution import outcome_policy as module
from hammerwork_cli.runtime.execution.outcome_policy import OutcomePolicy
from hammerwork_cli.runtime.outcomes.failures import Failed, JobError, OutOfTimeError
from tests.conftest import each_row
from tests.unit.runtime.test_slots import claimed

NOW = datetime(2026, 12, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def linear(seconds: int) -> RetryStrategy:
    """So many seconds more after each attempt."""
    return RetryStrategy.linear(timedelta(0), seconds * SECOND)


HUNDRED = json.dumps(linear(100)._stored())


def job(**fields: Any) -> Claimed:
    rust_3 = fields.pop("rust_3", False)
    made = claimed("a")._replace(**{"attempts": 2, "max_attempts": 5, **fields})
    return made._replace(claim=made.claim._replace(rust_3=rust_3))


class Deciding:
    """A policy, and the errors that somebody heard of."""

    def __init__(self, handler: Any = None, **options: Any) -> None:
        self.heard: list[BaseException] = []
        handlers: Any = SimpleNamespace(_job_handler=lambda queue: handler if queue == "queue" else None)
        clock: Any = SimpleNamespace(now=lambda: NOW)
        self.stopped_at_once = threading.Event()
        self.policy = OutcomePolicy(handlers, linear(1), clock, self.stopped_at_once, told=self.heard.append, **options)


def handler(**options: Any) -> Any:
    return SimpleNamespace(**{"gives_up": lambda _: False, "retry": None, "retry_timeouts": False, **options})


@each_row(
    ("made", "error", "fields", "expected"),
    [
        # (end, seconds until the next attempt, whether it timed out)
        ({}, ValueError("7"), {}, (AttemptEnd.RETRY, 2.0, False)),
        ({}, ValueError("7"), {"attempts": 5}, (AttemptEnd.FAILED, None, False)),
        ({}, ValueError("7"), {"attempts": 4}, (AttemptEnd.RETRY, 4.0, False)),
        ({"retry_at_once": True}, ValueError("7"), {}, (AttemptEnd.RETRY, 0.0, False)),
        ({"retry_at_once": True}, Retry(9 * SECOND), {}, (AttemptEnd.RETRY, 0.0, False)),
        ({}, Retry(9 * SECOND), {}, (AttemptEnd.RETRY, 9.0, False)),
        ({}, Cancel("Enough."), {}, (AttemptEnd.CANCELLED, None, False)),
        ({}, Snooze(9 * SECOND), {"attempts": 5}, (AttemptEnd.SNOOZED, 9.0, False)),
        ({}, RefusedValueError("No."), {}, (AttemptEnd.FAILED, None, False)),
        ({"handler": handler()}, ValueError("7"), {}, (AttemptEnd.RETRY, 2.0, False)),
        ({"handler": handler(retry=linear(10))}, ValueError("7"), {}, (AttemptEnd.RETRY, 20.0, False)),
        (
            {"handler": handler(retry=lambda job, error: SECOND * (30 + job.attempts + len(str(error))))},
            ValueError("7"),
            {},
            (AttemptEnd.RETRY, 33.0, False),
        ),
        (
            {"handler": handler(gives_up=lambda error: str(error) == "7")},
            ValueError("7"),
            {},
            (AttemptEnd.FAILED, None, False),
        ),
        (
            {"handler": handler(gives_up=lambda error: str(error) == "7")},
            ValueError("8"),
            {},
            (AttemptEnd.RETRY, 2.0, False),
        ),
        ({"handler": handler(gives_up=lambda _: True)}, Retry(9 * SECOND), {}, (AttemptEnd.RETRY, 9.0, False)),
        ({}, OutOfTimeError("Late."), {}, (AttemptEnd.TIMED_OUT, None, False)),
        ({"handler": handler()}, OutOfTimeError("Late."), {}, (AttemptEnd.TIMED_OUT, None, False)),
        ({"handler": handler(retry_timeouts=True)}, OutOfTimeError("Late."), {}, (AttemptEnd.RETRY, 2.0, True)),
        ({}, OutOfTimeError("Late."), {"rust_3": True}, (AttemptEnd.RETRY, 2.0, True)),
        # The strategy of a job comes first; hammerwork (Rust) gives it the number of the coming attempt.
        (
            {"handler": handler(retry=linear(10))},
            ValueError("7"),
            {"retry_strategy": HUNDRED},
            (AttemptEnd.RETRY, 200.0, False),
        ),
        ({}, ValueError("7"), {"retry_strategy": HUNDRED, "rust_3": True}, (AttemptEnd.RETRY, 300.0, False)),
        ({}, ValueError("7"), {"rust_3": True}, (AttemptEnd.RETRY, 2.0, False)),
    ],
)
def test_an_attempt_that_failed_leads_to_another_one_or_to_an_end(
    made: dict[str, Any], error: Exception, fields: dict[str, Any], expected: tuple[Any, ...]
) -> None:
    deciding = Deciding(**made)
    ended = deciding.policy.failed_by(job(**fields), error)
    wait = None if ended.at is None else (ended.at - NOW).total_seconds()
    assert (ended.end, wait, ended.timed_out) == expected
    assert ended.pause == (None if wait is None else timedelta(seconds=wait))
    if ended.end == AttemptEnd.SNOOZED:
        assert deciding.heard == []
    else:
        assert ended.cause is error
        assert ended.error
        assert deciding.heard == ([] if ended.end == AttemptEnd.CANCELLED else [error])


def test_listeners_for_failures_get_the_error_of_the_handler_or_a_timeout() -> None:
    deciding, cause = Deciding(), ValueError("7")
    wrapped = SpawnFailedError("It failed.")
    wrapped.__cause__ = cause
    deciding.policy.failed_by(job(), wrapped)
    deciding.policy.failed(job(), Failed("Too late.\n\nIt was there.", AttemptEnd.TIMED_OUT))
    first, second = deciding.heard
    assert first is cause
    assert (type(second), str(second)) == (TimeoutError, "Too late.")


def test_a_function_for_the_pause_gets_the_same_error_as_listeners_for_failures() -> None:
    seen: list[Any] = []

    def pause(job: Any, error: Any) -> timedelta:
        seen.append((job.id, type(error), str(error)))
        return SECOND

    deciding = Deciding(handler(retry=pause, retry_timeouts=True))
    deciding.policy.failed(job(), Failed("Too late.\n\nIt was there.", AttemptEnd.TIMED_OUT))
    wrapped = SpawnFailedError("It failed.")
    wrapped.__cause__ = ValueError("8")
    for error in (ValueError("7"), wrapped, JobError("It cannot be run.")):
        deciding.policy.failed_by(job(), error)
    assert seen == [
        ("a", TimeoutError, "Too late."),
        ("a", ValueError, "7"),
        ("a", ValueError, "8"),
        ("a", JobError, "It cannot be run."),
    ]
    assert [str(error) for error in deciding.heard] == [said for _, _, said in seen]


@each_row(
    ("of_handler", "asks"),
    [(None, False), (handler(), False), (handler(retry=linear(1)), False), (handler(retry=lambda *_: SECOND), True)],
)
def test_a_policy_knows_whether_a_function_chooses_the_pause(of_handler: Any, asks: bool) -> None:
    assert Deciding(of_handler).policy.asks_handler(job()) == asks


DUE = NOW + timedelta(days=1)


def test_a_recurring_job_is_due_again_however_its_attempt_ended(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    asked: list[Any] = []

    def next_due(job: str, **how: Any) -> datetime:
        asked.append((job, how))
        if how["cron_schedule"] == "broken":
            raise ValueError("No such schedule.")
        return DUE

    monkeypatch.setattr(module, "next_due", next_due)
    policy = Deciding().policy
    recurring = job(recurring=True, cron_schedule="@daily", timezone="UTC", next_run_at=NOW, max_attempts=1)
    assert policy.completed(recurring, "7") == EndedAttempt(recurring, AttemptEnd.COMPLETED, "7", at=DUE)
    assert policy.failed_by(recurring, ValueError("7")).at == DUE
    assert policy.stopped(recurring).at == DUE
    assert asked[0] == (
        "a",
        {
            "recurring": True,
            "cron_schedule": "@daily",
            "timezone": "UTC",
            "last": NOW,
            "now": NOW,
            "catches_up": False,
        },
    )
    assert (policy.completed(job(), "7").at, len(asked)) == (None, 3)
    assert policy.completed(recurring._replace(cron_schedule="broken"), None).at is None
    assert caplog.messages == ["The job does not recur: its schedule cannot be read."]


@each_row(
    ("fields", "end", "at"),
    [
        ({"max_attempts": 2}, AttemptEnd.STOPPED, NOW),
        ({"max_attempts": 2, "scheduled_at": DUE}, AttemptEnd.STOPPED, DUE),
        ({"max_attempts": 1, "scheduled_at": DUE}, AttemptEnd.FAILED, None),
    ],
)
def test_a_worker_that_stops_at_once_gives_a_job_back_unless_it_must_not_run_twice(
    fields: dict[str, Any], end: AttemptEnd, at: datetime | None
) -> None:
    deciding = Deciding()
    stopped = deciding.policy.stopped(job(**fields))
    assert (stopped.end, stopped.at) == (end, at)
    # So it does where a handler met only that its worker no longer waits for the database.
    assert deciding.policy.failed_by(job(**fields), UnreachableError("Away.")).end != AttemptEnd.STOPPED
    deciding.stopped_at_once.set()
    assert deciding.policy.failed_by(job(**fields), UnreachableError("Away.")).end == end
    assert deciding.policy.failed_by(job(**fields), ValueError("7")).end != AttemptEnd.STOPPED
