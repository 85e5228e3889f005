"""Running trees as ``spawn monitor`` counts them: what takes our indexes, on every database."""

from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import uuid4

import pytest

from hammerwork_cli.database import Database
from hammerwork_cli.features.spawn.queries import monitor, running_trees
from hammerwork_cli.features.spawn.queries.monitor import MonitorWatch
from tests.conftest import on_sqlite
from tests.database.spawn.test_monitor import ago, change
from tests.rows import Rows


@pytest.fixture
def rows(database: Database) -> Rows:
    """Writes jobs into ``database``."""
    return Rows(database)


@pytest.fixture
def now(database: Database) -> datetime:
    """The server's clock when the test began."""
    return database.now()


@pytest.fixture
def watching(database: Database) -> Callable[..., MonitorWatch]:
    """``watching()``: a watch whose first look is about the last minute."""
    return lambda **options: MonitorWatch(database, window=timedelta(minutes=1), **options)


def tree(rows: Rows, now: datetime, *statuses: str, inner: int = 2) -> tuple[str, list[str], list[str]]:
    """A parent whose children have all ended, and what each of these spawned: in the statuses; all three levels."""
    times = {"created_at": ago(now, minutes=9), "completed_at": ago(now, minutes=8)}
    top = rows.job(queue="ingest", spawns=True, **times)
    middle = [rows.job(top, queue="transcode", spawns=True, **times) for _ in range(inner)]
    last = [rows.job(parent, queue="segment", status=status) for parent in middle for status in statuses]
    return top, middle, last


def test_a_tree_is_one_row_of_its_topmost_operation_until_all_of_it_has_ended(
    watching: Callable[..., MonitorWatch], rows: Rows, now: datetime
) -> None:
    top, _, last = tree(rows, now, "Completed", "Dead", "Pending")
    watch = watching()
    [one] = watch.refresh().operations
    assert one.parent.id == top
    assert one.operation.children.by_status == {"Completed": 2}
    assert one.below is not None
    assert one.below.by_status == {"Completed": 4, "Dead": 2, "Pending": 2}
    for job in last:
        change(rows, job, status="Completed", completed_at=ago(now, minutes=1))
    [one] = watch.refresh().operations
    assert one.below is not None
    assert one.below.by_status == {"Completed": 8}
    assert watch.refresh().operations == ()
    change(rows, last[0], status="Running", completed_at=None, started_at=now)
    [one] = watch.refresh().operations
    assert (one.parent.id, one.running) == (top, 1)


def test_jobs_that_wait_for_spawned_jobs_belong_to_their_tree(
    watching: Callable[..., MonitorWatch], rows: Rows, now: datetime
) -> None:
    top, _, last = tree(rows, now, "Completed")
    rows.job(*last, queue="merge", status="Pending")
    rows.job(rows.job(), status="Running", started_at=now)
    [one] = watching().refresh().operations
    assert one.parent.id == top
    assert one.below is not None
    assert one.below.by_status == {"Completed": 4, "Pending": 1}


@on_sqlite
def test_an_operation_below_a_job_that_spawns_nothing_is_a_topmost_one(
    watching: Callable[..., MonitorWatch], rows: Rows, now: datetime
) -> None:
    parent = rows.job(rows.job(), spawns=True, completed_at=ago(now, minutes=8))
    rows.job(parent, status="Running", started_at=now)
    assert [one.parent.id for one in watching().refresh().operations] == [parent]


def test_a_tree_that_is_too_large_shows_its_children_and_the_others_are_counted(
    watching: Callable[..., MonitorWatch], rows: Rows, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running_trees, "MOST_COUNTED", 40)
    large, _, last = tree(rows, now, *["Pending"] * 30)
    small, _, _ = tree(rows, now, "Pending")
    watch = watching()
    for _ in range(2):
        seen = {one.parent.id: one for one in watch.refresh().operations}
        assert seen.keys() == {large, small}
        assert seen[large].below is None
        assert seen[large].operation.children.by_status == {"Completed": 2}
        assert seen[small].below is not None
    change(rows, last[0], status="Running", started_at=now)
    seen = {one.parent.id: one for one in watch.refresh().operations}
    assert (seen[large].below, seen[large].running) == (None, 1)


@on_sqlite
@pytest.mark.parametrize("bound", ["LEVELS_UP", "LEVELS_DOWN"])
def test_a_tree_that_is_too_deep_is_still_shown(
    watching: Callable[..., MonitorWatch], rows: Rows, now: datetime, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    monkeypatch.setattr(running_trees, bound, 3)
    job = rows.job(spawns=True)
    for _ in range(8):
        job = rows.job(job, spawns=True)
    rows.job(job, status="Running", started_at=now)
    [one] = watching().refresh().operations
    assert one.running == 1


def test_cycles_and_missing_parents_do_not_stop_a_look(
    watching: Callable[..., MonitorWatch], rows: Rows, now: datetime
) -> None:
    first = rows.job(spawns=True)
    second = rows.job(first, spawns=True)
    change(rows, first, depends_on=rows.ids([second]))
    rows.job(second, status="Running", started_at=now)
    orphan = rows.job(str(uuid4()), spawns=True)
    rows.job(orphan, status="Running", started_at=now)
    seen = {one.parent.id for one in watching().refresh().operations}
    assert orphan in seen
    assert len(seen) == 2


@on_sqlite
def test_many_trees_of_some_levels_take_as_many_statements_as_one(
    watching: Callable[..., MonitorWatch],
    rows: Rows,
    database: Database,
    now: datetime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(monitor, "SHARE", 1_000_000)  # on a busy machine the second refresh would count queues again

    def look() -> int:
        watch = watching()
        watch.refresh()
        before = database.executed
        watch.refresh()
        return database.executed - before

    tree(rows, now, "Running", "Completed")
    few = look()
    database.transaction(lambda: [tree(rows, now, "Running", "Completed") for _ in range(20)])
    assert look() == few
    assert few <= 8
