"""Metrics for Prometheus: of the queues, of spawning, and of this server."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from prometheus_client import CollectorRegistry, Histogram, disable_created_metrics, generate_latest
from prometheus_client import Counter as RequestCounter
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from hammerwork_cli import __version__
from hammerwork_cli.database import Database
from hammerwork_cli.models import JobStatus, SpawnStats
from hammerwork_cli.models.queue import QueueState
from hammerwork_cli.queries import queues
from hammerwork_cli.queries.spawn import operations
from hammerwork_cli.render.formats.json import seconds
from hammerwork_cli.render.formats.text import visible
from hammerwork_cli.render.queue.listing import by_status

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
WINDOW = timedelta(hours=1)
MOST_QUEUES = 500
OTHER_QUEUES = "other"
"""Label of all further queues, which are those with the fewest jobs."""
UNKNOWN_STATUS = "unknown"
_STATUSES = frozenset(JobStatus)


@dataclass(frozen=True, slots=True)
class Figures:
    """Figures from the database: of the queues, and of spawning in the last hour."""

    states: Sequence[QueueState]
    spawned: SpawnStats


def read(database: Database, now: datetime) -> Figures:
    """Reads the figures."""
    since = now - WINDOW
    return Figures(queues.states(database, now=now), operations.stats(database, since=since, recent=since))


def text(figures: Figures) -> bytes:
    """Writes the figures in the text format."""
    registry = CollectorRegistry()
    registry.register(_Database(figures))
    return generate_latest(registry)


class Metrics:
    """Metrics of this server.

    Args:
        statements: returns the number of statements sent to the database.
        watchers: returns the number of clients that follow the events.
    """

    def __init__(self, statements: Callable[[], int], watchers: Callable[[], int]) -> None:
        # These would add a series with the start time for each counter.
        disable_created_metrics()  # type: ignore[no-untyped-call]  # it has no annotations
        self._registry = CollectorRegistry()
        self._registry.register(_Server(statements, watchers))
        labels = ["path", "method", "status"]
        self._requests = RequestCounter(
            "hammerwork_web_requests", "Answered requests.", labels, registry=self._registry
        )
        self._durations = Histogram(
            "hammerwork_web_request_seconds", "Time to answer a request.", ["path"], registry=self._registry
        )

    def answered(self, path: str, method: str, status: int, lasted: float) -> None:
        """Counts an answer.

        Args:
            path: path with placeholders for ids, because each label costs memory.
            method: HTTP method.
            status: HTTP status.
            lasted: seconds.
        """
        self._requests.labels(path, method, str(status)).inc()
        self._durations.labels(path).observe(lasted)

    def text(self) -> bytes:
        """Writes the metrics in the text format."""
        return generate_latest(self._registry)


class _Server(Collector):
    def __init__(self, statements: Callable[[], int], watchers: Callable[[], int]) -> None:
        self._statements = statements
        self._watchers = watchers

    def collect(self) -> Iterator[Metric]:
        build = GaugeMetricFamily("hammerwork_build_info", "Version of this server.", labels=["version"])
        build.add_metric([__version__], 1)
        yield build
        yield CounterMetricFamily(
            "hammerwork_web_statements", "Statements sent to the database.", value=self._statements()
        )
        yield GaugeMetricFamily(
            "hammerwork_web_watchers", "Clients that follow the stream of events.", value=self._watchers()
        )


class _Database(Collector):
    def __init__(self, figures: Figures) -> None:
        self._figures = figures

    def collect(self) -> Iterator[Metric]:
        yield from _queues(self._figures.states)
        yield from _spawned(self._figures.spawned)


def _queues(states: Sequence[QueueState]) -> Iterator[Metric]:
    jobs = GaugeMetricFamily("hammerwork_jobs", "Jobs by queue and status.", labels=["queue", "status"])
    pending = GaugeMetricFamily(
        "hammerwork_pending_jobs",
        "Pending jobs: ready for a worker, scheduled for later, or waiting for other jobs.",
        labels=["queue", "state"],
    )
    oldest = GaugeMetricFamily(
        "hammerwork_oldest_pending_seconds", "Time since the oldest ready job became due.", labels=["queue"]
    )
    paused = GaugeMetricFamily("hammerwork_queue_paused", "Whether the queue is paused.", labels=["queue"])
    for queue, figures in _figures(states).items():
        for status, number in figures.statuses.items():
            jobs.add_metric([queue, status], number)
        for word, number in figures.pending.items():
            pending.add_metric([queue, word], number)
        oldest.add_metric([queue], figures.oldest)
        paused.add_metric([queue], figures.paused)
    return iter((jobs, pending, oldest, paused))


@dataclass(slots=True)
class _QueueFigures:
    """Figures of a queue, or of several queues that share a label."""

    statuses: Counter[str] = field(default_factory=Counter)
    pending: Counter[str] = field(default_factory=Counter)
    oldest: float = 0
    paused: int = 0

    def add(self, state: QueueState) -> None:
        for status, number in by_status(state.counts).items():
            self.statuses[status if status in _STATUSES else UNKNOWN_STATUS] += number
        self.pending.update(ready=state.ready, scheduled=state.scheduled, waiting=state.waiting)
        self.oldest = max(self.oldest, seconds(state.age(state.ready_since)) or 0)
        self.paused = max(self.paused, int(state.pause is not None))


def _figures(states: Sequence[QueueState]) -> dict[str, _QueueFigures]:
    """Returns figures by label.

    The names are made printable and the number of labels is limited, because anybody may make any number of queues.
    """
    found: dict[str, _QueueFigures] = {}
    for place, state in enumerate(sorted(states, key=lambda state: (-state.counts.total, state.name or ""))):
        label = visible(state.name or "") if place < MOST_QUEUES else OTHER_QUEUES
        found.setdefault(label, _QueueFigures()).add(state)
    return found


def _spawned(stats: SpawnStats) -> Iterator[Metric]:
    overall = stats.overall
    figures = {
        "operations": ("Parents created in the last hour that have children.", overall.operations),
        "operations_empty": ("Parents created in the last hour that completed without a child.", stats.empty),
        "children": ("Children of the operations of the last hour.", overall.children),
        "children_completed": ("Completed children of the operations of the last hour.", overall.completed),
        "children_failed": ("Failed children of the operations of the last hour.", overall.ended - overall.completed),
        "children_largest": ("Children of the largest operation of the last hour.", overall.largest),
        "depth": ("Levels of spawning in the last hour.", stats.depth),
    }
    for name, (about, value) in figures.items():
        yield GaugeMetricFamily(f"hammerwork_spawn_{name}", about, value=value)
    durations = GaugeMetricFamily(
        "hammerwork_spawn_child_seconds", "Run time of the completed children.", labels=["quantile"]
    )
    for quantile, length in (("0.5", stats.p50), ("0.95", stats.p95)):
        if length is not None:
            durations.add_metric([quantile], length.total_seconds())
    yield durations
