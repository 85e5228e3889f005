"""What is asked of a worker for a job that has completed: to spawn again."""

from typing import Any

import pytest

from hammerwork_cli import Handlers, Job, SpawnConfig, SpawnContext
from hammerwork_cli.errors import DatabaseError, RefusedValueError
from hammerwork_cli.queries.job import spawn_requests
from hammerwork_cli.queries.worker import requests
from tests.runtime.conftest import Crew, Stage, until


def test_what_is_spawned_on_request_counts_among_the_descendants(stage: Stage, app: Handlers) -> None:
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
