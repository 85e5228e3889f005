"""``hammerwork workflow wait``."""

import typer

from hammerwork_cli.cli.context import Context
from hammerwork_cli.cli.options import Format, FormatOption, duration_as_given
from hammerwork_cli.cli.waiting import GiveUpOption, IntervalOption, wait_of
from hammerwork_cli.errors import ShownAnswerError, TimedOutError
from hammerwork_cli.features.workflow import views as shown
from hammerwork_cli.features.workflow.commands.arguments import WorkflowArgument
from hammerwork_cli.features.workflow.models.workflows import WorkflowStatus
from hammerwork_cli.features.workflow.queries import listing
from hammerwork_cli.view.text import plural


def wait(
    ctx: typer.Context,
    workflow: WorkflowArgument,
    timeout: GiveUpOption = None,
    interval: IntervalOption = "1s",
    form: FormatOption = Format.TABLE,
) -> None:
    """
    Exit code 0 when all completed, 1 when one failed or was cancelled, or only jobs are left that wait for a decision,
    and 124 when --timeout passes. Survives database restarts.

    \b
    Examples:
      hammerwork workflow wait 178ebfc3
      hammerwork workflow wait 178ebfc3 --timeout 15m && ./publish.sh
    """
    context: Context = ctx.obj
    waits = wait_of(context, interval, timeout)
    watch = listing.watch(context.database(), workflow)
    in_time = waits.until(watch.look, watch.connected)
    found = watch.found
    context.answer(shown.WORKFLOW.record(found), form, lambda: [shown.outcome_text(found)])
    if not in_time:
        left = f"{plural(found.counts.open, 'job')} left" if found.counts.total else "it has no jobs"
        raise TimedOutError(
            f"The workflow has not ended within {duration_as_given(timeout)}: {left}.",
            hint=f"See: hammerwork workflow show {found.id}",
        )
    if found.status != WorkflowStatus.COMPLETED:
        raise ShownAnswerError(f"The workflow is {shown.status_text(found)}: hammerwork workflow show {found.id}")
