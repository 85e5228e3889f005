"""``hammerwork job import``."""

from enum import StrEnum
from typing import Annotated

import typer

from hammerwork_cli import disk
from hammerwork_cli.cli.context import Context
from hammerwork_cli.cli.line_problems import printing_problems
from hammerwork_cli.cli.options import DryRunOption, EncryptionKeyOption, Format, FormatOption, WithoutColumnOption
from hammerwork_cli.core.input.limits import LONGEST_NAME
from hammerwork_cli.errors import UsageError
from hammerwork_cli.features.backup.queries.arriving import ImportOptions
from hammerwork_cli.features.backup.queries.importing import TreeImport
from hammerwork_cli.features.backup.views import importing as shown


class ImportState(StrEnum):
    """The states in which jobs arrive."""

    AS_WAS = "as-was"
    PENDING = "pending"


FileArgument = Annotated[
    str, typer.Argument(metavar="FILE", help="File of `job export JOB --tree`, compressed or not; - for stdin.")
]


def import_(
    context: Context,
    file: FileArgument,
    state: Annotated[
        ImportState,
        typer.Option("--as", help="Keep statuses as they were, or set all jobs to Pending."),
    ] = ImportState.AS_WAS,
    new_ids: Annotated[bool, typer.Option("--new-ids", help="Give every job a new id.")] = False,
    queue_prefix: Annotated[
        str, typer.Option("--queue-prefix", metavar="TEXT", help="Prefix for the names of queues: dev-.")
    ] = "",
    without_column: WithoutColumnOption = None,
    encryption_key: EncryptionKeyOption = None,
    dry_run: DryRunOption = False,
    form: FormatOption = Format.TABLE,
) -> None:
    """
    The command checks the whole file first, and imports all of it or nothing. It refuses a file that was truncated or
    changed, or that this database cannot store. Without --new-ids, jobs that already exist are a conflict (exit code
    6). With it, dependencies follow the new ids, but ids inside payloads do not change; a note counts them.

    By default, jobs keep their statuses, and workers run those that are due. With --as pending, every job runs again,
    after the jobs of the file that it depends on; a parent does not spawn the imported children again. Recurring jobs
    lose their schedule. Workers find spawn handlers by the name of the queue, which --queue-prefix changes. An
    encrypted payload is bound to the id and the queue of its job: --new-ids and --queue-prefix encrypt it again, which
    needs its key.

    \b
    Examples:
      hammerwork job import tree.jsonl.gz --dry-run
      hammerwork job import tree.jsonl.gz --new-ids --queue-prefix dev-
      hammerwork job import tree.jsonl.gz --as pending
    """
    if len(queue_prefix) >= LONGEST_NAME:
        raise UsageError(f"A queue's name has at most {LONGEST_NAME} characters.")
    database = context.database(changes=True, keys=context.encryption_keys(encryption_key))
    options = ImportOptions(
        pending=state is ImportState.PENDING, new_ids=new_ids, prefix=queue_prefix, without=tuple(without_column or ())
    )
    with disk.opened(file) as stream:
        with printing_problems(context):
            importing = TreeImport(database, stream, options, context.now(database))
        plan = importing.plan if dry_run else importing.run()
    for note in shown.notes(plan, dry_run=dry_run, new_ids=new_ids, pending=options.pending):
        context.note(note)
    top = None if dry_run else plan.top  # new ids are chosen at each run
    context.answer(shown.IMPORT.record(shown.ImportOutcome(plan, dry_run)), form, lambda: [top] if top else [])
