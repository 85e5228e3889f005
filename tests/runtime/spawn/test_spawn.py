"""What a worker does when a job spawns others."""

import contextlib
import json
import threading
import time
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Any

import pytest

from hammerwork_cli import (
    Handlers,
    Job,
    JobPriority,
    RetryStrategy,
    SpawnConfig,
    SpawnContext,
    SpawnHandler,
    SpawnResult,
    Worker,
)
from hammerwork_cli.core.ids import new_id
from hammerwork_cli.core.values import id_list
from hammerwork_cli.database import connect
from hammerwork_cli.features.job.queries import spawn_requests
from hammerwork_cli.features.tree.queries import records
from hammerwork_cli.features.tree.queries import tree as tree_queries
from hammerwork_cli.features.worker.queries import ancestry, claim
from hammerwork_cli.features.worker.queries import spawn as spawn_queries
from hammerwork_cli.features.worker.queries.ancestry import Spawner
from hammerwork_cli.features.worker.queries.finish import AttemptEnd, EndedAttempt
from hammerwork_cli.features.worker.queries.spawn import LostClaimError, Operation
from tests.conftest import all_databases
from tests.runtime.conftest import PATIENCE, Stage, mariadb_too

SOON = RetryStrategy.fixed(timedelta(milliseconds=1))
WORKER = "11111111-1111-4111-8111-111111111111"


def spawner(app: Handlers, name: str = "parent", children: int = 3) -> None:
    app.register_job(name, lambda job: "ran")  # noqa: ARG005  only its result counts

    @app.spawn(name)
    def spawn(context: SpawnContext) -> Iterator[Job]:
        for number in range(children):
            yield Job("noop", {"number": number})


def test_a_parent_and_its_children_are_written_together(stage: Stage, app: Handlers) -> None:
    spawner(app)
    (parent,) = stage.enqueue(Job("parent", {}).with_spawn_config(SpawnConfig(operation_id="op-1")))
    report = stage.work(app)
    assert (report.completed, report.failed) == (4, 0)
    assert json.loads(stage.one(parent, "result_data")) == "ran"
    assert stage.children(parent, "status, dependency_status") == [("Completed", "satisfied")] * 3
    columns = "parent_id, root_id, depth, operation_id, handler, outcome, children"
    assert stage.operations(columns) == [(parent.id, parent.id, 0, "op-1", "parent", "spawned", 3)]
    tree = tree_queries.tree(stage.database, parent.id)
    assert len(tree.nodes) == 4


def test_handlers_may_be_classes_generators_lists_or_coroutines(stage: Stage, app: Handlers) -> None:
    told = []

    class Class(SpawnHandler):
        def validate_spawn(self, parent_job: Job, config: SpawnConfig) -> None:
            assert config.metadata == {"x": 1}

        def spawn_jobs(self, context: SpawnContext) -> list[Job]:
            return [Job("noop", {"of": context.parent_job.id})]

        def on_spawn_complete(self, result: Any) -> None:
            told.append((result.children, result.operation_id, len(result.child_ids)))

    async def generator(context: SpawnContext) -> AsyncIterator[Job]:
        for number in range(2):
            yield Job("noop", number)

    async def coroutine(context: SpawnContext) -> list[Job]:
        return [Job("noop", "c")]

    app.register_handler("class", Class())
    app.register_handler("generator", generator)
    app.register_handler("coroutine", coroutine)
    config = SpawnConfig(metadata={"x": 1}, operation_id="told")
    parents = stage.enqueue(*(Job(name, {}).with_spawn_config(config) for name in ("class", "generator", "coroutine")))
    stage.work(app)
    assert [len(stage.children(parent)) for parent in parents] == [1, 2, 1]
    assert told == [(1, "told", 1)]


