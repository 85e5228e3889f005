"""Renders everything about one schedule."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from hammerwork_cli.models import rfc3339
from hammerwork_cli.models.cron.schedule import Outcome, RunTotals, Schedule, ScheduleRun
from hammerwork_cli.models.cron.words import notes_on
from hammerwork_cli.render.cron.runs import result_text, run_record
from hammerwork_cli.render.cron.schedules import facts, local_text, payload_of, schedule_record, words
from hammerwork_cli.render.formats.json import Record
from hammerwork_cli.render.formats.text import count, instant, statuses, visible


def details_record(
    schedule: Schedule, runs: Sequence[ScheduleRun], totals: RunTotals, dates: Sequence[datetime]
) -> Record:
    """A schedule with its payload, its next due times, its last runs, and how many there were."""
    return {
        **schedule_record(schedule, runs[0] if runs else None),
        "payload": payload_of(schedule),
        "notes": notes_on(schedule.expression) if words(schedule) else [],
        "next": [rfc3339(due) for due in dates],
        "runs": {"by_status": dict(totals.jobs.by_status), "skipped": totals.skipped, "missed": totals.missed},
        "last_runs": [run_record(run) for run in runs],
    }


def details_text(
    schedule: Schedule,
    runs: Sequence[ScheduleRun],
    totals: RunTotals,
    dates: Sequence[datetime],
    late: str | None = None,
) -> Iterator[str]:
    """Everything about a schedule, a line a fact; ``late``: why it has not run at the first of the dates."""
    yield f"{visible(schedule.name)} {schedule.id}"
    for name, value in facts(schedule):
        yield f"  {name:<13}{value}"
    for due in dates:
        yield f"  {'next':<13}{local_text(due, schedule.timezone)}"
    if late is not None:
        yield f"  {'note':<13}{late}"
    told = [statuses(totals.jobs), *_without_jobs(totals)]
    yield f"  {'runs':<13}{', '.join(filter(None, told)) or 'none yet'}"
    yield ""
    yield "Payload"
    yield f"  {visible(schedule.payload)}"
    if runs:
        yield ""
        yield "Last runs"
    for run in runs:
        yield f"  {instant(run.due_at)} UTC  {result_text(run)}"


def _without_jobs(totals: RunTotals) -> Iterator[str]:
    for number, word in ((totals.skipped, Outcome.SKIPPED), (totals.missed, Outcome.MISSED)):
        if number:
            yield f"{count(number)} {word}"
