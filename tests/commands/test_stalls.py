"""Commands that wait for a lock of another session say so, and go on when it is gone."""

import contextlib
from collections.abc import Callable
from typing import Any

import pytest

from hammerwork_cli.cli.context import Context
from hammerwork_cli.database import Database, connect, stalls
from tests.conftest import all_databases, one_case_on_servers
from tests.rows import Rows

HOLD = {
    "postgresql": ["BEGIN", "LOCK TABLE hammerwork_jobs, hammerwork_queue_pause IN EXCLUSIVE MODE"],
    "mysql": ["LOCK TABLES hammerwork_jobs WRITE, hammerwork_queue_pause WRITE"],
    "sqlite": ["BEGIN IMMEDIATE"],
}
LET_GO = {"postgresql": "ROLLBACK", "mysql": "UNLOCK TABLES", "sqlite": "ROLLBACK"}


@one_case_on_servers
@pytest.mark.parametrize(
    "words",
    [
        ("job", "cancel", "JOB", "--tree", "--yes"),
        ("job", "delete", "JOB", "--yes"),
        ("job", "retry", "--all", "--queue", "other", "--yes"),
        ("queue", "pause", "work"),
    ],
    ids=" ".join,
)
@all_databases
def test_a_change_that_waits_for_a_lock_says_so_and_is_made(
    database: Database, words: tuple[str, ...], run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = Rows(database)
    job = rows.job(status="Pending", queue="work")
    rows.job(status="Dead", queue="other")
    notes: list[str] = []
    with contextlib.closing(connect(database.url)) as holder:
        for statement in HOLD[database.dialect]:
            holder.script(statement)

        def note(_context: Context, text: str) -> None:
            notes.append(text)
            if "running one statement" in text:
                holder.script(LET_GO[database.dialect])

        monkeypatch.setattr(Context, "note", note)
        monkeypatch.setattr(stalls, "PATIENCE_SECONDS", 0.2)
        done = run(*(job if word == "JOB" else word for word in words), url=database.url.raw)
    assert done.exit_code == 0, done
    # On a busy machine a later statement may take longer than the test's short patience, too.
    told = [text for text in notes if "running one statement" in text]
    assert "Usually it waits for a lock of another session" in told[0]


@all_databases
def test_with_json_nothing_is_said(
    database: Database, run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stalls, "PATIENCE_SECONDS", 0.0)
    done = run("queue", "pause", "work", "--format", "json", url=database.url.raw)
    assert (done.exit_code, done.stderr) == (0, "")
