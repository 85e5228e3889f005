"""Reads ``sql/migrations/OWNER/ID.sql``: the steps of a migration, and the objects that each step creates.

The first line says what the migration is about. A line ``-- [postgresql sqlite]`` begins the section of some databases.
A line ``-- next`` separates the statements. A statement whose objects all exist is skipped, so that another run
finishes a migration that was interrupted. An ``ALTER TABLE`` has each clause on its own line; only the missing clauses
are sent. A ``CREATE TABLE`` has each column and index on its own line; what is missing of an existing table is added.
``{collation}`` is replaced. A line ``-- from N`` or ``-- before N`` names the major versions of the server that a
statement is for.
"""

import re
from collections.abc import Collection, Iterator
from functools import cache
from typing import NamedTuple

from hammerwork_cli.database.access import MIGRATIONS

_FILES = {file.stem: file for file in MIGRATIONS.glob("*/*.sql")}

_ALTER = re.compile(r"(?P<head>ALTER TABLE (?P<table>\w+))\n\s+(?P<clauses>ADD .*)", re.DOTALL)
_SECTION = re.compile(r"^-- \[([a-z ]+)\]\n", re.MULTILINE)
_VERSIONS = re.compile(r"^-- (from|before) (\d+)$", re.MULTILINE)
_BETWEEN_CLAUSES = re.compile(r",\n\s+(?=ADD )")
_TABLE = re.compile(r"CREATE TABLE (?P<table>\w+) \(\n(?P<parts>.*)\n\)", re.DOTALL)
_PART = re.compile(r"^ {4}(?P<definition>(?:(?P<index>(?:UNIQUE )?INDEX) )?(?P<name>[a-z]\w*) .*?),?$", re.MULTILINE)
_ON_TABLE = re.compile(r"\b(?:TABLE|ON|FROM|ANALYZE) (hammerwork_\w+)")
_MAKES = (
    (r"CREATE TABLE (\w+)", "table {1}"),
    (r"ADD COLUMN (\w+)", "column {0}.{1}"),
    (r"(?:ADD|CREATE)(?: UNIQUE)? INDEX(?: CONCURRENTLY)? (\w+)", "index {1}"),
    (r"ADD CONSTRAINT (\w+)", "check {1}"),
    (r"CREATE OR REPLACE FUNCTION (\w+)", "function {1}"),
    (r"CREATE TRIGGER (\w+)", "trigger {1}"),
    (r"CREATE STATISTICS (\w+)", "statistics {1}"),
    # Removes an invalid index before it is created again, so it has nothing to do if the index exists.
    (r"DROP INDEX CONCURRENTLY IF EXISTS (\w+)", "index {1}"),
    (r"DROP INDEX (idx_\w+|key_id)\b", "no index {1}"),
    (r"DO \$\$[\s\S]* ALTER COLUMN (\w+) TYPE JSONB", "type {0}.{1} JSONB"),
    # The block itself checks whether there is anything to do.
    (r"DO (\$\$)", ""),
    # These may run every time.
    (r"ANALYZE (\w+)", ""),
    (r"UPDATE (\w+)", ""),
    (r"ALTER TABLE \w+\s+MODIFY COLUMN (\w+)", ""),
    (r"ALTER TABLE \w+\s+DROP CONSTRAINT(?: IF EXISTS)? (\w+)", ""),
)


_CHANGED_CHECK = re.compile(r"DROP CONSTRAINT (\w+),\s+(?=ADD CONSTRAINT \1\b)")


class Clause(NamedTuple):
    """A statement, or one clause of an ``ALTER TABLE``."""

    # The object that it creates or drops, for example `column hammerwork_jobs.priority` or `no index name`; empty if it
    # runs every time.
    makes: str
    sql: str
    table: str = ""  # the table that it makes or changes; empty without one
    parts: tuple[str, ...] = ()  # the columns and indexes of the table that it creates, as objects

    def is_done(self, present: Collection[str]) -> bool:
        """Whether it has nothing to do in a database with the objects ``present``."""
        return bool(self.makes) and (self.object in present) != self.drops

    @property
    def object(self) -> str:
        return self.makes.removeprefix("no ")

    @property
    def drops(self) -> bool:
        return self.makes.startswith("no ")


