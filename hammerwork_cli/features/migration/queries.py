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
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from functools import cache, partial
from hashlib import sha1
from itertools import chain
from typing import NamedTuple, TypeVar

from hammerwork_cli.core.values import Timestamp, timestamp
from hammerwork_cli.database import Database, connect, statements
from hammerwork_cli.database.access import Row, migrations_of
from hammerwork_cli.database.migration_files import Clause, MigrationStep, description, steps
from hammerwork_cli.database.retrying import Backoff, lost_to_another, retry
from hammerwork_cli.errors import (
    AccessDeniedError,
    ConfigError,
    ConflictError,
    ConnectionLostError,
    DatabaseError,
    HammerworkError,
    LimitReachedError,
    RefusedValueError,
    RetryableError,
    UsageError,
)
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

Result = TypeVar("Result")
Record = tuple[Timestamp, int]

TRACKING = "table hammerwork_migrations"
STRATEGY = "column hammerwork_jobs.retry_strategy"
READABLE_STRATEGY = "type hammerwork_jobs.retry_strategy JSONB"
"""What version 3 of hammerwork (Rust) needs on PostgreSQL. It leaves a column of another type as it is."""
TRIES = 8
BACKOFF = Backoff(0.05, 5.0)
PATIENCE_SECONDS = 600
POLL_SECONDS = 0.2
TELL_SECONDS = 1.0
"""Seconds of waiting for another run before the user hears of it."""
PASSING = (1050, 1060, 1061, 1826, 3822, 1317)
"""MySQL's error numbers for an object that already exists, and for a statement that another node interrupted."""

TABLES = (  # in the order in which they are dropped
    "hammerwork_jobs",
    "hammerwork_jobs_archive",
    "hammerwork_batches",
    "hammerwork_workflows",
    "hammerwork_encryption_keys",
    "hammerwork_key_audit_log",
    "hammerwork_kms_data_keys",
    "hammerwork_queue_pause",
    "hammerwork_migrations",
    "hammerwork_workers",
    "hammerwork_spawn_operations",
    "hammerwork_spawned_children",
    "hammerwork_spawn_requests",
    "hammerwork_spawn_roots",
    "hammerwork_spawn_trees",
    "hammerwork_attempts",
    "hammerwork_duties",
    "hammerwork_schedules",
    "hammerwork_schedule_runs",
    "hammerwork_retention",
    "hammerwork_watches",
    "hammerwork_unique",
    "hammerwork_queue_limits",
    "hammerwork_limit_starts",
    "hammerwork_joins",
    "hammerwork_progress",
    "hammerwork_webhooks",
    "hammerwork_streams",
    "hammerwork_stream_events",
)


def _migrations(folder: str, owner: str = "upstream", rust: RustVersion | None = None) -> tuple[Migration, ...]:
    return tuple(Migration(one, description(one), owner, rust) for one in migrations_of(folder))


def _of_rust(version: RustVersion) -> tuple[Migration, ...]:
    return _migrations(f"rust-{version}", rust=version)


MIGRATIONS = (*_of_rust(RustVersion.V1), *_migrations("ours", "ours"))
"""Those of hammerwork (Rust) 1.15.5, and ours, in the order of a run."""

RUST_3 = _of_rust(RustVersion.V3)
"""Those that version 3 of hammerwork (Rust) has besides, in the order of a run. A run applies them on request."""
READABLE_MIGRATION = "hw_033_retry_strategy_json"


OnProgress = Callable[[Migration, int, int], None]
"""Called with a migration, the number of its finished steps, and the number of its steps."""
OnWait = Callable[[str], None]
"""Called once with who holds the lock, if another run does."""
OnWarning = Callable[[Migration, str], None]
"""Called with what a migration had to change in a job."""


class _Work(NamedTuple):
    """A migration in a database."""

    state: MigrationState
    steps: tuple[MigrationStep, ...]
    spared: frozenset[str]  # objects that it makes and a later one, which has begun, takes away

    @property
    def migration(self) -> Migration:
        return self.state.migration


