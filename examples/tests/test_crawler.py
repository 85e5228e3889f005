from urllib.error import HTTPError

import pytest

from examples.crawler import Page, app, fetch, page
from hammerwork_cli import Job
from hammerwork_cli.testing import Jobs, run

ROOT = "https://site.example/"
SITE = {
    "": ["a", "b", "", "#top", "mailto:ada@site.example"],
    "a": ["b", "", "/a", "missing"],
    "b": ["c"],
    "c": ["d"],
    "d": ["e"],
}


def site(url: str) -> str:
    path = url.removeprefix(ROOT)
    if path not in SITE:
        raise HTTPError(url, 404, "not there", None, None)  # type: ignore[arg-type]
    return "".join(f'<a href="{link}">' for link in SITE[path])


def crawl(jobs: Jobs) -> dict[str, int]:
    started = jobs.queue.enqueue(Job("crawl", Page(ROOT)))
    jobs.drain(app, use={fetch: site})
    (report,) = (job for job in jobs.queue.children(started) if job.queue == "report")
    result: dict[str, int] = jobs.queue.get(report).result
    return result


def test_each_page_is_read_once_and_no_deeper_than_the_limit(jobs: Jobs) -> None:
    assert crawl(jobs) == {"Completed": 5, "Dead": 1}
    read = sorted(job.payload["url"].removeprefix(ROOT) for job in jobs.queue.jobs("page"))
    assert read == ["", "a", "b", "c", "d", "missing"]


def test_another_crawl_of_the_day_reads_nothing_again(jobs: Jobs) -> None:
    crawl(jobs)
    assert crawl(jobs) == {}


@pytest.mark.parametrize(
    ("error", "status"),
    [(HTTPError(ROOT, 404, "not there", None, None), "Dead"), (TimeoutError("slow"), "Retrying")],  # type: ignore[arg-type]
)
def test_only_a_host_that_does_not_answer_is_asked_again(error: OSError, status: str) -> None:
    def fails(url: str) -> str:
        raise error

    assert run(app, page(ROOT), use={fetch: fails}).status == status
