"""``hammerwork maintenance health``."""

from functools import partial
from typing import Annotated

import typer

from hammerwork_cli.cli.context import Context
from hammerwork_cli.cli.options import Format, FormatOption
from hammerwork_cli.core.input.reading import duration_of
from hammerwork_cli.errors import ShownAnswerError
from hammerwork_cli.features.maintenance import queries as maintenance
from hammerwork_cli.features.monitor.models.health import Level
from hammerwork_cli.features.monitor.views import health as views
from hammerwork_cli.features.queue.limits import limit_of, number, rate


def health(
    ctx: typer.Context,
    max_rows: Annotated[
        str, typer.Option("--max-rows", metavar="N", help="Maximum number of rows in the jobs table.")
    ] = "1000000",
    max_dead_rows: Annotated[
        str, typer.Option("--max-dead-rows", metavar="RATE", help="Maximum share of dead rows in a table.")
    ] = "20%",
    max_transaction: Annotated[
        str, typer.Option("--max-transaction", metavar="DURATION", help="Maximum age of an open transaction.")
    ] = "10m",
    form: FormatOption = Format.TABLE,
) -> None:
    """
    The line below a check is the command to run next. 'off' disables a limit. Checks: rows, dead_rows, invalid_indexes,
    open_transaction. Vacuum cannot remove dead rows that an open transaction might still see. Numbers of rows are
    estimates of the server; on SQLite they are exact. A table with at most 10,000 dead rows does not count. SQLite has
    no dead rows, and MySQL does not count them.

    \b
    Examples:
      hammerwork maintenance health
      hammerwork maintenance health --max-rows 5000000 --max-dead-rows off
    """
    context: Context = ctx.obj
    rows = limit_of("--max-rows", max_rows, number)
    dead = limit_of("--max-dead-rows", max_dead_rows, rate)
    transaction = limit_of("--max-transaction", max_transaction, duration_of)
    database = context.database()
    report = maintenance.health(database, now=context.now(database), rows=rows, dead=dead, transaction=transaction)
    if form in {Format.TABLE, Format.JSON}:
        record = views.HEALTH_REPORT.record(report)
        context.answer(record, form, partial(views.report_text, report, width=context.width, colour=context.colour))
    else:
        context.data(map(views.CHECK_OUTCOME.record, report.checks), form, views.CHECK_OUTCOME.columns)
    if report.status is Level.CRITICAL:
        raise ShownAnswerError(views.summary(report))
