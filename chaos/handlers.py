"""What the jobs of a run do: they leave a line in a file, and spawn what the plan says."""

import asyncio
import os
import random
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_OID, uuid5
from zlib import crc32

from chaos import forks, plan
from chaos.plan import Planned, Watched
from chaos.poisons import ASYNC_POISONS, CRASHES, POISONS
from hammerwork_cli import Handlers, Job, Queue, RetryStrategy, SpawnConfig, SpawnContext, Workflow

AGAIN = RetryStrategy.fixed(timedelta(milliseconds=30))
EFFECTS = "HAMMERWORK_CHAOS_EFFECTS"
"""The variable that names the file to which each run adds a line."""
SURVIVES = 10_000
"""Attempts: more than there are kills."""


def _forks(name: str, context: SpawnContext) -> dict[str, str]:
    assert context.queue is not None
    forks.enqueue(context.queue, *(_once(child) for child in plan.forked("forks", name)))
    return {"name": name}


def _spawn_early(job: Job, context: SpawnContext) -> None:
    kind, name = str(job.queue), plan.name_in(job._stored_payload)
    if join := plan.joined(kind, name):
        context.after_all(made(join.job, job.id), scope=join.scope, on_failure=join.on_failure, key=join.job.name)
    for child in plan.keyed(kind, name):
        written = context.spawn(made(child, job.id), key=child.name)
        assert written.queue == child.kind


_DOES: dict[str, Callable[[str, SpawnContext], object]] = {
    "poison": lambda name, context: POISONS[name.partition(":")[2]](context),
    "crashes": lambda name, _: CRASHES[name.partition(":")[2]](),
    "forks": _forks,
}


def handlers(effects: Path) -> Handlers:
    """Handlers for all kinds of jobs; each run of one adds a line to ``effects``."""
    file = os.open(effects, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def run(job: Job, context: SpawnContext) -> object:
        kind, name = str(job.queue), plan.name_in(job._stored_payload)
        os.write(file, f"{job.id} {job.attempts}\n".encode())
        _spawn_early(job, context)
        if kind in _DOES:
            return _DOES[kind](name, context)
        if job.payload["size"] or kind in (plan.LIMITED, plan.UNIQUE) or random.random() < 0.1:
            time.sleep(random.uniform(0, 0.02))
        if kind in plan.DEADLY or (kind in plan.FAIL_FIRST and job.attempts <= 1 + crc32(name.encode()) % 2):
            raise RuntimeError(f"{name} fails in attempt {job.attempts}, as it should.")
        return {"name": name}

    async def run_async(job: Job) -> dict[str, str]:
        os.write(file, f"{job.id} {job.attempts}\n".encode())
        await asyncio.sleep(0.01)
        if job.queue == "asyncpoison":
            raise ASYNC_POISONS[job.payload["name"].partition(":")[2]]
        return {"name": job.payload["name"]}

    app = Handlers()
    for kind in sorted(plan.KINDS):
        app.register_job(kind, run_async if kind in plan.ASYNC else run, retry=AGAIN)
    for kind in sorted(plan.PARENTS):
        app.register_handler(kind, spawned)
    return app


def app() -> Handlers:
    """The same for processes, which find handlers by name."""
    return handlers(Path(os.environ[EFFECTS]))


def spawned(context: SpawnContext) -> Iterator[Job]:
    """The children of a job."""
    parent = context.parent_job
    name = plan.name_in(parent._stored_payload)
    if parent.recurring:
        assert parent.scheduled_at is not None
        name += f"@{parent.scheduled_at.isoformat()}"
    ids: dict[str, str] = {}
    for child in plan.children(str(parent.queue), name, parent.payload["size"]):
        job = made(child, parent.id)
        if parent.queue != "stream":
            ids[child.name] = job.id
        yield job.depends_on(*(ids[sibling] for sibling in child.after))
    yield from (made(child, parent.id) for child in plan.contested(str(parent.queue), name))


def made(planned: Planned, parent: str | None) -> Job:
    """A planned job with an id of its own."""
    job = Job(planned.kind, planned.payload(parent), max_attempts=2 if planned.kind in plan.DEADLY else SURVIVES)
    if planned.kind == "stream":
        job = job.with_spawn_config(SpawnConfig(max_spawn_count=planned.size))
    if planned.kind == "ttl":
        return job.with_delay(timedelta(seconds=1))  # whoever spoils it has some time
    if planned.kind == plan.UNIQUE:
        return job.with_unique(planned.name)
    return job.with_cron("* * * * * *") if planned.kind == "tick" else job


def _once(planned: Planned) -> Job:
    """With an id that follows from its name, so that enqueuing it again changes nothing."""
    job = made(planned, None)
    job.id = str(uuid5(NAMESPACE_OID, planned.name))
    return job


def roots(planned: Iterable[Planned]) -> list[Job]:
    """The roots of a wave, which may wait for each other."""
    jobs: dict[str, Job] = {}
    for root in planned:
        jobs[root.name] = made(root, None).depends_on(*(jobs[other] for other in root.after))
    return list(jobs.values())


def enqueue_uniques(url: str, planned: Iterable[Planned]) -> None:
    """Enqueues unique jobs from several connections at once."""

    def client(_: int) -> None:
        with Queue(url) as queue:
            for one in planned:
                queue.enqueue(made(one, None))

    with ThreadPoolExecutor(plan.CLIENTS) as clients:
        list(clients.map(client, range(plan.CLIENTS)))


def enqueue_watched(queue: Queue, watched: Watched) -> None:
    """Enqueues a batch, a tree or a workflow with its callbacks."""
    callbacks: dict[str, Any] = {f"on_{event}": made(watched.told(event), None) for event in plan.EVENTS}
    jobs = roots(watched.jobs)
    if watched.subject == "tree":
        queue.enqueue_many([job.with_callbacks(**callbacks) for job in jobs])
    elif watched.subject == "batch":
        queue.enqueue_batch(watched.name, jobs, **callbacks)
    else:
        workflow = Workflow(watched.name, failure_policy=watched.policy, **callbacks)
        for planned in watched.jobs:
            workflow.add(planned.name, made(planned, None), after=planned.after)
        queue.enqueue_workflow(workflow)
