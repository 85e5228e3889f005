"""Queues on every database: counting, pausing, emptying, health."""

import contextlib
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from hammerwork_cli.core.values import WAITING, JobStatus
from hammerwork_cli.database import Database, connect
from hammerwork_cli.errors import MissingTablesError, NotFoundError, RefusedValueError
from hammerwork_cli.features.job.models.job import JobFilter
from hammerwork_cli.features.job.queries import changes as changes_queries
from hammerwork_cli.features.job.queries import selections
from hammerwork_cli.features.job.queries.changes import Delete
from hammerwork_cli.features.job.queries.selections import ByFilter
from hammerwork_cli.features.queue import queries as queues
from hammerwork_cli.features.queue.model import HealthLimits, QueueState
from tests.conftest import on_sqlite
from tests.rows import START, Rows

NOW = START + timedelta(hours=10)
HOSTILE = "evil\x1b[2J\"'; DROP TABLE hammerwork_jobs; --\n\u202e<b>[red]🦀%s:now{jobs}"


def ago(**length: float) -> Any:
    return NOW - timedelta(**length)


@pytest.fixture
def rows(database: Database) -> Rows:
    """Writes jobs into ``database``."""
    return Rows(database)


def state_of(database: Database, name: str) -> QueueState:
    [state] = queues.states(database, now=NOW, queues=[name])
    return state


def without_pauses(database: Database) -> None:
    """The database as it is before 014, or where the migrator of hammerwork (Rust) broke off at 010."""
    database.script("DROP TABLE hammerwork_queue_pause")
    database.script("DELETE FROM hammerwork_migrations WHERE migration_id >= '014'")
    database.forget_schema()


# Counting.


def test_every_spelling_of_a_status_is_counted_as_that_status(database: Database, rows: Rows) -> None:
    for status in JobStatus:
        for spelling in status._spellings:
            rows.job(queue="work", status=spelling)
    rows.job(queue="work", status="Melted")
    counts = state_of(database, "work").counts.by_status
    assert counts == {**{status.value: len(status._spellings) for status in JobStatus}, "Melted": 1}


def test_pending_jobs_are_ready_scheduled_or_waiting(database: Database, rows: Rows) -> None:
    rows.job(status="Pending", scheduled_at=ago(minutes=5))
    rows.job(status='"pending"', scheduled_at=ago(minutes=7), dependency_status="satisfied")
    rows.job(status="Retrying", scheduled_at=NOW + timedelta(minutes=1))
    rows.job(status="Pending", scheduled_at=ago(hours=9), dependency_status="waiting")
    rows.job(status="Completed", scheduled_at=ago(hours=9))
    state = state_of(database, "work")
    assert (state.ready, state.scheduled, state.waiting) == (2, 1, 1)
    assert state.age(state.ready_since) == timedelta(minutes=7)
    for tried in ({}, {"attempts": 1, "error_message": "no space"}):
        rows.job(status="Pending", scheduled_at=ago(hours=9), cron_schedule="0 0 3 * * *", recurring=False, **tried)
        rows.job(status="Pending", scheduled_at=ago(minutes=8), cron_schedule="0 0 3 * * *", recurring=True, **tried)
    state = state_of(database, "work")
    assert (state.ready, state.scheduled, state.waiting) == (4, 3, 1)
    assert state.age(state.ready_since) == timedelta(minutes=8)


def test_a_paused_queue_without_jobs_is_listed(database: Database, rows: Rows) -> None:
    rows.job(queue="full")
    queues.pause(database, "empty", by="me@here", now=NOW, reason="later")
    queues.pause(database, "full", by="me@here", now=NOW)
    empty, full = queues.states(database, now=NOW)
    assert (empty.name, empty.counts.total) == ("empty", 0)
    assert empty.pause is not None
    assert (empty.pause.paused_by, empty.pause.reason) == ("me@here", "later")
    assert (full.name, full.counts.total, full.pause is not None) == ("full", 1, True)


def test_a_hostile_name_is_a_name_like_any_other(database: Database, rows: Rows) -> None:
    rows.job(queue=HOSTILE, status="Pending")
    rows.job(queue="work", status="Pending")
    queues.pause(database, HOSTILE, by=HOSTILE, now=NOW, reason=HOSTILE)
    state = state_of(database, HOSTILE)
    assert (state.name, state.counts.total) == (HOSTILE, 1)
    assert state.pause is not None
    assert (state.pause.paused_by, state.pause.reason) == (HOSTILE, HOSTILE)
    assert queues.stats(database, now=NOW, queue=HOSTILE).state.counts.total == 1
    assert clear(database, HOSTILE) == 1
    assert queues.resume(database, HOSTILE).changed
    assert [state.name for state in queues.states(database, now=NOW)] == ["work"]


