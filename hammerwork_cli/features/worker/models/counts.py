"""What a worker counts of its queues from its start to its end, and the outcomes that it cannot write at present."""

import json
from collections.abc import Mapping
from dataclasses import astuple, dataclass
from typing import Any, NamedTuple

MOST_QUEUES = 200
"""Queues that a worker counts apart; the others share one name, so that its heartbeats stay small."""
OTHERS = "other"
NO_QUEUE = ""
"""In place of a queue's name: the outcomes that the worker cannot write."""
LONGEST_ERROR = 300


@dataclass(slots=True)
class QueueCounts:
    """Attempts and jobs of a queue that ended in a worker."""

    completed: int = 0  # attempts that completed, and thus jobs
    failed: int = 0  # attempts that failed
    timed_out: int = 0  # attempts that timed out
    dead: int = 0  # jobs that failed for good, however their last attempts ended
    timed: int = 0  # attempts whose run times were measured
    seconds: float = 0.0  # the sum of these run times, from the start of the handler to its end

    def plus(self, other: "QueueCounts") -> "QueueCounts":
        """The counts of two queues that share a label."""
        return QueueCounts(*(one + another for one, another in zip(astuple(self), astuple(other), strict=True)))


class WorkerCounts(NamedTuple):
    id: str
    name: str
    queues: Mapping[str, QueueCounts]


class Unwritten(NamedTuple):
    """Outcomes that a worker holds because it cannot write them, those of jobs whose spawning is refused included."""

    outcomes: int  # their number
    seconds: float  # since when
    error: str  # the last one


def written_counts(queues: Mapping[str, QueueCounts], unwritten: Unwritten | None = None) -> str:
    """The text of a worker's row. What cannot be written comes first, so that a statement sees whether there is any."""
    held = {NO_QUEUE: unwritten._replace(error=unwritten.error[:LONGEST_ERROR])} if unwritten else {}
    counts = {queue: astuple(counts) for queue, counts in queues.items()}
    return json.dumps({**held, **counts}, separators=(",", ":"))


def read_unwritten(stored: str | None) -> Unwritten | None:
    """Reads from the text of a worker's row what the worker cannot write."""
    try:
        outcomes, seconds, error = json.loads(stored or "{}")[NO_QUEUE]
        return Unwritten(_number(outcomes), _number(seconds), str(error))
    except (ValueError, TypeError, AttributeError, KeyError):
        return None


def read_counts(stored: str) -> dict[str, QueueCounts]:
    """Reads the text of a worker's row; nothing of what is not readable."""
    try:
        read = json.loads(stored).items()
        return {str(queue): QueueCounts(*map(_number, counts)) for queue, counts in read if queue != NO_QUEUE}
    except (ValueError, TypeError, AttributeError):
        return {}


def _number(value: object) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(value)
    return value