class _Effect(NamedTuple):
    """What a migration does, whatever the database has."""

    steps: tuple[MigrationStep, ...]
    clauses: tuple[Clause, ...]
    makes: frozenset[str]
    needs: frozenset[str]  # objects that exist once it is applied
    drops: frozenset[str]


@cache
def _effect(migration: str, dialect: str, collation: str, version: int | None) -> _Effect:
    found = steps(migration, dialect, collation, version)
    clauses = tuple(_clauses(found))
    kept = [clause for clause in clauses if not clause.sql.startswith("DROP ")]
    needs = {name for clause in kept for name in (clause.makes, clause.table and f"table {clause.table}") if name}
    makes, drops = ({clause.makes for clause in clauses}, {clause.object for clause in clauses if clause.drops})
    return _Effect(found, clauses, frozenset(makes), frozenset(needs), frozenset(drops))


def status(database: Database, rust: RustVersion | None = None) -> list[MigrationState]:
    """Returns all migrations in order, then those that are recorded and unknown to this version.

    Args:
        rust: also those that this version of hammerwork (Rust) has; otherwise, only those of them that are recorded.
    """
    _check_rust(database, rust)
    recorded, states = _recorded(database), [work.state for work in _works(database, rust)]
    names = {state.migration.id for state in states}
    if harms_rust(database, states):
        states = [
            state._replace(warnings=(UNREADABLE_STRATEGY,)) if state.migration.id == READABLE_MIGRATION else state
            for state in states
        ]
    others = [Migration(name, "Not known to this version", "other") for name in sorted(recorded.keys() - names)]
    return [*states, *(MigrationState(other, "applied", *recorded[other.id]) for other in others)]


def known(database: Database) -> list[MigrationState]:
    """Returns the states of the migrations that this version knows, in order."""
    return [work.state for work in _works(database)]


def rust_fit(database: Database) -> RustFit:
    """Tells which version of hammerwork (Rust) the database suits, and what the next one lacks."""
    if database.dialect == "sqlite":
        return RustFit(None, (), runs_here=False)
    states = [work.state for work in _works(database, RustVersion.V3)]
    unreadable, runs_here = _is_unreadable(database), not getattr(database, "is_mariadb", False)
    fits, lacking = None, list[str]()
    for version in RustVersion:
        lacking = [state.migration.id for state in states if state.migration.rust == version and not state.applied]
        if version is RustVersion.V3 and unreadable:
            lacking.insert(0, READABLE_MIGRATION)
        if lacking:
            break
        fits = version
    return RustFit(fits, tuple(lacking), _is_used_by_rust_3(states), unreadable, runs_here)


_CLAIMED_BY_RUST = {"archived_at", "is_encrypted"}
"""Columns of the last migrations, which Rust workers name when they claim a job."""


def is_unfinished(database: Database) -> bool:
    """Whether the tables lack what Rust workers name when they claim a job: they claim none."""
    return bool(_CLAIMED_BY_RUST - database.jobs_columns().keys()) or "hammerwork_queue_pause" not in database.schema


def harms_rust(database: Database, states: Sequence[MigrationState]) -> bool:
    """Whether version 3 of hammerwork (Rust) has migrated the database, and cannot read its retry strategies."""
    return _is_used_by_rust_3(states) and _is_unreadable(database)


def _is_used_by_rust_3(states: Sequence[MigrationState]) -> bool:
    return any(state.migration in RUST_3 and state.executed_at for state in states)


def _is_unreadable(database: Database) -> bool:
    if database.dialect != "postgresql":
        return False
    present = _objects(database)
    return STRATEGY in present and READABLE_STRATEGY not in present


def newest(states: Sequence[MigrationState]) -> datetime | None:
    """When the last migration was applied; ``None`` if no record says so."""
    return max((at for state in states if (at := timestamp(state.executed_at))), default=None)


