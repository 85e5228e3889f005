"""Version 3 can use every row that this program writes: it decodes each column, and its dequeue finds the job."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from hammerwork_cli import Handlers, Job, RetryStrategy, SpawnConfig, SpawnContext, Workflow
from hammerwork_cli.runtime.api.retry import Jitter
from tests.conftest import Outcome, all_databases, one_case_on_servers
from tests.runtime.conftest import Stage
from tests.rust3 import outcomes
from tests.rust3.decoding import undecodable

Run = Callable[..., Outcome]
SECOND, DAY = timedelta(seconds=1), timedelta(days=1)
STRATEGIES = [
    RetryStrategy.fixed(timedelta(0)),
    RetryStrategy.fixed(timedelta(microseconds=1500), jitter=0.5),
    RetryStrategy.linear(SECOND, SECOND),
    RetryStrategy.linear(SECOND, SECOND, DAY, jitter=SECOND),
    RetryStrategy.exponential(SECOND),
    RetryStrategy.exponential(SECOND, 3, timedelta.max, jitter=1),
    RetryStrategy.exponential(SECOND, 1.5, DAY, jitter=Jitter(amount=SECOND)),
    RetryStrategy.fibonacci(SECOND),
    RetryStrategy.fibonacci(SECOND, DAY, jitter=0.1),
]
FULL = (
    Job("full", {"text": "ß"}, priority="critical", max_attempts=2_147_483_647)
    .with_retry_strategy(STRATEGIES[6])
    .with_timeout(SECOND)
    .with_trace_id("t" * 128)
    .with_correlation_id("c")
    .with_parent_span_id("p")
    .with_span_context("s")
    .with_result_ttl(DAY)
)


def by_queue(stage: Stage, run: Run, tmp_path: Path) -> None:
    del run, tmp_path
    stage.enqueue(FULL, *(Job("strategy").with_retry_strategy(strategy) for strategy in STRATEGIES))
    stage.enqueue(Job("exponential").with_exponential_backoff(SECOND), Job("linear").with_linear_backoff(SECOND, DAY))
    stage.enqueue(Job("fibonacci").with_fibonacci_backoff(SECOND), Job("after").depends_on(FULL))
    stage.queue.enqueue(Job("one").with_delay(DAY))
    stage.enqueue(Job("recurring").with_cron("0 30 2 * * Mon-Fri", "Europe/Oslo"))


def by_commands(stage: Stage, run: Run, tmp_path: Path) -> None:
    (tmp_path / "lines").write_text(
        '{"queue": "line", "payload": 1, "priority": "low"}\n{"queue": "line", "payload": {}}\n'
    )
    for command in (
        ("job", "enqueue", "--queue", "command", "--payload", "{}", "--timeout", "5", "--priority", "high"),
        ("job", "enqueue", "--queue", "spawns", "--payload", "{}", "--spawn-handler", "spawns", "--delay", "5m"),
        ("job", "enqueue", "--file", str(tmp_path / "lines")),
        ("batch", "enqueue", "--name", "a batch", "--file", str(tmp_path / "lines")),
        ("cron", "create", "--queue", "in-place", "--payload", "{}", "--schedule", "0 0 3 * * *", "--in-place"),
        ("cron", "create", "--name", "each", "--queue", "each", "--payload", "{}", "--schedule", "0 3 * * *"),
        ("cron", "trigger", "each"),
    ):
        outcome = run(*command, url=stage.url)
        assert outcome.exit_code == 0, (command, outcome.stderr)


def by_workflow_and_batch(stage: Stage, run: Run, tmp_path: Path) -> None:
    del run, tmp_path
    workflow = Workflow("night", failure_policy="ignore_failures").add("first", Job("first"))
    stage.queue.enqueue_workflow(workflow.add("second", Job("second"), after=["first"]))
    stage.queue.enqueue_batch("batch", [Job("member"), Job("member")], on_complete=Job("called"))


def by_workers(stage: Stage, run: Run, tmp_path: Path) -> None:
    """Spawned and early children, attempts that end in every way, and a callback."""
    del run, tmp_path
    app = Handlers()

    def ends(job: Job) -> str:
        if job.payload == "fails":
            raise OSError("no space")
        return "done"

    @app.spawn("parent")
    def parent(context: SpawnContext) -> list[Job]:
        context.spawn(Job("early"), key="early")
        first = Job("child")
        return [first, Job("child").depends_on(first), Job("child").with_retry_strategy(STRATEGIES[3])]

    app.register_job("ends", ends, retry=RetryStrategy.fixed(timedelta(hours=1)))
    config = SpawnConfig(inherit_timeout=True)
    whole = FULL.with_spawn_config(config)
    whole.queue, whole.max_attempts = "parent", 3
    dead = Job("ends", "fails", max_attempts=1)
    stage.enqueue(Job("ends"), Job("ends", "fails"), dead, Job("ends").with_cron("@yearly"), whole)
    stage.enqueue(Job("waits").depends_on(dead))
    stage.execute("UPDATE hammerwork_jobs SET scheduled_at = created_at WHERE recurring")
    stage.queue.enqueue_batch("batch", [Job("ends")], on_complete=Job("called"))
    stage.work(app, queues=["ends", "parent"])
    assert stage.rows(where="queue_name = 'called'")


def by_import(stage: Stage, run: Run, tmp_path: Path) -> None:
    """Rows as other programs left them: without a dependency status, and with a list that is NULL."""
    top = exported(stage, run, tmp_path, "dependency_status = NULL, dependents = NULL")
    assert run("job", "import", str(tmp_path / "tree"), url=stage.url).exit_code == 0
    assert stage.rows("id, dependency_status") == [(top.id, "none")]


def exported(stage: Stage, run: Run, tmp_path: Path, change: str) -> Job:
    """A job that was changed, exported and deleted."""
    (top,) = stage.enqueue(FULL)
    stage.execute(f"UPDATE hammerwork_jobs SET {change}")
    assert run("job", "export", top.id, "--tree", "-o", str(tmp_path / "tree"), url=stage.url).exit_code == 0
    stage.execute("DELETE FROM hammerwork_jobs")
    return top


DOORS = [by_queue, by_commands, by_workflow_and_batch, by_workers, by_import]


@all_databases
def test_version_3_can_decode_every_column_of_every_row(stage3: Stage, run: Run, tmp_path: Path) -> None:
    for door in DOORS:
        folder = tmp_path / door.__name__
        folder.mkdir()
        door(stage3, run, folder)
        assert stage3.rows(), door.__name__
        assert undecodable(stage3.database) == [], door.__name__
        stage3.execute("DELETE FROM hammerwork_jobs")


@all_databases
@one_case_on_servers
@pytest.mark.parametrize("is_used", [True, False], ids=["version 3", "version 1"])
def test_a_strategy_that_version_3_cannot_decode_is_imported_only_where_it_is_not_used(
    stage: Stage, run: Run, tmp_path: Path, is_used: bool
) -> None:
    """Its worker would claim the job and leave it Running, and its reaper would fail at it again and again."""
    odd = '{"type": "Linear", "base_ms": 1000, "increment_ms": 1.5}'
    exported(stage, run, tmp_path, f"retry_strategy = '{odd}'")
    if is_used:
        outcomes.use(stage.database)
    outcome = run("job", "import", str(tmp_path / "tree"), url=stage.url)
    assert outcome.exit_code == (2 if is_used else 0), outcome.stderr
    assert ("cannot read the retry_strategy" in outcome.stderr) == is_used
    assert len(stage.rows()) == (0 if is_used else 1)


@all_databases
def test_a_column_that_version_3_cannot_decode_is_found(stage: Stage) -> None:
    stage.enqueue(Job("odd"))
    for name, value in {"dependency_status": "NULL", "retry_strategy": """'{"type": "Custom"}'"""}.items():
        stage.execute(f"UPDATE hammerwork_jobs SET {name} = {value}")
    assert [name for _, name, _ in undecodable(stage.database)] == ["dependency_status", "retry_strategy"]
