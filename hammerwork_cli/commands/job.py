"""``hammerwork job``: single jobs and lists of them."""

from typing import Annotated

import typer

from hammerwork_cli.commands import job_changes
from hammerwork_cli.commands import job_options as read
from hammerwork_cli.commands.aliases import verb_with
from hammerwork_cli.commands.job_options import (
    LARGEST_INTEGER,
    FailedOption,
    LastHoursOption,
    PriorityOption,
    SinceOption,
)
from hammerwork_cli.commands.options import (
    CursorOption,
    Format,
    FormatOption,
    JobArgument,
    LimitOption,
    QueueOption,
    StatusOption,
    duration,
    statuses,
)
from hammerwork_cli.commands.verb import Verb, group
from hammerwork_cli.context import Context
from hammerwork_cli.models import FAILURES, JobFilter, JobPriority, JobStatus, NewJob, new_id
from hammerwork_cli.queries import enqueue as enqueueing
from hammerwork_cli.queries import jobs
from hammerwork_cli.render import job_views as views

app = group(
    "job",
    "Jobs: list, show, enqueue, retry, cancel, delete, purge.",
    "job list --failed",
    "job show 178ebfc3",
    'job enqueue --queue video_ingest --payload \'{"title": "Nordlichter"}\'',
)


@app.command("list", cls=verb_with({"-n": "--queue"}))
def list_(
    ctx: typer.Context,
    queue: QueueOption = None,
    status: StatusOption = None,
    priority: PriorityOption = None,
    failed: FailedOption = False,
    completed: Annotated[bool, typer.Option("--completed", help="Only Completed ones.")] = False,
    since: SinceOption = None,
    last_hours: LastHoursOption = None,
    limit: LimitOption = 50,
    cursor: CursorOption = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """Jobs, newest first.

    The next page begins at --cursor with the id of the last job, or with its created_at, a slash and its id, which
    holds when that job is deleted meanwhile; where there are more, a note says it. A page after the last one is empty.
    Of an error lists hold the first 500 characters, in every format; `job show` has all of it.

    \b
    Examples:
      hammerwork job list --failed --last-hours 24
      hammerwork job list --queue video_ingest --status running,pending --priority high,critical
      hammerwork job list --cursor "$(hammerwork job list --format json | jq -r '.[-1].id')"
    """
    context: Context = ctx.obj
    wanted = {*(statuses(status) or ()), *(FAILURES if failed else ()), *((JobStatus.COMPLETED,) if completed else ())}
    chosen = JobFilter(
        queue=queue,
        statuses=tuple(sorted(wanted)),
        priorities=read.priorities(priority),
        since=read.start_of_window(context.now(), since, last_hours),
    )
    page = jobs.find(context.database(), chosen, limit=limit, cursor=cursor)
    context.show(
        page.jobs,
        form,
        columns=views.columns(context.now()),
        record=views.job_record,
        keys=views.LIST_KEYS,
        empty="No job matches.",
    )
    if page.cursor:
        context.note(f"There are more: --cursor {page.cursor}")


@app.command("show", cls=Verb)
def show(
    ctx: typer.Context,
    job: JobArgument,
    full: Annotated[
        bool, typer.Option("--full", help="The whole payload, result and error on a terminal too.")
    ] = False,
    form: FormatOption = Format.TABLE,
) -> None:
    """Everything known about a job: payload, result, what it depends on and what depends on it.

    \b
    Examples:
      hammerwork job show 178ebfc3
      hammerwork job show 178ebfc3 --format json | jq .payload
    """
    from hammerwork_cli.queries.job_details import details  # lists of jobs do not wait for all that it knows

    context: Context = ctx.obj
    database = context.database()
    found = details(database, jobs.resolve(database, job))
    context.answer(
        views.details_record(found),
        form,
        lambda: views.details_text(found, now=context.now(), width=context.width, colour=context.colour, full=full),
    )


@app.command("enqueue", cls=verb_with({"-n": "--queue"}))
def enqueue(
    ctx: typer.Context,
    payload: Annotated[str, typer.Option("-j", "--payload", metavar="JSON", help="JSON, @FILE, or - for stdin.")],
    queue: Annotated[
        str | None,
        typer.Option("-q", "--queue", metavar="QUEUE", help="Where it goes. Default: the setting default_queue."),
    ] = None,
    priority: Annotated[
        str, typer.Option("-r", "--priority", metavar="PRIORITY", help="background, low, normal, high or critical.")
    ] = JobPriority.NORMAL.word,
    delay: Annotated[
        str | None,
        typer.Option("--delay", metavar="DURATION", help="Not before this has passed: 90 (seconds), 15m, 2h."),
    ] = None,
    at: Annotated[str | None, typer.Option("--at", metavar="TIME", help="Not before: 2026-12-24T18:00:00Z.")] = None,
    max_attempts: Annotated[
        int, typer.Option("--max-attempts", metavar="N", min=1, max=LARGEST_INTEGER, help="Before it is Dead.")
    ] = 3,
    timeout: Annotated[
        str | None, typer.Option("--timeout", metavar="DURATION", help="How long a run may take: 90 (seconds), 15m.")
    ] = None,
    depends_on: Annotated[
        list[str] | None, typer.Option("--depends-on", metavar="JOB", help="Runs after this job (several).")
    ] = None,
    job_id: Annotated[
        str | None, typer.Option("--id", metavar="UUID", help="Its id: the same again changes nothing.")
    ] = None,
    trace_id: Annotated[str | None, typer.Option("--trace-id", metavar="ID", help="For tracing.")] = None,
    correlation_id: Annotated[str | None, typer.Option("--correlation-id", metavar="ID", help="For tracing.")] = None,
    spawn_handler: Annotated[
        str | None, typer.Option("--spawn-handler", metavar="NAME", help="It spawns, by this handler.")
    ] = None,
    spawn_config: Annotated[
        str | None, typer.Option("--spawn-config", metavar="JSON", help="It spawns; JSON, @FILE, or - for stdin.")
    ] = None,
    max_spawn_count: Annotated[
        int | None,
        typer.Option("--max-spawn-count", metavar="N", min=0, help="Most children it may spawn. [default: 100]"),
    ] = None,
    operation_id: Annotated[
        str | None, typer.Option("--operation-id", metavar="ID", help="Name of its spawning.")
    ] = None,
    spawn_delay: Annotated[
        str | None, typer.Option("--spawn-delay", metavar="DURATION", help="Between batches of children.")
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option("--batch-size", metavar="N", min=1, help="Children a batch.")
    ] = None,
    inherit: Annotated[
        str | None,
        typer.Option(
            "--inherit",
            metavar="WORDS",
            help="What children take over: priority,queue,retry,timeout,trace or none. [default: priority,retry,trace]",
        ),
    ] = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """Enqueues a job and prints its id.

    With --id a second run changes nothing; where it asks for something else than the first, --delay and --at
    aside, it is a conflict. With --depends-on it waits until those jobs have completed; a job that failed cannot
    be depended on. An option about spawning puts _spawn_config into the payload, complete enough for Rust workers.

    \b
    Examples:
      hammerwork job enqueue --queue mail --payload '{"to": "ada@example.org"}'
      hammerwork job enqueue --queue report --payload @report.json --priority high --delay 15m
      hammerwork job enqueue --queue ingest --payload '{}' --spawn-handler frames --max-spawn-count 500
      id=$(hammerwork job enqueue --queue a --payload '{}') && \\
        hammerwork job enqueue --queue b --payload '{}' --depends-on "$id"
    """
    context: Context = ctx.obj
    now = context.now()
    spawning = {
        "handler": spawn_handler,
        "max_spawn_count": max_spawn_count,
        "operation_id": operation_id,
        "spawn_delay_ms": round(duration(spawn_delay).total_seconds() * 1000) if spawn_delay else None,
        "batch_size": batch_size,
    }
    text = read.payload_with(read.text_from(payload), spawning, spawn_config, inherit)
    job = NewJob(
        queue=context.queue(queue),
        payload=text,
        created_at=now,
        scheduled_at=read.start_time(now, delay, at),
        id=read.full_id(job_id) if job_id else new_id(),
        priority=read.priority(priority),
        max_attempts=max_attempts,
        timeout_seconds=read.whole_seconds(timeout) if timeout else None,
        trace_id=trace_id,
        correlation_id=correlation_id,
    )
    database = context.database(changes=True)
    job.created_at = now = context.now(database)
    job.scheduled_at = read.start_time(now, delay, at)
    parents = dict.fromkeys(jobs.resolve(database, word) for value in depends_on or () for word in value.split(","))
    job.depends_on = tuple(parents)
    placed = enqueueing.once(database, job)
    if not placed.created:
        context.note(f"It was there already, and was left as it is: hammerwork job show {placed.id}")
    context.answer(views.enqueued_record(placed), form, lambda: [placed.id])


app.command("retry", cls=verb_with({"-n": "--queue", "--confirm": "--yes"}))(job_changes.retry)
app.command("cancel", cls=verb_with({"-n": "--queue", "--all-pending": "--all", "--confirm": "--yes"}))(
    job_changes.cancel
)
app.command("delete", cls=verb_with({"-n": "--queue", "--confirm": "--yes"}))(job_changes.delete)
app.command("purge", cls=verb_with({"-n": "--queue", "--confirm": "--yes"}))(job_changes.purge)
