"""Context variables that handlers set: who sees them is the same in threads and in processes."""

from pathlib import Path
from typing import Any

import pytest

from hammerwork_cli import Job, Worker
from tests.runtime.conftest import Stage

HANDLERS = """
from contextvars import ContextVar
from hammerwork_cli import Handlers, Job, SpawnHandler

app = Handlers()
seen = ContextVar("seen", default="nothing")
imported = ContextVar("imported", default="nothing")
imported.set("while it was imported")
told = []

def look(where):
    told.append((where, seen.get()))
    seen.set(where)

def traced(function):
    # As libraries that trace do.
    def call(job):
        seen.set("the caller's")
        return function(job)
    return call

async def later(job):
    before = seen.get()
    seen.set("changed")
    return before

@app.job("sync")
def sync(job):
    before = seen.get()
    seen.set("changed")
    return before

app.register_job("async", later)
app.register_job("imported", lambda job: imported.get())
app.register_job("returns", lambda job: later(job))
app.register_job("traced", traced(later))

def generated():
    for number in range(2):
        look(f"child {number}")
        yield Job("leaf")

async def generated_later():
    for number in range(2):
        look(f"child {number}")
        yield Job("leaf")

async def awaited():
    look("awaited")
    return generated()

class Hooks(SpawnHandler):
    def validate_spawn(self, parent, config):
        look("validate")

    def spawn_jobs(self, context):
        look("spawn")
        return {"sync": generated, "async": generated_later, "awaited": awaited}[context.parent_job.payload["how"]]()

    async def on_spawn_complete(self, result):
        look("complete")

app.register_handler("parent", Hooks())

@app.job("parent")
def parent(job):
    look("job")

@app.job("told")
def tell(job):
    found = told[:]
    told.clear()
    return found
"""


@pytest.mark.sqlite
@pytest.mark.parametrize("isolation", ["thread", "process"])
def test_each_function_has_context_variables_of_its_own(
    lite: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, isolation: str
) -> None:
    (tmp_path / "tracing_app.py").write_text(HANDLERS)
    monkeypatch.syspath_prepend(str(tmp_path))

    def results(*jobs: Job) -> list[Any]:
        lite.enqueue(*jobs)
        options: dict[str, Any] = {"drain": True, "poll_interval": 0.05, "concurrency": 1}
        queues = sorted({job.queue or "" for job in jobs})
        Worker(lite.queue, "tracing_app:app", isolation=isolation, queues=queues, **options).run()
        return list(lite.queue.results(jobs).values())

    runs = [Job(queue) for queue in ("sync", "async", "returns") for _ in range(2)]
    assert results(*runs) == ["nothing"] * 6
    assert results(Job("traced"), Job("sync"), Job("async")) == ["the caller's", "nothing", "nothing"]
    assert results(Job("imported")) == ["nothing"]

    first = [["job", "nothing"], ["validate", "nothing"], ["spawn", "nothing"]]
    children = [["child 0", "spawn"], ["child 1", "child 0"]]
    awaited = [["awaited", "spawn"], ["child 0", "awaited"], ["child 1", "child 0"]]
    last = [["complete", "nothing"]]
    for how, middle in (("sync", children), ("async", children), ("awaited", awaited)):
        parent = Job("parent", {"how": how})
        assert results(parent, Job("told").depends_on(parent))[1] == first + middle + last, how
