"""The history of the attempts at a job: its shape, lines for people."""

from collections.abc import Iterator, Sequence
from datetime import timedelta

from hammerwork_cli.core.values import timestamp
from hammerwork_cli.features.job.models.job import AttemptOutcome, PastAttempt
from hammerwork_cli.view import key
from hammerwork_cli.view.colour import paint
from hammerwork_cli.view.shape import Shape
from hammerwork_cli.view.text import duration, first_line, instant, short_id, shorten, visible

SHOWN = 5
OUTCOMES = tuple(outcome.value for outcome in AttemptOutcome)


ATTEMPT = Shape[PastAttempt](
    {
        "attempt": key.count("Its number; after a job was given back or retried, several may have the same number"),
        "outcome": key.word(
            "lost: the worker was lost; stopped: the worker stopped at once and gave the job back", *OUTCOMES
        ),
        "worker": key.null_or(key.text("Name of the worker; null when it is no longer known")),
        "worker_id": key.null_or(key.uuid("Null for a Rust worker")),
        "started_at": key.null_or(key.instant("When the job was claimed")),
        "ended_at": key.null_or(key.instant()),
        "error": key.null_or(key.text("At most 4,000 bytes; a longer one keeps its beginning and its end")),
    }
)
ATTEMPT_HISTORY = key.list_of(ATTEMPT, "Attempts that did not complete, the newest 50, oldest first")


def outcome_word(outcome: str) -> str:
    """The outcome of an attempt for people."""
    return visible(outcome.replace("_", " "))


def attempts_text(attempts: Sequence[PastAttempt], width: int | None, colour: bool) -> Iterator[str]:
    """The last attempts at a job that did not complete, the newest first."""
    if attempts:
        yield ""
        of_all = f" (the last {SHOWN} of {len(attempts)})" if len(attempts) > SHOWN else ""
        yield paint("Attempts that did not complete", "bold", colour) + of_all
    for attempt in list(reversed(attempts))[:SHOWN]:
        word = paint(outcome_word(attempt.outcome), "red", colour)
        facts = f"{instant(attempt.ended_at)} UTC{_after(attempt)}{_worker(attempt)}"
        yield shorten(f"  attempt {attempt.attempt} · {word} · {facts}", None if colour else width)
        if attempt.error:
            yield shorten(f"    {first_line(attempt.error)}", width)


def _after(attempt: PastAttempt) -> str:
    started, ended = timestamp(attempt.started_at), timestamp(attempt.ended_at)
    return f", after {duration(max(ended - started, timedelta()))}" if started and ended else ""


def _worker(attempt: PastAttempt) -> str:
    if attempt.worker_id is None:
        return ""
    return f" · on {visible(attempt.worker) if attempt.worker else short_id(attempt.worker_id)}"
