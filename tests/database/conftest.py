"""Databases in every state that reading must cope with."""

import contextlib
from collections.abc import Callable, Iterator

import pytest

from hammerwork_cli.database import Database, connect
from tests.rows import Rows

WAYS = {
    "sqlite": ("sqlite", "by_first_parent"),
    "sqlite-without-015": ("sqlite", "by_scan"),
    "postgres": ("postgres", "by_first_parent"),
    "postgres-without-015": ("postgres", "by_gin"),
    "postgres-before-012": ("postgres", "by_scan"),
    "mysql": ("mysql", "by_first_parent"),
    "mysql-without-015": ("mysql", "by_scan"),
}

BEFORE_012 = """
ALTER TABLE hammerwork_jobs DROP CONSTRAINT chk_depends_on_size, DROP CONSTRAINT chk_dependents_size;
ALTER TABLE hammerwork_jobs ALTER depends_on DROP DEFAULT, ALTER dependents DROP DEFAULT;
DROP INDEX idx_hammerwork_jobs_depends_on, idx_hammerwork_jobs_dependents;
DROP INDEX IF EXISTS idx_hammerwork_jobs_first_parent, idx_hammerwork_jobs_joins;
DROP INDEX IF EXISTS idx_hammerwork_jobs_archive_first_parent;
ALTER TABLE hammerwork_jobs ALTER depends_on TYPE jsonb USING to_jsonb(depends_on),
                            ALTER dependents TYPE jsonb USING to_jsonb(dependents);
ALTER TABLE hammerwork_jobs ALTER depends_on SET DEFAULT '[]', ALTER dependents SET DEFAULT '[]';
DELETE FROM hammerwork_migrations WHERE migration_id >= '012'
"""


@pytest.fixture(params=[pytest.param(name, marks=getattr(pytest.mark, way[0])) for name, way in WAYS.items()])
def readable(request: pytest.FixtureRequest, new_database: Callable[..., str]) -> Iterator[Database]:
    """A migrated database, with our own indexes and without, and as PostgreSQL was before 012."""
    dialect, way = WAYS[request.param]
    with contextlib.closing(connect(new_database(dialect, migrated=True))) as database:
        if "without" in request.param:
            Rows(database).run("DELETE FROM hammerwork_migrations WHERE migration_id > '015'")
        if "before" in request.param:
            for statement in BEFORE_012.split(";"):
                database.script(statement)
        assert way in database.tags
        yield database


@pytest.fixture
def rows(readable: Database) -> Rows:
    """Writes jobs into ``readable``."""
    return Rows(readable)
