"""Seconds that a Procrastinate worker takes for no-op jobs: ``procrastinate_noop.py URL JOBS``."""

import asyncio
import sys
import time

import procrastinate

BATCH = 1000


async def main(url: str, jobs: int) -> None:
    app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=url))

    @app.task(queue="noop")
    async def noop(number: int) -> None:
        del number

    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        for start in range(0, jobs, BATCH):
            await noop.batch_defer_async(*({"number": number} for number in range(start, min(start + BATCH, jobs))))
        began = time.perf_counter()
        await app.run_worker_async(queues=["noop"], wait=False, concurrency=10, install_signal_handlers=False)
        print(time.perf_counter() - began)


asyncio.run(main(sys.argv[1], int(sys.argv[2])))
