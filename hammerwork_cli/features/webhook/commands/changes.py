"""The verbs of ``hammerwork webhook`` that change webhooks, or deliver again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Annotated, Any

import typer

from hammerwork_cli import disk
from hammerwork_cli.cli.context import Context
from hammerwork_cli.cli.options import (
    DryRunOption,
    Format,
    FormatOption,
    ReasonOption,
    YesOption,
    clear_option,
    cleared,
    since_option,
    start_of,
)
from hammerwork_cli.config import elsewhere
from hammerwork_cli.core.ids import new_id
from hammerwork_cli.core.input import names
from hammerwork_cli.core.input.reading import duration_of
from hammerwork_cli.core.values import ENDS
from hammerwork_cli.database import Database
from hammerwork_cli.errors import AnswerIsNoError, ConflictError, NotFoundError, UsageError
from hammerwork_cli.features.archive.models.policies import Policy, PolicyAction
from hammerwork_cli.features.archive.queries import policies
from hammerwork_cli.features.callbacks.commands import note_earlier, note_upkeep
from hammerwork_cli.features.event.commands import (
    IncludePayloadOption,
    QueuesOption,
    WantedOption,
    events_option,
    filters_of,
    setting,
)
from hammerwork_cli.features.event.model import DELIVERIES, EventType
from hammerwork_cli.features.job.commands import options as read
from hammerwork_cli.features.webhook import queries, views
from hammerwork_cli.features.webhook.commands.arguments import NameArgument, NamedOption, note_plain, required
from hammerwork_cli.features.webhook.model import METHODS, Webhook, WebhookBody
from hammerwork_cli.features.worker.models.limits import QueueLimit
from hammerwork_cli.features.worker.queries import limits
from hammerwork_cli.runtime.delivery.webhooks import secrets, templates
from hammerwork_cli.runtime.delivery.webhooks.headers import names_secret
from hammerwork_cli.runtime.delivery.webhooks.sending import MOST_RETRIES, validate
from hammerwork_cli.runtime.delivery.webhooks.taking_over import taken_over
from hammerwork_cli.view.json import Record
from hammerwork_cli.view.text import instant, plural, visible

DEFAULT_EVENTS = (
    EventType.JOB_DEAD,
    EventType.JOB_TIMED_OUT,
    EventType.JOB_FAILED,
    EventType.CRON_MISSED,
    EventType.CRON_FAILED,
)
"""What needs attention."""
AT_ONCE = 4
"""Deliveries to a webhook that are made at once, unless somebody sets another limit: one that hangs stops no others."""
KEPT = timedelta(days=7)
"""How long deliveries are kept, unless somebody sets another policy."""
KEY_HEADER = "X-API-Key"
OLD_SIGNS_TOO = "24h"
"""How long the old secret signs too, unless somebody says otherwise."""
ONE_SIGNATURE = "a request with --body original has one signature"
CLEARED: Mapping[str, tuple[str, Any]] = {
    "events": ("events", DEFAULT_EVENTS),
    "queue": ("queues", ()),
    "priority": ("priorities", ()),
    "header": ("headers", {}),
    "auth": ("auth", {}),
    "template": ("template", None),
}
"""Word of --clear -> field of a webhook, and its value without it."""


_setting = partial(setting, Webhook)


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """What somebody says of a webhook; nothing of what is not given."""

    method: Annotated[
        str | None,
        _setting("method", "POST, PUT or PATCH.", "-m", "--method", metavar="METHOD"),
    ] = None
    events: Annotated[list[str] | None, events_option("Types of events: dead,failed,tree.failed.")] = None
    queue: QueuesOption = None
    priority: read.PriorityOption = None
    header: Annotated[
        list[str] | None,
        typer.Option(
            "--header",
            metavar="NAME=VALUE",
            help="Send this header too (repeatable); its value: env:NAME, @FILE, or -.",
        ),
    ] = None
    headers: Annotated[list[str] | None, typer.Option("--headers", metavar="NAME=VALUE", hidden=True)] = None
    auth_token: Annotated[
        str | None, typer.Option("--auth-token", metavar="SECRET", help="Bearer token: env:NAME, @FILE, or -.")
    ] = None
    basic_auth: Annotated[
        str | None,
        typer.Option(
            "--basic-auth", metavar="SECRET", help="USER:PASSWORD of HTTP basic authentication: env:NAME, @FILE, or -."
        ),
    ] = None
    api_key_header: Annotated[
        str | None,
        typer.Option(
            "--api-key-header", metavar="NAME", help=f"With --api-key: name of the header. [default: {KEY_HEADER}]"
        ),
    ] = None
    api_key: Annotated[
        str | None,
        typer.Option("--api-key", metavar="SECRET", help="A key to send in a header: env:NAME, @FILE, or -."),
    ] = None
    body: Annotated[WebhookBody | None, _setting("body", "What requests hold.", "--body")] = None
    template: Annotated[
        str | None,
        typer.Option(
            "--template", metavar="JSON", help='JSON to send instead: {"text": "{{event.type}}"}, @FILE, or -.'
        ),
    ] = None
    include_payload: IncludePayloadOption = None
    allow_private: Annotated[
        bool | None,
        typer.Option(
            "--allow-private/--no-allow-private", help="Reach private and loopback addresses too. [default: no]"
        ),
    ] = None
    insecure: Annotated[
        bool | None, typer.Option("--insecure/--no-insecure", help="Allow http: beyond this machine. [default: no]")
    ] = None
    timeout: Annotated[
        str | None,
        _setting("timeout_seconds", "Time for a request.", "--timeout", metavar="DURATION"),
    ] = None
    max_retries: Annotated[
        int | None,
        _setting(
            "max_retries",
            "Retries of a delivery: 8 take about 20 hours.",
            "--max-retries",
            metavar="N",
            min=0,
            max=MOST_RETRIES,
        ),
    ] = None

    def read(self) -> dict[str, Any]:
        """Returns what is given, as fields of a webhook. Secrets are read from files and stdin now."""
        given: dict[str, Any] = {
            "method": None if self.method is None else _method(self.method),
            **filters_of(self),
            "headers": self._headers(),
            "auth": self._auth(),
            "body": self.body,
            "template": None if self.template is None else _template(self.template),
            "allow_private": self.allow_private,
            "insecure": self.insecure,
            "timeout_seconds": None if self.timeout is None else round(duration_of(self.timeout).total_seconds()),
            "max_retries": self.max_retries,
        }
        return {name: value for name, value in given.items() if value is not None}

    def _headers(self) -> dict[str, str] | None:
        lines = self._header_lines()
        return {name: secrets.given(value, f"The header {name}") for name, value in lines} if lines else None

    def _header_lines(self) -> list[tuple[str, str]]:
        found = []
        for line in (*(self.header or ()), *names.split(self.headers or ())):
            name, equals, value = line.partition("=")
            if not equals:
                raise UsageError(f"The header {name[:40]!r} has no value.", hint="Write NAME=VALUE.")
            if not name.strip():
                raise UsageError("The name of a header is empty.", hint="Write NAME=VALUE.")
            found.append((name.strip(), value.strip()))
        return found

    @property
    def secrets(self) -> dict[str, str | None]:
        """The options that hold a secret, with their values."""
        headers = {f"--header {name}": value for name, value in self._header_lines() if names_secret(name)}
        return {"--auth-token": self.auth_token, "--basic-auth": self.basic_auth, "--api-key": self.api_key, **headers}

    def _auth(self) -> dict[str, str] | None:
        ways = [way for way in (self.auth_token, self.basic_auth, self.api_key) if way is not None]
        if len(ways) > 1:
            raise UsageError("A webhook has one of --auth-token, --basic-auth and --api-key.")
        if self.auth_token is not None:
            return {"bearer": secrets.given(self.auth_token, "--auth-token")}
        if self.basic_auth is not None:
            return {"basic": secrets.given(self.basic_auth, "--basic-auth")}
        if self.api_key is not None:
            return {"header": self.api_key_header or KEY_HEADER, "key": secrets.given(self.api_key, "--api-key")}
        return None


def _method(word: str) -> str:
    if word.upper() not in METHODS:
        raise UsageError(f"{word!r:.40} is not a method of webhooks.", hint=f"One of: {', '.join(METHODS)}.")
    return word.upper()


def _template(text: str) -> str:
    template = read.text_from(text)
    templates.parsed(template)
    return template


UrlOption = typer.Option("--url", metavar="URL", help="Where to send: https://example.com/hook.")
SecretOption = Annotated[
    str | None,
    typer.Option("--secret", metavar="SECRET", help="Signs requests: env:NAME, @FILE, or -. [default: a new one]"),
]


def add(
    context: Context,
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="Name of the webhook.")],
    url: Annotated[str, UrlOption],
    secret: SecretOption = None,
    *,
    settings: WebhookSettings,
    form: FormatOption = Format.TABLE,
) -> None:
    """
    Without --events, it gets what needs attention: dead, timed_out, failed, cron.missed and cron.failed. Requests are
    signed as Standard Webhooks says, with a secret that is printed once, or the one of --secret. Secrets written as
    env:NAME are read where workers deliver. Requests reach public addresses by https: unless you allow more.

    \b
    Examples:
      hammerwork webhook add --name chat --url https://chat.example/hook --events dead,failed
      hammerwork webhook add --name shop --url https://shop.example/done --events tree.completed --queue import
      hammerwork webhook add --name page --url https://page.example/v2 --auth-token env:PAGE_TOKEN
    """
    new_secret = secrets.new_secret() if secret is None else None
    fields = {
        "events": DEFAULT_EVENTS,
        "secret": new_secret or secrets.given(secret or "", "--secret"),
        **settings.read(),
    }
    webhook = Webhook(new_id(), names.of_receiver(name, "webhook"), url, **fields)
    validate(webhook)
    note_plain(context, {"--secret": secret} | settings.secrets)
    database = context.database(changes=True)
    _add(context, database, webhook)
    context.answer(_record(database, webhook, new_secret), form, lambda: [webhook.id])
    if new_secret and form is Format.TABLE:
        context.print_wrapped(f"Secret (not shown again): {new_secret}")


def _record(database: Database, webhook: Webhook, new_secret: str | None) -> Record:
    """The record of a webhook, with a secret that was just made: nobody else gets to know it."""
    found = views.WEBHOOK.record(queries.by_id(database, webhook.id) or webhook)
    return {**found, "secret": new_secret} if new_secret else found


def _add(context: Context, database: Database, webhook: Webhook) -> None:
    now = context.now(database)
    context.confirm_profile()

    def write() -> None:
        queries.add(database, webhook, by=context.operator, now=now)
        _prepare(database, now)

    database.transaction(write)
    if EventType.JOB_COMPLETED in webhook.events and not webhook.queues:
        context.note("A delivery costs as much as a job, and each job has one. To name queues: --queue QUEUE")
    note_earlier(context, database, webhook.events)
    note_upkeep(context, database, now, "delivers to webhooks")


def _prepare(database: Database, now: datetime) -> None:
    """Limits deliveries to one webhook at once, and lets them be deleted after a while, unless somebody has decided."""
    if not limits.listed(database, [DELIVERIES]):
        limits.set_limit(database, QueueLimit.of(DELIVERIES, AT_ONCE, per="webhook"), by="hammerwork", now=now)
    if not policies.all_policies(database, [DELIVERIES]):
        kept = Policy(DELIVERIES, PolicyAction.DELETE, dict.fromkeys(ENDS, KEPT))._replace(by_tree=False)
        policies.put(database, kept, by="hammerwork", now=now)


def update(
    context: Context,
    name: NameArgument = None,
    new_name: Annotated[str | None, typer.Option("--name", metavar="NAME", help="Another name.")] = None,
    url: Annotated[str | None, UrlOption] = None,
    clear: Annotated[list[str] | None, clear_option(CLEARED)] = None,
    named: NamedOption = None,
    *,
    settings: WebhookSettings,
    form: FormatOption = Format.TABLE,
) -> None:
    """
    For another secret: `webhook rotate-secret`.

    \b
    Examples:
      hammerwork webhook update chat --events dead,failed,timed_out
      hammerwork webhook update chat --url https://chat.example/other --clear queue,template
    """
    wanted, given = required(name, named), settings.read()
    given |= {} if new_name is None else {"name": names.of_receiver(new_name, "webhook")}
    given |= {} if url is None else {"url": url}
    given |= dict(cleared(CLEARED, clear or (), given))
    database = context.database(changes=True)
    if not given:
        raise UsageError("Nothing was given to change.", hint="See: hammerwork webhook update --help")
    old = queries.named(database, wanted)
    webhook = old._replace(**given)
    validate(webhook)
    note_plain(context, settings.secrets)
    context.confirm_profile()
    now = context.now(database)
    queries.update(database, webhook, by=context.operator, now=now)
    note_earlier(context, database, set(webhook.events) - set(old.events))
    if old.signs_twice(now):
        _note_one_signature(context, webhook)
    _answer(context, database, webhook, form, "Changed")


def rotate_secret(
    context: Context,
    name: NameArgument = None,
    secret: SecretOption = None,
    keep_old: Annotated[
        str | None,
        typer.Option(
            "--keep-old", metavar="DURATION", help=f"How long the old secret signs too. [default: {OLD_SIGNS_TOO}]"
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Drop the previous secret, which still signs.")] = False,
    named: NamedOption = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """
    Requests have two signatures meanwhile, so that the receiver can change its secret at any time. With --body original
    they have one, so the old secret no longer signs. A secret that you give with --secret is not printed.

    \b
    Examples:
      hammerwork webhook rotate-secret chat
      hammerwork webhook rotate-secret chat --secret env:CHAT_SECRET --keep-old 1h
    """
    new_secret = secrets.new_secret() if secret is None else None
    kept = duration_of(OLD_SIGNS_TOO if keep_old is None else keep_old)
    given = new_secret or secrets.given(secret or "", "--secret")
    database = context.database(changes=True)
    old, now = queries.named(database, required(name, named)), context.now(database)
    webhook = old._replace(secret=given, old_secret=old.secret, old_until=now + kept)
    validate(webhook)
    note_plain(context, {"--secret": secret})
    if keep_old is not None and kept and webhook.body is WebhookBody.ORIGINAL:
        raise UsageError(f"The old secret cannot sign too: {ONE_SIGNATURE}.", hint="Leave --keep-old out.")
    if keep_old is not None and kept and old.secret is None:
        raise UsageError("The webhook has no old secret that could sign too.", hint="Leave --keep-old out.")
    if old.signs_twice(now) and not force:
        raise ConflictError(
            f"The previous secret still signs until {instant(old.old_secret_until)} UTC: a rotation would drop it.",
            hint="Rotate once receivers have the current secret. To drop the previous one: --force",
        )
    context.confirm_profile()
    queries.update(database, webhook, by=context.operator, now=now)
    _note_one_signature(context, webhook)
    named_secret = given if given.startswith("env:") else "the new secret"
    done = [new_secret or f"{visible(old.name)} signs with {named_secret} from now on."]
    context.answer(_record(database, webhook, new_secret), form, lambda: done)


def _note_one_signature(context: Context, webhook: Webhook) -> None:
    """Notes that an old secret does not sign, if a request has room for one signature."""
    if webhook.old_secret is not None and webhook.body is WebhookBody.ORIGINAL:
        context.note(f"The old secret no longer signs: {ONE_SIGNATURE}. Change it in the receiver now.")


def enable(
    context: Context, name: NameArgument = None, named: NamedOption = None, form: FormatOption = Format.TABLE
) -> None:
    """
    What waited is delivered at once. Events that happened while it was disabled are not delivered.

    \b
    Examples:
      hammerwork webhook enable chat
    """
    _switch(context, required(name, named), form, enabled=True)


def disable(
    context: Context,
    name: NameArgument = None,
    reason: ReasonOption = None,
    named: NamedOption = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """
    What is not delivered yet waits until it is enabled.

    \b
    Examples:
      hammerwork webhook disable chat --reason "the chat moves"
    """
    _switch(context, required(name, named), form, enabled=False, reason=reason)


def toggle(
    context: Context,
    name: NameArgument = None,
    wanted: WantedOption = False,
    named: NamedOption = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """
    \b
    Examples:
      hammerwork webhook toggle chat --enable
      hammerwork webhook toggle chat --disable
    """
    _switch(context, required(name, named), form, enabled=wanted)


def _switch(context: Context, name: str, form: Format, *, enabled: bool, reason: str | None = None) -> None:
    database = context.database(changes=True)
    webhook = queries.named(database, name)
    context.confirm_profile()
    now = context.now(database)
    changed = queries.switch(database, webhook, enabled=enabled, by=context.operator, now=now, reason=reason)
    done = "Enabled" if enabled else "Disabled"
    _answer(context, database, webhook, form, done if changed else f"Already {done.lower()}:")
    if enabled and changed:
        note_upkeep(context, database, now, "delivers to webhooks")


def _answer(context: Context, database: Database, webhook: Webhook, form: Format, done: str) -> None:
    found = queries.present(database, webhook.id)
    context.answer(views.WEBHOOK.record(found), form, lambda: [f"{done} {visible(found.name)}."])


def remove(
    context: Context,
    name: NameArgument = None,
    yes: YesOption = False,
    dry_run: DryRunOption = False,
    named: NamedOption = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """
    Its deliveries stay in the queue hammerwork-webhooks until retention deletes them.

    \b
    Examples:
      hammerwork webhook remove chat --yes
    """
    database = context.database(changes=not dry_run)
    webhook = queries.named(database, required(name, named))
    if not dry_run:
        context.confirm(f"Remove the webhook {visible(webhook.name)}?", yes=yes, form=form, plan=[webhook.name])
        context.confirm_profile()
        if not queries.remove(database, webhook, now=context.now(database)):
            raise NotFoundError("Somebody else has removed the webhook.")
    done = "Would remove" if dry_run else "Removed"
    context.answer(views.WEBHOOK.record(webhook), form, lambda: [f"{done} {visible(webhook.name)}."])


def replay(
    context: Context,
    name: NameArgument = None,
    since: Annotated[str, since_option("Deliveries of events")] = "24h",
    every: Annotated[bool, typer.Option("--all", help="Also what was delivered, not only what was given up.")] = False,
    only: Annotated[str | None, typer.Option("--only", metavar="HOW", hidden=True)] = None,
    yes: YesOption = False,
    dry_run: DryRunOption = False,
    named: NamedOption = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """
    The receiver gets the same webhook-id as before. Deliveries that retention has deleted are gone.

    \b
    Examples:
      hammerwork webhook replay chat --since 2h
      hammerwork webhook replay chat --since 2h --all --yes
    """
    if only not in {None, "failed", "all"}:
        raise UsageError(
            "--only must be failed or all.", hint="For everything: --all. For deliveries that were given up: neither."
        )
    whole = every or only == "all"
    database = context.database(changes=not dry_run)
    now = context.now(database)
    webhook, start = queries.named(database, required(name, named)), start_of(now, since)
    ids = queries.replayable(database, webhook, whole=whole, since=start)
    if dry_run:
        plan = views.REPLAYED.record({"webhook": webhook.name, "deliveries": len(ids)})
        context.answer(plan, form, lambda: [f"{plural(len(ids), 'event')} would be delivered again."])
        return
    if ids:
        question = f"Deliver {plural(len(ids), 'event')} to {visible(webhook.name)} again?"
        context.confirm(question, yes=yes, form=form, plan=ids[:100])
    context.confirm_profile()
    changed = queries.replay(database, ids, whole=whole, now=now)
    answer = views.REPLAYED.record({"webhook": webhook.name, "deliveries": changed})
    context.answer(answer, form, lambda: [f"{plural(changed, 'event')} will be delivered again."])
    if changed:
        note_upkeep(context, database, now, "delivers to webhooks")


def import_(
    context: Context,
    file: Annotated[
        str | None,
        typer.Argument(metavar="[FILE]", help="Its webhooks.json; - for stdin. [default: where it is]"),
    ] = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """
    They send the bodies and signatures of that version, so that receivers notice no difference. A webhook whose name
    or id exists is skipped. If one cannot be imported, a note says why, the others are added, and the exit code is 1.

    \b
    Examples:
      hammerwork webhook import
      hammerwork webhook import old/webhooks.json
    """
    found = taken_over(disk.text(file or _kept(context)))
    database = context.database(changes=True)
    now, listed = context.now(database), queries.listed(database)
    known = {one.name for one in listed} | {one.id for one in listed}
    new = [one for one, _ in found.webhooks if known.isdisjoint({one.name, one.id})]
    context.confirm_profile()

    def write() -> None:
        for one in new:
            queries.add(database, one, by=context.operator, now=now)
        if new:
            _prepare(database, now)

    database.transaction(write)
    for line in found.refused:
        context.note(line)
    for one, differences in found.webhooks:
        for line in differences if one in new else [f"{one.name!r:.80} already exists, and stays as it is."]:
            context.note(line)
    _show_added(context, new, form)
    if new:
        note_upkeep(context, database, now, "delivers to webhooks")
    if found.refused:
        raise AnswerIsNoError(f"{plural(len(found.refused), 'webhook')} could not be imported.")


def _kept(context: Context) -> str:
    """The file in which version 3 keeps its webhooks."""
    if (found := elsewhere.webhooks(context.environ, context.settings.path)) is None:
        raise UsageError("There is no webhooks.json beside the configuration file.", hint="Name the file.")
    return str(found)


def _show_added(context: Context, added: Sequence[Webhook], form: Format) -> None:
    if form is Format.TABLE:
        context.text([f"Added {visible(one.name)}." for one in added] or ["No webhook was added."])
    else:
        context.data(map(views.WEBHOOK.record, added), form, views.WEBHOOK.columns)
