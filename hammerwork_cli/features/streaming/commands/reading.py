"""``hammerwork streaming list``, ``show``, ``test`` and ``health``."""

import time
from contextlib import closing
from shlex import quote
from typing import Annotated

import typer

from hammerwork_cli.cli.context import Context
from hammerwork_cli.cli.options import Format, FormatOption
from hammerwork_cli.errors import AnswerIsNoError, advise
from hammerwork_cli.features.event import queries as events
from hammerwork_cli.features.event.commands import AboutJobOption, EventTypeOption, ExampleQueueOption, event_to_try
from hammerwork_cli.features.streaming import queries, views
from hammerwork_cli.features.streaming.commands.arguments import (
    NameArgument,
    NamedOption,
    OptionalNameArgument,
    required,
)
from hammerwork_cli.features.streaming.model import StreamState
from hammerwork_cli.features.streaming.views import SentTest
from hammerwork_cli.runtime.delivery.streams.backends import open_backend
from hammerwork_cli.runtime.delivery.streams.failures import StreamError
from hammerwork_cli.runtime.delivery.streams.messages import encode


def list_(
    context: Context,
    detailed: Annotated[bool, typer.Option("--detailed", help="Show more columns.")] = False,
    form: FormatOption = Format.TABLE,
) -> None:
    """
    \b
    Examples:
      hammerwork streaming list
      hammerwork streaming list --format json | jq '.[] | select(.backlog > 1000)'
    """
    _shown(context, None, form, detailed=detailed)


def show(
    context: Context, name: NameArgument = None, named: NamedOption = None, form: FormatOption = Format.TABLE
) -> None:
    """
    \b
    Examples:
      hammerwork streaming show lake
      hammerwork streaming show lake --format json | jq '.backlog, .oldest_seconds'
    """
    database = context.database()
    found = queries.state(database, queries.named(database, required(name, named)), context.now(database))
    context.answer(views.STREAM.record(found), form, lambda: views.text(found))


def try_(
    context: Context,
    name: NameArgument = None,
    event_type: EventTypeOption = "completed",
    job: AboutJobOption = None,
    queue: ExampleQueueOption = "test",
    named: NamedOption = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """
    The stream may be disabled, and its filters do not matter. Secrets with env: are read here. The exit code is 1
    unless the backend acknowledges the event.

    \b
    Examples:
      hammerwork streaming test lake
      hammerwork streaming test lake --event-type dead --job 0d7c21a4
    """
    database = context.database()
    stream, now = queries.named(database, required(name, named)), context.now(database)
    event = event_to_try(database, event_type, job, queue, now, payload=stream.include_payload)
    record, key = event.record(), events.key_of(str(stream.partitioning), event)
    began = time.monotonic()
    try:
        with closing(open_backend(stream, context.allowed)) as backend:
            backend.send([encode(stream, record, key)])
    except StreamError as error:
        advise(error, f"To change the stream: hammerwork streaming update {quote(stream.name)}")
        raise
    sent = SentTest(stream.name, record, key, time.monotonic() - began)
    context.answer(views.SENT.record(sent), form, lambda: views.sent_lines(sent))


def stats(
    context: Context, name: OptionalNameArgument = None, named: NamedOption = None, form: FormatOption = Format.TABLE
) -> None:
    """
    \b
    Examples:
      hammerwork streaming stats lake
    """
    _shown(context, name or named, form)


def health(
    context: Context, name: OptionalNameArgument = None, named: NamedOption = None, form: FormatOption = Format.TABLE
) -> None:
    """
    \b
    Examples:
      hammerwork streaming health && echo fine
    """
    states = _shown(context, name or named, form)
    if bad := [f"{state.stream.name}: {state.problem}" for state in states if state.problem]:
        raise AnswerIsNoError(" ".join(bad))


def _shown(context: Context, name: str | None, form: Format, *, detailed: bool = False) -> list[StreamState]:
    """Shows one stream or all as a list, and returns them."""
    database = context.database()
    now = context.now(database)
    chosen = queries.listed(database) if name is None else [queries.named(database, name)]
    states = [queries.state(database, one, now) for one in chosen]
    empty = "There is no stream. To add one: hammerwork streaming add"
    context.show(states, form, columns=views.columns(detailed=detailed), shape=views.STREAM, empty=empty)
    return states
