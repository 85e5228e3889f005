"""Waiting for a tree ends when all of it has finished, not before, and costs little meanwhile."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hammerwork_cli.core.values import Counts
from hammerwork_cli.database import Database, connect, waiting
from hammerwork_cli.errors import ConnectionLostError, NotFoundError, UnreachableError
from hammerwork_cli.features.job.queries import spawn_requests
from hammerwork_cli.features.spawn.queries import wait
from hammerwork_cli.features.spawn.queries.wait import TreeWatch, Waiter
from hammerwork_cli.features.tree.wait import Blocker, BlockerReason, WaitOutcome, WaitResult
from tests.conftest import on_sqlite
from tests.database.conftest import readable_on_sqlite
from tests.rows import START, Rows

NOW = datetime(2026, 11, 24, 20, 0, tzinfo=UTC)
SOON = 20.0
"""Seconds that no test needs."""


class Told:
    """Remembers what waiting said; tests wait for it."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self.counts: Counts | None = None
        self.held: list[Blocker] = []
        self._said = threading.Condition()

    def reading(self, counts: Counts) -> None:
        self.counts = counts
        self._say("reading")

    def stuck(self, held: list[Blocker]) -> None:
        self.held += held
        self._say("stuck")

    def lost(self, error: Exception) -> None:
        self._say("lost")

    def back(self) -> None:
        self._say("back")

    def _say(self, word: str) -> None:
        with self._said:
            self.words.append(word)
            self._said.notify_all()

    def wait_for(self, word: str) -> None:
        with self._said:
            assert self._said.wait_for(lambda: word in self.words, SOON), f"{word} was not said: {self.words}"


class Waiting:
    """A wait that goes on in a thread."""

    def __init__(self, url: str, job: str, *, whole: bool = True, **options: Any) -> None:
        self.told = Told()
        self.result: WaitResult | None = None
        self.error: BaseException | None = None
        self.databases: list[Database] = []
        self._url = url
        options = {"interval": 0.01, "timeout": SOON, "fail_stuck": False} | options
        self._thread = threading.Thread(target=self._work, args=(job, whole, options))
        self._thread.start()

    def _connect(self) -> Database:
        self.databases.append(connect(self._url))
        return self.databases[-1]

    def _work(self, job: str, whole: bool, options: dict[str, Any]) -> None:
        try:
            waiter = Waiter(self._connect, self.told, **options)
            self.result = waiter.wait(self._connect(), job, whole=whole, now=NOW)
        except BaseException as error:  # noqa: BLE001  the test looks at it
            self.error = error
        for database in self.databases:
            with contextlib.suppress(Exception):
                database.close()

    @property
    def is_over(self) -> bool:
        return not self._thread.is_alive()

    def end(self) -> WaitResult:
        self._thread.join(SOON * 2)
        assert self.is_over
        if self.error:
            raise self.error
        assert self.result
        return self.result


@pytest.fixture
def rows(migrated_url: str) -> Iterator[Rows]:
    with contextlib.closing(connect(migrated_url)) as database:
        yield Rows(database)


def end(rows: Rows, job: str, status: str, **columns: Any) -> None:
    values = {"status": status, **columns}
    words = ", ".join(f"{column} = {rows.database.placeholder}" for column in values)
    rows.run(f"UPDATE hammerwork_jobs SET {words} WHERE id = '{job}'", [rows.adapted(v) for v in values.values()])


def wait_once(database: Database, job: str, **options: Any) -> WaitResult:
    options = {"interval": 0.01, "timeout": None, "fail_stuck": False} | options
    return Waiter(lambda: database, Told(), **options).wait(database, job, whole=True, now=NOW)


def watch(database: Database, *roots: str) -> TreeWatch:
    watching = TreeWatch(database, roots, NOW)
    watching.read()
    watching.find_stuck()
    return watching


def statements(database: Database, work: Callable[[], Any]) -> int:
    before = database.executed
    work()
    return database.executed - before


