"""What is written, and what is chosen by its age to be changed, goes by the database's clock, wherever commands run."""

import contextlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from hammerwork_cli.cli.context import Context
from hammerwork_cli.core.values import JobStatus, timestamp
from hammerwork_cli.database import connect
from hammerwork_cli.database.drivers.sqlite import SqliteDatabase
from hammerwork_cli.features.queue import queries as queues
from hammerwork_cli.web.application import ENDPOINTS, Server
from hammerwork_cli.web.connections import WebConnections
from hammerwork_cli.web.endpoints.endpoint import Endpoint
from hammerwork_cli.web.endpoints.settings import ServerSettings
from tests.conftest import Outcome
from tests.jobs import identity, job, rows, statuses, write

pytestmark = pytest.mark.sqlite
Run = Callable[..., Outcome]
SERVER = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
"""Ages behind the clock of whoever runs the tests."""
C, D, P, R = JobStatus.COMPLETED, JobStatus.DEAD, JobStatus.PENDING, JobStatus.RUNNING


@pytest.fixture
def url(new_database: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> str:
    """A database with a clock of its own."""
    monkeypatch.delenv("HAMMERWORK_NOW", raising=False)
    monkeypatch.setattr(SqliteDatabase, "now", lambda self: SERVER)  # noqa: ARG005  the real one asks it
    return new_database("sqlite", migrated=True)


def moments(url: str, column: str, where: str = "1 = 1") -> list[datetime | None]:
    return [timestamp(value) for (value,) in rows(url, column, where)]


def ended(number: int, ago: timedelta, status: JobStatus = C) -> Any:
    """A job that ended so long ago, by the database's clock."""
    at = SERVER - ago
    end = {"completed_at": at, "failed_at": None} if status is C else {"failed_at": at}
    times = {"created_at": at - timedelta(hours=1), "scheduled_at": at - timedelta(hours=1), "started_at": at}
    return job(number, status, **{**times, **end})


def test_a_job_is_created_and_due_by_the_database_s_clock(url: str, run: Run) -> None:
    for words in ((), ("--delay", "2h"), ("--at", "2031-01-01T00:00:00Z")):
        done = run("job", "enqueue", "-q", "mail", "-j", "1", *words, url=url)
        assert done.exit_code == 0, done.stderr
    assert moments(url, "created_at") == [SERVER] * 3
    later = datetime(2031, 1, 1, tzinfo=UTC)
    assert sorted(moments(url, "scheduled_at")) == [SERVER, SERVER + timedelta(hours=2), later]  # type: ignore[type-var]


def test_changes_are_written_with_the_database_s_time(url: str, run: Run) -> None:
    write(url, job(1, D), job(2), job(3, C))
    assert run("job", "retry", identity(1), url=url).exit_code == 0
    assert run("job", "cancel", identity(2), url=url).exit_code == 0
    assert run("spawn", "again", identity(3), url=url).exit_code == 0
    assert run("queue", "pause", "mail", url=url).exit_code == 0
    assert moments(url, "scheduled_at", f"id = '{identity(1)}'") == [SERVER]
    assert moments(url, "failed_at", f"id = '{identity(2)}'") == [SERVER]
    with contextlib.closing(connect(url)) as database:
        ((requested,),) = database.query("SELECT requested_at FROM hammerwork_spawn_requests")
        assert timestamp(requested) == SERVER
        assert [timestamp(pause.paused_at) for pause in queues.all_paused(database)] == [SERVER]


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (("job", "purge", "--all", "--older-than", "2h", "--yes"), C),
        (("job", "delete", "--older-than", "2h", "--yes"), C),
        (("job", "retry", "--failed", "--since", "4h", "--yes"), D),
    ],
    ids=["purge", "delete", "retry"],
)
def test_changes_by_age_follow_the_clock_of_the_database(
    url: str, run: Run, words: tuple[str, ...], status: JobStatus
) -> None:
    write(url, ended(1, timedelta(hours=1), status), ended(2, timedelta(hours=9), status))
    assert run(*words, url=url).exit_code == 0
    assert statuses(url) == ({1: "Completed"} if status is C else {1: "Pending", 2: "Dead"})


def test_the_doctor_takes_jobs_for_lost_that_are_as_old_as_the_database_says(url: str, run: Run) -> None:
    times = {"started_at": SERVER - timedelta(hours=1), "attempts": 1}
    write(url, job(1, R, **times), job(2, R, **{**times, "started_at": SERVER - timedelta(hours=9)}))
    assert run("spawn", "doctor", "--older-than", "2h", "--fix", "--yes", url=url).exit_code == 0
    assert statuses(url) == {1: "Running", 2: "Pending"}


def endpoint(path: str) -> Endpoint:
    return next(one for one in ENDPOINTS if one.path == path and one.changes)


def test_the_web_server_writes_by_the_database_s_clock(url: str) -> None:
    write(url, job(1, D), job(2), job(3, C))
    with contextlib.closing(connect(url)) as database:
        server = Server(
            WebConnections(database.url, 1),
            ServerSettings(),
            health=WebConnections(database.url, 1),
            now=Context({}).now,
            operator="me@here",
            report=print,
        )
        ask = partial(server._answer, database=database)
        ask(endpoint("/api/jobs"), values={}, body={"queue": "new", "payload": 1})
        ask(endpoint("/api/jobs/{id}/retry"), values={"id": identity(1)}, body={})
        ask(endpoint("/api/jobs/{id}/cancel"), values={"id": identity(2)}, body={})
        ask(endpoint("/api/jobs/{id}/spawn"), values={"id": identity(3)}, body={})
        ask(endpoint("/api/queues/{name}/pause"), values={"name": "mail"}, body={})
        ((requested,),) = database.query("SELECT requested_at FROM hammerwork_spawn_requests")
        assert timestamp(requested) == SERVER
        assert [timestamp(pause.paused_at) for pause in queues.all_paused(database)] == [SERVER]
    assert moments(url, "created_at", "queue_name = 'new'") == [SERVER]
    assert moments(url, "scheduled_at", f"queue_name = 'new' OR id = '{identity(1)}'") == [SERVER] * 2
    assert moments(url, "failed_at", f"id = '{identity(2)}'") == [SERVER]
