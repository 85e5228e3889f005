"""Context variables that handlers set: who sees them is the same in threads and in processes."""

from itertools import pairwise
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


@pytest.mark.usefixtures("forked_processes")
@pytest.mark.sqlite
@pytest.mark.parametrize("isolation", ["thread", "process"])
def test_each_function_has_context_variables_of_its_own(
    lite: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, isolation: str
) -> None:
    (tmp_path / "tracing_app.py").write_text(HANDLERS)
    monkeypatch.syspath_prepend(str(tmp_path))

    queues = [*("sync", "async", "returns") * 2, "traced", "sync", "async", "imported"]
    jobs = [Job(queue) for queue in queues]
    first = [["job", "nothing"], ["validate", "nothing"], ["spawn", "nothing"]]
    children = [["child 0", "spawn"], ["child 1", "child 0"]]
    awaited = [["awaited", "spawn"], ["child 0", "awaited"], ["child 1", "child 0"]]
    last = [["complete", "nothing"]]
    expected: list[Any] = ["the caller's" if queue == "traced" else "nothing" for queue in queues]
    for how, middle in (("sync", children), ("async", children), ("awaited", awaited)):
        jobs += [Job("parent", {"how": how}), Job("told")]
        expected += [None, first + middle + last]
    # One process runs them one after the other: whatever one of them left would be seen by the next one.
    lite.enqueue(jobs[0], *(job.depends_on(before) for before, job in pairwise(jobs)))
    options: dict[str, Any] = {"drain": True, "poll_interval": 0.05, "concurrency": 1}
    Worker(
        lite.queue, "tracing_app:app", isolation=isolation, queues=sorted({*queues, "parent", "told"}), **options
    ).run()
    assert list(lite.queue.results(jobs).values()) == expected
