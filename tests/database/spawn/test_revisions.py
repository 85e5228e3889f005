"""Changes that become visible long after the times that they carry are found, each once."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from hammerwork_cli import Job, Queue
from hammerwork_cli.database import DatabaseUrl, connect
from hammerwork_cli.features.spawn.queries import revisions
from hammerwork_cli.features.spawn.queries.revisions import ChangeWatch, RevisionChanges
from tests.callers import Caller, Psycopg, PyMySQL, Sqlite3, calling
from tests.conftest import on_sqlite
from tests.rows import Rows

CALLERS: dict[str, type[Caller]] = {"sqlite": Sqlite3, "postgres": Psycopg, "mysql": PyMySQL}
REFRESHES = 25
"""Enough for the watch to look back twice."""


class Watched:
    """A database whose clock a test moves, and a watch of it."""

    def __init__(self, url: str) -> None:
        self.ahead = timedelta()
        self.database = connect(replace(DatabaseUrl.parse(url), ahead=lambda: self.ahead))
        self.rows = Rows(self.database)
        self._watch = ChangeWatch()

    @property
    def now(self) -> datetime:
        return self.database.now()

    def refresh(self) -> RevisionChanges:
        """A refresh, a second after the one before."""
        self.ahead += timedelta(seconds=1)
        return self._watch.refresh(self.database)

    def found(self, seconds: int = REFRESHES) -> list[tuple[str, str]]:
        """The jobs that are found in some seconds, with their statuses."""
        refreshes = [self.refresh() for _ in range(seconds)]
        assert not any(changes.too_many for changes in refreshes)
        return [(node.id, node.status) for changes in refreshes for node in changes.jobs]

    def resets(self, seconds: int = REFRESHES) -> int:
        """How often in some seconds all have to read again."""
        return sum(self.refresh().too_many for _ in range(seconds))

    def job(self, seconds_ago: float = 0, **columns: Any) -> str:
        """A pending job; its time is by a clock that is behind."""
        at = self.now - timedelta(seconds=seconds_ago)
        return self.rows.job(**{"status": "Pending", "created_at": at, "scheduled_at": at, **columns})

    def change(self, job: str, **columns: Any) -> None:
        place = self.database.placeholder
        names = ", ".join(f"{name} = {place}" for name in columns)
        values = [self.rows.adapted(value) for value in columns.values()]
        self.rows.run(f"UPDATE hammerwork_jobs SET {names} WHERE id = {place}", [*values, job])


@pytest.fixture
def watched(migrated_url: str) -> Iterator[Watched]:
    watched = Watched(migrated_url)
    with closing(watched.database):
        watched.refresh()
        yield watched


@pytest.fixture
def caller(dialect: str, migrated_url: str) -> Iterator[Caller]:
    """An application with a connection of its own."""
    with calling(CALLERS[dialect], migrated_url) as made:
        yield made


def test_a_job_of_a_transaction_that_stayed_open_is_found_once(
    watched: Watched, caller: Caller, migrated_url: str
) -> None:
    with Queue(migrated_url) as queue:
        job = caller.enqueue(queue, Job("work"))
    assert watched.found() == []
    caller.commit()
    assert watched.found() == [(job.id, "Pending")]


def test_an_outcome_of_a_transaction_that_stayed_open_is_found_once(watched: Watched, caller: Caller) -> None:
    job = watched.job()
    assert watched.found() == [(job, "Pending")]
    is_mysql = watched.database.dialect == "mysql"
    now = f"{watched.now:%Y-%m-%d %H:%M:%S.%f}" if is_mysql else watched.now.isoformat()
    caller.execute(f"UPDATE hammerwork_jobs SET status = 'Completed', completed_at = '{now}' WHERE id = '{job}'")
    assert watched.found() == []
    caller.commit()
    assert watched.found() == [(job, "Completed")]


def test_a_change_by_a_clock_that_is_behind_or_ahead_is_found_once(watched: Watched) -> None:
    for seconds in (60, -60):
        job = watched.job(seconds_ago=seconds)
        assert watched.found() == [(job, "Pending")]
        watched.change(job, status="Running", started_at=watched.now - timedelta(seconds=seconds))
        assert watched.found() == [(job, "Running")]
        watched.change(job, status="Dead", failed_at=watched.now - timedelta(seconds=seconds))
        assert watched.found() == [(job, "Dead")]


def test_more_late_jobs_than_a_refresh_reads_are_a_reset(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revisions, "MOST_CHANGES", 10)
    watched.found(60)
    for _ in range(5):
        job = watched.job()
        assert watched.found(4) == [(job, "Pending")]
    with watched.rows.at_once():
        for _ in range(30):
            watched.job(seconds_ago=40)
    assert watched.resets() == 1


def test_each_change_of_a_busy_queue_is_found_once_however_far_back_the_watch_looks(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(revisions, "MOST_CHANGES", 10)
    waiting = []
    for _ in range(30):
        waiting.append(watched.job())
        assert watched.found(3) == [(waiting[-1], "Pending")]
    # The newest first: older ones take their places among those that the watch reads.
    for job in reversed(waiting):
        watched.change(job, status="Completed", completed_at=watched.now)
        assert watched.found(3) == [(job, "Completed")]
    watched.found(60)
    late = watched.job(seconds_ago=20)
    assert watched.found() == [(late, "Pending")]


def test_changes_before_the_first_refresh_are_not_found(migrated_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revisions, "MOST_CHANGES", 10)
    watched = Watched(migrated_url)
    with closing(watched.database):
        waiting = [watched.job(seconds_ago=10 + number) for number in range(40)]
        assert watched.found() == []
        for job in waiting[:20]:
            watched.change(job, status="Completed", completed_at=watched.now)
            assert watched.found(3) == [(job, "Completed")]


def test_a_job_is_found_when_its_due_time_changes_but_not_again_when_it_comes(watched: Watched) -> None:
    due = watched.job(scheduled_at=watched.now + timedelta(seconds=20))
    assert watched.found(60) == [(due, "Pending")]
    watched.change(due, scheduled_at=watched.now)
    assert watched.found() == [(due, "Pending")]


@on_sqlite
def test_the_watch_remembers_the_jobs_that_it_saw_last_and_finds_others_when_they_are_due(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(revisions, "MOST_KNOWN", 10)
    due = watched.now + timedelta(hours=1)

    def found_now() -> list[tuple[str, str]]:
        """What is found until a look back reaches it no more."""
        found = watched.found(5)
        watched.ahead += revisions.LOOK_BACK
        return found

    remembered = watched.job(scheduled_at=due)
    assert found_now() == [(remembered, "Pending")]
    forgotten = watched.job(scheduled_at=due)
    assert found_now() == [(forgotten, "Pending")]
    watched.change(remembered, created_at=watched.now)  # seen again, in the same state
    assert found_now() == []
    others = [watched.job() for _ in range(9)]
    assert sorted(found_now()) == sorted((job, "Pending") for job in others)
    watched.ahead += due - watched.now - timedelta(seconds=10)
    assert watched.found() == [(forgotten, "Pending")]


def test_a_clock_that_was_ahead_for_a_moment_does_not_keep_the_watch_from_looking_back(watched: Watched) -> None:
    for forward in (timedelta(hours=1), timedelta(hours=-1)):
        watched.ahead += forward
        watched.found()
    job = watched.job(seconds_ago=10)
    assert watched.found() == [(job, "Pending")]


def test_a_look_back_is_a_statement_more_now_and_then(watched: Watched) -> None:
    costs = []
    for _ in range(REFRESHES):
        before = watched.database.executed
        watched.refresh()
        costs.append(watched.database.executed - before)
    usual = min(costs)
    assert sorted({cost - usual for cost in costs}) == [0, 1]
    assert sum(costs) <= REFRESHES * (usual + 0.2)
