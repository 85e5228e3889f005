"""What goes wrong while a parent spawns and is the database's fault costs time, and no attempt."""

import contextlib
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from hammerwork_cli import Handlers, Job, RetryStrategy, SpawnConfig, SpawnContext, SpawnHandler
from hammerwork_cli.database import connect
from hammerwork_cli.errors import AccessDeniedError, ConfigError, DatabaseError, MissingTablesError
from hammerwork_cli.features.job.queries import spawn_requests
from hammerwork_cli.features.worker.queries import requests, spawn
from tests.conftest import Makers
from tests.databases import database_of, migrate, with_database
from tests.runtime.conftest import Crew, Stage, until

SQLITE = pytest.mark.parametrize("dialect", [pytest.param("sqlite", marks=pytest.mark.sqlite)])
ERRORS = [
    AccessDeniedError("Not you."),
    MissingTablesError("A table or column is missing."),
    DatabaseError("The database reported an error: error 28."),
    ConfigError("The server is too old now."),
]
RETRY = RetryStrategy.fixed(timedelta(milliseconds=10))
PRICE = "costs 5 € or Ж"
WRITTEN_OUT = "costs 5 \\u20ac or \\u0416"


@SQLITE
@pytest.mark.parametrize(
    ("what", "error"),
    [
        *(("complete", error) for error in ERRORS),
        *((what, error) for what in ("spawn_now", "hook_failed", "fulfil", "refuse") for error in ERRORS[::2]),
    ],
    ids=lambda given: given if isinstance(given, str) else type(given).__name__,
)
def test_a_spawn_whose_database_fails_for_a_while_is_tried_again(
    stage: Stage, app: Handlers, monkeypatch: pytest.MonkeyPatch, what: str, error: Exception
) -> None:
    class Parents(SpawnHandler):
        def spawn_jobs(self, context: SpawnContext) -> list[Job]:
            context.spawn(Job("noop"), key="early")
            return [Job("noop")]

        def on_spawn_complete(self, result: Any) -> None:
            if what == "hook_failed":
                raise ValueError("a hook")

    module = requests if what in ("fulfil", "refuse") else spawn
    original, errors = getattr(module, what), [error, error, error]

    def failing(*arguments: Any, **options: Any) -> Any:
        if errors:
            raise errors.pop()
        return original(*arguments, **options)

    app.register_handler("parent", Parents())
    (parent,) = stage.enqueue(Job("parent").with_max_attempts(1))
    asked = what in ("fulfil", "refuse")
    if asked:
        stage.work(app)
        monkeypatch.setattr(Parents, "spawn_jobs", refusing if what == "refuse" else Parents.spawn_jobs)
        spawn_requests.request(stage.database, parent.id, handler=None, config=None, by="x", now=stage.database.now())
    monkeypatch.setattr(module, what, failing)
    report = stage.work(app)
    assert not errors
    assert report.failed == 0
    assert stage.one(parent, "status, attempts, error_message") == ("Completed", 1, None)
    assert len(stage.children(parent)) == (4 if what == "fulfil" else 2)
    assert [outcome for _, outcome, _ in stage.operations()] == ["spawned"] * (2 if what == "fulfil" else 1)
    if asked:
        (request,) = spawn_requests.requests(stage.database, parent.id)
        assert request.state == ("done" if what == "fulfil" else "failed")


def refusing(self: SpawnHandler, context: SpawnContext) -> list[Job]:
    raise ValueError("not again")


@SQLITE
def test_a_parent_that_alone_meets_an_error_for_longer_than_a_lease_fails_with_it(
    stage: Stage, crew: Crew, monkeypatch: pytest.MonkeyPatch
) -> None:
    crew.handlers.register_handler("parent", lambda _: [Job("counted")])
    (odd,) = stage.enqueue(Job("parent").with_max_attempts(1))
    original, last = spawn.complete, odd

    def failing(database: Any, run: Any, *arguments: Any, **options: Any) -> Any:
        if run.job.id == odd.id:
            raise DatabaseError("The database reported an error: error 28.")
        return original(database, run, *arguments, **options)

    monkeypatch.setattr(spawn, "complete", failing)
    crew.begin(lease=0.5, concurrency=2)

    def is_over() -> bool:
        nonlocal last
        if last is odd or stage.one(last) == "Completed":
            (last,) = stage.enqueue(Job("parent"))
        return bool(stage.one(odd) == "Dead")

    until(is_over)
    assert stage.one(odd, "error_message") == "The database reported an error: error 28."
    assert stage.children(odd) == []


