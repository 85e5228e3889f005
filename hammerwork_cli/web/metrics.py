"""Metrics as Prometheus reads them: of the queues, of what was spawned, and of this server."""

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
"""Those that have the fewest jobs, where there are more queues."""
UNKNOWN_STATUS = "unknown"
_STATUSES = frozenset(JobStatus)


@dataclass(frozen=True, slots=True)
class Figures:
    """What the database says: queues, and what was spawned in the last hour."""

    states: Sequence[QueueState]
    spawned: SpawnStats


def read(database: Database, now: datetime) -> Figures:
    """The figures of now."""
    since = now - WINDOW
    return Figures(queues.states(database, now=now), operations.stats(database, since=since, recent=since))


def text(figures: Figures) -> bytes:
    """What the database says, in the text format."""
    registry = CollectorRegistry()
    registry.register(_Database(figures))
    return generate_latest(registry)


class Metrics:
    """What this server counts, and how it is written down.

    Args:
        statements: how many were sent to the database.
        watchers: how many follow the stream of events.
    """

    def __init__(self, statements: Callable[[], int], watchers: Callable[[], int]) -> None:
        # Beside each counter, when it began: nobody asks for that.
        disable_created_metrics()  # type: ignore[no-untyped-call]  # it has no annotations
        self._registry = CollectorRegistry()
        self._registry.register(_Server(statements, watchers))
        labels = ["path", "method", "status"]
        self._requests = RequestCounter(
            "hammerwork_web_requests", "Requests that were answered.", labels, registry=self._registry
        )
        self._durations = Histogram(
            "hammerwork_web_request_seconds", "How long answers took.", ["path"], registry=self._registry
        )

    def answered(self, path: str, method: str, status: int, lasted: float) -> None:
        """Counts an answer.

        Args:
            path: as the API has it, without ids.
            method: of HTTP.
            status: of HTTP.
            lasted: seconds.
        """
        self._requests.labels(path, method, str(status)).inc()
        self._durations.labels(path).observe(lasted)

    def text(self) -> bytes:
        """What this server knows of itself, in the text format."""
        return generate_latest(self._registry)


class _Server(Collector):
    """What this server knows of itself, as metrics."""

    def __init__(self, statements: Callable[[], int], watchers: Callable[[], int]) -> None:
        self._statements = statements
        self._watchers = watchers

    def collect(self) -> Iterator[Metric]:
        """Families of metrics."""
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
    """What the database says, as metrics."""

    def __init__(self, figures: Figures) -> None:
        self._figures = figures

    def collect(self) -> Iterator[Metric]:
        """Families of metrics."""
        yield from _queues(self._figures.states)
        yield from _spawned(self._figures.spawned)


def _queues(states: Sequence[QueueState]) -> Iterator[Metric]:
    jobs = GaugeMetricFamily("hammerwork_jobs", "Jobs by queue and status.", labels=["queue", "status"])
    pending = GaugeMetricFamily(
        "hammerwork_pending_jobs",
        "Pending jobs: ready to be taken, scheduled for later, waiting for other jobs.",
        labels=["queue", "state"],
    )
    oldest = GaugeMetricFamily(
        "hammerwork_oldest_pending_seconds", "For how long the first of the ready jobs is due.", labels=["queue"]
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
    """What is told of a queue, or of several that share a label."""

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
    """Figures by label: a name may hold what no label should, and anybody may have made any number of queues."""
    found: dict[str, _QueueFigures] = {}
    for place, state in enumerate(sorted(states, key=lambda state: (-state.counts.total, state.name or ""))):
        label = visible(state.name or "") if place < MOST_QUEUES else OTHER_QUEUES
        found.setdefault(label, _QueueFigures()).add(state)
    return found


def _spawned(stats: SpawnStats) -> Iterator[Metric]:
    overall = stats.overall
    figures = {
        "operations": ("Parents, created in the last hour, that spawned children.", overall.operations),
        "operations_empty": ("Parents, created in the last hour, that completed without a child.", stats.empty),
        "children": ("Children of the operations of the last hour.", overall.children),
        "children_completed": ("Those of them that completed.", overall.completed),
        "children_failed": ("Those of them that failed for good.", overall.ended - overall.completed),
        "children_largest": ("Children of the largest of the operations.", overall.largest),
        "depth": ("Levels of spawning in the last hour.", stats.depth),
    }
    for name, (about, value) in figures.items():
        yield GaugeMetricFamily(f"hammerwork_spawn_{name}", about, value=value)
    durations = GaugeMetricFamily(
        "hammerwork_spawn_child_seconds", "How long the completed children ran.", labels=["quantile"]
    )
    for quantile, length in (("0.5", stats.p50), ("0.95", stats.p95)):
        if length is not None:
            durations.add_metric([quantile], length.total_seconds())
    yield durations
