"""Applies migrations, shows their states, and drops the tables.

A statement is skipped if its table, column or index exists, so a run completes a migration that this program or
hammerwork (Rust) left half-applied. A record says only that a migration was applied once, so status and run compare the
objects that exist with those that the recorded migrations make. That also finds what somebody dropped, as a stored
checksum would not, and leaves the table of records as hammerwork (Rust) makes it.

On PostgreSQL and SQLite, a migration and its record are one transaction, except for indexes that are built while
workers run. On MySQL, each DDL statement commits by itself. If a run fails there because another run was faster, it
reads the tables again and continues from there. Two runs thus succeed even on a replicated server, where locks do not
reach other nodes.
"""

import math
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import datetime
from typing import NamedTuple, TypeVar

from hammerwork_cli.database import Database, connect, statements
from hammerwork_cli.database.access import Row
from hammerwork_cli.database.migration_files import Clause, Step, steps
from hammerwork_cli.database.retrying import Backoff, lost_to_another, retry
from hammerwork_cli.errors import (
    AccessDeniedError,
    ConfigError,
    ConflictError,
    ConnectionLostError,
    DatabaseError,
    HammerworkError,
    RefusedValueError,
)
from hammerwork_cli.models import Migration, MigrationState, PlannedMigration, TableRows, Timestamp, timestamp

Result = TypeVar("Result")
Record = tuple[Timestamp, int]

TRACKING = "table hammerwork_migrations"
TRIES = 8
BACKOFF = Backoff(0.05, 5.0)
PATIENCE_SECONDS = 600
POLL_SECONDS = 0.2
TELL_SECONDS = 1.0
"""Seconds of waiting for another run before the user hears of it."""
PASSING = (1050, 1060, 1061, 1826, 3822, 1317)
"""MySQL's error numbers for an object that already exists, and for a statement that another node interrupted."""

_COUNTS = (
    "migrations.rows_in_hammerwork_jobs",
    "migrations.rows_in_hammerwork_jobs_archive",
    "migrations.rows_in_hammerwork_batches",
    "migrations.rows_in_hammerwork_workflows",
    "migrations.rows_in_hammerwork_encryption_keys",
    "migrations.rows_in_hammerwork_key_audit_log",
    "migrations.rows_in_hammerwork_queue_pause",
    "migrations.rows_in_hammerwork_migrations",
    "migrations.rows_in_hammerwork_workers",
    "migrations.rows_in_hammerwork_spawn_operations",
    "migrations.rows_in_hammerwork_spawned_children",
    "migrations.rows_in_hammerwork_spawn_requests",
    "migrations.rows_in_hammerwork_spawn_roots",
    "migrations.rows_in_hammerwork_spawn_trees",
    "migrations.rows_in_hammerwork_attempts",
    "migrations.rows_in_hammerwork_duties",
    "migrations.rows_in_hammerwork_schedules",
    "migrations.rows_in_hammerwork_schedule_runs",
    "migrations.rows_in_hammerwork_retention",
    "migrations.rows_in_hammerwork_watches",
)
COUNTS = {name.removeprefix("migrations.rows_in_"): name for name in _COUNTS}
"""Table -> the statement that counts its rows."""

MIGRATIONS = (
    Migration("001_initial_schema", "The table of jobs"),
    Migration("002_add_priority", "Priorities"),
    Migration("003_add_timeouts", "Timeouts"),
    Migration("004_add_cron", "Recurring jobs"),
    Migration("005_add_batches", "Batches"),
    Migration("006_add_result_storage", "Results of jobs"),
    Migration("007_add_dependencies", "Dependencies and workflows"),
    Migration("008_add_result_config", "Storage of results"),
    Migration("009_add_tracing", "Traces and correlation"),
    Migration("010_add_archival", "The archive"),
    Migration("011_add_encryption", "Encrypted payloads, retention and keys"),
    Migration("012_optimize_dependencies", "Dependencies as arrays of ids, on PostgreSQL"),
    Migration("013_add_key_audit", "The log of key use"),
    Migration("014_add_queue_pause", "Paused queues"),
    Migration("015_spawn_indexes", "Indexes that find children and spawning parents", "ours"),
    Migration("016_recent_jobs_index", "An index that lists the newest jobs", "ours"),
    Migration("017_workers", "Workers, their claims and their spawns", "ours"),
    Migration("018_claims", "Times of claims, exact keys, and places of jobs in their trees", "ours"),
    Migration("019_attempts", "Attempts that did not complete", "ours"),
    Migration("020_tree_statistics", "Statistics of parents, on PostgreSQL", "ours"),
    Migration("021_upkeep", "Duties that one worker at a time does", "ours"),
    Migration("022_schedules", "Schedules and their runs", "ours"),
    Migration("023_retention", "Retention policies, and more columns of the archive", "ours"),
    Migration("024_declarations", "Schedules that files and applications declare", "ours"),
    Migration("025_watches", "Callbacks at the end of batches, trees and workflows", "ours"),
    Migration("hw_026_worker_progress", "Stalled threads and held slots of workers, and graces of their stops", "ours"),
    Migration("hw_028_missed_runs", "Runs of schedules that stand for many missed ones", "ours"),
    Migration("hw_029_queue_counts", "What workers have counted of their queues", "ours"),
    Migration("hw_031_run_starts", "When handlers began to run", "ours"),
)


