"""The spawn configuration of a job, which its payload holds under ``_spawn_config``."""

import json
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Self

from hammerwork_cli.core.input.limits import LONGEST_NAME
from hammerwork_cli.core.input.names import stored_name
from hammerwork_cli.errors import UsageError

ON_ERROR = ("retry", "complete")
LONGEST_DELAY = timedelta(days=36_500)


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _stored_whole(value: object) -> int | None:
    # MySQL proper keeps whole numbers of more than 64 bits as floats.
    return int(value) if isinstance(value, float) and value >= 2**63 and value.is_integer() else _whole(value)


def _flag(value: object, default: bool) -> bool:
    return value if isinstance(value, bool) else default


def _delay(value: object) -> timedelta | None:
    milliseconds = _whole(value)
    if milliseconds is None or milliseconds > LONGEST_DELAY / timedelta(milliseconds=1):
        return None
    return timedelta(milliseconds=milliseconds)


@dataclass(frozen=True, slots=True)
class SpawnConfig:
    """The spawn configuration of a job.

    The ``with_*`` methods return a changed copy, and raise what the constructor raises.

    Attributes:
        handler: name of the spawn handler; the queue's name by default.
        max_spawn_count: maximum number of children of one spawn; ``None`` means no limit.
        inherit_priority: children without a priority get their parent's.
        inherit_retry_strategy, inherit_timeout, inherit_trace_context: the same for these.
        inherit_queue: children without a queue go to their parent's.
        spawn_delay: time between the starts of batches of children; none by default.
        batch_size: children per batch, 1 by default.
        operation_id: a name of the operation to search for later, at most 255 characters.
        metadata: any JSON value for the spawn handler.
        max_depth: maximum number of generations below the root of the tree; ``None`` means no limit.
        max_descendants: maximum number of jobs below the root; ``None`` means no limit.
        on_error: ``retry``, the default (the attempt fails if the parent cannot spawn), or ``complete`` (the parent
            completes anyway).
        extra: unknown keys, which are stored unchanged.

    Raises:
        UsageError: a field does not accept its value; the message names the field.
    """

    handler: str | None = None
    max_spawn_count: int | None = 100
    inherit_priority: bool = True
    inherit_queue: bool = False
    inherit_retry_strategy: bool = True
    inherit_timeout: bool = False
    inherit_trace_context: bool = True
    spawn_delay: timedelta | None = None
    batch_size: int | None = None
    operation_id: str | None = None
    metadata: Any = None
    max_depth: int | None = None
    max_descendants: int | None = None
    on_error: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        problem = self._problem()
        if problem:
            raise UsageError(problem)

    @property
    def _spawn_delay_ms(self) -> int | None:
        return None if self.spawn_delay is None else round(self.spawn_delay.total_seconds() * 1000)

    def _field(self, key: str) -> Any:
        """The value of a key of what is stored."""
        return self._spawn_delay_ms if key == "spawn_delay_ms" else getattr(self, key)

    @classmethod
    def _parse(cls, stored: object) -> Self | None:
        """Reads the short form of the specification, or the long form that hammerwork (Rust) writes, as text or parsed.

        Returns ``None`` if it is not a JSON object. A field of the wrong type gets its default, because Rust workers
        read it so.
        """
        if isinstance(stored, (str, bytes, bytearray)):
            try:
                stored = json.loads(stored)
            except (ValueError, RecursionError):
                return None
        if not isinstance(stored, dict):
            return None

        return cls(
            handler=stored_name(stored.get("handler")),
            max_spawn_count=_stored_whole(stored.get("max_spawn_count")),
            inherit_priority=_flag(stored.get("inherit_priority"), True),
            inherit_queue=_flag(stored.get("inherit_queue"), False),
            inherit_retry_strategy=_flag(stored.get("inherit_retry_strategy"), True),
            inherit_timeout=_flag(stored.get("inherit_timeout"), False),
            inherit_trace_context=_flag(stored.get("inherit_trace_context"), True),
            spawn_delay=_delay(stored.get("spawn_delay_ms")),
            batch_size=_stored_whole(stored.get("batch_size")) or None,
            operation_id=stored_name(stored.get("operation_id")),
            metadata=stored.get("metadata"),
            max_depth=_stored_whole(stored.get("max_depth")),
            max_descendants=_stored_whole(stored.get("max_descendants")),
            on_error=stored["on_error"] if stored.get("on_error") in ON_ERROR else None,
            extra={key: value for key, value in stored.items() if key not in STORED_KEYS},
        )

    def _stored(self) -> dict[str, Any]:
        """Returns the JSON object to store. It always has the five keys without which Rust workers ignore it."""
        required = {name: getattr(self, name) for name in ("max_spawn_count", *_RUST_NEEDS)}
        optional = {
            "handler": self.handler,
            "operation_id": self.operation_id,
            "inherit_queue": self.inherit_queue or None,
            "spawn_delay_ms": self._spawn_delay_ms,
            "batch_size": self.batch_size,
            "metadata": self.metadata,
            "max_depth": self.max_depth,
            "max_descendants": self.max_descendants,
            "on_error": self.on_error,
        }
        return self.extra | required | {key: value for key, value in optional.items() if value is not None}

    def _bounded(self) -> Self:
        """Drops ``metadata`` and ``extra``, which may be large and are stored in the payload or the request already."""
        return self if self.metadata is None and not self.extra else replace(self, metadata=None, extra={})

    # Builders.

    def with_handler(self, name: str) -> Self:
        """Names the spawn handler."""
        return self._with("handler", name)

    def with_max_spawn_count(self, most: int | None) -> Self:
        """Limits the children of one spawn; ``None`` removes the limit."""
        return self._with("max_spawn_count", most)

    def with_inherit_priority(self, inherit: bool = True) -> Self:
        """Whether children without a priority get their parent's."""
        return self._with("inherit_priority", inherit)

    def with_inherit_queue(self, inherit: bool = True) -> Self:
        """Whether children without a queue go to their parent's."""
        return self._with("inherit_queue", inherit)

    def with_inherit_retry_strategy(self, inherit: bool = True) -> Self:
        """Whether children without a retry strategy get their parent's."""
        return self._with("inherit_retry_strategy", inherit)

    def with_inherit_timeout(self, inherit: bool = True) -> Self:
        """Whether children without a timeout get their parent's."""
        return self._with("inherit_timeout", inherit)

    def with_inherit_trace_context(self, inherit: bool = True) -> Self:
        """Whether children without trace ids get their parent's."""
        return self._with("inherit_trace_context", inherit)

    def with_spawn_delay(self, delay: timedelta | None) -> Self:
        """Starts each batch of children ``delay`` after the one before; ``None`` starts all at once."""
        return self._with("spawn_delay", delay)

    def with_batch_size(self, children: int | None) -> Self:
        """Lets this many children start together, 1 for ``None``; it has no effect without a delay."""
        return self._with("batch_size", children)

    def with_operation_id(self, operation: str) -> Self:
        """Names the operation, to search for it later."""
        return self._with("operation_id", operation)

    def with_metadata(self, metadata: Any) -> Self:
        """Passes any JSON value to the spawn handler."""
        return self._with("metadata", metadata)

    def with_max_depth(self, generations: int | None) -> Self:
        """Limits the generations below the root of the tree; ``None`` removes the limit."""
        return self._with("max_depth", generations)

    def with_max_descendants(self, most: int | None) -> Self:
        """Limits the jobs below the root of the tree; ``None`` removes the limit."""
        return self._with("max_descendants", most)

    def with_on_error(self, policy: str) -> Self:
        """Says what becomes of a parent that cannot spawn.

        Args:
            policy: ``retry`` fails its attempt; ``complete`` lets it complete anyway.
        """
        return self._with("on_error", policy)

    def _with(self, name: str, value: Any) -> Self:
        return replace(self, **{name: value})

    def _problem(self) -> str | None:
        """Describes the first invalid field in one sentence; ``None`` if all are valid."""
        for name in ("max_spawn_count", "max_depth", "max_descendants", "batch_size"):
            value, least = getattr(self, name), 1 if name == "batch_size" else 0
            if value is not None and (_whole(value) is None or value < least):
                return f"{name} must be a whole number of at least {least}, not {value!r:.60}."
        for name in ("handler", "operation_id", "on_error"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, str) or not value):
                return f"{name} must be text, not {value!r:.60}."
            if value is not None and len(value) > LONGEST_NAME:
                return f"{name} may have at most {LONGEST_NAME} characters, not {len(value):,}."
        for name in _FLAGS:
            if not isinstance(getattr(self, name), bool):
                return f"{name} must be true or false, not {getattr(self, name)!r:.60}."
        return self._policy_problem()

    def _policy_problem(self) -> str | None:
        delay: object = self.spawn_delay
        if delay is not None and not isinstance(delay, timedelta):
            return f"spawn_delay must be a timedelta, not {delay!r:.60}."
        if delay is not None and delay < timedelta(0):
            return "spawn_delay must not be negative."
        if delay is not None and delay > LONGEST_DELAY:
            return f"spawn_delay may be at most {LONGEST_DELAY.days:,} days, not {delay.days:,}."
        if self.on_error is not None and self.on_error not in ON_ERROR:
            return f"on_error must be {' or '.join(ON_ERROR)}, not {self.on_error!r:.60}."
        return None


STORED_KEYS = (frozenset(SpawnConfig.__dataclass_fields__) - {"extra", "spawn_delay"}) | {"spawn_delay_ms"}
_FLAGS = tuple(sorted(name for name in STORED_KEYS if name.startswith("inherit_")))
_RUST_NEEDS = ("inherit_priority", "inherit_retry_strategy", "inherit_timeout", "inherit_trace_context")


def ignored_because(stored: Any) -> str | None:
    """Says why Rust workers ignore a stored spawn configuration; ``None`` if they spawn by it."""
    if SpawnConfig._parse(stored) is None:
        return "it cannot be read"
    if set(_RUST_NEEDS) - json.loads(stored).keys():
        return "Rust workers ignore its short form"
    return None
