"""The options that choose jobs, and readers of their values."""

from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Annotated

import typer

from hammerwork_cli import disk
from hammerwork_cli.cli.options import several_names, since_option, until_option
from hammerwork_cli.core.input import fields, names
from hammerwork_cli.core.input.reading import before, since_of, uuid_of
from hammerwork_cli.core.values import FAILURES, JobPriority, JobStatus
from hammerwork_cli.database import Database
from hammerwork_cli.errors import HammerworkError, UsageError
from hammerwork_cli.features.job.models.job import JobFilter

JobsArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="[JOB]...", help="Job ids, or at least their first 4 hex digits; - reads stdin."),
]
PriorityOption = Annotated[
    list[str] | None,
    typer.Option(
        "-r", "--priority", metavar="PRIORITY", help="Only these priorities: high,critical (case does not matter)."
    ),
]
SinceOption = Annotated[str | None, since_option("Only jobs created")]
UntilOption = Annotated[str | None, until_option("Only jobs created")]
LastHoursOption = Annotated[
    float | None,
    typer.Option("--last-hours", min=0, max=1_000_000, hidden=True),
]
ErrorOption = Annotated[
    str | None,
    typer.Option("--error", metavar="TEXT", help="Only jobs with TEXT in their error; * stands for any text."),
]
InPayloadOption = Annotated[
    list[str] | None,
    typer.Option(
        "--payload",
        metavar="KEY=TEXT",
        help="Only jobs with TEXT at KEY of their payload: order.customer=ac*.",
    ),
]
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
FailedSinceOption = Annotated[
    str | None,
    typer.Option(
        "--failed-since",
        metavar="TIME",
        help="Only jobs whose last attempt failed since: 2h (ago), 14:00.",
    ),
]
FailedSinceHoursOption = Annotated[
    float | None, typer.Option("--failed-since-hours", min=0, max=1_000_000, hidden=True)
]
FailedOption = Annotated[bool, typer.Option("--failed", help="Only Failed, Dead and TimedOut jobs.")]
CancelledOption = Annotated[
    bool, typer.Option("--cancelled", help="Also Cancelled jobs; only these if no other status is given.")
]
ForceOption = Annotated[bool, typer.Option("--force", help="Include jobs that are refused otherwise; see above.")]
TreeOption = Annotated[bool, typer.Option("--tree", help="Each JOB and everything below it.")]
AllOption = Annotated[bool, typer.Option("--all", help="All jobs whose status allows the change.")]
JobIdOption = Annotated[list[str] | None, typer.Option("--job-id", callback=several_names, hidden=True)]

LONGEST_ERROR_TEXT = 1000
MOST_IDS = 1_000_000
"""Ids that stdin may list."""


def failures(failed: bool, status: list[str] | None) -> Collection[JobStatus]:
    """The statuses of ``--failed``.

    Raises:
        UsageError: ``--status`` is given too. One reader adds both, another takes the jobs that are in both.
    """
    if failed and status:
        raise UsageError("Give --failed or --status, not both.", hint="--failed is --status failed,dead,timedout.")
    return FAILURES if failed else ()


def priorities(given: list[str] | None) -> tuple[JobPriority, ...]:
    """Priorities in any letter case, several in one value or several values."""
    words = [word.strip() for word in names.split(given or ()) if word.strip()]
    return tuple(fields.priority(word) for word in words or (given and [""]) or ())


def start_of_window(now: datetime, since: str | None, last_hours: float | None = None) -> datetime | None:
    """The start of the window of ``--since`` or ``--last-hours``, the later one if both are given.

    ``--failed-since`` and ``--failed-since-hours`` are such a pair, too.
    """
    starts = [since_of(since, now)] if since is not None else []
    starts += [before(now, timedelta(hours=last_hours))] if last_hours is not None else []
    return max(starts, default=None)


def end_of_window(now: datetime, until: str | None) -> datetime | None:
    """The end of the window of ``--until``."""
    return None if until is None else since_of(until, now)


def within(
    database: Database, chosen: JobFilter, batches: Sequence[str] | None, workflows: Sequence[str] | None
) -> JobFilter:
    """Adds batches and workflows to the other filters."""
    if batches is not None:
        from hammerwork_cli.features.batch.queries.listing import resolve

        chosen = chosen._replace(batches=tuple(resolve(database, one) for one in batches))
    if workflows is not None:
        from hammerwork_cli.features.workflow.queries.listing import resolve

        chosen = chosen._replace(workflows=tuple(resolve(database, one) for one in workflows))
    return chosen


def error_text(given: str | None) -> str | None:
    """The text of ``--error``.

    Raises:
        UsageError: it is blank, as an empty variable of a script would be, or too long.
    """
    if given is None:
        return None
    if not given.strip():
        raise UsageError("--error needs a text.", hint="To take all jobs, leave it out.")
    if len(given) > LONGEST_ERROR_TEXT:
        raise UsageError(f"The text of --error has at most {LONGEST_ERROR_TEXT:,} characters.")
    return given


def in_payload(given: list[str] | None) -> tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]:
    """The paths of keys of ``--payload``, each with the texts of which a payload must have one there."""
    found: dict[tuple[str, ...], list[str]] = {}
    for pair in given or ():
        path, equals, wanted = fields.text(pair, "--payload").partition("=")
        keys = tuple(path.split("."))
        if not equals or not all(keys) or {'"', "\\"} & set(path):
            raise UsageError(
                f"{pair[:60]!r} is not KEY=TEXT.", hint="Such as customer=acme, or order.id=17 for a key of an object."
            )
        found.setdefault(keys, []).append(wanted)
    return tuple((keys, tuple(texts)) for keys, texts in found.items())


def ids_of_stdin(resolve: Callable[[str], str]) -> Iterator[str]:
    """Yields the full ids of the jobs that stdin lists, one a line."""
    for number, line in enumerate(disk.lines(), 1):
        if number > MOST_IDS:
            raise UsageError(f"stdin has more than {MOST_IDS:,} lines.", hint="Give them in parts: split -l 1000000")
        try:
            yield uuid_of(line) or resolve(line)
        except HammerworkError as error:
            error.message = f"Line {number}: {error.message}"
            raise


def text_from(value: str) -> str:
    """The text itself, the content of ``@file``, or of stdin for ``-``."""
    return disk.text(value if value == "-" else value[1:]) if value == "-" or value.startswith("@") else value
