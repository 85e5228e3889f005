"""When a recurring job runs again, whatever became of its last run."""

import logging
from datetime import datetime

from hammerwork_cli.errors import UsageError
from hammerwork_cli.models import schedule

log = logging.getLogger("hammerwork")


def next_due(
    job: str, *, recurring: bool, cron_schedule: str | None, timezone: str | None, now: datetime
) -> datetime | None:
    """When a job comes back; ``None`` when it does not: it never did, its schedule has ended, or cannot be read."""
    if not recurring or not cron_schedule:
        return None
    try:
        return schedule.next_run(cron_schedule, timezone, now)
    except UsageError as error:
        log.error("Job %s does not come back: %s", job, error.message)
        return None
