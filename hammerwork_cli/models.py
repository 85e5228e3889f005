"""What the program talks about: plain, frozen values without a database behind them.

Moments stay as the driver delivered them (text or ``datetime``) until somebody asks:
a tree of 100,000 jobs has 400,000 of them and most are never looked at.
"""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import IntEnum, StrEnum
from functools import cached_property
from typing import Any, NamedTuple, Self

Moment = str | datetime | None
"""An instant in UTC as a driver delivers it; :func:`moment` and :func:`rfc3339` read it."""


def moment(value: Moment) -> datetime | None:
    """The instant as an aware ``datetime`` in UTC; ``None`` for nothing and for what no ``datetime`` can hold.

    PostgreSQL knows ``infinity`` and the year 10000, a text column holds anything.
    """
    if value is None:
        return None
    try:
        parsed = datetime.fromisoformat(value) if isinstance(value, str) else value
        return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def rfc3339(value: Moment) -> str | None:
    """The instant as RFC 3339 text in UTC (``2026-11-24T14:18:25.393217Z``)."""
    instant = moment(value)
    if instant is None:
        return None
    return instant.isoformat(timespec="microseconds").replace("+00:00", "Z")


class JobStatus(StrEnum):
    """The words that a healthy row carries, capitalised and unquoted."""

    PENDING = "Pending"
    RUNNING = "Running"
    COMPLETED = "Completed"
    FAILED = "Failed"
    DEAD = "Dead"
    TIMED_OUT = "TimedOut"
    RETRYING = "Retrying"
    ARCHIVED = "Archived"

    @property
    def spellings(self) -> tuple[str, ...]:
        """Every way in which a row may hold this status: quoted and lower-case ones are damage."""
        words = {self.value, self.value.lower(), self.name.lower()}
        return tuple(sorted({form for word in words for form in (word, f'"{word}"')}))


FAILURES = frozenset({JobStatus.FAILED, JobStatus.DEAD, JobStatus.TIMED_OUT})
FINISHED = FAILURES | {JobStatus.COMPLETED, JobStatus.ARCHIVED}
WAITING = frozenset({JobStatus.PENDING, JobStatus.RETRYING})

_STATUS_WORDS = {spelling: status for status in JobStatus for spelling in status.spellings}


def status_of(stored: str | None) -> str:
    """The status a row means: quotes dropped, letter case mended, unknown words kept as they are."""
    if stored is None:
        return "Unknown"
    known = _STATUS_WORDS.get(stored)
    if known is None:
        known = _STATUS_WORDS.get(stored.strip().strip('"').lower())
    return known.value if known else stored


class JobPriority(IntEnum):
    """Priorities as the integer column holds them."""

    BACKGROUND = 0
    LOW = 1
    NORMAL = 2
    HIGH = 3
    CRITICAL = 4

    @property
    def word(self) -> str:
        """The lower-case word that people type and read."""
        return self.name.lower()


_PRIORITY_WORDS = {priority.value: priority.word for priority in JobPriority}


def priority_word(stored: int | str | None) -> str:
    """The word for a stored priority; what is out of range reads as normal, as in the original."""
    if isinstance(stored, str):
        return stored.lower() if stored.lower() in _PRIORITY_WORDS.values() else "normal"
    return _PRIORITY_WORDS.get(stored if stored is not None else 2, "normal")


def id_list(stored: object) -> tuple[str, ...]:
    """Job ids out of ``depends_on``, whichever way the database spells a list.

    Accepts ``{a,b}`` (PostgreSQL ``uuid[]`` as text), a JSON array as text or parsed, and nothing.
    Members that are not text are dropped, as the original's reader does.
    """
    if not stored:
        return ()
    if isinstance(stored, (bytes, bytearray)):
        stored = stored.decode("utf-8", "replace")
    if isinstance(stored, str):
        if stored[0] == "{":
            return tuple(stored[1:-1].split(",")) if len(stored) > 2 else ()
        if len(stored) == 40 and stored[1] == stored[-2] == '"' and stored.count('"') == 2 and "\\" not in stored:
            # One parent, as nearly every child has: worth not asking the JSON parser 100,000 times.
            return (stored[2:-2].lower(),)
        try:
            stored = json.loads(stored)
        except (ValueError, RecursionError):
            return ()
    if not isinstance(stored, list):
        return ()
    return tuple(member.lower() for member in stored if isinstance(member, str))


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _flag(value: object, default: bool) -> bool:
    return value if isinstance(value, bool) else default


