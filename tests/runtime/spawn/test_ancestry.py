"""How far a job that no worker of ours spawned is followed upward."""

import contextlib
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from hammerwork_cli.database import Database, connect
from hammerwork_cli.features.tree.ancestry import Ancestry
from hammerwork_cli.features.tree.queries import release
from hammerwork_cli.features.worker.queries import ancestry, claim
from hammerwork_cli.features.worker.queries.claim import Claimed
from tests.rows import START, Rows

pytestmark = pytest.mark.sqlite


@pytest.fixture
def rows(new_database: Callable[..., str]) -> Iterator[Rows]:
    """Writes into an SQLite file."""
    with contextlib.closing(connect(new_database("sqlite", migrated=True))) as database:
        yield Rows(database)


def claimed(database: Database, rows: Rows, *parents: str, **columns: Any) -> Claimed:
    rows.job(*parents, queue="last", status="Pending", dependency_status="satisfied", **columns)
    now = START + timedelta(days=1)
    (job,) = claim.claim(database, "last", worker="worker", now=now, limit=1, slots=1)
    return job


def test_a_job_is_followed_upward_so_far_and_no_further(rows: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ancestry, "MOST_LEVELS", 3)
    chain = [rows.job()]
    for _ in range(5):
        chain.append(rows.job(chain[-1]))
    assert ancestry.of(rows.database, claimed(rows.database, rows, chain[-1])).root == chain[-3]


def test_a_job_whose_row_tells_its_place_is_not_followed_upward(rows: Rows) -> None:
    place = Ancestry(rows.job(), "", 7)
    job = claimed(rows.database, rows, rows.job(), ancestry=place.stored())
    before = rows.database.executed
    assert (ancestry.of(rows.database, job), rows.database.executed - before) == (place, 0)


def test_a_circle_above_a_job_is_gone_round_once(rows: Rows) -> None:
    one = rows.job(depends_on=None)
    two = rows.job(one)
    rows.run(f"UPDATE hammerwork_jobs SET depends_on = '[\"{two}\"]' WHERE id = '{one}'")
    before = rows.database.executed
    assert ancestry.of(rows.database, claimed(rows.database, rows, two)).root == one
    assert rows.database.executed - before < 20


def test_of_several_parents_the_first_that_is_there_counts(rows: Rows) -> None:
    one, two = rows.job(), rows.job()
    gone = "99999999-9999-4999-8999-999999999999"
    assert ancestry.of(rows.database, claimed(rows.database, rows, gone, two, one)).root == two


def test_a_child_does_not_wait_for_the_one_that_spawned_it_early_whatever_else_it_depends_on(rows: Rows) -> None:
    spawner, last = rows.job(status="Running"), rows.job()
    others = [rows.job(), rows.job(status="Archived"), rows.job(status="Pending", recurring=True), last]
    place = Ancestry(spawner).child(spawner=spawner).stored()
    early, plain = (
        rows.job(spawner, *others, status="Pending", dependency_status="waiting", ancestry=stored)
        for stored in (place, None)
    )
    released = rows.database.transaction(lambda: release.release(rows.database, [last]))
    assert released == {"work": 1}
    states = "SELECT id, dependency_status FROM hammerwork_jobs WHERE dependency_status <> 'none'"
    assert dict(rows.database.query(states)) == {early: "satisfied", plain: "waiting"}


def test_a_dependency_is_a_generation_where_its_parent_spawns_and_had_begun_before(rows: Rows) -> None:
    before, after = START - timedelta(hours=1), START + timedelta(hours=1)
    parents = {
        "spawned it": rows.job(spawns=True, started_at=before),
        "began later": rows.job(spawns=True, started_at=after),
        "began at its moment": rows.job(spawns=True, started_at=START),
        "spawns nothing": rows.job(started_at=before),
    }
    depths = {
        name: ancestry.of(rows.database, claimed(rows.database, rows, job, created_at=START)).depth
        for name, job in parents.items()
    }
    assert depths == {"spawned it": 1, "began later": 0, "began at its moment": 1, "spawns nothing": 0}


def test_an_archived_parent_is_followed_upward_too(rows: Rows) -> None:
    row = {"id": "99999999-9999-4999-8999-999999999999", "queue_name": "work", "payload": b"{}", "status": "Completed"}
    times = {"created_at": START, "scheduled_at": START, "archived_at": START}
    rows.insert("hammerwork_jobs_archive", {**row, **times})
    assert ancestry.of(rows.database, claimed(rows.database, rows, str(row["id"]))) == Ancestry(str(row["id"]))


def test_a_dependency_on_a_parent_that_spawns_is_a_generation_where_a_time_cannot_be_read(rows: Rows) -> None:
    times = {"the child's": (START, "yesterday"), "the parent's": ("yesterday", START), "both": ("", "")}
    depths = {}
    for name, (started_at, created_at) in times.items():
        parent = rows.job(spawns=True, started_at=started_at)
        depths[name] = ancestry.of(rows.database, claimed(rows.database, rows, parent, created_at=created_at)).depth
    assert depths == {"the child's": 1, "the parent's": 1, "both": 1}


def test_a_dependency_is_a_generation_where_its_parent_itself_is_recorded_to_have_spawned(rows: Rows) -> None:
    elsewhere = rows.job(ancestry=Ancestry("99999999-9999-4999-8999-999999999999", "", 7).stored())
    late, early, neither = (rows.job() for _ in range(3))
    operation = {"id": late, "parent_id": late, "root_id": late, "depth": 0, "occurrence": "", "outcome": "spawned"}
    rows.insert("hammerwork_spawn_operations", {**operation, "children": 1, "started_at": START, "ended_at": START})
    child = {"parent_id": early, "occurrence": "", "spawn_key": "a", "child_id": elsewhere, "spawned_at": START}
    rows.insert("hammerwork_spawned_children", child)
    places = {job: ancestry.of(rows.database, claimed(rows.database, rows, job)) for job in (late, early, neither)}
    assert places == {late: Ancestry(late, "", 1), early: Ancestry(early, "", 1), neither: Ancestry(neither)}
