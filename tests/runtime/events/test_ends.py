"""The ends of trees, batches and workflows are told exactly once, and never early."""

import threading
from collections import Counter
from contextlib import closing
from functools import partial
from uuid import UUID

import pytest

from hammerwork_cli import Discard, Handlers, Job, SpawnContext
from hammerwork_cli.database import connect
from hammerwork_cli.features.archive.models.rows import Archival, ArchivalReason
from hammerwork_cli.features.archive.queries.listing import NamedArchived
from hammerwork_cli.features.archive.queries.moving import Archive, RestoreArchived
from hammerwork_cli.features.batch.queries import callbacks
from hammerwork_cli.features.job.queries import changes, spawn_requests
from hammerwork_cli.features.job.queries.changes import Delete, RetryJobs
from hammerwork_cli.features.job.queries.joins import Again, reopened
from hammerwork_cli.features.job.queries.selections import ByIds
from hammerwork_cli.features.tree.ancestry import Ancestry
from hammerwork_cli.features.tree.queries import joins
from hammerwork_cli.features.tree.queries.joins import counter_of
from hammerwork_cli.features.workflow.queries import endings
from hammerwork_cli.runtime.api.workflow import Workflow
from tests import callers
from tests.conftest import all_databases, on_servers, one_case_on_servers
from tests.runtime.conftest import Crew, Stage, until
from tests.runtime.events.conftest import ENDS, Listening

JOBS = ("job.enqueued", "job.started", "job.retried")


@pytest.fixture
def ends(stage: Stage) -> Listening:
    return Listening(stage, JOBS)


def told(listening: Listening) -> list[tuple[str, int, int]]:
    """Type, jobs and failed jobs of each end, in any order."""
    found = [one for one in listening.records() if one["type"] in ENDS]
    return sorted((one["type"], one["data"]["jobs"], one["data"]["failed"]) for one in found)


def mend(app: Handlers, broken: set[int]) -> None:
    """Handlers of a tree whose leaves fail as long as they are broken."""

    @app.spawn("root")
    def root(context: SpawnContext) -> None:
        yield from (Job("leaf", {"n": n}) for n in range(3))

    @app.job("leaf")
    def leaf(job: Job) -> None:
        if job.payload["n"] in broken:
            raise Discard("broken")


def test_a_tree_that_completes_has_one_event_with_its_jobs(stage: Stage, app: Handlers, ends: Listening) -> None:
    mend(app, set())
    (job,) = stage.enqueue(Job("root"))
    stage.work(app)
    stage.work(app)
    assert told(ends) == [("tree.completed", 4, 0)]
    (end,) = [one for one in ends.records() if one["type"] in ENDS]
    counts = {"jobs": 4, "completed": 4, "failed": 0, "reason": None}
    assert end["data"] == {"id": job.id, "queue": "root", **counts}


def test_a_tree_that_fails_has_an_event_and_another_once_a_retry_completes_it(
    stage: Stage, app: Handlers, ends: Listening
) -> None:
    broken = {1}
    mend(app, broken)
    stage.enqueue(Job("root"))
    stage.work(app)
    assert told(ends) == [("tree.failed", 4, 1)]
    broken.clear()
    dead = [str(job) for (job,) in stage.rows("id", "status = 'Dead'")]
    changes.run(stage.database, ByIds(dead), RetryJobs(stage.database.now()))
    stage.work(app)
    assert told(ends) == [("tree.completed", 4, 0), ("tree.failed", 4, 1)]


def retry(stage: Stage, *jobs: str, **how: bool) -> None:
    ids = jobs or tuple(str(job) for (job,) in stage.rows("id", "status = 'Dead'"))
    changes.run(stage.database, ByIds(list(ids)), RetryJobs(stage.database.now(), **how))


