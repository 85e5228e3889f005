"""What the jobs of a run do: they leave a line in a file, and spawn what the plan says."""

import os
import random
import time
from collections.abc import Iterable, Iterator
from datetime import timedelta
from pathlib import Path
from zlib import crc32

from chaos import plan
from chaos.plan import Planned
from hammerwork_cli import Handlers, Job, RetryStrategy, SpawnConfig, SpawnContext

AGAIN = RetryStrategy.fixed(timedelta(milliseconds=30))
SURVIVES = 10_000
"""Attempts: more than there are kills."""


def handlers(effects: Path) -> Handlers:
    """Handlers for all kinds of jobs; each run of one adds a line to ``effects``."""
    file = os.open(effects, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def run(job: Job, context: SpawnContext) -> dict[str, str]:
        kind, name = str(job.queue), job.payload["name"]
        os.write(file, f"{job.id} {job.attempts}\n".encode())
        for child in plan.keyed(kind, name):
            written = context.spawn(made(child, job.id), key=child.name)
            assert written.queue == child.kind
        if job.payload["size"] or random.random() < 0.1:
            time.sleep(random.uniform(0, 0.02))
        if kind in plan.DEADLY or (kind == "flaky" and job.attempts <= 1 + crc32(name.encode()) % 2):
            raise RuntimeError(f"{name} fails in attempt {job.attempts}, as it should.")
        return {"name": name}

    app = Handlers()
    for kind in sorted(plan.KINDS):
        app.register_job(kind, run, retry=AGAIN)
    for kind in sorted(plan.PARENTS):
        app.register_handler(kind, spawned)
    return app


def spawned(context: SpawnContext) -> Iterator[Job]:
    """The children of a job."""
    parent = context.parent_job
    name = str(parent.payload["name"])
    if parent.recurring:
        assert parent.scheduled_at is not None
        name += f"@{parent.scheduled_at.isoformat()}"
    ids: dict[str, str] = {}
    for child in plan.children(str(parent.queue), name, parent.payload["size"]):
        job = made(child, parent.id)
        if parent.queue != "stream":
            ids[child.name] = job.id
        yield job.depends_on(*(ids[sibling] for sibling in child.after))


def made(planned: Planned, parent: str | None) -> Job:
    """A planned job with an id of its own."""
    job = Job(planned.kind, planned.payload(parent), max_attempts=2 if planned.kind in plan.DEADLY else SURVIVES)
    if planned.kind == "stream":
        job = job.with_spawn_config(SpawnConfig(max_spawn_count=planned.size))
    return job.with_cron("* * * * * *") if planned.kind == "tick" else job


def roots(planned: Iterable[Planned]) -> list[Job]:
    """The roots of a wave, which may wait for each other."""
    jobs: dict[str, Job] = {}
    for root in planned:
        jobs[root.name] = made(root, None).depends_on(*(jobs[other] for other in root.after))
    return list(jobs.values())
