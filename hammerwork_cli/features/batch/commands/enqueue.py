"""``hammerwork batch enqueue``."""

from typing import Annotated, Any

import typer

from hammerwork_cli.cli.context import Context
from hammerwork_cli.cli.line_problems import print_problems, printing_problems
from hammerwork_cli.cli.lists import note_new_queue
from hammerwork_cli.cli.options import EncryptionKeyOption, Format, FormatOption, NoEncryptOption
from hammerwork_cli.core.input.problems import MOST_PROBLEMS, LineError, Problems
from hammerwork_cli.disk import opened
from hammerwork_cli.errors import AnswerIsNoError, UsageError
from hammerwork_cli.features.batch import views as shown
from hammerwork_cli.features.batch.model import NewBatch
from hammerwork_cli.features.batch.queries import enqueue as enqueueing
from hammerwork_cli.features.batch.queries import listing
from hammerwork_cli.features.callbacks.commands import Callbacks, note_upkeep
from hammerwork_cli.features.job.commands.new_job_options import NewIdOption, job_options
from hammerwork_cli.features.job.options import BATCH
from hammerwork_cli.view.text import plural


def enqueue(
    context: Context,
    file: Annotated[
        str, typer.Option("-f", "--file", metavar="FILE", help="A job for each JSON line of FILE, or of stdin (-).")
    ] = "-",
    name: Annotated[str, typer.Option("--name", metavar="TEXT", help="Name of the batch.")] = "batch",
    batch_id: NewIdOption = None,
    *,
    defaults: Annotated[dict[str, Any], job_options(BATCH)],
    continue_on_error: Annotated[
        bool, typer.Option("--continue-on-error", help="Skip lines that are not valid.")
    ] = False,
    callbacks: Callbacks,
    encryption_key: EncryptionKeyOption = None,
    no_encrypt: NoEncryptOption = False,
    progress_every: Annotated[
        int | None, typer.Option("--progress-every", metavar="N", min=1, help="Print a note after every N lines.")
    ] = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """
    Each line is a JSON object as in `job enqueue --file`. The batch and all of its jobs, at most 100,000, are written
    in one transaction. With --id you can repeat the command: a batch with the same id, name and number of jobs stays
    as it is. If a line is not valid, nothing is enqueued.

    With --continue-on-error, the command skips lines that are not valid; its exit code is then 1.

    --on-complete, --on-success and --on-failure each enqueue one job, once. Give the name of a queue, or a JSON object
    like a line of the file. `spawn on-end` does the same for a tree.

    \b
    Examples:
      hammerwork batch enqueue --file letters.jsonl --queue mail --name letters
      hammerwork batch enqueue -f letters.jsonl -q mail --on-success report
      id=$(hammerwork batch enqueue -f letters.jsonl -q mail) && hammerwork batch show "$id"
    """
    defaults["queue"] = defaults["queue"] or context.settings.get("default_queue").value
    given = {option: value for option, value in defaults.items() if value is not None}
    batch, new_callbacks = NewBatch.of(name, batch_id), callbacks.new()
    problems = Problems(LineError, patient=continue_on_error)

    def read(jobs: int) -> None:
        if progress_every and jobs % progress_every == 0:
            context.note(f"Read {plural(jobs, 'job')}.")

    with opened(file) as lines, printing_problems(context):
        keys = context.encryption_keys(encryption_key)
        database = context.database(changes=True, keys=keys, plaintext_meant=no_encrypt)
        now = context.now(database)
        jobs = enqueueing.jobs_of(database, lines, given, now, problems, read)
        if not (continue_on_error and jobs):
            problems.refuse()
    if not jobs:
        raise UsageError("There are no lines, and a batch has at least one job.")
    for name in list(dict.fromkeys(job.queue for job in jobs))[:3]:
        note_new_queue(context, database, name)
    placed = enqueueing.enqueue(database, batch, jobs, now, new_callbacks)
    context.answer(shown.BATCH.record(listing.one(database, batch.id)), form, lambda: [batch.id])
    if not placed:
        context.note(f"Already exists; left unchanged: hammerwork batch show {batch.id}")
    else:
        context.note(f"Enqueued {plural(len(placed), 'job')}.")
        if new_callbacks:
            note_upkeep(context, database, now)
    if problems.found:
        print_problems(context, problems.found)
        named = [problem._asdict() for problem in problems.found[:MOST_PROBLEMS]]
        raise AnswerIsNoError(f"{plural(len(problems.found), 'line')} left out.", lines=named)
