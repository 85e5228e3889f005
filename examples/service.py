r"""A web service whose jobs are coroutines: a thousand wait at once in the process that serves.

```sh
python -m uvicorn --factory examples.service:service --port 8080 &
curl --json '["Oslo", "Lima"]' http://localhost:8080/reports
```
"""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from hammerwork_cli import AsyncQueue, Handlers, Job, SpawnContext, Worker

app = Handlers()


@app.resource
async def weather() -> AsyncIterator[Callable[[str], Awaitable[str]]]:
    """Stands for the client of another service."""

    async def forecast(city: str) -> str:
        await asyncio.sleep(0.01)
        return f"sunny in {city}"

    yield forecast


@app.job("report")
async def report(job: Job[list[str]], context: SpawnContext[list[str]]) -> str:
    """Asks about all cities at once; returns the id of the job that puts the answers together."""
    summary = await context.aafter_all(Job("summary"))
    for city in job.payload:
        await context.aspawn(Job("forecast", city), key=city)
    return summary.id


@app.job("forecast", retry_on=OSError, timeout=timedelta(seconds=10))
async def forecast(job: Job[str], context: SpawnContext[str]) -> str:
    """Asks about one."""
    return await (await context.use(weather))(job.payload)


@app.job("summary")
async def summary(_: Job, context: SpawnContext) -> list[str]:
    """The answers."""
    return sorted((await asyncio.to_thread(context.results)).values())


def service(url: str = "", **options: Any) -> Starlette:
    """The application of the web. Its worker starts and ends with it."""
    url = url or os.environ["HAMMERWORK_DATABASE_URL"]

    @asynccontextmanager
    async def lifespan(web: Starlette) -> AsyncIterator[None]:
        worker = Worker(url, app, concurrency=1000, **options)
        async with AsyncQueue(url) as queue, asyncio.TaskGroup() as tasks:
            web.state.queue = queue
            tasks.create_task(worker.arun())
            yield
            worker.stop()

    async def ask(request: Request) -> JSONResponse:
        queue: AsyncQueue = request.app.state.queue
        job = await queue.enqueue(Job("report", await request.json()))
        ended = await queue.wait(job, tree=True, timeout=timedelta(seconds=30))
        return JSONResponse((await queue.get(ended.result)).result)

    return Starlette(routes=[Route("/reports", ask, methods=["POST"])], lifespan=lifespan)