def test_a_worker_looks_at_once_for_the_children_of_what_it_spawned(stage: Stage, app: Handlers) -> None:
    spawner(app)

    @app.spawn("grandparent")
    def spawn(context: SpawnContext) -> list[Job]:
        return [Job("parent", {"of": context.parent_job.id})]

    stage.enqueue(Job("grandparent", {}))
    worker = Worker(stage.queue, app, drain=True, poll_interval=3600)
    given_up = threading.Timer(PATIENCE, worker.stop)
    given_up.start()
    report = worker.run()
    given_up.cancel()
    assert report.completed == 5


def test_a_handler_is_found_by_the_name_in_the_configuration(stage: Stage, app: Handlers) -> None:
    spawner(app, "somewhere")
    spawner(app, "other", children=1)
    (parent,) = stage.enqueue(Job("other", {}).with_spawn_handler("somewhere"))
    stage.work(app)
    assert len(stage.children(parent)) == 3


def test_the_short_form_of_the_specification_spawns(stage: Stage, app: Handlers) -> None:
    spawner(app, "data_processor")
    app.register_job("large_dataset", lambda job: None)  # noqa: ARG005  it does nothing
    config = {
        "handler": "data_processor",
        "max_spawn_count": 15,
        "operation_id": "op-dataset-123",
        "inherit_priority": True,
        "spawn_delay_ms": 200,
    }
    parent = stage.put("large_dataset", {"dataset_id": "ds-123", "_spawn_config": config})
    stage.work(app)
    assert len(stage.children(parent)) == 3
    due = sorted(row[0] for row in stage.children(parent, "scheduled_at"))
    assert len(set(due)) == 3
    assert stage.operations("operation_id, children") == [("op-dataset-123", 3)]


def test_an_unknown_handler_fails_the_attempt_and_lists_those_there_are(stage: Stage, app: Handlers) -> None:
    spawner(app)
    (job,) = stage.enqueue(Job("noop", {}).with_spawn_handler("nobody").with_max_attempts(1))
    stage.work(app)
    assert stage.one(job) == "Dead"
    assert "There is no spawn handler 'nobody'. Registered: parent." in stage.one(job, "error_message")


@pytest.mark.parametrize("config", ["7", '{"handler": 7}', '{"max_spawn_count": "many"}'])
def test_a_configuration_that_cannot_be_is_an_error_and_spawns_nothing(
    stage: Stage, app: Handlers, config: str
) -> None:
    spawner(app)
    (job,) = stage.enqueue(Job("parent", {}).with_max_attempts(1))
    # Job refuses such a configuration. Other programs may write it.
    stage.execute(f"UPDATE hammerwork_jobs SET payload = '{json.dumps({'_spawn_config': json.loads(config)})}'")
    stage.work(app)
    assert stage.one(job) == "Dead"
    assert stage.children(job) == []


def test_when_spawning_fails_the_attempt_fails_and_nothing_is_spawned(stage: Stage, app: Handlers) -> None:
    tries = []

    @app.spawn("half")
    def half(context: SpawnContext) -> Iterator[Job]:
        tries.append(1)
        yield Job("noop", {})
        if len(tries) < 3:
            raise RuntimeError("half way")

    app.register_job("half", lambda job: None, retry=SOON)  # noqa: ARG005  it does nothing
    (parent,) = stage.enqueue(Job("half", {}))
    stage.work(app)
    assert stage.one(parent, "status, attempts") == ("Completed", 3)
    assert len(stage.children(parent)) == 1


def test_with_on_error_complete_the_parent_completes_and_the_failure_is_recorded(stage: Stage, app: Handlers) -> None:
    class Refuses(SpawnHandler):
        def validate_spawn(self, parent_job: Job, config: SpawnConfig) -> None:
            raise ValueError("nothing to split")

        def spawn_jobs(self, context: SpawnContext) -> list[Job]:
            raise AssertionError(context)

    app.register_handler("parent", Refuses())
    app.register_job("parent", lambda job: 7)  # noqa: ARG005  only its result counts
    (parent,) = stage.enqueue(Job("parent", {}).with_spawn_config(SpawnConfig(on_error="complete")))
    stage.work(app)
    assert stage.one(parent) == "Completed"
    assert json.loads(stage.one(parent, "result_data")) == 7
    ((outcome, children, error),) = stage.operations("outcome, children, error_message")
    assert (outcome, children) == ("failed", 0)
    assert "nothing to split" in error


