"""Each unit of work of workers and applications is done once, although it runs twice.

The answer to any COMMIT may be lost. Then the same unit of work runs again, without knowing that it has run.
"""

import random
import shlex
import sys
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from hammerwork_cli import Handlers, Job, RetryStrategy, Workflow
from hammerwork_cli.core.ids import new_id
from hammerwork_cli.database import Database
from hammerwork_cli.database.retrying import Backoff
from hammerwork_cli.errors import ConnectionLostError
from hammerwork_cli.features.cron.options import read_schedule
from hammerwork_cli.features.cron.queries import changes
from hammerwork_cli.features.event.model import EventType
from hammerwork_cli.features.job.queries import spawn_requests
from hammerwork_cli.features.streaming import queries as streams
from hammerwork_cli.features.streaming.model import Backend, Stream
from hammerwork_cli.features.webhook import queries as webhooks
from hammerwork_cli.features.webhook.model import Webhook
from hammerwork_cli.runtime import connections
from hammerwork_cli.runtime.connections import Connections
from tests.runtime.conftest import Crew, Stage, until
from tests.runtime.delivery.webhooks.receivers import Receiving, answer

ACKNOWLEDGES = "import sys\nfor _ in sys.stdin: print('ok', flush=True)"
STORED = {
    "hammerwork_jobs": "queue_name, status, attempts, claim_losses, releases, dependency_status, batch_id IS NULL",
    "hammerwork_attempts": "attempt, outcome",
    "hammerwork_spawn_operations": "outcome, children, depth",
    "hammerwork_spawn_requests": "state, children",
    "hammerwork_spawn_trees": "descendants",
    "hammerwork_joins": "scope, on_failure, parent_ended, open_jobs, failed_jobs",
    "hammerwork_watches": "subject, event, state",
    "hammerwork_schedule_runs": "kind, outcome",
    "hammerwork_stream_events": "event_type",
    "hammerwork_streams": "sent, failed, dropped",
}
"""What must not depend on how often a unit runs.

What was given back has used a place in the rate of its queue. The figures of a worker miss a failure, and those of a
webhook have a delivery twice, if somebody else was quicker than the next try.
"""


def units_run_twice(patch: pytest.MonkeyPatch) -> Counter[str]:
    """Loses a third of the answers, or lets a unit run twice if its caller tries only once; how often each ran twice.

    Not all, because a worker gives back what it claimed without hearing of it, and claims it again.
    """
    original, repeated, dice = Connections.run, Counter[str](), random.Random(30)

    def run(self: Connections, unit: Callable[[Database], Any], **options: Any) -> Any:
        name = getattr(unit, "__qualname__", str(unit))

        def unanswered(database: Database) -> Any:
            result = unit(database)
            if dice.random() < 2 / 3:
                return result
            repeated[name] += 1
            if options.get("patience") == 0:
                return unit(database)
            raise ConnectionLostError("The connection was lost.")

        return original(self, unanswered, **options)

    patch.setattr(Connections, "run", run)
    patch.setattr(connections, "BACKOFF", Backoff(0.0, 0.0))
    return repeated


def handlers() -> Handlers:
    made, retried = Handlers(), set[str]()

    def fail(job: Job) -> None:
        raise ValueError(job.queue)

    def flaky(job: Job) -> None:
        if job.id not in retried:
            retried.add(job.id)
            raise ValueError("not yet")

    def twice(job: Job) -> dict[str, int]:
        return {"doubled": 2 * job.payload["number"]}

    for queue in ("leaf", "called", "limited", "scheduled"):
        made.register_job(queue, lambda _: None)
    made.register_job("failing", fail)
    made.register_job("flaky", flaky, retry=RetryStrategy.fixed(timedelta(milliseconds=1)))
    made.register_job("result", twice)
    made.register_handler("parent", lambda _: [Job("leaf"), Job("flaky"), Job("failing", max_attempts=1)])
    made.register_handler("grandparent", lambda _: [Job("parent")])
    return made


def everything(stage: Stage, crew: Crew, hook: str, program: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Lets jobs go through all that workers do; what is then in the tables."""
    database, now = stage.database, stage.database.now()
    every = tuple(event for event in EventType if event != EventType.JOB_STARTED)  # what was given back starts again
    stream = Stream(new_id(), "all", Backend.COMMAND, {"command": [sys.executable, "-S", str(program)]}, events=every)
    streams.add(database, stream, by="test", now=now)
    webhook = Webhook(new_id(), "dead", hook, events=(EventType.JOB_DEAD,), allow_private=True)
    webhooks.add(database, webhook, by="test", now=now)
    stage.queue.limit("limited", concurrency=1, rate="1000/1h")
    options = {"name": "hourly", "queue": "scheduled", "payload": {}, "every": "1h"}
    changes.add(database, read_schedule(options), changes.Author("me"), now)
    due = database.json_timestamp(now - timedelta(seconds=1))
    stage.execute(f"UPDATE hammerwork_schedules SET next_run_at = '{due}'")
    done = Job("parent")
    stage.enqueue(
        Job("grandparent").with_callbacks(on_complete=Job("called")),
        *(Job("limited") for _ in range(3)),
        Job("result", {"number": 4}),
        Job("leaf").with_unique("one"),
    )
    stage.queue.enqueue(done)
    stage.queue.enqueue_batch("batch", [Job("leaf"), Job("flaky")], on_complete=Job("called"), on_success=Job("called"))
    workflow = Workflow("night").add("first", Job("leaf")).add("second", Job("flaky"), after=["first"])
    stage.queue.enqueue_workflow(workflow)
    command = shlex.join(stream.target["command"])
    allowed: dict[str, Any] = {"allowed_programs": [command], "allow_private_addresses": True}
    crew.begin(handlers=handlers(), lease=30.0, concurrency=2, **allowed)
    until(lambda: rests(stage))
    spawn_requests.request(database, done.id, handler=None, config=None, by="x", now=database.now())
    stage.queue.retry(done.id, tree=True)
    until(lambda: rests(stage))
    crew.end()
    return {
        table: sorted(database.query(f"SELECT {columns} FROM {table}"), key=repr) for table, columns in STORED.items()
    }


OPEN = (
    "SELECT 1 FROM hammerwork_jobs WHERE status IN ('Pending', 'Running', 'Retrying')",
    "SELECT 1 FROM hammerwork_stream_events WHERE sent_at IS NULL",
    "SELECT 1 FROM hammerwork_watches WHERE state = 'open' AND event = 'complete'",
    "SELECT 1 FROM hammerwork_spawn_requests WHERE ended_at IS NULL",
    "SELECT 1 FROM hammerwork_schedules WHERE NOT EXISTS (SELECT 1 FROM hammerwork_schedule_runs)",
)


def rests(stage: Stage) -> bool:
    return not any(stage.database.query(sql) for sql in OPEN)


def test_each_unit_that_runs_again_after_a_lost_answer_is_done_once(
    dialect: str, new_database: Callable[..., str], tmp_path: Path
) -> None:
    program = tmp_path / "program.py"
    program.write_text(ACKNOWLEDGES, encoding="utf-8")
    found = []
    for twice in (False, True):
        stage = Stage(new_database(dialect, migrated=True))
        with Receiving(answer()) as receiver, pytest.MonkeyPatch.context() as patch:
            repeated = units_run_twice(patch) if twice else Counter[str]()
            crew = Crew(stage)
            try:
                found.append(everything(stage, crew, receiver.url, program))
            finally:
                crew.end()
                stage.close()
    once, again = found
    assert sum(repeated.values()) > 100
    assert again == once
