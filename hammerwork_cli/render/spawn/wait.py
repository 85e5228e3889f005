"""Renders the answers of ``spawn wait``."""

from collections.abc import Iterator

from hammerwork_cli.models.wait import Blocker, BlockerReason, WaitOutcome, WaitResult
from hammerwork_cli.render.formats.colour import paint, paint_status
from hammerwork_cli.render.formats.json import Record
from hammerwork_cli.render.formats.text import (
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
from hammerwork_cli.render.spawn.why import blocker_text

SHOWN = 10


def wait_record(result: WaitResult) -> Record:
    """The result of a wait.

    Keys: ``job``, ``roots`` (ids), ``outcome`` (``completed``, ``failed``, ``stuck``, ``timeout``), ``jobs``,
    ``counts`` (status -> jobs), ``open`` (number of jobs that have not ended), ``failed`` (the first failed jobs:
    ``id``, ``queue``, ``status``, ``error``), ``stuck`` (number of jobs that can never run), ``holds`` (the first of
    them: ``id``, ``reason``, ``parents``), ``waited_seconds``.
    """
    return {
        "job": result.job,
        "roots": list(result.roots),
        "outcome": result.outcome.value,
        "jobs": result.counts.total,
        "counts": dict(sorted(result.counts.by_status.items())),
        "open": result.open,
        "failed": [
            {"id": node.id, "queue": node.queue, "status": node.status, "error": node.error} for node in result.failed
        ],
        "stuck": len(result.stuck),
        "holds": [
            {"id": blocker.job, "reason": blocker.reason.value, "parents": blocker.parents}
            for blocker in result.stuck[:SHOWN]
        ],
        "waited_seconds": round(result.waited.total_seconds(), 3),
    }


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
    if not result.open:
        return "jobs may still be spawned"
    return f"{plural(result.open, 'job')} {'is' if result.open == 1 else 'are'} open"


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