def plan(database: Database, rust: RustVersion | None = None) -> list[PlannedMigration]:
    """Returns the statements that :func:`run` would send now."""
    _check_rust(database, rust)
    present, planned = _objects(database), []
    is_recorded = TRACKING in present
    for work in _open(database, rust):
        todo = _todo(work.steps, present | work.spared)
        planned.append(PlannedMigration(work.migration, tuple(todo), tuple(_rewrites(database, work, present))))
        for step in work.steps:
            present = step.after(present)
    if planned and not is_recorded:
        lines = statements.load("migration.tracking_table", frozenset({database.dialect}))
        table = statements.bind(lines, {}, database.placeholder)[0].strip()
        planned[0] = planned[0]._replace(statements=(table, *planned[0].statements))
    return planned


def _rewrites(database: Database, work: _Work, present: frozenset[str]) -> Iterator[TableRewrite]:
    """Yields what ``hw_033`` writes again, by the rule of its statements, and what MariaDB does as it adds columns."""
    if work.migration.id == READABLE_MIGRATION and _is_unreadable(database):
        ((rows, written),) = database.plain_rows("migration.strategies")
        if rows:
            yield TableRewrite("hammerwork_jobs", rows, written if written * 10 <= rows else rows)
    if getattr(database, "is_mariadb", False):
        copied = {name for (name,) in database.plain_rows("migration.indexed_virtual_columns")}
        for step in work.steps:
            left = [
                clause for clause in step.clauses if not clause.is_done(present) and " GENERATED " not in clause.sql
            ]
            if left and left[0].table in copied and step.head and left[0].makes.startswith("column "):
                copied.remove(left[0].table)
                rows = count_rows(database, left[0].table)
                if rows:
                    yield TableRewrite(left[0].table, rows, rows, readers_wait=False)


def run(
    database: Database,
    on_progress: OnProgress = lambda *_: None,
    on_wait: OnWait = lambda _: None,
    on_warning: OnWarning = lambda *_: None,
    rust: RustVersion | None = None,
) -> list[Migration]:
    """Applies pending migrations, makes what is missing of the others, and returns them.

    If there is nothing to do, it takes no lock. Raises ConflictError if another run did not end within ten minutes.
    Raises DatabaseError if a statement failed; the message names the migration. The finished steps stay.

    Args:
        rust: also applies those that this version of hammerwork (Rust) has.
    """
    _check_rust(database, rust)
    if not _open(database, rust):
        return []
    return _alone(database, lambda turn: _run(database, turn, rust, on_progress, on_warning), on_wait)


def _check_rust(database: Database, rust: RustVersion | None) -> None:
    if rust and database.dialect == "sqlite":
        raise UsageError("hammerwork (Rust) does not use SQLite.", hint="Leave out --rust.")


def count_rows(database: Database, table: str) -> int:
    return int(database.plain_rows("migration.count_rows", table=statements.Names((table,)))[0][0])


def contents(database: Database) -> list[TableRows]:
    """Returns the tables that :func:`drop` would drop, and their numbers of rows."""
    present = _objects(database)
    tables = [table for table in _tables(database) if f"table {table}" in present]
    return [TableRows(table, count_rows(database, table)) for table in tables]


def drop(database: Database, on_wait: OnWait = lambda _: None) -> None:
    """Drops everything that migrations make, with all jobs, and nothing else.

    Raises DatabaseError if an object that no migration made, such as a view, depends on the tables.
    """
    _alone(database, lambda _: _drop(database), on_wait)


def _works(database: Database, rust: RustVersion | None = None) -> list[_Work]:
    present = _objects(database)
    recorded = _records(database) if TRACKING in present else {}
    every = (*MIGRATIONS, *_later(database))
    succeeded = not recorded.keys() <= {migration.id for migration in every}
    collation, version = _collation(database), _version(database)
    effects = {one.id: _effect(one.id, database.dialect, collation, version) for one in every}
    # Several migrations may make the same column: ours and those of version 3 of hammerwork (Rust).
    explained = frozenset[str]().union(*(effect.makes for name, effect in effects.items() if name in recorded))
    explained |= {READABLE_STRATEGY} if RUST_3[-1].id in recorded else set()
    works, spared = [], frozenset[str]()
    for migration in reversed(every):
        effect = effects[migration.id]
        if migration.id in recorded:
            # A later version of hammerwork (Rust) may have replaced an index.
            only = ("table ", "column ") if succeeded and migration.owner == "upstream" else ()
            is_whole = effect.needs - present <= spared
            missing = () if is_whole else tuple(_missing(database, effect.clauses, present | spared, only))
            state = MigrationState(
                migration, "incomplete" if missing else "applied", *recorded[migration.id], missing=missing
            )
        else:
            state = MigrationState(migration, "pending" if present.isdisjoint(effect.makes - explained) else "partial")
        if migration.rust is not RustVersion.V3 or migration.id in recorded or rust is RustVersion.V3:
            works.append(_Work(state, effect.steps, spared))
        if state.state != "pending":
            spared |= effect.drops
    return works[::-1]


