"""Reading from Python what handlers returned: by the queue, in a spawn handler, and in a job that depends on others."""

import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from hammerwork_cli import Handlers, Job, SpawnConfig, SpawnContext, SpawnError, Worker
from hammerwork_cli.core.ids import new_id
from hammerwork_cli.errors import UsageError
from tests.conftest import all_databases
from tests.rows import START, Rows
from tests.runtime.conftest import Stage


class Colour(Enum):
    RED = "red"


@dataclass
class Bill:
    day: date
    lines: list[str]


@dataclass
class Ticket:
    id: UUID
    price: Decimal
    colour: Colour
    at: datetime


@all_databases
def test_results_are_read_with_their_job_and_many_at_once(stage: Stage, app: Handlers) -> None:
    app.register_job("returns", lambda job: job.payload)
    app.register_job("bills", lambda job: Bill(date(2026, 11, 25), [job.payload]))
    values: list[Any] = [{"text": "Zoë €5 Ж 😀"}, [1, None], "text", 0, False, None]
    returning = [Job("returns", value) for value in values]
    bill, kept, expired = Job("bills", "ink"), Job("returns", "kept"), Job("returns", "gone")
    kept, expired = kept.with_result_ttl(timedelta(days=1)), expired.with_result_ttl(timedelta(days=1))
    waiting, unknown = Job("nobody"), new_id()
    app.register_job("tickets", lambda job: [Ticket(UUID(job.id), Decimal("9.90"), Colour.RED, START)])
    ticket = Job("tickets")
    stage.enqueue(*returning, bill, ticket, kept, expired, waiting)
    stage.work(app, queues=["returns", "bills", "tickets"])
    past = "'2026-01-01 00:00:00'"
    stage.execute(f"UPDATE hammerwork_jobs SET result_expires_at = {past} WHERE id = '{expired.id}'")
    archived = {
        "payload": b"{}",
        "result": '{"pages": 3}',
        "depends_on": None,
        "archived_at": START,
        "created_at": START,
    }
    row = {"id": new_id(), "queue_name": "returns", "status": "Archived", "scheduled_at": START, **archived}
    rows = Rows(stage.database)
    rows.insert("hammerwork_jobs_archive", row)
    rows.insert("hammerwork_jobs_archive", {**row, "id": (gone := new_id()), "result_ttl": START - timedelta(days=400)})

    asked = [*returning, bill.id, ticket, UUID(kept.id), expired, waiting, unknown, row["id"], gone]
    assert stage.queue.results(asked) == {
        **{job.id: value for job, value in zip(returning, values, strict=True)},
        bill.id: {"day": "2026-11-25", "lines": ["ink"]},
        ticket.id: [{"id": ticket.id, "price": "9.90", "colour": "red", "at": "2026-11-24T14:00:00+00:00"}],
        kept.id: "kept",
        expired.id: None,
        waiting.id: None,
        row["id"]: {"pages": 3},
        gone: None,
    }
    found = [stage.queue.get(job) for job in (bill, kept, expired, waiting)]
    assert [job and job.result for job in found] == [{"day": "2026-11-25", "lines": ["ink"]}, "kept", None, None]
    assert stage.queue.results([]) == {}
    with pytest.raises(UsageError, match="is not the id of a job"):
        stage.queue.results(["first"])


@all_databases
def test_many_results_are_read_in_bounded_statements(stage: Stage) -> None:
    count = 1100
    stage.enqueue(*(jobs := [Job("q", number) for number in range(count)]))
    stage.execute("UPDATE hammerwork_jobs SET result_data = payload")
    assert stage.queue.results(jobs) == {job.id: job.payload for job in jobs}


HANDLERS = """
from hammerwork_cli import Handlers, Job, SpawnHandler

app = Handlers()

@app.job("part")
def part(job):
    job.payload["number"] += 1000  # nobody sees it
    job.spawn_config.metadata.append("changed")
    return {"square": (job.payload["number"] - 1000) ** 2, "seen": {"number": job.payload["number"]}}

class Parts(SpawnHandler):
    def validate_spawn(self, parent, config):
        self.look(parent, config)
        parent.payload["number"] = 0
        config.metadata.append("changed")

    def spawn_jobs(self, context):
        self.look(context.parent_job, context.config)
        context.result["seen"]["again"] = True
        yield Job("child", context.result)

    def look(self, parent, config):
        assert parent.payload["number"] < 1000, parent.payload
        assert config.metadata == ["as it was"], config.metadata

app.register_handler("part", Parts())

@app.job("child")
async def child(job):
    return job.payload

@app.job("sum")
def total(job, context):
    results = context.results()
    assert list(results) == list(job.dependencies)
    return sum(result["square"] for result in results.values())

@app.spawn("only_spawns")
def only_spawns(context):
    yield Job("child", {"result": context.result, "results": list(context.results().values())})
"""


@pytest.fixture(params=["thread", "process"])
def work(
    request: pytest.FixtureRequest,
    stage: Stage,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    forked_processes: None,
) -> Callable[..., Any]:
    """Runs jobs in threads or in processes until there is nothing more to do."""
    del forked_processes
    (tmp_path / "reading_app.py").write_text(textwrap.dedent(HANDLERS))
    monkeypatch.syspath_prepend(str(tmp_path))

    def run(*jobs: Job) -> None:
        stage.enqueue(*jobs)
        settings: Any = {"drain": True, "poll_interval": 0.05, "concurrency": 1, "isolation": request.param}
        Worker(stage.queue, "reading_app:app", **settings).run()

    return run


def test_handlers_read_results_and_see_the_payload_as_it_is_stored(stage: Stage, work: Callable[..., None]) -> None:
    config = SpawnConfig(metadata=["as it was"], max_spawn_count=5)
    parts = [Job("part", {"number": number}).with_spawn_config(config) for number in range(3)]
    joined, spawning = Job("sum").depends_on(*parts), Job("only_spawns").depends_on(parts[2])
    work(*parts, joined, spawning)
    assert stage.status(*parts, joined, spawning) == ["Completed"] * 5
    assert stage.queue.results([joined]) == {joined.id: 5}
    (child,) = (job for (job,) in stage.children(parts[2]) if job not in (joined.id, spawning.id))
    own = {"square": 4, "seen": {"number": 1002}}
    assert stage.queue.results([parts[2], child]) == {
        parts[2].id: own,
        child: {"square": 4, "seen": {"number": 1002, "again": True}},
    }
    ((read,),) = stage.children(spawning)
    assert stage.queue.results([read]) == {read: {"result": None, "results": [own]}}


def test_a_request_to_spawn_again_has_the_result_of_the_job(stage: Stage, app: Handlers) -> None:
    from hammerwork_cli.features.job.queries import spawn_requests

    results = []
    app.register_job("parent", lambda job: {"of": job.payload})
    app.register_handler("parent", lambda context: results.append(context.result))
    (parent,) = stage.enqueue(Job("parent", 7))
    stage.work(app)
    spawn_requests.request(stage.database, parent.id, handler=None, config=None, by="me", now=stage.database.now())
    stage.work(app)
    assert results == [{"of": 7}, {"of": 7}]


def test_a_context_of_no_worker_says_that_it_reads_nothing() -> None:
    with pytest.raises(SpawnError, match="Only a worker can read"):
        SpawnContext(Job("q")).results()
