"""Commands run on SQLite, unless a test says that the database matters, with ``@all_databases``."""

import pytest


@pytest.fixture(params=[pytest.param("sqlite", marks=pytest.mark.sqlite)])
def dialect(request: pytest.FixtureRequest) -> str:
    """``sqlite``."""
    return str(request.param)
