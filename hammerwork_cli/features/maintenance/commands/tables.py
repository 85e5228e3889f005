"""``hammerwork maintenance health``, ``vacuum``, ``analyze``, ``reindex`` and ``sizes``."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Annotated, Any

import typer

from hammerwork_cli.cli.context import Context
from hammerwork_cli.cli.limits import TableLimits
from hammerwork_cli.cli.options import MOST_DAYS, DryRunOption, FieldsOption, Format, FormatOption, YesOption
from hammerwork_cli.cli.progress import progress_bar
from hammerwork_cli.database import Database
from hammerwork_cli.errors import ConflictError, ShownAnswerError, UsageError
from hammerwork_cli.features.maintenance import queries as maintenance
from hammerwork_cli.features.maintenance import views as shown
from hammerwork_cli.features.maintenance.model import Done
from hammerwork_cli.features.monitor.models.health import Level
from hammerwork_cli.features.monitor.views import health as views
from hammerwork_cli.features.worker.queries import registry
from hammerwork_cli.view.text import plural


def health(
    context: Context,
    limits: TableLimits,
    form: FormatOption = Format.TABLE,
) -> None:
    """
    The line below a check is the command to run next. 'off' disables a limit. Checks: rows, dead_rows, invalid_indexes,
    open_transaction. Vacuum cannot remove dead rows that an open transaction might still see. Numbers of rows are
    estimates of the server; on SQLite they are exact. A table with at most 10,000 dead rows does not count. SQLite has
    no dead rows, and MySQL does not count them.

    \b
    Examples:
      hammerwork maintenance health
      hammerwork maintenance health --max-rows 5000000 --max-dead-rows off
    """
    allowed = limits.limits()
    database = context.database()
    report = maintenance.health(database, allowed, now=context.now(database))
    if form in {Format.TABLE, Format.JSON}:
        record = views.HEALTH_REPORT.record(report)
        context.answer(record, form, partial(views.report_text, report, width=context.width, colour=context.colour))
    else:
        context.data(map(views.CHECK_OUTCOME.record, report.checks), form, views.CHECK_OUTCOME.columns)
    if report.status is Level.CRITICAL:
        raise ShownAnswerError(views.summary(report))


KeepOption = Annotated[float | None, typer.Option(min=0, max=MOST_DAYS, hidden=True)]
"""In hammerwork (Rust), ``vacuum`` deletes old jobs."""
ForceOption = Annotated[bool, typer.Option("--force", help="On SQLite: vacuum even while workers are running.")]


def vacuum(
    context: Context,
    force: ForceOption = False,
    keep_completed_days: KeepOption = None,
    keep_failed_days: KeepOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", hidden=True)] = False,
    confirm: Annotated[bool, typer.Option("--confirm", hidden=True)] = False,
    yes: YesOption = False,
    form: FormatOption = Format.TABLE,
) -> None:
    """
    On PostgreSQL, others can read and write meanwhile. MySQL copies each table, and SQLite copies the whole file: the
    disk needs room for the copy, and on SQLite everybody waits. On both, the command asks for confirmation. `job purge`
    deletes jobs.

    \b
    Examples:
      hammerwork maintenance vacuum
      hammerwork maintenance vacuum --yes --format json
    """
    if (keep_completed_days, keep_failed_days) != (None, None):
        from hammerwork_cli.features.job.commands.execute import Confirmation
        from hammerwork_cli.features.maintenance.commands.cleanup import cleanup

        context.note("Running `hammerwork maintenance cleanup` instead, which vacuums nothing.")
        cleanup(
            context,
            keep_completed_days=keep_completed_days,
            keep_failed_days=7 if keep_failed_days is None else keep_failed_days,  # the default of hammerwork (Rust)
            confirmation=Confirmation(yes or confirm, dry_run, form),
        )
        return
    if dry_run or confirm:
        # A copied line of a crontab would go on without an error, and delete nothing any more.
        raise UsageError(
            "In hammerwork (Rust), vacuum deletes old jobs; here it reclaims space.",
            hint="To delete jobs: hammerwork job purge --all --tree --older-than 30d --yes. "
            "To reclaim space: hammerwork maintenance vacuum --yes.",
        )
    database = context.database(changes=True)
    _refuse_workers(database, force=force)
    _ask_to_copy(context, database, yes=yes, form=form)
    _work(context, database, maintenance.vacuum, form)


def analyze(context: Context, form: FormatOption = Format.TABLE) -> None:
    """
    \b
    Examples:
      hammerwork maintenance analyze
    """
    _work(context, context.database(changes=True), maintenance.analyze, form)


def reindex(
    context: Context, yes: YesOption = False, dry_run: DryRunOption = False, form: FormatOption = Format.TABLE
) -> None:
    """
    PostgreSQL builds each index next to the old one while others read and write, and drops the leftovers of an
    interrupted run. On MySQL, the command copies each table, and asks for confirmation.

    \b
    Examples:
      hammerwork maintenance reindex
    """
    database = context.database(changes=not dry_run)
    if dry_run:
        copies = database.dialect == "mysql"
        found = [one.name for one in maintenance.sizes(database) if one.is_index != copies]
        if form is Format.TABLE:
            what = plural(len(found), "table") if copies else plural(len(found), "index", "indexes")
            context.text([f"Would {'copy' if copies else 'rebuild'} {what}."])
        else:
            work = "optimize" if copies else "reindex"
            context.data((shown.WORK.record(Done(name, work, 0)) for name in found), form, shown.WORK.columns)
        return
    if database.dialect == "mysql":
        _ask_to_copy(context, database, yes=yes, form=form)
    _work(context, database, maintenance.reindex, form)


def sizes(
    context: Context,
    detailed: Annotated[bool, typer.Option("--detailed", help="Also each index.")] = False,
    in_bytes: Annotated[bool, typer.Option("--bytes", help="Print bytes instead of KiB, MiB and GiB.")] = False,
    fields: FieldsOption = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """
    Row counts are estimates by the server; on SQLite they are exact. Formats other than table have bytes, and each
    index.

    \b
    Examples:
      hammerwork maintenance sizes
      hammerwork maintenance sizes --detailed --bytes
      hammerwork maintenance sizes --format json | jq 'map(.bytes) | add'
    """
    found = maintenance.sizes(context.database())
    if form is Format.TABLE and fields is None and found:
        rows: Sequence[Any] = found if detailed else shown.tables_of(found)
        context.show_table(rows, shown.size_columns(whole=not detailed, in_bytes=in_bytes))
        context.text(shown.sizes_text(found, in_bytes=in_bytes))
        return
    context.show(
        found,
        form,
        columns=(),
        shape=shown.SIZE,
        empty="There are no tables.",
        fields=fields,
    )


def _refuse_workers(database: Database, *, force: bool) -> None:
    if database.dialect != "sqlite" or force:
        return
    alive = [worker for worker in registry.listed(database, alive=True) if worker.is_alive]
    if alive:
        raise ConflictError(
            f"The worker {alive[0].name[:60]} is running and would have to wait.",
            hint="Stop it: hammerwork worker stop --all --wait. Or add --force.",
        )


def _ask_to_copy(context: Context, database: Database, *, yes: bool, form: Format) -> None:
    if database.dialect == "postgresql":
        return
    stored = sum(one.bytes or 0 for one in maintenance.sizes(database))
    context.confirm(f"Copy {stored:,} bytes of tables and indexes?", yes=yes, form=form)


def _work(
    context: Context,
    database: Database,
    work: Callable[[Database, maintenance.Report], Iterator[Done]],
    form: Format,
) -> None:
    context.confirm_profile()
    with progress_bar(context) as report:
        done = list(work(database, report))
    if form is Format.TABLE:
        context.text(map(shown.done_text, done))
    else:
        context.data(map(shown.WORK.record, done), form, shown.WORK.columns)
