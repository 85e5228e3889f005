"""Damage that the doctor finds in the database."""

from collections import defaultdict
from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

from hammerwork_cli.core.values import Timestamp


class Damage(StrEnum):
    """The kinds of damage that the doctor knows, in the order in which it fixes and reports them."""

    MISSPELT_STATUS = "misspelt_status"
    NULL_LISTS = "null_lists"
    BARRED = "barred"
    LOST = "lost"
    LOST_LAST_ATTEMPT = "lost_last_attempt"
    PUT_OFF = "put_off"
    NOT_RELEASED = "not_released"
    NOT_RELEASED_AFTER_FAILURE = "not_released_after_failure"
    PARENT_FAILED = "parent_failed"
    PARENT_FAILED_MANUAL = "parent_failed_manual"
    PARENT_MISSING = "parent_missing"
    CYCLE = "cycle"
    UNKNOWN_STATUS = "unknown_status"
    UNFINISHED_TABLES = "unfinished_tables"
    CRON_STOPPED = "cron_stopped"
    RAN_EARLY = "ran_early"
    NEVER_SPAWNED = "never_spawned"
    GONE_BUT_RECORDED = "gone_but_recorded"
    GROWING = "growing"


FIXABLE = frozenset(
    {
        Damage.MISSPELT_STATUS,
        Damage.NULL_LISTS,
        Damage.BARRED,
        Damage.LOST,
        Damage.LOST_LAST_ATTEMPT,
        Damage.PUT_OFF,
        Damage.NOT_RELEASED,
        Damage.NOT_RELEASED_AFTER_FAILURE,
        Damage.PARENT_FAILED,
        Damage.GONE_BUT_RECORDED,
    }
)
"""Damage that has one right fix. The doctor reports all other damage with advice for the operator."""
NOTES = frozenset({Damage.RAN_EARLY, Damage.NEVER_SPAWNED, Damage.GONE_BUT_RECORDED, Damage.GROWING})
"""Damage that blocks no job: it happened in the past and cannot be undone, it only takes up space, or it is meant."""


class FoundJob(NamedTuple):
    id: str
    queue: str | None  # `None` if the job no longer exists
    status: str  # the status as the row spells it
    detail: Timestamp = None  # the parent's id, the timestamp or the handler that the damage is about


class Finding(NamedTuple):
    """All jobs with one kind of damage."""

    kind: Damage
    jobs: int  # number of jobs that were found
    examples: tuple[FoundJob, ...]  # the oldest of them
    left: int  # number of damaged jobs after the fixes
    fixed: int = 0  # number of jobs that were fixed, including those that came to light during the fixes

    @property
    def fixable(self) -> bool:
        return self.kind in FIXABLE

    @property
    def is_note(self) -> bool:
        """Whether the finding is only worth knowing: see :data:`NOTES`."""
        return self.kind in NOTES


def in_cycles(edges: Iterable[tuple[str, str]]) -> set[str]:
    """Returns the jobs that wait for themselves, directly or through others, and jobs between two such cycles.

    Args:
        edges: pairs of a job and one of its dependencies.
    """
    above: dict[str, set[str]] = defaultdict(set)
    below: dict[str, set[str]] = defaultdict(set)
    for job, parent in edges:
        above[job].add(parent)
        below[parent].add(job)
    jobs = above.keys() | below.keys()
    # A job without dependencies among the rest is in no cycle, and neither is one without dependents among them.
    return _peeled(_peeled(set(jobs), above, below), below, above)


def _peeled(jobs: set[str], above: dict[str, set[str]], below: dict[str, set[str]]) -> set[str]:
    blocked_by = {job: len(above.get(job, set()) & jobs) for job in jobs}
    free = [job for job, parents in blocked_by.items() if not parents]
    while free:
        job = free.pop()
        jobs.discard(job)
        for other in below.get(job, set()) & jobs:
            blocked_by[other] -= 1
            if not blocked_by[other]:
                free.append(other)
    return jobs
