"""Options and arguments of several verbs, and readers of their values."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from hammerwork_cli.cli.verb import ONLY_QUEUES
from hammerwork_cli.core.input import names
from hammerwork_cli.core.input.reading import duration_of, since_of
from hammerwork_cli.core.values import JobStatus, statuses_of
from hammerwork_cli.errors import UsageError

CLEAR = "--clear"
MOST_DAYS = 100_000
"""The largest age in days, well within the calendar."""


class Format(StrEnum):
    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"
    CSV = "csv"
    TSV = "tsv"


class DataFormat(StrEnum):
    """The formats of data that no person reads as a table."""

    JSONL = "jsonl"
    JSON = "json"
    CSV = "csv"
    TSV = "tsv"


def configured_limit(ctx: typer.Context, param: typer.CallbackParam, limit: int) -> int:
    """``--limit`` if it was given, else the setting ``default_limit``, else the default of the verb."""
    source = ctx.get_parameter_source(param.name or "")
    if ctx.obj is None or source is None or source.name != "DEFAULT":
        return limit
    configured = ctx.obj.settings.get("default_limit").value
    return limit if configured is None else int(configured)


FormatOption = Annotated[
    Format, typer.Option("--format", help="Output format: table for people, the others for programs.")
]
WithoutColumnOption = Annotated[
    list[str] | None,
    typer.Option(
        "--without-column", metavar="NAME", help="Leave out a column that this version does not know (repeatable)."
    ),
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Show the plan and change nothing.")]
FullOption = Annotated[bool, typer.Option("--full", help="Show the whole payload, result and error on a terminal too.")]
ReasonOption = Annotated[str | None, typer.Option("--reason", metavar="TEXT", help="Reason to show to others.")]
DataFormatOption = Annotated[DataFormat, typer.Option("--format", help="Output format.")]
FieldsOption = Annotated[
    list[str] | None,
    typer.Option("--fields", metavar="NAMES", help="Only these fields of the JSON, in this order: A,B,C."),
]
AppDirOption = Annotated[
    Path | None,
    typer.Option(
        "--app-dir",
        metavar="FOLDER",
        file_okay=False,
        exists=True,
        help="Folder of MODULE. [default: current folder]",
    ),
]
OptionalJobArgument = Annotated[
    str | None, typer.Argument(metavar="[JOB]", help="A job's id, or at least its first 4 hex digits.")
]
JobArgument = Annotated[str, typer.Argument(metavar="JOB", help="A job's id, or at least its first 4 hex digits.")]


def several_names(ctx: typer.Context, param: typer.CallbackParam, given: list[str] | None) -> list[str] | None:
    """The names that an option gives, which may be repeated and takes commas; ``None`` if it is not given."""
    if not given:
        return None
    found = names.split(given)
    if not found:
        option = param.opts[-1]
        # A verb with --clear changes what is stored: without the option, that stays.
        clears = option != CLEAR and any(CLEAR in one.opts for one in ctx.command.params)
        otherwise = f"write {CLEAR} {option.removeprefix('--')}" if clears else "leave the option out"
        raise UsageError(f"{option} needs a name.", hint=f"Name one, or {otherwise}.")
    return list(dict.fromkeys(found))


def one_name(param: typer.CallbackParam, given: str | None) -> str | None:
    """The callback of an option that gives one name, in the spelling of those that give several."""
    found = names.split([given or ""])
    if len(found) > 1:
        from shlex import quote

        raise UsageError(
            f"{param.opts[-1]} takes one name here, and {given!r:.80} has commas.",
            hint=f"If they belong to the name: {param.opts[-1]} {quote(names.joined([given or '']))[:80]}",
        )
    return found[0] if found else given


def _keep_queues(ctx: typer.Context, param: typer.CallbackParam, queues: list[str] | None) -> list[str] | None:
    found = several_names(ctx, param, queues)
    ctx.meta[ONLY_QUEUES] = found
    return found


def since_option(what: str) -> Any:
    """``--since`` of a verb that looks back, for :func:`start_of`."""
    return typer.Option("--since", metavar="TIME", help=f"{what} since this: 2h (ago), 14:00, 2026-12-24.")


def until_option(what: str) -> Any:
    """``--until`` of a verb that looks back."""
    return typer.Option("--until", metavar="TIME", help=f"{what} before this: 2h (ago), 14:00, 2026-12-24.")


HoursOption = Annotated[float | None, typer.Option("--hours", min=0.01, max=1_000_000, hidden=True)]


def start_of(now: datetime, since: str, hours: float | None = None) -> datetime:
    """The time at which a window of ``--since`` or of ``--hours`` begins."""
    start = since_of(since, now) if hours is None else now - timedelta(hours=hours)
    if now - start < timedelta(seconds=1):
        raise UsageError("--since must be at least 1s ago.", hint="Write 15m, 1h, 24h or 7d.")
    return start


QueueOption = Annotated[
    list[str] | None,
    typer.Option(
        "-q", "--queue", metavar="QUEUE", callback=_keep_queues, help="Only these queues: mail,report (repeatable)."
    ),
]
ErrorLimitOption = Annotated[
    int, typer.Option("-l", "--limit", metavar="N", min=1, max=100_000, help="Maximum number of errors.")
]
LimitOption = Annotated[
    int,
    typer.Option(
        "-l", "--limit", metavar="N", min=1, max=1_000_000, help="Maximum number of rows.", callback=configured_limit
    ),
]
CursorOption = Annotated[
    str | None,
    typer.Option("--cursor", metavar="CURSOR", help="Start after this: the last row's id, or CREATED_AT/ID."),
]


def statuses(given: list[str] | None) -> list[JobStatus] | None:
    """Statuses in any letter case, several in one value or in several values; ``None`` without a value."""
    if not given:
        return None
    return statuses_of([word.strip() for word in names.split(given) if word.strip()] or [""])


def _check_statuses(given: list[str] | None) -> list[str] | None:
    statuses(given)
    return given


StatusOption = Annotated[
    list[str] | None,
    typer.Option(
        "-t",
        "--status",
        metavar="STATUS",
        callback=_check_statuses,
        help="Only these statuses: failed,dead (case does not matter).",
    ),
]
WatchOption = Annotated[bool, typer.Option("--watch", help="Redraw until you press q or Ctrl-C; ? shows the keys.")]
IntervalOption = Annotated[
    str | None,
    typer.Option("--interval", metavar="SECONDS", help="With --watch: refresh interval. [default: 2]"),
]
CountOption = Annotated[
    int | None, typer.Option("--count", metavar="N", min=1, help="With --watch: stop after this many refreshes.")
]
SortOption = Annotated[
    str | None,
    typer.Option("--sort", metavar="FIELD", help="Sort by this field of the JSON; -FIELD for the largest first."),
]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")]


def clear_option(words: Iterable[str]) -> Any:
    """``--clear``, for a verb that changes what others gave, and takes these words."""
    return typer.Option(CLEAR, metavar="WHAT", callback=several_names, help=f"Reset these: {', '.join(words)}.")


def cleared(
    fields: Mapping[str, tuple[str, Any]], words: Iterable[str], changed: Collection[str]
) -> Iterator[tuple[str, Any]]:
    """Yields the fields that the words of ``--clear`` name, with the values that they have without anybody's word.

    Args:
        fields: word -> field and value.
        changed: fields that get another value.
    """
    for word in words:
        if word not in fields:
            raise UsageError(f"--clear {word[:40]!r} is not possible.", hint=f"One of: {', '.join(fields)}.")
        field, value = fields[word]
        if field in changed:
            raise UsageError(f"--clear {word} contradicts another option.", hint="Give one of them.")
        yield field, value


EncryptionKeyOption = Annotated[
    list[str] | None,
    typer.Option(
        "--encryption-key",
        metavar="[ID=]PLACE",
        help="Key of encrypted payloads: env:NAME or @FILE (repeatable). [default: setting encryption_keys]",
    ),
]
NoEncryptOption = Annotated[
    bool, typer.Option("--no-encrypt", help="Write plaintext even to queues that hold encrypted jobs.")
]
GiveUpOption = Annotated[
    str | None,
    typer.Option("--timeout", metavar="DURATION", help="With --wait: give up after 90s, 15m. [default: never]"),
]


def age(text: str) -> timedelta:
    """The age of jobs to delete: a duration with its unit, because 30 may mean days."""
    if text.strip()[-1:].isdigit():
        raise UsageError(f"{text[:40]!r} has no unit.", hint="Write 30m, 12h or 30d.")
    return duration_of(text)


def duration_as_given(length: str | None) -> str:
    """A duration as it was given, with ``s`` if it has no unit."""
    return f"{length} s" if (length or "")[-1:].isdigit() else f"{length}"


# Watching.

SHORTEST_INTERVAL = 0.1
LONGEST_INTERVAL = 24 * 3600.0


def seconds_between(interval: str) -> float:
    """Seconds between two refreshes."""
    seconds = duration_of(interval).total_seconds()
    if seconds < SHORTEST_INTERVAL:
        raise UsageError("--interval is too short: the database would do nothing else.", hint="Write 0.1 or more.")
    if seconds > LONGEST_INTERVAL:
        raise UsageError("--interval is too long.", hint="Write a day (1d) or less.")
    return seconds