@readable_on_sqlite
def test_a_finished_tree_is_not_waited_for(readable: Database) -> None:
    rows = Rows(readable)
    root = rows.job(spawns=True, completed_at=START)
    child = rows.job(root, completed_at=START)
    rows.job(root, child, completed_at=START)
    result = wait_once(readable, child)
    assert (result.outcome, result.roots, result.counts.by_status) == (WaitOutcome.COMPLETED, (root,), {"Completed": 3})


def test_failures_are_named(readable: Database) -> None:
    rows = Rows(readable)
    root = rows.job()
    dead = rows.job(root, status="dead", error_message="boom")
    rows.job(root, status='"Completed"')
    result = wait_once(readable, root)
    assert result.outcome == WaitOutcome.FAILED
    assert [(node.id, node.error) for node in result.failed] == [(dead, "boom")]
    assert result.counts.by_status == {"Completed": 2, "Dead": 1}


@on_sqlite
def test_only_what_is_below_is_waited_for_when_asked(migrated_url: str, rows: Rows) -> None:
    root = rows.job(status="Running")
    job = rows.job(root)
    rows.job(root, status="Pending")
    done = Waiting(migrated_url, job, whole=False).end()
    assert (done.outcome, done.counts.total) == (WaitOutcome.COMPLETED, 1)


def test_it_ends_when_the_last_job_has_finished(migrated_url: str, rows: Rows) -> None:
    root = rows.job(status="Running")
    children = [rows.job(root, status="Pending") for _ in range(3)]
    waiting_ = Waiting(migrated_url, children[0])
    waiting_.told.wait_for("reading")
    assert waiting_.told.counts
    assert waiting_.told.counts.by_status == {"Running": 1, "Pending": 3}
    for job in (root, *children[1:]):
        end(rows, job, "Completed")
    assert not waiting_.is_over
    end(rows, children[0], "TimedOut")
    result = waiting_.end()
    assert result.outcome == WaitOutcome.FAILED
    assert result.counts.by_status == {"Completed": 3, "TimedOut": 1}


@on_sqlite
def test_children_that_are_spawned_meanwhile_are_waited_for(migrated_url: str, rows: Rows) -> None:
    root = rows.job(status="Running", spawns=True)
    waiting_ = Waiting(migrated_url, root)
    waiting_.told.wait_for("reading")
    child = rows.database.transaction(lambda: (end(rows, root, "Completed"), rows.job(root, status="Pending"))[1])
    grandchild = rows.database.transaction(
        lambda: (end(rows, child, "Completed"), rows.job(child, status="Pending"))[1]
    )
    late = rows.job(grandchild, root, status="Pending")
    end(rows, grandchild, "Completed")
    end(rows, late, "Dead")
    assert waiting_.end().counts.by_status == {"Completed": 3, "Dead": 1}


def test_rust_workers_insert_children_after_the_end_of_their_parent(database: Database) -> None:
    rows = Rows(database)
    root = rows.job(status="Running", spawns=True)
    watching = watch(database, root)
    end(rows, root, "Completed")
    assert not watching.refresh()
    child = rows.job(root, status="Pending")
    assert not watching.refresh()
    end(rows, child, "Completed")
    looks = 0
    while not watching.refresh():
        looks += 1
        assert looks < 5
    assert watching.counts.by_status == {"Completed": 2}


@on_sqlite
def test_a_parent_that_ended_just_before_may_still_be_spawning(database: Database) -> None:
    root = Rows(database).job(spawns=True, completed_at=NOW - timedelta(seconds=1))
    watching = watch(database, root)
    assert not watching.refresh()
    assert watching.refresh()
    assert watch(database, Rows(database).job(spawns=True, completed_at=START)).refresh()


def test_a_tree_with_an_open_spawn_request_has_not_ended(database: Database) -> None:
    rows = Rows(database)
    root = rows.job(completed_at=START)
    child = rows.job(root, spawns=True, completed_at=START)
    spawn_requests.request(database, child, handler=None, config=None, by="operator", now=NOW)
    watching = watch(database, root)
    assert not watching.refresh()
    looks = statements(database, watching.refresh)
    grandchild = rows.job(child, status="Pending")
    rows.run("UPDATE hammerwork_spawn_requests SET state = 'completed'")
    assert not watching.refresh(), "the children of the request have not run"
    end(rows, grandchild, "Completed")
    assert watching.refresh() or watching.refresh()
    assert (watching.counts.by_status, looks) == ({"Completed": 3}, 1)


