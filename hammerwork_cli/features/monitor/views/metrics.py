"""Renders figures: in the text format of Prometheus, as a record, and for people."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from operator import add
from typing import NamedTuple

from hammerwork_cli.core.values import JobStatus, timestamp
from hammerwork_cli.features.monitor.models.health import HealthReport
from hammerwork_cli.features.monitor.models.metrics import Figures
from hammerwork_cli.features.queue.model import QueueState
from hammerwork_cli.features.queue.views.listing import QUEUE, QueueInWindow, by_status, rate_keys
from hammerwork_cli.features.spawn.views.stats_records import SPAWN_STATS
from hammerwork_cli.features.worker.models.counts import QueueCounts, WorkerCounts
from hammerwork_cli.view import key, names
from hammerwork_cli.view.colour import paint
from hammerwork_cli.view.json import seconds
from hammerwork_cli.view.shape import Shape
from hammerwork_cli.view.table import Column, table_text
from hammerwork_cli.view.text import count, duration, instant, percent, plural, short_duration, visible

MOST_QUEUES = 500
OTHER_QUEUES = "other"
"""Label of all further queues, which are those with the fewest jobs."""
UNKNOWN_STATUS = "unknown"
_STATUSES = frozenset(JobStatus)


# For Prometheus.


class Family(NamedTuple):
    name: str
    about: str
    samples: Sequence[tuple[Mapping[str, str], float]]  # labels and value of each
    kind: str = "gauge"  # `gauge`; `counter`, whose name ends with `_total`; or `summary`, whose label is `quantile`


def exposition(families: Iterable[Family]) -> Iterator[str]:
    """Yields the lines of the text format, version 0.0.4."""
    for family in families:
        yield f"# HELP {family.name} {_escaped(family.about)}"
        yield f"# TYPE {family.name} {family.kind}"
        for labels, value in family.samples:
            pairs = ",".join(f'{name}="{_quoted(text)}"' for name, text in labels.items())
            yield f"{family.name}{'{' + pairs + '}' if pairs else ''} {float(value)!r}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def _quoted(text: str) -> str:
    return _escaped(text).replace('"', '\\"')


def families(figures: Figures) -> Iterator[Family]:
    """Yields the families of the figures. None of their names will change."""
    yield from _queues(figures.states)
    if figures.workers is not None:
        states = [({"state": state}, number) for state, number in figures.workers.items()]
        yield Family("hammerwork_workers", "Workers by state; those lost in the last hour.", states)
    yield from _counted(figures.counts)
    if figures.health is not None:
        yield from _health(figures.health)
    yield from _scheduled(figures)
    yield from _delivered(figures)
    yield from _streamed(figures)
    yield from _spawned(figures)


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


def _queues(states: Sequence[QueueState]) -> Iterator[Family]:
    found = _by_label(states)
    yield Family(
        "hammerwork_jobs",
        "Jobs by queue and status.",
        [
            ({"queue": queue, "status": status}, number)
            for queue, one in found.items()
            for status, number in one.statuses.items()
        ],
    )
    yield Family(
        "hammerwork_pending_jobs",
        "Pending jobs: ready for a worker, scheduled for later, or waiting for other jobs.",
        [
            ({"queue": queue, "state": state}, number)
            for queue, one in found.items()
            for state, number in one.pending.items()
        ],
    )
    yield Family(
        "hammerwork_oldest_pending_seconds",
        "Time since the oldest ready job became due.",
        [({"queue": queue}, one.oldest) for queue, one in found.items()],
    )
    yield Family(
        "hammerwork_queue_paused",
        "Whether the queue is paused.",
        [({"queue": queue}, one.paused) for queue, one in found.items()],
    )
    limits = [state.limit for state in states if state.limit is not None and visible(state.limit.queue) in found]
    yield Family(
        "hammerwork_queue_concurrency_limit",
        "The most jobs of a queue that run at once, if it has such a limit.",
        [({"queue": visible(one.queue)}, one.concurrency) for one in limits if one.concurrency is not None],
    )
    yield Family(
        "hammerwork_queue_rate_limit",
        "The most jobs of a queue that start in a second, on average, if it has such a limit.",
        [({"queue": visible(one.queue)}, one.rate.per_second) for one in limits if one.rate is not None],
    )


def _by_label(states: Sequence[QueueState]) -> dict[str, _QueueFigures]:
    """Returns figures by label.

    The names are made printable and the number of labels is limited, because anybody may make any number of queues.
    """
    found: dict[str, _QueueFigures] = {}
    for place, state in enumerate(sorted(states, key=lambda state: (-state.counts.total, state.name or ""))):
        label = visible(state.name or "") if place < MOST_QUEUES else OTHER_QUEUES
        found.setdefault(label, _QueueFigures()).add(state)
    return found


def _counted(counts: Sequence[WorkerCounts]) -> Iterator[Family]:
    """Counters of each worker: none goes back while the worker has its id, whatever is archived or deleted."""
    found: dict[tuple[str, str, str], QueueCounts] = {}
    for worker in counts:
        for queue, one in worker.queues.items():
            labels = visible(queue), visible(worker.name), worker.id[:8]
            known = found.get(labels)
            found[labels] = one if known is None else known.plus(one)  # names that look alike share a label

    def family(name: str, about: str, values: Mapping[str, Callable[[QueueCounts], float]]) -> Family:
        samples: list[tuple[Mapping[str, str], float]] = []
        for (queue, worker, worker_id), one in found.items():
            labels = {"queue": queue, "worker": worker, "worker_id": worker_id}
            samples += [(labels | ({"outcome": word} if word else {}), value(one)) for word, value in values.items()]
        return Family(f"hammerwork_{name}_total", about, samples, "counter")

    outcomes = {
        "completed": lambda one: one.completed,
        "failed": lambda one: one.failed,
        "timed_out": lambda one: one.timed_out,
    }
    yield family("attempts", "Attempts that ended in a worker since its start, by outcome.", outcomes)
    ends = {"completed": lambda one: one.completed, "failed": lambda one: one.dead}
    yield family("jobs_ended", "Jobs that ended in a worker since its start: with success, or for good without.", ends)
    yield family("timed_attempts", "Attempts whose run times are in the sum.", {"": lambda one: one.timed})
    yield family("attempt_seconds", "Sum of the run times of handlers.", {"": lambda one: one.seconds})


def _health(report: HealthReport) -> Iterator[Family]:
    yield Family(
        "hammerwork_health",
        "The verdict of monitor health: 0 healthy, 1 unknown, 2 warning, 3 critical.",
        [({}, report.status.severity)],
    )
    yield Family(
        "hammerwork_health_check",
        "Each check of monitor health: 0 healthy, 1 unknown, 2 warning, 3 critical.",
        [({"check": check.name}, check.status.severity) for check in report.checks],
    )


def _scheduled(figures: Figures) -> Iterator[Family]:
    late: dict[str, float] = {}
    ages: dict[str, float] = {}
    for place, (schedule, run) in enumerate(figures.schedules):
        label = visible(schedule.name) if place < MOST_QUEUES else OTHER_QUEUES
        late[label] = max(late.get(label, 0), _age(schedule.due, figures))
        if run is not None:
            ages[label] = max(ages.get(label, 0), _age(timestamp(run.due_at), figures))
    for name, about, values in (
        ("late", "Time since an enabled schedule became due without enqueueing a job.", late),
        ("last_run", "Time since the last run of an enabled schedule, also a triggered one, was due.", ages),
    ):
        samples = [({"schedule": label}, value) for label, value in values.items()]
        yield Family(f"hammerwork_schedule_{name}_seconds", about, samples)


def _delivered(figures: Figures) -> Iterator[Family]:
    found = figures.webhooks
    yield from _labelled(
        "webhook",
        [one.name for one in found],
        [
            ("delivered_total", "Deliveries to a webhook.", [one.delivered for one in found]),
            ("failed_total", "Deliveries to a webhook that were given up.", [one.failed for one in found]),
            (
                "waiting_deliveries",
                "Deliveries that wait for an attempt; of all webhooks, at most 10,000 are counted.",
                [figures.deliveries.get(one.id, 0) for one in found],
            ),
        ],
    )


def _streamed(figures: Figures) -> Iterator[Family]:
    found = figures.streams
    yield from _labelled(
        "stream",
        [one.stream.name for one in found],
        [
            ("backlog", "Events that wait; an estimate above 10,000.", [one.backlog for one in found]),
            ("oldest_seconds", "Age of the first event that waits.", [one.oldest_seconds or 0 for one in found]),
            ("sent_total", "Events that the backend acknowledged.", [one.stream.sent for one in found]),
            ("failed_total", "Attempts to send that failed.", [one.stream.failed for one in found]),
            ("dropped_total", "Events that are lost.", [one.stream.dropped for one in found]),
        ],
    )


def _labelled(
    thing: str, names: Sequence[str], families: Sequence[tuple[str, str, Sequence[float]]]
) -> Iterator[Family]:
    """Families with a sample for each of some things by name; none where there are no things."""
    for name, about, values in families if names else ():
        together = max if name.endswith("_seconds") else add
        samples: dict[str, float] = {}
        for place, (one, value) in enumerate(zip(names, values, strict=True)):
            label = visible(one) if place < MOST_QUEUES else OTHER_QUEUES
            samples[label] = together(samples.get(label, 0), value)  # names that look alike share a label
        kind = "counter" if name.endswith("_total") else "gauge"
        sampled = [({thing: label}, value) for label, value in samples.items()]
        yield Family(f"hammerwork_{thing}_{name}", about, sampled, kind)


def _age(at: datetime | None, figures: Figures) -> float:
    return 0 if at is None else max((figures.at - at).total_seconds(), 0)


def _spawned(figures: Figures) -> Iterator[Family]:
    stats, window = figures.spawned, _last(figures)
    overall = stats.overall
    gauges = {
        "operations": (f"Parents created in {window} that have children.", overall.operations),
        "operations_empty": (f"Parents created in {window} that completed without a child.", stats.empty),
        "children": (f"Children of the operations of {window}.", overall.children),
        "children_completed": (f"Completed children of the operations of {window}.", overall.completed),
        "children_failed": (f"Failed children of the operations of {window}.", overall.failed),
        "children_cancelled": (f"Cancelled children of the operations of {window}.", overall.cancelled),
        "children_retrying": (
            f"Children of the operations of {window} that wait for another attempt.",
            overall.retrying,
        ),
        "children_largest": (f"Children of the largest operation of {window}.", overall.largest),
        "depth": (f"Levels of spawning in {window}.", stats.depth),
    }
    for name, (about, value) in gauges.items():
        yield Family(f"hammerwork_spawn_{name}", about, [({}, value)])
    lengths = [({"quantile": quantile}, length) for quantile, length in (("0.5", stats.p50), ("0.95", stats.p95))]
    samples = [(labels, length.total_seconds()) for labels, length in lengths if length is not None]
    yield Family("hammerwork_spawn_child_seconds", "Run time of the completed children.", samples, "summary")


def _last(figures: Figures) -> str:
    length = short_duration(figures.window)
    return f"the last {'hour' if length == '1h' else length}"


# For programs.


_QUEUE = Shape[QueueInWindow](
    {
        **QUEUE.within("state"),
        **rate_keys("window"),
    }
)
METRICS = Shape[Figures](
    {
        "checked_at": key.instant().of("at"),
        "window_seconds": key.seconds("Length of --since").of("window"),
        **names.OF_QUEUES,
        "queues": key.list_of(_QUEUE).of(
            lambda figures: [QueueInWindow(one, figures.window) for one in figures.states]
        ),
        "workers": key.null_or(
            key.counts("Workers by state, with those lost in the last hour; null where workers are not recorded")
        ),
        "spawning": SPAWN_STATS.key().of("spawned"),
    }
)


# For people.


def figures_text(figures: Figures, *, terminal: bool, width: int | None = None, colour: bool = False) -> Iterator[str]:
    """Lines: a table of the queues, the workers, and what was spawned."""
    queue = names.words_of(figures.queues)
    yield paint(f"{queue}, {_last(figures)}, {instant(figures.at)} UTC", "bold", colour)
    if figures.states:
        yield table_text(figures.states, _columns(figures), terminal=terminal, width=width, colour=colour)
    else:
        yield "There are no jobs, and no queue is paused."
    yield ""
    yield f"Workers: {_workers_text(figures)}"
    yield f"Spawning: {_spawned_text(figures)}"


def _columns(figures: Figures) -> Sequence[Column[QueueState]]:
    return (
        Column("queue", lambda row: row.name, cuts=True),
        Column("paused", lambda row: "yes" if row.pause else None, optional=True),
        Column("ready", lambda row: count(row.ready), "right", is_count=True),
        Column("scheduled", lambda row: count(row.scheduled), "right", is_count=True, drop_order=2),
        Column("waiting", lambda row: count(row.waiting), "right", is_count=True, drop_order=3),
        Column("running", lambda row: count(row.running), "right", is_count=True),
        Column("completed", lambda row: count(row.completed), "right", is_count=True, narrow_header="done"),
        Column("failed", lambda row: count(row.failed), "right", is_count=True),
        Column("failure rate", lambda row: percent(row.failure_rate), "right", narrow_header="rate", drop_order=4),
        Column(
            "per minute",
            lambda row: f"{row.per_minute(figures.window):,.1f}",
            "right",
            narrow_header="/min",
            drop_order=1,
        ),
        Column("done in", lambda row: duration(row.backlog(figures.window)), "right", optional=True, drop_order=6),
        Column("oldest", lambda row: duration(row.age(row.ready_since)), "right", optional=True, drop_order=5),
    )


def _workers_text(figures: Figures) -> str:
    if figures.workers is None:
        return "not recorded in this database"
    return ", ".join(f"{count(number)} {state}" for state, number in figures.workers.items() if number) or "none"


def _spawned_text(figures: Figures) -> str:
    stats = figures.spawned
    overall = stats.overall
    if not overall.operations:
        return "none"
    times = f"; run times p50 {duration(stats.p50)}, p95 {duration(stats.p95)}" if stats.p50 is not None else ""
    retrying = f", {count(overall.retrying)} retrying" if overall.retrying else ""
    return (
        f"{plural(overall.operations, 'operation')} with {plural(overall.children, 'child', 'children')}, "
        f"{count(overall.completed)} completed, {count(overall.failed)} failed{retrying}{times}"
    )
