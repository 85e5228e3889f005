"""``hammerwork job requeue-stale``: the doctor's rescue by the name that hammerwork (Rust) has for it."""

from datetime import timedelta
from typing import Annotated

import typer

from hammerwork_cli.cli.options import DryRunOption, Format, FormatOption, QueueOption, YesOption
from hammerwork_cli.commands.spawn.doctor import Asked, examine
from hammerwork_cli.render.formats.names import option


def requeue_stale(
    ctx: typer.Context,
    older_than_secs: Annotated[
        int,
        typer.Option(
            "--older-than-secs",
            metavar="SECONDS",
            min=1,
            max=3_600_000_000,
            help="Rescue jobs that have been Running for longer than this.",
        ),
    ] = 3600,
    queue: QueueOption = None,
    yes: YesOption = False,
    dry_run: DryRunOption = False,
    form: FormatOption = Format.TABLE,
) -> None:
    """Rescue Running jobs whose workers are gone, as `spawn doctor --older-than` does. Asks for confirmation.

    Fixes no other damage. A job with attempts left becomes Retrying; one without becomes Dead. Leaves alone the jobs of
    running and silent workers: when such a worker is lost, another one rescues its jobs.

    \b
    Examples:
      hammerwork job requeue-stale --dry-run
      hammerwork job requeue-stale --older-than-secs 7200 --yes
    """
    queues = tuple(queue or ())
    again = f"hammerwork job requeue-stale --older-than-secs {older_than_secs}{option('--queue', queues)}"
    asked = Asked(
        not dry_run, yes, timedelta(seconds=older_than_secs), False, queues, 5, form, remedy=again, only_lost=True
    )
    examine(ctx.obj, asked, changes=True)