def test_a_job_that_is_retried_meanwhile_is_waited_for_again(database: Database) -> None:
    rows = Rows(database)
    root = rows.job()
    first, second = rows.job(root, status="Dead"), rows.job(root, status="Running")
    watching = watch(database, root)
    end(rows, first, "Pending")
    end(rows, second, "Completed")
    assert not watching.refresh()
    end(rows, first, "Completed")
    assert watching.refresh()
    assert watching.counts.by_status == {"Completed": 3}


def test_a_job_that_is_deleted_is_no_longer_waited_for(database: Database) -> None:
    rows = Rows(database)
    root = rows.job()
    child = rows.job(root, status="Pending")
    watching = watch(database, root)
    rows.run(f"DELETE FROM hammerwork_jobs WHERE id = '{child}'")
    assert watching.refresh()
    assert watching.counts.total == 1
    rows.run(f"DELETE FROM hammerwork_jobs WHERE id = '{root}'")
    with pytest.raises(NotFoundError):
        watching.read()


@readable_on_sqlite
def test_a_look_asks_for_few_jobs_however_many_are_open(readable: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wait, "CHECKED", 10)
    rows = Rows(readable)
    root = rows.job()
    for _ in range(60):
        rows.job(root, status="Running")
    watching = watch(readable, root)
    assert statements(readable, watching.refresh) == 1
    jobs = list(watching._running)
    for job in jobs[:35]:
        end(rows, job, "Completed")
    assert statements(readable, watching.refresh) == 4
    assert statements(readable, watching.refresh) == 1
    for job in jobs[35:]:
        end(rows, job, "Completed")
    assert watching.refresh()


# Jobs that can never run.


def test_jobs_that_can_never_run_are_reported(readable: Database) -> None:
    rows = Rows(readable)
    root, dead = rows.job(), rows.job(status="Dead")
    gone = rows.job()
    rows.run(f"DELETE FROM hammerwork_jobs WHERE id = '{gone}'")
    held = {"status": "Pending", "dependency_status": "waiting"}
    expected = {
        rows.job(root, **held): BlockerReason.NOT_RELEASED,
        rows.job(root, dead, **held): BlockerReason.PARENT_FAILED,
        rows.job(root, gone, **held): BlockerReason.PARENT_MISSING,
    }
    above = next(iter(expected))
    expected[rows.job(above, **held)] = BlockerReason.STUCK_ABOVE
    one, two = rows.job(**held), rows.job(**held)
    for job, parents in ((one, [root, two]), (two, [one])):
        rows.run(f"UPDATE hammerwork_jobs SET depends_on = '{rows.ids(parents)}' WHERE id = '{job}'")
    expected |= {one: BlockerReason.STUCK_ABOVE, two: BlockerReason.STUCK_ABOVE}
    assert {job: hold.reason for job, hold in watch(readable, root).stuck.items()} == expected


def test_waiting_goes_on_for_stuck_jobs_and_says_so(migrated_url: str, rows: Rows) -> None:
    root = rows.job()
    held = rows.job(root, status="Pending", dependency_status="waiting")
    waiting_ = Waiting(migrated_url, root)
    waiting_.told.wait_for("stuck")
    assert [hold.job for hold in waiting_.told.held] == [held]
    assert not waiting_.is_over
    end(rows, held, "Pending", dependency_status="satisfied")
    end(rows, held, "Completed")
    assert waiting_.end().outcome == WaitOutcome.COMPLETED
    assert waiting_.told.words == ["reading", "stuck"]


@on_sqlite
def test_jobs_get_stuck_while_they_are_waited_for(migrated_url: str, rows: Rows) -> None:
    root = rows.job(status="Running")
    rows.job(root, status="Pending", dependency_status="waiting")
    waiting_ = Waiting(migrated_url, root, fail_stuck=True)
    waiting_.told.wait_for("reading")
    assert "stuck" not in waiting_.told.words
    end(rows, root, "Dead")
    result = waiting_.end()
    assert (result.outcome, [hold.reason for hold in result.stuck]) == (
        WaitOutcome.STUCK,
        [BlockerReason.PARENT_FAILED],
    )


