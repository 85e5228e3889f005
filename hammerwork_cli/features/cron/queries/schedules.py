"""Finds schedules, and reads their runs."""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import fields, replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from hammerwork_cli.core.clock import latest
from hammerwork_cli.core.input.reading import ids_from
from hammerwork_cli.core.values import Counts, timestamp
from hammerwork_cli.database import Database
from hammerwork_cli.database.access import Row
from hammerwork_cli.database.statements import Columns
from hammerwork_cli.errors import AmbiguousIdError, NotFoundError
from hammerwork_cli.features.cron.model import (
    CatchUp,
    ListedSchedule,
    RunKind,
    RunOutcome,
    RunTotals,
    Schedule,
    ScheduleRun,
    column_of,
)
from hammerwork_cli.features.cron.queries import recurring
from hammerwork_cli.features.worker.queries import duties, registry

LIST = "To list them: hammerwork cron list"
DUTY = "schedules"
"""The duty by which others see that some worker enqueues the jobs of schedules."""
DUTY_SECONDS = 60.0
MOST_CANDIDATES = 10
_INSTANT = timedelta(microseconds=1)


class Known(NamedTuple):
    """What has become of a due time."""

    outcome: str  # an RunOutcome
    job: str | None = None  # its id; `None` without one
    stands_for_it: datetime | None = None  # the due time of the run that stands for it; `None` if it has its own


class KnownRuns:
    """What has become of the due times of a span.

    Args:
        rows: of the statement ``cron.schedules.known_runs``.
    """

    def __init__(self, schedule: Schedule, rows: Iterable[Row]) -> None:
        self._schedule = schedule
        self._runs: dict[datetime, Known] = {}
        self._times: list[datetime] = []  # of the runs that are not only triggered, in order
        self._spans: list[tuple[datetime, datetime]] = []  # from the first missed one to the run that stands for them
        for stored, kind, outcome, job, missed, stored_from in rows:
            at, since = timestamp(stored), timestamp(stored_from)
            assert at is not None  # a column that is never NULL
            self._runs[at] = Known(outcome, job and str(job))
            if kind != RunKind.TRIGGERED or schedule.count(at - _INSTANT, at):
                self._times.append(at)
            if missed and since is not None and since < at:
                self._spans.append((since, at))
        self._times.sort()
        self._spans.sort()

    def __contains__(self, due: datetime) -> bool:
        return self.get(due) is not None

    def get(self, due: datetime) -> Known | None:
        """What has become of a due time; ``None`` if that is not known."""
        if due in self._runs:
            return self._runs[due]
        standing = next((at for since, at in self._spans if since <= due < at), None)
        return None if standing is None else Known(RunOutcome.MISSED, stands_for_it=standing)

    def unknown(self, first: datetime, before: datetime) -> int:
        """The number of due times from ``first``, which is one, until before another, of which nothing is known."""
        number, reached = self._due(first, before) - self._own(first, before), first
        for since, at in self._spans:  # they may overlap
            low, high = max(since, reached), min(at, before)
            if low < high:
                number -= self._due(low, high) - self._own(low, high)
                reached = high
        return number

    def newest_unknown(self, first: datetime, before: datetime) -> datetime:
        """The last of the due times that :meth:`unknown` counts; there is one."""
        edges = sorted({first, *self._times, *(since for since, _ in self._spans)})
        edges = edges[bisect_left(edges, first) : bisect_left(edges, before)]
        place = bisect_left(edges, True, key=lambda edge: self.unknown(edge, before) == 0)
        until = edges[place] if place < len(edges) else before
        return self._schedule.passed(edges[place - 1], until - _INSTANT, 1)[0][-1]

    def _due(self, first: datetime, before: datetime) -> int:
        return 1 + self._schedule.count(first, before - _INSTANT)

    def _own(self, first: datetime, before: datetime) -> int:
        return bisect_left(self._times, before) - bisect_left(self._times, first)

    def job(self, due: datetime) -> str | None:
        known = self.get(due)
        return known.job if known else None


_NAMES = [field.name for field in fields(Schedule)]
COLUMNS = Columns(f"s.{column_of(name)}" for name in _NAMES[_NAMES.index("text") : _NAMES.index("kind")])
"""The columns of a schedule that follow its id and its name."""


def selected(database: Database, statement: str, **values: Any) -> list[Schedule]:
    """The schedules that a statement with ``{columns}`` selects."""
    found = (Schedule(*row) for row in database.rows(statement, columns=COLUMNS, **values))
    return [replace(one, id=str(one.id), enabled=bool(one.enabled)) for one in found]


def all_schedules(database: Database, *, queues: Sequence[str] = (), source: str | None = None) -> list[Schedule]:
    """Lists schedules by name."""
    if not database.has_own_tables():
        return []
    return selected(database, "cron.schedules.list", queues=queues, source=source)


