"""When a recurring job runs again, whatever became of its last run."""

import logging
from datetime import datetime

from hammerwork_cli.errors import UsageError
from hammerwork_cli.models import Timestamp, cron, timestamp

log = logging.getLogger("hammerwork")


def next_due(
    job: str, *, recurring: bool, cron_schedule: str | None, timezone: str | None, last: Timestamp, now: datetime
) -> datetime | None:
    """When a job comes back; ``None`` when it does not: it never did, its schedule has ended, or cannot be read.

    Args:
        job: its id, for the log.
        recurring: whether it recurs at all.
        cron_schedule: when.
        timezone: of the schedule.
        last: the run that is over. The next one is later, even when the server's clock was put back meanwhile.
        now: the server's clock.
    """
    if not recurring or not cron_schedule:
        return None
    try:
        return cron.next_run(cron_schedule, timezone, max(now, timestamp(last) or now))
    except UsageError as error:
        log.error("Job %s does not come back: %s", job, error.message)
        return None


def occurrence_of(*, recurring: bool, next_run_at: Timestamp) -> str:
    """Which run of a recurring job its row is about: the same for every attempt at it; empty for other jobs."""
    run = timestamp(next_run_at) if recurring else None
    return run.isoformat(timespec="microseconds") if run else ""
