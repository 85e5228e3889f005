"""The filters of ``job list`` and ``job export``."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

import typer

from hammerwork_cli.cli.options import QueueOption, StatusOption, several_names, statuses
from hammerwork_cli.core.values import FAILURES, JobStatus
from hammerwork_cli.database import Database
from hammerwork_cli.features.job.commands import options as read
from hammerwork_cli.features.job.commands.options import (
    ErrorOption,
    FailedOption,
    FailedSinceOption,
    InPayloadOption,
    LastHoursOption,
    PriorityOption,
    SinceOption,
    UntilOption,
)
from hammerwork_cli.features.job.models.job import JobFilter

BatchOption = Annotated[
    list[str] | None,
    typer.Option(
        "--batch",
        metavar="BATCH",
        callback=several_names,
        help="Only jobs of these batches: ids, or at least 4 hex digits of each.",
    ),
]
WorkflowOption = Annotated[
    list[str] | None,
    typer.Option(
        "--workflow",
        metavar="WORKFLOW",
        callback=several_names,
        help="Only jobs of these workflows: ids, or at least 4 hex digits of each.",
    ),
]
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
            wanted = wanted or set(FAILURES)
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
        """Adds the batch and the workflow to the other filters. Lists without them start faster.

        Raises:
            UsageError, NotFoundError, AmbiguousIdError: one is not the id of any.
        """
        if self.batch is not None:
            from hammerwork_cli.features.batch.queries import listing as batches

            chosen = chosen._replace(batches=tuple(batches.resolve(database, one) for one in self.batch))
        if self.workflow is not None:
            from hammerwork_cli.features.workflow.queries import listing as workflows

            chosen = chosen._replace(workflows=tuple(workflows.resolve(database, one) for one in self.workflow))
        return chosen
