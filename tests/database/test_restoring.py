"""The dumps of the Rust original hold, once restored, what an independent count found in them."""

import contextlib
import os
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest

from hammerwork_cli.database import Database, connect
from hammerwork_cli.errors import AccessDeniedError
from tests.servers import KINDS, PASSWORD, VARIABLES

DUMPS = [
    pytest.param("media.postgresql", marks=pytest.mark.postgres),
    *(pytest.param(f"{name}.mariadb", marks=pytest.mark.mysql) for name in ("media", "damaged", "stuck-at-010")),
]


@pytest.mark.parametrize("name", DUMPS)
def test_a_restored_dump_has_the_jobs_that_were_counted(
    restored: Callable[[str], str], expected_counts: Callable[[str], dict[str, Any]], name: str
) -> None:
    expected = expected_counts(name)
    with contextlib.closing(connect(restored(name))) as database:
        rows = database.query("SELECT queue_name, status, count(*) FROM hammerwork_jobs GROUP BY 1, 2")
    assert sum(count for _, _, count in rows) == expected["jobs"]
    # MySQL and MariaDB compare names without regard to letter case.
    assert len({queue.lower() for queue, _, _ in rows}) == expected["queues"]
    statuses: dict[str, int] = {}
    for _, status, count in rows:
        plain = status.strip('"').lower()
        statuses[plain] = statuses.get(plain, 0) + count
    assert statuses == {status.lower(): count for status, count in expected["statuses"].items()}


@pytest.mark.postgres
def test_a_changed_copy_does_not_change_the_next_one(restored: Callable[[str], str]) -> None:
    first, second = restored("media.postgresql"), restored("media.postgresql")
    with contextlib.closing(connect(first)) as database:
        database.script("DELETE FROM hammerwork_jobs")
    with contextlib.closing(connect(second)) as database:
        assert database.query("SELECT count(*) FROM hammerwork_jobs") == [(1550,)]


def test_an_empty_database_has_no_tables(empty_database: Database) -> None:
    assert empty_database.schema == {}


@pytest.mark.parametrize("kind", [pytest.param(kind, marks=getattr(pytest.mark, kind)) for kind in KINDS])
def test_a_private_server_asks_for_the_password(new_database: Callable[..., str], kind: str) -> None:
    if os.environ.get(VARIABLES[kind]):
        pytest.skip("a given server may let anybody in")
    with pytest.raises(AccessDeniedError) as caught:
        connect(new_database(kind).replace(quote(PASSWORD, safe=""), "wrong%40password"))
    assert "wrong@password" not in str(caught.value)
    assert "wrong%40password" not in str(caught.value)
