"""Seconds, and seconds of the process's CPU, that hammerwork takes: ``hammerwork_side.py URL WHAT JOBS``."""

import logging
import sys
import time
from collections.abc import Iterator
from datetime import timedelta

import psycopg

from hammerwork_cli import Handlers, Job, Queue, Snooze, SpawnConfig, SpawnContext, Worker

TENANTS = 10
logging.disable()
app = Handlers()
snoozed: set[str] = set()


@app.job("noop")
async def noop(job: Job) -> None:
    del job


@app.job("again")
async def again(job: Job) -> None:
    if job.id not in snoozed:
        snoozed.add(job.id)
        raise Snooze(timedelta(0))


@app.spawn("parent")
def parent(context: SpawnContext) -> Iterator[Job]:
    if context.parent_job.payload["joins"]:
        context.after_all(Job("joined"))
    for number in range(context.parent_job.payload["jobs"]):
        yield Job("noop", {"number": number})


@app.job("joined")
def joined(job: Job) -> None:
    del job


def enqueue(queue: Queue, jobs: int) -> None:
    """In one transaction of the caller."""
    with psycopg.connect(queue.url.raw) as connection:
        for number in range(jobs):
            queue.enqueue(Job("noop", {"number": number}), connection=connection)


def fill(queue: Queue, what: str, jobs: int) -> None:
    if what in {"join", "spawn"}:
        config = SpawnConfig(max_spawn_count=None)
        queue.enqueue(Job("parent", {"jobs": jobs, "joins": what == "join"}).with_spawn_config(config))
    else:
        name = "again" if what == "snooze" else "noop"
        queue.enqueue_many(Job(name, {"number": number, "tenant": number % TENANTS}) for number in range(jobs))


def main(url: str, what: str, jobs: int) -> None:
    with Queue(url) as queue:
        queue.migrate()
        if what != "enqueue":
            fill(queue, what, jobs)
        if what == "limited":
            queue.limit("noop", concurrency=1, per="tenant")
        began, used = time.perf_counter(), time.process_time()
        if what == "enqueue":
            enqueue(queue, jobs)
        else:
            Worker(queue, app, concurrency=TENANTS, drain=True).run()
        print(time.perf_counter() - began, time.process_time() - used)


main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
