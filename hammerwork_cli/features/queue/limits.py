"""The limits of ``queue health`` and ``monitor health``, as options."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, TypeVar

import typer

from hammerwork_cli.core.input.reading import duration_of
from hammerwork_cli.errors import UsageError
from hammerwork_cli.features.queue.models.queue import HealthLimits

Value = TypeVar("Value")

_RATE = re.compile(r"(?P<number>\d{1,3}(?:\.\d{1,9})?)(?P<percent>\s*%)?")


@dataclass(frozen=True, slots=True)
class LimitOptions:
    """Limits that a healthy queue stays within; ``off`` disables a check."""

    max_pending: Annotated[
        str,
        typer.Option("--max-pending", metavar="JOBS", help="Maximum number of ready jobs that no worker has claimed."),
    ] = "10000"
    max_pending_age: Annotated[
        str,
        typer.Option("--max-pending-age", metavar="DURATION", help="Longest time a ready job may wait for a worker."),
    ] = "1h"
    max_running_age: Annotated[
        str, typer.Option("--max-running-age", metavar="DURATION", help="Longest time a job may run.")
    ] = "1h"
    max_waiting_age: Annotated[
        str, typer.Option("--max-waiting-age", metavar="DURATION", help="Longest time a job may wait for other jobs.")
    ] = "24h"
    max_retrying: Annotated[
        str,
        typer.Option("--max-retrying", metavar="JOBS", help="Maximum number of Retrying jobs."),
    ] = "10"
    max_failed: Annotated[
        str, typer.Option("--max-failed", metavar="JOBS", help="Maximum number of failures in the last hour.")
    ] = "10"
    max_failure_rate: Annotated[
        str,
        typer.Option(
            "--max-failure-rate",
            metavar="RATE",
            help="Maximum share of failures among jobs that ended in the last hour.",
        ),
    ] = "15%"

    def limits(self) -> HealthLimits:
        """Reads the values."""
        return HealthLimits(
            pending=limit_of("--max-pending", self.max_pending, number),
            pending_age=limit_of("--max-pending-age", self.max_pending_age, duration_of),
            running_age=limit_of("--max-running-age", self.max_running_age, duration_of),
            waiting_age=limit_of("--max-waiting-age", self.max_waiting_age, duration_of),
            retrying=limit_of("--max-retrying", self.max_retrying, number),
            failed=limit_of("--max-failed", self.max_failed, number),
            failure_rate=limit_of("--max-failure-rate", self.max_failure_rate, rate),
        )


def limit_of(option: str, text: str, read: Callable[[str], Value]) -> Value | None:
    """A limit as it was given; ``None`` if it is off."""
    if text.strip().lower() in {"off", "none"}:
        return None
    try:
        return read(text)
    except UsageError as error:
        raise UsageError(f"{option}: {error.message}", hint=error.hint) from error


def number(text: str) -> int:
    """A limit that is a whole number."""
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise UsageError(f"{text[:40]!r} is not a whole number.", hint="Write a whole number, or off.")
    return int(text)


def rate(text: str) -> float:
    """A limit that is a share, 0 to 1."""
    found = _RATE.fullmatch(text.strip())
    share = float(found["number"]) / (100 if found["percent"] else 1) if found else 2.0
    if share > 1:
        raise UsageError(f"{text[:40]!r} is not a rate.", hint="Write 15%, 0.15 or off.")
    return share