def test_an_empty_database_has_no_queues(database: Database) -> None:
    assert queues.states(database, now=NOW) == []
    assert queues.health(database, HealthLimits(), now=NOW) == []
    assert queues.stats(database, now=NOW, window=timedelta(hours=1)).state.counts.total == 0


# Figures.


def run(rows: Rows, status: str, *, end: Any, seconds: float = 1, **columns: Any) -> None:
    """A job that ran and ended."""
    columns_of_end = {"completed": "completed_at", "timedout": "timed_out_at"}
    ended = columns_of_end.get(status.strip('"').lower(), "failed_at")
    rows.job(status=status, started_at=end - timedelta(seconds=seconds), **{ended: end}, **columns)


def test_details_count_by_priority_and_what_ended_in_the_window(database: Database, rows: Rows) -> None:
    for seconds in range(1, 21):
        run(rows, "Completed", end=ago(minutes=seconds), seconds=seconds, priority=3)
    run(rows, '"completed"', end=ago(minutes=1), seconds=100, priority=0)
    run(rows, "Completed", end=ago(hours=2), seconds=5000)
    for status in ("Failed", "Dead", "TimedOut"):
        run(rows, status, end=ago(minutes=30))
        run(rows, status, end=ago(minutes=90))
    rows.job(queue="other", status="Completed", completed_at=ago(minutes=1), started_at=ago(minutes=59))
    found = queues.stats(database, now=NOW, queue="work", window=timedelta(hours=1))
    assert (found.state.completed, found.state.failed) == (21, 3)
    assert found.state.failure_rate == pytest.approx(3 / 24)
    assert found.per_minute == pytest.approx(21 / 60)
    assert found.p50 is not None
    assert found.p95 is not None
    assert found.p50.total_seconds() == pytest.approx(11, abs=0.001)
    assert found.p95.total_seconds() == pytest.approx(20, abs=0.001)
    assert {(row.status, row.priority): row.jobs for row in found.by_priority} == {
        ("Completed", "high"): 20,
        ("Completed", "background"): 1,
        ("Completed", "normal"): 1,
        ("Failed", "normal"): 2,
        ("Dead", "normal"): 2,
        ("TimedOut", "normal"): 2,
    }
    assert found.backlog is None  # nothing is ready
    for _ in range(12):
        rows.job(queue="work", status="Pending", scheduled_at=ago(minutes=1))
    waiting = queues.stats(database, now=NOW, queue="work", window=timedelta(hours=1))
    assert waiting.backlog == timedelta(minutes=10)  # 24 ended in the 20 minutes since the first one completed
    rows.run("DELETE FROM hammerwork_jobs WHERE status = 'Pending'")
    everything = queues.stats(database, now=NOW, window=timedelta(hours=3))
    assert everything.state.completed == 23
    assert everything.state.failed == 6


@on_sqlite
def test_where_jobs_only_fail_the_end_of_a_backlog_follows_from_the_whole_window(
    database: Database, rows: Rows
) -> None:
    run(rows, "Dead", end=ago(minutes=1))
    rows.job(queue="work", status="Pending", scheduled_at=ago(minutes=1))
    assert queues.stats(database, now=NOW, queue="work", window=timedelta(hours=1)).backlog == timedelta(hours=1)


@on_sqlite
def test_a_queue_that_does_not_exist_has_no_figures(database: Database, rows: Rows) -> None:
    rows.job(queue="work")
    with pytest.raises(NotFoundError, match="wrok"):
        queues.stats(database, now=NOW, queue="wrok")
    with pytest.raises(NotFoundError, match="wrok"):
        queues.health(database, HealthLimits(), now=NOW, queue="wrok")


@on_sqlite
def test_figures_take_one_statement_a_window_two_more_workers_and_limits_one_each(
    database: Database, rows: Rows
) -> None:
    rows.job(status="Pending")
    assert database.tags
    hour = timedelta(hours=1)
    for statements, ask in (
        (1, lambda: queues.stats(database, now=NOW, queue="work")),
        (4, lambda: queues.stats(database, now=NOW, window=hour)),
        (3, lambda: queues.states(database, now=NOW)),
        (5, lambda: queues.states(database, now=NOW, window=hour)),
        (4, lambda: queues.health(database, HealthLimits(), now=NOW)),
        (4, lambda: queues.health(database, HealthLimits(), now=NOW, queue="work")),
    ):
        before = database.executed
        ask()
        assert database.executed == before + statements


