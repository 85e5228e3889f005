"""A worker writes the ends of many runs at once: what the database refuses costs only the job that it belongs to."""

from collections.abc import Callable, Sequence
from datetime import datetime

import pytest

from hammerwork_cli import Handlers, Job
from hammerwork_cli.database import Database
from hammerwork_cli.errors import AccessDeniedError, RefusedValueError
from hammerwork_cli.queries import claims
from hammerwork_cli.queries.claims import End, Ended, Settled
from hammerwork_cli.runtime import writing
from tests.runtime.conftest import Stage


@pytest.mark.sqlite
def test_of_a_batch_that_the_database_refuses_only_the_run_with_the_refused_result_fails(
    new_database: Callable[..., str], app: Handlers, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Stage(new_database("sqlite", migrated=True))
    app.register_job("echo", lambda job: job.payload["says"])
    jobs = stage.enqueue(*(Job("echo", {"says": says}) for says in ("a", "b", "refused", "c")))
    settle, batches = claims.settle, []

    # SQLite takes every result that is JSON.
    def refusing(database: Database, ended: Sequence[Ended], now: datetime) -> Settled:
        batches.append(len(ended))
        if any(run.end == End.COMPLETED and run.result == '"refused"' for run in ended):
            raise RefusedValueError("It is too odd.")
        return settle(database, ended, now)

    monkeypatch.setattr(claims, "settle", refusing)
    monkeypatch.setattr(writing, "WRITE_SECONDS", 30)
    report = stage.work(app, concurrency=1)
    assert max(batches) > 1
    assert stage.status(*jobs) == ["Completed", "Completed", "Dead", "Completed"]
    assert [stage.one(job, "result_data") for job in jobs] == ['"a"', '"b"', None, '"c"']
    assert stage.one(jobs[2], "error_message") == "The database cannot hold what the job returned. It is too odd."
    assert (report.completed, report.failed) == (3, 1)
    stage.close()


@pytest.mark.sqlite
def test_a_database_that_takes_nothing_amid_a_refused_batch_fails_no_job(
    new_database: Callable[..., str], app: Handlers, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Stage(new_database("sqlite", migrated=True))
    jobs = stage.enqueue(*(Job("noop") for _ in range(4)))
    settle, errors = claims.settle, [AccessDeniedError("Not now."), RefusedValueError("It is too odd.")]

    def losing(database: Database, ended: Sequence[Ended], now: datetime) -> Settled:
        if len(errors) == 1 or (len(errors) == 2 and len(ended) > 1):
            raise errors.pop()
        return settle(database, ended, now)

    monkeypatch.setattr(claims, "settle", losing)
    monkeypatch.setattr(writing, "WRITE_SECONDS", 30)
    assert stage.work(app, concurrency=1, poll_interval=0.05).completed == 4
    assert not errors
    assert stage.status(*jobs) == ["Completed"] * 4
    stage.close()
