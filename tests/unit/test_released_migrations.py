"""Migrations that were released: a database that has one recorded never runs it again, so none of them may change."""

import hashlib
import re
from pathlib import Path

import pytest

from hammerwork_cli.database.migration_files import section
from hammerwork_cli.features.migration.queries import MIGRATIONS, RUST_3

LIST = Path(__file__).parents[1] / "data" / "released_migrations.txt"
RELEASED = [line.split() for line in LIST.read_text("utf-8").splitlines() if not line.startswith("#")]
"""Id, database, and checksum."""
MARKS = ("-- next", "-- from ", "-- before ")


def checksum(migration: str, dialect: str) -> str:
    """The SHA-256 of what is sent: of the lines for a database, without comments."""
    lines = section(migration, dialect).splitlines()
    sent = [line.rstrip() for line in lines if not line.startswith("--") or line.startswith(MARKS)]
    return hashlib.sha256("\n".join(sent).encode()).hexdigest()


def test_a_released_migration_sends_what_it_sent_when_it_was_released() -> None:
    changed = [one for *one, released in RELEASED if checksum(*one) != released]
    assert changed == [], (
        "Databases that have these recorded never run them again: write a new migration. "
        f"Of one that is not on main yet, delete the lines in {LIST.name}, and list it again."
    )


def test_every_migration_is_in_the_list_once_for_each_database(request: pytest.FixtureRequest) -> None:
    """``--rewrite-expected`` adds those that are missing; it changes no line."""
    wanted = [(migration.id, dialect) for migration in MIGRATIONS for dialect in ("postgresql", "mysql", "sqlite")]
    wanted += [(migration.id, dialect) for migration in RUST_3 for dialect in ("postgresql", "mysql")]
    listed = [(migration, dialect) for migration, dialect, _ in RELEASED]
    assert len(listed) == len(set(listed))
    assert set(listed) <= set(wanted)
    missing = [one for one in wanted if one not in listed]
    if request.config.getoption("--rewrite-expected"):
        with LIST.open("a", encoding="utf-8") as file:
            file.writelines(f"{migration} {dialect} {checksum(migration, dialect)}\n" for migration, dialect in missing)
    else:
        assert missing == [], "Run this test with --rewrite-expected when the migration is as it will be released."


def test_an_index_of_jobs_is_built_on_postgresql_while_workers_go_on() -> None:
    locking = [
        migration.id
        for migration in MIGRATIONS
        if migration.owner == "ours"
        and re.search(
            r"CREATE (UNIQUE )?INDEX (?!CONCURRENTLY)\w+ ON hammerwork_jobs", section(migration.id, "postgresql")
        )
    ]
    assert locking == [], "Workers would wait for these: build the index as 016_recent_jobs_index does."


def test_the_name_of_a_new_migration_comes_after_those_that_were_released() -> None:
    """Their names are their order. A database that is current runs it after them."""
    ours = [migration.id for migration in MIGRATIONS if migration.owner == "ours"]
    released = [migration for migration, dialect, _ in RELEASED if dialect == "sqlite" and migration in ours]
    assert ours[: len(released)] == released
