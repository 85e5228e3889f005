"""Fixtures for all tests: the Mermaid parser."""

import os
import shutil
from collections.abc import Iterator

import pytest

from tests.mermaid_parser import FOLDER, MermaidParser


def unavailable(message: str) -> None:
    """Skips for a person, fails where ``CI=true``: there nothing may be missing unnoticed."""
    if os.environ.get("CI", "").lower() in {"1", "true"}:
        pytest.fail(message, pytrace=False)
    pytest.skip(message)


@pytest.fixture(scope="session")
def parse_mermaid() -> Iterator[MermaidParser]:
    """``parse_mermaid(text)`` and ``parse_mermaid.many(texts)``: what the real parser makes of them."""
    node = shutil.which("node") or shutil.which("nodejs")
    if node is None:
        unavailable("node is missing: install nodejs and npm")
    if not (FOLDER / "node_modules" / "mermaid").is_dir():
        unavailable("the Mermaid parser is missing: run 'npm ci' in tests/mermaid, or 'make test'")
    parser = MermaidParser(str(node))
    yield parser
    parser.close()
