"""Jobs by the time since they ended, for ``archive run`` and ``maintenance cleanup``."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any

import typer

from hammerwork_cli.cli.context import Context
from hammerwork_cli.cli.options import MOST_DAYS
from hammerwork_cli.core.input.reading import before
from hammerwork_cli.core.values import UNSUCCESSFUL, JobStatus
from hammerwork_cli.database import Database
from hammerwork_cli.errors import UsageError
from hammerwork_cli.features.archive.models.ages import Ages
from hammerwork_cli.features.job.models.job import JobFilter
from hammerwork_cli.features.job.queries.finished_trees import FinishedTrees
from hammerwork_cli.features.job.queries.selections import BATCH, ByFilter, Selection
from hammerwork_cli.view.text import plural


def days_option(text: str) -> Any:
    """An option of a number of days, with its help."""
    return typer.Option(metavar="DAYS", min=0, max=MOST_DAYS, help=text)


class By(StrEnum):
    """What goes together."""

    TREE = "tree"
    JOB = "job"


ByOption = Annotated[
    By, typer.Option("--by", help="Take whole trees (QUEUE is that of the root), or each job by itself.")
]
BatchOption = Annotated[
    int, typer.Option("--batch-size", metavar="N", min=1, max=10_000, help="Maximum number of jobs per transaction.")
]


def days(*numbers: float | None) -> timedelta:
    """The first number of days that was given, as a duration."""
    return timedelta(days=next(number for number in numbers if number is not None))


def selection(
    database: Database,
    now: datetime,
    ages: Ages,
    *,
    queues: Sequence[str] = (),
    wanted: Collection[JobStatus] | None = None,
    by: By = By.TREE,
    batch: int = BATCH,
) -> Selection:
    """The jobs that are old enough.

    Args:
        ages: how old.
        queues: only these; without any, all.
        wanted: only these statuses.
        by: what goes together.
        batch: most jobs in a transaction.

    Raises:
        UsageError: an age is before the year 1, or a status is not that of an ended job.
    """
    asked = set(wanted or ())
    open_ = sorted(asked - UNSUCCESSFUL - {JobStatus.COMPLETED})
    if open_:
        raise UsageError(f"{open_[0]} jobs have not ended.", hint="Give completed, failed, dead or timedout.")
    chosen = JobFilter(
        queues=tuple(queues),
        statuses=tuple(sorted(asked)),
        ended=tuple((status, before(now, age)) for status, age in ages.by_status.items()),
        kept_until=now if "retention_delete_at" in database.jobs_columns() else None,
    )
    return FinishedTrees(chosen, batch=batch) if by is By.TREE else ByFilter(chosen, batch=batch)


def note_uncounted(context: Context, database: Database) -> None:
    """Notes how many open callbacks keep jobs."""
    from hammerwork_cli.features.batch.queries.callbacks import count_uncounted

    callbacks = count_uncounted(database)
    if callbacks:
        context.note(f"The jobs of {plural(callbacks, 'open callback')} stay until a worker has counted them.")