def test_trees_and_groups_that_fail_again_after_a_retry_have_an_event_for_each_end(
    stage: Stage, app: Handlers, ends: Listening
) -> None:
    mend(app, {1})
    stage.enqueue(Job("root"), Job("leaf", {"n": 1}))
    stage.queue.enqueue_batch("letters", [Job("leaf", {"n": n}) for n in range(3)])
    workflow = Workflow("nightly")
    workflow.add("first", Job("leaf", {"n": 1}))
    stage.queue.enqueue_workflow(workflow)
    once = [("batch.ended", 3, 1), ("tree.failed", 1, 1), ("tree.failed", 4, 1), ("workflow.ended", 1, 1)]

    def ended() -> list[tuple[str, int, int]]:
        members = {str(job) for (job,) in stage.rows("id", "batch_id IS NOT NULL OR workflow_id IS NOT NULL")}
        found = [one for one in ends.records() if one["type"] in ENDS and one["data"]["id"] not in members]
        return sorted((one["type"], one["data"]["jobs"], one["data"]["failed"]) for one in found)

    stage.work(app)
    assert ended() == once
    for times in (2, 3):
        retry(stage)
        stage.work(app)
        stage.work(app)
        assert ended() == sorted(once * times)
    ids = [one["id"] for one in ends.records()]
    assert len(ids) == len(set(ids))


def test_a_failure_that_is_deleted_or_archived_makes_no_success(stage: Stage, app: Handlers, ends: Listening) -> None:
    mend(app, {1, 2})
    app.register_job("good", lambda _: None)
    stage.enqueue(Job("root"))
    stage.queue.enqueue_batch("letters", [Job("leaf", {"n": n}) for n in range(3)], on_success=Job("good"))
    workflow = Workflow("nightly", on_success=Job("good"))
    for n in range(3):
        workflow.add(str(n), Job("leaf", {"n": n}))
    stage.queue.enqueue_workflow(workflow)
    stage.work(app)
    before = told(ends)
    assert "tree.failed" in {kind for kind, *_ in before}
    dead = [str(job) for (job,) in stage.rows("id", "status = 'Dead'")]
    database = stage.database
    changes.run(database, ByIds(dead[::2]), Delete(database.now()))
    how = Archival(database.now(), ArchivalReason.MANUAL, "ada")
    changes.run(database, ByIds(dead[1::2]), Archive(how))
    database.script("DELETE FROM hammerwork_jobs_archive")
    callbacks.fire_ended(database, database.now())
    callbacks.fire_ended(database, database.now())
    assert told(ends) == before
    assert stage.rows("id", "queue_name = 'good'") == []


def test_a_tree_that_completes_again_has_another_event(stage: Stage, app: Handlers, ends: Listening) -> None:
    mend(app, set())
    (job,) = stage.enqueue(Job("leaf", {"n": 1}))
    stage.work(app)
    retry(stage, job.id, force=True)
    stage.work(app)
    assert told(ends) == [("tree.completed", 1, 0)] * 2


def test_a_job_that_fails_again_with_another_one_ends_the_trees_above_it_again(
    stage: Stage, app: Handlers, ends: Listening
) -> None:
    mend(app, {1})
    good, bad = stage.enqueue(Job("leaf", {"n": 0}), Job("leaf", {"n": 1}))
    stage.enqueue(Job("leaf", {"n": 2}).depends_on(good.id, bad.id))
    stage.work(app)
    once = [("tree.failed", 2, 1), ("tree.failed", 2, 2)]
    assert told(ends) == once
    retry(stage, bad.id)

    def works() -> bool:
        stage.work(app)
        return told(ends) == sorted(once * 2)

    until(works)


def test_a_spawn_request_lets_the_tree_end_again(stage: Stage, app: Handlers, ends: Listening) -> None:
    mend(app, set())
    (job,) = stage.enqueue(Job("root"))
    stage.work(app)
    now = stage.database.now()
    spawn_requests.request(stage.database, job.id, handler=None, config=None, by="ada", now=now)
    stage.work(app)
    assert told(ends) == [("tree.completed", 4, 0), ("tree.completed", 7, 0)]