def test_a_hook_that_fails_after_the_commit_undoes_nothing_and_is_recorded(stage: Stage, app: Handlers) -> None:
    class Loud(SpawnHandler):
        def spawn_jobs(self, context: SpawnContext) -> list[Job]:
            return [Job("noop", {})]

        def on_spawn_complete(self, result: Any) -> None:
            raise ValueError("too late")

    app.register_handler("parent", Loud())
    spawner(app, "another")
    parent, another = stage.enqueue(Job("parent", {}), Job("another", {}))
    stage.work(app)
    assert stage.status(parent, another) == ["Completed"] * 2
    assert stage.children(parent, "status") == [("Completed",)]
    recorded = {str(job): rest for job, *rest in stage.operations("parent_id, outcome, hook_error")}
    assert recorded[another.id] == ["spawned", None]
    outcome, error = recorded[parent.id]
    assert outcome == "spawned"
    assert "too late" in error


@pytest.mark.parametrize(
    ("config", "says"),
    [
        (SpawnConfig(max_spawn_count=2), "max_spawn_count allows 2 children of one job, and this would be 3"),
        (SpawnConfig(max_descendants=2), "max_descendants allows 2 jobs below the root, and this would be 3"),
        (SpawnConfig(max_depth=0), "max_depth allows 0 generations below the root, and this would be 1"),
    ],
)
def test_a_limit_spawns_nothing_and_names_itself_its_value_and_the_root(
    stage: Stage, app: Handlers, config: SpawnConfig, says: str
) -> None:
    spawner(app)
    (parent,) = stage.enqueue(Job("parent", {}).with_spawn_config(config).with_max_attempts(1))
    stage.work(app)
    status, error = stage.one(parent, "status, error_message")
    assert status == "Dead"
    assert says in error
    assert parent.id in error
    assert stage.children(parent) == []


def test_descendants_are_counted_for_the_whole_tree(stage: Stage, app: Handlers) -> None:
    config = SpawnConfig(max_descendants=6)

    @app.spawn("node")
    def split(context: SpawnContext) -> Iterator[Job]:
        for _ in range(2):
            yield Job("node", {}, max_attempts=1).with_spawn_config(config)

    (root,) = stage.enqueue(Job("node", {}).with_spawn_config(config))
    stage.work(app)
    tree = tree_queries.tree(stage.database, root.id)
    assert len(tree.nodes) == 7
    assert sorted(node.status for node in tree.nodes.values()) == ["Completed"] * 3 + ["Dead"] * 4


def test_depth_is_counted_from_the_root_through_parents_of_any_program(stage: Stage, app: Handlers) -> None:
    @app.spawn("node")
    def go_on(context: SpawnContext) -> list[Job]:
        return [Job("node", {}, max_attempts=1)]

    grandparent = Job("noop", {})
    parent = Job("noop", {}).depends_on(grandparent)
    node = Job("node", {}).depends_on(parent)
    stage.enqueue(grandparent, parent, node)
    stage.work(app)
    tree = tree_queries.tree(stage.database, node.id)
    # 32 generations below the node: what it depends on did not spawn it.
    assert len(tree.nodes) == 35
    dead = [job for job in tree.nodes.values() if job.status == "Dead"]
    assert len(dead) == 1
    assert f"root {grandparent.id}" in (dead[0].error or "")


