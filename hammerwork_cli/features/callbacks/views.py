"""Callbacks: their shape, columns for people."""

from collections.abc import Iterator, Sequence

from hammerwork_cli.features.callbacks.model import Callback
from hammerwork_cli.view import key
from hammerwork_cli.view.colour import paint
from hammerwork_cli.view.shape import Shape
from hammerwork_cli.view.table import Column, column
from hammerwork_cli.view.text import instant, short_id, visible

CALLBACK = Shape[Callback](
    {
        "event": key.text("complete, success or failure; a later version may write more"),
        "queue": key.text("Queue of the job"),
        "state": key.text("open, fired or over (its event can no longer happen); a later version may write more"),
        "job_id": key.null_or(key.job_id("Id of the job once it is enqueued")),
        "created_at": key.null_or(key.instant()),
        "fired_at": key.null_or(key.instant("When the job was enqueued")),
    }
)
COLUMNS: Sequence[Column[Callback]] = (
    column(CALLBACK, "event"),
    column(CALLBACK, "queue", cuts=True),
    column(CALLBACK, "state"),
    Column("job", lambda row: row.job_id and short_id(row.job_id)),
    Column("fired at (UTC)", lambda row: instant(row.fired_at)),
)


def callbacks_text(callbacks: Sequence[Callback], colour: bool) -> Iterator[str]:
    """Callbacks under a heading; nothing without any."""
    if callbacks:
        yield ""
        yield paint("Callbacks", "bold", colour)
    yield from (f"  {_text(callback)}" for callback in callbacks)


def _text(callback: Callback) -> str:
    at = f" {instant(callback.fired_at)} UTC, job {short_id(callback.job_id)}" if callback.job_id else ""
    return f"{visible(callback.event)}: {visible(callback.queue)}, {visible(callback.state)}{at}"
