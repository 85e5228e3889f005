"""What a command line gives to a verb, checked before the verb runs: values by their words in the help, and company."""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from math import isfinite
from typing import Any

from hammerwork_cli.core.input import names
from hammerwork_cli.core.input.reading import (
    NO_LIMIT,
    duration_of,
    keys_of,
    number_of,
    rate_of,
    since_of,
    size_of,
    uuid_of,
)
from hammerwork_cli.errors import UsageError

EITHER = (
    ("--by", "--no-tree"),
    ("--by", "--tree"),
    ("--compression-level", "--no-compress"),
    ("--cursor", "--offset"),
    ("--drop", "--rust"),
    ("--dry-run", "--verify-only"),
    ("--every", "--schedule"),
    ("--executor", "--isolation"),
    ("--existing", "--skip-existing"),
    ("--force", "--verify-only"),
    ("--hours", "--since"),
    ("--period", "--since"),
    ("--recent", "--since"),
)
"""Pairs of options of which one would be ignored, in every verb that has both."""
WITHOUT_LIMIT = "--(max-(?!memory).*|purge-after|(completed|dead|failed|timed-out)-after|starts|ends)"
"""Options that take a word of :data:`NO_LIMIT`, too."""
_COMPANION = re.compile(r"With (--[a-z-]+)(?: ([a-z]+(?: or [a-z]+)*))?: ")


def _cursor(text: str) -> None:
    from hammerwork_cli.features.tree.queries.cursors import split

    split(text)


def _expression(text: str) -> None:
    from hammerwork_cli.core.cron.expressions import Expression

    Expression.of(text, None)


def _events(text: str) -> None:
    from hammerwork_cli.features.event.model import event_types

    event_types(names.split([text]) or [""])


def _rate(text: str) -> None:
    from hammerwork_cli.core.input.rates import Rate

    Rate.parse(text)


def _zone(text: str) -> None:
    from hammerwork_cli.core.input.zones import zone_of

    zone_of(text)


def _id(text: str) -> None:
    if uuid_of(text) is None:
        raise UsageError(f"{text[:60]!r} is not a UUID.", hint="Write all of it, with hyphens; uuidgen makes one.")


def _priorities(text: str) -> None:
    from hammerwork_cli.core.input import fields

    for word in names.split([text]) or [""]:
        fields.priority(word.strip())


def _ages(text: str) -> None:
    for word in names.split([text]):
        if (length := word.rpartition("=")[2]) and length.strip().lower() not in NO_LIMIT:
            duration_of(length)


READERS: Mapping[str, Callable[[str], object]] = {
    "CRON": _expression,
    "CURSOR": _cursor,
    "DURATION": duration_of,
    "EVENT": _events,
    "EVENTS": _events,
    "JOBS": number_of,
    "KEY": keys_of,
    "N": number_of,
    "N/PERIOD": _rate,
    "PRIORITY": _priorities,
    "RATE": rate_of,
    "SECONDS": duration_of,
    "SIZE": size_of,
    "TIME": lambda text: since_of(text, datetime.now(UTC)),
    "UUID": _id,
    "ZONE": _zone,
    "[STATUS=]DURATION": _ages,
}
"""Word for a value in the help -> a reader that refuses what cannot be one. A verb may be stricter."""


def check(ctx: Any, options: list[Any]) -> None:
    """Refuses what cannot be a value, and an option that does nothing without another one.

    An option whose help begins with ``With --other:`` does nothing without it, and one whose help begins with
    ``With --other a or b:`` nothing beside another value of it, such as a format that does not draw.
    """
    given = {name for option, values in _given(ctx, options) for name in _names(option, values)}
    if both := next((pair for pair in EITHER if given.issuperset(pair)), None):
        raise UsageError(f"{both[0]} cannot be combined with {both[1]}.", hint="Give one of them.")
    for option, values in _given(ctx, options):
        if any(isinstance(value, float) and not isfinite(value) for value in values):
            raise UsageError(f"{option.opts[-1]} must be a number.", hint="For example 24.")
        if (needed := _COMPANION.match(option.help or "")) and ctx.params.get(option.name) != option.default:
            _refuse_alone(ctx, options, option, *needed.groups())
        if read := READERS.get(option.metavar or ""):
            for value in values:
                _read(option, value, read)


def is_given(ctx: Any, name: str) -> bool:
    """Whether the command line has a parameter, by its name in the code."""
    source = ctx.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _given(ctx: Any, options: list[Any]) -> Iterator[tuple[Any, list[Any]]]:
    for option in options:
        if option.param_type_name == "option" and is_given(ctx, option.name):
            value = ctx.params.get(option.name)
            yield option, [*value] if option.multiple else [value]


def _names(option: Any, values: list[Any]) -> list[str]:
    """The names of an option; of a switch with two names, those that the command line gave."""
    return list(option.secondary_opts if values == [False] else option.opts)


def _read(option: Any, value: Any, read: Callable[[str], object]) -> None:
    if not isinstance(value, str):
        return  # a number, which Click has read
    if value.strip().lower() in NO_LIMIT and re.fullmatch(WITHOUT_LIMIT, option.opts[-1]):
        return
    try:
        read(value)
    except UsageError as error:
        error.message = f"{option.opts[-1]}: {error.message}"
        raise


def _refuse_alone(ctx: Any, options: list[Any], option: Any, name: str, values: str | None) -> None:
    needed = next((one for one in options if name in one.opts), None)
    if needed is None:
        return
    value = ctx.params.get(needed.name)
    if not value:
        wanted = name if values is None else f"{name} {values}"
        raise UsageError(f"{option.opts[-1]} needs {wanted}.", hint=f"Add {wanted}.")
    if values is not None and (word := str(getattr(value, "value", value))) not in values.split(" or "):
        raise UsageError(
            f"{option.opts[-1]} has no effect with {name} {word}.", hint=f"Leave it out, or use {name} {values}."
        )
