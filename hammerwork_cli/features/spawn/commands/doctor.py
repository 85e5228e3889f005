"""``hammerwork spawn doctor``."""

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from hammerwork_cli.cli.context import Context
from hammerwork_cli.cli.options import Format, FormatOption, QueueOption, YesOption, age
from hammerwork_cli.core.input.reading import before
from hammerwork_cli.errors import ShownAnswerError

if TYPE_CHECKING:
    from hammerwork_cli.features.spawn.models.doctor import Finding
    from hammerwork_cli.features.spawn.queries.doctor import Doctor


def doctor(
    context: Context,
    fix: Annotated[bool, typer.Option("--fix", help="Fix damage that has one right outcome; asks first.")] = False,
    yes: YesOption = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only report, as without --fix.")] = False,
    older_than: Annotated[
        str | None,
        typer.Option(
            "--older-than",
            metavar="DURATION",
            help="Treat jobs Running for longer without a lease as lost: 30m, 2h. [default: none]",
        ),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 for notes too.")] = False,
    queue: QueueOption = None,
    examples: Annotated[
        int, typer.Option("-l", "--limit", metavar="N", min=1, max=1000, help="Jobs to list for each kind of damage.")
    ] = 5,
    form: FormatOption = Format.TABLE,
) -> None:
    """
    Exit code 0 when there is no damage left, else 1. Events that block no job are notes, which count only with
    --strict: a job that ran early, one that never spawned, and records of jobs that another program has deleted, which
    --fix removes. Archived jobs are skipped, and so are the jobs of running and silent workers (`worker list`): when
    such a worker is lost, another one rescues its jobs.

    \b
    Examples:
      hammerwork spawn doctor
      hammerwork spawn doctor --older-than 2h
      hammerwork spawn doctor --older-than 2h --fix --yes
      hammerwork spawn doctor --format json | jq '.[] | select(.severity == "damage") | {kind, jobs}'
    """
    length = age(older_than) if older_than is not None else None
    remedy = _fixing(older_than, queue or ())
    asked = Asked(fix and not dry_run, yes, length, strict, tuple(queue or ()), examples, form, remedy)
    examine(context, asked, changes=fix)


class Asked(NamedTuple):
    """What a command wants of the doctor."""

    fix: bool
    yes: bool
    lost_after: timedelta | None  # time after which a Running job counts as lost
    strict: bool
    queues: tuple[str, ...]
    examples: int
    form: Format
    remedy: str  # the command that fixes what is only shown
    only_lost: bool = False  # whether to look for lost jobs alone


def examine(context: Context, asked: Asked, *, changes: bool) -> None:
    """Shows what the doctor finds, and fixes it if that is wanted and agreed.

    Raises:
        ShownAnswerError: there is damage left.
    """
    from hammerwork_cli.features.spawn.queries.doctor import Doctor

    database = context.database(changes=changes)
    now = context.now(database)
    lost_before = before(now, asked.lost_after) if asked.lost_after is not None else None
    doctor = Doctor(
        database,
        now=now,
        queues=asked.queues,
        lost_before=lost_before,
        examples=asked.examples,
        only_lost=asked.only_lost,
    )
    form, strict, queues = asked.form, asked.strict, asked.queues
    found = doctor.examine()
    if asked.fix and any(finding.fixable for finding in found):
        _confirm(context, found, yes=asked.yes, form=form)
        found = doctor.fix(found)
        _show(context, found, form, remedy=None, strict=strict, queues=queues)
    else:
        _show(context, found, form, remedy=asked.remedy, strict=strict, queues=queues)
    _note_running(context, doctor)
    damaged = sum(finding.left for finding in found if strict or not finding.is_note)
    if damaged:
        from hammerwork_cli.view.text import plural

        raise ShownAnswerError(f"The doctor found {plural(damaged, 'damaged job')}.")


def _confirm(context: Context, found: "Sequence[Finding]", *, yes: bool, form: Format) -> None:
    from hammerwork_cli.features.spawn.views import doctor as doctor_views

    if not yes:
        for line in ("This would fix:", *doctor_views.plan_text(found)):
            context.note(line)
    plan = doctor_views.FINDING.records(finding for finding in found if finding.fixable)
    context.confirm("Fix these jobs?", yes=yes, form=form, plan=plan)


def _fixing(older_than: str | None, queues: "Sequence[str]") -> str:
    """The command that fixes the damage that these options found."""
    from shlex import quote

    from hammerwork_cli.view.names import queue_option

    age = "" if older_than is None else f" --older-than {quote(older_than)}"
    return f"hammerwork spawn doctor{age}{queue_option(queues)} --fix"


def _show(
    context: Context,
    found: "Sequence[Finding]",
    form: Format,
    *,
    remedy: str | None,
    strict: bool,
    queues: "Sequence[str]",
) -> None:
    """Shows what is wrong and the command against it; without one, what has been fixed."""
    from hammerwork_cli.features.spawn.views import doctor as doctor_views
    from hammerwork_cli.view.names import words_of
    from hammerwork_cli.view.text import plural

    if form != Format.TABLE:
        context.data(map(doctor_views.FINDING.record, found), form, doctor_views.FINDING.columns)
        return
    style: dict[str, Any] = {"width": context.width, "colour": context.colour}
    if remedy is None:
        context.text(doctor_views.fixed_text(found, **style))
    else:
        context.text(doctor_views.findings_text(found, remedy, **style))
    if any(finding.left for finding in found if not finding.is_note):
        return
    notes = sum(finding.left > 0 for finding in found)
    if strict and notes:
        context.note(f"No damage, but --strict counts {plural(notes, 'note')}: exit code 1.")
    else:
        beside = f"; {plural(notes, 'note')}" if notes else ""
        where = f" in the {words_of(queues)}" if queues else ""
        says = f"All damage{where} is fixed" if remedy is None else f"No damage found{where}"
        context.note(f"{says}{beside}.")


def _note_running(context: Context, doctor: "Doctor") -> None:
    from hammerwork_cli.view.text import instant, plural

    jobs, since, returned = doctor.running()
    if jobs > returned and doctor.lost_before is None:
        are = "is" if jobs == 1 else "are"
        context.note(
            f"{plural(jobs, 'job')} {are} Running, the first since {instant(since)} UTC. If their workers are gone, "
            "say how long a job may run: --older-than 2h (for a worker: --rescue-older-than 2h)"
        )
    if returned:
        belong, them = ("belongs", "it") if returned == 1 else ("belong", "them")
        context.note(
            f"{plural(returned, 'job')} {belong} to silent workers: another worker rescues {them} once it has run for "
            "a lease (hammerwork worker list)."
        )
