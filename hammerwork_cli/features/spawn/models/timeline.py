"""Where the time of a tree went."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from hammerwork_cli.features.tree.model import TreeNode
from hammerwork_cli.features.tree.spawn_tree import SpawnTree

PARTS = ("spawning", "blocked", "delayed", "queued", "retrying", "running", "unknown")
"""What a job can be doing, in order: its parent had ended and it was not created yet; it waited for jobs; it waited for
its date; it waited for a worker; earlier attempts and the pauses after them; its last attempt; times that nobody kept.
"""


class Times(NamedTuple):
    """The times of a job in microseconds since 1970, none before the one above it."""

    created: int  # creation
    ready: int  # end of the last job that it waited for; the end of the job itself if it waited until then
    due: int  # the date before which it was not to start
    first: int  # start of the first attempt; of a job with several, `due` if that is not recorded
    started: int  # start of the last attempt; the end if it never started
    ended: int  # its end, or the present if it has not ended
    is_open: bool  # whether the job has not ended
    has_run: bool  # whether it has started

    @property
    def spans(self) -> tuple[tuple[str, int, int], ...]:
        """(part, from, to), each from the end of the one before."""
        created, ready, due, first, started, ended, _, _ = self
        return (
            ("blocked", created, ready),
            ("delayed", ready, due),
            ("queued", due, first),
            ("retrying", first, started),
            ("running", started, ended),
        )


class TimelineStep(NamedTuple):
    """A job on the critical path, from the handover by its parent until it hands over itself."""

    node: TreeNode | None  # the job; `None` for the time before the path, if the times of the jobs above it are unknown
    spans: tuple[tuple[str, int, int], ...]  # (part, from, to) in microseconds, without empty ones

    @property
    def length(self) -> int:
        """Microseconds."""
        return sum(end - start for _, start, end in self.spans)

    @property
    def parts(self) -> dict[str, int]:
        """Part -> microseconds, in the order of :data:`PARTS`, without empty ones."""
        return parts_of(self.spans)


def parts_of(spans: tuple[tuple[str, int, int], ...]) -> dict[str, int]:
    """Part -> microseconds, in the order of :data:`PARTS`, without empty ones."""
    sums = dict.fromkeys(PARTS, 0)
    for part, start, end in spans:
        sums[part] += end - start
    return {part: length for part, length in sums.items() if length}


class QueueTimes(NamedTuple):
    """The jobs of a queue in a tree; lengths in microseconds, ``None`` without a job to measure."""

    queue: str
    jobs: int  # all jobs, also those whose times are unknown
    failed: int
    running: int  # run time of all jobs together
    # (median, 95th percentile) of the time until the first attempt, of jobs whose first attempt is known.
    queued: tuple[int, int] | None
    ran: tuple[int, int] | None  # the same of the run times of jobs that have ended


class SiblingGroup(NamedTuple):
    """The children of one parent in one queue."""

    parent: str | None  # id; `None` for roots
    queue: str
    depth: int  # levels below the roots
    jobs: int
    failed: int
    running: int
    times: Times  # the first creation, ready and due, the first start, and the last end


@dataclass(frozen=True)
class Timeline:
    """The times of a tree, in microseconds since 1970 and as lengths in microseconds."""

    tree: SpawnTree  # the tree
    begun: int  # start of the critical path
    ended: int  # end of the critical path: the last end, or the present
    path: tuple[TimelineStep, ...]  # the critical path from the root down; its spans add up to the whole
    sums: Mapping[str, int]  # part -> microseconds of all jobs together
    alone: int  # length with a worker for every job
    queues: tuple[QueueTimes, ...]  # the queue with the longest run time first
    open: int  # jobs that have not ended
    unknown: int  # jobs with times that are missing or contradict each other
    # Groups of siblings, the first to be ready first; `None` unless the caller asked for them.
    siblings: tuple[SiblingGroup, ...] | None = None

    @property
    def root(self) -> str:
        """The id of the topmost job; of several, the first."""
        return self.tree.roots[0] if self.tree.roots else self.tree.target

    @property
    def length(self) -> int:
        """Microseconds from the first creation to the last end."""
        return self.ended - self.begun

    @property
    def parts(self) -> dict[str, int]:
        """Part -> microseconds of the critical path."""
        return parts_of(tuple(span for step in self.path for span in step.spans))
