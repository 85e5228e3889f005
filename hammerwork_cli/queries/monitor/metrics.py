"""Reads the figures of ``monitor metrics`` and of the web server's ``/metrics``."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta

from hammerwork_cli.database import Database
from hammerwork_cli.models.monitor.metrics import Figures
from hammerwork_cli.queries import queues
from hammerwork_cli.queries.cron import schedules
from hammerwork_cli.queries.spawn import operations
from hammerwork_cli.queries.worker import registry

WINDOW = timedelta(hours=1)
WORKER_STATES = ("running", "stopping", "stalled", "silent", "lost")


def figures(
    database: Database, *, now: datetime, window: timedelta = WINDOW, queue: str | None = None, ended: bool = False
) -> Figures:
    """Reads the figures.

    Args:
        window: how far back ended jobs and spawning are looked at.
        queue: only this queue, the workers that serve it, and the parents in it.
        ended: whether to count the jobs that ended in the window.
    """
    since = now - window
    return Figures(
        now,
        window,
        queue,
        queues.states(database, now=now, queue=queue, window=window if ended else None),
        _workers(database, now, queue),
        [row for row in schedules.with_last_runs(database, queue=queue, now=now) if row.schedule.enabled],
        operations.stats(database, since=since, recent=since, queue=queue),
    )


def _workers(database: Database, now: datetime, queue: str | None) -> Mapping[str, int] | None:
    if "workers" not in database.tags:
        return None
    known = registry.listed(database, since=now - WINDOW, now=now)
    counted = Counter(worker.state for worker in known if queue is None or queue in worker.queue_names)
    return {state: counted[state] for state in WORKER_STATES}
