"""``hammerwork workflow wait``."""

from typing import Annotated

import typer

from hammerwork_cli.cli.context import Context
from hammerwork_cli.cli.options import SHORTEST_WAIT, Format, FormatOption, spoken
from hammerwork_cli.cli.outages import OutageNotes
from hammerwork_cli.commands.workflow.arguments import WorkflowArgument
from hammerwork_cli.database.waiting import Wait
from hammerwork_cli.errors import ShownAnswerError, TimedOutError, UsageError
from hammerwork_cli.models.input.reading import duration_of
from hammerwork_cli.models.workflow.workflows import WorkflowStatus
from hammerwork_cli.queries.workflow import listing
from hammerwork_cli.render import workflow as shown
from hammerwork_cli.render.formats.text import plural


def wait(
    ctx: typer.Context,
    workflow: WorkflowArgument,
    timeout: Annotated[
        str | None,
        typer.Option(
            "--timeout", metavar="DURATION", help="Give up after 90 (seconds), 15m; 0 checks once. [default: never]"
        ),
    ] = None,
    interval: Annotated[
        str, typer.Option("--interval", metavar="DURATION", help="Refresh interval: 500ms, 5s.")
    ] = "1s",
    form: FormatOption = Format.TABLE,
) -> None:
    """Wait until all jobs of a workflow have ended, those that they spawn included.

    Exit code 0 when all completed, 1 when one failed or was cancelled, or only jobs are left that wait for a decision,
    and 124 when --timeout passes. Survives database restarts.

    \b
    Examples:
      hammerwork workflow wait 178ebfc3
      hammerwork workflow wait 178ebfc3 --timeout 15m && ./publish.sh
    """
    context: Context = ctx.obj
    seconds = duration_of(interval).total_seconds()
    if seconds < SHORTEST_WAIT:
        raise UsageError("--interval is too short: the database would do nothing else.", hint="Write 0.1s or more.")
    most = None if timeout is None else duration_of(timeout).total_seconds()
    watch = listing.WorkflowWatch(context.database(), workflow)
    in_time = Wait(context.database, OutageNotes(context), interval=seconds, timeout=most).until(
        watch.look, watch.connected
    )
    found = watch.found
    context.answer(shown.workflow_record(found), form, lambda: [shown.outcome_text(found)])
    if not in_time:
        raise TimedOutError(
            f"The workflow has not ended within {spoken(timeout)}: {plural(found.open, 'job')} left.",
            hint=f"See: hammerwork workflow show {found.id}",
        )
    if found.status != WorkflowStatus.COMPLETED:
        raise ShownAnswerError(f"The workflow is {shown.status_text(found)}: hammerwork workflow show {found.id}")
