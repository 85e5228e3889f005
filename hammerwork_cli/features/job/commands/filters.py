"""The filters of ``job list`` and ``job export``."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

import typer

from hammerwork_cli.cli.options import QueueOption, StatusOption, statuses
from hammerwork_cli.core.values import FAILURES, JobStatus
from hammerwork_cli.database import Database
from hammerwork_cli.features.job.commands import options as read
from hammerwork_cli.features.job.commands.options import (
    BatchOption,
    ErrorOption,
    FailedOption,
    FailedSinceOption,
    InPayloadOption,
    LastHoursOption,
    PriorityOption,
    SinceOption,
    UntilOption,
    WorkflowOption,
)
from hammerwork_cli.features.job.models.job import JobFilter

CompletedOption = Annotated[bool, typer.Option("--completed", help="Only Completed jobs.")]


@dataclass(frozen=True, slots=True)
class Filters:
    """The options that choose jobs to read."""

    queue: QueueOption = None
    status: StatusOption = None
    priority: PriorityOption = None
    failed: FailedOption = False
    completed: CompletedOption = False
    since: SinceOption = None
    until: UntilOption = None
    last_hours: LastHoursOption = None
    error: ErrorOption = None
    payload: InPayloadOption = None
    failed_since: FailedSinceOption = None
    batch: BatchOption = None
    workflow: WorkflowOption = None

    def chosen(self, now: datetime) -> JobFilter:
        """The filters as one value."""
        wanted = {*(statuses(self.status) or ()), *read.failures(self.failed, self.status)}
        wanted |= {JobStatus.COMPLETED} if self.completed else set()
        failed_since = read.start_of_window(now, self.failed_since)
        if failed_since is not None:
            wanted = wanted or {*FAILURES, JobStatus.RETRYING}
        return JobFilter(
            queues=tuple(self.queue or ()),
            statuses=tuple(sorted(wanted)),
            priorities=read.priorities(self.priority),
            since=read.start_of_window(now, self.since, self.last_hours),
            until=read.end_of_window(now, self.until),
            error=read.error_text(self.error),
            payload=read.in_payload(self.payload),
            failed_since=failed_since,
        )

    def within(self, database: Database, chosen: JobFilter) -> JobFilter:
        """Adds the batch and the workflow to the other filters. Lists without them start faster."""
        return read.within(database, chosen, self.batch, self.workflow)
