"""``hammerwork cron list``, ``show``, ``history``, ``next`` and ``check``."""

from datetime import datetime
from heapq import merge
from itertools import chain, islice
from typing import Annotated

import typer

from hammerwork_cli.cli.context import Context
from hammerwork_cli.cli.lists import Listing, ListOptions, show_list
from hammerwork_cli.cli.options import Format, FormatOption, LimitOption, QueueOption, since_option, statuses
from hammerwork_cli.core.cron.expressions import Expression
from hammerwork_cli.core.input.reading import duration_of, instant_of, since_of
from hammerwork_cli.database import Database
from hammerwork_cli.errors import ConflictError, ShownAnswerError, UsageError
from hammerwork_cli.features.cron.commands.arguments import SHOWN_DATES, ScheduleArgument
from hammerwork_cli.features.cron.model import ListedSchedule, RunTotals, Schedule, ScheduleKind, ScheduleRun
from hammerwork_cli.features.cron.queries import schedules
from hammerwork_cli.features.cron.views import runs as run_views
from hammerwork_cli.features.cron.views import schedules as views
from hammerwork_cli.features.cron.views.details import SCHEDULE_DETAILS, ScheduleDetails, details_text

NONE = "There are no schedules."
CREATE = "To create one: hammerwork cron create --help"


def list_(
    context: Context,
    queue: QueueOption = None,
    active_only: Annotated[bool, typer.Option("--active-only", help="Only enabled schedules.")] = False,
    disabled: Annotated[bool, typer.Option("--disabled", help="Only disabled schedules.")] = False,
    kind: Annotated[
        ScheduleKind | None, typer.Option("--kind", help="Only schedules, or only recurring jobs (in_place).")
    ] = None,
    failed: Annotated[bool, typer.Option("--failed", help="Only schedules whose last run failed.")] = False,
    detailed: Annotated[bool, typer.Option("--detailed", help="Print each schedule as `cron show` does.")] = False,
    *,
    options: ListOptions,
) -> None:
    """
    \b
    Examples:
      hammerwork cron list
      hammerwork cron list --failed
      hammerwork cron list --sort next_run_at --watch
      hammerwork cron list --format json | jq -r '.[] | select(.enabled | not) | .name'
    """
    if detailed and options != ListOptions():
        raise UsageError(
            "--detailed cannot be combined with --format, --fields, --sort or --watch.",
            hint="As JSON: hammerwork cron show SCHEDULE --format json",
        )

    upkeep = True

    def read(database: Database) -> list[ListedSchedule]:
        nonlocal upkeep
        found = [
            row
            for row in schedules.listed(database, queues=queue or (), now=context.now())
            if (row.schedule.enabled or not active_only)
            and (not row.schedule.enabled or not disabled)
            and (kind is None or row.schedule.kind == kind)
            and (views.has_failed(row.last_run) or not failed)
        ]
        now = context.now()
        late = any(views.is_overdue(row.schedule, now) for row in found)
        upkeep = not late or schedules.upkeep_is_running(database, now)
        return found

    shown = Listing(
        name="cron list",
        read=read,
        columns=lambda: views.columns(context.now(), upkeep=upkeep),
        shape=views.SCHEDULE,
        empty="No schedule matches." if queue or active_only or disabled or kind or failed else f"{NONE} {CREATE}",
    )
    if detailed:
        database = context.database()
        found, now = [row.schedule for row in read(database)], context.now(database)
        pages = [
            details_text(one, *_details(database, one, now), views.no_upkeep(one, now, upkeep=upkeep)) for one in found
        ]
        context.text(chain.from_iterable([*([""] if place else []), *lines] for place, lines in enumerate(pages)))
        if not pages:
            context.note(shown.empty)
        return
    show_list(context, shown, options)


def _details(
    database: Database, schedule: Schedule, now: datetime, limit: int = 10
) -> tuple[list[ScheduleRun], RunTotals, list[datetime]]:
    """The last runs, the counts of all runs, and the next due times."""
    found, totals = schedules.runs(database, schedule, limit=limit), schedules.totals(database, schedule)
    return found, totals, schedules.coming(schedule, SHOWN_DATES, now)


def show(
    context: Context,
    name: ScheduleArgument,
    limit: LimitOption = 10,
    form: FormatOption = Format.TABLE,
) -> None:
    """
    \b
    Examples:
      hammerwork cron show report
      hammerwork cron show report --format json | jq .next
    """
    database = context.database()
    schedule = schedules.find(database, name)
    now = context.now(database)
    found = _details(database, schedule, now, limit)
    upkeep = not views.is_overdue(schedule, now) or schedules.upkeep_is_running(database, now)
    late = views.no_upkeep(schedule, now, upkeep=upkeep)
    record = SCHEDULE_DETAILS.record(ScheduleDetails.of(schedule, *found))
    context.answer(record, form, lambda: details_text(schedule, *found, late))