def test_a_spawn_request_without_children_writes_no_second_end(stage: Stage, app: Handlers, ends: Listening) -> None:
    """Neither one that is refused nor one that spawns nothing: no job has run since the first end."""
    runs = iter(range(9))

    @app.spawn("root")
    def root(_: SpawnContext) -> list[Job]:
        run = next(runs)
        if run == 1:
            raise Discard("broken")
        return [Job("leaf", {"n": 0})] if run == 0 else []

    app.register_job("leaf", lambda _: None)
    workflow = Workflow("nightly")
    workflow.add("first", Job("root"))
    stage.queue.enqueue_workflow(workflow)
    ((job,),) = stage.rows("id")
    stage.work(app)
    once = [("tree.completed", 2, 0), ("workflow.ended", 2, 0)]
    assert told(ends) == once
    for state in ("failed", "done"):
        now = stage.database.now()
        request = spawn_requests.request(stage.database, str(job), handler=None, config=None, by="ada", now=now)
        stage.work(app)
        stage.work(app)
        states = {one.id: one.state for one in spawn_requests.requests(stage.database, str(job))}
        assert states[request.id] == state
        callbacks.fire_ended(stage.database, stage.database.now())
        assert told(ends) == once


def test_a_spawn_request_that_is_refused_after_it_wrote_a_child_ends_the_tree_again(
    stage: Stage, app: Handlers, ends: Listening
) -> None:
    is_broken = False

    @app.spawn("root")
    def root(context: SpawnContext) -> None:
        context.spawn(Job("later"), key="one")
        if is_broken:
            raise Discard("broken")

    app.register_job("later", lambda _: None)
    (job,) = stage.enqueue(Job("root"))
    stage.work(app)
    assert told(ends) == [("tree.completed", 2, 0)]
    is_broken = True
    now = stage.database.now()
    spawn_requests.request(stage.database, job.id, handler=None, config=None, by="ada", now=now)
    stage.work(app)
    stage.work(app)
    # The child fails with the request, unless it has started.
    assert [jobs for _, jobs, _ in told(ends)] == [2, 3]


def test_a_spawn_request_for_a_job_of_a_batch_writes_no_second_end_of_the_batch(
    stage: Stage, app: Handlers, ends: Listening
) -> None:
    """Children are not part of the batch, so nothing of it runs again."""
    mend(app, set())
    batch = stage.queue.enqueue_batch("letters", [Job("root")])
    stage.work(app)
    (job,) = (str(one) for (one,) in stage.rows("id", f"batch_id = '{batch.id}'"))
    now = stage.database.now()
    spawn_requests.request(stage.database, job, handler=None, config=None, by="ada", now=now)
    stage.work(app)
    stage.work(app)
    assert told(ends) == [("batch.ended", 1, 0), ("tree.completed", 4, 0), ("tree.completed", 7, 0)]


def test_a_tree_that_comes_back_from_the_archive_to_run_again_ends_again(
    stage: Stage, app: Handlers, ends: Listening
) -> None:
    mend(app, {1})
    (job,) = stage.enqueue(Job("leaf", {"n": 1}))
    stage.work(app)
    now = stage.database.now()
    changes.run(stage.database, ByIds([job.id]), Archive(Archival(now, ArchivalReason.MANUAL, "ada")))
    changes.run(stage.database, NamedArchived([job.id]), RestoreArchived(now, again=True))
    stage.work(app)
    assert told(ends) == [("tree.failed", 1, 1)] * 2


def test_a_worker_that_has_counted_a_tree_before_its_retry_does_not_tell_of_its_end(
    stage: Stage, app: Handlers, ends: Listening
) -> None:
    mend(app, {1})
    stage.enqueue(Job("leaf", {"n": 1}))
    stage.work(app, upkeep=False)
    database = stage.database
    found = callbacks.upcoming(database, database.now(), 10)
    seen = callbacks.see(database, found, database.now())
    assert seen is not None
    assert seen.has_ended
    retry(stage)
    assert [callbacks.fire(database, one, seen.counts, database.now()) for one in found] == [False, False]
    assert told(ends) == []
    stage.work(app)
    assert told(ends) == [("tree.failed", 1, 1)]


