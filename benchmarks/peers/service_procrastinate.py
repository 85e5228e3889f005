"""examples/service.py with Procrastinate, as far as it can.

It keeps no results and has no join, so a table has the answers, and the request looks whether all are there. An
attempt has no time limit.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

from procrastinate import App, PsycopgConnector, RetryStrategy
from psycopg_pool import AsyncConnectionPool
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

URL = os.environ["DATABASE_URL"]
TABLE = "CREATE TABLE IF NOT EXISTS answers (report UUID, city TEXT, answer TEXT, PRIMARY KEY (report, city))"
app = App(connector=PsycopgConnector(conninfo=URL))
pool = AsyncConnectionPool(URL, open=False)


async def weather(city: str) -> str:
    """Stands for the client of another service."""
    await asyncio.sleep(0.01)
    return f"sunny in {city}"


@app.task(retry=RetryStrategy(max_attempts=3, wait=1, retry_exceptions=[OSError]))
async def forecast(report: str, city: str) -> None:
    """Asks about one city."""
    answer = await weather(city)
    async with pool.connection() as connection:
        new = "INSERT INTO answers VALUES (%s, %s, %s) ON CONFLICT DO NOTHING"
        await connection.execute(new, (report, city, answer))


@asynccontextmanager
async def lifespan(_: Starlette) -> AsyncIterator[None]:
    """A worker runs as long as the application of the web."""
    async with app.open_async(), pool:
        async with pool.connection() as connection:
            await connection.execute(TABLE)
        worker = asyncio.create_task(app.run_worker_async(concurrency=1000, install_signal_handlers=False))
        yield
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)


async def answers(report: str, cities: set[str]) -> list[str]:
    """Waits until all are there."""
    while True:
        async with pool.connection() as connection:
            found = await connection.execute("SELECT answer FROM answers WHERE report = %s ORDER BY 1", (report,))
            rows = await found.fetchall()
        if len(rows) == len(cities):
            return [answer for (answer,) in rows]
        await asyncio.sleep(0.1)


async def ask(request: Request) -> JSONResponse:
    """Asks about all cities at once."""
    report, cities = str(uuid4()), set(await request.json())
    await forecast.batch_defer_async(*({"report": report, "city": city} for city in cities))
    return JSONResponse(await asyncio.wait_for(answers(report, cities), 30))


service = Starlette(routes=[Route("/reports", ask, methods=["POST"])], lifespan=lifespan)
