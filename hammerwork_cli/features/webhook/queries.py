"""Reads and writes webhooks, and what became of their deliveries."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from hammerwork_cli.core.clock import EPOCH
from hammerwork_cli.core.values import (
    FAILED_SPELLINGS,
    UNSUCCESSFUL,
    Counts,
    JobStatus,
    cancellation,
    status_of,
    timestamp,
)
from hammerwork_cli.database import Database
from hammerwork_cli.database.statements import Names
from hammerwork_cli.features.event import queries as events
from hammerwork_cli.features.event import receivers
from hammerwork_cli.features.event.model import DELIVERIES
from hammerwork_cli.features.job.queries import changes
from hammerwork_cli.features.job.queries.changes import RetryJobs
from hammerwork_cli.features.job.queries.selections import ByIds
from hammerwork_cli.features.webhook.model import LONGEST_ANSWER, Delivery, Webhook, WebhookBody
from hammerwork_cli.view.text import cut

GIVEN_UP_AFTER = timedelta(days=5)
"""Time without a success after which a webhook that always fails is disabled."""
MOST_REPLAYED = 100_000
MOST_COUNTED = 10_000
"""Waiting deliveries that are counted, of all webhooks together."""
REST = timedelta(days=1)
"""For how long the deliveries of a disabled webhook are put off, unless it is enabled."""
REMOVED = "its webhook was removed"
"""Why a delivery is cancelled."""
DISABLED_BY = "hammerwork"
"""Who has disabled a webhook if no person has."""
_COLUMNS = Names(Webhook._fields)


def remove(database: Database, webhook: Webhook, *, now: datetime) -> bool:
    """Removes a webhook; returns whether it was there. Its deliveries stay, and those that wait are cancelled."""

    def work() -> bool:
        removed = bool(database.run("webhook.remove", id=webhook.id))
        _cancel(database, webhook.id, now)
        return removed

    removed = database.transaction(work)
    database.forget(events.READERS)
    return removed


def settle(database: Database, webhook: str, now: datetime) -> None:
    """Lets no delivery of a webhook be due that is disabled, by its id; cancels those of one that was removed."""

    def work() -> None:
        if database.row("webhook.lock_disabled", id=webhook) is not None:
            _put_off(database, webhook, now)
        elif by_id(database, webhook) is None:
            _cancel(database, webhook, now)

    database.transaction(work)


def _put_off(database: Database, webhook: str, now: datetime) -> None:
    # Those that have just been put off stay as they are.
    values = {"until": now + REST, "before": now + REST / 2}
    database.run("webhook.put_off", queue=DELIVERIES, webhook=webhook, **values)


def _cancel(database: Database, webhook: str, now: datetime) -> None:
    error = cancellation("its handler", REMOVED)  # as those end that a worker has
    database.run("webhook.cancel", queue=DELIVERIES, webhook=webhook, error=error, now=now)


def note_success(database: Database, webhook: Webhook, answer: str, now: datetime) -> None:
    text = database.message(cut(answer, LONGEST_ANSWER))
    database.transaction(lambda: database.run("webhook.succeeded", id=webhook.id, answer=text, now=now))


def note_failure(
    database: Database, webhook: Webhook, answer: str, now: datetime, *, given_up: bool, gone: bool = False
) -> None:
    """Notes an attempt that failed; disables a webhook that is gone.

    Args:
        given_up: whether the delivery will not be tried again.
        gone: whether the receiver no longer wants deliveries.
    """
    text = database.message(cut(answer, LONGEST_ANSWER))

    def work() -> None:
        database.run("webhook.did_not", id=webhook.id, answer=text, now=now, given_up=int(given_up))
        if gone:
            reason = "The receiver no longer wants deliveries (410 Gone)."
            switch(database, webhook, enabled=False, by=DISABLED_BY, now=now, reason=reason)

    database.transaction(work)


def disable_failing(database: Database, now: datetime) -> list[Webhook]:
    """Disables the webhooks that have failed for too long, and returns them.

    Args:
        now: by a clock that is not ahead: by that, all have.
    """
    disabled = []
    for row in database.rows("webhook.failing", columns=_COLUMNS, earliest=EPOCH, before=now - GIVEN_UP_AFTER):
        one = _read(row)
        if one.cannot_send:  # its receiver was never asked
            continue
        reason = f"No delivery has succeeded for {GIVEN_UP_AFTER.days} days. The last answer: {one.last_answer}"
        if switch(database, one, enabled=False, by=DISABLED_BY, now=now, reason=reason):
            disabled.append(one)
    return disabled


def deliveries(
    database: Database, webhook: Webhook | None, *, failed: bool = False, since: datetime | None = None, limit: int
) -> list[Delivery]:
    """The newest deliveries of a webhook, or of all, whose jobs still exist.

    Args:
        failed: only those that were given up.
    """
    rows = database.rows(
        "webhook.deliveries",
        queue=DELIVERIES,
        webhook=webhook and webhook.id,
        since=since,
        failed=FAILED_SPELLINGS if failed else (),
        limit=limit,
    )
    names = {one.id: one.name for one in ([webhook] if webhook else listed(database))}
    found = [Delivery.of(*row) for row in rows]
    return [one._replace(webhook=names.get(one.webhook_id or "", one.webhook)) for one in found]


def replayable(database: Database, webhook: Webhook, *, whole: bool, since: datetime | None) -> list[str]:
    """The deliveries of events since a time that can be made again and whose jobs still exist.

    Args:
        whole: also those that succeeded, not only those that were given up.
    """
    found = deliveries(database, webhook, failed=not whole, since=since, limit=MOST_REPLAYED)
    return [one.job_id for one in found if one.status in {*UNSUCCESSFUL, JobStatus.COMPLETED}]


def replay(database: Database, jobs: Sequence[str], *, whole: bool, now: datetime) -> int:
    """Makes deliveries again; returns how many."""
    if not jobs:
        return 0
    return changes.run(database, ByIds(list(jobs)), RetryJobs(now, force=whole, cancelled=True, at_once=True)).changed


def waiting(database: Database) -> dict[str, int]:
    """Webhook id -> its deliveries that wait for an attempt; of all webhooks, those due first are counted."""
    rows = database.rows("webhook.waiting", queue=DELIVERIES, limit=MOST_COUNTED)
    return {str(webhook): int(jobs) for webhook, jobs in rows if webhook is not None}


def any_open(database: Database) -> bool:
    """Whether a delivery waits, be it that of a webhook that was removed."""
    return database.row("webhook.any_open", queue=DELIVERIES) is not None


def counts(database: Database, since: datetime | None = None) -> dict[str, Counts]:
    """Webhook id -> its deliveries by status whose jobs still exist."""
    found: dict[str, Counts] = {}
    for webhook, status, jobs in database.rows("webhook.counts", queue=DELIVERIES, since=since):
        if webhook is not None:
            found.setdefault(str(webhook), Counts()).add(status_of(status), int(jobs))
    return found


def _read(row: Sequence[Any]) -> Webhook:
    found = Webhook._make(row)
    return found._replace(
        headers=_mapping(found.headers),
        auth=_mapping(found.auth),
        body=WebhookBody(found.body),
        allow_private=bool(found.allow_private),
        insecure=bool(found.insecure),
        **receivers.in_common(found),
    )


def _mapping(stored: Any) -> Mapping[str, str]:
    found = json.loads(stored)
    return {name: str(value) for name, value in found.items()} if isinstance(found, dict) else {}


def _values(database: Database, webhook: Webhook) -> dict[str, Any]:
    return {
        "headers": database.json(dict(webhook.headers)),
        "auth": database.json(dict(webhook.auth)),
        "old_until": timestamp(webhook.old_until),
        "body": str(webhook.body),
    }


def _deliver_now(database: Database, webhook: Webhook, now: datetime) -> None:
    """Makes what waited due."""
    if database.run("webhook.deliver_now", queue=DELIVERIES, webhook=webhook.id, now=now):
        database.notify([DELIVERIES])


def deliver_unsent(database: Database, now: datetime) -> None:
    """Makes what waits for webhooks due whose last requests could not even be made."""
    for webhook in listed(database):
        if webhook.enabled and webhook.cannot_send:
            database.transaction(partial(_deliver_now, database, webhook, now))


_webhooks = receivers.EventReceivers(
    "webhook",
    "webhook",
    ("webhook.list", "webhook.add", "webhook.update", "webhook.enable", "webhook.disable"),
    _COLUMNS,
    _read,
    _values,
    _deliver_now,
    lambda database, webhook, now: _put_off(database, webhook.id, now),
)
listed, named, by_id, present = _webhooks.listed, _webhooks.named, _webhooks.by_id, _webhooks.present
add, update, switch = _webhooks.add, _webhooks.update, _webhooks.switch
