"""Times in the future that only a clock that was ahead can have stored."""

from collections.abc import Iterator
from datetime import datetime

from hammerwork_cli.core.clock import latest
from hammerwork_cli.database import Database
from hammerwork_cli.features.batch.queries import callbacks
from hammerwork_cli.features.cron.queries import ahead
from hammerwork_cli.features.job.queries import ahead as jobs_ahead
from hammerwork_cli.features.worker.queries import duties, rescue


def in_the_future(database: Database, now: datetime) -> Iterator[str]:
    """Yields what has such a time, jobs first: ``jobs of mail``, ``schedule report``, ``duty workflows``."""
    jobs = {job.queue for job in jobs_ahead.found(database, now)}
    if database.is_current and "rust_3" in database.tags:  # without, no index would find a lease, and there is none
        jobs |= {lease.queue for lease in rescue.leases_ahead(database, now)}
    yield from (f"jobs of {queue}" for queue in sorted(jobs))
    for put_off in ahead.found(database, now):
        kind = "recurring job" if put_off.schedule.is_in_place else "schedule"
        yield f"{kind} {put_off.schedule.name}"
    if not database.is_current:
        return
    if callbacks.count_ahead(database, now):
        yield "callbacks"
    yield from (f"duty {name}" for name, at in duties.times(database).items() if at > latest(now, duties.LONGEST))
    rows = database.rows("monitor.health.policies_ahead", latest=latest(now))
    yield from (f"policy {queue}" for (queue,) in rows)
