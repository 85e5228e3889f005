"""``hammerwork spawn tree --watch``."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from hammerwork_cli.cli.context import Context
from hammerwork_cli.cli.live import Ending, Pace, follow_in_lines, follow_on_screen
from hammerwork_cli.cli.options import duration_as_given, seconds_between
from hammerwork_cli.cli.screen import can_redraw
from hammerwork_cli.core.input.reading import duration_of
from hammerwork_cli.errors import ShownAnswerError, TimedOutError
from hammerwork_cli.features.job.queries import listing
from hammerwork_cli.features.spawn.queries.tree_watch import TreePictures, WatchedTree
from hammerwork_cli.features.tree.views.picture import TreeFormat
from hammerwork_cli.features.tree.views.screen import Headline, Style, TreeChanges, tree_screen, whole_tree

if TYPE_CHECKING:
    from hammerwork_cli.database import Database


def watch_tree(
    context: Context, job: str, form: TreeFormat, style: Style, *, whole: bool, interval: str, timeout: str | None
) -> None:
    """Looks at a tree until all of it has finished, or somebody presses ``q``.

    Raises:
        NotFoundError: there is no such job.
        TimedOutError: it has not finished in time.
        ShownAnswerError: jobs of it failed.
        KeyboardInterrupt: somebody pressed Ctrl-C before that.
    """
    pace = Pace(seconds_between(interval), duration_of(timeout).total_seconds() if timeout is not None else None)
    database: Database = context.database()
    limits = style.limits
    watch = TreePictures(
        database, listing.resolve(database, job), whole=whole, depth=limits.depth, max_jobs=limits.max_jobs
    )

    def verdict(seen: WatchedTree) -> Ending | None:
        if not seen.finished:
            return None
        return Ending.FAILED if seen.counts.unsuccessful else Ending.REACHED

    def draw(seen: WatchedTree, width: int, height: int, note: str | None) -> Sequence[str]:
        return tree_screen(seen.tree, style, Headline(seen.at, seen.counts, seen.stuck, note), width, height)

    def leave(seen: WatchedTree, width: int, height: int) -> Sequence[str]:
        del height
        return whole_tree(seen.tree, style, width)

    if form == TreeFormat.TEXT and can_redraw(context):
        ending = follow_on_screen(context, watch, verdict, draw, leave, pace)
    else:
        changes = TreeChanges(form, style, context.width, context.note)

        def speak(seen: WatchedTree) -> Iterator[str]:
            return changes.lines(seen.tree)

        ending = follow_in_lines(context, watch, verdict, speak, pace)
    if ending == Ending.INTERRUPTED:
        raise KeyboardInterrupt  # the exit code must not say that the tree has finished
    if ending == Ending.TIMEOUT:
        raise TimedOutError(f"The tree has not finished within {duration_as_given(timeout)}.")
    if ending == Ending.FAILED:
        raise ShownAnswerError("Jobs of the tree failed, or were cancelled.")
