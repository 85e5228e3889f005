"""What waits for others runs after them, in every state of a database that workers meet."""

import pytest

from hammerwork_cli import Handlers, Job, Queue, Worker
from hammerwork_cli.core.values import WAITING_SPELLINGS
from hammerwork_cli.database import Database
from hammerwork_cli.features.job.queries import dependencies, enqueue
from hammerwork_cli.features.tree.queries import release
from tests.database.conftest import current_only, params
from tests.database.tree.test_tree import archive
from tests.rows import Rows


@current_only
def test_a_waiting_job_runs_once_all_of_its_dependencies_have_completed(readable: Database) -> None:
    order: list[str] = []
    app = Handlers()
    app.register_job("step", lambda job: order.append(job.payload))
    first, other, another = Job("step", "first"), Job("elsewhere"), Job("elsewhere")
    second = Job("step", "second").depends_on(first)
    join = Job("step", "join").depends_on(first, second)
    chain = Job("step", "chain").depends_on(join)
    halves = [Job("step").depends_on(*parents) for parents in ((first, other), (other, first))]
    with Queue(readable.url) as queue:
        # Nobody runs what these two wait for: workers must leave them untouched, with one parent and with several.
        for_others = [Job("step").depends_on(other), Job("step").depends_on(other, another)]
        queue.enqueue_many([*halves, *for_others, chain, join, second, first, other, another])
        Worker(queue, app, drain=True, poll_interval=0.05).run()
    assert order == ["first", "second", "join", "chain"]
    states = "SELECT DISTINCT dependency_status, status FROM hammerwork_jobs WHERE queue_name = 'step'"
    assert set(readable.query(states)) == {("none", "Completed"), ("satisfied", "Completed"), ("waiting", "Pending")}
    # What waits for none of those that ended was not touched.
    touched = readable.query("SELECT id FROM hammerwork_jobs WHERE releases > 0")
    assert {str(job) for (job,) in touched} == {job.id for job in (second, join, chain, *halves)}


@current_only
def test_the_dependents_of_some_jobs_are_found_with_the_jobs_that_they_wait_for(readable: Database, rows: Rows) -> None:
    one, other, another = rows.job(), rows.job(), rows.job()
    waits = {"status": "Pending", "dependency_status": "waiting"}
    found_once = [rows.job(*parents, **waits) for parents in ((one,), (other, one, another), (one, another))]
    rows.job(other, **waits)
    rows.job(one)
    found = dependencies.dependents(readable, [one], ("waiting",), WAITING_SPELLINGS)
    assert sorted(found) == sorted((one, job) for job in found_once)


@current_only
def test_a_dependency_is_found_however_another_program_spells_its_id(readable: Database, rows: Rows) -> None:
    parents = [rows.job(), rows.job()]
    first, second = (
        rows.job(*map(str.upper, ids), status="Pending", dependency_status="waiting") for ids in (parents[:1], parents)
    )
    released = readable.transaction(lambda: release.release(readable, parents[1:]))
    assert released == {"work": 1}
    released = readable.transaction(lambda: release.release(readable, parents[:1]))
    assert released == {"work": 1}
    states = f"SELECT dependency_status FROM hammerwork_jobs WHERE id IN ('{first}', '{second}')"
    assert readable.query(states) == [("satisfied",)] * 2


@pytest.mark.parametrize("readable", params("sqlite"), indirect=True)
def test_a_job_counts_as_it_is_although_the_archive_has_a_copy_of_it(readable: Database, rows: Rows) -> None:
    archived, again = archive(rows), rows.job(status="Pending")
    archive(rows, id=again)
    child = rows.job(archived, again, status="Pending", dependency_status="waiting")
    assert readable.transaction(lambda: release.release(readable, [archived])) == {}
    assert enqueue.living_parents(readable, [archived, again]) == {archived: "Completed", again: "Pending"}
    assert readable.query(f"SELECT dependency_status FROM hammerwork_jobs WHERE id = '{child}'") == [("waiting",)]


@pytest.mark.parametrize("readable", params("sqlite"), indirect=True)
def test_a_job_that_was_claimed_too_early_keeps_the_state_that_tells(readable: Database, rows: Rows) -> None:
    parent = rows.job()
    early, on_time = (rows.job(parent, status=status, dependency_status="waiting") for status in ("Running", "Pending"))
    readable.transaction(lambda: release.release(readable, [parent]))
    found = dict(readable.query("SELECT id, dependency_status FROM hammerwork_jobs"))
    assert (found[early], found[on_time]) == ("waiting", "satisfied")
