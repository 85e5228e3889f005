"""The verbs of ``hammerwork streaming`` that change streams, or send again."""

import shlex
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

import typer

from hammerwork_cli.cli.context import Context
from hammerwork_cli.cli.options import (
    DryRunOption,
    Format,
    FormatOption,
    ReasonOption,
    YesOption,
    clear_option,
    cleared,
    since_option,
    start_of,
)
from hammerwork_cli.core.ids import new_id
from hammerwork_cli.core.input import names
from hammerwork_cli.core.input.reading import duration_of
from hammerwork_cli.database import Database
from hammerwork_cli.errors import NotFoundError, UsageError, advise
from hammerwork_cli.features.callbacks.commands import note_earlier, note_upkeep
from hammerwork_cli.features.event.commands import (
    IncludePayloadOption,
    QueuesOption,
    WantedOption,
    events_option,
    filters_of,
    setting,
)
from hammerwork_cli.features.event.model import USUAL
from hammerwork_cli.features.job.commands import options as read
from hammerwork_cli.features.streaming import queries, views
from hammerwork_cli.features.streaming.commands.arguments import NameArgument, NamedOption, required
from hammerwork_cli.features.streaming.model import MOST_TOGETHER, Backend, Partitioning, Stream
from hammerwork_cli.runtime.delivery.allowed import NotAllowedError
from hammerwork_cli.runtime.delivery.streams.backends import open_backend
from hammerwork_cli.runtime.delivery.streams.failures import StreamError
from hammerwork_cli.runtime.delivery.streams.targets import TITLES, format_of, validate
from hammerwork_cli.view.text import plural, visible


def _target(name: str, help_: str, metavar: str = "NAME") -> Any:
    return typer.Option(f"--{name}", metavar=metavar, help=help_)


CLEARED: Mapping[str, tuple[str, Any]] = {
    "events": ("events", USUAL),
    "queue": ("queues", ()),
    "priority": ("priorities", ()),
}
"""Word of --clear -> field of a stream, and its value without it."""


_setting = partial(setting, Stream)


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """What somebody says of a stream; nothing of what is not given."""

    events: Annotated[list[str] | None, events_option("Types of events. [default: all but tree.*]")] = None
    queue: QueuesOption = None
    priority: read.PriorityOption = None
    partitioning: Annotated[
        Partitioning | None,
        _setting("partitioning", "Key of an event, within which the order is kept.", "--partitioning"),
    ] = None
    encoding: Annotated[
        str | None,
        _setting("format", "Format of events: json or cloudevents.", "--encoding", metavar="FORMAT"),
    ] = None
    include_payload: IncludePayloadOption = None
    buffer_size: Annotated[
        int | None,
        _setting("buffer_size", "Events to send together.", "--buffer-size", metavar="N", min=1, max=MOST_TOGETHER),
    ] = None
    buffer_time: Annotated[
        str | None,
        _setting("buffer_seconds", "How long to wait for that many events.", "--buffer-time", metavar="DURATION"),
    ] = None
    max_backlog: Annotated[
        int | None,
        _setting("max_backlog", "Maximum number of events that wait.", "--max-backlog", metavar="N", min=1),
    ] = None
    kafka_brokers: Annotated[str | None, _target("kafka-brokers", "Kafka: HOST:PORT,HOST:PORT.", "HOSTS")] = None
    kafka_topic: Annotated[str | None, _target("kafka-topic", "Kafka: the topic.", "TOPIC")] = None
    kafka_config: Annotated[
        list[str] | None,
        _target("kafka-config", "Kafka: a property of librdkafka (repeatable).", "KEY=VALUE"),
    ] = None
    kinesis_region: Annotated[str | None, _target("kinesis-region", "Kinesis: the region.", "REGION")] = None
    kinesis_stream: Annotated[str | None, _target("kinesis-stream", "Kinesis: the stream.")] = None
    kinesis_endpoint: Annotated[str | None, _target("kinesis-endpoint", "Kinesis: another endpoint.", "URL")] = None
    kinesis_access_key: Annotated[str | None, _target("kinesis-access-key", "Kinesis: env:NAME.", "SECRET")] = None
    kinesis_secret_key: Annotated[str | None, _target("kinesis-secret-key", "Kinesis: env:NAME.", "SECRET")] = None
    pubsub_project: Annotated[str | None, _target("pubsub-project", "Pub/Sub: the project.", "PROJECT")] = None
    pubsub_topic: Annotated[str | None, _target("pubsub-topic", "Pub/Sub: the topic.", "TOPIC")] = None
    pubsub_key_file: Annotated[str | None, _target("pubsub-key-file", "Pub/Sub: a service account.", "PATH")] = None
    pubsub_endpoint: Annotated[str | None, _target("pubsub-endpoint", "Pub/Sub: another endpoint.", "HOST")] = None
    command: Annotated[
        str | None,
        _target("command", "Command: program that answers each line of JSON with ok.", "COMMAND"),
    ] = None

    def read(self) -> dict[str, Any]:
        """Returns what is given, as fields of a stream, except where events go."""
        _properties(self.kafka_config or [])
        given: dict[str, Any] = {
            **filters_of(self),
            "partitioning": self.partitioning,
            "format": None if self.encoding is None else format_of(self.encoding),
            "buffer_size": self.buffer_size,
            "buffer_seconds": None if self.buffer_time is None else duration_of(self.buffer_time).total_seconds(),
            "max_backlog": self.max_backlog,
        }
        return {name: value for name, value in given.items() if value is not None}

    def target(self, backend: Backend) -> dict[str, Any]:
        """Returns what is given of where events go."""
        found: dict[str, Any] = {}
        for one in Backend:
            prefix = f"{one}_"
            names = [name for name in self.__dataclass_fields__ if name.startswith(prefix)]
            for name in names:
                if (value := getattr(self, name)) is None:
                    continue
                if one is not backend:
                    raise UsageError(f"A stream into {TITLES[backend]} takes no --{name.replace('_', '-')}.")
                found[name.removeprefix(prefix)] = _properties(value) if name == "kafka_config" else value
        if self.command is not None:
            if backend is not Backend.COMMAND:
                raise UsageError(f"A stream into {TITLES[backend]} takes no --command.")
            found["command"] = _words(self.command)
        return found


