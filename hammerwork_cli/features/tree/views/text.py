"""A spawn tree as text: the most urgent jobs first, and an id in every line to act on."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from hammerwork_cli.features.tree.spawn_tree import Annotations, SpawnTree
from hammerwork_cli.features.tree.views.describe import Describer, Signs
from hammerwork_cli.features.tree.views.outline import MOST_OPEN, Entry, Outline
from hammerwork_cli.view.text import TIMES, cells, cut, plural, status_word

INDENTED_LEVELS = 10
"""Deeper levels have numbers instead of indentation, so that lines stay on the screen."""


SIGNS: dict[str, Signs] = {
    "utf8": Signs("├── ", "└── ", "│   ", "    ", " · ", TIMES, "◀ this job", "…"),
    "ascii": Signs("|-- ", "`-- ", "|   ", "    ", " - ", "x", "<-- this job", "..."),
}


def tree_text(
    tree: SpawnTree,
    *,
    max_depth: int | None = 10,
    max_children: int | None = 20,
    max_nodes: int | None = 500,
    charset: str = "utf8",
    status: Collection[str] | None = None,
    width: int | None = None,
    colour: bool = False,
    fold: bool | None = None,
    now: datetime | None = None,
    annotations: Annotations | None = None,
    no_room: str = "not drawn: --max-nodes",
    most_open: int = MOST_OPEN,
) -> Iterator[str]:
    """Draws the lines of a tree, without line ends.

    Args:
        max_depth: levels below the roots; ``None`` for all. The target is drawn in any case.
        max_children: lines for the children of one job; omitted ones are counted.
        max_nodes: lines for jobs in total.
        charset: ``utf8``, or ``ascii``, which also escapes data outside ASCII.
        status: only jobs in these statuses, and the paths to them.
        width: columns to which lines are cut, errors first; ``None`` does not cut.
        fold: whether quiet siblings become one line; by default, if anything is limited.
        now: the present, so that lines can say how long jobs have been running.
        annotations: reasons why jobs do not start that the tree itself does not show.
        no_room: the note in place of jobs beyond ``max_nodes``.
        most_open: up to this number of jobs that have not started, none of them is folded.
    """
    if fold is None:
        fold = not (max_depth is None and max_children is None and max_nodes is None)
    outline = Outline(
        tree,
        max_depth=max_depth,
        max_children=max_children,
        max_nodes=max_nodes,
        statuses=status,
        fold=fold,
        most_open=most_open,
        annotations=annotations,
    )
    describe = Describer(outline, SIGNS[charset], charset == "ascii", width, colour, now)
    lines = _TreeDrawing(outline, describe, max_depth, no_room).lines()
    yield from lines if width is None else (cut(line, width, describe.signs.ellipsis) for line in lines)
    if status is not None and not tree.counts.of(*status):
        yield f"No job that was read is {' or '.join(map(status_word, status))}."


class _Note(NamedTuple):
    """A line among siblings that does not stand for a job."""

    text: str


@dataclass(slots=True)
class _Frame:
    """Siblings that are being drawn."""

    job: str | None
    items: Iterator[Entry | _Note]
    upcoming: Entry | _Note | None
    level: int
    prefix: str
    leaps: bool = False
    """Whether levels above these siblings were left out."""


class _TreeDrawing:
    """Walks the outline depth first, with its own stack instead of recursion."""

    def __init__(self, outline: Outline, describe: "Describer", max_depth: int | None, no_room: str) -> None:
        self.outline = outline
        self.no_room = no_room
        self.tree = outline.tree
        self.describe = describe
        self.signs = describe.signs
        self.max_depth = max_depth
        self.drawn: set[str] = set()
        self.expanded: set[str] = set()
        self.path: list[str] = []
        self.on_path: set[str] = set()

    def lines(self) -> Iterator[str]:
        if len(self.tree.roots) == 1:
            root = self.tree.roots[0]
            yield self.describe.root(root)
            stack = [self._frame(root, 0, "")]
        else:
            yield self.describe.summary()
            stack = [self._frame(None, -1, "")]
        while stack:
            frame = stack[-1]
            item = frame.upcoming
            if item is None:
                self._leave(stack.pop())
                continue
            frame.upcoming = next(frame.items, None)
            last = frame.upcoming is None
            lead = self._lead(frame, last)
            yield lead + self._text(item, frame, cells(lead))
            if isinstance(item, str) and self._may_expand(item):
                stack.append(self._frame(item, frame.level + 1, self._deeper(frame, last), frame.leaps))
            if isinstance(item, str):
                self.drawn.add(item)

    def _lead(self, frame: _Frame, last: bool) -> str:
        level = frame.level + 1
        if level > INDENTED_LEVELS:
            return f"{frame.prefix}[{level}] "
        return frame.prefix + (self.signs.corner if last else self.signs.tee)

    def _deeper(self, frame: _Frame, last: bool) -> str:
        if frame.level + 1 > INDENTED_LEVELS:
            return frame.prefix
        return frame.prefix + (self.signs.gap if last else self.signs.bar)

    def _text(self, item: Entry | _Note, frame: _Frame, used: int) -> str:
        if isinstance(item, _Note):
            return item.text
        if isinstance(item, list):
            return self.describe.folded(item, frame.job)
        if item in self.on_path:
            itself = item == frame.job
            return self.describe.repeated(item, "depends on itself" if itself else "a cycle: shown above")
        if item in self.drawn and not self._may_expand(item):
            return self.describe.repeated(item)
        if frame.leaps:
            return self.describe.named(item, None, used, f"... level {self.tree.depths[item]}: ")
        return self.describe.named(item, frame.job, used)

    def _may_expand(self, job: str) -> bool:
        return job not in self.on_path and job not in self.expanded and bool(self.tree.child_total(job))

    def _frame(self, job: str | None, level: int, prefix: str, leapt: bool = False) -> _Frame:
        """Starts the siblings below ``job``, which stands at ``level``."""
        if job is not None:
            self.path.append(job)
            self.on_path.add(job)
            self.drawn.add(job)
        reason = self._cut(job, level, leapt)
        if job is not None and reason is None:
            self.expanded.add(job)
        items = self._drawn(job) if reason is None else self._not_drawn(job, reason)
        return _Frame(job, items, next(items, None), level, prefix, leaps=reason is not None)

    def _leave(self, frame: _Frame) -> None:
        if frame.job is not None:
            self.on_path.discard(self.path.pop())

    def _cut(self, job: str | None, level: int, leapt: bool) -> str | None:
        """The reason why the children of a job are not drawn; ``None`` if they are."""
        if job is not None and self.max_depth is not None and level >= self.max_depth and not leapt:
            return "not drawn: --depth"
        if job in self.tree.unread:
            return "not read"
        return self.no_room if self.outline.siblings(job) is None else None

    def _drawn(self, job: str | None) -> Iterator[Entry | _Note]:
        siblings = self.outline.siblings(job)
        assert siblings is not None
        yield from siblings.shown
        if siblings.rest.total:
            yield _Note(self.describe.rest(siblings))

    def _not_drawn(self, job: str | None, why: str) -> Iterator[Entry | _Note]:
        """Draws a note instead of children, and the target if it is below."""
        if job is None:
            return
        target = self.tree.target
        leap = job in self.outline.spine and target not in self.drawn
        hidden = self.tree.child_total(job) - (leap and self.outline.spine[job] == target)
        if hidden:
            yield _Note(f"... {plural(hidden, 'child', 'children')} below, {why}")
        if leap:
            yield target
