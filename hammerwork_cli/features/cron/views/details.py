"""Renders everything about one schedule."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from hammerwork_cli.core.cron.words import notes_on
from hammerwork_cli.features.cron.model import ListedSchedule, RunOutcome, RunTotals, Schedule, ScheduleRun
from hammerwork_cli.features.cron.views.runs import RUN, result_text
from hammerwork_cli.features.cron.views.schedules import SCHEDULE, facts, local_text, payload_of, words
from hammerwork_cli.view import key
from hammerwork_cli.view.shape import Shape
from hammerwork_cli.view.text import count, instant, statuses, visible


class ScheduleDetails(NamedTuple):
    """A schedule with its last runs, the counts of all, and its next due times."""

    listed: ListedSchedule
    runs: Sequence[ScheduleRun]
    totals: RunTotals
    dates: Sequence[datetime]

    @classmethod
    def of(
        cls, schedule: Schedule, runs: Sequence[ScheduleRun], totals: RunTotals, dates: Sequence[datetime]
    ) -> "ScheduleDetails":
        """Puts them together."""
        return cls(ListedSchedule(schedule, runs[0] if runs else None), runs, totals, dates)


_TOTALS = Shape[RunTotals](
    {"by_status": key.counts("Jobs of runs").of("jobs"), "skipped": key.count(), "missed": key.count()}
)
SCHEDULE_DETAILS = Shape[ScheduleDetails](
    {
        **SCHEDULE.within("listed"),
        "payload": key.anything().of(lambda one: payload_of(one.listed.schedule)),
        "notes": key.list_of(key.text(), "Common mistakes that the expression may contain").of(
            lambda one: notes_on(one.listed.schedule.expression) if words(one.listed.schedule) else []
        ),
        "next": key.list_of(key.instant()).of("dates"),
        "runs": _TOTALS.key().of("totals"),
        "last_runs": key.list_of(RUN).of("runs"),
    }
)


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
    for number, word in ((totals.skipped, RunOutcome.SKIPPED), (totals.missed, RunOutcome.MISSED)):
        if number:
            yield f"{count(number)} {word}"
