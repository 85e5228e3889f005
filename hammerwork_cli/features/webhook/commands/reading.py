"""``hammerwork webhook list``, ``show``, ``deliveries`` and ``stats``."""

from typing import Annotated

import typer

from hammerwork_cli.cli.context import Context
from hammerwork_cli.cli.options import Format, FormatOption, HoursOption, LimitOption, since_option, start_of
from hammerwork_cli.core.values import Counts
from hammerwork_cli.features.webhook import queries, views
from hammerwork_cli.features.webhook.commands.arguments import NameArgument, NamedOption, OptionalNameArgument, required
from hammerwork_cli.features.webhook.views import WebhookStats


def list_(
    context: Context,
    detailed: Annotated[bool, typer.Option("--detailed", help="Show more columns.")] = False,
    form: FormatOption = Format.TABLE,
) -> None:
    """
    \b
    Examples:
      hammerwork webhook list
      hammerwork webhook list --format json | jq '.[] | select(.enabled | not)'
    """
    database = context.database()
    context.show(
        queries.listed(database),
        form,
        columns=views.columns(context.now(database), detailed=detailed),
        shape=views.WEBHOOK,
        empty="There is no webhook. To add one: hammerwork webhook add",
    )


def show(
    context: Context, name: NameArgument = None, named: NamedOption = None, form: FormatOption = Format.TABLE
) -> None:
    """
    \b
    Examples:
      hammerwork webhook show chat
    """
    database = context.database()
    found, now = queries.named(database, required(name, named)), context.now(database)
    context.answer(views.WEBHOOK.record(found), form, lambda: views.text(found, now))


def deliveries(
    context: Context,
    name: OptionalNameArgument = None,
    failed: Annotated[bool, typer.Option("--failed", help="Only deliveries that were given up.")] = False,
    since: Annotated[str | None, since_option("Only deliveries of events")] = None,
    limit: LimitOption = 50,
    named: NamedOption = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """
    Retention deletes deliveries 7 days after their end, unless you set another policy for the queue
    hammerwork-webhooks. For one delivery: `job show`, `spawn why` and `job retry`.

    \b
    Examples:
      hammerwork webhook deliveries chat
      hammerwork webhook deliveries --failed
      hammerwork webhook deliveries chat --since 2h --format json | jq '.[].answer'
    """
    database = context.database()
    now = context.now(database)
    start = None if since is None else start_of(now, since)
    webhook = queries.named(database, required(name, named)) if name or named else None
    context.show(
        queries.deliveries(database, webhook, failed=failed, since=start, limit=limit),
        form,
        columns=views.delivery_columns(now, of_all=webhook is None),
        shape=views.DELIVERY,
        empty="There are no such deliveries.",
    )


def stats(
    context: Context,
    name: OptionalNameArgument = None,
    since: Annotated[str, since_option("Count events")] = "24h",
    hours: HoursOption = None,
    named: NamedOption = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """
    \b
    Examples:
      hammerwork webhook stats
      hammerwork webhook stats chat --since 7d --format json
    """
    database = context.database()
    start = start_of(context.now(database), since, hours)
    chosen = queries.listed(database) if not (name or named) else [queries.named(database, required(name, named))]
    found = queries.counts(database, start) if chosen else {}
    context.show(
        [WebhookStats(one, found.get(one.id, Counts())) for one in chosen],
        form,
        columns=views.STATS_COLUMNS,
        shape=views.STATS,
        empty="There is no webhook.",
    )
