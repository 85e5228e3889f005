"""Seconds, and seconds of the process's CPU, that Procrastinate takes: ``procrastinate_side.py URL WHAT JOBS``."""

import asyncio
import logging
import sys
import time

import psycopg
from procrastinate import App, JobContext, PsycopgConnector, RetryStrategy

TENANTS = 10
logging.disable()
app = App(connector=PsycopgConnector(conninfo=sys.argv[1]))


@app.task(name="noop")
async def noop(number: int) -> None:
    del number


@app.task(name="again", pass_context=True, retry=RetryStrategy(max_attempts=2, wait=0))
async def again(context: JobContext, number: int) -> None:
    """Has no snooze: it fails, and is tried again at once."""
    del number
    if context.job.attempts == 0:
        raise RuntimeError


def enqueue(jobs: int) -> None:
    """In one transaction of the caller."""
    with psycopg.connect(sys.argv[1]) as connection:
        for number in range(jobs):
            noop.configure(connection=connection).defer(number=number)


async def fill(what: str, jobs: int) -> None:
    if what == "limited":
        for tenant in range(TENANTS):
            deferrer = noop.configure(lock=f"tenant-{tenant}")
            await deferrer.batch_defer_async(*({"number": number} for number in range(tenant, jobs, TENANTS)))
    else:
        task = again if what == "snooze" else noop
        await task.batch_defer_async(*({"number": number} for number in range(jobs)))


async def work() -> None:
    """Again, while locked jobs have made a worker stop that does not wait for more."""
    async with app.open_async():
        while True:
            await app.run_worker_async(wait=False, concurrency=TENANTS, install_signal_handlers=False)
            (left,) = await app.connector.execute_query_all_async(
                "SELECT count(*) FROM procrastinate_jobs WHERE status IN ('todo', 'doing')"
            )
            if not left["count"]:
                return


async def set_up(what: str, jobs: int) -> None:
    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        if what != "enqueue":
            await fill(what, jobs)


def main(what: str, jobs: int) -> None:
    asyncio.run(set_up(what, jobs))
    if what == "enqueue":
        app.open()
    began, used = time.perf_counter(), time.process_time()
    if what == "enqueue":
        enqueue(jobs)
    else:
        asyncio.run(work())
    print(time.perf_counter() - began, time.process_time() - used)
    if what == "enqueue":
        app.close()


main(sys.argv[2], int(sys.argv[3]))
