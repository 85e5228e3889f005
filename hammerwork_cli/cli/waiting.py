"""What the commands have in common that wait for an end."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from hammerwork_cli.cli.context import Context
from hammerwork_cli.cli.options import duration_as_given
from hammerwork_cli.cli.outages import OutageNotes
from hammerwork_cli.core.input.reading import duration_of
from hammerwork_cli.errors import TimedOutError, UsageError
from hammerwork_cli.view.text import plural

if TYPE_CHECKING:
    from hammerwork_cli.database import Database
    from hammerwork_cli.database.waiting import Wait
    from hammerwork_cli.features.batch.queries.reader import EndWatch, Of

SHORTEST_WAIT = 0.01
"""Seconds between two looks, at least."""
GiveUpOption = Annotated[
    str | None,
    typer.Option(
        "--timeout", metavar="DURATION", help="Give up after 90 (seconds), 15m; 0 checks once. [default: never]"
    ),
]
IntervalOption = Annotated[str, typer.Option("--interval", metavar="DURATION", help="Refresh interval: 500ms, 5s.")]


def seconds_between(interval: str) -> float:
    seconds = duration_of(interval).total_seconds()
    if seconds < SHORTEST_WAIT:
        raise UsageError("--interval is too short: the database would do nothing else.", hint="Write 0.1s or more.")
    return seconds


def seconds_until(timeout: str | None) -> float | None:
    """The seconds of a timeout, if there is one. Raises UsageError if it is not a duration."""
    return None if timeout is None else duration_of(timeout).total_seconds()


def wait_until_ended(
    context: Context,
    noun: str,
    watch: Callable[["Database"], "EndWatch[Of]"],
    show: Callable[["Of"], None],
    *,
    interval: str,
    timeout: str | None,
) -> "Of":
    """Waits until a batch or a workflow has ended, shows it, and returns it; raises TimedOutError if it has not."""
    waits = wait_of(context, interval, timeout)
    watching = watch(context.database())
    in_time = waits.until(watching.look, watching.connected)
    found = watching.found
    show(found)
    if not in_time:
        left = f"{plural(found.counts.open, 'job')} left" if found.counts.total else "it has no jobs"
        raise TimedOutError(
            f"The {noun} has not ended within {duration_as_given(timeout)}: {left}.",
            hint=f"See: hammerwork {noun} show {found.id}",
        )
    return found


def wait_of(context: Context, interval: str, timeout: str | None) -> "Wait":
    """A wait that begins now, and that says on stderr when the server goes away."""
    from hammerwork_cli.database.waiting import Wait

    between, most = seconds_between(interval), seconds_until(timeout)
    return Wait(context.database, OutageNotes(context), interval=between, timeout=most)
