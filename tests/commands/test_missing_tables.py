"""A table that somebody has dropped is an error with the next step, never an answer as if it had been empty."""

import contextlib
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from hammerwork_cli.database.drivers.sqlite import SqliteDatabase
from hammerwork_cli.features.migration.queries import TABLES
from tests.commands.test_contract import CONTRACT, HERE, Asked
from tests.commands.test_profiles import CHANGES, ELSEWHERE
from tests.commands.test_states import MIGRATE, ask, is_refused

Run = Callable[..., Any]

READING = [
    (path, line)
    for path, says in CONTRACT.items()
    if path not in HERE | ELSEWHERE and not (says.changes and path in CHANGES)
    for line in (says.lines[0], *says.schemas)
]
ABOUT_TABLES = {"monitor health", "migration status", "migration plan"}
"""Commands whose answer is which tables are missing, and how to make them again."""
OF_ALL_THERE_ARE = {"maintenance sizes", "maintenance health"}
RECORDS = "hammerwork_migrations"
"""Without it, what hammerwork (Rust) stores is read, with a note."""


@pytest.fixture
def tables_read(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The tables that statements read from now on."""
    found: set[str] = set()
    connect = SqliteDatabase._connect

    def note(action: int, table: str | None, *_: Any) -> int:
        if action == sqlite3.SQLITE_READ and table:
            found.add(table)
        return sqlite3.SQLITE_OK

    def connected(database: SqliteDatabase) -> sqlite3.Connection:
        connection = connect(database)
        connection.set_authorizer(note)
        return connection

    monkeypatch.setattr(SqliteDatabase, "_connect", connected)
    return found


def test_a_command_that_lacks_a_table_names_it_and_the_command_that_makes_it_again(
    run: Run, full_file: tuple[Path, dict[str, str]], tables_read: set[str], tmp_path: Path
) -> None:
    path, names = full_file
    full = Asked(f"sqlite:///{quote(str(path))}", names)
    readers: dict[str, dict[tuple[str, str], int]] = {table: {} for table in TABLES}
    for command in READING:
        tables_read.clear()
        exit_code = ask(run, full, *command).exit_code
        for table in tables_read & readers.keys():
            readers[table][command] = exit_code
    unread = {table for table, commands in readers.items() if not commands}
    assert unread == {"hammerwork_kms_data_keys"}  # of hammerwork (Rust), which does not use SQLite
    wrong = []
    for table in readers.keys() - unread:
        copy = tmp_path / f"{table}.db"
        shutil.copy(path, copy)
        with contextlib.closing(sqlite3.connect(copy)) as connection:
            connection.execute(f"DROP TABLE {table}")
        damaged = Asked(f"sqlite:///{copy}", names)
        for command, usual in readers[table].items():
            if command[0] in OF_ALL_THERE_ARE and table != "hammerwork_jobs":
                continue
            done = ask(run, damaged, *command)
            if command[0] in ABOUT_TABLES:
                is_right = done.exit_code == usual and MIGRATE.search(done.stdout + done.stderr)
            else:
                is_read = table == RECORDS and not is_refused(" ".join(command), "between")
                is_named = table in done.stderr and MIGRATE.search(done.stderr)
                is_right = done.exit_code == (usual if is_read else 4) and is_named
            if not is_right:
                wrong.append((table, command, done))
        assert run("migration", "run", url=damaged.url).exit_code == 0
        with contextlib.closing(sqlite3.connect(copy)) as connection:
            connection.execute(f"SELECT COUNT(*) FROM {table}")
    assert not wrong, "\n".join(map(str, wrong))
