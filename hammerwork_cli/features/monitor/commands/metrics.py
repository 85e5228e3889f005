"""``hammerwork monitor metrics``."""

from enum import StrEnum
from functools import partial
from typing import Annotated

import typer

from hammerwork_cli.cli.context import Context
from hammerwork_cli.cli.options import QueueOption
from hammerwork_cli.core.input.reading import before, duration_of
from hammerwork_cli.errors import UsageError
from hammerwork_cli.features.monitor.queries.metrics import figures
from hammerwork_cli.features.monitor.views import metrics as views


class MetricsFormat(StrEnum):
    """The formats of figures."""

    TABLE = "table"
    JSON = "json"
    PROMETHEUS = "prometheus"


def metrics(
    ctx: typer.Context,
    period: Annotated[
        str, typer.Option("-t", "--period", metavar="DURATION", help="Time to look back: 15m, 1h, 24h, 7d.")
    ] = "1h",
    queue: QueueOption = None,
    form: Annotated[
        MetricsFormat,
        typer.Option("--format", help="Output format; prometheus: the text format that Prometheus reads."),
    ] = MetricsFormat.TABLE,
) -> None:
    """
    --format prometheus prints the families of the web server's /metrics for the textfile collector of the node
    exporter: write them to another file and rename it, as in the example. --period applies to ended jobs and to
    spawning; the other metrics show the present.

    \b
    Examples:
      hammerwork monitor metrics
      hammerwork monitor metrics --period 7d --queue mail --format json | jq '.queues[].failure_rate'
      hammerwork monitor metrics --format prometheus > hammerwork.new && mv hammerwork.new hammerwork.prom
    """
    context: Context = ctx.obj
    window = duration_of(period)
    if window.total_seconds() < 1:
        raise UsageError("--period must be at least 1s.", hint="Write 15m, 1h, 24h or 7d.")
    now = context.now()
    before(now, window)
    for_prometheus = form is MetricsFormat.PROMETHEUS
    database = context.database()
    found = figures(database, now=now, window=window, only=queue or (), ended=not for_prometheus, health=for_prometheus)
    if for_prometheus:
        context.lines(views.exposition(views.families(found)))
        return
    text = partial(views.figures_text, found, terminal=context.is_terminal, width=context.width, colour=context.colour)
    context.answer(views.METRICS.record(found), form, text)