def test_unset_options_are_inherited_and_set_ones_are_not(stage: Stage, app: Handlers) -> None:
    strategy = RetryStrategy.linear(timedelta(seconds=2), timedelta(seconds=1))

    @app.spawn("parent")
    def spawn(context: SpawnContext) -> list[Job]:
        return [Job(None, {"child": 1}), Job("noop", {}, priority=JobPriority.LOW, timeout=timedelta(seconds=9))]

    config = SpawnConfig(inherit_queue=True, inherit_timeout=True, max_depth=1)
    (parent,) = stage.enqueue(
        Job("parent", {}, priority=JobPriority.HIGH, timeout=timedelta(seconds=70))
        .with_retry_strategy(strategy)
        .with_trace_id("trace-7")
        .with_correlation_id("corr-7")
        .with_spawn_config(config)
    )
    stage.work(app, max_jobs=1, drain=False)
    found = sorted(
        stage.children(parent, "queue_name, priority, timeout_seconds, trace_id, correlation_id, retry_strategy")
    )
    assert [row[:5] for row in found] == [
        ("noop", 1, 9, "trace-7", "corr-7"),
        ("parent", 3, 70, "trace-7", "corr-7"),
    ]
    assert RetryStrategy._parse(found[0][5]) == strategy


def test_a_chain_of_siblings_is_kept_and_runs_in_order(stage: Stage, app: Handlers) -> None:
    order: list[str] = []
    for name in ("extract", "transform", "load"):
        app.register_job(name, lambda job: order.append(job.queue or ""))

    @app.spawn("etl")
    def decompose(context: SpawnContext) -> Iterator[Job]:
        before = context.parent_job
        for name in ("extract", "transform", "load"):
            before = Job(name, {}).depends_on(before)
            yield before

    (parent,) = stage.enqueue(Job("etl", {}))
    stage.work(app)
    assert order == ["extract", "transform", "load"]
    assert len(stage.children(parent)) == 1
    assert stage.operations("children") == [(3,)]


def test_a_child_that_depends_on_another_job_waits_for_it_and_is_refused_if_that_failed(
    stage: Stage, app: Handlers
) -> None:
    later, dead = stage.enqueue(Job("later", {}), Job("later", {}))
    stage.execute(f"UPDATE hammerwork_jobs SET status = 'Dead' WHERE id = '{dead.id}'")

    @app.spawn("parent")
    def spawn(context: SpawnContext) -> list[Job]:
        return [Job("noop", {}).depends_on(context.parent_job.payload)]

    good, bad, missing = stage.enqueue(*(Job("parent", id, max_attempts=1) for id in (later.id, dead.id, new_id())))
    stage.work(app, queues=("parent", "noop"))
    assert stage.status(good, bad, missing) == ["Completed", "Dead", "Dead"]
    ((status, waits, parents),) = stage.children(good, "status, dependency_status, depends_on")
    assert (status, waits) == ("Pending", "waiting")
    assert set(id_list(parents)) == {good.id, later.id}
    app.register_job("later", lambda job: None)  # noqa: ARG005  it does nothing
    stage.work(app, queues=("later", "noop"))
    assert stage.children(good, "status") == [("Completed",)]


@mariadb_too
def test_the_children_of_a_generator_are_drained_before_the_transaction_and_all_written(
    stage: Stage, app: Handlers
) -> None:
    spawner(app, children=1210)
    (parent,) = stage.enqueue(Job("parent", {}).with_spawn_config(SpawnConfig(max_spawn_count=None)))
    stage.work(app, max_jobs=1, drain=False)
    assert len(stage.children(parent)) == 1210
    numbers = {json.loads(row[0])["number"] for row in stage.children(parent, "payload")}
    assert numbers == set(range(1210))