def _later(database: Database) -> tuple[Migration, ...]:
    """Returns the migrations that only a newer hammerwork (Rust) has."""
    return () if database.dialect == "sqlite" else RUST_3


def _clauses(all_steps: Sequence[MigrationStep]) -> list[Clause]:
    return [clause for step in all_steps for clause in step.clauses]


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
    names = chain.from_iterable(_read(database, "migration.objects"))
    return frozenset(map(_text, names) if database.dialect == "mysql" else names)


def _recorded(database: Database) -> dict[str, Record]:
    return _records(database) if TRACKING in _objects(database) else {}


def _records(database: Database) -> dict[str, Record]:
    return {_text(name): (at, took) for name, at, took in _read(database, "migration.recorded")}


def _text(value: str | bytes | bytearray) -> str:
    return value if isinstance(value, str) else value.decode()


def _collation(database: Database) -> str:
    return _text(_read(database, "migration.collation")[0][0]) if database.dialect == "mysql" else ""


def _version(database: Database) -> int | None:
    return int(database.plain_rows("migration.version")[0][0]) if database.dialect == "postgresql" else None


def _tables(database: Database) -> list[str]:
    made = [
        clause.makes.removeprefix("table ")
        for migration in (*MIGRATIONS, *_later(database))
        for clause in _clauses(steps(migration.id, database.dialect))
        if clause.makes.startswith("table ")
    ]
    return [*made, "hammerwork_migrations"]


def _todo(all_steps: Sequence[MigrationStep], present: frozenset[str]) -> Iterator[str]:
    for step in all_steps:
        sql = step.statement(present)
        if sql is not None:
            yield sql
            present = step.after(present)


# One run at a time.


