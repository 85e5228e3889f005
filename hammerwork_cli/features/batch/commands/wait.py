"""``hammerwork batch wait``."""

import typer

from hammerwork_cli.cli.context import Context
from hammerwork_cli.cli.options import Format, FormatOption, duration_as_given
from hammerwork_cli.cli.waiting import GiveUpOption, IntervalOption, wait_of
from hammerwork_cli.errors import ShownAnswerError, TimedOutError
from hammerwork_cli.features.batch import views as shown
from hammerwork_cli.features.batch.commands.arguments import BatchArgument
from hammerwork_cli.features.batch.model import BatchStatus
from hammerwork_cli.features.batch.queries import listing
from hammerwork_cli.view.text import plural


def wait(
    ctx: typer.Context,
    batch: BatchArgument,
    timeout: GiveUpOption = None,
    interval: IntervalOption = "1s",
    form: FormatOption = Format.TABLE,
) -> None:
    """
    Jobs that they spawn do not belong to it. Exit code 0 when all completed, 1 when one failed, was cancelled or was
    deleted, and 124 when --timeout passes. Survives database restarts.

    \b
    Examples:
      hammerwork batch wait 178ebfc3
      hammerwork batch wait 178ebfc3 --timeout 15m && ./publish.sh
    """
    context: Context = ctx.obj
    waits = wait_of(context, interval, timeout)
    watch = listing.watch(context.database(), batch)
    in_time = waits.until(watch.look, watch.connected)
    found = watch.found
    context.answer(shown.BATCH.record(found), form, lambda: [shown.outcome_text(found)])
    if not in_time:
        raise TimedOutError(
            f"The batch has not ended within {duration_as_given(timeout)}: {plural(found.counts.open, 'job')} left.",
            hint=f"See: hammerwork batch show {found.id}",
        )
    if found.status != BatchStatus.COMPLETED or found.gone:
        raise ShownAnswerError(f"The batch is {shown.status_text(found)}: hammerwork batch show {found.id}")
