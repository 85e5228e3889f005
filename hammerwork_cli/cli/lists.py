"""Lists: with chosen fields, sorted, and watched. The verbs that list something share these options."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from hammerwork_cli.cli.context import Context
from hammerwork_cli.cli.options import (
    CountOption,
    FieldsOption,
    Format,
    FormatOption,
    IntervalOption,
    SortOption,
    WatchOption,
    seconds_between,
)
from hammerwork_cli.errors import HammerworkError, UsageError

if TYPE_CHECKING:
    from hammerwork_cli.database import Database
    from hammerwork_cli.view.json import Record
    from hammerwork_cli.view.shape import Shape

Model = TypeVar("Model")

INTERVAL = "2"
MOST_UNKNOWN_QUEUES = 20
"""Queues whose names are looked at for a typing error."""
FORMATS = frozenset({Format.TABLE, Format.JSON, Format.JSONL})


@dataclass(frozen=True, slots=True)
class ListOptions:
    fields: FieldsOption = None
    sort: SortOption = None
    watch: WatchOption = False
    interval: IntervalOption = None
    count: CountOption = None
    form: FormatOption = Format.TABLE


class Order(NamedTuple):
    field: str  # a key of its records
    descending: bool  # whether the largest come first. Records without a value come last in any case.

    @classmethod
    def of(cls, text: str | None, keys: Sequence[str]) -> "Order | None":
        """Reads the value of ``--sort``.

        Args:
            text: a key, with a hyphen before it for the largest first; ``None`` for the order of the verb.
        """
        if text is None:
            return None
        descending, field = text.startswith("-"), text.removeprefix("-").strip()
        if field not in keys:
            member = next((key for key in keys if key.rpartition(".")[2].lower() == field.lower()), None)
            close = f"Did you mean {member}? " if member else ""
            raise UsageError(f"{field[:40]!r} is not a field to sort by.", hint=f"{close}Fields: {', '.join(keys)}.")
        return cls(field, descending)

    def sorted(self, rows: Iterable[Model], record: "Callable[[Model], Record]") -> list[Model]:
        """Sorts models by a value of their records."""
        from hammerwork_cli.view.fields import member

        valued = [(member(record(row), self.field), row) for row in rows]
        known = [pair for pair in valued if pair[0] is not None]
        known.sort(key=lambda pair: _rank(pair[0]), reverse=self.descending)
        return [row for _, row in known] + [row for value, row in valued if value is None]


def _rank(value: object) -> Any:
    """Something to compare: numbers are compared as such, text without letter case, lists by their members."""
    if isinstance(value, (list, tuple)):
        return (1, [str(one).lower() for one in value])
    return (0, value) if isinstance(value, (int, float)) else (1, str(value).lower())


class Listing(NamedTuple, Generic[Model]):
    name: str  # of the verb, for the first line on a terminal
    read: "Callable[[Database], Iterable[Model]]"
    columns: Callable[[], Sequence[Any]]  # returns the columns of the table
    shape: "Shape[Model]"  # that of a model, for programs
    empty: str  # note on stderr instead of a table without rows
    is_sorted: bool = False  # whether `read` sorts it as `--sort` asks; others are sorted by any key


def show_list(context: Context, listing: Listing[Any], options: ListOptions) -> None:
    """Shows a list once, or again and again with ``--watch``."""
    order = None if listing.is_sorted else Order.of(options.sort, listing.shape.columns)
    if order is not None:
        read, record = listing.read, listing.shape.record
        listing = listing._replace(read=lambda database: order.sorted(read(database), record))
    if options.watch:
        _watch(context, listing, options)
        return
    context.show(
        listing.read(context.database()),
        options.form,
        columns=listing.columns,
        shape=listing.shape,
        empty=listing.empty,
        fields=options.fields,
    )


def note_lost_jobs(context: Context) -> None:
    """Prints a note if jobs have been running for long, and no registered worker has them."""
    from hammerwork_cli.features.monitor.queries.health import has_lost_jobs

    if not context.is_quiet and has_lost_jobs(context.database(), now=context.now()):
        context.note(
            "Jobs have been Running for over 1 h, and no registered worker has them. See: hammerwork spawn doctor"
            " --older-than 1h"
        )


def warn_unknown_queues(context: Context, named: Sequence[str]) -> None:
    """Prints a note for each queue that a verb is limited to, if no job is in it and it is not paused.

    A verb that has found something in its only queue has no need of it.
    """
    if (context.found_rows and len(named) == 1) or context.is_quiet or not context.databases:
        return
    from hammerwork_cli.features.queue import queries as queues
    from hammerwork_cli.features.queue.views.changes import unknown_queue_text

    database = context.databases[-1]
    with suppress(HammerworkError):  # the verb itself has done its work
        for queue in named[:MOST_UNKNOWN_QUEUES]:
            if not queues.has_jobs(database, queue) and queue not in queues.pauses(database).by_queue:
                context.note(unknown_queue_text(queue, queues.similar(database, queue)))


def note_new_queue(context: Context, database: "Database", queue: str) -> None:
    """Prints a note if a queue that a command names for what is to come has no jobs, and a name like another's."""
    if context.is_quiet:
        return
    from hammerwork_cli.features.queue import queries as queues
    from hammerwork_cli.view.text import visible

    close = None if queues.has_jobs(database, queue) else queues.similar(database, queue)
    if close is not None:
        context.note(f"Queue {visible(queue)!r} is new; did you mean {visible(close)!r}?")