def _properties(lines: list[str]) -> dict[str, str]:
    found = {}
    for line in lines:
        name, equals, value = line.partition("=")
        if not equals:
            raise UsageError(f"The property {name[:40]!r} has no value.", hint="Write KEY=VALUE.")
        found[name.strip()] = value.strip()
    return found


def _words(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError as error:
        raise UsageError(f"The command cannot be read: {error}.") from error


def add(
    context: Context,
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="Name of the stream.")],
    backend: Annotated[Backend, typer.Option("-b", "--backend", help="Where events go.")],
    no_test: Annotated[bool, typer.Option("--no-test", help="Do not ask the backend whether it takes events.")] = False,
    *,
    settings: StreamSettings,
    form: FormatOption = Format.TABLE,
) -> None:
    """
    An event is written in the transaction of the change, and waits in the database until the backend has acknowledged
    it: at least once, and in order for each key. Secrets are named as env:NAME, and read where workers send. The
    libraries of Kafka, Kinesis and Pub/Sub are extras: pip install 'hammerwork-cli[kafka]'.

    \b
    Examples:
      hammerwork streaming add --name lake --backend kafka --kafka-brokers kafka:9092 --kafka-topic job-events
      hammerwork streaming add --name nats --backend command --command 'python3 to_nats.py jobs' --events completed,dead
    """
    given = {"events": USUAL, "target": settings.target(backend), **settings.read()}
    stream = Stream(new_id(), names.of_receiver(name, "stream"), backend, **given)
    validate(stream)
    if not no_test:
        _check(context, stream)
    database = context.database(changes=True)
    now = context.now(database)
    context.confirm_profile()
    queries.add(database, stream, by=context.operator, now=now)
    note_earlier(context, database, stream.events)
    note_upkeep(context, database, now, "sends to streams")
    context.answer(
        views.STREAM.record(queries.state(database, queries.named(database, stream.id), now)),
        form,
        lambda: [stream.id],
    )


def _check(context: Context, stream: Stream) -> None:
    """Asks the backend whether it takes events: a stream that cannot work is not stored."""
    try:
        with closing(open_backend(stream, context.allowed)) as backend:
            backend.check()
    except (StreamError, NotAllowedError) as error:
        advise(error, "To store the stream without a test: --no-test")
        raise


