"""Operations, their figures, and pending spawns."""

from datetime import timedelta
from uuid import uuid4

import pytest

from hammerwork_cli.core.values import JobStatus
from hammerwork_cli.database import Database
from hammerwork_cli.features.spawn.queries import operations
from hammerwork_cli.features.spawn.queries import pending as pending_queries
from hammerwork_cli.features.spawn.queries import stats as stats_queries
from tests.database.conftest import readable_on_sqlite
from tests.rows import START, Rows

EVER = START - timedelta(days=1)


def listed(database: Database, **filters: object) -> list[str]:
    return [operation.parent.id for operation in operations.operations(database, limit=100, **filters)]  # type: ignore[arg-type]


def test_operations_count_their_children_by_status_and_last_to_the_last_end(readable: Database, rows: Rows) -> None:
    timed, first = rows.job(spawns=True), START + timedelta(minutes=1)
    for seconds in (0, 5, 9):
        begun = first + timedelta(seconds=seconds)
        rows.job(timed, created_at=begun, completed_at=begun + timedelta(seconds=1))
    parent = rows.job(spawns=True)
    other = rows.job()
    for status in (
        "Completed",
        "completed",
        '"Completed"',
        "Dead",
        "Failed",
        "TimedOut",
        "Running",
        "Pending",
        "pending",
    ):
        rows.job(parent, status=status)
    rows.job(other, parent, status="Completed")
    operation, ended = operations.operations(readable, limit=20)
    assert (operation.parent.id, ended.parent.id) == (parent, timed)
    assert ended.wall_time == timedelta(seconds=10)
    assert operation.children.by_status == {
        "Completed": 4,
        "Dead": 1,
        "Failed": 1,
        "TimedOut": 1,
        "Running": 1,
        "Pending": 2,
    }
    assert operation.success_rate == pytest.approx(4 / 7)
    assert operation.finished_at is None


def test_operations_are_listed_newest_first_and_filtered(readable: Database, rows: Rows) -> None:
    old = rows.job(queue="a", spawns={"operation_id": "one"})
    failed = rows.job(queue="b", spawns={"operation_id": "two"}, status='"Dead"')
    new = rows.job(queue="a", spawns=True, status="running")
    for parent in (old, failed, new):
        rows.job(parent)
    assert listed(readable) == [new, failed, old]
    assert listed(readable, queues=["a"]) == [new, old]
    assert listed(readable, statuses=[JobStatus.DEAD, JobStatus.FAILED]) == [failed]
    assert listed(readable, operations=["one"]) == [old]
    assert listed(readable, since=START + timedelta(seconds=2)) == [new, failed]
    assert [operation.parent.id for operation in operations.operations(readable, limit=1)] == [new]


def test_parents_that_ended_without_a_child_are_listed_and_jobs_to_come_say_what_for(
    readable: Database, rows: Rows
) -> None:
    rows.job()
    ended = rows.job(spawns=True, status="Completed")
    dead = rows.job(spawns=True, status="Dead")
    ahead = rows.job(spawns=True, status="pending")
    recurring = rows.job(spawns=True, status="Pending")
    rows.job(recurring)
    second_parent = rows.job(spawns=True, status="Running")
    rows.job(ended, second_parent)
    assert set(listed(readable)) == {ended, dead, recurring, second_parent}
    never = rows.job(spawns=True, status='"Completed"')
    done, running = rows.job(), rows.job(status="Running")
    waiting = rows.job(done, running, status="Pending", dependency_status="waiting")
    stuck = rows.job(done, str(uuid4()), status="Pending", dependency_status="waiting")
    found = {pending.job.id: pending for pending in pending_queries.pending(readable, limit=50)}
    assert {job: pending.reason for job, pending in found.items()} == {
        ahead: "will_spawn",
        never: "never_spawned",
        waiting: "waiting",
        stuck: "stuck",
    }
    assert found[waiting].waits_for.by_status == {"Completed": 1, "Running": 1}
    assert found[stuck].waits_for.by_status == {"Completed": 1, "missing": 1}


