"""A browser, and servers for it to visit."""

import os
from collections.abc import Callable, Iterator, Sequence
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
    """A page of the browser at a site, with its requests and errors.

    Attributes:
        is_fresh: nobody else visits a site with the page.
    """

    page: Any
    site: Site
    is_fresh: bool
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def go(self, path: str) -> Any:
        """Goes to a path of the site, and returns the answer."""
        return self.page.goto(f"{self.site.url}{path}")

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

    def leave(self, refuge: str) -> Any:
        """Empties the page and what it has stored, undoes all wishes, and returns it."""
        for event, note in (
            ("request", self.note_request),
            ("console", self.note_message),
            ("pageerror", self.note_error),
        ):
            self.page.remove_listener(event, note)
        self.page.unroute_all()
        self.page.mouse.move(0, 0)
        self.page.evaluate("() => { localStorage.clear(); sessionStorage.clear(); }")
        self.page.goto(refuge)
        self.page.context.clear_permissions()
        wish(self.page)
        return self.page


def wish(page: Any, *, width: int = 1280, color_scheme: str = "light", permissions: Sequence[str] = ()) -> None:
    """What a visitor wants of a page."""
    if page.viewport_size["width"] != width:
        page.set_viewport_size({"width": width, "height": 800})
    page.emulate_media(color_scheme=color_scheme)
    if permissions:
        page.context.grant_permissions([*permissions])


@pytest.fixture(scope="session")
def kept() -> list[Any]:
    """The page that tests visit sites with, one after the other."""
    return []


@pytest.fixture
def visit(chromium: Any, kept: list[Any], demo: Site, request: pytest.FixtureRequest) -> Iterator[Callable[..., Visit]]:
    """``visit(site, path="/", width=, color_scheme=, permissions=)``: a page that has stored nothing.

    After the test, no page may have sent a request to another server or logged an error; ``tolerated`` lists parts of
    errors that the test provokes. Without a path, the page stays empty.

    Most of what a page costs is the process that draws it. So it is one that a test before has left as if it were new;
    ``is_fresh`` asks for a new profile, for what cannot be undone: scripts that run first, other tabs.
    """
    visits: list[tuple[Visit, tuple[str, ...]]] = []
    failed = request.session.testsfailed

    def open_page(
        site: Site, path: str | None = "/", *, tolerated: tuple[str, ...] = (), is_fresh: bool = False, **wishes: Any
    ) -> Visit:
        if kept and not is_fresh:
            page = kept.pop()
        else:
            made = chromium.new_context(viewport={"width": 1280, "height": 800})
            made.set_default_timeout(PATIENCE_MS)
            page = made.new_page()
        wish(page, **wishes)
        visited = Visit(page, site, is_fresh)
        page.on("request", visited.note_request)
        page.on("console", visited.note_message)
        page.on("pageerror", visited.note_error)
        visits.append((visited, tolerated))
        if path is not None:
            visited.go(path)
        return visited

    yield open_page
    for visited, tolerated in visits:
        if visited.is_fresh or kept or request.session.testsfailed > failed:
            visited.page.context.close()
        else:
            # The same process draws it whatever the port, and another one would draw what is of no server.
            kept.append(visited.leave(f"{demo.url}/health"))
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
