"""``maintenance check`` and ``dead-jobs``, ``job requeue-stale``: the doctor by the names of hammerwork (Rust)."""

from datetime import timedelta
from inspect import signature
from typing import Annotated, Any

import typer

from hammerwork_cli.cli.context import Context
from hammerwork_cli.cli.options import DryRunOption, Format, FormatOption, QueueOption, YesOption
from hammerwork_cli.features.spawn.commands.doctor import Asked, doctor, examine
from hammerwork_cli.view.names import queue_option


def check(context: Context, **given: Any) -> None:
    """
    \b
    Examples:
      hammerwork maintenance check
      hammerwork maintenance check --fix --yes
    """
    doctor(context, **given)


# Typer reads the parameters from here.
check.__dict__["__signature__"] = signature(doctor)
check.__annotations__ = doctor.__annotations__


def dead_jobs(
    context: Context,
    stale_hours: Annotated[
        float,
        typer.Option(
            "--stale-hours",
            metavar="HOURS",
            min=0,
            max=1_000_000,
            help="Rescue jobs that have been Running for longer than this.",
        ),
    ] = 24,
    queue: QueueOption = None,
    yes: YesOption = False,
    dry_run: DryRunOption = False,
    form: FormatOption = Format.TABLE,
) -> None:
    """
    The same as `spawn doctor --older-than 24h --fix`, which fixes other damage too. A job with attempts left becomes
    Retrying; one without becomes Dead.

    \b
    Examples:
      hammerwork maintenance dead-jobs --dry-run
      hammerwork maintenance dead-jobs --stale-hours 2 --yes
    """
    doctor(context, fix=True, yes=yes, dry_run=dry_run, older_than=f"{stale_hours * 3600:.3f}s", queue=queue, form=form)


def requeue_stale(
    context: Context,
    older_than_secs: Annotated[
        int,
        typer.Option(
            "--older-than-secs",
            metavar="SECONDS",
            min=1,
            max=3_600_000_000,
            help="Rescue jobs without a lease that have been Running for longer.",
        ),
    ] = 3600,
    queue: QueueOption = None,
    yes: YesOption = False,
    dry_run: DryRunOption = False,
    form: FormatOption = Format.TABLE,
) -> None:
    """
    Takes jobs of Rust workers whose lease is over, and jobs without a lease that have been Running for longer than
    --older-than-secs; fixes no other damage. A job with attempts left becomes Retrying; one without becomes Dead.
    Skips the jobs of running and silent workers: when such a worker is lost, another one rescues its jobs.

    \b
    Examples:
      hammerwork job requeue-stale --dry-run
      hammerwork job requeue-stale --older-than-secs 7200 --yes
    """
    queues = tuple(queue or ())
    again = f"hammerwork job requeue-stale --older-than-secs {older_than_secs}{queue_option(queues)}"
    asked = Asked(
        not dry_run, yes, timedelta(seconds=older_than_secs), False, queues, 5, form, remedy=again, only_lost=True
    )
    examine(context, asked, changes=True)