@on_sqlite
def test_stuck_jobs_do_not_end_the_wait_while_others_run(migrated_url: str, rows: Rows) -> None:
    root = rows.job()
    rows.job(root, status="Pending", dependency_status="waiting")
    running = rows.job(root, status="Running")
    waiting_ = Waiting(migrated_url, root, fail_stuck=True)
    waiting_.told.wait_for("stuck")
    assert not waiting_.is_over
    end(rows, running, "Completed")
    assert waiting_.end().outcome == WaitOutcome.STUCK


@on_sqlite
def test_a_job_that_waits_for_another_tree_is_not_stuck(migrated_url: str, rows: Rows) -> None:
    root, other = rows.job(), rows.job(status="Running")
    child = rows.job(root, other, status="Pending", dependency_status="waiting")
    waiting_ = Waiting(migrated_url, root, whole=False)
    waiting_.told.wait_for("reading")
    end(rows, other, "Completed")
    end(rows, child, "Completed", dependency_status="satisfied")
    assert waiting_.end().outcome == WaitOutcome.COMPLETED


# Time and servers.


@on_sqlite
def test_a_timeout_ends_the_wait_with_the_counts_of_that_moment(migrated_url: str, rows: Rows) -> None:
    root = rows.job()
    rows.job(root, status="Running")
    start = time.monotonic()
    result = Waiting(migrated_url, root, timeout=0.2, interval=60).end()
    assert 0.2 <= time.monotonic() - start < 10
    assert (result.outcome, result.counts.open, result.counts.total) == (WaitOutcome.TIMEOUT, 1, 2)


def cut_off(database: Database, other: Database) -> None:
    """Ends another connection, as a restart of the server does."""
    if database.dialect == "postgresql":
        database.query(f"SELECT pg_terminate_backend({other._connection.info.backend_pid})")
    else:
        database.script(f"KILL {other._connection.connection_id}")


@pytest.mark.parametrize(
    "dialect", [pytest.param(name, marks=getattr(pytest.mark, name)) for name in ("postgres", "mysql")], indirect=True
)
def test_a_lost_connection_is_made_again(migrated_url: str, rows: Rows) -> None:
    root = rows.job(status="Running")
    waiting_ = Waiting(migrated_url, root)
    waiting_.told.wait_for("reading")
    cut_off(rows.database, waiting_.databases[0])
    waiting_.told.wait_for("back")
    end(rows, root, "Completed")
    assert waiting_.end().outcome == WaitOutcome.COMPLETED
    assert waiting_.told.words == ["reading", "lost", "back"]
    assert len(waiting_.databases) == 2


@on_sqlite
def test_a_server_that_stays_away_is_given_up(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "OUTAGE", 0.3)
    root = Rows(database).job(status="Running")
    told = Told()
    tries: list[float] = []

    def refuse() -> Database:
        tries.append(time.monotonic())
        raise UnreachableError("nobody answers")

    waiter = Waiter(refuse, told, interval=0.01, timeout=None, fail_stuck=False)
    watching = watch(database, root)

    def lose() -> bool:
        raise ConnectionLostError("gone")

    monkeypatch.setattr(watching, "refresh", lose)
    with pytest.raises(UnreachableError):
        waiter._watch(watching)
    assert told.words == ["lost"]
    assert 1 <= len(tries) < 10


@on_sqlite
def test_a_timeout_while_the_server_is_away_is_a_timeout(database: Database) -> None:
    root = Rows(database).job(status="Running")

    def refuse() -> Database:
        raise UnreachableError("nobody answers")

    class Away(Told):
        def reading(self, counts: Counts) -> None:
            database.close()
            database._error = lambda error: ConnectionLostError(str(error))  # type: ignore[method-assign]

    waiter = Waiter(refuse, Away(), interval=0.01, timeout=0.2, fail_stuck=False)
    result = waiter.wait(database, root, whole=True, now=NOW)
    assert (result.outcome, result.counts.open) == (WaitOutcome.TIMEOUT, 1)