@SQLITE
def test_a_worker_that_ends_at_once_takes_no_attempt_from_a_parent_that_waits_for_the_database(
    stage: Stage, crew: Crew, monkeypatch: pytest.MonkeyPatch
) -> None:
    crew.handlers.register_handler("parent", lambda _: [Job("counted")])
    (parent,) = stage.enqueue(Job("parent").with_max_attempts(2))
    tries: list[str] = []

    def failing(database: Any, run: Any, *arguments: Any, **options: Any) -> Any:
        tries.append(run.job.id)
        raise AccessDeniedError("Not you.")

    monkeypatch.setattr(spawn, "complete", failing)
    worker = crew.begin()
    until(lambda: len(tries) > 1)
    worker.stop(now=True)
    until(lambda: not crew.alive)
    assert stage.one(parent, "status, attempts, error_message") == ("Pending", 0, None)
    assert worker.failed == 0


@pytest.fixture(scope="module")
def narrow_url(makers: Makers) -> Iterator[str]:
    """A database of PostgreSQL that does not hold every character."""
    beside = makers["postgres"].empty()
    url = with_database(beside, f"{database_of(beside)}_latin1")
    with contextlib.closing(connect(beside)) as administrator:
        administrator.script(
            f"CREATE DATABASE {database_of(url)} ENCODING 'LATIN1' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'"
        )
        migrate(url)
        yield url
        administrator.script(f"DROP DATABASE {database_of(url)} WITH (FORCE)")
    makers["postgres"].drop(beside)


@pytest.fixture
def narrow(narrow_url: str) -> Iterator[Stage]:
    made = Stage(narrow_url)
    yield made
    made.close()


@pytest.mark.postgres
def test_an_error_that_the_database_cannot_hold_as_it_is_fails_one_attempt_and_is_written_out(
    narrow: Stage, app: Handlers
) -> None:
    def fail(job: Job) -> None:
        if job.payload == "Zoé":
            raise ValueError(job.payload)
        raise ValueError(PRICE)

    app.register_job("fails", fail)
    known = Job("fails", "Zoé").with_max_attempts(1)
    three, one = Job("fails").with_max_attempts(3), Job("fails").with_max_attempts(1)
    waits, neighbour = Job("noop").depends_on(one), Job("noop")
    retried = [job.with_retry_strategy(RETRY) for job in (three, one, known)]
    narrow.enqueue(*retried, waits, neighbour)
    report = narrow.work(app)
    assert (report.completed, report.failed) == (1, 5)
    assert [narrow.one(job, "status, attempts") for job in (three, one)] == [("Dead", 3), ("Dead", 1)]
    assert narrow.status(waits, neighbour) == ["Failed", "Completed"]
    for job in (three, one):
        text = narrow.one(job, "error_message")
        assert text.startswith(f"ValueError: {WRITTEN_OUT}\n")
        assert "test_faults.py" in text
    assert narrow.one(known, "error_message").startswith("ValueError: Zoé\n")


@pytest.mark.postgres
def test_errors_of_spawning_that_the_database_cannot_hold_as_they_are_are_written_out(
    narrow: Stage, app: Handlers
) -> None:
    class Parents(SpawnHandler):
        def spawn_jobs(self, context: SpawnContext) -> list[Job]:
            if context.parent_job.queue == "lenient" or asks:
                raise ValueError(PRICE)
            return [Job("noop")]

        def on_spawn_complete(self, result: Any) -> None:
            raise ValueError(PRICE)

    asks = False
    app.register_handler("lenient", Parents())
    app.register_handler("hooked", Parents())
    lenient = Job("lenient").with_spawn_config(SpawnConfig(on_error="complete"))
    hooked = Job("hooked")
    narrow.enqueue(lenient, hooked)
    assert narrow.work(app).failed == 0
    assert narrow.status(lenient, hooked) == ["Completed", "Completed"]
    recorded = {
        str(parent): (error, hook) for parent, error, hook in narrow.operations("parent_id, error_message, hook_error")
    }
    assert f"ValueError: {WRITTEN_OUT}\n" in recorded[lenient.id][0]
    assert f"ValueError: {WRITTEN_OUT}\n" in recorded[hooked.id][1]
    asks = True
    spawn_requests.request(narrow.database, hooked.id, handler=None, config=None, by="x", now=narrow.database.now())
    narrow.work(app)
    (request,) = spawn_requests.requests(narrow.database, hooked.id)
    assert request.state == "failed"
    assert request.error is not None
    assert f"ValueError: {WRITTEN_OUT}\n" in request.error


@pytest.mark.postgres
def test_a_result_that_the_database_cannot_hold_still_fails_its_job_for_good(app: Handlers, narrow: Stage) -> None:
    app.register_job("prices", lambda job: PRICE)  # noqa: ARG005  it needs nothing of it
    (job,) = narrow.enqueue(Job("prices").with_max_attempts(3))
    assert narrow.work(app).failed == 1
    assert narrow.one(job, "status, attempts") == ("Dead", 1)
    assert narrow.one(job, "error_message").startswith("The database cannot hold the result of the job. ")