@dataclass(frozen=True, slots=True)
class SpawnConfig:
    """``payload._spawn_config``: what a job says about the children it will spawn.

    Attributes:
        spawn_delay_ms: milliseconds between batches of children.
        max_spawn_count: most children allowed; ``None`` means no limit.
        extra: keys that nobody here knows, kept as they were.
    """

    handler: str | None = None
    max_spawn_count: int | None = 100
    inherit_priority: bool = True
    inherit_queue: bool = False
    inherit_retry_strategy: bool = True
    inherit_timeout: bool = False
    inherit_trace_context: bool = True
    spawn_delay_ms: int | None = None
    batch_size: int | None = None
    operation_id: str | None = None
    metadata: Any = None
    max_depth: int | None = None
    on_error: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def parse(cls, stored: object) -> Self | None:
        """Reads the short form of the specification and the long form of the original.

        Args:
            stored: the JSON text of ``_spawn_config``, or its parsed value.

        Returns:
            ``None`` when it is not a JSON object; single fields of a wrong type read as their default.
        """
        if isinstance(stored, (str, bytes, bytearray)):
            try:
                stored = json.loads(stored)
            except (ValueError, RecursionError):
                return None
        if not isinstance(stored, dict):
            return None
        known = cls.__dataclass_fields__.keys() - {"extra"}

        def text(name: str) -> str | None:
            value = stored.get(name)
            return value if isinstance(value, str) else None

        return cls(
            handler=text("handler"),
            max_spawn_count=_whole(stored.get("max_spawn_count")),
            inherit_priority=_flag(stored.get("inherit_priority"), True),
            inherit_queue=_flag(stored.get("inherit_queue"), False),
            inherit_retry_strategy=_flag(stored.get("inherit_retry_strategy"), True),
            inherit_timeout=_flag(stored.get("inherit_timeout"), False),
            inherit_trace_context=_flag(stored.get("inherit_trace_context"), True),
            spawn_delay_ms=_whole(stored.get("spawn_delay_ms")),
            batch_size=_whole(stored.get("batch_size")),
            operation_id=text("operation_id"),
            metadata=stored.get("metadata"),
            max_depth=_whole(stored.get("max_depth")),
            on_error=text("on_error"),
            extra={key: value for key, value in stored.items() if key not in known},
        )

    def stored(self) -> dict[str, Any]:
        """The JSON object to write: always with the five keys that Rust workers insist on."""
        required = {
            "max_spawn_count": self.max_spawn_count,
            "inherit_priority": self.inherit_priority,
            "inherit_retry_strategy": self.inherit_retry_strategy,
            "inherit_timeout": self.inherit_timeout,
            "inherit_trace_context": self.inherit_trace_context,
        }
        optional = {
            "handler": self.handler,
            "operation_id": self.operation_id,
            "inherit_queue": self.inherit_queue or None,
            "spawn_delay_ms": self.spawn_delay_ms,
            "batch_size": self.batch_size,
            "metadata": self.metadata,
            "max_depth": self.max_depth,
            "on_error": self.on_error,
        }
        return self.extra | required | {key: value for key, value in optional.items() if value is not None}


class TreeNode(NamedTuple):
    """One job of a tree, as the statements in ``sql/spawns.sql`` select it, in their order.

    A named tuple, since a tree has 100,000 of them: raw values, read through the properties.

    Attributes:
        stored_status: the status as the row spells it; use ``status``.
        stored_parents: ``depends_on`` as the database spells it; use ``depends_on``.
        error: the first 500 characters of the error text.
        stored_config: JSON text of ``payload._spawn_config``; ``None`` when the key is absent.
        archived_at: set when the job has been copied to the archive table.
    """

    id: str
    queue: str
    stored_status: str
    stored_priority: int | str
    attempts: int
    stored_parents: Any
    created_at: Moment
    started_at: Moment
    completed_at: Moment
    failed_at: Moment
    error: str | None
    stored_config: str | None
    workflow_id: str | None
    workflow_name: str | None
    archived_at: Moment

    @property
    def status(self) -> str:
        """The status, with the damage of quotes and letter case mended."""
        return status_of(self.stored_status)

    @property
    def priority(self) -> str:
        """The priority's word."""
        return priority_word(self.stored_priority)

    @property
    def depends_on(self) -> tuple[str, ...]:
        """Ids of the parents, in the order stored."""
        return id_list(self.stored_parents)

    @property
    def has_spawn_config(self) -> bool:
        """Whether the payload carries ``_spawn_config``, readable or not."""
        return self.stored_config is not None

    @property
    def spawn_config(self) -> dict[str, Any] | None:
        """``_spawn_config`` as it is stored; ``None`` when absent or not an object."""
        if self.stored_config is None:
            return None
        try:
            config = json.loads(self.stored_config)
        except (ValueError, RecursionError):
            return None
        return config if isinstance(config, dict) else None

    @property
    def operation_id(self) -> str | None:
        """The operation that the spawn configuration names."""
        config = self.spawn_config
        operation = config.get("operation_id") if config else None
        return operation if isinstance(operation, str) else None

    @property
    def run_time(self) -> timedelta | None:
        """From the start to the end of the last attempt; ``None`` while it has not ended."""
        start, end = moment(self.started_at), moment(self.completed_at or self.failed_at)
        return max(end - start, timedelta()) if start and end else None


