"""Attempts at jobs in tests of an application, without a database."""

import asyncio
import builtins
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from hammerwork_cli import (
    Cancel,
    ConflictError,
    Discard,
    Handlers,
    Job,
    Retry,
    Snooze,
    SpawnConfig,
    SpawnContext,
    UsageError,
    testing,
)
from hammerwork_cli.testing import run

MINUTE = timedelta(minutes=1)


@pytest.fixture
def app() -> Handlers:
    app = Handlers()

    @app.job("shop", retry=lambda _, __: MINUTE, give_up_on=KeyError)
    def shop(job: Job, context: SpawnContext) -> Any:
        wants = job.payload["wants"]
        if isinstance(wants, str):
            raise getattr(builtins, wants)("no stock")
        context.spawn(Job("pack", priority="high").with_unique("pack 7"), key="pack")
        context.queue.enqueue(Job("mail", {"to": "ada"}))  # type: ignore[union-attr]
        return {"sum": sum(context.results().values()), "attempt": job.attempts}

    @app.spawn("shop")
    def parcels(context: SpawnContext) -> Iterator[Job]:
        for number in range(context.result["sum"]):
            yield Job("parcel", {"number": number}).with_unique(f"parcel {number}")

    app.register_job("ends", lambda job: _raise(job.payload))
    return app


def _raise(name: str) -> None:
    raise {
        "snooze": Snooze(MINUTE),
        "retry": Retry(MINUTE, "busy"),
        "discard": Discard("gone"),
        "cancel": Cancel("withdrawn"),
    }[name]


def test_an_attempt_tells_its_result_and_all_that_it_would_spawn_and_enqueue(app: Handlers) -> None:
    parts = [Job("part"), Job("part")]
    job = Job("shop", {"wants": 2}).depends_on_jobs(parts)
    outcome = run(app, job, results={parts[0]: 1, parts[1].id: 2}, attempt=2)
    assert (outcome.status, outcome.result, outcome.error, outcome.delay) == (
        "Completed",
        {"sum": 3, "attempt": 2},
        None,
        None,
    )
    assert [child.payload for child in outcome.children] == [{"number": number} for number in range(3)]
    assert {key: (child.queue, child.priority) for key, child in outcome.early.items()} == {"pack": ("pack", 3)}
    made = [child.unique for child in (*outcome.children, *outcome.early.values())]
    assert [one and one.key for one in made] == ["parcel 0", "parcel 1", "parcel 2", "pack 7"]
    assert [(one.queue, one.payload) for one in outcome.enqueued] == [("mail", {"to": "ada"})]
    assert run(app, job, spawn=False).children == ()


@pytest.mark.parametrize(
    ("wants", "attempt", "status", "delay"),
    [("OSError", 1, "Retrying", MINUTE), ("OSError", 3, "Dead", None), ("KeyError", 1, "Dead", None)],
)
def test_an_error_of_a_handler_is_the_outcome(
    app: Handlers, wants: str, attempt: int, status: str, delay: timedelta | None
) -> None:
    outcome = run(app, Job("shop", {"wants": wants}), attempt=attempt)
    assert (outcome.status, outcome.delay, outcome.result) == (status, delay, None)
    assert (outcome.error or "").startswith(f"{wants}: ")
    assert "no stock" in (outcome.error or "")


@pytest.mark.parametrize(
    ("payload", "status", "delay", "error"),
    [
        ("snooze", "Pending", MINUTE, None),
        ("retry", "Retrying", MINUTE, "busy"),
        ("discard", "Dead", None, "gone"),
        ("cancel", "Cancelled", None, "cancelled by its handler through hammerwork: withdrawn"),
    ],
)
def test_an_end_that_a_handler_wants_is_the_outcome(
    app: Handlers, payload: str, status: str, delay: timedelta | None, error: str | None
) -> None:
    outcome = run(app, Job("ends", payload))
    assert (outcome.status, outcome.delay, outcome.error) == (status, delay, error)


def test_limits_of_a_tree_hold(app: Handlers) -> None:
    app.register_handler("many", lambda _: (Job("child") for _ in range(5)))
    for config, status, children in (
        (SpawnConfig(handler="many"), "Completed", 5),
        (SpawnConfig(handler="many", max_spawn_count=4), "Dead", 0),
        (SpawnConfig(handler="many", max_descendants=4), "Dead", 0),
        (SpawnConfig(handler="many", max_descendants=4, on_error="complete"), "Completed", 0),
        (SpawnConfig(handler="unknown"), "Dead", 0),
    ):
        outcome = run(app, Job("many").with_spawn_config(config))
        assert (outcome.status, len(outcome.children)) == (status, children), config
        assert (outcome.error is None) == (children == 5)


