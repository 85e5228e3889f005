"""Figures of a database, for people and for Prometheus."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from hammerwork_cli.features.cron.model import ListedSchedule
from hammerwork_cli.features.monitor.models.health import HealthReport
from hammerwork_cli.features.queue.model import QueueState
from hammerwork_cli.features.spawn.models.stats import SpawnStats
from hammerwork_cli.features.streaming.model import StreamState
from hammerwork_cli.features.webhook.model import Webhook
from hammerwork_cli.features.worker.models.counts import WorkerCounts


class Figures(NamedTuple):
    at: datetime  # when they were read
    window: timedelta  # the length of time that the figures of ended jobs and of spawning are about
    queues: tuple[str, ...]  # names of the queues that they are about; empty for all
    states: Sequence[QueueState]  # the queues; with jobs that ended in the window if these were asked for
    # State -> workers; those that were lost in the last hour. `None` if the database does not record workers.
    workers: Mapping[str, int] | None
    schedules: Sequence[ListedSchedule]  # the enabled ones, with their last runs
    spawned: SpawnStats  # operations whose parents were created in the window
    # What workers have counted of their queues since their starts; those that ended in the last hour, too.
    counts: Sequence[WorkerCounts] = ()
    webhooks: Sequence[Webhook] = ()
    deliveries: Mapping[str, int] = {}  # webhook id -> its deliveries that wait for an attempt, up to a limit
    streams: Sequence[StreamState] = ()
    health: HealthReport | None = None  # the checks of `monitor health`, if they were asked for
