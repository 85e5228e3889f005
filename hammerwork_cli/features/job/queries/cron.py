"""The next occurrence of a recurring job, however the last one ended."""

import logging
from datetime import datetime

from hammerwork_cli.core import cron
from hammerwork_cli.core.values import Timestamp, timestamp
from hammerwork_cli.errors import UsageError

log = logging.getLogger("hammerwork")


def next_due(
    job: str,
    *,
    recurring: bool,
    cron_schedule: str | None,
    timezone: str | None,
    last: Timestamp,
    now: datetime,
    catches_up: bool,
) -> datetime | None:
    """The next due time of a job; ``None`` if it does not recur, or its schedule has ended or cannot be read.

    Args:
        job: its id, for the log.
        last: due time of the last occurrence. The next one is later, even if the server's clock has gone back.
        catches_up: whether one run at once makes up for the occurrences that have passed since the last one, as in
            version 3 of hammerwork (Rust). Otherwise they are left out.
    """
    if not recurring or not cron_schedule:
        return None
    before = timestamp(last) or now
    try:
        at = cron.next_run(cron_schedule, timezone, before if catches_up else max(now, before))
        return max(at, now) if at is not None else None
    except UsageError as error:
        log.error("Job %s will not recur: %s", job, error.message)
        return None


def occurrence_of(*, recurring: bool, next_run_at: Timestamp) -> str:
    """The occurrence of a recurring job, the same for all of its attempts; empty for other jobs."""
    due = timestamp(next_run_at) if recurring else None
    return due.isoformat(timespec="microseconds") if due else ""
