"""``hammerwork spawn wait``, ``why`` and ``doctor``: how jobs that spawn jobs are doing."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hammerwork_cli.commands.options import (
    Format,
    FormatOption,
    JobArgument,
    QueueOption,
    YesOption,
    age,
    before,
    duration,
    spoken,
)
from hammerwork_cli.commands.verb import Verb
from hammerwork_cli.context import Context
from hammerwork_cli.errors import HammerworkError, TimedOutError, UsageError

if TYPE_CHECKING:
    from hammerwork_cli.models import Counts
    from hammerwork_cli.models.health import Finding, Hold
    from hammerwork_cli.queries.doctor import Doctor

ANSWER_IS_NO = 1
SHORTEST_INTERVAL = 0.01


def register(app: typer.Typer) -> None:
    """Adds these verbs to the group."""
    for name, verb in (("wait", wait), ("why", why), ("doctor", doctor)):
        app.command(name, cls=Verb)(verb)


def wait(
    ctx: typer.Context,
    job: JobArgument,
    timeout: Annotated[
        str | None,
        typer.Option(
            "--timeout", metavar="DURATION", help="Give up after: 90 (seconds), 15m; 0 looks once. Default: never."
        ),
    ] = None,
    interval: Annotated[
        str, typer.Option("--interval", metavar="DURATION", help="Between two looks: 500ms, 5s.")
    ] = "1s",
    children_only: Annotated[
        bool, typer.Option("--children-only", help="Only JOB and what is below it, not its whole tree.")
    ] = False,
    fail_stuck: Annotated[
        bool, typer.Option("--fail-stuck", help="Stop when only jobs are left that can never run.")
    ] = False,
    form: FormatOption = Format.TABLE,
) -> None:
    """Waits until the whole tree that a job belongs to has finished, with all that is spawned meanwhile.

    Exit code 0 when all jobs completed, 1 when some failed (or are stuck, with --fail-stuck), 124 when --timeout
    passed. A look asks for few jobs, however large the tree is. A restart of the server is waited out.

    \b
    Examples:
      hammerwork spawn wait 178ebfc3
      hammerwork spawn wait 178ebfc3 --timeout 15m && ./publish.sh
      hammerwork spawn wait 178ebfc3 --timeout 0 --quiet || echo "not yet, or failed"
      hammerwork spawn wait 178ebfc3 --timeout 1h --format json | jq .counts
    """
    from hammerwork_cli.models.health import WaitOutcome
    from hammerwork_cli.queries import jobs, waiting
    from hammerwork_cli.render import wait_views

    context: Context = ctx.obj
    database = context.database()
    waiter = waiting.Waiter(
        context.database,
        _Notes(context),
        interval=_seconds_between(interval),
        timeout=duration(timeout).total_seconds() if timeout is not None else None,
        fail_stuck=fail_stuck,
    )
    result = waiter.wait(database, jobs.resolve(database, job), whole=not children_only, now=context.now())
    context.answer(
        wait_views.wait_record(result),
        form,
        lambda: wait_views.wait_text(result, width=context.width, colour=context.colour),
    )
    if result.outcome == WaitOutcome.TIMEOUT:
        raise TimedOutError(f"The tree has not finished within {spoken(timeout)}: {wait_views.open_text(result)}.")
    if result.outcome != WaitOutcome.COMPLETED:
        raise typer.Exit(ANSWER_IS_NO)


def _seconds_between(interval: str) -> float:
    seconds = duration(interval).total_seconds()
    if seconds < SHORTEST_INTERVAL:
        raise UsageError("--interval is too short: the database would do nothing else.", hint="Write 0.1s or more.")
    return seconds


class _Notes:
    """Says on stderr what happens while waiting."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def reading(self, counts: "Counts") -> None:
        from hammerwork_cli.render.text import plural, statuses

        self._context.note(f"Waiting for {plural(counts.total, 'job')}: {statuses(counts)}")

    def stuck(self, held: "list[Hold]") -> None:
        from hammerwork_cli.render import wait_views

        for line in wait_views.stuck_text(held):
            self._context.note(line)

    def lost(self, error: HammerworkError) -> None:
        self._context.note(f"{error.message} Trying again for a minute.")

    def back(self) -> None:
        self._context.note("The server answers again.")


def why(
    ctx: typer.Context,
    job: JobArgument,
    limit: Annotated[int, typer.Option("-l", "--limit", min=1, max=10_000, help="Jobs to name for each error.")] = 3,
    form: FormatOption = Format.TABLE,
) -> None:
    """Why a job, or what is below it, failed or waits: the deepest failures by error, and the way to each.

    Looks upward too: for what made the job fail, or what holds it. Of what waits for no other job it says whether it is
    not due, between two attempts, without a worker, in a paused queue, or Running for more than an hour with no living
    worker known to have it. Exit code 1 when a failure was found, else 0.

    \b
    Examples:
      hammerwork spawn why 178ebfc3
      hammerwork spawn why 178ebfc3 --limit 20
      hammerwork spawn why 178ebfc3 --format json | jq -r '.next[]'
    """
    from hammerwork_cli.queries import failures, jobs
    from hammerwork_cli.render import failure_views

    context: Context = ctx.obj
    database = context.database()
    now = context.now()
    found = failures.diagnose(database, jobs.resolve(database, job), limit=limit, now=now)
    style: dict[str, Any] = {"charset": context.charset, "width": context.width, "colour": context.colour, "now": now}
    context.answer(
        failure_views.diagnosis_record(found, limit, now),
        form,
        lambda: failure_views.diagnosis_text(found, limit, **style),
    )
    if found.failed:
        raise typer.Exit(ANSWER_IS_NO)