def test_a_delay_spreads_the_batches_over_time(stage: Stage, app: Handlers) -> None:
    spawner(app, children=5)
    config = SpawnConfig(spawn_delay=timedelta(hours=1), batch_size=2)
    (parent,) = stage.enqueue(Job("parent", {}).with_spawn_config(config))
    began = time.monotonic()
    stage.work(app)
    assert time.monotonic() - began < 60
    due = sorted(stage.timestamp(job, "scheduled_at") for (job,) in stage.children(parent))
    assert [round((when - due[0]) / timedelta(hours=1)) for when in due] == [0, 0, 1, 1, 2]


def test_children_spawned_at_once_run_before_their_parent_ends_and_are_found_again_by_key(
    stage: Stage, app: Handlers
) -> None:
    seen: list[str] = []

    @app.job("live", retry=SOON)
    def live(job: Job, context: SpawnContext) -> None:
        for number in range(3):
            child = context.spawn(Job("noop", {"number": number}), key=f"part-{number}")
            if job.attempts == 1:
                seen.append(child.id)
            else:
                assert child.id == seen[number]
        deadline = time.monotonic() + 20
        while stage.database.query("SELECT count(*) FROM hammerwork_jobs WHERE status = 'Completed'")[0][0] < 3:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        if job.attempts == 1:
            raise ValueError("once more")

    (parent,) = stage.enqueue(Job("live", {}))
    stage.work(app)
    assert stage.one(parent, "status, attempts") == ("Completed", 2)
    assert sorted(row[0] for row in stage.children(parent)) == sorted(seen)


def test_children_by_key_of_a_parent_that_fails_for_good_fail_too(stage: Stage, app: Handlers) -> None:
    @app.job("live", retry=SOON)
    def live(job: Job, context: SpawnContext) -> None:
        context.spawn(Job("nobody", {}), key="one")
        raise ValueError

    (parent,) = stage.enqueue(Job("live", {}).with_max_attempts(2))
    stage.work(app)
    assert stage.one(parent) == "Dead"
    assert stage.children(parent, "status, dependency_status") == [("Failed", "failed")]


def test_children_by_key_are_limited_too(stage: Stage, app: Handlers) -> None:
    @app.job("live")
    def live(job: Job, context: SpawnContext) -> None:
        for number in range(3):
            context.spawn(Job("noop", {}), key=str(number))

    (parent,) = stage.enqueue(Job("live", {}, max_attempts=1).with_spawn_config(SpawnConfig(max_spawn_count=2)))
    app.register_handler("live", lambda context: [])  # noqa: ARG005  nothing more at its end
    stage.work(app, queues=("live",))
    assert stage.one(parent) == "Dead"
    assert "max_spawn_count" in stage.one(parent, "error_message")


def test_each_run_of_a_recurring_parent_spawns_anew(stage: Stage, app: Handlers) -> None:
    @app.job("live")
    def live(job: Job, context: SpawnContext) -> None:
        context.spawn(Job("noop", {}), key="same")

    spawner(app, "parent", children=2)
    live_job, parent = stage.enqueue(
        Job("live", {}).with_cron("0 0 3 * * *"), Job("parent", {}).with_cron("0 0 4 * * *")
    )
    for number in range(2):
        stage.execute(
            "UPDATE hammerwork_jobs SET scheduled_at = created_at"
            " WHERE status = 'Pending' AND cron_schedule IS NOT NULL"
        )
        if number:
            later = stage.database.json_timestamp(stage.database.now() + timedelta(days=3))
            stage.execute(f"UPDATE hammerwork_jobs SET next_run_at = '{later}' WHERE cron_schedule IS NOT NULL")
        stage.work(app)
    assert len(stage.children(live_job)) == 2
    assert len(stage.children(parent)) == 4
    assert {row[0] for row in stage.children(parent, "status")} == {"Completed"}


