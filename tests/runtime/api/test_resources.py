"""Resources are opened once, when they are first used, and closed whatever ends the worker."""

import asyncio
import json
import logging
import os
import signal
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from hammerwork_cli import Handlers, Job, Queue, Resources, RetryStrategy, SpawnContext, UsageError, Worker
from hammerwork_cli.errors import ConfigError
from hammerwork_cli.runtime.isolation import process
from hammerwork_cli.runtime.rehearsal.collecting_queue import CollectingQueue
from hammerwork_cli.runtime.rehearsal.rehearser import Rehearser
from hammerwork_cli.runtime.rehearsal.spawn_step import claimed
from hammerwork_cli.runtime.worker.loop import MainLoop
from hammerwork_cli.testing import run
from tests.forks import Fork
from tests.runtime.conftest import Stage, until

AT_ONCE = RetryStrategy.fixed(timedelta(0))

ENDS: dict[str, dict[str, Any]] = {
    "it has drained its queues": {"drain": True},
    "it has run enough jobs": {"max_jobs": 2},
    "it is stopped": {},
    "it is stopped at once": {},
    "an exception ends it": {},
}


def opened_in_turn(app: Handlers, events: list[str]) -> Callable[..., Iterator[str]]:
    @app.lifespan
    def start() -> Iterator[None]:
        events.append("start")
        yield
        events.append("end")

    @app.resource
    def pool() -> Iterator[str]:
        events.append("open pool")
        time.sleep(0.05)
        yield "pool"
        events.append("close pool")

    @app.resource
    def store(resources: Resources) -> Iterator[str]:
        name = resources.use(pool)
        events.append("open store")
        yield f"store on {name}"
        events.append("close store")

    return store


