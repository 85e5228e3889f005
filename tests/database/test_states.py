"""A database is current, or has only the tables of hammerwork (Rust), which are read and never changed."""

import contextlib
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest

from hammerwork_cli import Handlers, Job, Queue, Worker
from hammerwork_cli.database import Database, connect, statements
from hammerwork_cli.database.access import OURS
from hammerwork_cli.database.guards import is_change
from hammerwork_cli.database.statements.__main__ import fragments, subjects
from hammerwork_cli.errors import MissingTablesError
from hammerwork_cli.features.cron.queries import schedules
from hammerwork_cli.features.job.models.job import JobFilter
from hammerwork_cli.features.job.queries import listing
from hammerwork_cli.features.migration.queries import MIGRATIONS
from hammerwork_cli.features.queue import queries as queues
from hammerwork_cli.features.worker.queries import registry
from tests.conftest import one_case_on_servers
from tests.database.introspection import read_schema
from tests.rows import START, Rows

NEWEST = MIGRATIONS[-1].id


@pytest.fixture(params=["original", "between"])
def state(request: pytest.FixtureRequest, database: Database) -> str:
    """Takes records of migrations away: those of all of ours, or that of the newest."""
    rows = Rows(database)
    rows.job(queue="mail", status="Pending")
    first = {"original": "015_spawn_indexes", "between": NEWEST}[request.param]
    for name in sorted(one for one in OURS if one >= first):
        rows.run(f"DELETE FROM hammerwork_migrations WHERE migration_id = '{name}'")
    database.forget_schema()
    return str(request.param)


def everything(database: Database) -> dict[str, Any]:
    return {table: database.query(f"SELECT * FROM {table} ORDER BY 1") for table in sorted(database.schema)}


@cache
def whole_statements() -> dict[str, list[tuple[frozenset[str], str]]]:
    """The variants of each statement."""
    parts = fragments()
    named = {f"{subject}.{name}": found for subject in subjects() for name, found in statements.blocks(subject).items()}
    return {name: variants for name, variants in named.items() if name not in parts}


def test_a_database_without_jobs_has_no_tables_whatever_is_recorded(
    dialect: str, new_database: Callable[..., str]
) -> None:
    new_database(dialect, migrated=True)  # beside the others, on the same server
    damaged = new_database(dialect, migrated=True)
    with contextlib.closing(connect(damaged)) as database:
        database.script("ALTER TABLE hammerwork_jobs RENAME TO hammerwork_away")
    for url, said in ((damaged, "hammerwork_jobs is missing"), (new_database(dialect), "has no hammerwork tables yet")):
        with contextlib.closing(connect(url)) as database:
            for ask in (lambda: database.tags, database.check_current):
                with pytest.raises(MissingTablesError, match=said):
                    ask()


def test_a_database_that_is_not_current_is_read_and_says_so_where_our_tables_are_left_out(
    database: Database, state: str
) -> None:
    told: list[str] = []
    database.tell = told.append
    assert [job.node.queue for job in listing.find(database, JobFilter(), limit=9).jobs] == ["mail"]
    assert [one.workers for one in queues.states(database, now=START)] == [None]
    assert not database.is_current
    lists: list[Callable[[], object]] = [
        lambda: registry.listed(database),
        lambda: schedules.all_schedules(database),
    ]
    if state == "original":
        assert (told, [read() for read in lists]) == ([], [[], []])
        return
    [note] = told
    assert NEWEST in note
    assert note.endswith("Run: hammerwork migration run")
    for read in lists:
        with pytest.raises(MissingTablesError, match=NEWEST):
            read()


@one_case_on_servers
def test_no_statement_changes_a_database_that_is_not_current(database: Database, state: str) -> None:
    before, refused = everything(database), 0
    for name, variants in whole_statements().items():
        text = next((text for wanted, text in variants if wanted <= database.tags), "")
        if text and is_change(text):
            with pytest.raises(MissingTablesError, match="hammerwork-cli"):
                database.run(name)
            refused += 1
    assert refused > 100
    with Queue(database.url) as queue, pytest.raises(MissingTablesError):
        queue.enqueue_many([Job("mail"), Job("mail")])
    app = Handlers()
    app.register_job("mail", lambda job: job.id)
    with pytest.raises(MissingTablesError):
        Worker(database.url, app).run()
    assert everything(database) == before


def test_a_connection_changes_what_was_migrated_since_it_read_the_tables(database: Database, state: str) -> None:
    assert not database.is_current
    rows, schema = Rows(database), read_schema(database)
    for name in sorted(OURS):
        rows.run(f"DELETE FROM hammerwork_migrations WHERE migration_id = '{name}'")
        rows.run(f"INSERT INTO hammerwork_migrations VALUES ('{name}', CURRENT_TIMESTAMP, 1)")
    assert queues.pause(database, "mail", by="me", now=START).changed
    assert (database.is_current, read_schema(database)) == (True, schema)