def test_a_completed_parent_that_is_retried_does_not_spawn_again_unless_it_may(stage: Stage, app: Handlers) -> None:
    asked: list[str] = []

    @app.spawn("parent")
    def spawns(context: SpawnContext) -> list[Job]:
        asked.append(context.parent_job.id)
        return [Job("noop"), Job("noop"), Job("noop")]

    (parent, other) = stage.enqueue(Job("parent", {}), Job("parent", {}))
    stage.work(app)
    assert sorted(asked) == sorted([parent.id, other.id])
    for expected in (3, 6):
        if expected == 6:
            stage.database.transaction(lambda: records.allow_again(stage.database, [parent.id]))
        stage.enqueue(Job("parent", {}))  # spawns beside it, in the same claim
        stage.execute(f"UPDATE hammerwork_jobs SET status = 'Pending', attempts = 0 WHERE id = '{parent.id}'")
        stage.work(app)
        assert stage.one(parent) == "Completed"
        assert len(stage.children(parent)) == expected
        assert asked.count(parent.id) == expected // 3
    assert len(asked) == 5


@mariadb_too
def test_a_request_makes_a_completed_job_spawn_again_once(stage: Stage, app: Handlers) -> None:
    spawner(app)
    spawner(app, "another", children=2)
    (parent,) = stage.enqueue(Job("parent", {}))
    stage.work(app)
    now = stage.database.now()
    request = spawn_requests.request(stage.database, parent.id, handler="another", config=None, by="test", now=now)
    bad = spawn_requests.request(
        stage.database,
        stage.children(parent)[0][0],
        handler="parent",
        config=SpawnConfig(max_spawn_count=1),
        by="x",
        now=now,
    )
    _serve_requests(stage, app, {request.id, bad.id})
    assert len(stage.children(parent)) == 5
    (done,) = spawn_requests.requests(stage.database, parent.id)
    assert (done.state, done.children, done.error) == ("done", 2, None)
    (failed,) = spawn_requests.requests(stage.database, bad.job_id)
    assert failed.state == "failed"
    assert "max_spawn_count" in (failed.error or "")


def test_a_worker_that_drains_fulfils_the_requests_before_it_ends(stage: Stage, app: Handlers) -> None:
    spawner(app)
    (parent,) = stage.enqueue(Job("parent", {}))
    stage.work(app)
    for _ in range(3):
        spawn_requests.request(stage.database, parent.id, handler=None, config=None, by="x", now=stage.database.now())
        stage.work(app)
    assert {request.state for request in spawn_requests.requests(stage.database, parent.id)} == {"done"}
    assert len(stage.children(parent)) == 12


def _serve_requests(stage: Stage, app: Handlers, ids: set[str]) -> None:
    import threading

    from hammerwork_cli import Worker

    worker = Worker(stage.url, app, lease=0.6, poll_interval=0.05)
    thread = threading.Thread(target=worker.run)
    thread.start()
    deadline = time.monotonic() + 30
    listed = ", ".join(f"'{request}'" for request in ids)
    sql = f"SELECT count(*) FROM hammerwork_spawn_requests WHERE id IN ({listed}) AND state IN ('done', 'failed')"
    while stage.database.query(sql)[0][0] < len(ids):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    worker.stop()
    thread.join(20)


def _claimed(stage: Stage, queue: str = "parent") -> tuple[Any, Operation, Any]:
    stage.enqueue(Job(queue, {}))
    now = stage.database.now() + timedelta(seconds=1)
    (job,) = claim.claim(stage.database, queue, worker=WORKER, now=now, limit=1, slots=1)
    spawner = Spawner.of(job, ancestry.of(stage.database, job), SpawnConfig())
    return job, Operation(new_id(), spawner, queue, SpawnConfig(), now, 2), now


def _batches(parent: str, now: Any) -> Any:
    jobs = [Job("noop", {}).depends_on(parent)._new_job(now) for _ in range(2)]
    for job in jobs:
        job.dependency_status = "satisfied"
    return lambda: [jobs]


