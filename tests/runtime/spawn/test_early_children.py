"""Children before the end, and what becomes of dependents of jobs that fail or are changed by hand."""

import threading
import time
from datetime import timedelta
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import pytest

from hammerwork_cli import Handlers, Job, Retry, RetryStrategy, SpawnConfig, SpawnContext
from hammerwork_cli.core.ids import new_id
from hammerwork_cli.core.values import id_list
from hammerwork_cli.errors import ConflictError, HammerworkError, UsageError
from hammerwork_cli.features.job.queries import changes, spawn_requests
from hammerwork_cli.features.job.queries.changes import CancelJobs, RetryJobs
from hammerwork_cli.features.job.queries.selections import ByIds
from hammerwork_cli.features.spawn.queries import failed, operations
from hammerwork_cli.features.spawn.queries import stats as stats_queries
from hammerwork_cli.features.spawn.queries.monitor import MonitorWatch
from hammerwork_cli.features.worker.queries import requests
from hammerwork_cli.features.worker.queries import spawn as spawn_queries
from tests.conftest import all_databases
from tests.jobs import IGNORING
from tests.runtime.conftest import Stage, mariadb_too

SOON = RetryStrategy.fixed(timedelta(milliseconds=1))
KEYS = ("a", "A", "é", "e", "x", "x ", "Straße", "strasse", "😀", "😁")


def change(stage: Stage, job: Job, kind: Any) -> Any:
    return changes.run(stage.database, ByIds([job.id]), kind)


def cancel(stage: Stage, job: Job, *, force: bool = False) -> Any:
    return change(stage, job, CancelJobs(stage.database.now(), by="me", force=force))


def retry(stage: Stage, job: Job, *, force: bool = False, at_once: bool = False) -> Any:
    return change(stage, job, RetryJobs(stage.database.now(), force=force, cancelled=True, at_once=at_once))


def test_keys_are_exact(stage: Stage, app: Handlers) -> None:
    @app.job("live", retry=SOON)
    def live(job: Job, context: SpawnContext) -> None:
        for key in KEYS:
            context.spawn(Job("noop", {"key": key}), key=key)
        if job.attempts == 1:
            raise ValueError("once more")

    (parent,) = stage.enqueue(Job("live", {}))
    stage.work(app)
    assert len(stage.children(parent)) == len(KEYS)


def test_a_key_that_cannot_be_is_refused_in_a_sentence(stage: Stage, app: Handlers) -> None:
    @app.job("live")
    def live(job: Job, context: SpawnContext) -> None:
        keys: tuple[Any, ...] = ("", 7, "x" * 256, "caf\udce9", "nul\0")
        for key in keys:
            with pytest.raises(UsageError, match=r"^The key of a child "):
                context.spawn(Job("noop", {}), key=key)

    (parent,) = stage.enqueue(Job("live", {}))
    stage.work(app)
    assert stage.status(parent) == ["Completed"], stage.one(parent, "error_message")
    assert stage.children(parent) == []


def test_an_early_child_that_depends_on_other_jobs_too_fails_with_its_parent(lite: Stage, app: Handlers) -> None:
    (other,) = lite.enqueue(Job("noop"))
    child = Job("noop").depends_on(other)

    @app.job("parent")
    def parent(job: Job, context: SpawnContext) -> None:
        context.spawn(child, key="child")
        raise ValueError

    (top,) = lite.enqueue(Job("parent").with_max_attempts(1))
    lite.work(app, queues=["parent"])
    assert set(id_list(lite.one(child, "depends_on"))) == {other.id, top.id}
    assert lite.status(top, child, other) == ["Dead", "Failed", "Pending"]


def test_an_early_child_of_a_recurring_job_fails_with_its_occurrence_whatever_else_it_depends_on(
    lite: Stage, app: Handlers
) -> None:
    (other,) = lite.enqueue(Job("noop"))

    @app.job("nightly")
    def nightly(job: Job, context: SpawnContext) -> None:
        del job
        context.spawn(Job("noop").depends_on(other), key="child")
        raise Retry(timedelta(hours=1))

    top, neighbour = lite.enqueue(Job("nightly").with_cron("* * * * * *"), Job("nightly"))
    lite.work(app, queues=["nightly"], drain=False, max_jobs=2)
    lite.execute(f"UPDATE hammerwork_jobs SET status = 'Dead' WHERE id = '{neighbour.id}'")
    cancel(lite, top)
    assert lite.status(top, other) == ["Failed", "Pending"]
    assert [lite.children(one, "status") for one in (top, neighbour)] == [[("Failed",)], [("Pending",)]]


