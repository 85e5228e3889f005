"""A tree that changes: a full screen on a terminal, or the changes for a pipe."""

from collections.abc import Callable, Collection, Iterator
from datetime import datetime
from typing import NamedTuple

from hammerwork_cli.core.values import Counts
from hammerwork_cli.features.tree.spawn_tree import SpawnTree
from hammerwork_cli.features.tree.views.picture import Limits, TreeFormat, picture
from hammerwork_cli.features.tree.views.text import tree_text
from hammerwork_cli.view.colour import paint
from hammerwork_cli.view.text import cells, count, cut, plural, statuses, visible

LEAST_LINES = 3


class Style(NamedTuple):
    """Settings of drawing that do not depend on the screen."""

    limits: Limits
    statuses: Collection[str] | None
    charset: str
    colour: bool


class Headline(NamedTuple):
    """The facts in the first line of a screen."""

    at: datetime
    counts: Counts  # all jobs of the tree
    stuck: int  # number of jobs that can never run
    note: str | None


def tree_screen(tree: SpawnTree, style: Style, headline: Headline, width: int, height: int) -> list[str]:
    """Draws lines that fit the screen; jobs without room are counted where they are left out.

    It folds no more than the screen needs: no jobs, else those that have finished, else also those that have not
    started.
    """
    ellipsis = "…" if style.charset == "utf8" else "..."
    room = max(height - 1, LEAST_LINES)
    lines = _drawn(tree, style, headline.at, width, room, fold=False) if _may_fit(tree, room) else []
    if not lines or len(lines) > room:
        lines = _drawn(tree, style, headline.at, width, room)
    if len(lines) > room:
        # Draw again with a limit, which counts the omitted jobs, before cutting lines off.
        most = min(style.limits.nodes or room, room)
        limits = style.limits._replace(nodes=max(most * 2 // 3, 1))
        lines = _drawn(tree, style._replace(limits=limits), headline.at, width, room)
    if len(lines) > room:
        hidden = len(lines) - room + 1
        lines = [*lines[: room - 1], paint(f"{ellipsis} {plural(hidden, 'more line')}", "dim", style.colour)]
    first = _first_line(headline, style, width)
    return [cut(line, width, ellipsis) for line in [first, *lines]][:height]


def _may_fit(tree: SpawnTree, room: int) -> bool:
    """Whether there may be a line for each job. Drawing a large tree only to find out would take long."""
    return len(tree.nodes) <= room and not tree.truncated


def _drawn(
    tree: SpawnTree, style: Style, now: datetime, width: int, room: int, *, fold: bool | None = None
) -> list[str]:
    limits = style.limits
    lines = tree_text(
        tree,
        max_depth=limits.depth,
        max_children=limits.children,
        max_nodes=limits.nodes,
        charset=style.charset,
        status=style.statuses,
        width=width,
        colour=style.colour,
        now=now,
        no_room="no room",
        fold=fold,
        most_open=room // 2,
    )
    return list(lines)


def whole_tree(tree: SpawnTree, style: Style, width: int) -> list[str]:
    """Draws the tree that stays on the terminal at the end, as without ``--watch``."""
    parts = picture(
        tree,
        TreeFormat.TEXT,
        style.limits,
        statuses=style.statuses,
        charset=style.charset,
        width=width,
        colour=style.colour,
    ).parts
    return "".join(parts).splitlines()


def _first_line(headline: Headline, style: Style, width: int) -> str:
    dot = " · " if style.charset == "utf8" else " - "
    clock = f"{headline.at:%H:%M:%S} UTC"
    if headline.note:
        return f"{clock}{dot}{paint(visible(headline.note), 'yellow', style.colour)}"
    left = f"{clock}{dot}{plural(headline.counts.total, 'job')}: {statuses(headline.counts)}"
    if headline.stuck:
        left += f"{dot}{count(headline.stuck)} can never run"
    keys = "q quits"
    gap = width - cells(left) - len(keys)
    return paint(left, "dim", style.colour) + (f"{' ' * gap}{keys}" if gap > 1 else "")


class TreeChanges:
    """Shows only changes: a whole document at each change, or a line for each changed job.

    Args:
        width: columns of text; ``None`` for a pipe.
        note: receives the notes on a document.
    """

    def __init__(self, form: TreeFormat, style: Style, width: int | None, note: Callable[[str], None]) -> None:
        self._form = form
        self._style = style
        self._width = width
        self._note = note
        self._last: SpawnTree | None = None

    def lines(self, tree: SpawnTree) -> Iterator[str]:
        """Yields the output of one refresh; nothing if nothing has changed."""
        before, self._last = self._last, tree
        if before is not None and before.nodes == tree.nodes and before.child_counts == tree.child_counts:
            return
        if self._form == TreeFormat.JSONL:
            yield from self._changed_jobs(before, tree)
            return
        shown = picture(
            tree,
            self._form,
            self._style.limits,
            statuses=self._style.statuses,
            charset=self._style.charset,
            width=self._width,
            colour=self._style.colour,
        )
        document = "".join(shown.parts).rstrip("\n")
        if self._form == TreeFormat.JSON:
            # JSON escapes line ends within strings, so that every line end here is only layout.
            yield document.replace("\n", "")
        else:
            yield document if before is None else f"\n{document}"
        for note in shown.notes:
            self._note(note)

    def _changed_jobs(self, before: SpawnTree | None, tree: SpawnTree) -> Iterator[str]:
        from hammerwork_cli.features.tree.views.json import tree_lines
        from hammerwork_cli.features.tree.views.prune import prune

        limits = self._style.limits
        pruned = prune(tree, statuses=self._style.statuses, children=limits.children, nodes=limits.nodes)
        for node, line in zip(pruned.nodes.values(), tree_lines(pruned), strict=True):
            if before is None or before.nodes.get(node.id) != node or _has_more_children(before, tree, node.id):
                yield line


def _has_more_children(before: SpawnTree, tree: SpawnTree, job: str) -> bool:
    return before.child_total(job) != tree.child_total(job)