def test_coroutines_and_recurring_jobs_have_outcomes_too(app: Handlers) -> None:
    async def later(job: Job) -> str:
        await asyncio.sleep(0)
        return str(job.payload)

    app.register_job("later", later)
    assert run(app, Job("later", "x")).result == "x"
    assert run(app, Job("later", "x").with_cron("0 30 2 * * *")).status == "Pending"


def test_an_attempt_that_no_test_can_mean_is_refused(app: Handlers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(testing.attempt, "MOST", 3)
    app.register_handler("endless", lambda _: (Job("child") for _ in iter(int, 1)))
    app.register_job("reads", lambda job, context: context.queue.get(job.id))
    for wrong in (
        lambda: run(app, Job("nobody")),
        lambda: run(app, Job("shop"), attempt=0),
        lambda: run(app, Job("shop"), cancel_after=-1),
        lambda: run(app.job, Job("shop")),  # type: ignore[arg-type]
        lambda: run(app, Job("endless").with_spawn_config(SpawnConfig(max_spawn_count=None))),
    ):
        with pytest.raises(UsageError):
            wrong()
    assert "testing.run has no database" in (run(app, Job("reads"), attempt=3).error or "")


def test_the_job_after_all_others_is_a_join_and_no_early_child() -> None:
    app = Handlers()

    @app.job("album")
    def album(job: Job, context: SpawnContext) -> None:
        context.after_all(Job("report"), scope="tree", on_failure="run")
        context.spawn(Job("track"), key="1")
        if job.payload == "late":
            context.after_all(Job("report"), key="too late")

    outcome = run(app, Job("album"))
    assert ([*outcome.early], {key: join.queue for key, join in outcome.joins.items()}) == (
        ["1"],
        {"after_all": "report"},
    )
    late = run(app, Job("album", "late"))
    assert (late.status, [*late.joins]) == ("Dead", ["after_all"])
    assert "context.after_all comes too late" in (late.error or "")


@pytest.mark.parametrize(
    ("cancel_after", "status", "seen"),
    [(0, "Cancelled", 0), (2, "Cancelled", 2), (3, "Completed", 3), (None, "Completed", 3)],
)
def test_a_handler_sees_after_so_many_looks_that_its_job_is_cancelled(
    cancel_after: int | None, status: str, seen: int
) -> None:
    app, parts = Handlers(), []

    @app.job("long")
    def long(job: Job, context: SpawnContext) -> int:
        for part in range(3):
            if context.cancelled:
                with pytest.raises(ConflictError, match="cancelled"):
                    context.spawn(Job("part"), key="after")
                break
            parts.append(part)
            context.spawn(Job("part"), key=str(part))
        return len(parts)

    app.register_handler("long", lambda _: [Job("child")])
    outcome = run(app, Job("long"), cancel_after=cancel_after)
    is_cancelled = status == "Cancelled"
    assert (outcome.status, outcome.error, len(parts)) == (status, None, seen)
    assert (outcome.result, len(outcome.children)) == ((None, 0) if is_cancelled else (3, 1))
    assert [*outcome.early] == [str(part) for part in parts]


def test_a_spawn_handler_sees_that_its_job_is_cancelled() -> None:
    app = Handlers()
    app.register_handler("many", lambda context: (Job("child") for _ in iter(lambda: context.cancelled, True)))
    assert run(app, Job("many"), cancel_after=50).status == "Cancelled"


def test_an_attempt_without_a_database_takes_less_than_five_milliseconds() -> None:
    app = Handlers()
    app.register_job("quick", lambda job: job.payload)
    app.register_handler("quick", lambda _: [Job("child", number) for number in range(10)])
    run(app, Job("quick"))
    began = time.process_time()
    for number in range(100):
        assert len(run(app, Job("quick", number)).children) == 10
    assert time.process_time() - began < 0.5


def test_an_attempt_tells_how_far_it_came_and_its_handler_how_many_more_children_it_may_have() -> None:
    app = Handlers()

    @app.job("shop")
    def shop(job: Job, context: SpawnContext) -> list[int | None]:
        rooms = [context.room]
        context.spawn(Job("pack"), key="pack")
        for step in range(3):
            context.progress(step / 4, f"step {step}")
        if job.payload.get("fails"):
            raise ValueError("no stock")
        return [*rooms, context.room]

    job = Job("shop", {}).with_spawn_config(SpawnConfig(max_spawn_count=3))
    outcome = run(app, job)
    assert (outcome.result, outcome.progress) == ([3, 2], (0.5, "step 2"))
    assert run(app, Job("shop", {"fails": True})).progress == (0.5, "step 2")
    with pytest.raises(UsageError, match="not 50"):
        SpawnContext(job).progress(50)
