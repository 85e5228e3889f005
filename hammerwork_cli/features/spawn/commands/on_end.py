"""``hammerwork spawn on-end``."""

from typing import Annotated

import typer

from hammerwork_cli.cli.context import Context
from hammerwork_cli.cli.options import Format, FormatOption, JobArgument, NoEncryptOption
from hammerwork_cli.errors import UsageError
from hammerwork_cli.features.batch.queries import callbacks as stored
from hammerwork_cli.features.callbacks import views as shown
from hammerwork_cli.features.callbacks.commands import Callbacks, note_upkeep
from hammerwork_cli.features.callbacks.model import Subject
from hammerwork_cli.features.callbacks.queries import callbacks_of
from hammerwork_cli.features.job.queries.listing import resolve
from hammerwork_cli.view.text import plural


def on_end(
    context: Context,
    job: JobArgument,
    clear: Annotated[bool, typer.Option("--clear", help="Remove the open callbacks.")] = False,
    *,
    callbacks: Callbacks,
    no_encrypt: NoEncryptOption = False,
    form: FormatOption = Format.TABLE,
) -> None:
    """
    A worker that does upkeep enqueues each callback once, within seconds of the end. --on-success also waits for failed
    jobs that you retry, for 7 days. A callback is the name of a queue, or a JSON object with queue, payload, priority,
    delay, max_attempts and timeout. Its payload gets _ended: what has ended, and how many jobs failed. A callback that
    the job already has is not added again. --clear removes the open ones. Retention keeps the jobs until a worker has
    counted them.

    \b
    Examples:
      hammerwork spawn on-end 178ebfc3 --on-success publish --on-failure alert
      hammerwork spawn on-end 178ebfc3 --on-complete '{"queue": "report", "payload": {"to": "ada"}}'
      hammerwork spawn on-end 178ebfc3
      hammerwork spawn on-end 178ebfc3 --clear
    """
    wanted = callbacks.new()
    if clear and wanted:
        raise UsageError("--clear removes callbacks, and the other options add some.", hint="Run one after the other.")
    database = context.database(changes=clear or bool(wanted), plaintext_meant=no_encrypt)
    top = resolve(database, job)
    if clear:
        context.note(f"Removed {plural(stored.clear(database, top), 'callback')}.")
    if wanted:
        now = context.now(database)
        stored.add(database, top, wanted, now)
        note_upkeep(context, database, now)
    context.show(
        callbacks_of(database, Subject.TREE, top),
        form,
        columns=shown.COLUMNS,
        shape=shown.CALLBACK,
        empty="The job has no callbacks.",
    )
