"""``hammerwork backup restore``."""

from enum import StrEnum
from typing import Annotated

import typer

from hammerwork_cli import disk
from hammerwork_cli.cli.context import Context
from hammerwork_cli.cli.line_problems import printing_problems
from hammerwork_cli.cli.options import DryRunOption, Format, FormatOption, WithoutColumnOption, YesOption
from hammerwork_cli.cli.progress import progress_bar
from hammerwork_cli.features.backup.queries.restoring import BackupRestore, Existing, RestoreOptions, orphans
from hammerwork_cli.features.backup.views import backups as shown
from hammerwork_cli.view.text import plural


class Running(StrEnum):
    """What becomes of Running jobs."""

    PENDING = "pending"
    AS_WAS = "as-was"


def restore(
    context: Context,
    file: Annotated[
        str,
        typer.Option("-i", "--input", metavar="FILE", help="Backup file; - for stdin."),
    ],
    existing: Annotated[
        Existing, typer.Option("--existing", help="How to treat records that already exist.")
    ] = Existing.FAIL,
    skip_existing: Annotated[bool, typer.Option("--skip-existing", hidden=True)] = False,
    running: Annotated[
        Running, typer.Option("--running", help="Running jobs become Pending, or stay as they were.")
    ] = Running.PENDING,
    paused: Annotated[bool, typer.Option("--paused", help="Pause all queues of the file first.")] = False,
    without_column: WithoutColumnOption = None,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    form: FormatOption = Format.TABLE,
) -> None:
    """
    The command checks the whole file first. It refuses a file that was truncated or changed, or that this database
    cannot store, and it refuses to restore while workers are running. It writes some thousands of records per
    transaction; to continue after an interruption, use --existing skip. Exit code 6 if records of the file already
    exist, unless you add --existing.

    --without-column leaves out a column that the database lacks.

    \b
    Examples:
      hammerwork backup restore -i jobs.jsonl.gz --dry-run
      hammerwork backup restore -i jobs.jsonl.gz --paused --yes
      hammerwork backup restore -i jobs.jsonl.gz --existing skip --yes
    """
    database = context.database(changes=True)
    options = RestoreOptions(
        existing=Existing.SKIP if skip_existing else existing,
        keep_running=running is Running.AS_WAS,
        paused=paused,
        without=tuple(without_column or ()),
    )
    with disk.opened(file) as stream:
        with printing_problems(context):
            restoring = BackupRestore(database, stream, options)
        if dry_run:
            context.answer(
                shown.RESTORED.record(shown.RestoreOutcome(restoring.plan, True)),
                form,
                lambda: shown.plan_text(restoring.plan),
            )
            return
        restoring.refuse_workers()
        for line in shown.plan_text(restoring.plan) if not yes else ():
            context.note(line)
        jobs = sum(counts.total for counts in restoring.plan.queues.values())
        context.confirm(f"Restore {plural(jobs, 'job')}?", yes=yes, form=form)
        total = sum(restoring.plan.counts.values())
        with progress_bar(context) as report:
            done = restoring.run(
                context.operator, context.now(database), lambda records: report("restore", records, total)
            )
    for line in shown.orphans_text(orphans(database)):
        context.note(line)
    context.answer(shown.RESTORED.record(shown.RestoreOutcome(done, False)), form, lambda: shown.restored_text(done))
