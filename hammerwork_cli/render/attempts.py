"""The history of the attempts at a job: records for programs, lines for people."""

from collections.abc import Iterator, Sequence
from datetime import timedelta

from hammerwork_cli.models import AttemptOutcome, PastAttempt, rfc3339, timestamp
from hammerwork_cli.render.formats.colour import paint
from hammerwork_cli.render.formats.json import Record, known
from hammerwork_cli.render.formats.text import duration, first_line, instant, short_id, shorten, visible

SHOWN = 5
OUTCOMES = tuple(outcome.value for outcome in AttemptOutcome)


def attempt_record(attempt: PastAttempt) -> Record:
    """An attempt that did not complete.

    Keys: ``attempt`` (its number), ``outcome`` (``failed``, ``timed_out``, ``lost``, ``stopped``), ``worker`` (name;
    null if it is not known any more), ``worker_id`` (null for a Rust worker), ``started_at``, ``ended_at``, ``error``
    (at most 4,000 bytes).
    """
    return {
        "attempt": attempt.attempt,
        "outcome": known(attempt.outcome, OUTCOMES),
        "worker": attempt.worker,
        "worker_id": attempt.worker_id,
        "started_at": rfc3339(attempt.started_at),
        "ended_at": rfc3339(attempt.ended_at),
        "error": attempt.error,
    }


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
