"""Renders the runs of schedules."""

from collections.abc import Iterator, Sequence

from hammerwork_cli.features.cron.model import Gap, RunKind, RunOutcome, ScheduleRun
from hammerwork_cli.view import key
from hammerwork_cli.view.shape import Shape
from hammerwork_cli.view.table import Column, column
from hammerwork_cli.view.text import count, duration, first_line, instant, short_id, visible

RUN = Shape[ScheduleRun](
    {
        "due_at": key.instant("Due time; for a triggered run, the time of the request"),
        "kind": key.text("", *RunKind),
        "outcome": key.text("", *RunOutcome),
        "reason": key.null_or(key.text("Why there is no job")),
        "job_id": key.null_or(key.job_id()),
        "status": key.null_or(key.status()),
        "waited_seconds": key.null_or(key.seconds("Seconds from when its job could start to its last start")).of(
            "waited"
        ),
        "seconds": key.null_or(key.seconds("Run time of the last attempt")).of("ran"),
        "missed": key.count("Earlier due times without a run that this one stands for").of(lambda run: run.missed or 0),
        "missed_from": key.null_or(key.instant("The first of them")),
    }
)
GAP = Shape[Gap](
    {
        "due_at": key.instant(),
        "outcome": key.null_or(key.text("Its outcome so far: skipped, missed, or null without a run")),
        "job_id": key.null_or(key.job_id("Its new job; null with --dry-run")).of("job"),
    }
)
RUNS: Sequence[Column[ScheduleRun]] = (
    Column("due (UTC)", lambda run: instant(run.due_at)),
    column(RUN, "kind", drop_order=2),
    column(RUN, "outcome"),
    Column("job", lambda run: run.job_id and short_id(run.job_id), optional=True),
    column(RUN, "status", is_status=True, optional=True),
    Column("waited", lambda run: run.waited and duration(run.waited), "right", optional=True, drop_order=1),
    Column("ran", lambda run: run.ran and duration(run.ran), "right", optional=True, drop_order=3),
    Column("note", lambda run: note(run), optional=True, cuts=True),
)


GAPS: Sequence[Column[Gap]] = (
    Column("due (UTC)", lambda gap: instant(gap.due_at)),
    column(GAP, "outcome", optional=True),
    Column("job", lambda gap: gap.job and short_id(gap.job), optional=True),
)


def note(run: ScheduleRun) -> str | None:
    """Why there is no job, or why the job failed; and for how many earlier due times the run stands."""
    text = run.reason or run.error
    told = [first_line(text)] if text else []
    return "; ".join([*told, *_missed(run)]) or None


def _missed(run: ScheduleRun) -> Iterator[str]:
    if run.missed:
        yield f"{count(run.missed)} earlier ones missed since {instant(run.missed_from)}"


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