def test_a_worker_that_is_overtaken_by_a_retry_goes_on_counting_its_jobs(stage: Stage, app: Handlers) -> None:
    Listening(stage, (*JOBS, "tree.completed"))
    mend(app, {1})
    stage.enqueue(Job("leaf", {"n": 1}))
    stage.work(app, upkeep=False)
    database = stage.database
    (found,) = callbacks.upcoming(database, database.now(), 10)
    seen = callbacks.see(database, [found], database.now())
    assert seen is not None
    retry(stage)
    assert not callbacks.fire(database, found, seen.counts, database.now())
    assert database.query("SELECT open_jobs FROM hammerwork_joins") == [(1,)]


@on_servers
def test_a_retry_that_waits_for_a_join_holds_no_later_counter(stage: Stage, app: Handlers, ends: Listening) -> None:
    """Whoever ends a job locks all that count it in the order of their ids."""
    del ends
    mend(app, set())
    (job,) = stage.enqueue(Job("leaf", {"n": 0}))
    stage.work(app, upkeep=False)
    database, first, counter = stage.database, str(UUID(int=1)), counter_of(job.id)
    joins.add(database, first, job.id, "all", "run", database.now())
    ancestry = Ancestry.unplaced(None)._replace(joins=(first, counter)).stored()
    tries: Counter[str] = Counter()

    def retries() -> None:
        with closing(connect(stage.url)) as other:

            def work() -> None:
                tries["retry"] += 1
                reopened(other, [Again(job.id, ancestry, "Completed", False, None)], other.now())

            other.transaction(work)

    def end() -> None:
        tries["end"] += 1
        joins.count(database, {first: 0})
        if worker.ident is None:
            worker.start()
        threading.Event().wait(0.3)
        joins.count(database, {counter: 0})

    worker = threading.Thread(target=retries)
    database.transaction(end)
    worker.join(30)
    assert tries == {"retry": 1, "end": 1}
    assert database.query("SELECT open_jobs FROM hammerwork_joins") == [(1,), (1,)]


def of_workflows(listening: Listening) -> list[tuple[str, int, int]]:
    return [one for one in told(listening) if one[0] == "workflow.ended"]


def workflow_of_one(stage: Stage) -> str:
    workflow = Workflow("nightly")
    workflow.add("first", Job("leaf", {"n": 0}))
    jobs = stage.queue.enqueue_workflow(workflow)
    return str(stage.one(jobs["first"], "workflow_id"))


def test_a_job_that_joins_a_workflow_whose_end_only_its_row_does_not_tell_lets_it_end_again(
    stage: Stage, app: Handlers, ends: Listening
) -> None:
    mend(app, {1})
    workflow = workflow_of_one(stage)
    stage.work(app, upkeep=False)
    callbacks.fire_ended(stage.database, stage.database.now())
    assert stage.database.query("SELECT status FROM hammerwork_workflows") == [("running",)]
    stage.enqueue(Job("leaf", {"n": 1}).with_workflow(workflow))
    stage.work(app)
    callbacks.fire_ended(stage.database, stage.database.now())
    assert of_workflows(ends) == [("workflow.ended", 1, 0), ("workflow.ended", 2, 1)]


@on_servers
def test_an_application_whose_snapshot_is_older_than_the_end_lets_a_workflow_end_again(
    stage: Stage, app: Handlers, ends: Listening, dialect: str
) -> None:
    mend(app, {1})
    workflow = workflow_of_one(stage)
    kind = callers.PyMySQL if dialect == "mysql" else callers.Psycopg
    with callers.calling(kind, stage.url) as caller:
        if dialect == "mysql":  # MariaDB 11.6 refuses such a transaction, unless it is told to be like MySQL
            caller.execute("SET @like = 'MySQL' /*M!110602 , SESSION innodb_snapshot_isolation = OFF */")
        caller.execute("SELECT count(*) FROM hammerwork_jobs")
        stage.work(app)
        list(endings.bring_up_to_date(stage.database, stage.database.now))
        assert stage.database.query("SELECT status FROM hammerwork_workflows") == [("completed",)]
        caller.enqueue(stage.queue, Job("leaf", {"n": 1}).with_workflow(workflow))
        caller.commit()
    stage.work(app)
    callbacks.fire_ended(stage.database, stage.database.now())
    assert of_workflows(ends) == [("workflow.ended", 1, 0), ("workflow.ended", 2, 1)]


