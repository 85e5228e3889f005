"""``hammerwork spawn monitor``."""

from collections.abc import Sequence
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from hammerwork_cli.cli.context import Context
from hammerwork_cli.cli.options import QueueOption, seconds_between
from hammerwork_cli.core.input.reading import duration_of
from hammerwork_cli.errors import ShownAnswerError, TimedOutError

if TYPE_CHECKING:
    from hammerwork_cli.cli.live import Ending, Pace
    from hammerwork_cli.features.spawn.models.monitor import MonitorSnapshot
    from hammerwork_cli.features.spawn.queries.monitor import MonitorWatch

INTERRUPTED = 130


class MonitorFormat(StrEnum):
    """How looks are shown where they are not drawn."""

    TEXT = "text"
    JSONL = "jsonl"


class Until(StrEnum):
    """What ends it."""

    DONE = "done"
    FAILED = "failed"


def monitor(
    context: Context,
    interval: Annotated[str, typer.Option("--interval", metavar="SECONDS", help="Refresh interval: 5, 0.5, 2m.")] = "5",
    queue: QueueOption = None,
    count: Annotated[
        int | None, typer.Option("--count", metavar="N", min=1, help="Stop after this many refreshes.")
    ] = None,
    until: Annotated[
        list[Until] | None,
        typer.Option("--exit-on", help="Stop when nothing is open (done) or a job fails (failed, exit 1)."),
    ] = None,
    timeout: Annotated[
        str | None, typer.Option("--timeout", metavar="DURATION", help="Stop after: 90s, 15m, 2h (exit 124).")
    ] = None,
    form: Annotated[
        MonitorFormat | None,
        typer.Option("--format", help="Print lines instead of redrawing: text, or JSON as in a pipe."),
    ] = None,
) -> None:
    """
    A row is a topmost operation with its whole tree; for a very large tree, it counts only the children. A terminal is
    redrawn at each refresh until you press q or Ctrl-C. A pipe gets one JSON object per change. The command survives
    database restarts. Exit code 0; with --exit-on, 0 when nothing is open, 1 when something failed or --count came
    first, 124 when --timeout passes, 130 when interrupted.

    \b
    Examples:
      hammerwork spawn monitor
      hammerwork spawn monitor --queue video_ingest --interval 1
      hammerwork spawn monitor --exit-on done --exit-on failed --timeout 15m
      hammerwork spawn monitor | jq -c 'select(.failed > 0) | .failures[]'
    """
    from hammerwork_cli.cli.live import Pace
    from hammerwork_cli.features.spawn.queries.monitor import MonitorWatch

    wanted = frozenset(until or ())
    pace = Pace(seconds_between(interval), duration_of(timeout).total_seconds() if timeout is not None else None, count)
    window = timedelta(seconds=pace.interval)
    watch = MonitorWatch(context.database(), queues=queue or (), window=window, until_idle=Until.DONE in wanted)
    _leave(_follow(context, watch, wanted, form, pace), wanted, timeout)


def _follow(
    context: Context, watch: "MonitorWatch", wanted: frozenset[Until], form: MonitorFormat | None, pace: "Pace"
) -> "Ending":
    from hammerwork_cli.cli.live import Ending, follow_in_lines, follow_on_screen
    from hammerwork_cli.cli.screen import can_redraw
    from hammerwork_cli.features.spawn.views import monitor as views
    from hammerwork_cli.features.spawn.views import monitor_lines

    def verdict(seen: "MonitorSnapshot") -> "Ending | None":
        if Until.FAILED in wanted and seen.failed_since:
            return Ending.FAILED
        return Ending.REACHED if Until.DONE in wanted and seen.idle else None

    profile = context.target.profile.name if context.target.profile else None

    def frame(width: int, height: int, note: str | None, *, ended: bool = False) -> views.Frame:
        look = (context.colour, context.charset, pace.interval, note)
        return views.Frame(width, height, *look, keys=not ended, profile=profile)

    def draw(seen: "MonitorSnapshot", width: int, height: int, note: str | None) -> Sequence[str]:
        return views.picture(seen, frame(width, height, note))

    def leave(seen: "MonitorSnapshot", width: int, height: int) -> Sequence[str]:
        return views.picture(seen, frame(width, height, None, ended=True))

    if form is None and can_redraw(context):
        return follow_on_screen(context, watch, verdict, draw, leave, pace)
    in_words = form == MonitorFormat.TEXT or (form is None and context.stdout.isatty())
    changes = monitor_lines.Changes(monitor_lines.plain_lines if in_words else monitor_lines.record_lines)
    return follow_in_lines(context, watch, verdict, changes.lines, pace)


def _leave(ending: "Ending", wanted: frozenset[Until], timeout: str | None) -> None:
    """The exit code, which must not say that something was reached which was not."""
    from hammerwork_cli.cli.live import Ending

    if ending == Ending.TIMEOUT:
        raise TimedOutError(f"--timeout {timeout} has passed.")
    if ending == Ending.FAILED:
        raise ShownAnswerError("A job has failed since the monitor started.")
    if wanted and ending in (Ending.QUIT, Ending.INTERRUPTED):
        raise typer.Exit(INTERRUPTED)
    if wanted and ending == Ending.COUNTED:
        raise ShownAnswerError(f"The last refresh passed before --exit-on {' or '.join(sorted(wanted))} was reached.")
