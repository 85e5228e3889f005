"""A browser, servers for it to visit, and what stands in their databases.

Loaded by the tests of the page with ``pytest_plugins``.
"""

import contextlib
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from hammerwork_cli import demonstration
from hammerwork_cli.database import connect
from hammerwork_cli.models import NewJob
from hammerwork_cli.queries import enqueue, migrations
from tests.conftest import ROOT, unavailable

PATIENCE_MS = 10_000
MANY = 100_000


@dataclass(frozen=True)
class Site:
    """A server that runs, and its database, an SQLite file."""

    url: str
    database: Path
    process: "subprocess.Popen[str]"

    def execute(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Changes or asks the database behind the server's back, as a worker does."""
        with contextlib.closing(sqlite3.connect(self.database, timeout=30)) as connection, connection:
            return connection.execute(statement, values).fetchall()

    def status(self, job: str) -> str:
        return str(self.execute("SELECT status FROM hammerwork_jobs WHERE id = ?", job)[0][0])


@contextlib.contextmanager
def serving(database: Path, *options: str, port: int = 0) -> Iterator[Site]:
    """``hammerwork web serve`` on an SQLite file, until the context ends."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(database.parent), "PYTHONPATH": str(ROOT), "LANG": "C.UTF-8"}
    process = subprocess.Popen(
        [sys.executable, "-m", "hammerwork_cli", "web", "serve", "--port", str(port), *options],
        env=environment | {"HAMMERWORK_DATABASE_URL": f"sqlite:///{database}"},
        cwd=database.parent,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )
    with process:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        assert address.startswith("http://"), f"the server did not start: {address!r}"
        try:
            yield Site(address, database, process)
        finally:
            process.terminate()
            process.wait(timeout=20)


def fill(path: Path, jobs: list[NewJob]) -> Path:
    """An SQLite file with tables and jobs."""
    with contextlib.closing(connect(f"sqlite:///{path}")) as database:
        migrations.run(database)
        enqueue.insert(database, jobs)
    return path


@dataclass(frozen=True)
class Night:
    """The demonstration's jobs, and those of them that a test names."""

    jobs: list[NewJob]

    @classmethod
    def now(cls) -> "Night":
        return cls(demonstration.night(datetime.now(UTC)))

    @property
    def broken(self) -> NewJob:
        """The ingest below which segments are dead."""
        root = demonstration.broken_root(self.jobs)
        return next(job for job in self.jobs if job.id == root)

    @property
    def dead(self) -> list[NewJob]:
        return [job for job in self.jobs if job.status == "Dead"]

    @property
    def running(self) -> NewJob:
        """The encode of which a segment runs and two are pending."""
        segment = next(job for job in self.jobs if job.status == "Running")
        return next(job for job in self.jobs if job.id == segment.depends_on[0])

    def children(self, parent: NewJob) -> list[NewJob]:
        return [job for job in self.jobs if parent.id in job.depends_on]


def plant_large_tree(database: Path, root: str) -> None:
    """100,000 children below one job: 12 dead, 3 running, 85 pending, the rest completed."""
    statement = """
        WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < :many)
        INSERT INTO hammerwork_jobs (id, queue_name, payload, status, priority, attempts, max_attempts, created_at,
            scheduled_at, started_at, completed_at, failed_at, error_message, depends_on, dependents, dependency_status)
        SELECT printf('%08x-0000-4000-8000-%012x', i + 16777216, i), CASE WHEN i % 2 THEN 'resize' ELSE 'crop' END, '{}',
            CASE WHEN i < 12 THEN 'Dead' WHEN i < 15 THEN 'Running' WHEN i < 100 THEN 'Pending' ELSE 'Completed' END,
            2, 1, 3, :at, :at, :at, CASE WHEN i >= 100 THEN :at END, CASE WHEN i < 12 THEN :at END,
            CASE WHEN i < 12 THEN 'Out of memory at tile ' || i END, json_array(:root), '[]', 'satisfied'
        FROM n
    """
    at = datetime.now(UTC).isoformat()
    with contextlib.closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(statement, {"many": MANY, "at": at, "root": root})


# Fixtures.


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """Debian's Chromium without a window."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        unavailable("Chromium is missing: install chromium, or type 'make test' where that may install packages")
    try:
        from playwright.sync_api import sync_playwright
    except ModuleNotFoundError:
        unavailable("Playwright is missing: pip install playwright")
    # Its sandbox does not run for root.
    options = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=options)
        yield browser
        browser.close()


@dataclass
class Visit:
    """A page of the browser at a site, and what went wrong in it."""

    page: Any
    site: Site
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def asked(self, part: str) -> list[str]:
        """Addresses that the page asked for."""
        return [url for url in self.requests if part in url]


@pytest.fixture
def visit(chromium: Any) -> Iterator[Callable[..., Visit]]:
    """``visit(site, path="/", **context)``: a page in a fresh profile.

    After the test, no page may have asked another server for anything or complained in its console; ``tolerated``
    lists parts of complaints that the test provoked.
    """
    visits: list[tuple[Visit, tuple[str, ...]]] = []

    def open_page(site: Site, path: str = "/", *, tolerated: tuple[str, ...] = (), **context: Any) -> Visit:
        options = {"viewport": {"width": 1280, "height": 800}, "base_url": site.url} | context
        made = chromium.new_context(**options)
        made.set_default_timeout(PATIENCE_MS)
        page = made.new_page()
        visited = Visit(page, site)
        page.on("request", lambda request: visited.requests.append(request.url))
        page.on("console", lambda message: _note(visited, message.type, message.text))
        page.on("pageerror", lambda error: visited.complaints.append(str(error)))
        visits.append((visited, tolerated))
        page.goto(path)
        return visited

    yield open_page
    for visited, tolerated in visits:
        visited.page.context.close()
        foreign = [url for url in visited.requests if not url.startswith((visited.site.url, "data:"))]
        assert foreign == []
        assert [text for text in visited.complaints if not any(part in text for part in tolerated)] == []


def _note(visited: Visit, kind: str, text: str) -> None:
    if kind in {"error", "warning"}:
        visited.complaints.append(text)


@pytest.fixture(scope="session")
def night() -> Night:
    """What is in the database of ``demo``."""
    return Night.now()


@pytest.fixture(scope="session")
def demo(night: Night, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The demonstration, for tests that only look."""
    with serving(fill(tmp_path_factory.mktemp("demo") / "demo.db", night.jobs)) as site:
        yield site


@pytest.fixture
def own_night() -> Night:
    """What is in the database of ``own_demo``."""
    return Night.now()


@pytest.fixture
def own_demo(own_night: Night, tmp_path: Path) -> Iterator[Site]:
    """The demonstration, a test's own to change."""
    with serving(fill(tmp_path / "own.db", own_night.jobs)) as site:
        yield site