@all_databases
@one_case_on_servers
@pytest.mark.parametrize("waits", [True, False], ids=["joining", "joined"])
def test_a_worker_that_has_counted_a_workflow_before_a_job_joins_does_not_tell_of_its_end(
    stage: Stage, app: Handlers, ends: Listening, *, waits: bool
) -> None:
    mend(app, {1})
    workflow = workflow_of_one(stage)
    stage.work(app, upkeep=False)
    database = stage.database
    found = [one for one in callbacks.upcoming(database, database.now(), 10) if one.subject == "workflow"]
    seen = callbacks.see(database, found, database.now())
    assert seen is not None
    assert seen.has_ended
    late = Job("leaf", {"n": 1}).with_workflow(workflow)
    fired: list[bool] = []

    def fire() -> None:
        with closing(connect(stage.url)) as other:
            fired.extend(callbacks.fire(other, one, seen.counts, other.now()) for one in found)

    worker = threading.Thread(target=fire)
    with stage.queue.transaction() as transaction:
        transaction.enqueue(late)
        if waits:
            worker.start()
            threading.Event().wait(0.3)
            assert fired == []
    if not waits:
        worker.start()
    worker.join(30)
    assert fired == [False]
    assert of_workflows(ends) == []
    stage.work(app)
    callbacks.fire_ended(database, database.now())
    assert of_workflows(ends) == [("workflow.ended", 2, 1)]


@pytest.mark.parametrize("wanted", [("tree.failed",), ("tree.completed", "tree.failed")])
def test_the_log_names_the_event_that_was_written(
    stage: Stage, app: Handlers, caplog: pytest.LogCaptureFixture, wanted: tuple[str, ...]
) -> None:
    mend(app, {1})
    Listening(stage, ENDS).add_webhook(*wanted)
    _, failing = stage.enqueue(Job("leaf", {"n": 0}), Job("leaf", {"n": 1}))
    with caplog.at_level("INFO", "hammerwork"):
        stage.work(app)
    said = [record.getMessage() for record in caplog.records if "has ended" in record.getMessage()]
    assert [one for one in said if failing.id in one] == [
        f"The tree {failing.id} has ended: the event tree.failed was written."
    ]
    assert len(said) == len(wanted)


def test_an_end_comes_after_the_events_of_its_last_job_and_never_early(
    stage: Stage, app: Handlers, ends: Listening
) -> None:
    mend(app, set())
    for _ in range(5):
        stage.enqueue(Job("root"))
    stage.work(app, concurrency=8)
    seen: Counter[str] = Counter()
    for one in ends.records():
        if one["type"] == "job.completed":
            seen[one["data"]["root_id"] or one["data"]["id"]] += 1
        elif one["type"] in ENDS:
            assert seen[one["data"]["id"]] == 4
    assert [kind for kind, *_ in told(ends)] == ["tree.completed"] * 5


def test_batches_and_workflows_have_an_event_when_they_end(stage: Stage, app: Handlers, ends: Listening) -> None:
    mend(app, {1})
    stage.queue.enqueue_batch("three", [Job("leaf", {"n": n}) for n in range(3)])
    workflow = Workflow("two")
    workflow.add("first", Job("leaf", {"n": 0}))
    workflow.add("second", Job("leaf", {"n": 2}), after=["first"])
    stage.queue.enqueue_workflow(workflow)
    stage.work(app)
    wanted = [one for one in told(ends) if not one[0].startswith("tree.")]
    assert wanted == [("batch.ended", 3, 1), ("workflow.ended", 2, 0)]


