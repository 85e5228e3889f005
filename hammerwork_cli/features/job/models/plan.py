"""A change to jobs: its plan, its outcome, and the refusal of a single job."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from hammerwork_cli.core.values import Counts, JobStatus


class Reason(StrEnum):
    """Why a change skips a job, where the job's status is not the reason."""

    GONE = "gone"
    CHANGED_MEANWHILE = "changed_meanwhile"
    ARCHIVED = "archived"
    PARENT_FAILED = "parent_failed"
    WAITED_FOR = "waited_for"
    STILL_COMING = "still_coming"
    HAS_CHILDREN = "has_children"
    SPAWN_REQUESTED = "spawn_requested"
    AWAITED = "awaited"
    EXISTS = "exists"
    UNREADABLE = "unreadable"


class JobGroup(NamedTuple):
    """Jobs that share a queue and a status, counted."""

    queue: str
    status: str
    jobs: int
    changes: bool = True  # whether the change takes jobs in this status


class DueLater(NamedTuple):
    """Jobs that a retry leaves due later, since they were cancelled before they were due."""

    jobs: int = 0
    first_at: datetime | None = None  # the earliest due time


NOT_LATER = DueLater()


@dataclass(slots=True)
class ChangeOutcome:
    """What a change did to jobs."""

    action: str  # `retry`, `cancel`, `delete`, `purge`, `archive` or `restore`
    changed: int = 0
    left: Counts = field(default_factory=Counts)  # reason -> jobs that it skipped: a `Reason`, or their status
    followed: int = 0  # dependents that it changed with them
    refused: int = 0  # skipped jobs that make the change incomplete
    job: str | None = None  # the id of the only job that was named
    later: DueLater = NOT_LATER  # of the jobs that changed


class ChangePlan(NamedTuple):
    """What a change would do."""

    action: str  # `retry`, `cancel`, `delete`, `purge`, `archive` or `restore`
    groups: tuple[JobGroup, ...]  # the selected jobs, archived ones aside
    changed: int  # how many of them would change
    left: Counts  # reason -> jobs that it would skip
    cautious: bool = False  # whether jobs that count as changed may still be skipped: that takes locks to tell
    job: str | None = None  # the id of the only job that was named
    later: DueLater = NOT_LATER  # of the jobs that would change

    @classmethod
    def of(
        cls,
        action: str,
        groups: tuple[JobGroup, ...],
        further: Mapping[str, int],
        *,
        cautious: bool = False,
        job: str | None = None,
        later: DueLater = NOT_LATER,
    ) -> "ChangePlan":
        """Adds up a plan.

        Args:
            further: reason -> jobs that the change skips besides.
        """
        left = Counts()
        for group in groups:
            if not group.changes:
                left.add(group.status, group.jobs)
        left.merge(Counts(dict(further)))
        return cls(action, groups, sum(group.jobs for group in groups if group.changes), left, cautious, job, later)

    @property
    def changing(self) -> list[JobGroup]:
        """The groups that would change, the largest first."""
        return sorted((group for group in self.groups if group.changes), key=lambda group: -group.jobs)

    @property
    def touches_running(self) -> bool:
        """Whether Running jobs would change."""
        return any(group.status == JobStatus.RUNNING for group in self.groups if group.changes)

    @property
    def foreseen(self) -> ChangeOutcome:
        """The outcome, if nothing happens meanwhile."""
        return ChangeOutcome(self.action, self.changed, self.left, job=self.job, later=self.later)


class Refusal(NamedTuple):
    """Why a change skipped the only job that was named."""

    action: str  # of the change
    job: str  # its id
    reason: str  # a `Reason`, or its status
    failed_below: bool = False  # whether the change would help jobs below it
