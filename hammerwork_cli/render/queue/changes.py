"""Renders changes of pauses: records for programs, lines for people."""

from hammerwork_cli.models import rfc3339
from hammerwork_cli.models.archive.policies import EVERY_QUEUE
from hammerwork_cli.models.queue import (
    PauseChange,
)
from hammerwork_cli.render.formats.json import Record
from hammerwork_cli.render.formats.text import visible
from hammerwork_cli.render.queue.listing import ALL_QUEUES
from hammerwork_cli.render.queue.service import pause_text

CHANGE_KEYS = ("queue", "paused", "changed", "has_jobs", "dry_run", "paused_at", "paused_by", "reason")


def change_record(change: PauseChange, *, paused: bool, dry_run: bool) -> Record:
    """A pause or resumption of a queue, done or planned.

    Keys: ``queue``, ``paused`` (afterwards), ``changed``, ``has_jobs``, ``dry_run``, and ``paused_at``, ``paused_by``
    and ``reason`` of the present pause, or of the one before.
    """
    pause = change.pause
    return {
        "queue": change.queue,
        "paused": paused or (change.pause is not None and not change.changed),
        "changed": change.changed,
        "has_jobs": change.has_jobs,
        "dry_run": dry_run,
        "paused_at": rfc3339(pause.paused_at) if pause else None,
        "paused_by": pause.paused_by if pause else None,
        "reason": pause.reason if pause else None,
    }


CLAIMED_TEXT = "Jobs that workers have claimed still start. The queue stands still once none of its jobs is Running."


def unknown_queue_text(queue: str, close: str | None = None) -> str:
    """A note about a queue without jobs.

    Args:
        close: a queue with a similar name.
    """
    if close is not None:
        return f"Queue {visible(queue)!r} has no jobs; did you mean {visible(close)!r}?"
    return f"Queue {visible(queue)!r} has no jobs; check the spelling: hammerwork queue list"


def change_text(change: PauseChange, *, paused: bool, dry_run: bool) -> str:
    """A pause or resumption of a queue, done or planned, in one line."""
    name = f"{ALL_QUEUES}, also those to come" if change.queue == EVERY_QUEUE else visible(change.queue)
    if change.changed:
        done = "paused" if paused else "resumed"
        what = f"would be {done}" if dry_run else done
    elif paused and change.pause:
        paused_before = change.pause._replace(reason=None) if change.new_reason else change.pause
        what = f"already paused {pause_text(paused_before)}"
        if change.new_reason:
            what += f"; the reason is now: {visible(change.pause.reason or '')}"
    elif change.pause:
        what = f"stays paused {pause_text(change.pause)}"
    else:
        what = "is not paused"
    return f"{name}: {what}"
