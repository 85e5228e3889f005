"""Retry strategies as hammerwork (Rust) stores them."""

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

_MOST = (1 << 64) - 1

Check = Callable[[Any], bool]


def is_readable(stored: str) -> bool:
    """Whether hammerwork (Rust) can read JSON text as a retry strategy.

    Its version 3 cannot use a job at all whose strategy it cannot read: a worker claims the job and leaves it Running.
    """
    try:
        return _is_one_of(json.loads(stored), _STRATEGIES)
    except (ValueError, RecursionError):
        return False


def _is_one_of(value: Any, kinds: Mapping[str, Mapping[str, Check]]) -> bool:
    fields = kinds.get(value["type"]) if isinstance(value, dict) and isinstance(value.get("type"), str) else None
    return fields is not None and all(check(value.get(name)) for name, check in fields.items())


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value <= _MOST


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _is_limit(value: Any) -> bool:
    return value is None or _is_count(value)


def _is_jitter(value: Any) -> bool:
    return value is None or _is_one_of(value, _JITTERS)


_JITTERS: dict[str, dict[str, Check]] = {
    "Additive": {"duration_ms": _is_count},
    "Multiplicative": {"factor": _is_number},
}
_STRATEGIES: dict[str, dict[str, Check]] = {
    "Fixed": {"duration_ms": _is_count},
    "Linear": {"base_ms": _is_count, "increment_ms": _is_count, "max_delay_ms": _is_limit},
    "Exponential": {
        "base_ms": _is_count,
        "multiplier": _is_number,
        "max_delay_ms": _is_limit,
        "jitter": _is_jitter,
    },
    "Fibonacci": {"base_ms": _is_count, "max_delay_ms": _is_limit},
}