def doctor(
    ctx: typer.Context,
    fix: Annotated[bool, typer.Option("--fix", help="Mend what has one right end; asks first.")] = False,
    yes: YesOption = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only look, which is what happens without --fix.")] = False,
    older_than: Annotated[
        str | None,
        typer.Option(
            "--older-than",
            metavar="DURATION",
            help="Jobs Running for longer than this have lost their worker: 30m, 2h. There is no default, since "
            "another program may be running them.",
        ),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Notes too make the exit code 1.")] = False,
    queue: QueueOption = None,
    examples: Annotated[
        int, typer.Option("-l", "--limit", min=1, max=1000, help="Jobs to name for each kind of damage.")
    ] = 5,
    form: FormatOption = Format.TABLE,
) -> None:
    """What is wrong with the jobs, and what would mend it. Changes nothing without --fix.

    Exit code 0 when nothing is wrong (any more), 1 otherwise. What has happened and holds no job is a note, which
    counts only with --strict: a job that ran early, one that never spawned, and what workers recorded of jobs that
    another program has deleted since, which --fix removes. Archived jobs are left alone, and so is what a worker of
    ours has that has not ended (`worker list`): when it is lost, another worker takes its jobs.

    \b
    Examples:
      hammerwork spawn doctor
      hammerwork spawn doctor --older-than 2h
      hammerwork spawn doctor --older-than 2h --fix --yes
      hammerwork spawn doctor --format json | jq '.[] | select(.severity == "damage") | {kind, jobs}'
    """
    from hammerwork_cli.queries.doctor import Doctor

    context: Context = ctx.obj
    length = age(older_than) if older_than is not None else None
    database = context.database(changes=fix)
    now = context.now(database)
    lost_before = before(now, length) if length is not None else None
    healer = Doctor(database, now=now, queue=queue, lost_before=lost_before, examples=examples)
    found = healer.look()
    if fix and not dry_run and any(finding.mendable for finding in found):
        _consent(context, found, yes=yes, form=form)
        found = healer.mend(found)
        _show(context, found, form, remedy=None, strict=strict)
    else:
        _show(context, found, form, remedy=_fixing(older_than, queue), strict=strict)
    _note_running(context, healer)
    if any(finding.left and (strict or not finding.is_note) for finding in found):
        raise typer.Exit(ANSWER_IS_NO)


def _consent(context: Context, found: "Sequence[Finding]", *, yes: bool, form: Format) -> None:
    from hammerwork_cli.render import health_views

    if not yes:
        for line in ("This would mend:", *health_views.plan_text(found)):
            context.note(line)
    plan = [health_views.finding_record(finding) for finding in found if finding.mendable]
    context.confirm("Mend these?", yes=yes, form=form, plan=plan)


def _fixing(older_than: str | None, queue: str | None) -> str:
    """The command that mends what these options found."""
    from shlex import quote

    options = {"--older-than": older_than, "--queue": queue}
    words = [word for option, value in options.items() if value is not None for word in (option, quote(value))]
    return " ".join(["hammerwork spawn doctor", *words, "--fix"])


def _show(context: Context, found: "Sequence[Finding]", form: Format, *, remedy: str | None, strict: bool) -> None:
    """Shows what is wrong and the command against it; without one, what has been mended."""
    from hammerwork_cli.render import health_views
    from hammerwork_cli.render.text import plural

    if form != Format.TABLE:
        context.data([health_views.finding_record(finding) for finding in found], form, health_views.FINDING_KEYS)
        return
    style: dict[str, Any] = {"width": context.width, "colour": context.colour}
    if remedy is None:
        context.text(health_views.mended_text(found, **style))
    else:
        context.text(health_views.findings_text(found, remedy, **style))
    if any(finding.left for finding in found if not finding.is_note):
        return
    notes = sum(finding.left > 0 for finding in found)
    if strict and notes:
        context.note(f"Nothing is wrong, but --strict counts {plural(notes, 'note')} as well: exit code 1.")
    else:
        context.note("Nothing is wrong any more." if remedy is None else "Nothing is wrong.")


def _note_running(context: Context, healer: "Doctor") -> None:
    from hammerwork_cli.render.text import instant, plural

    jobs, since, returned = healer.running()
    if jobs > returned and healer.lost_before is None:
        are = "is" if jobs == 1 else "are"
        context.note(
            f"{plural(jobs, 'job')} {are} Running, the first since {instant(since)} UTC. If their workers are gone, "
            "say how long a job may run: --older-than 2h"
        )
    if returned:
        context.note(
            f"{plural(returned, 'job')} {'belongs' if returned == 1 else 'belong'} to silent workers: "
            "another worker takes them back by itself, once it has run for a lease (hammerwork worker list)."
        )
