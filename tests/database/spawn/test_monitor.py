"""What happens right now, as ``spawn monitor`` looks at it: on every database, with our indexes and without."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from hammerwork_cli.database import Database
from hammerwork_cli.features.spawn.queries import monitor
from hammerwork_cli.features.spawn.queries.monitor import MonitorWatch
from tests.database.conftest import current_only, one_way_on_servers, readable_on_sqlite
from tests.rows import Rows

WINDOW = timedelta(seconds=60)


@pytest.fixture
def now(readable: Database) -> datetime:
    """The server's clock when the test began."""
    return readable.now()


@pytest.fixture
def watching(readable: Database) -> Callable[..., MonitorWatch]:
    """``watching(queues=)``: a watch whose first look is about the last minute."""
    return lambda **options: MonitorWatch(readable, window=WINDOW, **options)


def ago(now: datetime, **length: float) -> datetime:
    return now - timedelta(**length)


def is_counted(database: Database) -> bool:
    return database.is_current


def change(rows: Rows, job: str, **columns: Any) -> None:
    place = rows.database.placeholder
    names = ", ".join(f"{name} = {place}" for name in columns)
    values = [rows.adapted(value) for value in columns.values()]
    rows.run(f"UPDATE hammerwork_jobs SET {names} WHERE id = {place}", [*values, job])


def busy(rows: Rows, now: datetime, queue: str = "work") -> None:
    """A minute: 4 enqueued, 5 started, 2 completed, 2 failed; and the time before it, which looks the same."""
    for shift in (10, 3600):
        when = ago(now, seconds=shift)
        rows.job(queue=queue, status="Pending", created_at=when)
        rows.job(queue=queue, status="Running", created_at=when, started_at=when)
        rows.job(queue=queue, created_at=when, started_at=when, completed_at=when)
        rows.job(queue=queue, created_at=ago(now, days=2), started_at=when, completed_at=when)
        rows.job(queue=queue, status="Dead", created_at=when, started_at=when, failed_at=when, error_message="boom")
        rows.job(
            queue=queue, status="TimedOut", created_at=ago(now, days=2), started_at=when, timed_out_at=when,
            error_message="late",
        )  # fmt: skip


def test_a_look_counts_what_happened_in_its_window(
    watching: Callable[..., MonitorWatch], rows: Rows, now: datetime
) -> None:
    busy(rows, now)
    seen = watching().refresh()
    flow = seen.flow
    assert (flow.enqueued, flow.started, flow.completed, flow.failed) == (4, 5, 2, 2)
    assert flow.seconds == pytest.approx(60, abs=1)
    assert (seen.pending, seen.running) == (2, 2)
    assert (seen.more_pending, seen.more_running) == (False, False)


