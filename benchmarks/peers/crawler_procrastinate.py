"""examples/crawler.py with Procrastinate, as far as it can.

It has no limits of a rate, only locks: each host has one page at a time, which sleeps out its share of a second in a
slot of the worker. A table says which pages were read today; a task that is no coroutine cannot write it in one
transaction with the page's job. Nothing runs once all pages have been read.
"""

import os
import time
from html.parser import HTMLParser
from urllib.error import HTTPError
from urllib.parse import urldefrag, urljoin, urlsplit
from urllib.request import urlopen

import psycopg
from procrastinate import App, BaseRetryStrategy, PsycopgConnector, RetryDecision
from procrastinate.jobs import Job

URL = os.environ["DATABASE_URL"]
LINKS = 3
SECONDS = 0.2
app = App(connector=PsycopgConnector(conninfo=URL))


class Links(HTMLParser):
    """Collects the addresses to which a page links, in its order."""

    def __init__(self, url: str, html: str) -> None:
        super().__init__()
        self.url, self.found = url, dict[str, None]()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Called for each tag."""
        link = urldefrag(urljoin(self.url, dict(attrs).get("href") or "")).url
        if tag == "a" and link.startswith("http"):
            self.found[link] = None


class Unreachable(BaseRetryStrategy):
    """Tries again what does not answer, but not an answer that is an error."""

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision | None:
        """Three attempts."""
        if job.attempts >= 2 or not isinstance(exception, OSError) or isinstance(exception, HTTPError):
            return None
        return RetryDecision(retry_in={"seconds": 2**job.attempts})


def fetch(url: str) -> str:
    """Reads a page; tests have to patch it."""
    return urlopen(url, timeout=20).read().decode(errors="replace")  # noqa: S310


def follow(urls: list[str], depth: int) -> None:
    """Enqueues the pages that nobody has read today."""
    with psycopg.connect(URL) as connection:
        for url in urls:
            new = "INSERT INTO seen VALUES (%s, CURRENT_DATE) ON CONFLICT DO NOTHING"
            if connection.execute(new, (url,)).rowcount:
                page.configure(lock=urlsplit(url).netloc).defer(url=url, depth=depth)


@app.task(retry=Unreachable())
def page(url: str, depth: int) -> None:
    """Reads a page and enqueues those to which it links."""
    began = time.monotonic()
    try:
        found = Links(url, fetch(url)).found
        if depth < LINKS:
            follow(list(found), depth + 1)
    finally:
        time.sleep(max(0, began + SECONDS - time.monotonic()))


def main(url: str) -> None:
    """Begins."""
    with psycopg.connect(URL) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS seen (url TEXT, day DATE, PRIMARY KEY (url, day))")
    with app.open():
        follow([url], 0)