@all_databases
def test_of_two_workers_that_look_at_once_one_tells(stage: Stage, crew: Crew, ends: Listening) -> None:
    crew.begin(2)
    stage.enqueue(*(Job("counted") for _ in range(20)))
    until(lambda: len(told(ends)) == 20)
    threading.Event().wait(0.3)
    assert told(ends) == [("tree.completed", 1, 0)] * 20


def test_of_several_workers_one_tells_of_each_end_of_trees_that_are_retried(
    stage: Stage, crew: Crew, app: Handlers, ends: Listening
) -> None:
    mend(app, {0, 1})
    crew.begin(3, handlers=app)
    stage.enqueue(*(Job("root") for _ in range(5)))
    for times in (1, 2):
        until(partial(lambda number: len(told(ends)) >= number, 5 * times))
        threading.Event().wait(0.3)
        assert told(ends) == [("tree.failed", 4, 2)] * 5 * times
        retry(stage)


def test_the_end_of_a_tree_is_for_those_who_want_its_queue(stage: Stage, app: Handlers) -> None:
    listening = Listening(stage, (*JOBS, *ENDS))
    mend(app, set())
    wanted = listening.add_webhook("tree.completed", queues=("root",))
    stage.enqueue(Job("root"), Job("leaf", {"n": 7}))
    stage.work(app)
    assert [(one["webhook"], one["event"]["data"]["queue"]) for one in listening.deliveries()] == [(wanted.id, "root")]


def test_the_end_of_a_batch_or_a_workflow_is_for_those_who_want_its_queue_and_priority(
    stage: Stage, app: Handlers
) -> None:
    listening = Listening(stage, (*JOBS, *ENDS))
    mend(app, {1})
    app.register_job("other", lambda _: None)
    both = ("batch.ended", "workflow.ended")
    hooks = {
        listening.add_webhook(*both, queues=("leaf",)).id: "leaf",
        listening.add_webhook(*both, queues=("other",)).id: "other",
        listening.add_webhook(*both, priorities=("high",)).id: "high",
    }
    low = Job("leaf", {"n": 1})
    groups = {"leaves": [low, Job("leaf", {"n": 0})], "both": [Job("leaf", {"n": 2}), Job("other").as_high_priority()]}
    for name, jobs in groups.items():
        stage.queue.enqueue_batch(name, jobs)
        workflow = Workflow(name)
        for number, job in enumerate(jobs):
            workflow.add(str(number), Job(job.queue, job.payload, priority=job.priority))
        stage.queue.enqueue_workflow(workflow)
    stage.work(app)
    got = [(hooks[one["webhook"]], one["event"]["type"], one["event"]["data"]) for one in listening.deliveries()]
    assert sorted((who, kind, data["name"], data["queue"], data["reason"]) for who, kind, data in got) == [
        (who, kind, name, queue, reason)
        for who in ("high", "leaf", "other")
        for kind in both
        for name, queue, reason in (("both", None, None), ("leaves", "leaf", "1 of 2 jobs failed"))
        if queue is None or who == queue
    ]


def test_nobody_looks_for_the_end_of_what_recurs_or_is_below_another_job(stage: Stage) -> None:
    Listening(stage, ENDS).add_webhook(*ENDS)
    top, of_batch = Job("leaf"), Job("leaf")
    stage.enqueue(top, Job("leaf").depends_on(top), Job("leaf").with_cron("@daily"))
    stage.queue.enqueue_batch("daily", [of_batch, Job("leaf").with_cron("@daily")])
    workflow = Workflow("daily").add("one", Job("leaf")).add("other", Job("leaf").with_cron("@daily"))
    of_workflow = stage.queue.enqueue_workflow(workflow)["one"]
    watched = stage.database.query("SELECT subject, subject_id FROM hammerwork_watches")
    assert {*watched} == {("tree", job.id) for job in (top, of_batch, of_workflow)}
