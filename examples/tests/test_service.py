import asyncio
from typing import Any

from httpx import ASGITransport, AsyncClient

from examples.service import app, service
from hammerwork_cli import Job
from hammerwork_cli.testing import Jobs, run


async def ask(url: str, *cities: str) -> Any:
    web = service(url, poll_interval=0.05)
    async with (
        web.router.lifespan_context(web),
        AsyncClient(transport=ASGITransport(web), base_url="http://service.example") as client,
    ):
        return (await client.post("/reports", json=cities)).json()


def test_a_report_has_the_answers_for_all_cities(jobs: Jobs) -> None:
    answer = asyncio.run(ask(jobs.queue.url.raw, "Oslo", "Lima"))
    assert answer == ["sunny in Lima", "sunny in Oslo"]
    assert {job.queue: job.status for job in jobs.queue.jobs()} == dict.fromkeys(
        ("report", "forecast", "summary"), "Completed"
    )


def test_a_city_that_is_named_twice_is_asked_about_once() -> None:
    outcome = run(app, Job("report", ["Oslo", "Lima", "Oslo"]))
    assert [job.payload for job in outcome.early.values()] == ["Oslo", "Lima"]
    assert outcome.result == outcome.joins["after_all"].id
