"""Each transaction of workers and applications is done once, although its connection breaks at its end.

Then the same unit of work runs again, without knowing whether it has run.
"""

import contextlib
import shlex
import sys
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from hammerwork_cli import Handlers, Job, RetryStrategy, SpawnContext, Workflow
from hammerwork_cli.core.ids import new_id
from hammerwork_cli.database.retrying import Backoff
from hammerwork_cli.features.batch.queries import callbacks
from hammerwork_cli.features.cron.options import read_schedule
from hammerwork_cli.features.cron.queries import changes
from hammerwork_cli.features.event.model import EventType
from hammerwork_cli.features.job.queries import spawn_requests
from hammerwork_cli.features.streaming import queries as streams
from hammerwork_cli.features.streaming.model import Backend, Stream
from hammerwork_cli.features.webhook import queries as webhooks
from hammerwork_cli.features.webhook.model import Webhook
from hammerwork_cli.runtime import connections
from tests.breaks import Breaks
from tests.conftest import all_databases
from tests.proxies import Break, Proxy
from tests.runtime.conftest import Crew, Stage, until
from tests.runtime.delivery.webhooks.receivers import Receiving, answer

Tables = dict[str, list[tuple[Any, ...]]]
ACKNOWLEDGES = "import sys\nfor _ in sys.stdin: print('ok', flush=True)"
STORED = {
    # Each try to spawn early counts as a release, which makes others wait for its transaction.
    "hammerwork_jobs": "queue_name, status, attempts, claim_losses, dependency_status, batch_id IS NULL,"
    " CASE queue_name WHEN 'early' THEN 0 ELSE releases END",
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


PAUSES = 120.0
"""Seconds that the pauses after failures may take, one after the other, on a busy machine."""
STARTS = {
    "hammerwork_cli.features.worker.queries.registry:register",
    "hammerwork_cli.features.migration.queries:_read",
}
"""A worker tries once to start, and ends with an error that whoever runs it sees."""


class First:
    """Breaks the first transaction of each unit."""

    def __init__(self, how: Break | None) -> None:
        self._how, self.seen = how, Counter[str]()

    def __call__(self, unit: str) -> Break | None:
        self.seen[unit] += 1
        return self._how if self.seen[unit] == 1 and unit not in STARTS else None


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

    def early(_: Job, context: SpawnContext) -> None:
        for key in "ab":
            context.spawn(Job("leaf"), key=key)

    for queue in ("leaf", "called", "limited", "scheduled"):
        made.register_job(queue, lambda _: None)
    made.register_job("failing", fail)
    made.register_job("flaky", flaky, retry=RetryStrategy.fixed(timedelta(milliseconds=1)))
    made.register_job("result", twice)
    made.register_handler("parent", lambda _: [Job("leaf"), Job("flaky"), Job("failing", max_attempts=1)])
    made.register_job("early", early)
    made.register_handler("grandparent", lambda _: [Job("parent")])
    return made


def everything(stage: Stage, crew: Crew, hook: str, program: Path) -> Tables:
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
    for policy in ("fail_fast", "continue_on_failure"):
        workflow = Workflow(policy, failure_policy=policy).add("bad", Job("failing", max_attempts=1))
        stage.queue.enqueue_workflow(workflow.add("rest", Job("leaf"), after=["bad"]))
    stage.enqueue(Job("early"))
    command = shlex.join(stream.target["command"])
    allowed: dict[str, Any] = {"allowed_programs": [command], "allow_private_addresses": True}
    crew.begin(handlers=handlers(), lease=30.0, concurrency=2, **allowed)
    until(lambda: rests(stage), patience=PAUSES)
    spawn_requests.request(database, done.id, handler=None, config=None, by="x", now=database.now())
    stage.queue.retry(done.id, tree=True)
    until(lambda: rests(stage), patience=PAUSES)
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


@all_databases
def test_each_transaction_of_workers_is_done_once_although_its_connection_breaks(
    dialect: str, new_database: Callable[..., str], tmp_path: Path
) -> None:
    ended = {how: lived(new_database(dialect, migrated=True), tmp_path, First(how)) for how in (None, *Break)}
    assert ended[Break.AFTER] == ended[None]
    assert ended[Break.BEFORE] == ended[None]


def lived(url: str, folder: Path, choose: First) -> Tables:
    """What is in the tables after a worker has done all that workers do by connections that break."""
    program = folder / "program.py"
    program.write_text(ACKNOWLEDGES, encoding="utf-8")
    with contextlib.ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setattr(connections, "BACKOFF", Backoff(0.0, 0.0))
        patch.setattr(callbacks, "LEASE", timedelta(seconds=1))
        receiver = stack.enter_context(Receiving(answer()))
        proxy = None if url.startswith("sqlite") else stack.enter_context(Proxy.to(url))
        stage = Stage(proxy.url(url) if proxy else url)
        stack.callback(stage.close)
        crew = Crew(stage)
        stack.callback(crew.end)
        stack.enter_context(Breaks(proxy, choose, spared=stage.database)())
        return everything(stage, crew, receiver.url, program)
