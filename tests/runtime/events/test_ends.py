"""The ends of trees, batches and workflows are told exactly once, and never early."""

import threading
from collections import Counter

import pytest

from hammerwork_cli import Discard, Handlers, Job, SpawnContext
from hammerwork_cli.features.job.queries import changes
from hammerwork_cli.features.job.queries.changes import RetryJobs
from hammerwork_cli.features.job.queries.selections import ByIds
from hammerwork_cli.runtime.api.workflow import Workflow
from tests.conftest import all_databases
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
    assert end["data"] == {"id": job.id, "queue": "root", "jobs": 4, "completed": 4, "failed": 0}


@all_databases
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
    crew.begin(3)
    stage.enqueue(*(Job("counted") for _ in range(20)))
    until(lambda: len(told(ends)) == 20)
    threading.Event().wait(0.5)
    assert told(ends) == [("tree.completed", 1, 0)] * 20


def test_the_end_of_a_tree_is_for_those_who_want_its_queue(stage: Stage, app: Handlers) -> None:
    listening = Listening(stage, (*JOBS, *ENDS))
    mend(app, set())
    wanted = listening.add_webhook("tree.completed", queues=("root",))
    stage.enqueue(Job("root"), Job("leaf", {"n": 7}))
    stage.work(app)
    assert [(one["webhook"], one["event"]["data"]["queue"]) for one in listening.deliveries()] == [(wanted.id, "root")]
