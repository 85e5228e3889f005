"""Renders the answers of ``spawn wait``."""

from collections.abc import Iterator

from hammerwork_cli.features.spawn.views.why import BLOCKED_BY, blocker_text
from hammerwork_cli.features.tree.views.json import RELATIVE
from hammerwork_cli.features.tree.wait import Blocker, BlockerReason, WaitOutcome, WaitResult
from hammerwork_cli.view import key
from hammerwork_cli.view.colour import paint, paint_status
from hammerwork_cli.view.shape import Shape
from hammerwork_cli.view.text import (
    count,
    duration,
    first_line,
    plural,
    short_id,
    shorten,
    statuses,
    unsuccessful_text,
    visible,
)

SHOWN = 10


_HOLD = Shape[Blocker](
    {
        "id": key.job_id().of("job"),
        "reason": key.text("Why it waits").of("reason.value"),
        "parents": BLOCKED_BY,
    }
)
WAIT = Shape[WaitResult](
    {
        "job": key.job_id(),
        "roots": key.list_of(key.job_id()),
        "outcome": key.text("", *WaitOutcome).of("outcome.value"),
        "jobs": key.count().of("counts.total"),
        "counts": key.counts("Jobs by status", in_order=True),
        "open": key.count("Unfinished jobs").of("counts.open"),
        "failed": key.list_of(RELATIVE, "The first of them"),
        "stuck": key.count("Jobs that can never run").of(lambda result: len(result.stuck)),
        "holds": key.list_of(_HOLD, "The first of these").of(lambda result: result.stuck[:SHOWN]),
        "waited_seconds": key.seconds(digits=3).of("waited"),
    }
)


_WORDS = {
    WaitOutcome.COMPLETED: "Completed",
    WaitOutcome.FAILED: "Finished, with failures",
    WaitOutcome.STUCK: "The remaining jobs can never run",
    WaitOutcome.TIMEOUT: "Not finished",
}


def wait_text(result: WaitResult, *, width: int | None = None, colour: bool = False) -> Iterator[str]:
    """Yields the outcome, the counts, and the first failed jobs."""
    shade = "green" if result.outcome == WaitOutcome.COMPLETED else "red"
    words = paint(_WORDS[result.outcome], shade, colour)
    counts = f"{plural(result.counts.total, 'job')}: {statuses(result.counts)}"
    yield f"{words} · {counts} · waited {duration(result.waited)}"
    for node in result.failed:
        head = f"  {visible(node.queue)} {short_id(node.id)} "
        error = f" · {first_line(node.error)}" if node.error else ""
        room = None if width is None else max(width - len(head) - len(node.status), 10)
        yield f"{head}{paint_status(node.status, visible(node.status), colour)}{shorten(error, room)}"
    unsuccessful = result.counts.unsuccessful
    if unsuccessful > len(result.failed):
        yield f"  … {count(unsuccessful - len(result.failed))} more"
    if unsuccessful or result.stuck:
        yield f"Ask why: hammerwork spawn why {short_id(result.roots[0])}"


def open_text(result: WaitResult) -> str:
    """The open jobs, in words that fit into a sentence."""
    if not result.counts.open:
        return "jobs may still be spawned"
    return f"{plural(result.counts.open, 'job')} {'is' if result.counts.open == 1 else 'are'} open"


def failed_text(result: WaitResult) -> str:
    """A sentence with the reason why the wait failed."""
    if result.outcome == WaitOutcome.FAILED:
        return unsuccessful_text(result.counts)
    return f"{plural(len(result.stuck), 'job')} can never run."


def stuck_text(blockers: list[Blocker]) -> Iterator[str]:
    """Yields lines about jobs that can never run, while the wait continues."""
    as_it_is = "as it is" if len(blockers) == 1 else "as they are"
    yield f"{plural(len(blockers), 'job')} can never run {as_it_is}; waiting is useless until someone acts."
    for blocker in blockers[:3]:
        yield f"  {blocker_text(blocker, {})}"
    if len(blockers) > 3:
        yield f"  … {count(len(blockers) - 3)} more"
    if any(blocker.reason == BlockerReason.NOT_RELEASED for blocker in blockers):
        yield "  To release jobs that still wait: hammerwork spawn doctor --fix"
