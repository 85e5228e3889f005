"""Sizes of tables and indexes, and the statements that keep both in good order."""

import re
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from hammerwork_cli.core.values import timestamp
from hammerwork_cli.database import Database
from hammerwork_cli.database.statements import Names
from hammerwork_cli.errors import AccessDeniedError
from hammerwork_cli.features.maintenance.model import AllowedTables, Done, Stored
from hammerwork_cli.features.migration.queries import TABLES, count_rows
from hammerwork_cli.features.monitor.models.health import Check, HealthReport, Level
from hammerwork_cli.features.queue.model import Measure

_LEFTOVER = re.compile(r"_cc(?:new|old)\d*$")
"""The end of the names that PostgreSQL gives to indexes while it rebuilds others."""

Report = Callable[[str, int, int], None]
"""Called with a name, the number of finished things, and the number of things."""


def tables(database: Database) -> list[str]:
    """The tables of hammerwork that the database has."""
    database.jobs_columns()  # raises if there are none at all
    return [table for table in TABLES if table in database.schema]


def sizes(database: Database) -> list[Stored]:
    """Tables, each with its indexes after it, the largest table first."""
    names = tables(database)
    tag = "maintenance.stored_without_sizes" if _lacks_sizes(database) else "maintenance.stored"
    found = [stored for row in database.rows(tag) if (stored := _stored(*row)).table in names]
    if database.dialect == "sqlite":
        counted = {name: count_rows(database, name) for name in names}
        found = [one._replace(rows=None if one.is_index else counted[one.table]) for one in found]
    whole: dict[str, int] = {}
    for one in found:
        whole[one.table] = whole.get(one.table, 0) + (one.bytes or 0)
    return sorted(found, key=lambda one: (-whole[one.table], one.table, one.is_index, -(one.bytes or 0), one.name))


def _stored(name: str, table: str, *row: Any) -> Stored:
    *numbers, is_valid, vacuumed_at = row
    rows, size, dead = (None if number is None else int(number) for number in numbers)  # MySQL has them as text
    return Stored(name, table, rows, size, dead, bool(int(is_valid)), vacuumed_at)


def _lacks_sizes(database: Database) -> bool:
    """Whether SQLite was built without the table of sizes."""
    if database.dialect != "sqlite":
        return False
    return not database.rows("maintenance.knows_sizes")


def vacuum(database: Database, report: Report) -> Iterator[Done]:
    """Reclaims the space of deleted rows: VACUUM (ANALYZE), OPTIMIZE TABLE, VACUUM."""
    if database.dialect == "sqlite":
        yield _timed("database", "vacuum", partial(database.run, "maintenance.vacuum"))
        return
    work = "optimize" if database.dialect == "mysql" else "vacuum"
    yield from _each(database, tables(database), "maintenance.vacuum", work, report)


def analyze(database: Database, report: Report) -> Iterator[Done]:
    """Updates the statistics of the query planner."""
    yield from _each(database, tables(database), "maintenance.analyze", "analyze", report)


def reindex(database: Database, report: Report) -> Iterator[Done]:
    """Rebuilds indexes, invalid ones first.

    PostgreSQL builds each beside the old one, so that everybody goes on reading and writing. MySQL copies whole tables.
    """
    if database.dialect == "mysql":
        yield from _each(database, tables(database), "maintenance.vacuum", "optimize", report)
        return
    indexes = sorted((one for one in sizes(database) if one.is_index), key=lambda one: (one.is_valid, one.name))
    left_over = [one.name for one in indexes if not one.is_valid and _LEFTOVER.search(one.name)]
    yield from _each(database, left_over, "maintenance.drop_index", "drop", report)
    rest = [one.name for one in indexes if one.name not in left_over]
    yield from _each(database, rest, "maintenance.reindex", "reindex", report)


def _each(database: Database, names: Sequence[str], statement: str, work: str, report: Report) -> Iterator[Done]:
    send: Callable[..., object] = (
        database.rows if database.dialect == "mysql" else database.run
    )  # MySQL reports in rows
    for number, name in enumerate(names):
        report(name, number, len(names))
        yield _timed(name, work, partial(send, statement, name=Names((name,))))


def _timed(name: str, work: str, do: Callable[[], object]) -> Done:
    began = time.monotonic()
    do()
    return Done(name, work, time.monotonic() - began)


# Checks.


def health(database: Database, allowed: AllowedTables, *, now: datetime) -> HealthReport:
    """Checks the tables; one with few dead rows (:data:`FEW_ROWS`) has none too many."""
    stored = sizes(database)
    jobs = next(one for one in stored if one.name == "hammerwork_jobs")
    return HealthReport(
        now,
        [
            _check("rows", jobs.rows, allowed.rows, (jobs.name,)),
            _dead_rows(stored, allowed.dead),
            _invalid_indexes(stored),
            _check("open_transaction", _oldest_transaction(database, now), allowed.transaction),
        ],
    )


def _check(name: str, value: Measure | None, limit: Measure | None, about: tuple[str, ...] = ()) -> Check:
    over = value is not None and limit is not None and value > limit  # type: ignore[operator]  # both of one kind
    return Check(name, Level.CRITICAL if over else Level.HEALTHY, value, limit, about if over else ())


def _dead_rows(stored: Sequence[Stored], limit: float | None) -> Check:
    tables = [one for one in stored if not one.is_index and one.dead_share is not None]
    if not tables:
        return _check("dead_rows", None, limit)
    # Few rows are soon dead, and cost nothing.
    shares = {one.table: one.dead_share or 0.0 for one in tables if (one.dead_rows or 0) > FEW_ROWS}
    over = [table for table in shares if limit is not None and shares[table] > limit]
    worst_first = tuple(sorted(over, key=lambda table: shares[table], reverse=True))
    return _check("dead_rows", max(shares.values(), default=0.0), limit, worst_first)


FEW_ROWS = 10_000


def _invalid_indexes(stored: Sequence[Stored]) -> Check:
    invalid = tuple(one.name for one in stored if not one.is_valid)
    return _check("invalid_indexes", len(invalid), 0, invalid)


def _oldest_transaction(database: Database, now: datetime) -> timedelta | None:
    """How long the oldest transaction of any session has been open. As long as it is, no dead row can be removed."""
    if database.dialect == "sqlite":
        return None
    try:
        since = timestamp(database.value("maintenance.oldest_transaction"))
    except AccessDeniedError:
        return None  # MySQL tells only users with the privilege PROCESS
    return None if since is None else max(now - since, timedelta())