# Health.

LIMITS = HealthLimits(
    pending=2,
    pending_age=timedelta(minutes=5),
    running_age=timedelta(minutes=10),
    waiting_age=timedelta(hours=1),
    failed=1,
    failure_rate=0.25,
)


def exceeded(database: Database, queue: str = "work") -> list[str]:
    [health] = queues.health(database, LIMITS, now=NOW, queue=queue)
    assert health.healthy == (not health.exceeded)
    return [check.name for check in health.exceeded]


def test_every_limit_of_health_is_looked_at_in_each_queue(database: Database, rows: Rows) -> None:
    ready = {"status": "Pending", "scheduled_at": ago(seconds=1)}
    waiting = {"dependency_status": "waiting", "created_at": ago(hours=2), "scheduled_at": ago(hours=2)}
    for queue, jobs in {
        "quiet": [{**ready, "scheduled_at": ago(minutes=4)}, {"status": "Running", "started_at": ago(minutes=9)}],
        "long": [{"status": "Running", "started_at": ago(minutes=minutes)} for minutes in (11, 1)],
        "long, in another spelling": [{"status": "running", "started_at": ago(minutes=11)}],
        "long, in quotes": [{"status": '"Running"', "started_at": ago(minutes=11)}],
        "never started": [{"status": "Running", "started_at": None, "scheduled_at": ago(hours=2)}],
        "nobody takes": [{"status": "pending", "scheduled_at": ago(minutes=6)}],
        "later": [{"status": "Pending", "scheduled_at": NOW + timedelta(days=1)}] * 5,
        "many": [ready] * 3,
        "waiting": [{"status": "Pending", **waiting}],
    }.items():
        for job in jobs:
            rows.job(queue=queue, **job)
    for queue, status, times in (("quiet", "Failed", 1), ("quiet", "Completed", 3), ("failing", "Dead", 1)):
        for _ in range(times):
            run(rows, status, queue=queue, end=ago(minutes=1))
    run(rows, "Completed", queue="failing", end=ago(minutes=1))
    expected = {
        "quiet": [],
        "long": ["running_age"],
        "long, in another spelling": ["running_age"],
        "long, in quotes": ["running_age"],
        "never started": ["running_age"],
        "nobody takes": ["pending_age"],
        "later": [],
        "many": ["pending"],
        "waiting": ["waiting_age"],
        "failing": ["failure_rate"],
    }
    found = {health.state.name: health for health in queues.health(database, LIMITS, now=NOW)}
    assert {queue: [check.name for check in health.exceeded] for queue, health in found.items()} == expected
    assert [exceeded(database, queue) for queue in ("long", "quiet")] == [["running_age"], []]
    for health in queues.health(database, HealthLimits(), now=NOW):
        assert health.healthy
        assert {check.status for check in health.checks} == {"off"}


def test_failures_of_the_last_hour_are_found(database: Database, rows: Rows) -> None:
    for status in ("Failed", "Dead", "TimedOut"):
        run(rows, status, end=ago(minutes=59))
        run(rows, status, end=ago(minutes=61))
    for _ in range(20):
        run(rows, "Completed", end=ago(minutes=59))
    [health] = queues.health(database, LIMITS, now=NOW)
    assert [(check.name, check.value) for check in health.exceeded] == [("failed", 3)]
    run(rows, "Completed", end=ago(hours=2))
    assert exceeded(database) == ["failed"]


# Pausing.


def test_pausing_and_resuming_twice_changes_nothing_more(database: Database) -> None:
    first = queues.pause(database, "work", by="ada@here", now=ago(hours=1), reason="one")
    second = queues.pause(database, "work", by="bob@there", now=NOW)
    assert (first.changed, second.changed) == (True, False)
    assert second.pause == first.pause
    again = queues.pause(database, "work", by="bob@there", now=NOW, reason="two")
    assert again.pause is not None
    assert (again.pause.paused_by, again.pause.reason) == ("ada@here", "two")
    assert [queues.resume(database, "work").changed for _ in range(2)] == [True, False]
    assert queues.all_paused(database) == []


def test_many_operators_pause_one_queue_at_once(migrated_url: str) -> None:
    changes = at_once(6, lambda: _with(migrated_url, lambda db: queues.pause(db, "work", by="me@here", now=NOW)))
    assert len(changes) == 6
    with contextlib.closing(connect(migrated_url)) as database:
        assert [pause.queue for pause in queues.all_paused(database)] == ["work"]


