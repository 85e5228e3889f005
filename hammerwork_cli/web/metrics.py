"""Metrics for Prometheus: of the queues, of spawning, and of this server."""

from collections.abc import Callable, Iterator
from datetime import datetime

from prometheus_client import CollectorRegistry, Histogram, disable_created_metrics, generate_latest
from prometheus_client import Counter as RequestCounter
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from hammerwork_cli.database import Database
from hammerwork_cli.features.monitor.queries.metrics import figures
from hammerwork_cli.features.monitor.views.metrics import exposition, families
from hammerwork_cli.version import __version__

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def text(database: Database, now: datetime) -> bytes:
    """Reads the figures of the database, and writes them in the text format."""
    return "".join(
        f"{line}\n" for line in exposition(families(figures(database, now=now, for_prometheus=True)))
    ).encode()


class Metrics:
    def __init__(self, statements: Callable[[], int], watchers: Callable[[], int]) -> None:
        # These would add a series with the start time for each counter.
        disable_created_metrics()  # type: ignore[no-untyped-call]  # it has no annotations
        self._registry = CollectorRegistry()
        self._registry.register(_ServerCollector(statements, watchers))
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
        """
        self._requests.labels(path, method, str(status)).inc()
        self._durations.labels(path).observe(lasted)

    def text(self) -> bytes:
        return generate_latest(self._registry)


class _ServerCollector(Collector):
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