# Watching.


class _Seen(NamedTuple):
    """A list as it was at one time."""

    at: datetime
    rows: Sequence[Any]


class _Reread:
    """Reads a list again and again."""

    def __init__(self, context: Context, database: "Database", listing: Listing[Any]) -> None:
        self._context, self._database, self._listing = context, database, listing

    def connected(self, database: "Database") -> None:
        """Continues with another connection."""
        self._database = database

    def refresh(self) -> _Seen:
        return _Seen(self._context.now(), list(self._listing.read(self._database)))


def _watch(context: Context, listing: Listing[Any], options: ListOptions) -> None:
    from hammerwork_cli.cli.live import Pace, follow_in_lines, follow_on_screen
    from hammerwork_cli.cli.screen import can_redraw
    from hammerwork_cli.view import fields as picking

    if options.form not in FORMATS:
        raise UsageError(f"--watch has no format {options.form}.", hint="Take table, json or jsonl.")
    pace = Pace(seconds_between(options.interval or INTERVAL), None, options.count)
    names = picking.chosen(options.fields, listing.shape.columns) if options.fields is not None else None
    drawing = _Drawing(context, listing, names, pace.interval)
    watch = _Reread(context, context.database(), listing)
    if options.form == Format.TABLE and can_redraw(context):
        follow_on_screen(context, watch, _never, drawing.picture, drawing.last_picture, pace)
    else:
        follow_in_lines(context, watch, _never, _Changes(drawing, options.form).lines, pace)


def _never(seen: _Seen) -> None:
    """Nothing that a list shows ends the watching."""
    del seen


class _Drawing:
    def __init__(self, context: Context, listing: Listing[Any], names: Sequence[str] | None, interval: float) -> None:
        self._context, self._listing, self._names, self._interval = context, listing, names, interval

    def records(self, seen: _Seen) -> "list[Record]":
        """The records, of the chosen fields."""
        from hammerwork_cli.view.fields import only

        records = self._listing.shape.records(seen.rows)
        return records if self._names is None else [only(record, self._names) for record in records]

    def table(self, seen: _Seen, width: int | None) -> list[str]:
        """The lines of the table, for a terminal of that width or for a pipe."""
        from hammerwork_cli.view import fields as picking
        from hammerwork_cli.view.table import table_text

        if not seen.rows:
            return [self._listing.empty]
        rows, columns = seen.rows, self._listing.columns()
        if self._names is not None:
            rows, columns = self.records(seen), picking.columns(self._names)
        colour = self._context.colour
        return table_text(rows, columns, terminal=width is not None, width=width, colour=colour).split("\n")

    def picture(self, seen: _Seen, width: int, height: int, note: str | None) -> list[str]:
        """A picture that fits a terminal."""
        return self._picture(seen, width, height, note, keys=True)

    def last_picture(self, seen: _Seen, width: int, height: int) -> list[str]:
        """The picture that stays behind."""
        return self._picture(seen, width, height, None, keys=False)

    def _picture(self, seen: _Seen, width: int, height: int, note: str | None, *, keys: bool) -> list[str]:
        from hammerwork_cli.view.live import fitted_lines, headline

        context, clock = self._context, f"{seen.at:%H:%M:%S} UTC"
        parts = ["hammerwork", self._listing.name, clock, f"every {self._interval:g} s"]
        first = headline(
            parts, width, clock=clock, charset=context.charset, colour=context.colour, keys=keys, note=note
        )
        return [first, "", *fitted_lines(self.table(seen, width), height - 2, charset=context.charset)][:height]


class _Changes:
    """Writes a list, and again whenever it has changed."""

    def __init__(self, drawing: _Drawing, form: Format) -> None:
        self._drawing, self._form = drawing, form
        self._told: list[str] | None = None

    def lines(self, seen: _Seen) -> Iterator[str]:
        """Yields lines: the table, one document, or the records that are new or have changed."""
        from hammerwork_cli.view import json

        records = self._drawing.records(seen)
        before, self._told = self._told, [json.document(_without_ages(record)) for record in records]
        if before == self._told:
            return
        if self._form == Format.JSON:
            yield json.document(records)
        elif self._form == Format.JSONL:
            told = set(before or ())
            yield from json.lines([row for row, state in zip(records, self._told, strict=True) if state not in told])
        else:
            if before is not None:
                yield ""
            yield f"{seen.at:%Y-%m-%d %H:%M:%S} UTC"
            yield from self._drawing.table(seen, None)


def _without_ages(record: Mapping[str, object]) -> object:
    """A record without what changes all the time."""
    return {key: value for key, value in record.items() if not key.endswith("_seconds")}
