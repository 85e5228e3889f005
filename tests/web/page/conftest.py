"""A browser, and servers for it to visit."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
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
    """A page of the browser at a site, with its requests and errors.

    Attributes:
        is_plain: another test may visit the site with the same page.
    """

    page: Any
    site: Site
    is_plain: bool = False
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def asked(self, part: str) -> list[str]:
        """The requested addresses that contain a part."""
        return [url for url in self.requests if part in url]

    def note_request(self, request: Any) -> None:
        self.requests.append(request.url)

    def note_message(self, message: Any) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(message.text)

    def note_error(self, error: Any) -> None:
        self.complaints.append(str(error))

    def leave(self) -> Any:
        """Empties the page and what it has stored, and returns it."""
        for event, note in (
            ("request", self.note_request),
            ("console", self.note_message),
            ("pageerror", self.note_error),
        ):
            self.page.remove_listener(event, note)
        self.page.unroute_all()
        self.page.mouse.move(0, 0)
        self.page.evaluate("() => { localStorage.clear(); sessionStorage.clear(); }")
        self.page.goto("/health")  # the same process draws it, and another one would draw what is of no site
        return self.page


@pytest.fixture(scope="session")
def kept() -> dict[str, Any]:
    """URL of a site that lasts -> the page that tests visit it with, one after the other."""
    return {}


@pytest.fixture
def visit(chromium: Any, kept: dict[str, Any], request: pytest.FixtureRequest) -> Iterator[Callable[..., Visit]]:
    """``visit(site, path="/", **context)``: a page in a fresh profile.

    After the test, no page may have sent a request to another server or logged an error; ``tolerated`` lists parts of
    errors that the test provokes. Without a path, the page stays empty.

    Most of what a page costs is the process that draws it. So a page without wishes, of a site that lasts, is one that
    a test before has left as if it were new.
    """
    visits: list[tuple[Visit, tuple[str, ...]]] = []
    failed = request.session.testsfailed

    def open_page(site: Site, path: str | None = "/", *, tolerated: tuple[str, ...] = (), **context: Any) -> Visit:
        page = None if path is None or context else kept.pop(site.url, None)
        if page is None:
            options = {"viewport": {"width": 1280, "height": 800}, "base_url": site.url} | context
            made = chromium.new_context(**options)
            made.set_default_timeout(PATIENCE_MS)
            page = made.new_page()
        visited = Visit(page, site, is_plain=site.lasts and path is not None and not context)
        page.on("request", visited.note_request)
        page.on("console", visited.note_message)
        page.on("pageerror", visited.note_error)
        visits.append((visited, tolerated))
        if path is not None:
            page.goto(path)
        return visited

    yield open_page
    for visited, tolerated in visits:
        if visited.is_plain and visited.site.url not in kept and request.session.testsfailed == failed:
            kept[visited.site.url] = visited.leave()
        else:
            visited.page.context.close()
        foreign = [url for url in visited.requests if not url.startswith((visited.site.url, "data:"))]
        assert foreign == []
        expected = (*tolerated, "ERR_CONNECTION_REFUSED")  # the server ends before the page
        assert [text for text in visited.complaints if not any(part in text for part in expected)] == []


@pytest.fixture(scope="session")
def night() -> Night:
    """The jobs in the database of ``demo``."""
    return Night.now()


@pytest.fixture(scope="session")
def demo(night: Night, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The demonstration, for tests that only read."""
    with serving(fill(tmp_path_factory.mktemp("demo") / "demo.db", night.jobs)) as site:
        yield replace(site, lasts=True)


@pytest.fixture(scope="session")
def changing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The server of ``own_demo``."""
    with serving(fill(tmp_path_factory.mktemp("own") / "own.db", [])) as site:
        yield replace(site, lasts=True)


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
