"""Renders the answers of ``migration``: shapes for programs, tables for terminals, plans as SQL."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from hammerwork_cli.features.migration.model import (
    UNREADABLE_STRATEGY,
    Migration,
    MigrationState,
    PlannedMigration,
    RustFit,
    RustVersion,
    TableRewrite,
    TableRows,
)
from hammerwork_cli.view import key
from hammerwork_cli.view.shape import Shape
from hammerwork_cli.view.table import Column, column, time_column
from hammerwork_cli.view.text import count, plural

_CREATED = re.compile(r"^CREATE TABLE (?:IF NOT EXISTS )?(\w+)", re.MULTILINE)
_ALTERED = re.compile(r"^(?:ALTER TABLE|CREATE (?:UNIQUE )?INDEX (?!CONCURRENTLY)[^()]*? ON) (\w+)", re.MULTILINE)
_INDEXED = re.compile(r"^CREATE INDEX CONCURRENTLY \w+\s+ON (\w+)", re.MULTILINE)
_MOST_NAMED = 12
NOT_ON_MARIADB = (
    "Version 3 of hammerwork (Rust) does not run on MariaDB: some of its statements are syntax errors there, its own"
    " migration 016 among them. The tables would fit it."
)

STATES: Sequence[Column[MigrationState]] = (
    Column("migration", lambda row: row.migration.id),
    Column("state", lambda row: row.state),
    Column(
        "defined by",
        lambda row: row.migration.owner_name,
        drop_order=2,
        narrow=lambda row: {"upstream": "Rust", "ours": "cli"}.get(row.migration.owner, row.migration.owner),
    ),
    time_column("executed", lambda row: row.executed_at),
    Column(
        "ms", lambda row: None if row.execution_time_ms is None else count(row.execution_time_ms), "right", drop_order=1
    ),
    Column("about", lambda row: row.migration.description, cuts=True, drop_order=3),
)
_MIGRATION = Shape[Migration](
    {
        "id": key.text(),
        "owner": key.text("", "upstream", "ours"),
        "rust": key.null_or(key.text("The first version of hammerwork (Rust) that has it")),
        "description": key.text(),
    }
)
_REWRITE = Shape[TableRewrite](
    {"table": key.text(), "rows": key.count(), "written": key.count(), "readers_wait": key.flag()}
)
MIGRATION_STATE = Shape[MigrationState](
    {
        **_MIGRATION.within("migration"),
        "state": key.text("", "applied", "incomplete", "pending", "partial"),
        "applied": key.flag(),
        "executed_at": key.null_or(key.instant()),
        "execution_time_ms": key.null_or(key.count()),
        "missing": key.list_of(key.text(), "What an incomplete one lacks, such as: column hammerwork_jobs.claimed_at"),
        "warnings": key.list_of(key.text(), "What it had to change in jobs, or what does not work without it"),
    }
)
MIGRATION_PLAN = Shape[PlannedMigration](
    {
        **_MIGRATION.within("migration"),
        "statements": key.list_of(key.text()),
        "rewrites": key.list_of(
            _REWRITE,
            "Tables that are locked for writers, and maybe readers, until this many of their rows are rewritten",
        ),
    }
)
TABLE = Shape[TableRows]({"table": key.text(), "rows": key.count()})
TABLES: Sequence[Column[TableRows]] = (
    column(TABLE, "table"),
    column(TABLE, "rows", is_count=False),
)


def unapplied_text(states: Sequence[MigrationState], rust: RustVersion | None) -> str:
    """What is missing, the number of pending migrations, and the next command."""
    lost = [
        f"{state.migration.id} is recorded, but this is missing: {', '.join(state.missing)}."
        for state in states
        if state.missing
    ]
    kinds = Counter(state.state for state in states if not state.applied)
    found = ", ".join(f"{count(number)} {kind}" for kind, number in sorted(kinds.items(), reverse=True))
    option = _option(rust)
    run, plan = f"hammerwork migration run{option}", f"hammerwork migration run --dry-run{option}"
    return "\n".join([*lost, f"{found}. Next: {run} (to see its statements: {plan})"])


def fit_text(fit: RustFit) -> str | None:
    """Which version of hammerwork (Rust) the tables suit, and what the next one lacks; ``None`` if it suits none."""
    if fit.version is None:
        return None
    suits = f"The tables suit hammerwork (Rust) {fit.version}"
    if not fit.lacking:
        return f"{suits}."
    return f"{suits}. Version 3 lacks {', '.join(fit.lacking)}: see hammerwork migration run --dry-run --rust 3"


def fit_warnings(fit: RustFit, rust: RustVersion | None) -> Iterator[str]:
    """What does not work where somebody uses version 3 of hammerwork (Rust), or prepares for it."""
    if fit.unreadable and fit.uses:
        yield UNREADABLE_STRATEGY
    if not fit.runs_here and (rust is RustVersion.V3 or fit.uses):
        yield NOT_ON_MARIADB


def plan_text(planned: Sequence[PlannedMigration], rust: RustVersion | None = None) -> Iterator[str]:
    """A plan as SQL that an operator can read or run, after a summary in comments."""
    yield from _summary(planned, rust)
    for row in planned:
        yield ""
        yield f"-- {row.migration.id}: {row.migration.description}"
        if not row.statements:
            yield "-- (only recorded)"
        for statement in row.statements:
            yield f"{statement};"


def _option(rust: RustVersion | None) -> str:
    return f" --rust {rust}" if rust else ""


def _summary(planned: Sequence[PlannedMigration], rust: RustVersion | None) -> Iterator[str]:
    """The changes of the tables in a few comments."""
    sql = "\n".join(statement for row in planned for statement in row.statements)
    created = set(_CREATED.findall(sql))
    statements = sum(len(row.statements) for row in planned)
    next_step = f"hammerwork migration run{_option(rust)}"
    yield f"-- {plural(len(planned), 'migration')}, {plural(statements, 'statement')}. Next: {next_step}"
    for what, tables in (
        ("Makes", created),
        ("May block writers while it alters or indexes", set(_ALTERED.findall(sql)) - created),
        ("Without blocking writers, indexes", set(_INDEXED.findall(sql)) - created),
    ):
        if tables:
            named = f": {', '.join(sorted(tables))}" if len(tables) <= _MOST_NAMED else ""
            yield f"-- {what} {plural(len(tables), 'table')}{named}"
    for text in rewrite_texts(planned):
        yield f"-- {text}"


def rewrite_texts(planned: Sequence[PlannedMigration]) -> Iterator[str]:
    """Which tables are locked for long, and how many rows are written meanwhile."""
    for row in planned:
        for rewrite in row.rewrites:
            share = "all" if rewrite.written == rewrite.rows else count(rewrite.written)
            rows = f"{share} of its {plural(rewrite.rows, 'row')}"
            if rewrite.readers_wait:
                yield f"Locks {rewrite.table}, even for readers, until it has read the table and rewritten {rows}"
            else:
                yield f"Rebuilds {rewrite.table}: writers wait until {row.migration.id} has rewritten {rows}"