def history(
    context: Context,
    name: ScheduleArgument,
    since: Annotated[str | None, since_option("Only runs due")] = None,
    status: Annotated[
        list[str] | None,
        typer.Option("-t", "--status", metavar="STATUS", help="Only runs whose jobs have this status."),
    ] = None,
    limit: LimitOption = 50,
    form: FormatOption = Format.TABLE,
) -> None:
    """
    Runs are kept for 90 days.

    \b
    Examples:
      hammerwork cron history report
      hammerwork cron history report --since 7d --status failed,dead
      hammerwork cron history report --format json | jq -r '.[] | select(.outcome == "missed") | .due_at'
    """
    wanted = statuses(status)
    database = context.database()
    schedule = schedules.find(database, name)
    if schedule.is_in_place:
        raise ConflictError(
            f"The recurring job {schedule.id} keeps no history: each occurrence overwrites the one before.",
            hint=f"To turn it into a schedule: hammerwork cron convert {schedule.id} --name NAME",
        )
    start = None if since is None else since_of(since, context.now())
    # Few runs have a given status: look at all of them.
    found = schedules.runs(database, schedule, since=start, limit=limit if wanted is None else 1_000_000)
    chosen = found if wanted is None else [run for run in found if run.status in wanted][:limit]
    context.show(
        chosen,
        form,
        columns=run_views.RUNS,
        shape=run_views.RUN,
        empty="No run matches.",
    )


def next_(
    context: Context,
    name: Annotated[str | None, typer.Argument(metavar="[SCHEDULE]", help="Only this schedule.")] = None,
    count: Annotated[
        int, typer.Option("-c", "--count", metavar="N", min=1, max=10_000, help="Maximum number of due times.")
    ] = 10,
    hours: Annotated[
        float | None,
        typer.Option("--hours", metavar="HOURS", min=0, max=1_000_000, help="Only the next HOURS."),
    ] = None,
    queue: QueueOption = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """
    \b
    Examples:
      hammerwork cron next
      hammerwork cron next report --count 3
      hammerwork cron next --hours 24 --format json
    """
    database = context.database()
    listed = [row.schedule for row in schedules.listed(database, queues=queue or ())] if name is None else []
    found = [schedules.find(database, name)] if name is not None else [one for one in listed if views.words(one)]
    now = context.now(database)
    until = None if hours is None else now + duration_of(f"{hours * 3600:.0f}")
    dates = ([(due, schedule) for due in schedules.coming(schedule, count, now, until)] for schedule in found)
    rows = [
        views.DueTime(schedule.name, schedule.queue, due, schedule.timezone)
        for due, schedule in islice(merge(*dates, key=lambda pair: pair[0]), count)
    ]
    context.show(
        rows,
        form,
        columns=views.DUE_TIMES,
        shape=views.DUE,
        empty="No schedule is due." if found or listed or queue else f"There are no schedules. {CREATE}",
    )


def check(
    context: Context,
    expression: Annotated[str, typer.Argument(metavar="CRON", help="A cron expression, in quotes.")],
    timezone: Annotated[
        str | None, typer.Option("-z", "--timezone", metavar="ZONE", help="Time zone, such as Europe/Oslo.")
    ] = None,
    limit: Annotated[
        int, typer.Option("-l", "--limit", metavar="N", min=1, max=10_000, help="Number of due times.")
    ] = 5,
    after: Annotated[
        str | None, typer.Option("--after", metavar="TIME", help="Due times after this. [default: now]")
    ] = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """
    Exit code 2 when CRON is not a cron expression, 1 when it is never due.

    \b
    Examples:
      hammerwork cron check '30 2 * * Mon-Fri' --timezone Europe/Oslo
      hammerwork cron check '0 0 6 * * 1-5'
      hammerwork cron check '@every 45m' --limit 3 --format json
    """
    now = instant_of(after) if after is not None else context.now()
    found = Expression.of(expression, timezone)
    dates = list(islice(found.dates(now, now), limit))
    context.answer(views.MEANING.record(views.Meaning(found, dates)), form, lambda: views.check_text(found, dates))
    if not dates:
        raise ShownAnswerError(f"The cron expression {expression!r:.120} is never due.")
