"""A queue for coroutines: each call waits in a thread, and the event loop goes on."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from hammerwork_cli import (
    AsyncQueue,
    ConflictError,
    Handlers,
    Job,
    JobNotFoundError,
    SpawnContext,
    TimedOutError,
    UsageError,
    Worker,
    Workflow,
)
from hammerwork_cli.core.ids import new_id
from hammerwork_cli.runtime.api import async_queue
from tests.runtime.conftest import Stage, until

SECOND = timedelta(seconds=1)
PATIENCE = timedelta(seconds=30)


def test_a_coroutine_writes_reads_changes_and_awaits_jobs(stage: Stage, app: Handlers) -> None:
    app.register_handler("parent", lambda _: [Job("noop"), Job("noop")])

    async def service() -> None:
        async with AsyncQueue(stage.url, pool_size=2) as queue:
            parent, *noops = await queue.enqueue_many([Job("parent"), Job("noop"), Job("noop")])
            waits = [asyncio.create_task(queue.wait(job, timeout=PATIENCE)) for job in (*noops, *noops)]
            tree = asyncio.create_task(queue.wait(parent, timeout=PATIENCE, tree=True))
            await asyncio.sleep(0.3)
            await asyncio.to_thread(stage.work, app)
            assert [job.status for job in await asyncio.gather(*waits, tree)] == ["Completed"] * 5
            assert len([job async for job in queue.jobs("noop", status="completed")]) == 4
            children = [job.id async for job in queue.children(parent)]
            assert len(children) == len(set(children)) == 2
            assert await queue.results([parent, noops[0]]) == {parent.id: None, noops[0].id: None}
            assert (await queue.find(new_id())) is None

            job = await queue.enqueue(Job("noop", delay=timedelta(hours=1)))
            assert (await queue.cancel(job, "no need"), (await queue.get(job)).status) == (1, "Cancelled")
            assert (await queue.retry(job), (await queue.get(job)).status) == (1, "Pending")
            await queue.pause("noop")
            await queue.resume("noop")
            batch = await queue.enqueue_batch("night", [Job("noop")], on_complete=Job("noop"))
            flow = await queue.enqueue_workflow(Workflow("flow").add("a", Job("noop")))
            assert (len(batch.jobs), list(flow), await queue.migrate()) == (1, ["a"], [])
            with pytest.raises(ConflictError):
                await queue.cancel(parent)

    asyncio.run(service())


def test_the_event_loop_goes_on_while_calls_wait(lite: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = list[int]()
    over = async_queue._over
    monkeypatch.setattr(async_queue, "_over", lambda database, jobs: (looks.append(len(jobs)), over(database, jobs))[1])

    async def service() -> None:
        async with AsyncQueue(lite.url) as queue:
            jobs = await queue.enqueue_many([Job("nobody") for _ in range(200)])
            began, ticks = time.monotonic(), 0
            waits = asyncio.gather(*(queue.wait(job, timeout=SECOND) for job in jobs), return_exceptions=True)
            while not waits.done():
                await asyncio.sleep(0.01)
                ticks += 1
            assert {type(error) for error in await waits} == {TimedOutError}
            assert time.monotonic() - began < 10
            assert ticks > 20
            assert max(looks) == 200
            assert len(looks) < 15  # one look for all of them, not one for each
            with pytest.raises(TimedOutError):
                await queue.wait(jobs[0], timeout=SECOND / 10, tree=True)

    asyncio.run(service())


def test_one_queue_serves_an_event_loop_after_the_other(lite: Stage) -> None:
    (job,) = lite.enqueue(Job("nobody"))
    queue = AsyncQueue(lite.url, pool_size=1)
    loop = asyncio.new_event_loop()
    with pytest.raises(TimedOutError):
        loop.run_until_complete(queue.wait(job, timeout=SECOND / 2))
    loop.close()  # unlike asyncio.run, it cancels nothing

    async def service() -> None:
        await queue.cancel(job)
        assert (await asyncio.wait_for(queue.wait(job), 10)).status == "Cancelled"
        assert (await queue.wait(job, timeout=timedelta(0))).status == "Cancelled"  # as Queue.wait says
        await queue.close()

    asyncio.run(service())


def test_a_queue_that_is_closed_has_ended_its_calls_and_refuses_others(lite: Stage) -> None:
    (job,) = lite.enqueue(Job("nobody"))

    async def service() -> None:
        async with AsyncQueue(lite.url, pool_size=3) as queue:
            calls = [asyncio.create_task(queue.enqueue_many([Job("noop") for _ in range(100)])) for _ in range(3)]
            waiting = asyncio.create_task(queue.wait(job))
            await asyncio.sleep(0.01)
            await queue.close()
            assert all(call.done() for call in calls)
            for refused in (waiting, queue.get(job), queue.wait(job, tree=True)):
                with pytest.raises(UsageError, match="closed"):
                    await asyncio.wait_for(refused, 10)

    asyncio.run(service())


@pytest.mark.parametrize("tree", [True, False])
def test_a_wait_that_is_cancelled_leaves_nothing_behind(lite: Stage, tree: bool) -> None:
    async def service() -> None:
        async with AsyncQueue(lite.url) as queue:
            job = await queue.enqueue(Job("nobody"))
            waiting = asyncio.create_task(queue.wait(job, tree=tree))
            await asyncio.sleep(0.5)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            assert not queue._awaited

    asyncio.run(service())
    until(lambda: not [one for one in threading.enumerate() if one.name.startswith("hammerwork-async")])


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        (lambda queue: queue.wait("not-an-id"), UsageError),
        (lambda queue: queue.wait(new_id()), JobNotFoundError),
        (lambda queue: queue.wait(new_id(), tree=True), JobNotFoundError),
        (lambda queue: queue.get(new_id()), JobNotFoundError),
        (lambda queue: queue.wait(new_id(), timeout=-SECOND), UsageError),
        (lambda queue: queue.enqueue(Job()), UsageError),
    ],
)
def test_errors_are_those_of_a_queue(
    lite: Stage, wrong: Callable[[AsyncQueue], Awaitable[Any]], error: type[Exception]
) -> None:
    async def service() -> None:
        async with AsyncQueue(lite.url) as queue:
            with pytest.raises(error):
                await wrong(queue)

    asyncio.run(service())


def test_a_coroutine_spawns_children_and_the_other_coroutines_go_on(stage: Stage) -> None:
    app = Handlers()
    app.register_job("noop", lambda job: None)  # noqa: ARG005

    @app.job("crawl")
    async def crawl(job: Job, context: SpawnContext) -> bool | None:
        children = await asyncio.gather(*(context.aspawn(Job("noop"), key=f"page-{page}") for page in range(5)))
        again = await context.aspawn(Job("noop"), key="page-0")
        return all(child.created for child in children) and again.id == children[0].id and not again.created

    jobs = stage.enqueue(Job("crawl"), Job("crawl"))
    stage.work(app)
    assert stage.queue.results(jobs) == dict.fromkeys([job.id for job in jobs], True)
    assert [len(stage.children(job)) for job in jobs] == [5, 5]


def test_a_worker_runs_beside_other_coroutines_and_a_cancellation_stops_it(lite: Stage) -> None:
    app = Handlers()
    started, released = threading.Event(), threading.Event()

    @app.job("slow")
    def slow(job: Job) -> None:
        started.set()
        released.wait(30)

    (job, quick) = lite.enqueue(Job("slow"), Job("quick"))
    app.register_job("quick", lambda job: None)  # noqa: ARG005

    async def service() -> None:
        assert (await Worker(lite.url, app, queues=["quick"], drain=True).arun()).completed == 1
        worker = asyncio.create_task(Worker(lite.url, app).arun())
        await asyncio.to_thread(started.wait, 30)
        worker.cancel()
        await asyncio.sleep(0.3)
        assert not worker.done()  # until the job has ended
        released.set()
        with pytest.raises(asyncio.CancelledError):
            await worker

    asyncio.run(service())
    assert lite.status(job, quick) == ["Completed"] * 2