@pytest.mark.parametrize("name", ["", "x" * 256])
def test_names_that_no_queue_can_have_are_refused(database: Database, name: str) -> None:
    with pytest.raises(RefusedValueError, match="255"):
        queues.pause(database, name, by="me@here", now=NOW)


def test_queues_are_read_without_the_table_of_pauses(database: Database, rows: Rows) -> None:
    rows.job(status="Pending")
    without_pauses(database)
    assert state_of(database, "work").counts.total == 1
    assert queues.all_paused(database) == []
    assert queues.health(database, LIMITS, now=NOW)
    for change in (
        lambda: queues.pause(database, "work", by="me@here", now=NOW),
        lambda: queues.resume(database, "work"),
        lambda: clear(database, "work"),
    ):
        with pytest.raises(MissingTablesError):
            change()
    assert state_of(database, "work").counts.total == 1


# Emptying.


def clear(
    database: Database,
    queue: str,
    *,
    pending_only: bool = False,
    force: bool = False,
    report: Callable[[int], None] = id,
) -> int:
    chosen = JobFilter(queues=(queue,), statuses=tuple(WAITING) if pending_only else ())
    return changes_queries.run(database, ByFilter(chosen), Delete(NOW, force=force), report).changed


def fill(rows: Rows) -> None:
    for status in ("Pending", "pending", "Retrying", "Completed", "Dead", "Running", "running", '"Running"', "Melted"):
        rows.job(queue="work", status=status)
        rows.job(queue="other", status=status)


@pytest.mark.parametrize(
    ("how", "left"),
    [
        ({}, {"Running": 3}),
        ({"pending_only": True}, {"Running": 3, "Completed": 1, "Dead": 1, "Melted": 1}),
        ({"force": True}, {}),
    ],
)
def test_clearing_takes_what_it_says_and_nothing_else(
    database: Database, rows: Rows, how: dict[str, bool], left: dict[str, int]
) -> None:
    fill(rows)
    assert clear(database, "work", **how) == 9 - sum(left.values())
    assert [state.counts.by_status for state in queues.states(database, now=NOW, queues=["work"])] == [left] * bool(
        left
    )
    assert state_of(database, "other").counts.total == 9
    assert clear(database, "work", **how) == 0


def test_clearing_goes_in_bounded_batches_and_tells_how_far_it_is(
    database: Database, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selections, "BATCH", 4)
    for _ in range(10):
        rows.job(queue="work")
    told: list[int] = []
    assert clear(database, "work", report=told.append) == 10
    assert told == [4, 8, 10]


def test_clearing_that_was_broken_off_goes_on_when_it_is_run_again(
    database: Database, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selections, "BATCH", 4)
    for _ in range(10):
        rows.job(queue="work")

    def interrupt(done: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        clear(database, "work", report=interrupt)
    assert state_of(database, "work").counts.total == 6
    assert clear(database, "work") == 6


def test_a_job_that_a_worker_takes_meanwhile_is_not_deleted(migrated_url: str, database: Database, rows: Rows) -> None:
    taken = rows.job(queue="work", status="Pending")
    rows.job(queue="work", status="Pending")
    started = threading.Event()
    deleted: list[int] = []

    def begin() -> None:
        started.set()
        deleted.append(_with(migrated_url, lambda other: clear(other, "work")))

    thread = threading.Thread(target=begin)

    def work() -> None:
        rows.run(f"UPDATE hammerwork_jobs SET status = 'Running' WHERE id = '{taken}'")
        thread.start()
        started.wait()
        # Whether it is held up by the lock or comes later, it must not take this job.
        thread.join(0.5)

    database.transaction(work)
    thread.join()
    assert deleted == [1]
    assert state_of(database, "work").counts.by_status == {"Running": 1}


def test_operators_who_clear_at_once_delete_each_job_once(
    migrated_url: str, database: Database, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selections, "BATCH", 7)
    for _ in range(60):
        rows.job(queue="work")
    assert sum(at_once(3, lambda: _with(migrated_url, lambda other: clear(other, "work")))) == 60
    assert queues.states(database, now=NOW) == []


def _with(url: str, work: Callable[[Database], Any]) -> Any:
    with contextlib.closing(connect(url)) as database:
        return work(database)


def at_once(threads: int, work: Callable[[], Any]) -> list[Any]:
    """What ``work`` returned in each of some threads that begin together."""
    together, results = threading.Barrier(threads), []

    def begin() -> None:
        together.wait()
        results.append(work())

    running = [threading.Thread(target=begin) for _ in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    return results
