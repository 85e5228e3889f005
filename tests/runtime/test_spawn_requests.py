"""What is asked of a worker for a job that has completed: to spawn again."""

from hammerwork_cli import Handlers, Job, SpawnConfig, SpawnContext
from hammerwork_cli.queries import spawning
from tests.runtime.conftest import Stage


def test_what_is_spawned_on_request_counts_among_the_descendants(stage: Stage, app: Handlers) -> None:
    @app.spawn("parent")
    def three(context: SpawnContext) -> list[Job]:
        return [Job("noop", {}) for _ in range(3)]

    (parent,) = stage.enqueue(Job("parent", {}).with_spawn_config(SpawnConfig(max_descendants=8)))
    stage.work(app)
    for _ in range(2):
        spawning.request(stage.database, parent.id, handler=None, config=None, by="x", now=stage.database.now())
        stage.work(app)
    states = [(wish.state, wish.children) for wish in spawning.requests(stage.database, parent.id)]
    assert sorted(states) == [("done", 3), ("failed", 0)]
    assert len(stage.children(parent)) == 6
