"""How old jobs of each status must be before they go."""

from datetime import timedelta
from typing import NamedTuple

from hammerwork_cli.core.values import JobStatus


class Ages(NamedTuple):
    """The time since its end after which a job goes, by its status; ``None``: never."""

    completed: timedelta | None = None
    failed: timedelta | None = None  # of Cancelled jobs, too, which rows hold as Failed
    dead: timedelta | None = None
    timed_out: timedelta | None = None

    @property
    def by_status(self) -> dict[JobStatus, timedelta]:
        """Status -> age, for the statuses that have one."""
        ages = {
            JobStatus.COMPLETED: self.completed,
            JobStatus.FAILED: self.failed,
            JobStatus.DEAD: self.dead,
            JobStatus.TIMED_OUT: self.timed_out,
        }
        return {status: age for status, age in ages.items() if age is not None}
