"""The options of a worker."""

import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hammerwork_cli.core.input import fields
from hammerwork_cli.core.input.limits import LARGEST_INTEGER
from hammerwork_cli.errors import UsageError
from hammerwork_cli.features.worker.queries.ancestry import MOST_DESCENDANTS
from hammerwork_cli.runtime.api.retry import RetryStrategy
from hammerwork_cli.runtime.api.retry import check as checked_strategy
from hammerwork_cli.runtime.delivery.allowed import Allowed

if TYPE_CHECKING:
    from hammerwork_cli.database import Database
    from hammerwork_cli.runtime.execution.isolation import Isolation, Source

DEFAULT_RETRY = RetryStrategy.exponential(timedelta(seconds=1), 2.0, timedelta(minutes=5), jitter=0.1)
ISOLATIONS = ("thread", "process")
LONGEST_SECONDS = 30 * 86_400
"""The longest poll interval, lease and grace: servers take the timeouts of a lease in milliseconds, as an integer."""


def _ignore() -> None:
    """Does nothing with progress."""


def _tell_nobody(error: BaseException) -> None:
    del error


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Options of a worker. :class:`Worker` describes them."""

    concurrency: int = 4
    pool_size: int | None = None
    poll_interval: float = 1.0
    lease: float = 30.0
    max_jobs: int | None = None
    max_descendants: int = MOST_DESCENDANTS
    drain: bool = False
    weighted: bool = False
    sweep: bool = True
    upkeep: bool = True
    upkeep_only: bool = False
    retention: bool = True
    rescue_older_than: float | None = None
    retry: RetryStrategy = DEFAULT_RETRY
    name: str | None = None
    isolation: "str | Source | Mapping[str, Source] | Isolation" = "thread"
    max_jobs_per_process: int | None = None
    max_memory: int | None = None
    grace: float | None = None
    health_file: Path | None = None
    allowed_programs: Sequence[str] = ()
    allowed_env: Sequence[str] = ()
    allow_private_addresses: bool = False
    allow_insecure: bool = False
    most_of: Mapping[str, int] = field(default_factory=dict)
    on_progress: Callable[[], None] = _ignore
    left_webhooks: Callable[[], Sequence[str]] = tuple  # ids of webhooks whose deliveries it leaves to others
    # Tests set the rest: see `Jobs.drain`.
    drain_seconds: float = 60.0  # with `drain`, it waits for jobs that are due within this time
    # Replaces the look at callbacks; returns whether there may be more to do now.
    when_drained: "Callable[[Database], bool] | None" = None
    is_alone: bool = False  # nobody else needs the database
    retry_at_once: bool = False
    on_failure: Callable[[BaseException], None] = _tell_nobody  # called with the error of each failed attempt
    fakes: Mapping[Callable[..., Any], Any] | None = None  # resource -> what handlers get instead

    def __post_init__(self) -> None:
        self._check_isolation()
        if self.upkeep_only and (self.drain or self.max_jobs is not None or not self.upkeep):
            raise UsageError("A worker with --upkeep-only cannot take --drain, --max-jobs or --no-upkeep.")
        self._check_processes()
        for name in ("concurrency", "max_jobs", "max_descendants", "pool_size", "max_jobs_per_process"):
            value = getattr(self, name)
            if value is not None:
                fields.whole_number(value, name, 1, LARGEST_INTEGER)
        for name in ("poll_interval", "lease", "grace", "rescue_older_than"):
            seconds = getattr(self, name)
            if seconds is not None:
                fields.seconds(seconds, name, most=LONGEST_SECONDS)
        for queue, most in self.most_of.items():
            fields.whole_number(most, f"queues[{queue!r:.60}]", 1, LARGEST_INTEGER)
        for name in ("allowed_programs", "allowed_env"):
            fields.texts(getattr(self, name), name)
        _ = self.allowed  # raises if one cannot be read
        if self.name is not None:
            fields.text(self.name, "name")
        checked_strategy(self.retry)

    def _check_isolation(self) -> None:
        given = self.isolation
        if isinstance(given, str) and given not in ISOLATIONS:
            raise UsageError(f"isolation must be thread, process or an executor, not {given!r:.60}.")
        for queue, source in given.items() if isinstance(given, Mapping) else ():
            fields.queue(queue)
            if not isinstance(source, Executor) and not callable(source):
                raise UsageError(
                    f"isolation[{queue!r:.60}] must be an executor or a function that makes one, not {source!r:.60}."
                )
        known = isinstance(given, str | Mapping | Executor) or callable(given) or hasattr(given, "can_kill")
        if not known:
            raise UsageError(f"isolation must be thread, process or an executor, not {type(given).__name__}.")

    def _check_processes(self) -> None:
        for name in ("max_jobs_per_process", "max_memory"):
            in_processes = self.isolation == "process" or getattr(self.isolation, "can_kill", False)
            if not in_processes and getattr(self, name) is not None:
                where = "in threads" if self.isolation == "thread" else "on executors"
                raise UsageError(
                    f"{name} is a limit for processes, and this worker runs handlers {where}.",
                    hint='Set isolation="process" (--isolation process) too.',
                )
        if self.max_memory is not None:
            fields.whole_number(self.max_memory, "max_memory", 1 << 20, 1 << 60)
            if sys.platform != "linux":
                raise UsageError("max_memory needs Linux, which says how much memory a process uses.")

    @property
    def allowed(self) -> Allowed:
        """What streams and webhooks may use of this host."""
        return Allowed.of(
            self.allowed_programs,
            self.allowed_env,
            private_addresses=self.allow_private_addresses,
            insecure=self.allow_insecure,
        )

    @property
    def has_upkeep(self) -> bool:
        """Whether it looks after schedules and callbacks while it runs: one that drains its queues does not stay."""
        return self.upkeep and not self.drain

    @property
    def connections(self) -> int:
        """Connections for what attempts write themselves."""
        return self.pool_size or min(self.concurrency, 4)
