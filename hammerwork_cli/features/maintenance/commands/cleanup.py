"""``hammerwork maintenance cleanup`` and ``purge-encrypted``."""

from typing import Annotated, Any

from hammerwork_cli.cli.context import Context
from hammerwork_cli.cli.options import DryRunOption, Format, FormatOption, QueueOption, YesOption
from hammerwork_cli.core.values import ENDS, JobStatus
from hammerwork_cli.features.archive.commands.policies import (
    BatchOption,
    ByOption,
    days,
    days_option,
    note_uncounted,
    selection,
)
from hammerwork_cli.features.archive.models.policies import By
from hammerwork_cli.features.archive.queries import expiry
from hammerwork_cli.features.job.commands.execute import Confirmation, execute
from hammerwork_cli.features.job.queries.finished_trees import PurgeJobs
from hammerwork_cli.features.job.queries.selections import BATCH
from hammerwork_cli.features.maintenance import views as shown


def _days(status: str, default: str) -> Any:
    return days_option(f"Keep {status} jobs for DAYS days. [default: {default}]")


def cleanup(
    context: Context,
    queue: QueueOption = None,
    keep_completed_days: Annotated[float | None, _days("Completed", "30")] = None,
    keep_failed_days: Annotated[float | None, _days("Failed", "30")] = None,
    keep_dead_days: Annotated[float | None, _days("Dead", "as Failed")] = None,
    keep_timed_out_days: Annotated[float | None, _days("TimedOut", "as Failed")] = None,
    by: ByOption = By.TREE,
    batch_size: BatchOption = BATCH,
    *,
    confirmation: Confirmation,
) -> None:
    """
    Deletes whole trees once all of their jobs have ended and are old enough. Keeps recurring jobs, jobs that others
    wait for, jobs with a retention_delete_at in the future, and copies in the archive. To archive jobs instead:
    `archive run`, which by default takes Completed ones after 7 days, because `archive restore` brings them back.

    \b
    Examples:
      hammerwork maintenance cleanup --dry-run
      hammerwork maintenance cleanup --queue mail --keep-completed-days 7 --keep-failed-days 90 --yes
    """
    ages = dict.fromkeys(ENDS, days(keep_failed_days, 30)) | {
        JobStatus.COMPLETED: days(keep_completed_days, 30),
        JobStatus.DEAD: days(keep_dead_days, keep_failed_days, 30),
        JobStatus.TIMED_OUT: days(keep_timed_out_days, keep_failed_days, 30),
    }
    database = context.database(changes=True)
    now = context.now(database)
    chosen = selection(database, now, ages, queues=queue or (), whole=by is By.TREE, batch=batch_size)
    change = PurgeJobs(now, whole=by is By.TREE)
    execute(context, database, chosen, change, confirmation, always_ask=True)
    note_uncounted(context, database)


def purge_encrypted(
    context: Context, yes: YesOption = False, dry_run: DryRunOption = False, form: FormatOption = Format.TABLE
) -> None:
    """
    The command deletes jobs that have ended, and archived ones. It keeps jobs that others wait for, and needs no key. A
    running worker does the same every ten minutes, unless it was started with --no-retention.

    \b
    Examples:
      hammerwork maintenance purge-encrypted --dry-run
      hammerwork maintenance purge-encrypted --yes
    """
    database = context.database(changes=True)
    now = context.now(database)
    plan = expiry.plan(database, now)
    if not dry_run:
        if plan.jobs.changed or plan.archived.changed:
            context.confirm(shown.purge_question(plan.jobs.changed, plan.archived.changed), yes=yes, form=form)
        plan = expiry.purge(database, now)
    jobs, archived = plan.jobs.changed, plan.archived.changed
    record = shown.PURGED.record(shown.Purge(jobs, archived, dry_run))
    context.answer(record, form, lambda: [shown.purge_text(jobs, archived, dry_run=dry_run)])
