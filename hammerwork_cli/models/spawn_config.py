"""``payload._spawn_config``."""

import json
from dataclasses import dataclass, field
from typing import Any, Self


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
