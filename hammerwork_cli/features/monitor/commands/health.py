"""``hammerwork monitor health``."""

from collections.abc import Sequence
from functools import partial
from typing import Annotated

import typer

from hammerwork_cli.cli.context import Context
from hammerwork_cli.cli.option_sets import expand_option_groups
from hammerwork_cli.cli.options import Format, FormatOption
from hammerwork_cli.core.input import names
from hammerwork_cli.core.input.reading import duration_of
from hammerwork_cli.errors import ShownAnswerError, UsageError
from hammerwork_cli.features.monitor.models.health import CheckName, HealthReport, Level, MonitorLimits
from hammerwork_cli.features.monitor.queries import health as checks
from hammerwork_cli.features.monitor.views import health as views
from hammerwork_cli.features.queue.limits import LimitOptions, limit_of


@expand_option_groups
def health(
    ctx: typer.Context,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 for warnings too.")] = False,
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="CHECK", help="Only these checks: workers,pending.")
    ] = None,
    skip: Annotated[
        list[str] | None, typer.Option("--skip", metavar="CHECK", help="Leave these checks out: migrations.")
    ] = None,
    worker: Annotated[str | None, typer.Option("--worker", metavar="WORKER", help="Check only this worker.")] = None,
    *,
    limits: LimitOptions,
    max_overdue: Annotated[
        str, typer.Option("--max-overdue", metavar="DURATION", help="Maximum delay of a recurring job or a schedule.")
    ] = "10m",
    form: FormatOption = Format.TABLE,
) -> None:
    """
    Limits apply to each queue that is not paused; 'off' disables a limit. Checks: database, writes, migrations,
    workers, lost_workers, stalled_workers, stopping_workers, held_slots, unwritten_outcomes, upkeep, unserved_queues,
    paused_queues, pending, pending_age, running_age, waiting_age, lost_jobs, unclaimed_jobs,
    overdue_jobs, overdue_schedules, retrying, failed, failure_rate, retention, times_in_the_future. A database that
    does not answer is critical; a check is unknown where the migrations of hammerwork-cli are missing. --worker checks
    only that worker: exit code 1 when its lease is over, it stands still, cannot write outcomes for two leases, is lost
    or stopped.

    \b
    Examples:
      hammerwork monitor health
      hammerwork monitor health --strict --skip migrations --max-pending-age 5m
      hammerwork monitor health --worker render-1 --quiet
      hammerwork monitor health --format json | jq -r '.checks[] | select(.status != "healthy") | .hint'
    """
    context: Context = ctx.obj
    wanted = _checks(only, skip)
    if worker is not None:
        _refuse_with_worker(only, skip)
        database = context.database()
        report = checks.worker_health(database, worker, now=context.now(database))
    else:
        allowed = MonitorLimits(limits.limits(), limit_of("--max-overdue", max_overdue, duration_of))
        report = checks.health(context.database, allowed, now=context.now, only=wanted)
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


def _checks(only: list[str] | None, skip: list[str] | None) -> Sequence[CheckName]:
    """The checks to make.

    Raises:
        UsageError: a name is not that of a check, or none is left.
    """
    skipped = set(_named("--skip", skip))
    left = [check for check in (_named("--only", only) if only is not None else CheckName) if check not in skipped]
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


def _refuse_with_worker(only: list[str] | None, skip: list[str] | None) -> None:
    if only or skip:
        raise UsageError("--worker cannot be combined with --only or --skip.")
