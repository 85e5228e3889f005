"""Retention policies: how long jobs are kept, and what becomes of them then."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from hammerwork_cli.core.clock import is_due
from hammerwork_cli.core.values import JobStatus

Ages = Mapping[JobStatus, timedelta]
"""The time since its end after which a job goes, by those statuses of :data:`ENDS` that have one."""

FIRST_RUN_DELAY = timedelta(minutes=10)
"""Time between setting a policy and the first job that goes, for second thoughts."""

COMPRESSION_LEVEL = 6
"""Of gzip, unless somebody chooses another."""


class By(StrEnum):
    """What goes together."""

    TREE = "tree"
    JOB = "job"


class PolicyAction(StrEnum):
    """What becomes of jobs that are old enough."""

    ARCHIVE = "archive"
    DELETE = "delete"


class Policy(NamedTuple):
    queue: str  # that of roots, or `EVERY_QUEUE`
    action: str  # a `PolicyAction`, or an unknown word of a later version
    ages: Ages  # how old jobs must be
    # Time in the archive, after which archived jobs of the queue are deleted; `None`: never.
    purge_after: timedelta | None = None
    by_tree: bool = True  # whether whole trees go; otherwise each job by itself
    level: int | None = COMPRESSION_LEVEL  # of gzip in the archive; `None`: payloads are not packed
    enabled: bool = True  # whether workers carry it out
    updated_at: datetime | None = None  # when it was set
    updated_by: str | None = None  # who set it
    last_run_at: datetime | None = None  # when a worker has carried it out; `None`: not yet
    last_jobs: int | None = None  # jobs that went then
    last_error: str | None = None  # why that failed; `None` if it did not

    def is_in_force(self, now: datetime) -> bool:
        """Whether workers may carry it out: it is enabled, and was set a while ago."""
        return self.enabled and (
            self.updated_at is None or is_due(self.updated_at + FIRST_RUN_DELAY, now, FIRST_RUN_DELAY)
        )
