"""Changes of pauses: their shape, lines for people."""

from typing import NamedTuple

from hammerwork_cli.features.queue.model import EVERY_QUEUE, PauseChange, QueuePause
from hammerwork_cli.features.queue.views.listing import ALL_QUEUES, PAUSE
from hammerwork_cli.features.queue.views.service import pause_text
from hammerwork_cli.view import key
from hammerwork_cli.view.shape import Shape
from hammerwork_cli.view.text import visible


class Switching(NamedTuple):
    """A pause or resumption of a queue, done or planned."""

    change: PauseChange
    paused: bool
    dry_run: bool = False


PAUSE_CHANGE = Shape[Switching](
    {
        "queue": key.text().of("change.queue"),
        "paused": key.flag("Afterwards").of(
            lambda one: one.paused or (one.change.pause is not None and not one.change.changed)
        ),
        "changed": key.flag().of("change.changed"),
        "has_jobs": key.flag("False may mean that the name is misspelled").of("change.has_jobs"),
        "dry_run": key.flag(),
        "paused_at": PAUSE.parts["paused_at"].of(lambda one: one.change.pause and one.change.pause.paused_at),
        "paused_by": PAUSE.parts["paused_by"].of(lambda one: one.change.pause and one.change.pause.paused_by),
        "reason": PAUSE.parts["reason"].of(lambda one: one.change.pause and one.change.pause.reason),
    }
)
"""A pause or resumption, with the present pause, or the one before."""
CLAIMED_TEXT = "Jobs that workers have claimed still start. The queue is idle once none of its jobs is Running."


def unknown_queue_text(queue: str, close: str | None = None) -> str:
    """A note about a queue without jobs.

    Args:
        close: a queue with a similar name.
    """
    if close is not None:
        return f"Queue {visible(queue)!r} has no jobs; did you mean {visible(close)!r}?"
    return f"Queue {visible(queue)!r} has no jobs; check the spelling: hammerwork queue list"


def all_paused_text(pause: QueuePause) -> str:
    """The pause of all queues, which queues without jobs have too."""
    return f"Future queues are paused, too, {pause_text(pause)}"


def change_text(change: PauseChange, *, paused: bool, dry_run: bool) -> str:
    """A pause or resumption of a queue, done or planned, in one line."""
    name = f"{ALL_QUEUES}, including future ones" if change.queue == EVERY_QUEUE else visible(change.queue)
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
