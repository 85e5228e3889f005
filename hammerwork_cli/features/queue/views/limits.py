"""Limits of queues: their shape, columns and lines for people."""

from collections.abc import Sequence
from typing import NamedTuple

from hammerwork_cli.features.worker.models.limits import QueueLimit
from hammerwork_cli.view import key
from hammerwork_cli.view.shape import Shape
from hammerwork_cli.view.table import Column, column
from hammerwork_cli.view.text import instant, visible

LIMIT_TERMS = {
    "concurrency": key.null_or(key.whole(1, "The most jobs that run at once, in all workers")),
    "rate": key.null_or(key.text("The most jobs that start within a period, such as 10/s")).of(
        lambda limit: limit.rate and str(limit.rate)
    ),
    "per": key.null_or(key.text("The key of payloads whose values have a limit each; null if all jobs share it")),
}
LIMIT = Shape[QueueLimit](
    {
        "queue": key.text(),
        **LIMIT_TERMS,
        "changed_by": key.text(
            "Who set it: `user@host`, or `code:module:attribute` for an application that declares it"
        ),
        "changed_at": key.null_or(key.instant()),
    }
)
LIMITS: Sequence[Column[QueueLimit]] = (
    column(LIMIT, "queue", wraps=True),
    Column("at once", lambda row: None if row.concurrency is None else f"{row.concurrency:,}", "right"),
    Column("rate", lambda row: row.rate and str(row.rate), "right"),
    column(LIMIT, "per", optional=True, wraps=True),
    Column("set by", lambda row: row.changed_by, wraps=True),
    Column("set at (UTC)", lambda row: instant(row.changed_at), drop_order=1),
)


class LimitChange(NamedTuple):
    """A limit that is set or removed, done or planned."""

    queue: str
    before: QueueLimit | None
    after: QueueLimit | None

    @property
    def changed(self) -> bool:
        return (self.before and self.before.terms) != (self.after and self.after.terms)


def change_text(change: LimitChange, *, dry_run: bool) -> str:
    """One line: "api: limited to 2 at once, 10/s per tenant (before: 5/s)"."""
    name, before, after = visible(change.queue), change.before, change.after
    would = "would be " if dry_run else ""
    if not change.changed:
        return f"{name}: {'has no limit' if after is None else f'already limited to {visible(str(after))}'}"
    if after is None:
        return f"{name}: {would}no longer limited to {visible(str(before))}"
    was = f" (before: {visible(str(before))})" if before is not None else ""
    return f"{name}: {would}limited to {visible(str(after))}{was}"
