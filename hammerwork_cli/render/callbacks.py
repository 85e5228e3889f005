"""Callbacks: records for programs, columns for people."""

from collections.abc import Iterator, Sequence

from hammerwork_cli.models import rfc3339
from hammerwork_cli.models.callbacks import Callback
from hammerwork_cli.render.formats.colour import paint
from hammerwork_cli.render.formats.json import Record
from hammerwork_cli.render.formats.table import Column
from hammerwork_cli.render.formats.text import instant, short_id, visible

KEYS = ("event", "queue", "state", "job_id", "created_at", "fired_at")
COLUMNS: Sequence[Column[Callback]] = (
    Column("event", lambda row: row.event),
    Column("queue", lambda row: row.queue, cuts=True),
    Column("state", lambda row: row.state),
    Column("job", lambda row: row.job_id and short_id(row.job_id)),
    Column("fired at (UTC)", lambda row: instant(row.fired_at)),
)


def callback_record(callback: Callback) -> Record:
    """A callback.

    Keys: ``event`` (``complete``, ``success``, ``failure``), ``queue``, ``state`` (``open``, ``fired``, or ``over``:
    its event can no longer happen), ``job_id`` (of the job once it is enqueued, else null), ``created_at``,
    ``fired_at``.
    """
    return {
        "event": callback.event,
        "queue": callback.queue,
        "state": callback.state,
        "job_id": callback.job_id,
        "created_at": rfc3339(callback.created_at),
        "fired_at": rfc3339(callback.fired_at),
    }


def callbacks_text(callbacks: Sequence[Callback], colour: bool) -> Iterator[str]:
    """Callbacks under a heading; nothing without any."""
    if callbacks:
        yield ""
        yield paint("Callbacks", "bold", colour)
    yield from (f"  {_text(callback)}" for callback in callbacks)


def _text(callback: Callback) -> str:
    at = f" {instant(callback.fired_at)} UTC, job {short_id(callback.job_id)}" if callback.job_id else ""
    return f"{visible(callback.event)}: {visible(callback.queue)}, {visible(callback.state)}{at}"
