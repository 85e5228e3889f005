"""The results of handlers."""

from collections.abc import Collection, Iterator
from datetime import datetime
from typing import NamedTuple

from hammerwork_cli.core.values import Timestamp, timestamp
from hammerwork_cli.database import Database


class _Result(NamedTuple):
    job: str
    text: str | None
    expires_at: Timestamp

    def has_expired(self, now: datetime) -> bool:
        end = timestamp(self.expires_at)
        return end is not None and end <= now


def texts(database: Database, ids: Collection[str]) -> dict[str, str | None]:
    """The results of jobs as JSON text, by id; archived jobs too.

    Missing jobs are left out. ``None`` stands for a job without a result, or with one that has expired.
    """
    found = list(_stored(database, ids))
    now = database.now() if any(one.expires_at is not None for one in found) else None
    return {one.job: None if now is not None and one.has_expired(now) else one.text for one in found}


def _stored(database: Database, ids: Collection[str]) -> Iterator[_Result]:
    missing = dict.fromkeys(ids)
    for job, *rest in database.rows_of("job.results.live", list(missing), database.key_chunk):
        found = _Result(str(job), *rest)
        missing.pop(found.job, None)
        yield found
    if missing and "archive" in database.tags:
        rows = database.rows_in("job.results.archived", list(missing))
        yield from (_Result(str(job), *rest) for job, *rest in rows)
