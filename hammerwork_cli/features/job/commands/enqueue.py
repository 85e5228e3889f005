"""``hammerwork job enqueue``."""

from typing import Annotated, Any

import typer

from hammerwork_cli.cli.context import Context
from hammerwork_cli.cli.lists import note_new_queue
from hammerwork_cli.cli.options import EncryptionKeyOption, Format, FormatOption
from hammerwork_cli.errors import UsageError
from hammerwork_cli.features.callbacks.commands import Callbacks, note_upkeep
from hammerwork_cli.features.job.commands import new_job_options
from hammerwork_cli.features.job.commands import options as read
from hammerwork_cli.features.job.options import ENQUEUE, json_value, wanted_job
from hammerwork_cli.features.job.queries import enqueue as enqueueing
from hammerwork_cli.features.job.queries import listing
from hammerwork_cli.features.job.views.enqueue import ENQUEUED


def enqueue(
    context: Context,
    payload: new_job_options.PayloadOption = None,
    *,
    options: Annotated[dict[str, Any], new_job_options.job_options(ENQUEUE)],
    encryption_key: EncryptionKeyOption = None,
    file: Annotated[
        str | None,
        typer.Option("--file", metavar="FILE", help="Enqueue a job for each JSON line of FILE or stdin (-)."),
    ] = None,
    after_line: Annotated[
        int, typer.Option("--after-line", metavar="N", min=0, help="With --file: skip the first N lines.")
    ] = 0,
    callbacks: Callbacks,
    form: FormatOption = Format.TABLE,
) -> None:
    """
    With --id you can repeat the command: a job with the same id stays as it is. If it differs in more than --delay
    and --at, that is a conflict. With --depends-on the job waits until those jobs have completed; it cannot depend
    on a failed job. With --workflow it joins a workflow, which runs again if it had ended. An option about spawning
    adds _spawn_config to the payload, in a form that Rust workers understand.

    With --unique, nothing is written while another job of the queue holds the key, and the id of that job is printed.

    With --encrypt, only programs that have the key can read the payload, workers of hammerwork (Rust) included;
    --pii-field leaves the rest of it readable. A queue that holds encrypted jobs refuses one in plaintext (exit code
    6), unless you add --no-encrypt.

    --on-complete, --on-success and --on-failure each enqueue another job, once, depending on how this job and all jobs
    below it end. Give the name of a queue, or a JSON object like a line of --file. `spawn on-end` does so later.

    With --file, each line is a JSON object whose keys are these options with underscores, such as max_attempts, except
    --workflow and the callbacks. Options on the command line are the defaults. `hammerwork schema job-enqueue-file` has
    the schema. All lines are checked first: if one is not valid, nothing is enqueued. Up to 10,000 jobs are enqueued
    all or none; more are enqueued in parts of 10,000. If a part fails, the error names the line to continue after;
    lines with an id can be repeated safely. The ids are printed in the order of the lines.

    \b
    Examples:
      hammerwork job enqueue --queue mail --payload '{"to": "ada@example.org"}'
      hammerwork job enqueue --queue report --payload @report.json --priority high --delay 15m
      hammerwork job enqueue --queue ingest --payload '{}' --spawn-handler frames --max-spawn-count 500
      id=$(hammerwork job enqueue --queue a --payload '{}') && \\
        hammerwork job enqueue --queue b --payload '{}' --depends-on "$id"
      hammerwork job enqueue --queue ingest --payload '{}' --spawn-handler frames --on-success publish
      hammerwork job enqueue --queue payments --payload @card.json --encrypt --encryption-key env:PAYMENTS_KEY
      hammerwork job enqueue --file jobs.jsonl --queue mail --max-attempts 5
    """
    queue, job_id, workflow, depends_on = (options.pop(name) for name in ("queue", "id", "workflow", "depends_on"))
    keys = context.encryption_keys(encryption_key)
    text = read.text_from(payload) if payload is not None else None
    given = options | ({"payload": json_value(text, "The payload")} if text is not None else {})
    if file is not None:
        from hammerwork_cli.features.job.commands import enqueue_file

        if job_id is not None:
            raise UsageError("--id is for a single job.", hint="Give each line its own id.")
        if workflow is not None:
            raise UsageError("--workflow is for a single job.", hint="For a whole file: hammerwork workflow create")
        if callbacks != Callbacks():
            raise UsageError("A callback is for a single job.", hint="For a whole file: hammerwork batch enqueue")
        enqueue_file.run(
            context, file, {"depends_on": depends_on, **given}, queue, keys=keys, after=after_line, form=form
        )
        return
    if text is None:
        raise UsageError("No payload was given.", hint="A job without data has an empty object: --payload '{}'")
    new_callbacks = callbacks.new()
    wanted = wanted_job({**given, "id": job_id or None, "queue": context.queue(queue)}, payload=text)
    database = context.database(changes=True, keys=keys, plaintext_meant=given["encrypt"] is False)
    now = context.now(database)
    parents = dict.fromkeys(listing.resolve(database, word) for word in depends_on or ())
    rest: dict[str, Any] = {**wanted.rest, "depends_on": tuple(parents), "callbacks": new_callbacks}
    if workflow is not None:
        from hammerwork_cli.features.workflow.queries.listing import joinable  # other jobs start faster without it

        joined = joinable(database, workflow)
        rest |= {"workflow_id": joined.id, "workflow_name": joined.name}
    job = wanted._replace(rest=rest).made(now)
    note_new_queue(context, database, job.queue)
    placed = enqueueing.once(database, job)
    if not placed.created:
        and_callbacks = ", without a new callback" if new_callbacks else ""
        found = "Already exists" if placed.id == job.id else "Another job holds its key"
        context.note(f"{found}; left unchanged{and_callbacks}: hammerwork job show {placed.id}")
    elif new_callbacks:
        note_upkeep(context, database, now)
    context.answer(ENQUEUED.record(placed), form, lambda: [placed.id])