OnProgress = Callable[[Migration, int, int], None]
"""Called with a migration, the number of its finished steps, and the number of its steps."""
OnWait = Callable[[], None]
"""Called once if another run holds the lock."""


class _Work(NamedTuple):
    """A migration in a database.

    Attributes:
        spared: objects that it makes and a later one, which is applied, takes away.
    """

    state: MigrationState
    steps: tuple[Step, ...]
    spared: frozenset[str]

    @property
    def migration(self) -> Migration:
        return self.state.migration


def status(database: Database) -> list[MigrationState]:
    """Returns all migrations in order, then those that are recorded and unknown to this version."""
    recorded = _recorded(database)
    known = {migration.id for migration in MIGRATIONS}
    others = [Migration(name, "Not known to this version", "other") for name in sorted(recorded.keys() - known)]
    return [
        *(work.state for work in _works(database)),
        *(MigrationState(other, "applied", *recorded[other.id]) for other in others),
    ]


def known(database: Database) -> list[MigrationState]:
    """Returns the states of the migrations that this version knows, in order."""
    return [work.state for work in _works(database)]


def newest(states: Sequence[MigrationState]) -> datetime | None:
    """When the last migration was applied; ``None`` if no record says so."""
    return max((at for state in states if (at := timestamp(state.executed_at))), default=None)


def plan(database: Database) -> list[PlannedMigration]:
    """Returns the statements that :func:`run` would send now."""
    present = _objects(database)
    planned = [
        PlannedMigration(work.migration, tuple(_todo(work.steps, present | work.spared))) for work in _open(database)
    ]
    if planned and TRACKING not in present:
        lines = statements.load("migrations.tracking_table", frozenset({database.dialect}))
        table = statements.bind(lines, {}, database.placeholder)[0].strip()
        planned[0] = PlannedMigration(planned[0].migration, (table, *planned[0].statements))
    return planned


def run(
    database: Database, on_progress: OnProgress = lambda *_: None, on_wait: OnWait = lambda: None
) -> list[Migration]:
    """Applies pending migrations, makes what is missing of the others, and returns them.

    If there is nothing to do, it takes no lock.

    Raises:
        ConflictError: another run did not end within ten minutes.
        ConfigError: with the server's settings, the tables would get another shape.
        DatabaseError: a statement failed; the message names the migration. The finished steps stay.
    """
    if not _open(database):
        return []
    return _alone(database, lambda: _run(database, on_progress), on_wait)


def contents(database: Database) -> list[TableRows]:
    """Returns the tables that :func:`drop` would drop, and their numbers of rows."""
    present = _objects(database)
    tables = [table for table in _tables(database) if f"table {table}" in present]
    return [TableRows(table, database.plain_rows(COUNTS[table])[0][0]) for table in tables]


def drop(database: Database, on_wait: OnWait = lambda: None) -> None:
    """Drops everything that migrations make, with all jobs, and nothing else.

    Raises:
        DatabaseError: an object that no migration made, such as a view, depends on the tables.
    """
    _alone(database, lambda: _drop(database), on_wait)


def _works(database: Database) -> list[_Work]:
    present = _objects(database)
    recorded = _records(database) if TRACKING in present else {}
    succeeded = not recorded.keys() <= {migration.id for migration in MIGRATIONS}
    collation, version = _collation(database), _version(database)
    works, spared = [], frozenset[str]()
    for migration in reversed(MIGRATIONS):
        all_steps = steps(migration.id, database.dialect, collation, version)
        clauses = [clause for step in all_steps for clause in step.clauses]
        if migration.id in recorded:
            # A later version of hammerwork (Rust) may have replaced an index.
            only = ("table ", "column ") if succeeded and migration.owner == "upstream" else ()
            missing = tuple(_missing(database, clauses, present | spared, only))
            state = MigrationState(
                migration, "incomplete" if missing else "applied", *recorded[migration.id], missing=missing
            )
        else:
            started = not present.isdisjoint(clause.makes for clause in clauses)
            state = MigrationState(migration, "partial" if started else "pending")
        works.append(_Work(state, all_steps, spared))
        if migration.id in recorded:
            spared |= {clause.object for clause in clauses if clause.drops}
    return works[::-1]


