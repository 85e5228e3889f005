"""What is asked of a worker for a job that has completed: to spawn again."""

from typing import Any

import pytest

from hammerwork_cli import Handlers, Job, SpawnConfig, SpawnContext
from hammerwork_cli.core.ids import new_id
from hammerwork_cli.errors import DatabaseError, RefusedValueError
from hammerwork_cli.features.job.queries import spawn_requests
from hammerwork_cli.features.worker.queries import ancestry, registry, requests, spawn
from hammerwork_cli.features.worker.queries.ancestry import Spawner
from hammerwork_cli.features.worker.queries.registry import HeartbeatReport, Registration
from hammerwork_cli.features.worker.queries.spawn import LostClaimError
from tests.conftest import all_databases
from tests.runtime.conftest import Crew, Stage, until


def test_jobs_spawned_on_request_count_among_the_descendants(stage: Stage, app: Handlers) -> None:
    @app.spawn("parent")
    def three(context: SpawnContext) -> list[Job]:
        return [Job("noop", {}) for _ in range(3)]

    (parent,) = stage.enqueue(Job("parent", {}).with_spawn_config(SpawnConfig(max_descendants=8)))
    stage.work(app)
    for _ in range(2):
        spawn_requests.request(stage.database, parent.id, handler=None, config=None, by="x", now=stage.database.now())
        stage.work(app)
    states = [(request.state, request.children) for request in spawn_requests.requests(stage.database, parent.id)]
    assert sorted(states) == [("done", 3), ("failed", 0)]
    assert len(stage.children(parent)) == 6


@pytest.mark.parametrize("what", ["claim_request", "fulfil"])
def test_a_request_that_its_worker_does_not_know_any_more_is_fulfilled_once(
    stage: Stage, crew: Crew, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    crew.handlers.register_handler("parent", lambda _: [Job("counted")])
    (parent,) = stage.enqueue(Job("parent"))
    crew.begin(lease=1.0)
    until(lambda: stage.one(parent) == "Completed")
    original, told = getattr(requests, what), []

    def once(*args: Any, **values: Any) -> Any:
        if what == "claim_request":
            answer = original(*args, **values)
        told.append(what)
        if len(told) == 1:
            # As when a commit is not answered, or when neither a result nor a refusal can be written.
            raise DatabaseError("No answer.") if what == "claim_request" else RefusedValueError("No.")
        return answer if what == "claim_request" else original(*args, **values)

    monkeypatch.setattr(requests, what, once)
    if what == "fulfil":
        monkeypatch.setattr(requests, "refuse", lambda *_: told.append("refused"))
    spawn_requests.request(stage.database, parent.id, handler=None, config=None, by="x", now=stage.database.now())
    until(lambda: [request.state for request in spawn_requests.requests(stage.database, parent.id)] == ["done"])
    assert len(stage.children(parent)) == 2
    assert len(told) == (2 if what == "claim_request" else 3)


def test_a_job_for_which_a_request_spawns_while_it_runs_again_spawns_nothing_itself(
    stage: Stage, app: Handlers, crew: Crew
) -> None:
    app.register_job("held", lambda job: None)  # noqa: ARG005
    (parent,) = stage.enqueue(Job("held"))
    stage.work(app)
    spawn_requests.request(stage.database, parent.id, handler=None, config=None, by="x", now=stage.database.now())
    stage.execute("UPDATE hammerwork_spawn_requests SET state = 'running'")
    stage.execute("UPDATE hammerwork_jobs SET status = 'Pending', attempts = 0")
    crew.handlers.register_handler("held", lambda _: [Job("counted")])
    crew.begin()
    until(lambda: crew.runs[parent.id] == 1)
    stage.execute("UPDATE hammerwork_spawn_requests SET state = 'pending'")
    until(lambda: [request.state for request in spawn_requests.requests(stage.database, parent.id)] == ["done"])
    crew.go_on.set()
    until(lambda: stage.one(parent) == "Completed")
    assert len(stage.children(parent)) == 1
    assert crew.runs[parent.id] == 1


@all_databases
def test_two_workers_that_saw_the_same_request_claim_it_once(stage: Stage, app: Handlers) -> None:
    (job,) = stage.enqueue(Job("noop"))
    stage.work(app)
    now = stage.database.now()
    request = spawn_requests.request(stage.database, job.id, handler=None, config=None, by="x", now=now)
    claimed = [requests.claim_request(stage.database, request, new_id(), now) for _ in range(2)]
    assert [found is not None for found in claimed] == [True, False]


@all_databases
def test_a_worker_that_has_lost_a_request_spawns_nothing_by_key_for_it(stage: Stage, app: Handlers) -> None:
    (parent,) = stage.enqueue(Job("noop"))
    stage.work(app)
    now = stage.database.now()
    request = spawn_requests.request(stage.database, parent.id, handler=None, config=None, by="x", now=now)
    claims = []
    for worker in (new_id(), new_id()):
        claims.append(requests.claim_request(stage.database, request, worker, now))
        stage.execute("UPDATE hammerwork_spawn_requests SET state = 'pending'" if len(claims) == 1 else "SELECT 1")
    lost, own = (Spawner.of(job, ancestry.of(stage.database, job), SpawnConfig(), request.id) for job in claims if job)
    child = Job("noop").depends_on(parent)._new_job(now)
    with pytest.raises(LostClaimError):
        spawn.spawn_now(stage.database, lost, "key", child, now=now)
    assert spawn.spawn_now(stage.database, own, "key", child, now=now) == (child.id, True)


def test_a_request_has_a_worker_where_one_lives_that_serves_its_queue_or_has_its_handler(
    lite: Stage, app: Handlers
) -> None:
    parents = lite.enqueue(Job("noop"), Job("noop"))
    lite.work(app)
    now = lite.database.now()
    asked = [
        spawn_requests.request(lite.database, parent.id, handler=handler, config=None, by="x", now=now)
        for parent, handler in zip(parents, (None, "frames"), strict=True)
    ]
    serving = {
        "its queue": (("noop",), ()),
        "another queue": (("mail",), ()),
        "a handler of the queue's name": (("mail",), ("noop",)),
        "the handler": (("mail",), ("frames",)),
    }
    found = {}
    for name, (queues, handlers) in serving.items():
        worker = Registration(new_id(), name, "host", 1, "0", queues, handlers, 1, 60.0)
        registry.register(lite.database, worker)
        found[name] = tuple(requests.has_worker(lite.database, request) for request in asked)
        registry.end(lite.database, worker.id, name, HeartbeatReport(), now)
        assert not any(requests.has_worker(lite.database, request) for request in asked)
    assert found == {
        "its queue": (True, False),
        "another queue": (False, False),
        "a handler of the queue's name": (True, False),
        "the handler": (False, True),
    }
