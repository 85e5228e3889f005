"""A browser, and servers for it to visit."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from playwright.sync_api import sync_playwright

from tests.conftest import unavailable
from tests.web.page.chromium import program
from tests.web.page.sites import Night, Site, fill, serving

PATIENCE_MS = 30_000


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """Chromium without a window."""
    path = program()
    if path is None:
        unavailable("Chromium is missing: install chromium, or type 'make test' where that may install packages")
    # Its sandbox does not run for root.
    options = ["--disable-gpu", "--disable-software-rasterizer", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=options)
        yield browser
        browser.close()


@dataclass
class Visit:
    """A page of the browser at a site, with its requests and errors."""

    page: Any
    site: Site
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def asked(self, part: str) -> list[str]:
        """The requested addresses that contain a part."""
        return [url for url in self.requests if part in url]


@pytest.fixture
def visit(chromium: Any) -> Iterator[Callable[..., Visit]]:
    """``visit(site, path="/", **context)``: a page in a fresh profile.

    After the test, no page may have sent a request to another server or logged an error; ``tolerated`` lists parts of
    errors that the test provokes. Without a path, the page stays empty.
    """
    visits: list[tuple[Visit, tuple[str, ...]]] = []

    def open_page(site: Site, path: str | None = "/", *, tolerated: tuple[str, ...] = (), **context: Any) -> Visit:
        options = {"viewport": {"width": 1280, "height": 800}, "base_url": site.url} | context
        made = chromium.new_context(**options)
        made.set_default_timeout(PATIENCE_MS)
        page = made.new_page()
        visited = Visit(page, site)
        page.on("request", lambda request: visited.requests.append(request.url))
        page.on("console", lambda message: _note(visited, message.type, message.text))
        page.on("pageerror", lambda error: visited.complaints.append(str(error)))
        visits.append((visited, tolerated))
        if path is not None:
            page.goto(path)
        return visited

    yield open_page
    for visited, tolerated in visits:
        visited.page.context.close()
        foreign = [url for url in visited.requests if not url.startswith((visited.site.url, "data:"))]
        assert foreign == []
        expected = (*tolerated, "ERR_CONNECTION_REFUSED")  # the server ends before the page
        assert [text for text in visited.complaints if not any(part in text for part in expected)] == []


def _note(visited: Visit, kind: str, text: str) -> None:
    if kind in {"error", "warning"}:
        visited.complaints.append(text)


@pytest.fixture(scope="session")
def night() -> Night:
    """The jobs in the database of ``demo``."""
    return Night.now()


@pytest.fixture(scope="session")
def demo(night: Night, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The demonstration, for tests that only read."""
    with serving(fill(tmp_path_factory.mktemp("demo") / "demo.db", night.jobs)) as site:
        yield site


@pytest.fixture(scope="session")
def changing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The server of ``own_demo``."""
    with serving(fill(tmp_path_factory.mktemp("own") / "own.db", [])) as site:
        yield site


@pytest.fixture
def own_night() -> Night:
    """The jobs in the database of ``own_demo``."""
    return Night.now()


@pytest.fixture
def own_demo(changing: Site, own_night: Night) -> Site:
    """A fresh demonstration, for a test that changes it."""
    changing.execute("DELETE FROM hammerwork_jobs")
    changing.execute("DELETE FROM hammerwork_queue_pause")
    changing.execute("DELETE FROM hammerwork_workers")
    fill(changing.database, own_night.jobs)
    changing.forget()  # else the page could be answered for the test before
    return changing
