"""Reads and writes retention policies."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from hammerwork_cli.core.input.limits import LONGEST_NAME
from hammerwork_cli.core.values import ENDS, Timestamp, timestamp
from hammerwork_cli.database import Database
from hammerwork_cli.database.statements import Names
from hammerwork_cli.errors import NotFoundError
from hammerwork_cli.features.archive.models.policies import Policy

PAGE = 10_000
"""Candidates in a statement: MySQL reads all that are old enough for each."""
_AGES = Names(f"{status.name.lower()}_seconds" for status in ENDS)


def all_policies(database: Database, queues: Sequence[str] = ()) -> list[Policy]:
    """The policies by queue, or those of some queues."""
    if not database.has_own_tables():
        return []
    return [_policy(*row) for row in database.rows("archive.policies.list", ages=_AGES, queues=queues)]


def policy(database: Database, queue: str) -> Policy:
    found = all_policies(database, [queue])
    if not found:
        raise NotFoundError(
            f"The queue {queue[:60]!r} has no policy.", hint="To list them: hammerwork archive policies"
        )
    return found[0]


def put(database: Database, wanted: Policy, *, by: str, now: datetime) -> None:
    """Writes a policy in the place of the one that the queue had."""
    values = {
        "queue": wanted.queue,
        "action": wanted.action,
        "ages": _AGES,
        "seconds": [_seconds(wanted.ages.get(status)) for status in ENDS],
        "archive": _seconds(wanted.purge_after),
        "by_tree": wanted.by_tree,
        "level": wanted.level,
        "enabled": wanted.enabled,
        "now": now,
        "by": by[:LONGEST_NAME],
    }

    def write() -> None:
        database.run("archive.policies.remove", queue=wanted.queue)
        database.run("archive.policies.add", **values)

    database.transaction(write)


def remove(database: Database, queue: str) -> bool:
    """Removes the policy of a queue; returns whether it had one."""
    return bool(database.transaction(lambda: database.run("archive.policies.remove", queue=queue)))


def note(database: Database, queue: str, *, now: datetime, jobs: int, error: str | None) -> None:
    error = database.message(error and error[:4000])
    database.transaction(lambda: database.run("archive.policies.note", queue=queue, now=now, jobs=jobs, error=error))


def pages(database: Database, statement: str, **values: Any) -> Iterator[list[str]]:
    """Yields the jobs that a statement lists with the times by which they go, the earliest first, many at a time."""
    at: Timestamp = None
    after: str | None = None
    while True:
        rows = database.rows(statement, **values, at=at, after=after, limit=PAGE)
        yield [str(job) for job, _ in rows]
        if len(rows) < PAGE:
            return
        after, at = rows[-1]


def _seconds(age: timedelta | None) -> int | None:
    return None if age is None else round(age.total_seconds())


def _age(seconds: Any) -> timedelta | None:
    return None if seconds is None else timedelta(seconds=int(seconds))


def _policy(queue: str, action: str, *row: Any) -> Policy:
    *ages, archive, by_tree, level, enabled, updated_at, updated_by, last_run_at, last_jobs, last_error = row
    return Policy(
        queue=queue,
        action=action,
        ages={status: age for status, age in zip(ENDS, map(_age, ages), strict=True) if age is not None},
        purge_after=_age(archive),
        by_tree=bool(by_tree),
        level=level,
        enabled=bool(enabled),
        updated_at=timestamp(updated_at),
        updated_by=updated_by,
        last_run_at=timestamp(last_run_at),
        last_jobs=last_jobs,
        last_error=last_error,
    )
