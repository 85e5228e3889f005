"""Schedules in code: what an application may say of them."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, get_args, get_type_hints

import pytest

from hammerwork_cli import Handlers, Job, SpawnContext
from hammerwork_cli.errors import UsageError
from hammerwork_cli.features.cron.model import CatchUp, Overlap
from hammerwork_cli.features.cron.options import OWN_OPTIONS
from hammerwork_cli.runtime.api.schedules import ScheduleOptions
from tests.conftest import each_row


def nothing(job: Job) -> None:
    """A handler."""


def test_an_application_says_what_the_command_line_says() -> None:
    of_others = {"name", "schedule", "every"}  # and of the job
    hints = get_type_hints(ScheduleOptions)
    assert {option.name for option in OWN_OPTIONS} - of_others == {*hints}
    assert (get_args(hints["overlap"]), get_args(hints["catch_up"])) == ((*Overlap,), (*CatchUp,))
    app, other = Handlers(), Handlers()
    app.cron("30 2 * * Mon-Fri", timezone="Europe/Oslo", overlap="skip-tree", jitter=timedelta(minutes=2))(nothing)
    job = Job("report", {"kind": "weekly"}, priority="high", max_attempts=7, timeout=timedelta(minutes=5))
    app.schedule(
        "weekly",
        timedelta(hours=1),
        job.with_spawn_handler("pages"),
        catch_up="none",
        grace=timedelta(minutes=3),
        starts=datetime(2026, 1, 1, tzinfo=UTC),
        enabled=False,
    )
    other.include(app)
    first, second = other._schedules.values()
    assert (first.name, first.queue, first.payload, other.queues) == ("nothing", "nothing", "{}", ("nothing",))
    assert (first.expression, first.overlap, first.jitter_seconds) == (
        *(("30 2 * * Mon-Fri", "unix", "Europe/Oslo"), "skip-tree"),
        120,
    )
    assert (second.queue, second.expression.text, second.priority.word) == ("report", "@every 3600s", "high")
    assert (second.max_attempts, second.timeout_seconds, second.grace_seconds, second.enabled) == (7, 300, 180, False)
    assert '"handler": "pages"' in second.payload
    assert second.starts_at == datetime(2026, 1, 1, tzinfo=UTC)


def late(job: Job) -> Job:
    """Has a value that it could not have been made with."""
    job.timeout = 30  # type: ignore[assignment]
    return job


@each_row(
    ("declare", "says"),
    [
        (lambda app: app.cron(nothing), "A schedule is missing"),
        (lambda app: app.cron("30 2 * *")(nothing), "has 4 fields"),
        (lambda app: app.cron(timedelta(seconds=1.5))(nothing), "whole seconds"),
        (lambda app: app.cron("@daily", overlap="never")(nothing), "overlap"),
        (lambda app: app.cron("@daily", zone="UTC")(nothing), "'zone' is not an option"),
        (lambda app: app.schedule("late", "@daily", Job("late", delay=timedelta(1))), "cannot have delay"),
        (lambda app: app.cron("@daily")(lambda job: 1), "A function without a name needs one"),  # noqa: ARG005
        (lambda app: app.schedule("none", "@daily", Job()), "No queue"),
        (lambda app: app.schedule("long", "@daily", late(Job("long"))), "timeout must be a timedelta"),
        (lambda app: [app.schedule("twice", "@daily", Job("q")) for _ in range(2)], "already a schedule 'twice'"),
    ],
)
def test_a_mistake_is_reported_where_it_is_declared(declare: Callable[[Any], Any], says: str) -> None:
    app = Handlers()
    with pytest.raises(UsageError, match=says):
        declare(app)
    assert app.queues == ()


def test_a_test_gives_a_handler_a_due_time_by_the_payload() -> None:
    due = datetime(2026, 11, 27, 1, 30, tzinfo=UTC)
    payload: dict[str, Any] = {"_schedule": {"due_at": "2026-11-27T01:30:00Z"}}
    assert SpawnContext(Job("report", payload)).scheduled_for == due
    for other in (None, [], {"_schedule": 1}, {"_schedule": {"due_at": 1}}, {"_schedule": {"due_at": "never"}}):
        assert SpawnContext(Job("report", other)).scheduled_for is None