@all_databases
def test_the_same_job_spawned_by_many_of_a_tree_is_there_once(stage: Stage, app: Handlers) -> None:
    together, told = threading.Barrier(4), []

    @app.job("page")
    def crawl(job: Job, context: SpawnContext) -> None:
        together.wait(20)
        for number in range(3):
            url = f"https://example.org/{number}"
            told.append(context.spawn(Job("fetch", {"url": url}, id=str(uuid5(NAMESPACE_URL, url))), key=url).id)
        with pytest.raises(ConflictError, match=told[0]):
            context.spawn(Job("fetch", {"url": "another"}, id=told[0]), key="another")

    pages = stage.enqueue(*(Job("page", {"page": number}, max_attempts=1) for number in range(4)))
    stage.work(app, queues=("page",), concurrency=4)
    assert stage.status(*pages) == ["Completed"] * 4, stage.rows("status, error_message")
    assert len(told) == 12
    assert len(set(told)) == 3
    assert len(stage.rows("id", "queue_name = 'fetch'")) == 3


@pytest.mark.sqlite
def test_a_job_that_was_read_is_not_written_again(lite: Stage, app: Handlers) -> None:
    (known,) = lite.enqueue(Job("noop", {"page": 1}))

    @app.job("live")
    def live(job: Job, context: SpawnContext) -> bool | None:
        return context.spawn(context.queue.get(known), key="known").created

    (parent,) = lite.enqueue(Job("live", {}))
    lite.work(app)
    assert (lite.status(known, parent), lite.one(parent, "result_data")) == (["Completed", "Completed"], "false")


def test_a_late_child_with_the_id_of_another_job_is_refused_by_name(stage: Stage, app: Handlers) -> None:
    (there,) = stage.enqueue(Job("elsewhere", {}))

    @app.spawn("parent")
    def spawn(context: SpawnContext) -> list[Job]:
        return [Job("noop", {}), Job("noop", {}, id=there.id)]

    (parent,) = stage.enqueue(Job("parent", {}, max_attempts=1))
    stage.work(app, queues=("parent",))
    assert stage.one(parent) == "Dead"
    assert f"The child {there.id} cannot be written" in stage.one(parent, "error_message")
    assert stage.children(parent) == []


def test_a_job_that_spawns_by_key_only_may_have_limits(stage: Stage, app: Handlers) -> None:
    @app.job("live")
    def live(job: Job, context: SpawnContext) -> int:
        context.spawn(Job("noop", {}), key="one")
        return context.config.max_spawn_count or 0

    (parent,) = stage.enqueue(Job("live", {}).with_spawn_config(SpawnConfig(max_spawn_count=1)))
    stage.work(app)
    assert stage.status(parent) == ["Completed"]
    assert len(stage.children(parent)) == 1


def test_a_retried_parent_does_not_wait_for_a_child_that_waits_for_it(stage: Stage, app: Handlers) -> None:
    @app.job("live")
    def live(job: Job, context: SpawnContext) -> None:
        (other,) = stage.rows("id", "queue_name = 'other'")[0]
        first = context.spawn(Job("child", {}), key="one")
        second = context.spawn(Job("child", {}).depends_on(other), key="two")
        if job.payload["fails"] and not stage.rows("id", "queue_name = 'again'"):
            raise ValueError("for good")
        deadline = time.monotonic() + 20
        while stage.status(first, second) != ["Completed"] * 2:
            assert time.monotonic() < deadline, stage.rows("queue_name, status, dependency_status")
            time.sleep(0.02)

    app.register_job("child", lambda job: None)  # noqa: ARG005  it does nothing
    app.register_job("other", lambda job: None)  # noqa: ARG005  it does nothing
    parent, _ = stage.enqueue(Job("live", {"fails": True}, max_attempts=1), Job("other", {}))
    stage.work(app, queues=("live",))
    assert stage.one(parent) == "Dead"
    assert stage.children(parent, "status, dependency_status") == [("Failed", "failed")] * 2
    stage.enqueue(Job("again", {}))
    retry(stage, parent)
    assert sorted(stage.children(parent, "status, dependency_status")) == [
        ("Pending", "satisfied"),
        ("Pending", "waiting"),
    ]
    stage.work(app, queues=("live", "child", "other"), concurrency=3)
    assert stage.one(parent) == "Completed", stage.one(parent, "error_message")


