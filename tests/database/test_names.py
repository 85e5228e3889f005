"""Names are exact on every database, whatever its collation takes for the same."""

from datetime import timedelta
from itertools import combinations

import pytest

from hammerwork_cli.core.ids import new_id
from hammerwork_cli.database import Database
from hammerwork_cli.errors import ConflictError, NotFoundError
from hammerwork_cli.features.job.models.job import JobFilter
from hammerwork_cli.features.job.models.spawn_request import SpawnRequest
from hammerwork_cli.features.job.queries import changes, spawn_requests
from hammerwork_cli.features.job.queries.changes import Delete
from hammerwork_cli.features.job.queries.listing import find
from hammerwork_cli.features.job.queries.selections import ByFilter
from hammerwork_cli.features.queue import queries as queues
from hammerwork_cli.features.queue.model import HealthLimits
from hammerwork_cli.features.spawn.queries import operations
from hammerwork_cli.features.spawn.queries import pending as pending_queries
from hammerwork_cli.features.worker.queries import claim, registry, requests
from hammerwork_cli.features.worker.queries.registry import Registration
from tests.rows import START, Rows

NOW = START + timedelta(hours=10)
NAMES = ("orders", "Orders", "ÓRDERS", "orders ")
WORKER = "11111111-1111-4111-8111-111111111111"


@pytest.fixture
def rows(database: Database) -> Rows:
    """One pending job in each of four queues that a collation takes for the same."""
    made = Rows(database)
    for name in NAMES:
        made.job(queue=name, status="Pending", spawns=True)
    return made


def test_a_worker_takes_jobs_of_its_own_queue_only(database: Database, rows: Rows) -> None:
    taken = claim.claim(database, "orders", worker=WORKER, now=NOW, limit=10, slots=10)
    assert [job.queue_name for job in taken] == ["orders"]
    assert claim.drained(database, ["orders"], NOW)
    assert not claim.drained(database, ["orders", "ÓRDERS"], NOW)


def test_a_pause_holds_one_queue(database: Database, rows: Rows) -> None:
    queues.pause(database, "Orders", by="me", now=NOW)
    for name in NAMES:
        taken = claim.claim(database, name, worker=WORKER, now=NOW, limit=10, slots=10)
        assert [job.queue_name for job in taken] == ([] if name == "Orders" else [name])
    assert claim.drained(database, ["Orders"], NOW)
    assert [pause.queue for pause in queues.all_paused(database, "Orders")] == ["Orders"]
    assert queues.all_paused(database, "orders") == []
    assert not queues.resume(database, "orders").changed
    assert queues.resume(database, "Orders").changed


def test_the_table_of_pauses_has_one_of_the_names_that_its_collation_takes_for_the_same(
    database: Database, rows: Rows
) -> None:
    queues.pause(database, "Orders", by="me", now=NOW)
    if database.dialect == "mysql":
        with pytest.raises(ConflictError, match="'orders' cannot be paused: "):
            queues.pause(database, "orders", by="me", now=NOW)
    else:
        assert queues.pause(database, "orders", by="me", now=NOW).changed


def test_each_queue_is_counted_by_itself(database: Database, rows: Rows) -> None:
    window = timedelta(days=2)
    assert {state.name: state.counts.total for state in queues.states(database, now=NOW)} == dict.fromkeys(NAMES, 1)
    assert {health.state.name for health in queues.health(database, HealthLimits(), now=NOW)} == set(NAMES)
    for name in NAMES:
        detailed = queues.stats(database, now=NOW, queue=name, window=window)
        assert (detailed.state.counts.total, sum(count.jobs for count in detailed.by_priority)) == (1, 1)
        assert queues.states(database, now=NOW, queues=[name])[0].counts.total == 1
        assert queues.health(database, HealthLimits(), now=NOW, queue=name)[0].state.counts.total == 1
    assert not queues.has_jobs(database, "OrderS")


def test_the_filters_of_lists_are_exact(database: Database, rows: Rows) -> None:
    for name in NAMES:
        wanted = JobFilter(queues=(name,))
        assert [job.node.queue for job in find(database, wanted, limit=10).jobs] == [name]
        assert [(group.queue, group.jobs) for group in ByFilter(wanted).read(database).groups] == [(name, 1)]
        assert [found.job.queue for found in pending_queries.pending(database, queues=[name], limit=10)] == [name]
    assert {group.queue for group in ByFilter(JobFilter()).read(database).groups} == set(NAMES)
    for two in combinations(NAMES, 2):
        assert {job.node.queue for job in find(database, JobFilter(queues=two), limit=10).jobs} == {*two}
        assert {state.name for state in queues.states(database, now=NOW, queues=two)} == {*two}
    assert find(database, JobFilter(queues=("OrderS", "nowhere")), limit=10).jobs == []


def test_an_operation_is_found_by_its_very_id(database: Database) -> None:
    rows = Rows(database)
    ids = ("night-1", "Night-1", "night-1 ", "nïght-1")
    parents = {name: rows.job(spawns={"operation_id": name}) for name in ids}
    for name, parent in parents.items():
        found = operations.operations(database, limit=10, operations=[name])
        assert [operation.parent.id for operation in found] == [parent]
    assert operations.operations(database, limit=10, operations=["night-1  "]) == []
    found = operations.operations(database, limit=10, operations=["Night-1", "night-1 ", "nowhere"])
    assert {operation.parent.id for operation in found} == {parents["Night-1"], parents["night-1 "]}


def test_a_worker_is_found_by_its_very_name(database: Database) -> None:
    names = ("w-1", "W-1", "w-1 ", "ẃ-1")
    for name in names:
        worker = Registration(new_id(), name, "host", 1, "1", ("orders",), (), 1, 30.0)
        registry.register(database, worker)
        assert registry.resolve(database, name).id == worker.id
    with pytest.raises(NotFoundError):
        registry.resolve(database, "w-1  ")


def test_a_schedule_is_read_as_it_is_written(database: Database) -> None:
    rows = Rows(database)
    for number, schedule in enumerate(("@daily", "@Daily", "@daily ")):
        rows.job(recurring=True, cron_schedule=schedule, timezone=("UTC", "utc")[number % 2])
    assert len(database.rows("spawn.doctor.completed_schedules", queues=(), completed=("Completed",))) == 3


def test_deleting_the_jobs_of_one_queue_leaves_those_of_the_others(database: Database, rows: Rows) -> None:
    outcome = changes.run(database, ByFilter(JobFilter(queues=("orders",))), Delete(NOW))
    assert outcome.changed == 1
    assert {state.name for state in queues.states(database, now=NOW)} == {*NAMES} - {"orders"}


def test_a_worker_sees_the_requests_that_it_serves_and_no_others_hide_them(database: Database, rows: Rows) -> None:
    def ask(queue: str, handler: str | None) -> SpawnRequest:
        job = rows.job(queue=queue)
        return spawn_requests.request(database, job, handler=handler, config=None, by="me", now=NOW)

    for number in range(25):
        ask("elsewhere", None if number % 2 else "split")
    mine = [ask("orders", None), ask("elsewhere", "Split"), ask("Split", None)]
    for queue, handler in (("orders ", None), ("ÓRDERS", None), ("orders", "split"), ("orders", "SPLIT")):
        ask(queue, handler)
    worker = Registration(WORKER, "w", "host", 1, "1", ("orders",), ("Split",), 1, 30.0)
    assert {request.id for request in requests.pending_requests(database, worker)} == {ask.id for ask in mine}
