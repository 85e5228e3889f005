"""What a job says about its spawning may be of any size: it is recorded as far as that goes, and costs no run."""

from typing import Any

import pytest

from hammerwork_cli import Handlers, Job, SpawnConfig, SpawnContext
from hammerwork_cli.features.job.queries import spawn_requests
from tests.conftest import all_databases
from tests.runtime.conftest import Stage, mariadb_too

LARGE: list[Any] = ["x" * 70_000, "Ж" * 11_000, [{"name": "half \\"}] * 5_000]
"""More than MySQL's TEXT holds."""


@pytest.fixture
def configured(app: Handlers) -> Handlers:
    """Jobs that spawn one child, or fail to."""
    app.register_job("one", lambda job: 1)  # noqa: ARG005
    app.register_job("none", lambda job: 1)  # noqa: ARG005

    @app.spawn("one")
    def one(context: SpawnContext) -> list[Job]:
        return [Job("noop", {"metadata": context.config.metadata})]

    @app.spawn("none")
    def none(context: SpawnContext) -> list[Job]:
        raise ValueError("no data")

    return app


@mariadb_too
def test_metadata_of_any_size_costs_no_run(stage: Stage, configured: Handlers) -> None:
    spawning_ones = [Job("one").with_spawn_config(SpawnConfig(metadata=large)) for large in LARGE]
    spawning_ones.append(Job("one").with_spawn_config(SpawnConfig(extra={"unknown": "x" * 70_000})))
    complete = SpawnConfig(on_error="complete", operation_id="kept")
    failing = [Job("none").with_spawn_config(complete.with_metadata(large)) for large in LARGE]
    stage.enqueue(*spawning_ones, *failing)
    stage.work(configured)
    assert stage.rows("status, attempts", "queue_name <> 'noop'") == [("Completed", 1)] * 7
    children = [stage.queue.get(str(stage.children(job)[0][0])) for job in spawning_ones]
    assert [child and child.payload["metadata"] for child in children] == [*LARGE, None]
    assert sorted(stage.operations("outcome, operation_id")) == [*[("failed", "kept")] * 3, *[("spawned", None)] * 4]


@mariadb_too
def test_a_request_to_spawn_again_may_have_metadata_of_any_size(stage: Stage, configured: Handlers) -> None:
    config = SpawnConfig(metadata=LARGE[0])
    (parent,) = stage.enqueue(Job("one").with_spawn_config(config))
    stage.work(configured)
    for number, large in enumerate(LARGE[1:]):
        wanted, now = config.with_max_spawn_count(number + 1).with_metadata(large), stage.database.now()
        spawn_requests.request(stage.database, parent.id, handler=None, config=wanted, by="x", now=now)
        stage.work(configured)
    assert [request.state for request in spawn_requests.requests(stage.database, parent.id)] == ["done"] * 2
    assert len(stage.children(parent)) == 3


def test_a_long_name_of_an_operation_that_another_program_wrote_costs_no_run(
    stage: Stage, configured: Handlers
) -> None:
    long = "Ж" * (255 + 45)
    stored = {"max_spawn_count": 1, "operation_id": long, "on_error": "complete"}
    jobs = [stage.put(queue, {"_spawn_config": stored}) for queue in ("one", "none")]
    if stage.database.dialect == "sqlite":  # servers do not take it, or not all
        jobs.append(stage.put("one", {"_spawn_config": {"max_spawn_count": 1, "operation_id": "half"}}))
    stage.execute(
        "UPDATE hammerwork_jobs SET payload = REPLACE(payload, 'half', '\\ud800')" if jobs[2:] else "SELECT 1"
    )
    stage.work(configured)
    assert stage.status(*jobs) == ["Completed"] * len(jobs)
    names = sorted(name for (name,) in stage.operations("operation_id"))
    assert names == ["?", *[long[:255]] * 2][-len(jobs) :]
    # A request goes through the same hands.
    config = SpawnConfig._parse(stored)
    spawn_requests.request(stage.database, jobs[0].id, handler="one", config=config, by="x", now=stage.database.now())
    stage.work(configured)
    assert spawn_requests.requests(stage.database, jobs[0].id)[0].state == "done"


def test_a_long_name_of_a_handler_that_another_program_wrote_is_refused_before_the_job_runs(
    stage: Stage, configured: Handlers
) -> None:
    ran: list[str] = []
    configured.register_job("runs", lambda job: ran.append(job.id))
    job = stage.put("runs", {"_spawn_config": {"handler": "h" * 300}})
    stage.work(configured)
    status, attempts, error = stage.one(job, "status, attempts, error_message")
    assert (status, attempts, ran) == ("Dead", 1, [])
    assert error.startswith("The spawn configuration's handler cannot be 'hhh")


def test_a_refused_result_fails_a_parent_that_completes_without_children(
    stage: Stage, configured: Handlers, caplog: pytest.LogCaptureFixture
) -> None:
    deep: Any = 1
    for _ in range(200):
        deep = [deep]
    refused = {"mysql": deep, "postgresql": "\x00", "sqlite": {1, 2}}[stage.database.dialect]

    @configured.job("odd")
    def odd(job: Job) -> Any:
        return refused

    jobs = stage.enqueue(
        *(Job("odd").with_spawn_config(SpawnConfig(handler=name, on_error="complete")) for name in ("one", "none"))
    )
    stage.work(configured)
    assert [stage.one(job, "status, attempts") for job in jobs] == [("Dead", 1)] * 2
    assert stage.operations() == []
    assert "an error in the worker itself" not in caplog.text


@all_databases
def test_limits_of_any_size_cost_no_run(stage: Stage, configured: Handlers) -> None:
    huge = 10**30
    config = SpawnConfig(max_spawn_count=huge, max_depth=huge, max_descendants=huge, batch_size=huge)

    @configured.job("both")
    def early(job: Job, context: SpawnContext) -> None:
        context.spawn(Job("one").with_spawn_config(config), key="early")

    @configured.spawn("both")
    def late(context: SpawnContext) -> list[Job]:
        return [Job("one").with_spawn_config(config) for _ in range(2)]

    (root,) = stage.enqueue(Job("both").with_spawn_config(config))
    stage.work(configured)
    assert stage.rows("status, attempts") == [("Completed", 1)] * 7
    assert len(stage.children(root)) == 3
