"""Servers to ask, on databases of all kinds."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.commands.test_contract import ENVIRONMENT, Asked, fill
from tests.conftest import EACH_DIALECT
from tests.web.api.servers import Server, serving


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """``serve(url, *options, env=None)``: a server that runs until the test ends, and must end well."""
    with contextlib.ExitStack() as stack:

        def start(url: str, *options: str, env: dict[str, str] | None = None) -> Server:
            return stack.enter_context(serving(url, *options, env=env, home=tmp_path))

        yield start


@pytest.fixture
def empty_url(new_database: Callable[..., str]) -> str:
    """An SQLite file with empty tables."""
    return new_database("sqlite", migrated=True)


@pytest.fixture(params=[pytest.param("sqlite", marks=pytest.mark.sqlite)])
def dialect(request: pytest.FixtureRequest) -> str:
    """``sqlite``; with ``@all_databases`` each in turn, as in ``tests/commands``."""
    return str(request.param)


everywhere = pytest.mark.parametrize("full", EACH_DIALECT, indirect=True)
"""For a test of a question whose statements no command sends."""


@pytest.fixture(scope="module", params=[pytest.param("sqlite", marks=pytest.mark.sqlite)])
def full(request: pytest.FixtureRequest, makers: Any) -> Iterator[Asked]:
    """A database full of what healthy and unhealthy programs write; nobody changes it."""
    maker = makers[request.param]
    url = maker.migrated()
    yield Asked(url, fill(url))
    maker.drop(url)


@pytest.fixture(scope="module")
def served(full: Asked, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server on it, at the moment of the contract's tests."""
    with serving(full.url, env=ENVIRONMENT, home=tmp_path_factory.mktemp("home")) as server:
        yield server
