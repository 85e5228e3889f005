"""``hammerwork spawn again``: asks a worker to spawn for a job that has completed."""

from typing import Annotated, Any

import typer

from hammerwork_cli.cli.context import Context
from hammerwork_cli.cli.options import Format, FormatOption, GiveUpOption, JobArgument, duration_as_given
from hammerwork_cli.cli.outages import OutageNotes
from hammerwork_cli.core.input.limits import LONGEST_NAME
from hammerwork_cli.core.input.reading import duration_of
from hammerwork_cli.core.input.spawn_config import SpawnConfig
from hammerwork_cli.errors import ShownAnswerError, TimedOutError, UsageError
from hammerwork_cli.features.job.commands import new_job_options as read
from hammerwork_cli.features.job.models.spawn_request import SpawnRequest
from hammerwork_cli.features.job.options import AGAIN, with_options


def again(
    context: Context,
    job: JobArgument,
    handler: Annotated[
        str | None, typer.Option("--handler", metavar="NAME", help="Spawn handler to use instead of the job's.")
    ] = None,
    *,
    config: Annotated[dict[str, Any], read.job_options(AGAIN)],
    wait: Annotated[bool, typer.Option("--wait", help="Wait until a worker has spawned.")] = False,
    timeout: GiveUpOption = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """
    The job does not run again, and its children stay. Options change its configuration for this request alone. A worker
    that serves the job's queue, or has the handler, takes the request within seconds; `job show` shows the outcome.
    Exit code 6 when the job has not completed. With --wait, the exit code is 1 when nothing could be spawned, and 124
    when --timeout passes; the request then stays open.

    \b
    Examples:
      hammerwork spawn again 178ebfc3
      hammerwork spawn again 178ebfc3 --max-spawn-count 5000 --wait --timeout 1m
      hammerwork spawn again 178ebfc3 --handler frames --format json | jq -r .id
    """
    from hammerwork_cli.database.waiting import Wait
    from hammerwork_cli.features.job.queries import listing, spawn_requests
    from hammerwork_cli.features.worker.queries import requests

    limit = duration_of(timeout).total_seconds() if timeout is not None else None
    database = context.database(changes=True)
    parent = listing.resolve(database, job)
    changed = _config(spawn_requests.stored_config(database, parent), config)
    named = _name(handler)
    made = spawn_requests.request(
        database, parent, handler=named, config=changed, by=context.operator[:LONGEST_NAME], now=context.now(database)
    )
    if not requests.has_worker(database, made):
        context.note("No running worker can take it; it waits until one starts.")
    if wait:
        watch = requests.RequestWatch(database, made)
        waiting = Wait(context.database, OutageNotes(context), interval=requests.POLL_SECONDS, timeout=limit)
        waiting.until(watch.refresh, watch.connected)
        made = watch.request
    _show(context, made, form)
    _judge(made, wait=wait, timeout=timeout)


def _name(handler: str | None) -> str | None:
    if handler is not None and not 0 < len(handler) <= LONGEST_NAME:
        raise UsageError(f"A handler's name has 1 to {LONGEST_NAME} characters.")
    return handler


def _config(own: dict[str, Any] | None, given: dict[str, Any]) -> SpawnConfig | None:
    """The job's configuration with what options change of it; ``None`` where they change nothing."""
    if all(value is None for value in given.values()):
        return None
    changed = with_options({} if own is None else {"_spawn_config": own}, given)
    return SpawnConfig._parse(changed["_spawn_config"])


def _show(context: Context, made: SpawnRequest, form: Format) -> None:
    from hammerwork_cli.features.job.views import spawn_requests as views
    from hammerwork_cli.view.text import first_line, plural

    if made.state == "done":
        context.note(f"It spawned {plural(made.children or 0, 'job')}.")
    elif made.state == "failed":
        context.note(f"The request failed. {first_line(made.error or '')}")
    context.answer(views.SPAWN_REQUEST.record(made), form, lambda: [made.id])


def _judge(made: SpawnRequest, *, wait: bool, timeout: str | None) -> None:
    if wait and made.is_open:
        raise TimedOutError(
            f"No worker spawned within {duration_as_given(timeout)}; the spawn request {made.id} stays open."
        )
    if made.state == "failed":
        raise ShownAnswerError(f"The spawn request {made.id} failed.")