def test_dependents_of_jobs_that_fail_along_fail_or_run_at_once_to_the_end(stage: Stage, app: Handlers) -> None:
    flow = new_id()
    stamp = stage.database.json_timestamp(stage.database.now())
    stage.execute(
        "INSERT INTO hammerwork_workflows (id, name, status, created_at, failure_policy, metadata)"
        f" VALUES ('{flow}', 'w', 'running', '{stamp}', 'manual', '{IGNORING}')"
    )

    @app.job("live")
    def live(job: Job, context: SpawnContext) -> None:
        early = context.spawn(Job("never", {}), key="early")
        context.spawn(Job("stays", {}).with_workflow(flow, "w"), key="stays")
        stage.enqueue(
            below := Job("below", {}).depends_on(early),
            Job("goes_on", {}).depends_on(below).with_workflow(flow, "w"),
            Job("last", {}).depends_on(beside := Job("below", {}).depends_on(job)),
            beside,
        )
        raise ValueError("for good")

    stage.enqueue(Job("live", {}, max_attempts=1))
    stage.work(app, queues=("live",))
    found = {queue: (status, state) for queue, status, state in stage.rows("queue_name, status, dependency_status")}
    assert found == {
        "live": ("Dead", "none"),
        "never": ("Failed", "failed"),
        "below": ("Failed", "failed"),
        "stays": ("Pending", "satisfied"),
        "goes_on": ("Pending", "satisfied"),
        "last": ("Failed", "failed"),
    }


def test_cancelling_a_running_parent_fails_its_early_children_and_no_other_change_does(
    stage: Stage, app: Handlers
) -> None:
    begun, going = threading.Semaphore(0), threading.Event()

    @app.job("live")
    def live(job: Job, context: SpawnContext) -> None:
        context.spawn(Job("never", {}), key="early")
        begun.release()
        assert going.wait(20)

    cancelled, retried = stage.enqueue(Job("live", {}), Job("live", {"retried": True}))
    worker = threading.Thread(target=stage.work, args=(app,), kwargs={"queues": ("live",), "max_jobs": 2})
    worker.start()
    for _ in range(2):
        assert begun.acquire(timeout=20)
    assert cancel(stage, cancelled, force=True).followed == 1
    retry(stage, retried, force=True)
    going.set()
    worker.join(30)
    assert stage.children(cancelled, "status, dependency_status") == [("Failed", "failed")]
    assert [status for status, _ in stage.children(retried, "status, dependency_status")] == ["Pending"]


# Spawning again.


def test_a_handler_that_spawns_early_spawns_again_when_it_is_asked_to(stage: Stage, app: Handlers) -> None:
    fails = [False]

    @app.spawn("parent")
    def spawn(context: SpawnContext) -> list[Job]:
        early = context.spawn(Job("child", {}), key="one")
        if fails[0]:
            stage.enqueue(Job("after").depends_on(early))
            raise ValueError("not now")
        return [Job("child", {})]

    (parent,) = stage.enqueue(Job("parent", {}).with_spawn_config(SpawnConfig(max_spawn_count=2)))
    stage.work(app)
    for failing in (False, True):
        fails[0] = failing
        spawn_requests.request(stage.database, parent.id, handler=None, config=None, by="x", now=stage.database.now())
        stage.work(app)
    states = [request.state for request in spawn_requests.requests(stage.database, parent.id)]
    assert states == ["failed", "done"]
    assert sorted(row[0] for row in stage.children(parent, "status")) == ["Failed"] + ["Pending"] * 4
    assert stage.rows("status", "queue_name = 'after'") == [("Failed",)]


@mariadb_too
def test_a_request_forgets_nothing_of_what_a_recurring_job_spawned_in_its_last_run(
    stage: Stage, app: Handlers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spawn_requests, "new_id", lambda: f"f{new_id()[1:]}")  # sorts after every run

    @app.spawn("nightly")
    def spawn(context: SpawnContext) -> list[Job]:
        context.spawn(Job("noop", {}), key="same")
        return []

    parent, _ = stage.enqueue(Job("nightly", {}).with_cron("0 0 3 * * *"), Job("nightly", {}))
    last = "scheduled_at = created_at, next_run_at = created_at, cron_schedule = '0 0 3 1 1 * 2020'"
    stage.execute(f"UPDATE hammerwork_jobs SET {last} WHERE id = '{parent.id}'")
    stage.work(app)
    assert stage.one(parent) == "Completed"
    for _ in range(2):
        config, now = SpawnConfig(max_descendants=2), stage.database.now()
        spawn_requests.request(stage.database, parent.id, handler=None, config=config, by="x", now=now)
        stage.work(app)
    refused, done = spawn_requests.requests(stage.database, parent.id)
    assert (done.state, refused.state) == ("done", "failed")
    assert "max_descendants allows 2 jobs below the root, and this would be 3" in (refused.error or "")
    assert len(stage.children(parent)) == 2


