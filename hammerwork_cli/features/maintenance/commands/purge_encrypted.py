"""``hammerwork maintenance purge-encrypted``."""

import typer

from hammerwork_cli.cli.context import Context
from hammerwork_cli.cli.options import DryRunOption, Format, FormatOption, YesOption
from hammerwork_cli.features.archive.queries import expiry
from hammerwork_cli.features.maintenance import views as shown


def purge_encrypted(
    ctx: typer.Context, yes: YesOption = False, dry_run: DryRunOption = False, form: FormatOption = Format.TABLE
) -> None:
    """
    Takes jobs that have ended, and archived ones. Keeps jobs that others wait for. It needs no key. A running worker
    does the same every ten minutes; with `worker start --no-retention` it does not.

    \b
    Examples:
      hammerwork maintenance purge-encrypted --dry-run
      hammerwork maintenance purge-encrypted --yes
    """
    context: Context = ctx.obj
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
