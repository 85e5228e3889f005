r"""A crawler: each page once a day, five pages a second of each host, at most three links from the first.

```sh
hammerwork job enqueue --queue crawl --payload '{"url": "https://example.org/"}'
hammerwork worker start --handlers examples.crawler:app --drain --concurrency 20
```
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from html.parser import HTMLParser
from urllib.error import HTTPError
from urllib.parse import urldefrag, urljoin, urlsplit
from urllib.request import urlopen

from hammerwork_cli import Handlers, Job, SpawnContext

LINKS = 3
app = Handlers()
app.limit("page", rate="5/s", concurrency=2, per="host")


@dataclass
class Page:
    """The address of a page, and the host by which it is limited."""

    url: str
    host: str = ""


def page(url: str) -> Job:
    """The job of a page. A link to a page that was crawled today, or is about to be, spawns nothing."""
    job = Job("page", Page(url, urlsplit(url).netloc))
    return job.with_unique(url, within=timedelta(days=1), while_=("waiting", "running", "completed"))


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


@app.resource
def fetch() -> Iterator[Callable[[str], str]]:
    """Reads a page."""
    yield lambda url: urlopen(url, timeout=20).read().decode(errors="replace")


@app.spawn("crawl")
def crawl(context: SpawnContext[Page]) -> Iterator[Job]:
    """Begins, and counts at the end, whatever has failed."""
    context.after_all(Job("report"), scope="tree", on_failure="run")
    yield page(context.parent_job.payload.url)


@app.job("page", retry_on=OSError, give_up_on=HTTPError, timeout=timedelta(seconds=30))
def read(job: Job[Page], context: SpawnContext[Page]) -> list[str]:
    """Returns the links of a page."""
    return list(Links(job.payload.url, context.use(fetch)(job.payload.url)).found)


@app.spawn("page")
def follow(context: SpawnContext[Page]) -> Iterator[Job]:
    """As many links as the limits of the tree allow."""
    if context.depth <= LINKS:
        yield from map(page, context.result[: context.room])


@app.job("report")
def report(_: Job, context: SpawnContext) -> dict[str, int]:
    """How many pages have which status."""
    return Counter(page.status for page in context.results().ended())
