"""What a worker counts of its queues from its start to its end: counters, which only grow."""

import json
from collections.abc import Mapping
from dataclasses import astuple, dataclass
from typing import Any, NamedTuple

MOST_QUEUES = 200
"""Queues that a worker counts apart; the others share one name, so that its heartbeats stay small."""
OTHERS = "other"


@dataclass(slots=True)
class QueueCounts:
    """Attempts and jobs of a queue that ended in a worker.

    Attributes:
        completed: attempts that completed, and thus jobs.
        failed: attempts that failed.
        timed_out: attempts that timed out.
        dead: jobs that failed for good, however their last attempts ended.
        timed: attempts whose run times were measured.
        seconds: the sum of these run times, from the start of the handler to its end.
    """

    completed: int = 0
    failed: int = 0
    timed_out: int = 0
    dead: int = 0
    timed: int = 0
    seconds: float = 0.0

    def plus(self, other: "QueueCounts") -> "QueueCounts":
        """The counts of two queues that share a label."""
        return QueueCounts(*(one + another for one, another in zip(astuple(self), astuple(other), strict=True)))


class WorkerCounts(NamedTuple):
    """What a worker has counted, by queue."""

    id: str
    name: str
    queues: Mapping[str, QueueCounts]


def written_counts(queues: Mapping[str, QueueCounts]) -> str:
    """The text of a worker's row."""
    return json.dumps({queue: astuple(counts) for queue, counts in queues.items()}, separators=(",", ":"))


def read_counts(stored: str) -> dict[str, QueueCounts]:
    """Reads the text of a worker's row; nothing of what is not readable."""
    try:
        return {str(queue): QueueCounts(*map(_number, counts)) for queue, counts in json.loads(stored).items()}
    except (ValueError, TypeError, AttributeError):
        return {}


def _number(value: object) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(value)
    return value