@all_databases
def test_a_spawn_whose_answer_was_lost_and_that_is_written_again_is_one(stage: Stage) -> None:
    job, operation, now = _claimed(stage)
    batches = _batches(job.id, now)
    for expected in ({"noop": 2}, {}):
        report = spawn_queries.complete(
            stage.database, EndedAttempt(job, AttemptEnd.COMPLETED), operation, batches, now=now
        )
        assert not report.lost
        assert report.released == expected
    assert len(stage.children(job.id)) == 2
    assert len(stage.operations()) == 1


@all_databases
def test_a_worker_that_lost_its_claim_spawns_nothing(stage: Stage) -> None:
    other, recorded, then = _claimed(stage)
    batches = _batches(other.id, then)
    spawn_queries.complete(stage.database, EndedAttempt(other, AttemptEnd.COMPLETED), recorded, batches, now=then)
    job, operation, now = _claimed(stage)
    stage.execute("UPDATE hammerwork_jobs SET status = 'Pending', started_at = NULL, claim_token = NULL")
    report = spawn_queries.complete(
        stage.database, EndedAttempt(job, AttemptEnd.COMPLETED), operation, _batches(job.id, now), now=now
    )
    assert report.lost == {job.id}
    assert stage.children(job.id) == []
    child = Job("noop", {}).depends_on(job.id)._new_job(now)
    with pytest.raises(LostClaimError):
        spawn_queries.spawn_now(stage.database, operation.spawner, "key", child, now=now)
    assert stage.children(job.id) == []
    assert [str(parent) for (parent,) in stage.operations("parent_id")] == [other.id]


@all_databases
def test_an_error_in_the_middle_of_the_children_leaves_none_and_a_parent_that_runs(stage: Stage) -> None:
    job, operation, now = _claimed(stage)
    batches = _batches(job.id, now)

    def breaking() -> Iterator[Any]:
        yield from batches()
        raise RuntimeError("the process died here")

    with pytest.raises(RuntimeError):
        spawn_queries.complete(stage.database, EndedAttempt(job, AttemptEnd.COMPLETED), operation, breaking, now=now)
    assert stage.children(job.id) == []
    assert stage.one(job.id) == "Running"


@all_databases
def test_two_who_spawn_under_one_key_write_one_child(stage: Stage) -> None:
    import threading

    job, operation, now = _claimed(stage)
    found: list[tuple[str, bool]] = []
    barrier = threading.Barrier(4)

    def spawn() -> None:
        with contextlib.closing(connect(stage.url)) as database:
            child = Job("noop", {}).depends_on(job.id)._new_job(now)
            barrier.wait(20)
            found.append(spawn_queries.spawn_now(database, operation.spawner, "same", child, now=now))

    threads = [threading.Thread(target=spawn) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len({child for child, _ in found}) == 1
    assert [new for _, new in found].count(True) == 1
    assert len(stage.children(job.id)) == 1


def test_a_job_whose_spawn_handler_yields_nothing_ends_as_any_other(
    stage: Stage, app: Handlers, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[int] = []

    class Hooked(SpawnHandler):
        def spawn_jobs(self, context: SpawnContext) -> list[Job]:
            return []

        def on_spawn_complete(self, result: SpawnResult) -> None:
            heard.append(result.children)

    app.register_job("quiet", lambda job: job.payload)
    app.register_handler("quiet", lambda context: ())  # noqa: ARG005
    app.register_handler("hooked", Hooked())
    quiet = stage.enqueue(*(Job("quiet", number) for number in range(50)))
    configured, hooked = stage.enqueue(Job("quiet", {}).with_spawn_config(SpawnConfig()), Job("hooked"))
    caplog.set_level("INFO", "hammerwork")
    stage.work(app)
    assert stage.status(*quiet, configured, hooked) == ["Completed"] * 52
    assert stage.queue.results(quiet) == {job.id: job.payload for job in quiet}
    recorded = {str(parent) for parent, *_ in stage.operations()}
    assert (recorded, heard) == ({configured.id, hooked.id}, [0])  # what somebody has asked for
    assert "spawned" not in caplog.text
