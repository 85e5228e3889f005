"""Commands run on SQLite, unless a test says that the database matters, with ``@all_databases``."""

import contextlib
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hammerwork_cli.app import main
from hammerwork_cli.cli.context import Context
from hammerwork_cli.database import DatabaseUrl, connect
from tests.rows import Rows


@pytest.fixture(params=[pytest.param("sqlite", marks=pytest.mark.sqlite)])
def dialect(request: pytest.FixtureRequest) -> str:
    """``sqlite``."""
    return str(request.param)


@pytest.fixture(scope="session")
def empty_file(makers: Any) -> Path:
    """An SQLite file with empty tables, to be copied."""
    return Path(str(DatabaseUrl.parse(makers["sqlite"].migrated()).path))


@pytest.fixture(scope="session")
def full_file(makers: Any) -> tuple[Path, dict[str, str]]:
    """An SQLite file with all that the contract asks about, and the names of that: to be read or copied."""
    from tests.commands.test_contract import fill

    url = makers["sqlite"].migrated()
    return Path(str(DatabaseUrl.parse(url).path)), fill(url)


@pytest.fixture
def rows(migrated_url: str) -> Iterator[Rows]:
    """Writes into the database that is looked at, on each dialect."""
    with contextlib.closing(connect(migrated_url)) as database:
        yield Rows(database)


@pytest.fixture
def sqlite_rows(lite_url: str) -> Iterator[Rows]:
    """The same, on SQLite."""
    with contextlib.closing(connect(lite_url)) as database:
        yield Rows(database)


class Terminal(io.TextIOWrapper):
    """What is written to it goes to a person."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def on_terminal(clean_environment: dict[str, str]) -> Callable[..., str]:
    """``on_terminal(*words, url=, width=, env=)``: what a terminal shows."""

    def call(*words: str, url: str, width: int, env: dict[str, str] | None = None) -> str:
        shown = {"TERM": "xterm", "NO_COLOR": "1", "COLUMNS": str(width), **(env or {})}
        stdout = Terminal(io.BytesIO(), encoding="utf-8", write_through=True)
        assert main([*words, "-u", url], Context({**clean_environment, **shown}, stdout, io.StringIO())) == 0
        stdout.seek(0)
        return stdout.read()

    return call
