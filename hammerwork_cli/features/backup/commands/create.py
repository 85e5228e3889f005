"""``hammerwork backup create``."""

from typing import Annotated

import typer

from hammerwork_cli import disk
from hammerwork_cli.cli.context import Context
from hammerwork_cli.cli.options import Format, FormatOption, QueueOption, StatusOption, WithoutColumnOption, statuses
from hammerwork_cli.errors import UsageError
from hammerwork_cli.features.backup.queries import backups, files
from hammerwork_cli.features.backup.queries.rows import left_out, unknown_tables
from hammerwork_cli.features.backup.views import backups as shown
from hammerwork_cli.features.job.commands import options as read
from hammerwork_cli.features.job.commands.options import SinceOption
from hammerwork_cli.features.job.models.job import JobFilter


def create(
    context: Context,
    output: Annotated[
        str,
        typer.Option(
            "-o", "--output", metavar="FILE", help="File to write or replace; .gz compresses it, - is stdout."
        ),
    ],
    queue: QueueOption = None,
    status: StatusOption = None,
    since: SinceOption = None,
    archive: Annotated[bool, typer.Option("--archive/--no-archive", help="Include archived jobs.")] = True,
    without_column: WithoutColumnOption = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """
    pg_dump, mariadb-dump and sqlite3 .backup are faster and better known: use them to back up a whole database. This
    file can be restored into another kind of database, or contain a single queue. The command reads everything in one
    snapshot: jobs, archived jobs, workflows, batches, schedules and their runs, callbacks, retention policies, pauses
    and records of spawning, with every column, even those that this version does not know. It leaves out workers,
    leases, and what has secrets: webhooks, streams and encryption keys. The file gets its name once it is complete, and
    only you can read it. For CSV, use `job export`.

    \b
    Examples:
      hammerwork backup create -o jobs.jsonl.gz
      hammerwork backup create -o mail.jsonl --queue mail --no-archive
    """
    chosen = JobFilter(
        queues=tuple(queue or ()),
        statuses=tuple(sorted(statuses(status) or ())),
        since=read.start_of_window(context.now(), since, None),
    )
    if form is Format.CSV:
        raise UsageError(
            "A backup is a file of JSON lines: CSV cannot be restored.",
            hint="Write CSV: hammerwork job export --format csv",
        )
    output = "-" if disk.is_stdout(output) else output
    if output == "-" and form != Format.TABLE:
        raise UsageError("--output - cannot be combined with --format: stdout has the file.")
    database = context.database()
    with files.created(output, context.stdout.buffer) as stream:
        extent = backups.Extent(chosen, archive=archive)
        counts = backups.create(database, stream, context.now(database), extent, without_column or ())
    for line in (*shown.unknown_tables_text(unknown_tables(database)), *shown.left_out_text(left_out(database))):
        context.note(line)
    if output == "-":
        context.note(shown.created_text(counts, output))
    else:
        context.answer(shown.BACKUP.record((output, counts)), form, lambda: [shown.created_text(counts, output)])
