"""Reads the figures of ``monitor metrics`` and of the web server's ``/metrics``."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from hammerwork_cli.database import Database
from hammerwork_cli.features.cron.model import ListedSchedule
from hammerwork_cli.features.cron.queries import schedules
from hammerwork_cli.features.monitor.models.health import USUAL_LIMITS
from hammerwork_cli.features.monitor.models.metrics import Figures
from hammerwork_cli.features.monitor.queries import health as checks
from hammerwork_cli.features.queue import queries as queues
from hammerwork_cli.features.spawn.queries import stats as spawns
from hammerwork_cli.features.streaming import queries as streams
from hammerwork_cli.features.webhook import queries as webhooks
from hammerwork_cli.features.worker.models.counts import WorkerCounts
from hammerwork_cli.features.worker.queries import registry

WINDOW = timedelta(hours=1)
WORKER_STATES = ("running", "stopping", "stalled", "silent", "lost")


def figures(
    database: Database,
    *,
    now: datetime,
    window: timedelta = WINDOW,
    only: Sequence[str] = (),
    ended: bool = False,
    for_prometheus: bool = False,
) -> Figures:
    """Reads the figures.

    Args:
        window: how far back ended jobs and spawning are looked at.
        only: only these queues, the workers that serve them, and the parents in them; without any, all.
        for_prometheus: whether to make the checks of ``monitor health``, which are about all queues, and to read
            webhooks and streams, unless only some queues are asked for: they belong to none.
    """
    since = now - window
    told = webhooks.listed(database) if for_prometheus and not only else []
    return Figures(
        now,
        window,
        tuple(only),
        queues.states(database, now=now, queues=only, window=window if ended else None),
        _workers(database, now, only),
        _schedules(database, now, only),
        spawns.stats(database, since=since, recent=since, queues=only),
        _counts(database, now, only),
        told,
        webhooks.waiting(database) if told else {},
        streams.states(database, now) if for_prometheus and not only else [],
        checks.report(database, USUAL_LIMITS, now=now) if for_prometheus else None,
    )


def _schedules(database: Database, now: datetime, only: Sequence[str]) -> list[ListedSchedule]:
    found = schedules.with_last_runs(database, queues=only, now=now) if database.is_current else []
    return [row for row in found if row.schedule.enabled]


def _counts(database: Database, now: datetime, only: Sequence[str]) -> list[WorkerCounts]:
    found = registry.queue_counts(database, since=now - WINDOW)
    if not only:
        return found
    return [one._replace(queues={name: one.queues[name] for name in only if name in one.queues}) for one in found]


def _workers(database: Database, now: datetime, only: Sequence[str]) -> Mapping[str, int] | None:
    if not database.is_current:
        return None
    known = registry.listed(database, since=now - WINDOW, now=now)
    counted = Counter(worker.state for worker in known if worker.serves(only))
    return {state: counted[state] for state in WORKER_STATES}
