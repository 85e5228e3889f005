"""What hammerwork keeps in payloads is no handler's: a child that gets a copy of it would spawn as its parent does."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hammerwork_cli import EncryptionKeys, Handlers, Job, Queue, SpawnConfig, SpawnContext, Worker
from hammerwork_cli.errors import UsageError
from hammerwork_cli.testing import run
from tests.conftest import all_databases
from tests.runtime.conftest import Stage

OURS = {"_spawn_config": {"handler": "split", "metadata": "own"}, "_schedule": {"due_at": "2026-12-03T01:30:00Z"}}
APP = """
import zlib
from hammerwork_cli import Handlers, Job, SpawnHandler

app = Handlers()

class Packed:
    name = "zlib"
    encode = staticmethod(zlib.compress)
    decode = staticmethod(zlib.decompress)

app.codec("order", Packed())

def look(*jobs):
    for job in jobs:
        assert job.payload == {"order": 7}, job.payload

@app.around
def around(job, context, call):
    look(job, context.job)
    return call()

@app.job("order")
def order(job, context):
    look(job, context.parent_job, context.queue.get(job))
    look(context.after_all(Job("end", job.payload), scope="tree"))
    look(context.spawn(Job("early", {**context.job.payload}), key="early"))
    assert context.config.metadata == job.spawn_config.metadata == "own"
    assert context.scheduled_for is not None
    return [job.payload]

class Split(SpawnHandler):
    async def validate_spawn(self, parent, config):
        look(parent)
        assert config.metadata == "own"

    async def spawn_jobs(self, context):
        look(context.parent_job)
        yield Job("line", {**context.parent_job.payload})

app.register_handler("split", Split())

@app.job("line")
async def line(job, context):
    look(job, *context.queue.jobs())
    assert job.spawn_config is context.scheduled_for is None

@app.job("early")
def early(job, context):
    look(*context.queue.children(context.root_id))

@app.job("end")
def end(job, context):
    look(job, *(one for one in context.queue.jobs(tree=context.root_id)))
    return len(list(context.results().ended()))
"""


@pytest.mark.usefixtures("forked_processes")
@pytest.mark.parametrize("way", ["thread", "process", "encrypted"])
def test_no_handler_sees_what_hammerwork_keeps_in_payloads(
    lite: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    (tmp_path / f"looking_{way}.py").write_text(APP)
    monkeypatch.syspath_prepend(str(tmp_path))
    order = lite.put("order", {"order": 7, **OURS})
    keys = None
    if way == "encrypted":
        keys = EncryptionKeys({"default": bytes(32)})
        lite.execute("DELETE FROM hammerwork_jobs")
        with Queue(lite.url, encryption=keys) as queue:
            job = Job("order", {"order": 7, "_schedule": OURS["_schedule"]}).with_encryption()
            order = queue.enqueue(job.with_spawn_config(SpawnConfig("split", metadata="own")))
    isolation = "process" if way == "process" else "thread"
    settings: Any = {"drain": True, "poll_interval": 0.05, "isolation": isolation, "encryption": keys}
    Worker(lite.url, f"looking_{way}:app", **settings).run()
    found = lite.rows("queue_name, status, error_message")
    assert sorted(found) == [(queue, "Completed", None) for queue in ("early", "end", "line", "order")]
    assert lite.one(order, "payload") != '{"order": 7}'  # the row keeps it for other programs


@all_databases
def test_a_child_with_a_copy_of_its_parents_payload_does_not_spawn(stage: Stage) -> None:
    app = Handlers()
    app.register_job("order", lambda job: None)  # noqa: ARG005
    app.register_job("line", lambda job: None)  # noqa: ARG005

    @app.spawn("split")
    def split(context: SpawnContext) -> list[Job]:
        return [Job("line", {"i": i, **context.parent_job.payload}) for i in range(2)]

    order = stage.put("order", {"sku": "ink", **OURS})
    stage.work(app)
    lines = [{"i": 0, "sku": "ink"}, {"i": 1, "sku": "ink"}]
    assert sorted((child.payload for child in stage.queue.children(order)), key=str) == lines
    assert len(stage.rows()) == 3
    outcome = run(app, Job("order", {"sku": "ink"}).with_spawn_handler("split"))
    assert [child.payload for child in outcome.children] == lines


@dataclass
class Line:
    _spawn_config: dict[str, Any]


def test_a_payload_with_a_configuration_is_refused_and_the_error_names_what_to_use(lite: Stage) -> None:
    says = "cannot have the key '_spawn_config': use with_spawn_handler or with_spawn_config"
    with pytest.raises(UsageError, match=says):
        Job("line", {"sku": "ink", "_spawn_config": {"handler": "split"}})
    assigned = Job("line")
    assigned.payload = {"_spawn_config": {}}
    app = Handlers()
    app.register_handler("order", lambda context: [Job("line", {**OURS})])  # noqa: ARG005
    for late in (assigned, Job("line", Line({}))):
        with pytest.raises(UsageError, match=says):
            lite.queue.enqueue(late)
    order = Job("order", max_attempts=1)
    lite.enqueue(order)
    lite.work(app)
    assert says in lite.one(order, "error_message")
    assert Job("line", {"deeper": OURS})._new_job(lite.database.now()).payload
