"""``hammerwork webhook test`` and ``verify``: for authors of receivers."""

from datetime import timedelta
from typing import Annotated

import typer

from hammerwork_cli import disk
from hammerwork_cli.cli.context import Context
from hammerwork_cli.cli.options import Format, FormatOption
from hammerwork_cli.core.ids import new_id
from hammerwork_cli.core.input.reading import duration_of
from hammerwork_cli.errors import AnswerIsNoError, UsageError
from hammerwork_cli.features.event.commands import AboutJobOption, EventTypeOption, ExampleQueueOption, event_to_try
from hammerwork_cli.features.webhook import queries, views
from hammerwork_cli.features.webhook.commands.arguments import NameArgument, NamedOption, note_plain, required
from hammerwork_cli.features.webhook.model import is_accepted
from hammerwork_cli.features.webhook.views import Exchange
from hammerwork_cli.runtime.delivery.webhooks import secrets, signature
from hammerwork_cli.runtime.delivery.webhooks.sending import send


def try_(
    context: Context,
    name: NameArgument = None,
    event_type: EventTypeOption = "completed",
    job: AboutJobOption = None,
    queue: ExampleQueueOption = "test",
    named: NamedOption = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """
    The webhook may be disabled, and its filters do not matter. Secrets with env: are read here. The exit code is 1
    unless the receiver answers with 2xx.

    \b
    Examples:
      hammerwork webhook test chat
      hammerwork webhook test chat --event-type dead --job 0d7c21a4
    """
    database = context.database()
    webhook, now = queries.named(database, required(name, named)), context.now(database)
    record = event_to_try(database, event_type, job, queue, now, payload=webhook.include_payload).record()
    answer = send(webhook, record, context.allowed, delivery_id=new_id(), now=now)
    shown = Exchange(
        webhook.name,
        record,
        answer.status,
        answer.error or answer.text,
        answer.seconds,
        answer.request_line,
        answer.request_headers,
        answer.request_body,
    )
    context.answer(views.EXCHANGE.record(shown), form, lambda: views.exchange_text(shown))
    if answer.status is None:
        raise AnswerIsNoError(str(answer.error))
    if not is_accepted(answer.status):
        raise AnswerIsNoError(f"The receiver answered {answer.status}.", hint="Only 2xx means that it has the event.")


def verify(
    context: Context,
    secret: Annotated[
        str, typer.Option("--secret", metavar="SECRET", help="Secret of the webhook: env:NAME, @FILE, or -.")
    ],
    headers: Annotated[
        str, typer.Option("--headers", metavar="FILE", help="Headers of the request: JSON, or one per line.")
    ],
    body: Annotated[str, typer.Option("--body", metavar="FILE", help="Body of the request, as it came; - for stdin.")],
    tolerance: Annotated[
        str, typer.Option("--tolerance", metavar="DURATION", help="Maximum age of the request.")
    ] = "5m",
    form: FormatOption = Format.TABLE,
) -> None:
    """
    Needs no database. If the signature does not match, an error says why, and the exit code is 1.

    \b
    Examples:
      hammerwork webhook verify --secret env:HOOK_SECRET --headers headers.txt --body body.json
    """
    oldest: timedelta = duration_of(tolerance)
    given = secrets.given(secret, "--secret")
    note_plain(context, {"--secret": secret})
    head, content = disk.text(headers), _bytes(body)
    key = secrets.resolved(given)
    signature.verify(signature.headers_of(head), content, key, context.now(), oldest)
    context.answer(views.VERIFIED.record({"valid": True}), form, lambda: ["The signature is valid."])


def _bytes(path: str) -> bytes:
    try:
        return disk.read(path)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.") from error