def test_a_request_whose_commit_was_not_answered_is_done(stage: Stage, app: Handlers) -> None:
    (parent,) = stage.enqueue(Job("parent", {}))
    app.register_handler("parent", lambda context: [Job("child", {})])  # noqa: ARG005  always the same
    stage.work(app, queues=("parent",))
    now = stage.database.now()
    request = spawn_requests.request(stage.database, parent.id, handler=None, config=None, by="x", now=now)
    job = requests.claim_request(stage.database, request, new_id(), now)
    assert job is not None
    from hammerwork_cli.features.worker.queries import ancestry

    spawner = ancestry.Spawner.of(job, ancestry.of(stage.database, job), SpawnConfig(), request.id)
    operation = spawn_queries.Operation(new_id(), spawner, "parent", SpawnConfig(), now, 1)
    new = Job("child", {}).depends_on(parent)._new_job(now)
    for _ in range(2):
        report = requests.fulfil(stage.database, request, job, operation, lambda: [[new]], now=now)
        assert not report.lost
    assert len(stage.children(parent)) == 2


# Enqueuing many.


@all_databases
def test_many_jobs_of_which_some_are_there_are_compared_one_by_one(stage: Stage) -> None:
    first, second = Job("mail", {"to": "a"}), Job("mail", {"to": "b"})
    stage.enqueue(first)
    stage.enqueue(first, second, second)
    assert len(stage.rows()) == 2
    third = Job("mail", {"to": "c"})
    for other in (Job("mail", {"to": "x"}, id=first.id), Job("post", {"to": "a"}, id=first.id)):
        with pytest.raises(ConflictError, match=f"There is another job {first.id}"):
            stage.enqueue(third, other)
    with pytest.raises(ConflictError, match=f"Two different jobs have the id {third.id}"):
        stage.enqueue(third, Job("mail", {"to": "d"}, id=third.id))
    assert len(stage.rows()) == 2


@all_databases
def test_jobs_that_wait_for_each_other_are_refused(stage: Stage) -> None:
    one, two = new_id(), new_id()
    free = Job("mail", {})
    circle = (Job("mail", {}, id=one).depends_on(two, free), Job("mail", {}, id=two).depends_on(one), free)
    with pytest.raises(ConflictError, match=f"Jobs wait for each other, among them {min(one, two)}"):
        stage.enqueue(*circle)
    with pytest.raises(UsageError, match=f"The job {one} depends on itself"):
        Job("mail", {}, id=one).depends_on(one)
    assert stage.rows() == []


def operations_of(stage: Stage) -> dict[str, list[str]]:
    """The parents that each view of operations knows."""
    now = stage.database.now()
    since = now - timedelta(hours=1)
    figures = stats_queries.stats(stage.database, since=since, recent=since, detailed=True)
    listed = operations.operations(stage.database, limit=10)
    assert figures.overall.operations == len(listed)
    return {
        "listed": [one.parent.id for one in listed],
        "listed of a window": [one.parent.id for one in operations.operations(stage.database, limit=10, since=since)],
        "failed": [one.parent.id for one in failed.operations(stage.database, limit=10).operations],
        "running": [
            one.parent.id for one in MonitorWatch(stage.database, window=timedelta(hours=1)).refresh().operations
        ],
    }


def test_a_parent_that_spawns_only_early_is_an_operation_while_it_runs_and_after(stage: Stage, app: Handlers) -> None:
    seen: list[dict[str, list[str]]] = []

    @app.job("live", retry=SOON)
    def live(job: Job, context: SpawnContext) -> None:
        context.spawn(Job("fails", {}, max_attempts=1), key="first")
        context.spawn(Job("noop", {}), key="second")
        seen.append(operations_of(stage))

    @app.job("fails")
    def fails(job: Job) -> None:
        raise ValueError("not today")

    (parent,) = stage.enqueue(Job("live", {}))
    stage.work(app, queues=("live",))
    seen.append(operations_of(stage))
    stage.work(app, queues=("fails", "noop"))
    seen.append(operations_of(stage))
    known = [parent.id]
    assert seen == [
        {"listed": known, "listed of a window": known, "failed": [], "running": known},
        {"listed": known, "listed of a window": known, "failed": [], "running": known},
        {"listed": known, "listed of a window": known, "failed": known, "running": []},
    ]


def test_a_thread_that_outlives_its_handler_hears_that_the_job_has_ended(stage: Stage, app: Handlers) -> None:
    ended, said = threading.Event(), []

    def late(context: SpawnContext) -> None:
        ended.wait(30)
        try:
            context.spawn(Job("noop"), key="late")
        except HammerworkError as error:
            said.append(error.message)

    threads: list[threading.Thread] = []

    @app.job("hurries")
    def hurries(job: Job, context: SpawnContext) -> None:
        threads.append(threading.Thread(target=late, args=(context,)))
        threads[0].start()

    @app.job("after")
    def after(job: Job) -> None:
        ended.set()
        threads[0].join(30)

    (job,) = stage.enqueue(Job("hurries"))
    stage.enqueue(Job("after").depends_on(job))
    stage.work(app)
    assert said == [f"The attempt at job {job.id} has ended: the job is Completed. Nothing more is spawned for it."]
    assert stage.rows("id", "queue_name = 'noop'") == []