class MigrationStep(NamedTuple):
    head: str  # `ALTER TABLE name`, or empty
    clauses: tuple[Clause, ...]

    def statement(self, present: Collection[str]) -> str | None:
        """Returns the statement for a database with the objects ``present``; ``None`` if it needs nothing."""
        missing = [clause for clause in self.clauses if not clause.is_done(present)]
        if not missing:
            return None
        if not self.head:
            return _without_gone(missing[0].sql, present)
        return self.head + "\n    " + ",\n    ".join(clause.sql for clause in missing)

    def after(self, present: frozenset[str]) -> frozenset[str]:
        """Returns the objects of a database that had the objects ``present`` before this step."""
        gone = {clause.object for clause in self.clauses if clause.sql.startswith("DROP ")}
        made = {name for clause in self.clauses for name in (clause.makes, *clause.parts)}
        return (present | made) - gone

    @property
    def concurrent(self) -> bool:
        """Whether it must run outside a transaction."""
        return any(" CONCURRENTLY " in clause.sql for clause in self.clauses)


@cache
def steps(migration: str, dialect: str, collation: str = "", version: int | None = None) -> tuple[MigrationStep, ...]:
    """Returns the steps of a migration in order.

    Args:
        collation: replaces ``{collation}``.
        version: the major version of the server; ``None`` for a recent one.
    """
    parts = re.split(r"^-- next\n", section(migration, dialect), flags=re.MULTILINE)
    chunks = [_uncommented(part) for part in parts if _is_for(part, version)]
    return tuple(step for chunk in chunks if chunk for step in _steps(chunk.replace("{collation}", collation)))


def section(migration: str, dialect: str) -> str:
    """Returns the lines of a migration that are for a database."""
    _, *parts = _SECTION.split(_text(migration))
    found = [body for names, body in zip(parts[::2], parts[1::2], strict=True) if dialect in names.split()]
    if len(found) != 1:
        raise LookupError(f"no migration {migration} for {dialect}")
    return found[0].strip("\n")


def description(migration: str) -> str:
    """Returns what a migration is about."""
    return _text(migration).partition("\n")[0].removeprefix("-- ")


@cache
def _text(migration: str) -> str:
    try:
        return _FILES[migration].read_text(encoding="utf-8")
    except (KeyError, OSError) as error:
        raise LookupError(f"no migration {migration}") from error


def _is_for(part: str, version: int | None) -> bool:
    return all(
        (version is None or version >= int(limit)) == (word == "from") for word, limit in _VERSIONS.findall(part)
    )


def _uncommented(chunk: str) -> str:
    lines = [line for line in chunk.splitlines() if not line.startswith("--")]
    return "\n".join(lines).strip().removesuffix(";") if lines else ""


def _steps(sql: str) -> Iterator[MigrationStep]:
    alter, create, named = _ALTER.fullmatch(sql), _TABLE.match(sql), _ON_TABLE.search(sql)
    table = named[1] if named else ""
    if alter is not None:
        clauses = _BETWEEN_CLAUSES.split(alter["clauses"])
        yield MigrationStep(alter["head"], tuple(Clause(_made(table, clause), clause, table) for clause in clauses))
        return
    parts = [
        (
            f"index {part['name']}" if part["index"] else f"column {table}.{part['name']}",
            f"ADD {'' if part['index'] else 'COLUMN '}{part['definition']}",
        )
        for part in (_PART.finditer(create["parts"]) if create else ())
    ]
    yield MigrationStep("", (Clause(_made(table, sql), sql, table, tuple(made for made, _ in parts)),))
    for made, clause in parts:
        yield MigrationStep(f"ALTER TABLE {table}", (Clause(made, clause, table),))


def _without_gone(sql: str, present: Collection[str]) -> str:
    """The statement without the drop of a check that is gone: MySQL knows no IF EXISTS there.

    A run of hammerwork (Rust) that ended between two of its statements has left none.
    """
    found = _CHANGED_CHECK.search(sql)
    return _CHANGED_CHECK.sub("", sql) if found and f"check {found[1]}" not in present else sql


def _made(table: str, sql: str) -> str:
    for pattern, name in _MAKES:
        found = re.match(pattern, sql)
        if found:
            return name.format(table, found[1])
    raise LookupError(f"a migration must not contain this (a clause of an ALTER TABLE needs its own line): {sql[:60]}")
