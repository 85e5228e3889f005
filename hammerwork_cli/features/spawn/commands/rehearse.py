"""``hammerwork spawn rehearse``."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hammerwork_cli import app_path
from hammerwork_cli.cli.context import Context
from hammerwork_cli.cli.options import (
    AppDirOption,
    EncryptionKeyOption,
    Format,
    FormatOption,
    OptionalJobArgument,
    one_name,
)
from hammerwork_cli.errors import ShownAnswerError, UsageError

if TYPE_CHECKING:
    from hammerwork_cli.database import Database
    from hammerwork_cli.features.worker.queries.claim import Claimed


def rehearse(
    context: Context,
    job: OptionalJobArgument = None,
    handlers: Annotated[
        list[str] | None, typer.Option("--handlers", metavar="MODULE:ATTRIBUTE", help="The application's handlers.")
    ] = None,
    queue: Annotated[
        str | None,
        typer.Option(
            "-q", "--queue", metavar="QUEUE", callback=one_name, help="Queue of a job that does not exist yet."
        ),
    ] = None,
    payload: Annotated[str | None, typer.Option("--payload", metavar="JSON", help="Its payload.")] = None,
    result: Annotated[
        str | None,
        typer.Option("--result", metavar="JSON", help="Result of the job's handler. [default: the stored one]"),
    ] = None,
    levels: Annotated[int, typer.Option("--levels", metavar="N", min=1, max=32, help="Generations to spawn.")] = 1,
    most: Annotated[
        int, typer.Option("--max", metavar="N", min=1, max=1_000_000, help="Maximum number of children to read.")
    ] = 10_000,
    encryption_key: EncryptionKeyOption = None,
    app_dir: AppDirOption = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """
    Name a JOB, or describe one by --queue and --payload. The job's own handler does not run. validate_spawn and
    spawn_jobs run in this process; jobs that they spawn or enqueue through their context are collected, and checked as
    a worker would check them. Other effects of the handler are real: files, mails, other connections. Exit code 1 when
    the job could not spawn: the handler fails, or a limit would be exceeded.

    \b
    Examples:
      hammerwork spawn rehearse 178ebfc3 --handlers my_app:app
      hammerwork spawn rehearse --handlers my_app:app --queue album --payload '{"tracks": 9}' --levels 2
      hammerwork spawn rehearse 178ebfc3 --handlers my_app:app --format json | jq .limits
    """
    from hammerwork_cli.core.codecs import Codecs, decoded
    from hammerwork_cli.features.spawn.views import rehearsal as views
    from hammerwork_cli.runtime.host.loading import OWN_VARIABLES, load_handlers, only
    from hammerwork_cli.runtime.rehearsal.collecting_queue import CollectingQueue
    from hammerwork_cli.runtime.rehearsal.rehearser import Rehearser

    target = only(handlers)
    _check(job, target, queue, payload)
    texts = {"payload": _json("--payload", payload), "result": _json("--result", result)}
    database = context.database(keys=context.encryption_keys(encryption_key)) if job is not None else None
    now = context.now(database)
    row, stored_result = _row(database, job, queue or "", texts["payload"], now)
    for name in OWN_VARIABLES:
        os.environ.pop(name, None)
    codecs: Codecs | None = None
    collecting = CollectingQueue(
        lambda: replace(database.url if database is not None else context.url(), codecs=codecs), now
    )
    with _output_of_handlers_on_stderr(context):
        known = load_handlers(target or "", app_dir)
        codecs = Codecs(known.codecs)
        row = row._replace(payload=decoded(row.payload, codecs))
        stored_result = stored_result and decoded(stored_result, codecs)
        rehearser = Rehearser(known, collecting, now, database=database, most=most)
        try:
            found = rehearser.rehearse(
                row, stored=database is not None, result=texts["result"] or stored_result, levels=levels
            )
        finally:
            collecting.close()
    if found.handler is None and not found.failures:
        raise UsageError(
            f"Jobs of {row.queue_name!r:.100} spawn nothing: they have no spawn handler.",
            hint=f"Registered: {', '.join(known.handler_names) or 'none'}."[:500],
        )
    with app_path.without():
        context.answer(
            views.REHEARSAL.record(found),
            form,
            lambda: views.rehearsal_text(found, width=context.width, colour=context.colour),
        )
    context.note("The handlers ran here: their effects outside of their context are real.")
    if found.failures:
        raise ShownAnswerError(f"It would not spawn: {found.failures[0].message}")


def _check(job: str | None, handlers: str | None, queue: str | None, payload: str | None) -> None:
    if not handlers:
        raise UsageError("No handlers were given.", hint="Add --handlers MODULE:ATTRIBUTE, for example my_app:app.")
    if (job is None) == (queue is None):
        raise UsageError("Name a JOB, or describe one by --queue and --payload.")
    if job is not None and payload is not None:
        raise UsageError("--payload is for a job that does not exist yet.", hint="Leave out JOB, and add --queue.")


def _json(option: str, text: str | None) -> str | None:
    from hammerwork_cli.features.job.options import json_value

    if text is not None:
        json_value(text, option)
    return text


def _row(
    database: "Database | None", job: str | None, queue: str, payload: str | None, now: Any
) -> "tuple[Claimed, str | None]":
    """The row of the job, and the JSON text of its result."""
    from hammerwork_cli.errors import JobNotFoundError
    from hammerwork_cli.features.job.options import json_value, wanted_job
    from hammerwork_cli.features.job.queries import listing, results
    from hammerwork_cli.runtime.api.stored_jobs import stored_row
    from hammerwork_cli.runtime.rehearsal.spawn_step import claimed

    if database is None or job is None:
        # The row that `job enqueue` would write.
        given = {"queue": queue, "payload": json_value(payload or "null", "--payload")}
        return claimed(wanted_job(given, payload=payload).made(now), now), None
    wanted = listing.resolve(database, job)
    row = stored_row(database, wanted)
    if row is None:
        raise JobNotFoundError(wanted)
    return row, results.texts(database, [wanted]).get(wanted)


@contextmanager
def _output_of_handlers_on_stderr(context: Context) -> Iterator[None]:
    """Keeps what handlers print, and the programs that they start, out of the answer."""
    context.stdout.flush()
    with redirect_stdout(context.stderr):
        try:
            out, err = context.stdout.fileno(), context.stderr.fileno()
        except OSError:
            yield  # text in memory
            return
        kept = os.dup(out)
        os.dup2(err, out)
        try:
            yield
        finally:
            sys.stdout.flush()
            os.dup2(kept, out)
            os.close(kept)