def _missing(
    database: Database, clauses: Sequence[Clause], present: Collection[str], only: tuple[str, ...] = ()
) -> list[str]:
    """Returns the objects that clauses of a recorded migration made and that do not exist.

    If a table is missing, it alone is named, also by a migration that only changed it.
    """
    found: dict[str, str] = {}
    for clause in clauses:
        table = f"table {clause.table}"
        if clause.sql.startswith("DROP "):
            continue
        if clause.table and table not in present:
            found[table] = clause.table
        elif clause.makes and not clause.is_done(present):
            found[clause.makes] = clause.table
    return [name for name, table in found.items() if name.startswith(only or "") and _is_gone(database, name, table)]


def _is_gone(database: Database, name: str, table: str) -> bool:
    """Whether an object does not exist: MySQL lists to a user only what the user has privileges on."""
    if database.dialect != "mysql":
        return True
    kind, _, place = name.partition(" ")
    what = {
        "table": f"1 FROM {table}",
        "column": f"{place} FROM {table}",
        "index": f"1 FROM {table} FORCE INDEX ({place})",
    }.get(kind)
    if what is None:
        return False  # a check is listed only to a user who may change the table
    try:
        database.query(f"SELECT {what} LIMIT 0")
    except AccessDeniedError:
        return False
    except ConnectionLostError:
        raise
    except DatabaseError:
        return True
    return False


def _read(database: Database, statement: str) -> list[Row]:
    """Reads rows, again if DDL on another node interrupted the read."""
    if database.dialect == "sqlite":
        return database.plain_rows(statement)  # here, a transaction would wait for every other writer
    return database.transaction(lambda: database.plain_rows(statement))


def _objects(database: Database) -> frozenset[str]:
    return frozenset(_text(name) for (name,) in _read(database, "migrations.objects"))


def _recorded(database: Database) -> dict[str, Record]:
    return _records(database) if TRACKING in _objects(database) else {}


def _records(database: Database) -> dict[str, Record]:
    return {_text(name): (at, took) for name, at, took in _read(database, "migrations.recorded")}


def _text(value: str | bytes | bytearray) -> str:
    return value if isinstance(value, str) else value.decode()


def _collation(database: Database) -> str:
    return _text(_read(database, "migrations.collation")[0][0]) if database.dialect == "mysql" else ""


def _version(database: Database) -> int | None:
    return int(database.plain_rows("migrations.version")[0][0]) if database.dialect == "postgresql" else None


def _tables(database: Database) -> list[str]:
    made = [
        clause.makes.removeprefix("table ")
        for migration in MIGRATIONS
        for step in steps(migration.id, database.dialect)
        for clause in step.clauses
        if clause.makes.startswith("table ")
    ]
    return [*made, "hammerwork_migrations"]


def _todo(all_steps: Sequence[Step], present: frozenset[str]) -> Iterator[str]:
    for step in all_steps:
        sql = step.statement(present)
        if sql is not None:
            yield sql
            present = step.after(present)


# One run at a time.


def _alone(database: Database, work: Callable[[], Result], on_wait: OnWait) -> Result:
    if database.dialect == "postgresql":
        # The lock ends with its transaction, and the run consists of several: the lock needs a connection of its own.
        holder = connect(database.url)
        try:
            return holder.transaction(lambda: _holding(holder, work, on_wait), tries=1)
        finally:
            holder.close()
    if database.dialect == "mysql":
        _wait_for_lock(database, on_wait)
        try:
            return work()
        finally:
            _unlock(database)
    # SQLite locks its file in each transaction, and every step checks the tables first.
    return work()


def _holding(holder: Database, work: Callable[[], Result], on_wait: OnWait) -> Result:
    holder.plain_rows("migrations.lock_patience")
    _wait_for_lock(holder, on_wait)
    return work()


def _wait_for_lock(database: Database, on_wait: OnWait) -> None:
    told_at = time.monotonic() + TELL_SECONDS
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not database.plain_rows("migrations.lock")[0][0]:
        if time.monotonic() > told_at:
            told_at = math.inf
            on_wait()
        if time.monotonic() > deadline:
            raise ConflictError("Another migration run has not ended.", hint="See: hammerwork migration status")
        time.sleep(POLL_SECONDS)


def _unlock(database: Database) -> None:
    try:
        database.plain_rows("migrations.unlock")
    except ConnectionLostError:
        return  # the server has released the lock


# Applying.


def _run(database: Database, on_progress: OnProgress) -> list[Migration]:
    _check_server(database)
    _patiently(
        database, None, lambda _: _in_transaction(database, lambda: database.plain_run("migrations.tracking_table"))
    )
    applied = [work.migration for work in _open(database) if _apply(database, work, on_progress)]
    database.forget_schema()
    return applied


