"""Two trees side by side."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

from hammerwork_cli.features.spawn.models.timeline import PARTS, QueueTimes, Timeline


class QueueChange(NamedTuple):
    """The jobs of a queue in both trees; ``None`` in the tree that has none."""

    queue: str
    a: QueueTimes | None
    b: QueueTimes | None

    @property
    def state(self) -> Literal["both", "new", "gone"]:
        """``new`` in B, ``gone`` from it, or in both."""
        if self.a is None:
            return "new"
        return "gone" if self.b is None else "both"

    @property
    def weight(self) -> int:
        """Difference of the run times of all jobs, in microseconds."""
        return abs((self.b.running if self.b else 0) - (self.a.running if self.a else 0))


@dataclass(frozen=True)
class Comparison:
    """Two trees: A is the measure, B is judged by it."""

    a: Timeline
    b: Timeline

    @property
    def change(self) -> float | None:
        """How much longer B took, as a part of A: 0.2 for 20 %; ``None`` if A took no time at all."""
        return (self.b.length - self.a.length) / self.a.length if self.a.length else None

    def exceeds(self, most: float) -> bool:
        """Whether B took longer than A by more than ``most``, a part of A."""
        return self.b.length - self.a.length > most * self.a.length

    @property
    def parts(self) -> tuple[tuple[str, int, int], ...]:
        """(part, A, B) of the critical paths in microseconds, for the parts that one of them has."""
        a, b = self.a.parts, self.b.parts
        return tuple((part, a.get(part, 0), b.get(part, 0)) for part in PARTS if part in a or part in b)

    @property
    def queues(self) -> tuple[QueueChange, ...]:
        """The queues, the largest difference of run times first."""
        a, b = ({queue.queue: queue for queue in one.queues} for one in (self.a, self.b))
        found = [QueueChange(queue, a.get(queue), b.get(queue)) for queue in dict.fromkeys([*a, *b])]
        return tuple(sorted(found, key=lambda change: (-change.weight, change.queue)))


def path_of(found: Timeline) -> tuple[str | None, ...]:
    """The queues along the critical path; ``None`` for the time that is unknown."""
    return tuple(step.node.queue if step.node else None for step in found.path)
