"""Renders the runs of schedules."""

from collections.abc import Iterator, Sequence

from hammerwork_cli.models import rfc3339
from hammerwork_cli.models.cron.schedule import Gap, ScheduleRun
from hammerwork_cli.render.formats.json import Record, seconds
from hammerwork_cli.render.formats.table import Column
from hammerwork_cli.render.formats.text import count, duration, first_line, instant, short_id, visible

RUN_KEYS = (
    "due_at",
    "kind",
    "outcome",
    "reason",
    "job_id",
    "status",
    "waited_seconds",
    "seconds",
    "missed",
    "missed_from",
)
RUNS: Sequence[Column[ScheduleRun]] = (
    Column("due (UTC)", lambda run: instant(run.due_at)),
    Column("kind", lambda run: run.kind, leaves=2),
    Column("outcome", lambda run: run.outcome),
    Column("job", lambda run: run.job_id and short_id(run.job_id), optional=True),
    Column("status", lambda run: run.status, is_status=True, optional=True),
    Column("waited", lambda run: run.waited and duration(run.waited), "right", optional=True, leaves=1),
    Column("ran", lambda run: run.ran and duration(run.ran), "right", optional=True, leaves=3),
    Column("note", lambda run: note(run), optional=True, cuts=True),
)


GAP_KEYS = ("due_at", "outcome", "job_id")
GAPS: Sequence[Column[Gap]] = (
    Column("due (UTC)", lambda gap: instant(gap.due_at)),
    Column("outcome", lambda gap: gap.outcome, optional=True),
    Column("job", lambda gap: gap.job and short_id(gap.job), optional=True),
)


def gap_record(gap: Gap) -> Record:
    """A due time that had no job.

    Keys: ``due_at``, ``outcome`` (what had become of it: ``skipped``, ``missed``, or null without a run), ``job_id``
    (of its new job, null with ``--dry-run``).
    """
    return {"due_at": rfc3339(gap.due_at), "outcome": gap.outcome, "job_id": gap.job}


def note(run: ScheduleRun) -> str | None:
    """Why there is no job, or why the job failed; and for how many earlier due times the run stands."""
    text = run.reason or run.error
    told = [first_line(text)] if text else []
    return "; ".join([*told, *_missed(run)]) or None


def _missed(run: ScheduleRun) -> Iterator[str]:
    if run.missed:
        yield f"{count(run.missed)} earlier ones missed since {instant(run.missed_from)}"


def run_record(run: ScheduleRun) -> Record:
    """A run of a schedule.

    Keys: ``due_at``, ``kind`` (``scheduled``, ``triggered`` or ``backfill``), ``outcome`` (``enqueued``, ``skipped`` or
    ``missed``), ``reason`` (why there is no job), ``job_id``, ``status`` (of the job, null once it is deleted),
    ``waited_seconds`` and ``seconds`` (of its last attempt), ``missed`` (how many earlier due times without a run the
    row stands for) and ``missed_from`` (the first of them, or null).
    """
    return {
        "due_at": rfc3339(run.due_at),
        "kind": run.kind,
        "outcome": run.outcome,
        "reason": run.reason,
        "job_id": run.job_id,
        "status": run.status,
        "waited_seconds": seconds(run.waited),
        "seconds": seconds(run.ran),
        "missed": run.missed or 0,
        "missed_from": rfc3339(run.missed_from),
    }


def result_text(run: ScheduleRun) -> str:
    """What became of a due time, in a line."""
    if run.job_id is None:
        return "; ".join([f"{run.outcome}: {visible(run.reason or '')}".rstrip(": "), *_missed(run)])
    parts = [run.status or "job deleted", short_id(run.job_id)]
    if run.ran is not None:
        parts.append(f"ran {duration(run.ran)}")
    if run.error:
        parts.append(first_line(run.error))
    return "  ".join([*parts, *_missed(run)])
