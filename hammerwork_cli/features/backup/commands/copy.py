"""``hammerwork backup copy``."""

from contextlib import closing
from typing import Annotated

import typer

from hammerwork_cli.cli.context import Context
from hammerwork_cli.cli.line_problems import printing_problems
from hammerwork_cli.cli.options import DryRunOption, Format, FormatOption, WithoutColumnOption, YesOption
from hammerwork_cli.cli.printed_commands import hints_with_database_option
from hammerwork_cli.cli.progress import progress_bar
from hammerwork_cli.database import Database
from hammerwork_cli.database.places import same_database
from hammerwork_cli.errors import ShownAnswerError, UsageError
from hammerwork_cli.features.backup.models.plan import Restored
from hammerwork_cli.features.backup.queries import comparing, copying
from hammerwork_cli.features.backup.queries.rows import unknown_tables
from hammerwork_cli.features.backup.views import backups as shown
from hammerwork_cli.view.text import plural


def copy(
    context: Context,
    to: Annotated[str, typer.Option("--to", metavar="URL", help="Target database; it must have tables.")],
    merge: Annotated[bool, typer.Option("--merge", help="Keep the records of the target, and add to them.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Copy even if jobs of the source may change.")] = False,
    verify_only: Annotated[bool, typer.Option("--verify-only", help="Copy nothing; compare both databases.")] = False,
    without_column: WithoutColumnOption = None,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    form: FormatOption = Format.TABLE,
) -> None:
    """
    The command does not change the source, and nothing else may change it meanwhile: stop all workers, wait for Running
    jobs, and pause every queue. Otherwise the exit code is 6, and a hint names the next command. The target must have
    tables (`migration run`) and be empty, unless you add --merge. Every value is checked against the limits of the
    target before the first is written, and every record is compared at the end: exit code 1 if one differs. Queues stay
    paused in the target until you resume them.

    \b
    Examples:
      hammerwork backup copy --to postgresql://user@db.example/jobs --dry-run
      hammerwork backup copy --to postgresql://user@db.example/jobs --yes
      hammerwork backup copy --to postgresql://user@db.example/jobs --verify-only
    """
    # The source is only read: the profile whose name is confirmed is that of the target.
    other = Context(context.environ, context.stdout, context.stderr)
    other.options = {**context.options, "database_url": to}
    other.json_output = context.json_output
    context.options.pop("confirm_profile", None)
    with closing(other):
        source = context.database()
        with hints_with_database_option(to):
            target = other.database(changes=not verify_only and not dry_run)
            target.jobs_columns()  # raises if it has no tables
        names = source.url.database, target.url.database  # in any letter case, they may be two databases
        if names[0] == names[1] and same_database(source.url, target.url, context.environ):
            raise UsageError("--to names the source itself.")
        done, without = None, tuple(without_column or ())
        if not verify_only:
            if not force:
                copying.refuse_busy(source)
            with hints_with_database_option(to):
                copying.refuse_target(target, merge=merge)
            with printing_problems(context):
                copied = copying.Copy(source, target, context.now(source), merge=merge, without=without)
            with closing(copied):
                if dry_run:
                    plan = copied.restore.plan
                    other.answer(
                        shown.COPIED.record(shown.CopyOutcome(plan, None)), form, lambda: shown.plan_text(plan)
                    )
                    return
                done = _run(context, copied, source, yes=yes, form=form)
        for line in (*shown.unknown_tables_text(unknown_tables(source)), *shown.unsent_text(copying.unsent(source))):
            context.note(line)
        found = comparing.compare(source, target, merged=merge, without=without)
    other.answer(shown.COPIED.record(shown.CopyOutcome(done, found)), form, lambda: shown.copied_text(done, found))
    if not found.is_equal:
        raise ShownAnswerError("The databases differ.")


def _run(context: Context, copied: copying.Copy, source: Database, *, yes: bool, form: str) -> Restored:
    plan = copied.restore.plan
    if not yes:
        for line in shown.plan_text(plan):
            context.note(line)
    jobs = sum(counts.total for counts in plan.queues.values())
    context.confirm(f"Copy {plural(jobs, 'job')}?", yes=yes, form=form)
    total = sum(plan.counts.values())
    with progress_bar(context) as report:
        return copied.restore.run(context.operator, context.now(source), lambda records: report("copy", records, total))