def update(
    context: Context,
    name: NameArgument = None,
    new_name: Annotated[str | None, typer.Option("--name", metavar="NAME", help="Another name.")] = None,
    no_test: Annotated[bool, typer.Option("--no-test", help="Do not ask the backend whether it takes events.")] = False,
    clear: Annotated[list[str] | None, clear_option(CLEARED)] = None,
    named: NamedOption = None,
    *,
    settings: StreamSettings,
    form: FormatOption = Format.TABLE,
) -> None:
    """
    Events that wait are sent with the new settings.

    \b
    Examples:
      hammerwork streaming update lake --events completed,dead
      hammerwork streaming update lake --kafka-topic other
    """
    given = settings.read() | ({} if new_name is None else {"name": names.of_receiver(new_name, "stream")})
    given |= dict(cleared(CLEARED, clear or (), given))
    database = context.database(changes=True)
    old = queries.named(database, required(name, named))
    target = settings.target(old.backend)
    if not given and not target:
        raise UsageError("Nothing was given to change.", hint="See: hammerwork streaming update --help")
    stream = old._replace(target={**old.target, **target}, **given)
    validate(stream)
    if stream.target != old.target and not no_test:
        _check(context, stream)
    context.confirm_profile()
    queries.update(database, stream, by=context.operator, now=context.now(database))
    note_earlier(context, database, set(stream.events) - set(old.events))
    _answer(context, database, stream, form, "Changed")


def enable(
    context: Context, name: NameArgument = None, named: NamedOption = None, form: FormatOption = Format.TABLE
) -> None:
    """
    Events that happened while it was disabled are not sent; those that waited are.

    \b
    Examples:
      hammerwork streaming enable lake
    """
    _switch(context, required(name, named), form, enabled=True)


def disable(
    context: Context,
    name: NameArgument = None,
    reason: ReasonOption = None,
    named: NamedOption = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """
    Events that wait are sent once it is enabled.

    \b
    Examples:
      hammerwork streaming disable lake --reason "the cluster moves"
    """
    _switch(context, required(name, named), form, enabled=False, reason=reason)


def toggle(
    context: Context,
    name: NameArgument = None,
    wanted: WantedOption = False,
    named: NamedOption = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """
    \b
    Examples:
      hammerwork streaming toggle lake --enable
      hammerwork streaming toggle lake --disable
    """
    _switch(context, required(name, named), form, enabled=wanted)


def _switch(context: Context, name: str, form: Format, *, enabled: bool, reason: str | None = None) -> None:
    database = context.database(changes=True)
    stream = queries.named(database, name)
    context.confirm_profile()
    now = context.now(database)
    changed = queries.switch(database, stream, enabled=enabled, by=context.operator, now=now, reason=reason)
    done = "Enabled" if enabled else "Disabled"
    _answer(context, database, stream, form, done if changed else f"Already {done.lower()}:")
    if enabled and changed:
        note_upkeep(context, database, now, "sends to streams")


def _answer(context: Context, database: Database, stream: Stream, form: Format, done: str) -> None:
    found = queries.present(database, stream.id)
    record = views.STREAM.record(queries.state(database, found, context.now(database)))
    context.answer(record, form, lambda: [f"{done} {visible(found.name)}."])


def remove(
    context: Context,
    name: NameArgument = None,
    yes: YesOption = False,
    dry_run: DryRunOption = False,
    named: NamedOption = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """
    \b
    Examples:
      hammerwork streaming remove lake --yes
    """
    database = context.database(changes=not dry_run)
    stream = queries.named(database, required(name, named))
    state = queries.state(database, stream, context.now(database))
    waits = f" and {plural(state.backlog, 'event')} that {'waits' if state.backlog == 1 else 'wait'}"
    what = f"{visible(stream.name)}{waits if state.backlog else ''}"
    if dry_run:
        context.answer(views.STREAM.record(state), form, lambda: [f"Would remove {what}."])
        return
    context.confirm(f"Remove the stream {what}?", yes=yes, form=form, plan=[stream.name])
    context.confirm_profile()
    if not queries.remove(database, stream):
        raise NotFoundError("Somebody else has removed the stream.")
    context.answer(views.STREAM.record(state), form, lambda: [f"Removed {visible(stream.name)}."])


def replay(
    context: Context,
    name: NameArgument = None,
    since: Annotated[str, since_option("Job-end events")] = "24h",
    yes: YesOption = False,
    named: NamedOption = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """
    It replays only what the stream takes, of jobs that are not archived or deleted. Events keep their ids.

    \b
    Examples:
      hammerwork streaming replay lake --since 2h
    """
    database = context.database(changes=True)
    now = context.now(database)
    stream, start = queries.named(database, required(name, named)), start_of(now, since)
    question = f"Replay the job-end events since {start:%Y-%m-%d %H:%M} UTC to {visible(stream.name)}?"
    context.confirm(question, yes=yes, form=form, plan=[stream.name])
    context.confirm_profile()
    added = queries.replay(database, stream, start, now)
    record = views.REPLAYED.record({"stream": stream.name, "events": added})
    context.answer(record, form, lambda: [f"{plural(added, 'event')} will be sent again."])
    if added:
        note_upkeep(context, database, now, "sends to streams")
