"""Callbacks at the end of a batch or a tree: records for programs, columns for people."""

from collections.abc import Iterator, Sequence

from hammerwork_cli.models import rfc3339
from hammerwork_cli.models.watches import Watch
from hammerwork_cli.render.formats.colour import paint
from hammerwork_cli.render.formats.json import Record
from hammerwork_cli.render.formats.table import Column
from hammerwork_cli.render.formats.text import instant, short_id, visible

KEYS = ("event", "queue", "state", "job_id", "created_at", "fired_at")
COLUMNS: Sequence[Column[Watch]] = (
    Column("event", lambda row: row.event),
    Column("queue", lambda row: row.queue, cuts=True),
    Column("state", lambda row: row.state),
    Column("job", lambda row: row.job_id and short_id(row.job_id)),
    Column("fired at (UTC)", lambda row: instant(row.fired_at)),
)


def watch_record(watch: Watch) -> Record:
    """A callback.

    Keys: ``event`` (``complete``, ``success``, ``failure``), ``queue``, ``state`` (``open``, ``fired``, or ``over``:
    it cannot happen any more), ``job_id`` (of the job once it is enqueued, else null), ``created_at``, ``fired_at``.
    """
    return {
        "event": watch.event,
        "queue": watch.queue,
        "state": watch.state,
        "job_id": watch.job_id,
        "created_at": rfc3339(watch.created_at),
        "fired_at": rfc3339(watch.fired_at),
    }


def callbacks_text(watches: Sequence[Watch], colour: bool) -> Iterator[str]:
    """Callbacks under a heading; nothing without any."""
    if watches:
        yield ""
        yield paint("Callbacks", "bold", colour)
    yield from (f"  {_text(watch)}" for watch in watches)


def _text(watch: Watch) -> str:
    at = f" {instant(watch.fired_at)} UTC, job {short_id(watch.job_id)}" if watch.job_id else ""
    return f"{visible(watch.event)}: {visible(watch.queue)}, {visible(watch.state)}{at}"
