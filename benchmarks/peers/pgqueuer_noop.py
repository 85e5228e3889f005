"""Seconds that a PgQueuer worker with a pool of ten takes for no-op jobs: ``pgqueuer_noop.py URL JOBS``."""

import asyncio
import sys
import time

import asyncpg
from pgqueuer import PgQueuer
from pgqueuer.db import AsyncpgPoolDriver
from pgqueuer.models import Job
from pgqueuer.queries import Queries
from pgqueuer.types import QueueExecutionMode

BATCH = 1000


async def main(url: str, jobs: int) -> None:
    async with asyncpg.create_pool(url, min_size=10, max_size=10) as pool:
        await run(AsyncpgPoolDriver(pool), jobs)


async def run(driver: AsyncpgPoolDriver, jobs: int) -> None:
    queries = Queries(driver)
    await queries.install()
    for _ in range(0, jobs, BATCH):
        await queries.enqueue(["noop"] * BATCH, [b"{}"] * BATCH, [0] * BATCH)
    queuer = PgQueuer(driver)

    @queuer.entrypoint("noop")
    async def noop(job: Job) -> None:
        del job

    began = time.perf_counter()
    await queuer.run(batch_size=100, mode=QueueExecutionMode.drain)
    print(time.perf_counter() - began)


asyncio.run(main(sys.argv[1], int(sys.argv[2])))