def listed(database: Database, *, queues: Sequence[str] = (), now: datetime | None = None) -> list[ListedSchedule]:
    """Lists schedules by name with their last runs until now, and recurring jobs."""
    found = with_last_runs(database, queues=queues, now=now)
    return [*found, *(ListedSchedule(job, None) for job in recurring.recurring_jobs(database, queues=queues))]


def with_last_runs(
    database: Database, *, queues: Sequence[str] = (), now: datetime | None = None
) -> list[ListedSchedule]:
    """Lists schedules by name with their last runs.

    Args:
        now: without later runs, which a clock that was ahead has recorded.
    """
    found = all_schedules(database, queues=queues)
    rows = database.rows("cron.schedules.last_runs", latest=now and latest(now)) if found else []
    last = {str(schedule): _run(run) for schedule, *run in rows}
    return [ListedSchedule(schedule, last.get(schedule.id)) for schedule in found]


def find(database: Database, text: str) -> Schedule:
    """The schedule with a name, an id or the beginning of an id; or the recurring job with such an id."""
    found: list[Schedule] = []
    between = ids_from(text)
    if database.has_own_tables():
        found = selected(database, "cron.schedules.named", name=text)
        if not found and between:
            low, high = between
            found = selected(database, "cron.schedules.by_prefix", low=low, high=high, limit=MOST_CANDIDATES)
    if not found:
        found = [
            job
            for job in recurring.recurring_jobs(database)
            if text in (job.name, job.queue) or (between and between[0] <= job.id <= between[1])
        ]
    if not found:
        raise NotFoundError(f"There is no schedule {text[:60]!r}.{_near(database, text)}", hint=LIST)
    if len(found) > 1:
        names = ", ".join(f"{one.name!r} {one.id}" for one in found[:MOST_CANDIDATES])
        raise AmbiguousIdError(
            f"Several schedules have an id that starts with {text[:60]!r}: {names}.", hint="Give more digits."
        )
    return found[0]


def _near(database: Database, text: str) -> str:
    from difflib import get_close_matches

    near = get_close_matches(text, [schedule.name for schedule in all_schedules(database)], 3)
    return f" Did you mean {' or '.join(map(repr, near))}?" if near else ""


def coming(schedule: Schedule, count: int, now: datetime, until: datetime | None = None) -> list[datetime]:
    """The next due times of an enabled schedule; none of one that this version cannot read.

    An overdue one is the first, and of further ones before ``now`` there are those that the schedule catches up.
    """
    catches_up = schedule.catch_up == CatchUp.ALL and not schedule.is_in_place
    found: list[datetime] = []
    due = schedule.due if schedule.enabled and schedule.is_readable else None
    while due is not None and len(found) < count and (until is None or due <= until):
        found.append(due)
        due = schedule.next_after(due if catches_up else max(due, now))
    return found


# Runs.


def runs(
    database: Database, schedule: Schedule, *, since: datetime | None = None, limit: int = 50
) -> list[ScheduleRun]:
    """Lists the runs of a schedule, the last due one first; none of a recurring job."""
    if schedule.is_in_place:
        return []
    return [_run(row) for row in database.rows("cron.schedules.runs", id=schedule.id, since=since, limit=limit)]


def known_runs(database: Database, schedule: Schedule, first: datetime, last: datetime) -> KnownRuns:
    """What has become of the due times in a span."""
    return KnownRuns(schedule, database.rows("cron.schedules.known_runs", id=schedule.id, first=first, last=last))


def totals(database: Database, schedule: Schedule) -> RunTotals:
    """Counts the runs of a schedule that are remembered."""
    jobs, skipped, missed = Counts(), 0, 0
    if schedule.is_in_place:
        return RunTotals(jobs, skipped, missed)
    for outcome, status, number, more in database.rows("cron.schedules.totals", id=schedule.id):
        missed += int(more)
        if outcome == RunOutcome.ENQUEUED:
            jobs.add(status or "Deleted", number)
        elif outcome == RunOutcome.SKIPPED:
            skipped += number
        else:
            missed += number
    return RunTotals(jobs, skipped, missed)


def _run(row: Sequence[Any]) -> ScheduleRun:
    run = ScheduleRun(*row)
    return replace(run, job_id=None if run.job_id is None else str(run.job_id))


def forget_runs(database: Database, schedule: Schedule, before: datetime) -> None:
    """Forgets the runs of a schedule that were due, and recorded, before a time, but for the last one with a job."""
    last = database.row("cron.schedules.last_with_job", id=schedule.id)
    kept = timestamp(last[0]) if last else None
    database.run("cron.schedules.forget_runs", id=schedule.id, before=min(before, kept or before))


def upkeep_is_running(database: Database, now: datetime) -> bool:
    """Whether a worker enqueues the jobs of schedules now."""
    if not database.is_current:
        return False
    until = duties.times(database).get(DUTY)
    length = timedelta(seconds=DUTY_SECONDS)
    is_kept = until is not None and now - 2 * length < until <= latest(now, length)
    return is_kept and any(worker.is_alive for worker in registry.listed(database, alive=True))
