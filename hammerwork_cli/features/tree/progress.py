"""How far running jobs are, as their handlers report it and workers write it."""

import json
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, Self

MOST = 1000
"""Jobs of a worker whose progress is written: those that reported it last."""
LONGEST_TEXT = 200
"""Characters of the text of a report."""


class JobProgress(NamedTuple):
    """How far a job is."""

    job: str
    queue: str
    attempt: int  # at the job: the reports of an earlier one say nothing
    share: float  # of the work that is done, 0 to 1
    text: str
    reported_at: str  # by the server's clock

    @classmethod
    def parse(cls, stored: Any) -> Self | None:
        """One report; ``None`` if that is not what it is."""
        if not isinstance(stored, list) or len(stored) != len(cls._fields):
            return None
        job, queue, attempt, share, text, reported_at = stored
        if not all(isinstance(one, str) for one in (job, queue, text, reported_at)):
            return None
        if not all(isinstance(one, (int, float)) for one in (attempt, share)) or not 0 <= share <= 1:
            return None
        return cls(job, queue, int(attempt), float(share), text, reported_at)


def stored(reports: Iterable[JobProgress]) -> str | None:
    """The value of the column of a worker; ``None`` if no job has reported."""
    newest = sorted(reports, key=lambda one: one.reported_at, reverse=True)[:MOST]
    return json.dumps(newest, separators=(",", ":")) if newest else None


def parse(column: str | None) -> Iterator[JobProgress]:
    """The reports in the column of a worker."""
    try:
        values = json.loads(column or "[]")
    except (ValueError, RecursionError):
        return
    for value in values if isinstance(values, list) else ():
        found = JobProgress.parse(value)
        if found is not None:
            yield found
