"""The examples, without a database: what their handlers produce."""

import pytest

from examples import configuration, data_processor, safe_spawner, workflow
from hammerwork_cli import Handlers, Job, SpawnConfig, SpawnContext, SpawnFailedError
from hammerwork_cli.features.job.models.new_job import NewJob
from hammerwork_cli.runtime.outcomes.children import drain
from tests.unit.runtime.test_children import NOW


def spawned(app: Handlers, parent: Job) -> list[NewJob]:
    """The children of a job, as a worker would write them."""
    config = parent.spawn_config or SpawnConfig()
    found = app._spawn_handler(parent, config)
    assert found is not None
    found.handler.validate_spawn(parent, config)
    with drain(parent, config, found.handler.spawn_jobs(SpawnContext(parent, config)), NOW) as children:
        return [job for batch in children.batches() for job in batch]


def test_a_data_processor_makes_batches_a_moment_apart_that_inherit_the_priority():
    parent = data_processor.parent()
    children = spawned(data_processor.app, parent)
    assert len(children) == 20
    assert {job.priority for job in children} == {parent.priority}
    assert {job.depends_on for job in children} == {(parent.id,)}
    assert {job.dependency_status for job in children} == {"satisfied"}
    assert (children[19].scheduled_at - NOW).total_seconds() == pytest.approx(1.9)


def test_a_data_processor_refuses_a_job_without_a_file():
    with pytest.raises(ValueError, match="no file_path"):
        spawned(data_processor.app, Job("large_dataset", {}).with_spawn_handler("data_processor"))


@pytest.mark.parametrize("kind", workflow.STEPS)
def test_a_workflow_keeps_its_chain(kind):
    parent = Job("workflow", {"workflow_type": kind}).with_spawn_handler("workflow")
    children = spawned(workflow.app, parent)
    assert [job.queue for job in children] == [queue for queue, _ in workflow.STEPS[kind]]
    before = [parent.id, *(job.id for job in children)]
    assert [job.depends_on for job in children] == [(other,) for other in before[:-1]]
    assert [job.dependency_status for job in children] == ["satisfied", *["waiting"] * (len(children) - 1)]


def test_an_unknown_workflow_is_refused():
    with pytest.raises((SpawnFailedError, ValueError), match="unknown workflow type: tea"):
        spawned(workflow.app, Job("workflow", {"workflow_type": "tea"}))


def test_a_safe_spawner_bears_some_failures_and_not_many():
    children = spawned(safe_spawner.app, safe_spawner.parent())
    assert [job.payload for job in children] == ['{"feed":"a"}', '{"feed":"b"}', '{"feed":"d"}']
    with pytest.raises(RuntimeError, match="too many"):
        spawned(safe_spawner.app, Job("feeds", {"feeds": ["", "", "", ""]}))


@pytest.mark.parametrize(
    ("job", "message"),
    [
        (Job("feeds", {}), "no list of feeds"),
        (Job("feeds", {"feeds": []}).with_spawn_config(SpawnConfig(max_spawn_count=1001)), "safety limit"),
    ],
)
def test_a_safe_spawner_validates_before_it_spawns(job, message):
    with pytest.raises(ValueError, match=message):
        spawned(safe_spawner.app, job)


def test_a_configuration_by_builders_and_by_keywords():
    built, configured = configuration.by_builders().spawn_config, configuration.by_keyword().spawn_config
    assert built is not None
    assert configured is not None
    assert (built.handler, built.max_spawn_count, built._spawn_delay_ms, built.batch_size) == (
        "batch_processor",
        50,
        100,
        10,
    )
    assert (configured.handler, configured.max_spawn_count) == ("batch_processor", 15)
    assert (configured.operation_id, configured.inherit_priority, configured.inherit_retry_strategy) == (
        "op-reports-123",
        True,
        True,
    )
    assert len(spawned(configuration.app, configuration.by_keyword())) == 12
    assert configuration.limited().max_descendants == 1000
    advanced = SpawnConfig._parse(configuration.advanced()._stored())
    assert advanced is not None
    assert advanced.metadata["quality_settings"]["full"] == "high"
