"""``hammerwork monitor health``."""

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Annotated

import typer

from hammerwork_cli.cli.context import Context
from hammerwork_cli.cli.given import is_given
from hammerwork_cli.cli.limits import LimitOptions, TableLimits
from hammerwork_cli.cli.options import Format, FormatOption, QueueOption
from hammerwork_cli.core.input import names
from hammerwork_cli.core.input.reading import duration_of, limit_of
from hammerwork_cli.errors import ShownAnswerError, UsageError
from hammerwork_cli.features.monitor.models.health import CheckName, HealthReport, Level, MonitorLimits
from hammerwork_cli.features.monitor.queries import health as checks
from hammerwork_cli.features.monitor.views import health as views

OF_TABLES = frozenset({"rows", "dead_rows", "invalid_indexes", "open_transaction"})
"""The checks of ``--tables``."""
_LIMITED: Mapping[str, tuple[str, ...]] = {
    "max_pending": (CheckName.PENDING,),
    "max_pending_age": (CheckName.PENDING_AGE,),
    "max_running_age": (CheckName.RUNNING_AGE, CheckName.LOST_JOBS, CheckName.UNCLAIMED_JOBS),
    "max_waiting_age": (CheckName.WAITING_AGE,),
    "max_retrying": (CheckName.RETRYING,),
    "max_failed": (CheckName.FAILED, CheckName.FAILURE_RATE),
    "max_failure_rate": (CheckName.FAILURE_RATE,),
    "max_overdue": (CheckName.OVERDUE_JOBS, CheckName.OVERDUE_SCHEDULES),
    "max_rows": ("rows",),
    "max_dead_rows": ("dead_rows",),
    "max_transaction": ("open_transaction",),
}
"""Option -> the checks that it limits."""


def health(
    ctx: typer.Context,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 for warnings too.")] = False,
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="CHECK", help="Only these checks: workers,pending.")
    ] = None,
    skip: Annotated[
        list[str] | None, typer.Option("--skip", metavar="CHECK", help="Leave these checks out: migrations.")
    ] = None,
    queue: QueueOption = None,
    worker: Annotated[str | None, typer.Option("--worker", metavar="WORKER", help="Check only this worker.")] = None,
    tables: Annotated[bool, typer.Option("--tables", help="Check the tables and indexes instead.")] = False,
    *,
    limits: LimitOptions,
    max_overdue: Annotated[
        str, typer.Option("--max-overdue", metavar="DURATION", help="Maximum delay of a recurring job or a schedule.")
    ] = "10m",
    table_limits: TableLimits,
    form: FormatOption = Format.TABLE,
) -> None:
    """
    Limits apply to each queue that is not paused; 'off' disables a limit. Checks: database, writes, migrations,
    workers, lost_workers, stalled_workers, stopping_workers, held_slots, unwritten_outcomes, upkeep, unserved_queues,
    paused_queues, pending, pending_age, running_age, waiting_age, lost_jobs, unclaimed_jobs, overdue_jobs,
    overdue_schedules, growing_trees, retrying, failed, failure_rate, retention, webhooks, streams, clocks,
    times_in_the_future. A database that does not answer is critical; a check is unknown where the migrations of
    hammerwork-cli are missing. --worker checks only that worker: exit code 1 when its lease is over, or when it has
    stalled, could not write outcomes for two leases, is lost or has stopped. --queue runs only the checks of queues.
    --tables runs other checks instead: rows, dead_rows, invalid_indexes and open_transaction, because vacuum cannot
    remove dead rows that an open transaction might still see. Row counts are estimates by the server; on SQLite they
    are exact.

    \b
    Examples:
      hammerwork monitor health
      hammerwork monitor health --strict --skip migrations --max-pending-age 5m
      hammerwork monitor health --queue mail --max-pending 500
      hammerwork monitor health --worker render-1 --quiet
      hammerwork monitor health --tables --max-rows 5000000 --max-dead-rows off
      hammerwork monitor health --format json | jq -r '.checks[] | select(.status != "healthy") | .hint'
    """
    context: Context = ctx.obj
    wanted = _checks(only, skip, queue)
    _refuse_together(worker=worker, tables=tables or None, queue=queue)
    if tables or worker is not None:
        _refuse_together(**{"worker" if worker else "tables": True}, only=only, skip=skip)
    _refuse_idle_limits(ctx, OF_TABLES if tables else () if worker is not None else wanted)
    if tables:
        from hammerwork_cli.features.maintenance import queries as maintenance

        allowed_tables = table_limits.limits()
        database = context.database()
        report = maintenance.health(database, allowed_tables, now=context.now(database))
    elif worker is not None:
        database = context.database()
        report = checks.worker_health(database, worker, now=context.now(database))
    else:
        allowed = MonitorLimits(limits.limits(), limit_of(max_overdue, duration_of))
        report = checks.health(context.database, allowed, now=context.now, only=wanted, queue=queue or ())
    _show(context, report, form)
    worst = report.status
    if worst is Level.CRITICAL or (strict and worst is Level.WARNING):
        raise ShownAnswerError(views.summary(report))


def _show(context: Context, report: HealthReport, form: Format) -> None:
    if form in {Format.TABLE, Format.JSON}:
        record = views.HEALTH_REPORT.record(report)
        context.answer(record, form, partial(views.report_text, report, width=context.width, colour=context.colour))
    else:
        context.data(map(views.CHECK_OUTCOME.record, report.checks), form, views.CHECK_OUTCOME.columns)


def _checks(only: list[str] | None, skip: list[str] | None, queue: list[str] | None) -> Sequence[CheckName]:
    skipped = set(_named("--skip", skip))
    asked = _named("--only", only) if only is not None else CheckName
    left = [check for check in asked if check not in skipped and (queue is None or check in checks.OF_QUEUES)]
    if not left and queue is not None:
        raise UsageError(
            "--queue, --only and --skip leave no check.",
            hint=f"Checks of queues: {', '.join(sorted(checks.OF_QUEUES))}.",
        )
    if not left:
        raise UsageError("--only and --skip leave no check.", hint=_names())
    return left


def _named(option: str, given: list[str] | None) -> list[CheckName]:
    words = [word.strip().lower().replace("-", "_") for word in names.split(given or ()) or given or ()]
    unknown = [word for word in words if word not in set(CheckName)]
    if unknown:
        raise UsageError(f"{option}: {unknown[0][:40]!r} is not a check.", hint=_names())
    return [CheckName(word) for word in words]


def _names() -> str:
    return f"Checks: {', '.join(CheckName)}."


def _refuse_idle_limits(ctx: typer.Context, running: Collection[str]) -> None:
    """Refuses a limit whose checks do not run: whoever gives it believes that they do."""
    for option, limited in _LIMITED.items():
        if is_given(ctx, option) and not set(limited) & set(running):
            raise UsageError(
                f"--{option.replace('_', '-')} has no effect: the check {limited[0]} does not run.",
                hint="Add --tables." if limited[0] in OF_TABLES else "Leave it out.",
            )


def _refuse_together(**given: object) -> None:
    names = [f"--{name}" for name, value in given.items() if value is not None]
    if len(names) > 1:
        raise UsageError(f"{names[0]} cannot be combined with {' or '.join(names[1:])}.")