class _Turn:
    """The locks of a run: ours, and that of hammerwork (Rust). It holds both or none, so that nobody waits forever."""

    def __init__(self, holder: Database, on_wait: OnWait) -> None:
        self.holder = holder  # the connection that holds them; on PostgreSQL, in an open transaction
        self._on_wait = on_wait

    def take(self) -> None:
        """Waits until nobody else migrates, with this program or with hammerwork (Rust)."""
        now = time.monotonic()
        told_at, deadline = now + TELL_SECONDS, now + PATIENCE_SECONDS
        while refused := self._refused():
            who, hint = refused
            if time.monotonic() > told_at:
                told_at = math.inf
                self._on_wait(who)
            if time.monotonic() > deadline:
                raise ConflictError(f"{who} has not ended.", hint=hint)
            time.sleep(POLL_SECONDS)

    def _refused(self) -> tuple[str, str] | None:
        """Tries to take both locks; returns who has one of them, and what the user can do."""
        if self.holder.dialect == "postgresql":
            # A transaction for each try: CREATE INDEX CONCURRENTLY of another run may wait for the end of this one.
            self.holder.plain_run("migration.begin_turn")
            self.holder.plain_rows("migration.lock_patience")
        refused: tuple[str, str] | None = None
        if not self.holder.plain_rows("migration.lock")[0][0]:
            refused = "Another migration run", "See: hammerwork migration status"
        elif not self._rust_lock("migration.rust_lock")[0][0]:
            refused = self._rust_run()
        if refused:
            self.release()
        return refused

    def release(self) -> None:
        with suppress(ConnectionLostError):  # then the server has released them
            if self.holder.dialect == "postgresql":
                self.holder.plain_run("migration.end_turn")
            else:
                self._rust_lock("migration.rust_unlock")
                self.holder.plain_rows("migration.unlock")

    def _rust_lock(self, statement: str) -> list[Row]:
        if self.holder.dialect == "postgresql":
            return self.holder.plain_rows(statement)
        name = self.holder.plain_rows("migration.database_name")[0][0]
        return self.holder.plain_rows(statement, digest=sha1(name.encode(), usedforsecurity=False).hexdigest())

    def _rust_run(self) -> tuple[str, str]:
        rows = self._rust_lock("migration.rust_session")
        session = rows[0][0] if rows else None
        if not session:
            return "A migration run of hammerwork (Rust)", "Try again."
        end = f"SELECT pg_terminate_backend({session})" if self.holder.dialect == "postgresql" else f"KILL {session}"
        # Behind a pooler of transactions, hammerwork (Rust) leaves its lock with a session of the pooler.
        return (
            f"A migration run of hammerwork (Rust), in session {session} of the server,",
            f"If no such run is in progress, that session keeps its lock by mistake. End it: {end}",
        )

    def send(self, database: Database, step: MigrationStep, sql: str) -> None:
        """Sends a statement. If it cannot end while hammerwork (Rust) waits, breaks it off and lets that go first."""
        if not step.concurrent:
            database.script(sql)
            return
        done, in_the_way = threading.Event(), threading.Event()

        def watch() -> None:
            with suppress(DatabaseError, ConnectionLostError):  # the next statement of the run meets the same
                while not done.wait(POLL_SECONDS):
                    if self.holder.plain_rows("migration.in_the_way")[0][0]:
                        in_the_way.set()
                        database.cancel()
                        return

        watching = threading.Thread(target=watch, name="hammerwork-migrations", daemon=True)
        watching.start()
        try:
            database.script(sql)
        except LimitReachedError as error:
            if not in_the_way.is_set():
                raise
            raise RetryableError(error.message, hint=error.hint) from error
        finally:
            done.set()
            watching.join()
            if in_the_way.is_set():
                self.release()
                self.take()


def _alone(database: Database, work: Callable[[_Turn], Result], on_wait: OnWait) -> Result:
    if database.dialect == "sqlite":
        # SQLite locks its file in each transaction, and every step checks the tables first.
        return work(_Turn(database, on_wait))
    # On PostgreSQL, the locks end with their transaction, and the run consists of several: they need a connection of
    # their own.
    holder = connect(database.url) if database.dialect == "postgresql" else database
    turn = _Turn(holder, on_wait)
    try:
        turn.take()
        return work(turn)
    finally:
        turn.release()
        if holder is not database:
            holder.close()


# Applying.


def _run(
    database: Database, turn: _Turn, rust: RustVersion | None, on_progress: OnProgress, on_warning: OnWarning
) -> list[Migration]:
    _check_server(database)
    _patiently(
        database, None, lambda _: _in_transaction(database, lambda: database.plain_run("migration.tracking_table"))
    )
    applied = []
    for work in _open(database, rust):
        with database.warnings(partial(on_warning, work.migration)):
            if _apply(database, turn, work, on_progress):
                applied.append(work.migration)
    database.forget_schema()
    return applied


def _open(database: Database, rust: RustVersion | None = None) -> list[_Work]:
    """Returns the migrations that are not recorded, or of which something is missing.

    On MySQL, the first of ours begins with the columns of all of ours, one statement for each table: MariaDB adds
    columns at once until a table has indexes on virtual ones, which later steps make, and from then on it writes the
    whole table again for each statement, while writers wait.
    """
    found = [work for work in _works(database, rust) if not work.state.applied]
    if database.dialect != "mysql":
        return found
    ours = [work for work in found if work.migration.owner == "ours"]
    present, columns = _objects(database), dict[str, dict[str, Clause]]()
    for clause in (clause for work in ours for step in work.steps if step.head for clause in step.clauses):
        is_column = clause.makes.startswith("column ") and " GENERATED " not in clause.sql
        if is_column and f"table {clause.table}" in present and not clause.is_done(present):
            columns.setdefault(clause.table, {})[clause.makes] = clause
    at_once = tuple(MigrationStep(f"ALTER TABLE {name}", tuple(added.values())) for name, added in columns.items())
    return [work._replace(steps=at_once + work.steps) if work is ours[0] else work for work in found] if ours else found


