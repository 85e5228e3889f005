"""``hammerwork monitor metrics``."""

from enum import StrEnum
from functools import partial
from typing import Annotated

import typer

from hammerwork_cli.cli.context import Context
from hammerwork_cli.cli.options import QueueOption, since_option, start_of
from hammerwork_cli.features.monitor.queries.metrics import figures
from hammerwork_cli.features.monitor.views import metrics as views


class MetricsFormat(StrEnum):
    TABLE = "table"
    JSON = "json"
    PROMETHEUS = "prometheus"


def metrics(
    context: Context,
    since: Annotated[str, since_option("Ended jobs, and spawning,")] = "1h",
    queue: QueueOption = None,
    period: Annotated[str | None, typer.Option("-t", "--period", metavar="DURATION", hidden=True)] = None,
    form: Annotated[
        MetricsFormat,
        typer.Option("--format", help="Output format; prometheus: the text format that Prometheus reads."),
    ] = MetricsFormat.TABLE,
) -> None:
    """
    --format prometheus prints the families of the web server's /metrics for the node exporter's textfile collector:
    write them to another file and rename it, as in the example. --since applies to ended jobs and to spawning; the
    other metrics show the present.

    \b
    Examples:
      hammerwork monitor metrics
      hammerwork monitor metrics --since 7d --queue mail --format json | jq '.queues[].failure_rate'
      hammerwork monitor metrics --format prometheus > hammerwork.new && mv hammerwork.new hammerwork.prom
    """
    now = context.now()
    window = now - start_of(now, since if period is None else period)
    for_prometheus = form is MetricsFormat.PROMETHEUS
    database = context.database()
    found = figures(
        database, now=now, window=window, only=queue or (), ended=not for_prometheus, for_prometheus=for_prometheus
    )
    if for_prometheus:
        context.lines(views.exposition(views.families(found)))
        return
    text = partial(views.figures_text, found, terminal=context.is_terminal, width=context.width, colour=context.colour)
    context.answer(views.METRICS.record(found), form, text)
