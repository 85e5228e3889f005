"""Duties: what one worker at a time does for the database, without a leader and without a lock that it holds.

A worker takes a duty by moving its time. A worker that dies in the middle delays the duty until the time to which it
moved it, so a duty is idempotent and works in transactions that a second worker may repeat.
"""

from datetime import datetime, timedelta

from hammerwork_cli.core.clock import is_due
from hammerwork_cli.core.values import timestamp
from hammerwork_cli.database import Database

LONGEST = timedelta(hours=1)
"""The longest time for which a worker takes a duty, whatever the duty."""


def times(database: Database) -> dict[str, datetime]:
    """Duty -> when it is due. A duty that no worker has done yet is not there."""
    return {str(name): at for name, stored in database.rows("worker.duties.times") if (at := timestamp(stored))}


def take(database: Database, name: str, worker: str, *, seen: datetime | None, until: datetime) -> bool:
    """Takes a duty, and returns whether nobody else was faster.

    Args:
        seen: when the duty was due according to :func:`times`; ``None`` if it was not there.
        until: when others may take it.
    """
    statement, guard = ("worker.duties.add", {}) if seen is None else ("worker.duties.take", {"seen": seen})
    taken = database.transaction(lambda: database.run(statement, name=name, worker=worker, until=until, **guard))
    return bool(taken)


def take_due(
    database: Database,
    name: str,
    worker: str,
    due: dict[str, datetime],
    *,
    now: datetime,
    length: timedelta,
    longest: timedelta | None = None,
) -> bool:
    """Takes a duty if it is due; returns whether it was, and nobody else was faster.

    Args:
        due: what :func:`times` said.
        length: time after which others may take it.
        longest: the longest time for which anybody takes or keeps it, if that is not ``length``.
    """
    seen = due.get(name)
    if seen is not None and not is_due(seen, now, longest or length):
        return False
    return take(database, name, worker, seen=seen, until=now + length)


def give_up(database: Database, name: str, worker: str) -> None:
    """Forgets that a worker has taken a duty, as if none ever had."""
    database.transaction(lambda: database.run("worker.duties.give_up", name=name, worker=worker))


def keep(database: Database, name: str, worker: str, *, until: datetime) -> bool:
    """Moves the time of a duty: later between two steps, or to when it is due next.

    Returns whether the worker still had it; if not, another one goes on.
    """
    moved = database.transaction(lambda: database.run("worker.duties.keep", name=name, worker=worker, until=until))
    return bool(moved)