@dataclass(slots=True)
class Counts:
    """How many jobs are in which status.

    Attributes:
        by_status: status -> jobs, unknown words included.
    """

    by_status: dict[str, int] = field(default_factory=dict)

    def add(self, status: str, jobs: int = 1) -> None:
        """Counts ``jobs`` more of ``status``."""
        self.by_status[status] = self.by_status.get(status, 0) + jobs

    def merge(self, other: "Counts") -> None:
        """Adds another count to this one."""
        for status, jobs in other.by_status.items():
            self.add(status, jobs)

    @property
    def total(self) -> int:
        """All jobs."""
        return sum(self.by_status.values())

    def of(self, *statuses: str) -> int:
        """Jobs in one of the given statuses."""
        return sum(self.by_status.get(status, 0) for status in statuses)

    @property
    def failed(self) -> int:
        """Jobs that failed for good: Failed, Dead, TimedOut."""
        return self.of(*FAILURES)


@dataclass(frozen=True)
class SpawnTree:
    """A tree as it was read: what is there, and how much was left unread.

    Attributes:
        roots: the topmost ancestors; several for joins, the oldest job of a cycle.
        target: the job that was asked for.
        nodes: id -> node, parents before children, in a stable order.
        depths: id -> levels below the nearest root.
        children: id -> ids of its children that were read, in a stable order.
        child_counts: id -> exact number of children by status, where not all of them were read.
        unread: ids of nodes whose children were not read at all (a depth limit, a read limit).
        missing: ids that some job depends on and that are nowhere in the database.
    """

    roots: tuple[str, ...]
    target: str
    nodes: dict[str, TreeNode]
    depths: dict[str, int]
    children: dict[str, list[str]]
    child_counts: dict[str, Counts] = field(default_factory=dict)
    unread: frozenset[str] = frozenset()
    missing: frozenset[str] = frozenset()

    @property
    def truncated(self) -> bool:
        """Whether jobs of the tree were left out."""
        return bool(self.child_counts)

    def child_total(self, job: str) -> int:
        """How many children a job has in the database, read or not."""
        counted = self.child_counts.get(job)
        return counted.total if counted else len(self.children.get(job, ()))

    @cached_property
    def counts(self) -> Counts:
        """The statuses of all jobs that were read."""
        counts = Counts()
        for node in self.nodes.values():
            counts.add(node.status)
        return counts


@dataclass(frozen=True, slots=True)
class Lineage:
    """Where a job comes from and what came from it.

    Attributes:
        ancestors: (distance upward, node), roots first; ``None`` when they were not asked for.
        descendants: the tree below the job; ``None`` when it was not asked for.
        missing: parents that are nowhere in the database.
    """

    job: TreeNode
    ancestors: tuple[tuple[int, TreeNode], ...] | None
    descendants: SpawnTree | None
    missing: frozenset[str] = frozenset()
    truncated: bool = False


@dataclass(frozen=True, slots=True)
class SpawnOperation:
    """A parent that spawned, or had its chance to, with its children counted.

    Attributes:
        spawned_at: when its first child was created.
        finished_at: when the last of its children ended, once all have ended.
    """

    parent: TreeNode
    children: Counts
    spawned_at: Moment
    finished_at: Moment

    @property
    def config(self) -> SpawnConfig | None:
        """The parent's spawn configuration, where it can be read."""
        return SpawnConfig.parse(self.parent.stored_config)

    @property
    def success_rate(self) -> float | None:
        """Completed children among those that have ended, 0 to 1; ``None`` before one has."""
        ended = self.children.of(*FINISHED)
        return self.children.of(JobStatus.COMPLETED) / ended if ended else None

    @property
    def wall_time(self) -> timedelta | None:
        """From the first child's creation to the last child's end, once all have ended."""
        start, end = moment(self.spawned_at), moment(self.finished_at)
        return max(end - start, timedelta()) if start and end else None


@dataclass(frozen=True, slots=True)
class SpawnGroup:
    """Figures of the operations that share a queue or a handler."""

    name: str | None
    operations: int
    children: int
    largest: int
    completed: int
    ended: int

    @property
    def average(self) -> float | None:
        """Children an operation."""
        return self.children / self.operations if self.operations else None

    @property
    def success_rate(self) -> float | None:
        """Completed children among those that have ended, 0 to 1."""
        return self.completed / self.ended if self.ended else None


@dataclass(frozen=True, slots=True)
class SpawnStats:
    """What was spawned in a window of time.

    Attributes:
        since: start of the window; operations count by their parent's creation.
        operations: parents with at least one child.
        empty: parents that completed and spawned nothing.
        recent: operations of the last hour.
        depth: levels of spawning below the topmost parent.
        p50, p95: run time of the children that completed.
    """

    since: datetime
    queue: str | None
    overall: SpawnGroup
    empty: int
    recent: int
    depth: int
    p50: timedelta | None
    p95: timedelta | None
    by_queue: tuple[SpawnGroup, ...] | None = None
    by_handler: tuple[SpawnGroup, ...] | None = None
    slowest: tuple[SpawnOperation, ...] | None = None


@dataclass(frozen=True, slots=True)
class PendingSpawn:
    """A job with spawning still ahead of it, or behind it without effect.

    Attributes:
        reason: ``will_spawn``, ``never_spawned`` (completed without a child),
            ``waiting`` (depends on jobs that have not ended) or ``stuck``
            (waits although everything it depends on has ended or is gone).
        waits_for: statuses of the jobs it depends on.
    """

    job: TreeNode
    reason: str
    waits_for: Counts