@pytest.mark.sqlite
@pytest.mark.parametrize("end", ENDS)
def test_slots_that_need_a_resource_at_once_open_it_once_and_it_is_closed_when(
    lite: Stage, app: Handlers, end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []
    together, stuck = threading.Barrier(2), threading.Event()

    store = opened_in_turn(app, events)

    @app.job("uses")
    def uses(job: Job, context: SpawnContext) -> str:
        together.wait(10)
        used = context.use(store)
        if job.payload == "stuck":
            assert stuck.wait(20)
        return used

    at_once = end == "it is stopped at once"
    jobs = lite.enqueue(Job("uses"), Job("uses", "stuck" if at_once else None))
    worker = Worker(lite.queue, app, poll_interval=0.05, concurrency=2, **ENDS[end])

    def interrupt(_: MainLoop) -> bool:
        raise KeyboardInterrupt

    def stop() -> None:
        until(lambda: "open store" in events and lite.status(*jobs).count("Completed") == 2 - at_once)
        if end == "an exception ends it":
            monkeypatch.setattr(MainLoop, "_turn", interrupt)
        else:
            worker.stop(now=at_once)

    if not ENDS[end]:
        threading.Thread(target=stop, daemon=True).start()
    with suppress(KeyboardInterrupt):
        worker.run()
    stuck.set()
    assert events == ["start", "open pool", "open store", "close store", "close pool", "end"]
    if not at_once:
        assert lite.queue.get(jobs[0]).result == "store on pool"


@pytest.mark.sqlite
def test_coroutines_share_a_resource_of_their_event_loop_and_one_task_opens_and_closes_it(
    lite: Stage, app: Handlers
) -> None:
    events: list[Any] = []
    begun = asyncio.Event()

    @app.resource
    def pool() -> Iterator[str]:
        yield "pool"
        events.append("close pool")

    @app.resource
    async def client(resources: Resources) -> AsyncIterator[str]:
        async with asyncio.timeout(60):  # refuses to be left in another task
            events.append("open client")
            begun.set()
            await asyncio.sleep(0.1)
            yield f"client of {resources.use(pool)}"
        events.append("close client")

    @app.resource
    async def api(resources: Resources) -> AsyncIterator[str]:
        yield f"api by {await resources.use(client)}"
        events.append("close api")

    @app.job("calls", timeout=timedelta(seconds=20))
    async def calls(job: Job, context: SpawnContext) -> str:
        return await context.use(api)

    @app.job("impatient")
    async def impatient(job: Job, context: SpawnContext) -> str:
        asking = asyncio.ensure_future(context.use(client))
        await begun.wait()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        return "cancelled"

    jobs = lite.enqueue(Job("impatient", priority="critical"), *(Job("calls") for _ in range(20)))
    report = lite.work(app, concurrency=30)
    assert (report.completed, report.failed) == (21, 0)
    assert {lite.queue.get(job).result for job in jobs[1:]} == {"api by client of pool"}
    assert events == ["open client", "close api", "close client", "close pool"]


@pytest.mark.sqlite
def test_an_error_while_a_resource_opens_fails_the_attempt_and_the_next_one_opens_it_again(
    lite: Stage, app: Handlers
) -> None:
    tries: list[str] = []

    @app.resource
    def pool() -> Iterator[str]:
        tries.append("pool")
        if tries.count("pool") == 1:
            raise OSError("not yet")
        yield "pool"

    @app.resource
    async def client() -> AsyncIterator[str]:
        tries.append("client")
        if tries.count("client") == 1:
            raise OSError("not yet either")
        yield "client"

    @app.job("pool", retry=AT_ONCE)
    def uses(job: Job, context: SpawnContext) -> str:
        return context.use(pool)

    @app.job("client", retry=AT_ONCE)
    async def calls(job: Job, context: SpawnContext) -> str:
        return await context.use(client)

    jobs = lite.enqueue(Job("pool"), Job("client"))
    report = lite.work(app, poll_interval=0.01)
    assert (report.completed, report.failed) == (2, 2)
    assert [lite.queue.get(job).result for job in jobs] == ["pool", "client"]
    assert sorted(tries) == ["client", "client", "pool", "pool"]


@pytest.mark.sqlite
def test_an_error_while_a_resource_closes_is_logged_and_the_others_are_closed(
    lite: Stage, app: Handlers, caplog: pytest.LogCaptureFixture
) -> None:
    closed: list[str] = []

    @app.resource
    def first() -> Iterator[int]:
        yield 1
        closed.append("first")

    @app.resource
    def breaks() -> Iterator[int]:
        yield 2
        raise OSError("it is gone")

    @app.resource
    async def breaks_too() -> AsyncIterator[int]:
        yield 3
        raise OSError("that one as well")

    @app.resource
    def twice() -> Iterator[int]:
        yield 4
        yield 5

    @app.job("uses")
    async def uses(job: Job, context: SpawnContext) -> int:
        return context.use(first) + context.use(breaks) + await context.use(breaks_too) + context.use(twice)

    (job,) = lite.enqueue(Job("uses"))
    lite.work(app)
    assert (lite.queue.get(job).result, closed) == (10, ["first"])
    logged = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert [(record.getMessage(), bool(record.exc_info)) for record in logged] == [
        ("twice yields more than once.", False),
        ("breaks_too could not be closed.", True),
        ("breaks could not be closed.", True),
    ]


@pytest.mark.sqlite
def test_a_lifespan_that_fails_keeps_the_worker_from_starting_and_ends_those_before_it(
    lite: Stage, app: Handlers
) -> None:
    events: list[str] = []

    @app.lifespan
    def first() -> Iterator[None]:
        events.append("start")
        yield
        events.append("end")

    @app.lifespan
    def tracing() -> Iterator[None]:
        raise KeyError("DSN")
        yield

    (job,) = lite.enqueue(Job("noop"))
    with pytest.raises(ConfigError, match=r"The lifespan tracing failed: KeyError: 'DSN' \(.*test_resources.py, line"):
        lite.work(app)
    assert events == ["start", "end"]
    assert lite.status(job) == ["Pending"]
    assert lite.database.query("SELECT count(*) FROM hammerwork_workers") == [(0,)]


def test_a_function_that_cannot_be_a_resource_is_refused_with_the_reason() -> None:
    app, other = Handlers(), Handlers()

    @app.resource
    def first(resources: Resources) -> Iterator[int]:
        yield resources.use(second)

    @app.resource
    def second(resources: Resources) -> Iterator[int]:
        yield resources.use(first)

    @app.resource
    async def client() -> AsyncIterator[int]:
        yield 3

    @other.resource
    def elsewhere() -> Iterator[int]:
        yield 4

    uses: dict[str, Callable[[SpawnContext], Any]] = {
        "first uses itself: first -> second -> first": lambda context: context.use(first),
        "elsewhere is not a resource of this application": lambda context: context.use(elsewhere),
        "client needs an event loop": lambda context: context.use(client),
    }
    app.register_job("uses", lambda job, context: uses[job.payload](context))
    for said in uses:
        assert said in (run(app, Job("uses", said)).error or "")
    with pytest.raises(UsageError, match="elsewhere is not a resource"):
        run(app, Job("uses"), use={elsewhere: 4})
    app.include(other)
    assert run(app, Job("uses", list(uses)[1])).result == 4

    for function, said in (
        (lambda: 1, "must be a generator function"),
        (client, "cannot be asynchronous"),
        (wants_two, r"called with \(\) or \(resources\)"),
    ):
        with pytest.raises(UsageError, match=said):
            app.lifespan(function)


def wants_two(one: int, two: int) -> Iterator[None]:
    yield


def test_a_test_replaces_resources_and_closes_those_that_it_does_not_replace() -> None:
    app = Handlers()
    closed: list[str] = []

    @app.resource
    def pool() -> Iterator[str]:
        yield "pool"
        closed.append("pool")

    @app.resource
    async def client(resources: Resources) -> AsyncIterator[str]:
        yield f"client on {resources.use(pool)}"
        closed.append("client")

    @app.job("sync")
    def sync(job: Job, context: SpawnContext) -> str:
        return context.use(pool)

    @app.job("async")
    async def later(job: Job, context: SpawnContext) -> str:
        return await context.use(client)

    @app.spawn("async")
    async def spawns(context: SpawnContext) -> list[Job]:
        return [Job("child", await context.use(client))]

    assert run(app, Job("sync"), use={pool: "fake"}).result == "fake"
    outcome = run(app, Job("async"), use={pool: "fake"})
    assert (outcome.result, outcome.children[0].payload) == ("client on fake", "client on fake")
    assert closed == ["client", "client"]  # it calls each function in an event loop of its own
    assert run(app, Job("async"), use={client: "fake client"}).result == "fake client"
    assert run(app, Job("sync")).result == "pool"
    assert closed == ["client", "client", "pool"]


def test_resources_that_open_while_the_others_are_closed_are_closed_at_once(app: Handlers) -> None:
    events: list[str] = []
    begun, go_on = threading.Event(), threading.Event()

    @app.resource
    def pool() -> Iterator[int]:
        begun.set()
        go_on.wait(20)
        yield 1
        events.append("close pool")

    @app.resource
    async def client() -> AsyncIterator[int]:
        await asyncio.sleep(0)
        yield 2
        events.append("close client")

    opened = app._open_resources()
    with ThreadPoolExecutor(1) as thread:
        used = thread.submit(opened.use, pool)
        assert begun.wait(20)
        opened.close()
        go_on.set()
        with pytest.raises(ConfigError, match="The worker has ended"):
            used.result(20)

    async def use() -> None:
        another = app._open_resources()
        asking = asyncio.ensure_future(another.use(client))
        await asyncio.sleep(0)
        another.close()
        with pytest.raises(ConfigError, match="The worker has ended"):
            await asking

    asyncio.run(use())
    assert events == ["close pool", "close client"]


@pytest.mark.sqlite
def test_a_rehearsal_opens_and_closes_what_a_spawn_handler_uses(lite: Stage, app: Handlers) -> None:
    events: list[str] = []

    @app.lifespan
    def start() -> Iterator[None]:
        events.append("start")
        yield
        events.append("end")

    @app.resource
    async def client() -> AsyncIterator[str]:
        yield "page"
        events.append("close client")

    @app.spawn("crawl")
    async def crawl(context: SpawnContext) -> list[Job]:
        return [Job(await context.use(client))]

    now = datetime.now(UTC)
    rehearser = Rehearser(app, CollectingQueue(lambda: lite.queue.url, now), now, database=None, most=10)
    found = rehearser.rehearse(claimed(Job("crawl")._new_job(now), now), stored=False)
    assert [child.queue for child in found.first] == ["page"]
    assert events == ["start", "close client", "end"]


HANDLERS = """
import os, sys, time
from pathlib import Path
from hammerwork_cli import Handlers

app = Handlers()

def note(event):
    with open("events", "a") as file:
        file.write(f"{os.getpid()} {event}\\n")

@app.lifespan
def start():
    note("start")
    if Path("refuses").exists():
        raise KeyError("DSN")
    yield
    note("end")

@app.resource
def pool():
    note("open pool")
    yield "pool"
    note("close pool")

@app.resource
async def client(resources):
    yield f"client on {resources.use(pool)}"
    note("close client")

@app.job("uses")
def uses(job, context):
    assert context.use(pool) is context.use(pool)
    note("job")

@app.job("calls")
async def calls(job, context):
    return await context.use(client)

@app.job("hangs")
def hangs(job, context):
    context.use(pool)
    note("hangs")
    time.sleep(600)

@app.spawn("uses")
def spawns(context):
    return []
"""


def events(folder: Path) -> list[str]:
    file = folder / "events"
    return [line.partition(" ")[2] for line in file.read_text().splitlines()] if file.exists() else []


@pytest.mark.sqlite
@pytest.mark.parametrize("isolation", ["thread", "process"])
def test_a_signal_lets_a_worker_close_the_resources_of_its_handlers(
    isolation: str, lite: Stage, tmp_path: Path
) -> None:
    (tmp_path / "shared.py").write_text(HANDLERS)
    lite.enqueue(Job("uses"), Job("uses"), Job("calls"))
    options = ["--isolation", isolation, "--concurrency", "1", "--poll-interval", "0.05", "--database-url", lite.url]
    with Fork(["worker", "start", "--handlers", "shared:app", *options], os.environ, tmp_path) as worker:
        try:
            until(lambda: [status for _, status in lite.rows()] == ["Completed"] * 3)
        finally:
            worker.send_signal(signal.SIGTERM)
        assert "rror" not in worker.stderr.read()
    assert worker.returncode == 0
    assert events(tmp_path) == ["start", "open pool", "job", "job", "close client", "close pool", "end"]


@pytest.mark.sqlite
def test_a_second_signal_closes_the_resources_of_idle_processes_and_kills_those_that_work(
    lite: Stage, tmp_path: Path
) -> None:
    (tmp_path / "shared.py").write_text(HANDLERS)
    jobs = lite.enqueue(Job("hangs", max_attempts=2), Job("uses"))
    options = ["--isolation", "process", "--concurrency", "2", "--poll-interval", "0.05", "--database-url", lite.url]
    with Fork(["worker", "start", "--handlers", "shared:app", *options], os.environ, tmp_path) as worker:
        try:
            until(lambda: lite.status(*jobs) == ["Running", "Completed"] and "hangs" in events(tmp_path))
        finally:
            worker.send_signal(signal.SIGTERM)
            time.sleep(0.2)
            worker.send_signal(signal.SIGTERM)
    lines = (tmp_path / "events").read_text().splitlines()
    (idle,) = (line.split()[0] for line in lines if line.endswith(" job"))
    assert [line.partition(" ")[2] for line in lines if line.startswith(f"{idle} ")][-2:] == ["close pool", "end"]
    assert events(tmp_path).count("end") == 1
    assert lite.status(*jobs) == ["Pending", "Completed"]


@pytest.mark.sqlite
def test_a_lifespan_that_fails_in_a_process_fails_the_attempt_with_its_reason(
    lite: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "refused.py").write_text(HANDLERS)
    (tmp_path / "refuses").touch()
    monkeypatch.chdir(tmp_path)
    (job,) = lite.enqueue(Job("uses", max_attempts=1))
    report = Worker(Queue(lite.url), "refused:app", isolation="process", concurrency=1, drain=True).run()
    assert (report.completed, report.failed) == (0, 1)
    assert "The lifespan start failed: KeyError: 'DSN'" in lite.one(job, "error_message")
    assert json.dumps(events(tmp_path)) == '["start"]'


@pytest.mark.sqlite
def test_a_process_that_does_not_close_its_resources_in_time_is_killed(
    lite: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "slow.py").write_text(HANDLERS.replace('note("close pool")', "time.sleep(600)"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(process, "CLOSE_SECONDS", 0.3)
    lite.enqueue(Job("uses"))
    began = time.monotonic()
    Worker(Queue(lite.url), "slow:app", isolation="process", drain=True, concurrency=1).run()
    assert time.monotonic() - began < 20
    assert "A process could not close its resources and end within 0.3 s: it is killed." in caplog.text
    assert "end" not in events(tmp_path)
