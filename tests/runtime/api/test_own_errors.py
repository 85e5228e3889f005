"""Errors of hammerwork that a handler raises keep their class and its lines; the worker's own are sentences."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from hammerwork_cli import Handlers, Job, RetryStrategy, SpawnConfig, SpawnContext, Worker
from tests.runtime.conftest import Stage

APP = """
import os
from hammerwork_cli import Handlers, Job, SpawnConfig, SpawnHandler, SpawnRefusedError
from hammerwork_cli.errors import ConflictError

app = Handlers()

@app.job("argument")
def argument(job):
    return Job("x", delay=5)  # the line of the author

@app.job("conflict")
async def conflict(job):
    raise ConflictError("c")  # the line of the author

@app.job("early")
def early(job, context):
    context.spawn(Job("leaf"), key="")  # the line of the author

@app.job("keyless")
def keyless(job, context):
    context.spawn(Job("leaf"))  # the line of the author

@app.job("no_job")
def no_job(job, context):
    context.spawn("leaf", key="a")  # the line of the author

@app.spawn("nowhere")
def nowhere(context):
    yield Job("other")
    yield Job("leaf").depends_on("00000000-0000-4000-8000-000000000000")

@app.spawn("parent")
def parent(context):
    yield context.parent_job

@app.spawn("yields")
def yields(context):
    yield Job("x", delay=5)  # the line of the author

@app.spawn("careful")
class Careful(SpawnHandler):
    def validate_spawn(self, job, config):
        if job.payload:
            raise SpawnRefusedError("not today")  # the line of the author
        Job("x", delay=5)  # the line of the author

    def spawn_jobs(self, context):
        return ()

@app.job("set")
def returns_a_set(job):
    return {1}

@app.spawn("number")
def number(context):
    yield 5

@app.spawn("limited")
def limited(context):
    yield from [Job("leaf"), Job("leaf")]

@app.job("crash")
def crash(job):
    os._exit(3)
"""
THE_AUTHORS = {
    "argument": "UsageError: delay must be a timedelta that is not negative, not 5.",
    "conflict": "ConflictError: c",
    "early": "UsageError: The key of a child must be text",
    "keyless": "UsageError: context.spawn needs a key: context.spawn(job, key=",
    "no_job": "UsageError: The child of context.spawn must be a Job such as",
    "yields": "The spawn handler failed: UsageError: delay must be a timedelta",
    "careful": "validate_spawn of careful refused: delay must be a timedelta",
    "refuses": "SpawnRefusedError: not today",
}
THE_WORKERS = {
    "set": "The result cannot be stored. JSON cannot hold this value: a value of type set has no place in it.",
    "number": "The spawn handler produced a value of type int as child 1, not a Job.",
    "nowhere": "There is no job 00000000-0000-4000-8000-000000000000 to depend on, as child 2 (leaf) does: it is not",
    "parent": "The spawn handler produced its own parent",
    "limited": "max_spawn_count allows 1 ",
    "crash": "The process that ran the handler ended: exit code 3.",
}


@pytest.mark.usefixtures("forked_processes")
@pytest.mark.parametrize("isolation", ["thread", "process"])
def test_an_error_keeps_its_class_and_the_lines_of_the_author_unless_the_worker_itself_raised_it(
    lite: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, isolation: str
) -> None:
    (tmp_path / "own_errors.py").write_text(APP)
    monkeypatch.syspath_prepend(str(tmp_path))
    jobs: dict[str, Job] = {name: Job(name) for name in (*THE_AUTHORS, *THE_WORKERS)}
    jobs["refuses"] = Job("careful", {"refuse": True})
    jobs["limited"] = Job("limited").with_spawn_config(SpawnConfig(max_spawn_count=1))
    if isolation == "thread":
        del jobs["crash"]
    for job in jobs.values():
        job.max_attempts = 1
    lite.enqueue(*jobs.values())
    settings: dict[str, Any] = {"drain": True, "poll_interval": 0.05, "concurrency": 1}
    Worker(lite.queue, "own_errors:app", isolation=isolation, **settings).run()
    errors = {name: lite.one(job, "error_message") for name, job in jobs.items()}
    for name, text in THE_AUTHORS.items():
        assert errors[name].startswith(text), errors[name]
        assert errors[name].count("# the line of the author") == 1, errors[name]
    for name in THE_WORKERS.keys() & errors.keys():
        assert errors[name].startswith(THE_WORKERS[name])
        assert "\n" not in errors[name]


def test_an_error_of_a_spawn_that_the_worker_answers_stays_final(lite: Stage) -> None:
    app = Handlers()

    @app.job("parent", retry=RetryStrategy.fixed(timedelta(milliseconds=1)))
    def parent(job: Job, context: Any) -> None:
        context.spawn(Job("leaf"), key="a")
        context.spawn(Job("other"), key="a")

    (job,) = lite.enqueue(Job("parent"))
    lite.work(app)
    error, attempts = lite.one(job, "error_message, attempts")
    assert error.startswith("LastingConflictError: The key 'a' names a child in the queue 'leaf'")
    assert 'context.spawn(Job("other"), key="a")' in error
    assert attempts == 1


def test_the_error_of_a_job_that_timed_out_says_where_its_handler_was(lite: Stage) -> None:
    app = Handlers()

    @app.job("thread")
    def thread(job: Job) -> None:
        time.sleep(1.5)  # in a thread

    async def inner() -> None:
        await asyncio.sleep(60)  # in a coroutine

    @app.job("waits")
    async def waits(job: Job) -> None:
        await inner()

    @app.job("blocks")
    async def blocks(job: Job) -> None:
        time.sleep(1.5)  # in the event loop

    @app.spawn("spawns")
    async def spawns(context: SpawnContext) -> AsyncIterator[Job]:
        yield Job("leaf")
        await asyncio.sleep(60)  # in a spawn handler

    @app.job("deep")
    def deep(job: Job, left: int = 100) -> None:
        if left:
            deep(job, left - 1)
        else:
            time.sleep(1.5)  # at the bottom

    lines = {
        "thread": "in a thread",
        "waits": "in a coroutine",
        "spawns": "in a spawn handler",
        "deep": "at the bottom",
    }
    for names in (lines, {"blocks": "in the event loop"}):
        jobs = {name: Job(name, timeout=timedelta(seconds=1)) for name in names}
        lite.enqueue(*jobs.values())
        lite.work(app, concurrency=4)
        for name, job in jobs.items():
            error = lite.one(job, "error_message")
            assert error.startswith("It did not end within 1 s.\n\nIt was here (innermost call last):\n  File "), name
            assert f"# {names[name]}\n" in error
            assert error.count("\n") < 60
            assert "hammerwork_cli" not in error