def test_figures_of_a_window(readable: Database, rows: Rows) -> None:
    rows.job(spawns=True, created_at=EVER - timedelta(days=1))
    root = rows.job(queue="a", spawns={"handler": "fan"})
    for seconds in range(1, 11):
        begun = START + timedelta(minutes=1)
        rows.job(root, started_at=begun, completed_at=begun + timedelta(seconds=seconds))
    inner = rows.job(root, queue="b", spawns={"handler": "deep"}, status="Running")
    rows.job(inner, status="Dead")
    rows.job(spawns=True, status="Completed")
    figures = stats_queries.stats(readable, since=EVER, recent=START + timedelta(seconds=5), detailed=True)
    assert (figures.overall.operations, figures.overall.children, figures.overall.largest) == (2, 12, 11)
    assert figures.overall.average == 6
    assert figures.overall.success_rate == pytest.approx(10 / 11)
    assert (figures.empty, figures.recent, figures.depth) == (1, 1, 2)
    assert figures.p50 == pytest.approx(timedelta(seconds=5), abs=timedelta(milliseconds=2))
    assert figures.p95 == pytest.approx(timedelta(seconds=10), abs=timedelta(milliseconds=2))
    assert {(group.name, group.operations) for group in figures.by_queue or ()} == {("a", 1), ("b", 1)}
    assert {(group.name, group.children) for group in figures.by_handler or ()} == {("fan", 11), ("deep", 1)}
    only = stats_queries.stats(readable, since=EVER, recent=START, queues=["b"])
    assert (only.overall.operations, only.overall.completed, only.p50) == (1, 0, None)


def children_of_many_lengths(rows: Rows, *, random: bool) -> None:
    root = rows.job(spawns=True)
    with rows.at_once():
        for number in range(256):
            first_digits = number << 24 if random else number
            length = timedelta(seconds=number * 157 % 256)
            rows.job(
                root,
                id=f"{first_digits:08x}-0000-4000-8000-{number:012x}",
                started_at=START,
                completed_at=START + length,
            )


def check_figures_of(database: Database, timed: int) -> None:
    figures = stats_queries.stats(database, since=EVER, recent=START)
    assert (figures.overall.completed, figures.timed) == (256, timed)
    assert figures.p50 == pytest.approx(timedelta(seconds=128), abs=timedelta(seconds=8))
    assert figures.p95 == pytest.approx(timedelta(seconds=243), abs=timedelta(seconds=8))


def test_run_times_of_very_many_children_are_those_of_a_sample(
    readable: Database, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stats_queries, "MOST_TIMED", 64)
    children_of_many_lengths(rows, random=True)
    check_figures_of(readable, 64)


@readable_on_sqlite
def test_run_times_of_children_whose_ids_are_not_random_are_those_of_all(
    readable: Database, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stats_queries, "MOST_TIMED", 64)
    children_of_many_lengths(rows, random=False)
    check_figures_of(readable, 256)


@readable_on_sqlite
def test_figures_count_children_of_several_parents_for_each(readable: Database, rows: Rows) -> None:
    parents = [rows.job(spawns=True), rows.job(spawns=True)]
    rows.job(*parents)
    figures = stats_queries.stats(readable, since=EVER, recent=EVER)
    assert (figures.overall.operations, figures.overall.children) == (2, 2)


def test_figures_are_the_same_however_many_parents_need_rows_of_their_own(
    readable: Database, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = rows.job(spawns=True, created_at=EVER - timedelta(days=1))
    root = rows.job(spawns=True)
    middle, top = rows.job(root, spawns=True), rows.job(older, spawns=True)
    single = rows.job(top, status="Dead")
    rows.job(single, middle, top, status="Failed")
    rows.job(middle, top)
    rows.job(spawns=True, status="Completed")

    def figures(**more: bool) -> tuple[object, ...]:
        found = stats_queries.stats(readable, since=EVER, recent=START, **more)
        return found.overall, found.depth, found.recent, found.empty

    overall, depth, recent, empty = together = figures()
    assert (overall.operations, overall.children, overall.largest, overall.failed) == (3, 6, 3, 3)
    assert (depth, recent, empty) == (2, 3, 1)
    monkeypatch.setattr(type(readable), "read_chunk", 1)
    assert figures() == figures(detailed=True) == together


@readable_on_sqlite
def test_nothing_spawned_has_figures_of_nothing(readable: Database) -> None:
    figures = stats_queries.stats(readable, since=EVER, recent=EVER, detailed=True)
    assert (figures.overall.operations, figures.overall.average, figures.overall.success_rate) == (0, None, None)
    assert figures.slowest == ()


def test_the_slowest_operations_come_first(readable: Database, rows: Rows) -> None:
    slow, quick, unfinished = (rows.job(spawns=True) for _ in range(3))
    begun = START + timedelta(minutes=1)
    for minutes in (9, 0.5):
        rows.job(slow, created_at=begun, completed_at=begun + timedelta(minutes=minutes))
    rows.job(quick, created_at=begun, completed_at=begun + timedelta(minutes=1))
    rows.job(unfinished, status="Running")
    slowest = stats_queries.stats(readable, since=EVER, recent=EVER, detailed=True).slowest or ()
    assert [operation.parent.id for operation in slowest] == [slow, quick]
