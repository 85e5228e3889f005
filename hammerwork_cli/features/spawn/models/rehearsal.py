"""What a spawn handler would spawn."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from hammerwork_cli.features.job.models.new_job import NewJob


class Limit(NamedTuple):
    name: str  # as in `SpawnConfig`
    allowed: int | None  # the most; `None` without a limit
    used: int  # the number that the rehearsal reached

    @property
    def left(self) -> int | None:
        """How many more are allowed; negative if it would be exceeded."""
        return None if self.allowed is None else self.allowed - self.used


@dataclass(slots=True)
class RehearsedLevel:
    """What the jobs of one generation would spawn."""

    parents: int = 0  # jobs whose spawn handlers ran
    jobs: dict[str, int] = field(default_factory=dict)  # queue -> children
    bytes: dict[str, int] = field(default_factory=dict)  # queue -> bytes of their payloads

    def add(self, child: NewJob) -> None:
        size = len(child.payload.encode("utf-8", "surrogatepass"))
        self.jobs[child.queue] = self.jobs.get(child.queue, 0) + 1
        self.bytes[child.queue] = self.bytes.get(child.queue, 0) + size

    @property
    def children(self) -> int:
        return sum(self.jobs.values())


@dataclass(slots=True)
class RehearsedFailure:
    """Why jobs of a queue could not spawn."""

    level: int  # 1 for the job itself
    queue: str  # the queue of the parent
    code: str  # of the error
    message: str
    hint: str | None
    parents: int = 1  # jobs that failed so


class SpawnShape(NamedTuple):
    """How the children of the job wait for each other."""

    after_parent: int = 0  # children that start when their parent has ended
    after_siblings: int = 0  # children that wait for siblings
    after_others: int = 0  # children that wait for other jobs, besides
    longest_chain: int = 0  # most children that run one after the other


@dataclass(slots=True)
class Rehearsal:
    job: str | None  # id; `None` for a job that was only described
    queue: str  # the job's queue
    handler: str | None = None  # the name of its spawn handler; `None` if none was found
    levels: list[RehearsedLevel] = field(default_factory=list)  # one for each generation that was rehearsed
    early: int = 0  # children by key, written before their parent ends
    first: list[NewJob] = field(default_factory=list)  # the first children of the job
    keys: dict[str, str] = field(default_factory=dict)  # id -> key of an early child
    enqueued: dict[str, int] = field(default_factory=dict)  # queue -> jobs that are not children
    limits: tuple[Limit, ...] = ()  # those of the job, or the tightest of all parents
    shape: SpawnShape = field(default_factory=SpawnShape)
    complete: bool = True  # whether the handlers were read to their end
    failures: list[RehearsedFailure] = field(default_factory=list)  # the errors, the first one first
    seconds: float = 0.0  # run time of the handlers

    @property
    def children(self) -> int:
        """All jobs that would be spawned, on all levels."""
        return sum(level.children for level in self.levels)

    @property
    def bytes(self) -> int:
        return sum(sum(level.bytes.values()) for level in self.levels)

    def fail(self, level: int, queue: str, code: str, message: str, hint: str | None) -> None:
        """Records that a parent could not spawn; equal failures count together."""
        for known in self.failures:
            if (known.level, known.queue, known.code) == (level, queue, code) and (
                known.message == message or len(self.failures) >= MOST_FAILURES
            ):
                known.parents += 1
                return
        if len(self.failures) < MOST_FAILURES:
            self.failures.append(RehearsedFailure(level, queue, code, message, hint))


MOST_FAILURES = 10
SHOWN = 20
"""Children whose payloads an answer shows."""


def chain_length(waits: Mapping[str, tuple[str, ...]]) -> int:
    """The longest chain among jobs that wait for each other, in jobs; circles do not occur.

    Args:
        waits: job -> the jobs that it waits for; the others wait for nobody.
    """
    lengths: dict[str, int] = {}
    for start in waits:
        stack = [start]
        while stack:
            job = stack[-1]
            missing = [other for other in waits.get(job, ()) if other not in lengths]
            if missing and job not in lengths:
                stack += missing
            else:
                stack.pop()
                lengths[job] = 1 + max((lengths[other] for other in waits.get(job, ())), default=0)
    return max(lengths.values(), default=0)
