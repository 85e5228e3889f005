"""How old jobs of each status must be before they go."""

from datetime import timedelta
from typing import NamedTuple

from hammerwork_cli.core.values import ENDS, JobStatus


class Ages(NamedTuple):
    """The time since its end after which a job goes, by its status, in the order of :data:`ENDS`; ``None``: never."""

    completed: timedelta | None = None
    failed: timedelta | None = None  # of Cancelled jobs, too, which rows hold as Failed
    dead: timedelta | None = None
    timed_out: timedelta | None = None

    @property
    def by_status(self) -> dict[JobStatus, timedelta]:
        """Status -> age, for the statuses that have one."""
        return {status: age for status, age in zip(ENDS, self, strict=True) if age is not None}