@one_way_on_servers
def test_the_next_look_is_about_the_time_since_the_one_before(
    watching: Callable[..., MonitorWatch], rows: Rows, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy(rows, now)
    watch = watching()
    watch.refresh()
    job = rows.job(status="Running", created_at=ago(now, hours=2), started_at=ago(now, hours=1))
    monkeypatch.setattr(watch, "_now", lambda: now + timedelta(seconds=20))
    change(rows, job, status="Completed", completed_at=now + timedelta(seconds=10))
    flow = watch.refresh().flow
    assert (flow.enqueued, flow.started, flow.completed, flow.failed) == (0, 0, 1, 0)
    assert flow.seconds == pytest.approx(20, abs=2)
    assert flow.rate(flow.completed) == pytest.approx(1 / flow.seconds)


@readable_on_sqlite
def test_retrying_jobs_of_a_queue_are_found_before_any_number_of_later_jobs_of_other_queues(
    watching: Callable[..., MonitorWatch], rows: Rows, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(monitor, "MOST_PENDING", 2)
    times = {"created_at": ago(now, minutes=9), "scheduled_at": now}
    rows.job(queue="mail", status="Pending", attempts=1, error_message="refused", **times)
    for n in range(1, 6):
        rows.job(queue="other", status="Pending", created_at=ago(now, minutes=n), scheduled_at=ago(now, minutes=-n))
    assert watching(queues=["mail"]).refresh().retrying == 1


@readable_on_sqlite
def test_a_job_that_ends_after_the_window_in_which_it_began_was_started_in_it(
    watching: Callable[..., MonitorWatch], rows: Rows, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = watching()
    monkeypatch.setattr(watch, "_now", lambda: now + timedelta(seconds=5))
    rows.job(created_at=now, started_at=now, completed_at=now + timedelta(seconds=4.5))
    rows.job(status="Dead", created_at=now, started_at=now, failed_at=now + timedelta(seconds=4.5))
    rows.job(status="TimedOut", created_at=now, started_at=now, timed_out_at=now + timedelta(seconds=4.5))
    flow = watch.refresh().flow
    assert (flow.enqueued, flow.started, flow.completed, flow.failed) == (3, 3, 0, 0)
    monkeypatch.setattr(watch, "_now", lambda: now + timedelta(seconds=10))
    flow = watch.refresh().flow
    assert (flow.enqueued, flow.started, flow.completed, flow.failed) == (0, 0, 1, 2)


@one_way_on_servers
def test_jobs_that_wait_for_another_attempt_are_counted_and_shown(
    watching: Callable[..., MonitorWatch], rows: Rows, now: datetime
) -> None:
    rows.job(status="Pending", scheduled_at=now)
    later = [
        rows.job(queue=queue, status="Pending", attempts=1, error_message="refused", scheduled_at=ago(now, minutes=-n))
        for n, queue in ((3, "mail"), (1, "mail"), (2, "other"))
    ]
    seen = watching().refresh()
    assert (seen.pending, seen.retrying, seen.more_retrying) == (4, 3, False)
    assert [node.id for node in seen.retries] == [later[1], later[2], later[0]]
    assert {node.status for node in seen.retries} == {"Retrying"}
    assert watching(queues=["mail"]).refresh().retrying == 2


@readable_on_sqlite
def test_a_cancelled_job_is_no_failure(watching: Callable[..., MonitorWatch], rows: Rows, now: datetime) -> None:
    error = "cancelled by ann@desk through hammerwork"
    rows.job(status="Failed", failed_at=ago(now, seconds=5), error_message=error)
    seen = watching().refresh()
    assert (seen.flow.failed, seen.failures) == (0, ())


def test_a_queue_is_looked_at_alone(watching: Callable[..., MonitorWatch], rows: Rows, now: datetime) -> None:
    busy(rows, now, "work")
    rows.job(queue="other", status="Pending", created_at=ago(now, seconds=10))
    rows.job(queue="other", status="Running", created_at=ago(now, seconds=10), started_at=ago(now, seconds=10))
    seen = watching(queues=["other"]).refresh()
    assert (seen.flow.enqueued, seen.flow.started, seen.flow.completed, seen.flow.failed) == (2, 1, 0, 0)
    assert (seen.pending, seen.running, seen.failures) == (1, 1, ())


def test_the_newest_failures_come_first_and_a_retried_one_goes(
    watching: Callable[..., MonitorWatch], rows: Rows, now: datetime
) -> None:
    failed = [
        rows.job(status=status, failed_at=ago(now, minutes=minutes), error_message=f"error {minutes}")
        for minutes, status in ((30, "Dead"), (20, '"Failed"'), (10, "Failed"))
    ]
    late = rows.job(status="TimedOut", timed_out_at=ago(now, minutes=5))
    rows.job(status="Dead", failed_at=ago(now, days=3))
    watch = watching()
    assert [node.id for node in watch.refresh().failures] == [late, *reversed(failed)]
    change(rows, failed[2], status="Pending", failed_at=None)
    newest = rows.job(status="Dead", failed_at=ago(now, seconds=0), error_message="again")
    seen = watch.refresh()
    assert [node.id for node in seen.failures] == [newest, late, failed[1], failed[0]]
    assert seen.failures[0].error == "again"


@readable_on_sqlite
def test_no_more_failures_are_read_than_are_shown(
    watching: Callable[..., MonitorWatch], rows: Rows, now: datetime
) -> None:
    failed = [rows.job(status="Dead", failed_at=ago(now, minutes=30 - number)) for number in range(25)]
    watch = watching()
    for _ in range(2):
        assert [node.id for node in watch.refresh().failures] == failed[: -monitor.MOST_FAILURES - 1 : -1]


@readable_on_sqlite
def test_only_what_fails_after_the_beginning_is_news(
    watching: Callable[..., MonitorWatch], rows: Rows, now: datetime
) -> None:
    rows.job(status="Dead", failed_at=ago(now, seconds=30))
    watch = watching()
    assert not watch.refresh().failed_since
    rows.job(status="Dead", failed_at=now + timedelta(seconds=1))
    assert watch.refresh().failed_since


def test_running_operations_show_their_children_and_are_shown_once_more_when_they_end(
    watching: Callable[..., MonitorWatch], rows: Rows, readable: Database, now: datetime
) -> None:
    parent = rows.job(queue="ingest", spawns=True, created_at=ago(now, minutes=9), completed_at=ago(now, minutes=8))
    rows.job(queue="ingest", spawns=True, status="Pending")
    ended = rows.job(queue="ingest", spawns=True, completed_at=ago(now, minutes=8))
    rows.job(ended)
    plain = rows.job()
    rows.job(plain, status="Running")
    last = rows.job(parent, status="Running", started_at=ago(now, seconds=5))
    for status in ("Completed", "Completed", "Dead"):
        rows.job(parent, status=status)
    watch = watching()
    [one] = watch.refresh().operations
    assert one.parent.id == parent
    assert one.counted is is_counted(readable)
    expected = {"Running": 1} | ({"Completed": 2, "Dead": 1} if one.counted else {})
    assert one.operation.children.by_status == expected
    change(rows, last, status="Completed", completed_at=now)
    after = watch.refresh().operations
    if one.counted:
        assert [operation.operation.children.by_status for operation in after] == [{"Completed": 3, "Dead": 1}]
    assert watch.refresh().operations == ()


@readable_on_sqlite
def test_an_operation_comes_back_when_a_child_is_retried(
    watching: Callable[..., MonitorWatch], rows: Rows, now: datetime
) -> None:
    parent = rows.job(spawns=True, created_at=ago(now, hours=2), completed_at=ago(now, hours=1))
    child = rows.job(parent, status="Dead", failed_at=ago(now, minutes=30))
    watch = watching()
    assert watch.refresh().operations == ()
    change(rows, child, status="Running", failed_at=None, started_at=now)
    assert [one.parent.id for one in watch.refresh().operations] == [parent]


@one_way_on_servers
def test_an_operation_is_shown_to_who_looks_at_the_queue_of_its_children(
    watching: Callable[..., MonitorWatch], rows: Rows, now: datetime
) -> None:
    parent = rows.job(queue="ingest", spawns=True, completed_at=ago(now, minutes=8))
    rows.job(parent, queue="segment", status="Running", started_at=now)
    assert [one.parent.id for one in watching(queues=["segment"]).refresh().operations] == [parent]
    assert watching(queues=["other"]).refresh().operations == ()


def test_a_parent_without_configuration_is_known_by_the_record_of_its_spawning(
    watching: Callable[..., MonitorWatch], rows: Rows, readable: Database, now: datetime
) -> None:
    parent = rows.job(queue="ingest", completed_at=ago(now, minutes=8))
    rows.job(parent, status="Running", started_at=now)
    record = {"id": str(uuid4()), "parent_id": parent, "root_id": parent, "depth": 0, "occurrence": ""}
    times = {"started_at": now, "ended_at": now}
    rows.insert("hammerwork_spawn_operations", {**record, "outcome": "spawned", "children": 1, **times})
    assert [one.parent.id for one in watching().refresh().operations] == ([parent] if is_counted(readable) else [])


def test_idle_is_when_nothing_is_open_in_any_spelling(watching: Callable[..., MonitorWatch], rows: Rows) -> None:
    assert watching().refresh().idle is None
    watch = watching(until_idle=True)
    assert watch.refresh().idle is True
    rows.job(status='"Running"', queue="other")
    assert watch.refresh().idle is False
    assert watching(until_idle=True, queues=["work"]).refresh().idle is True


def test_pending_jobs_are_counted_by_queue_now_and_then_and_more_is_said_where_not_all_were_counted(
    watching: Callable[..., MonitorWatch], rows: Rows, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(monitor, "MOST_PENDING", 5)
    monkeypatch.setattr(monitor, "MOST_RUNNING", 3)
    monkeypatch.setattr(monitor, "SHARE", 100_000)
    for _ in range(7):
        rows.job(status="Pending", scheduled_at=ago(now, minutes=1))
        rows.job(status="Running", queue="mail")
    rows.job(status="Pending", queue="mail", scheduled_at=ago(now, minutes=-9))
    disabled = {"cron_schedule": "0 0 3 * * *", "recurring": False}
    rows.job(status="Pending", queue="mail", scheduled_at=ago(now, minutes=9), **disabled)
    rows.job(queue="mail", completed_at=ago(now, minutes=9))
    rows.job(queue="done", completed_at=ago(now, minutes=9))
    watch = watching()
    seen = watch.refresh()
    assert (seen.pending, seen.more_pending, seen.running, seen.more_running) == (9, False, 3, True)
    assert [(one.name, one.ready, one.scheduled, one.running, one.completed) for one in seen.states] == [
        ("work", 7, 0, 0, 0),
        ("mail", 0, 2, 7, 1),
    ]
    rows.job(status="Pending")
    assert watch.refresh().states is seen.states  # not counted again so soon
    assert [one.name for one in watching(queues=["mail"]).refresh().states] == ["mail"]
    monkeypatch.setattr(monitor, "MOST_OPEN", 14)
    assert watching().refresh().more_pending


@current_only
def test_workers_are_shown_and_of_one_that_fell_silent_it_is_said(
    watching: Callable[..., MonitorWatch], rows: Rows, now: datetime
) -> None:
    worker = {
        "host": "h", "pid": 1, "version": "1", "handlers": "[]", "concurrency": 4, "lease_seconds": 30,
        "state": "running", "started_at": ago(now, hours=1), "running": 2, "completed": 7, "failed": 1,
    }  # fmt: skip
    for name, silent, queues in (("quiet", 90, '["a"]'), ("alive", 1, '["a", "b"]')):
        row = {"id": str(uuid4()), "name": name, "queues": queues, "heartbeat_at": ago(now, seconds=silent)}
        rows.insert("hammerwork_workers", {**worker, **row})
    seen = watching().refresh()
    assert seen.workers is not None
    assert {one.name: (one.state, one.running, one.completed) for one in seen.workers} == {
        "quiet": ("silent", 2, 7),
        "alive": ("running", 2, 7),
    }
    assert [one.name for one in watching(queues=["b"]).refresh().workers or ()] == ["alive"]


@one_way_on_servers
def test_a_look_takes_as_many_statements_for_much_as_for_little(
    watching: Callable[..., MonitorWatch],
    rows: Rows,
    readable: Database,
    now: datetime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(monitor, "SHARE", 100_000)

    def look(watch: MonitorWatch) -> int:
        before = readable.executed
        watch.refresh()
        return readable.executed - before

    def spawn(count: int) -> None:
        with rows.at_once():
            times = {"created_at": ago(now, minutes=3), "completed_at": ago(now, minutes=2)}
            parents = [rows.job(spawns=True, **times) for _ in range(count)]
            for parent in parents:
                rows.job(parent, status="Running", started_at=now)
            for parent in parents:
                rows.job(parent, status="Dead", failed_at=now)

    spawn(1)
    watch = watching()
    first, few = look(watch), look(watch)
    spawn(80)
    watch = watching()
    assert [look(watch), look(watch)] == [first, few]
    # Figures, failures and busy parents; newest parents, their children, who of these has some; the workers, and
    # how far their jobs are.
    assert few <= (6 if is_counted(readable) else 2)
    # By queue: open jobs, workers, those that completed and those that failed.
    assert first - few <= 4


@readable_on_sqlite
def test_with_upstreams_tables_alone_a_look_is_one_statement(
    rows: Rows, readable: Database, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(monitor, "SHARE", 100_000)
    rows.run("DELETE FROM hammerwork_migrations WHERE migration_id > '015'")
    readable.forget_schema()
    busy(rows, now)
    watch = MonitorWatch(readable, window=WINDOW)
    seen = watch.refresh()
    before = readable.executed
    watch.refresh()  # does not count by queue so soon
    assert readable.executed - before == 1
    assert seen.flow.failed == 2
    assert seen.workers is None
