"""The pytest plugin: the fixtures ``jobs`` and ``hammerwork_url``.

Every run of pytest loads it where the package is installed, so it imports nothing before a fixture is used.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from hammerwork_cli.testing import Jobs
    from hammerwork_cli.testing.databases import Files


@pytest.fixture(scope="session")
def _hammerwork_files(tmp_path_factory: pytest.TempPathFactory) -> "Files":
    from hammerwork_cli.testing.databases import Files

    return Files(tmp_path_factory.mktemp("hammerwork"))


@pytest.fixture
def hammerwork_url(_hammerwork_files: "Files") -> Iterator[str]:
    """The URL of the database of ``jobs``: a new SQLite file with tables. Override it for another database."""
    with _hammerwork_files.lend() as url:
        yield url.raw


@pytest.fixture
def jobs(hammerwork_url: str) -> "Iterator[Jobs]":
    """A database of jobs for this test: see ``hammerwork_cli.testing.Jobs``."""
    from hammerwork_cli.testing import Jobs

    with Jobs(hammerwork_url) as found:
        yield found