def _open(database: Database) -> list[_Work]:
    """Returns the migrations that are not recorded, or of which something is missing."""
    return [work for work in _works(database) if not work.state.applied]


def _check_server(database: Database) -> None:
    if database.dialect != "mysql" or database.plain_rows("migrations.plain_timestamps")[0][0]:
        return
    try:
        database.plain_run("migrations.want_plain_timestamps")
    except DatabaseError as error:
        raise ConfigError(
            "This server changes the meaning of TIMESTAMP columns.",
            hint="Start it with explicit_defaults_for_timestamp=ON, or upgrade it.",
        ) from error


def _apply(database: Database, work: _Work, on_progress: OnProgress) -> bool:
    """Applies a migration, unless another run was faster; returns whether it did."""
    migration = work.migration
    piecemeal = database.dialect == "mysql" or any(step.concurrent for step in work.steps)
    apply = _bit_by_bit if piecemeal else _in_one_piece

    def on_step(done: int) -> None:
        on_progress(migration, done, len(work.steps))

    try:
        return apply(database, work, on_step)
    except (DatabaseError, ConflictError, RefusedValueError) as error:
        raise type(error)(f"Migration {migration.id}: {error.message}", hint=error.hint, **error.details) from error


def _in_transaction(database: Database, work: Callable[[], object]) -> None:
    if database.dialect == "mysql":
        work()
    else:
        database.transaction(work)


def _in_one_piece(database: Database, work: _Work, on_step: Callable[[int], None]) -> bool:
    clauses = [clause for step in work.steps for clause in step.clauses]

    def apply(present: frozenset[str]) -> bool:
        if work.migration.id in _records(database) and not _missing(database, clauses, present):
            return False
        began = time.monotonic()
        _send(database, work.steps, present, on_step)
        _record(database, work.migration, began)
        return True

    return _patiently(database, work, lambda present: database.transaction(lambda: apply(present)))


def _bit_by_bit(database: Database, work: _Work, on_step: Callable[[int], None]) -> bool:
    began = time.monotonic()
    sent = _patiently(database, work, lambda present: _send(database, work.steps, present, on_step))
    return _record(database, work.migration, began) or (bool(work.state.missing) and sent)


def _patiently(database: Database, work: _Work | None, apply: Callable[[frozenset[str]], Result]) -> Result:
    """Does ``apply`` on the objects of the database, again while other programs make the same objects.

    hammerwork (Rust) migrates without a lock. It gives up when several tries in a row have left the same steps to do.
    """
    all_steps, spared = (work.steps, work.spared) if work else ((), frozenset[str]())
    present, fruitless = _objects(database) | spared, 0

    def passes(error: HammerworkError) -> bool:
        nonlocal present, fruitless
        if isinstance(error, ConnectionLostError) or not isinstance(error, (DatabaseError, RefusedValueError)):
            return False
        # PostgreSQL may report a taken name as a refused value: a duplicate key in a system table.
        before, present = present, _objects(database) | spared
        fruitless = fruitless + 1 if _left(all_steps, present) == _left(all_steps, before) else 0
        return fruitless < (TRIES if _may_pass(error) else 1)

    return retry(lambda: apply(present), BACKOFF, passes=passes)


def _left(all_steps: Sequence[Step], present: frozenset[str]) -> list[str]:
    """Returns the statements left to run, and the table of migrations if it does not exist."""
    return [*([] if TRACKING in present else [TRACKING]), *_todo(all_steps, present)]


def _may_pass(error: DatabaseError | RefusedValueError) -> bool:
    """Whether another run may have caused an error.

    While it alters a table, the server may leave out the table's columns from its lists, and then refuse them as
    duplicates.
    """
    return lost_to_another(error) or error.details.get("errno") in PASSING


def _send(
    database: Database, all_steps: Sequence[Step], present: frozenset[str], on_step: Callable[[int], None]
) -> bool:
    """Sends the statements that are left, and tells whether there were any.

    If another run makes an object meanwhile, a statement fails.
    """
    on_step(0)
    sent = False
    for number, step in enumerate(all_steps, 1):
        sql = step.statement(present)
        if sql is not None:
            database.script(sql)
            sent, present = True, step.after(present)
        on_step(number)
    return sent


def _record(database: Database, migration: Migration, began: float) -> bool:
    took = round((time.monotonic() - began) * 1000)
    values = {"migration_id": migration.id, "executed_at": database.now(), "execution_time_ms": took}
    return database.transaction(lambda: database.plain_run("migrations.record", **values)) == 1


def _drop(database: Database) -> None:
    def work() -> None:
        for step in steps("drop", database.dialect):
            for clause in step.clauses:
                database.script(clause.sql)

    _in_transaction(database, work)
    database.forget_schema()