def _check_server(database: Database) -> None:
    if database.dialect != "mysql" or database.plain_rows("migration.plain_timestamps")[0][0]:
        return
    try:
        database.plain_run("migration.want_plain_timestamps")
    except DatabaseError as error:
        raise ConfigError(
            "This server changes the meaning of TIMESTAMP columns.",
            hint="Start it with explicit_defaults_for_timestamp=ON, or upgrade it.",
        ) from error


def _apply(database: Database, turn: _Turn, work: _Work, on_progress: OnProgress) -> bool:
    """Applies a migration, unless another run was faster; returns whether it did."""
    migration = work.migration
    piecemeal = database.dialect == "mysql" or any(step.concurrent for step in work.steps)
    apply = _bit_by_bit if piecemeal else _in_one_piece

    def on_step(done: int) -> None:
        on_progress(migration, done, len(work.steps))

    try:
        return apply(database, turn, work, on_step)
    except (DatabaseError, ConflictError, RefusedValueError) as error:
        raise type(error)(f"Migration {migration.id}: {error.message}", hint=error.hint, **error.details) from error


def _in_transaction(database: Database, work: Callable[[], object]) -> None:
    if database.dialect == "mysql":
        work()
    else:
        database.transaction(work)


def _in_one_piece(database: Database, turn: _Turn, work: _Work, on_step: Callable[[int], None]) -> bool:
    def apply(present: frozenset[str]) -> bool:
        if work.migration.id in _records(database) and not _missing(database, _clauses(work.steps), present):
            return False
        began = time.monotonic()
        _send(database, turn, work.steps, present, on_step)
        _record(database, work.migration, began)
        return True

    return _patiently(database, work, lambda present: database.transaction(lambda: apply(present)))


def _bit_by_bit(database: Database, turn: _Turn, work: _Work, on_step: Callable[[int], None]) -> bool:
    began = time.monotonic()
    sent = _patiently(database, work, lambda present: _send(database, turn, work.steps, present, on_step))
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


def _left(all_steps: Sequence[MigrationStep], present: frozenset[str]) -> list[str]:
    """Returns the statements left to run, and the table of migrations if it does not exist."""
    return [*([] if TRACKING in present else [TRACKING]), *_todo(all_steps, present)]


def _may_pass(error: DatabaseError | RefusedValueError) -> bool:
    """Whether another run may have caused an error.

    While it alters a table, the server may leave out the table's columns from its lists, and then refuse them as
    duplicates.
    """
    return lost_to_another(error) or error.details.get("errno") in PASSING


def _send(
    database: Database,
    turn: _Turn,
    all_steps: Sequence[MigrationStep],
    present: frozenset[str],
    on_step: Callable[[int], None],
) -> bool:
    """Sends the statements that are left, and tells whether there were any.

    If another run makes an object meanwhile, a statement fails.
    """
    on_step(0)
    sent = False
    for number, step in enumerate(all_steps, 1):
        sql = step.statement(present)
        if sql is not None:
            turn.send(database, step, sql)
            sent, present = True, step.after(present)
        on_step(number)
    return sent


def _record(database: Database, migration: Migration, began: float) -> bool:
    took = round((time.monotonic() - began) * 1000)
    values = {"migration_id": migration.id, "executed_at": database.now(), "execution_time_ms": took}
    return database.transaction(lambda: database.plain_run("migration.record", **values)) == 1


def _drop(database: Database) -> None:
    # The record goes first: a run that was broken off here must not be taken for complete.
    others = [table for table in TABLES if table != "hammerwork_migrations"]
    parts = [[table] for table in others] if database.dialect == "sqlite" else [others]

    def work() -> None:
        for tables in (["hammerwork_migrations"], *parts):
            database.plain_run("migration.drop", tables=statements.Names(tables))
        if database.dialect == "postgresql":
            database.plain_run("migration.drop_function")

    _in_transaction(database, work)
    database.forget_schema()
