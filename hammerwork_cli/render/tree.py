"""A spawn tree as text: what an operator needs to see first, and every line enough to act on."""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from hammerwork_cli.models import FAILURES, WAITING, Counts, JobStatus, SpawnTree, TreeNode, moment
from hammerwork_cli.models.delays import Marks
from hammerwork_cli.render.colour import paint, paint_status
from hammerwork_cli.render.outline import Entry, Outline, Siblings, unread_children
from hammerwork_cli.render.text import (
    TIMES,
    ascii_only,
    cells,
    count,
    cut,
    duration,
    first_line,
    instant,
    plural,
    short_id,
    shorten,
    status_word,
    statuses,
    visible,
)

INDENTED_LEVELS = 10
"""Deeper levels are numbered instead of indented, so that lines stay on the screen."""
_DAY = timedelta(days=1)
_NAME_CELLS = 60
_LEAST_ERROR_CELLS = 24
_MISSING_NAMED = 3
_PAINT = re.compile("\x1b\\[[0-9]*m")


@dataclass(frozen=True, slots=True)
class _Signs:
    tee: str
    corner: str
    bar: str
    gap: str
    dot: str
    times: str
    target: str
    ellipsis: str


_SIGNS: dict[str, _Signs] = {
    "utf8": _Signs("├── ", "└── ", "│   ", "    ", " · ", TIMES, "◀ this job", "…"),
    "ascii": _Signs("|-- ", "`-- ", "|   ", "    ", " - ", "x", "<-- this job", "..."),
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
    marks: Marks | None = None,
    no_room: str = "not drawn: --max-nodes",
) -> Iterator[str]:
    """The lines of a tree, without line ends.

    Args:
        tree: what to draw.
        max_depth: levels below the roots; ``None`` for all. The target is drawn in any case.
        max_children: lines for the children of one job; what is cut is counted.
        max_nodes: lines for jobs in all.
        charset: ``utf8``, or ``ascii``, which writes everything outside ASCII out, data too.
        status: draws only jobs in these statuses, and the way to them.
        width: columns to which lines are cut, errors first; ``None`` keeps them whole.
        colour: whether statuses are coloured.
        fold: whether quiet siblings become one line; by default unless nothing is limited.
        now: says how long running jobs have been running.
        marks: what keeps jobs from starting, besides other jobs of the tree.
        no_room: what is said where ``max_nodes`` left no room.
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
        marks=marks,
    )
    describe = _Describer(outline, _SIGNS[charset], charset == "ascii", width, colour, now)
    lines = _Drawing(outline, describe, max_depth, no_room).lines()
    yield from lines if width is None else (cut(line, width, describe.signs.ellipsis) for line in lines)
    if status is not None and not tree.counts.of(*status):
        yield f"No job that was read is {' or '.join(map(status_word, status))}."


@dataclass(frozen=True, slots=True)
class _Note:
    """A line that stands among siblings and is no job."""

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
    """Whether levels were left out on the way to what stands here."""


class _Drawing:
    """Walks the outline depth first with a stack of its own."""

    def __init__(self, outline: Outline, describe: "_Describer", max_depth: int | None, no_room: str) -> None:
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
        """All lines."""
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
            return self.describe.repeated(item, "depends on itself" if itself else "a cycle: it stands above")
        if item in self.drawn and not self._may_expand(item):
            return self.describe.repeated(item)
        if frame.leaps:
            return self.describe.named(item, None, used, f"... level {self.tree.depths[item]}: ")
        return self.describe.named(item, frame.job, used)

    def _may_expand(self, job: str) -> bool:
        return job not in self.on_path and job not in self.expanded and bool(self.tree.child_total(job))

    def _frame(self, job: str | None, level: int, prefix: str, leapt: bool = False) -> _Frame:
        """The siblings below ``job``, which is drawn at ``level``."""
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
        """Why the children of a job are not drawn, if they are not."""
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
        """What is said instead of children; the target is drawn all the same."""
        if job is None:
            return
        target = self.tree.target
        leap = job in self.outline.spine and target not in self.drawn
        hidden = self.tree.child_total(job) - (leap and self.outline.spine[job] == target)
        if hidden:
            yield _Note(f"... {plural(hidden, 'child', 'children')} below, {why}")
        if leap:
            yield target


class _Describer:
    """Says what there is to say about a job on one line."""

    def __init__(
        self, outline: Outline, signs: _Signs, ascii_data: bool, width: int | None, colour: bool, now: datetime | None
    ) -> None:
        self.outline = outline
        self.tree = outline.tree
        self.signs = signs
        self.ascii_data = ascii_data
        self.width = width
        self.colour = colour
        self.now = now

    def _data(self, text: str, width: int | None = _NAME_CELLS) -> str:
        safe = visible(text)
        return shorten(ascii_only(safe) if self.ascii_data else safe, width, self.signs.ellipsis)

    def _statuses(self, counts: Counts) -> str:
        return self._data(statuses(counts), None)

    def _name(self, job: str) -> str:
        node = self.tree.nodes[job]
        name = f"{self._data(node.queue)} {self._data(short_id(job))}"
        return f"{name} {paint(self.signs.target, 'bold', self.colour)}" if job == self.tree.target else name

    def root(self, job: str) -> str:
        """The one root: the whole tree at a glance."""
        node = self.tree.nodes[job]
        state, totals = self._state(node, None), [self._totals()]
        # What is cut on a narrow terminal is not the numbers.
        facts = [*totals, *state] if len(self.tree.nodes) > 1 else [*state, *totals]
        parts = [self._name(job), *facts, *self._operation(node)]
        return self._line(self.signs.dot.join(parts), node, 0)

    def summary(self) -> str:
        """The line above several roots."""
        return self.signs.dot.join([plural(len(self.tree.roots), "root"), self._totals()])

    def _totals(self) -> str:
        counts = Counts(dict(self.tree.counts.by_status))
        read = counts.total
        for job in self.outline.below.incomplete & self.tree.child_counts.keys():
            counts.merge(unread_children(self.tree, job))
        if counts.total == 1:
            return "1 job"
        text = f"{plural(counts.total, 'job')}: {self._statuses(counts)}"
        return f"at least {text}" if counts.total > read else text

    def _operation(self, node: TreeNode) -> list[str]:
        parts = []
        if node.operation_id:
            parts.append(f"operation {self._data(node.operation_id)}")
        workflow = node.workflow_name or node.workflow_id
        if workflow:
            parts.append(f"workflow {self._data(workflow)}")
        return parts

    def named(self, job: str, parent: str | None, used: int, lead: str = "") -> str:
        """One job, on a line of which ``used`` columns are taken."""
        node = self.tree.nodes[job]
        parts = [self._name(job), *self._state(node, parent)]
        if self.tree.child_total(job):
            parts.append(self._below(*self.outline.below.of(job)))
        return self._line(lead + self.signs.dot.join(parts), node, used)

    def repeated(self, job: str, why: str = "") -> str:
        """A job that stands elsewhere with all there is to say."""
        line = self.signs.dot.join([self._name(job), self._word(self.tree.nodes[job])])
        return f"{line} (*) {why}".rstrip()

    def folded(self, jobs: list[str], parent: str | None) -> str:
        """Quiet siblings."""
        node = self.tree.nodes[jobs[0]]
        below, whole = Counts(), True
        for job in jobs:
            below.merge(self.outline.below.counted_here(job))
            whole = whole and job not in self.outline.below.incomplete
        times = f"{self._data(node.queue)} {self.signs.times}{count(len(jobs))}"
        parts = [times, self._word(node), *self._marks(jobs)]
        if all(self.tree.nodes[job].stored_parents == node.stored_parents for job in jobs):
            parts += self._waiting(node, parent)
        parts += self._extras(node)
        if below.total:
            parts.append(self._below(below, whole))
        again = parent is not None and self.outline.below.parent.get(jobs[0]) != parent
        return self.signs.dot.join(parts) + (" (*)" if again else "")

    def rest(self, siblings: Siblings) -> str:
        """What a limit cut."""
        text = f"... {count(siblings.rest.total)} more: {self._statuses(siblings.rest)}"
        if siblings.rest_below.total:
            text += self.signs.dot + self._below(siblings.rest_below, siblings.rest_whole)
        return text

    def _below(self, counts: Counts, whole: bool) -> str:
        return f"below: {'' if whole else 'at least '}{self._statuses(counts)}"

    def _line(self, line: str, node: TreeNode, used: int) -> str:
        """The line with the error at its end, cut to what is left of the width."""
        if node.status == JobStatus.COMPLETED or not (node.error or node.status in FAILURES):
            return line
        error = first_line(node.error or "") or "no error recorded"
        room = None
        if self.width is not None:
            taken = used + cells(_PAINT.sub("", line) + self.signs.dot)
            room = max(self.width - taken, _LEAST_ERROR_CELLS)
        return f"{line}{self.signs.dot}{self._data(error, room)}"

    def _state(self, node: TreeNode, parent: str | None) -> list[str]:
        return [
            self._status(node),
            *self._marks([node.id]),
            *self._waiting(node, parent),
            *self._elsewhere(node),
            *self._extras(node),
        ]

    def _word(self, node: TreeNode) -> str:
        return paint_status(node.status, self._data(node.status), self.colour)

    def _status(self, node: TreeNode) -> str:
        word = self._word(node)
        if node.status == JobStatus.COMPLETED:
            return f"{word} in {duration(node.run_time)}" if node.run_time is not None else word
        if node.status == JobStatus.RUNNING:
            return f"{word} {self._so_far(node)}" if node.started_at is not None else word
        return f"{word} after {plural(node.attempts, 'attempt')}" if node.attempts else word

    def _so_far(self, node: TreeNode) -> str:
        started = moment(node.started_at)
        return f"for {duration(self.now - started)}" if self.now and started else f"since {instant(node.started_at)}"

    def _marks(self, jobs: list[str]) -> list[str]:
        """What keeps jobs from starting that are all kept alike."""
        marks = self.outline.marks
        parts = ["stuck"] if jobs[0] in marks.stuck else []
        if jobs[0] in marks.due:
            instants = {marks.due[job] for job in jobs}
            parts.append(f"{'the first ' if len(instants) > 1 else ''}due {self._due(min(instants))}")
        return parts

    def _due(self, at: datetime) -> str:
        wait = at - self.now if self.now else _DAY
        return f"{at:%Y-%m-%d}" if wait >= _DAY else f"in {duration(wait)}"

    def _waiting(self, node: TreeNode, parent: str | None) -> list[str]:
        if node.status not in WAITING:
            return []
        unfinished = Counts()
        for job in dict.fromkeys(node.depends_on):
            above = self.tree.nodes.get(job)
            if above is not None and above.status not in (JobStatus.COMPLETED, JobStatus.ARCHIVED):
                unfinished.add(above.status)
        only_above = node.depends_on == (parent,) and not unfinished.failed
        if not unfinished.total or only_above:
            return []
        return [f"waiting on {count(unfinished.total)} ({self._statuses(unfinished)})"]

    def _elsewhere(self, node: TreeNode) -> list[str]:
        """Parents that are not in the tree: gone from the database, or part of another tree."""
        absent = [job for job in dict.fromkeys(node.depends_on) if job not in self.tree.nodes]
        gone = [job for job in absent if job in self.tree.missing]
        outside = [job for job in absent if job not in self.tree.missing]
        parts = []
        if gone:
            verb = "is" if len(gone) == 1 else "are"
            parts.append(f"depends on {self._names(gone)}, which {verb} not in the database")
        if outside and node.id not in self.tree.roots:
            why = "not read" if self.tree.truncated else "of another tree"
            parts.append(f"also depends on {self._names(outside)}, {why}")
        return parts

    def _names(self, jobs: list[str]) -> str:
        names = ", ".join(self._data(short_id(job)) for job in jobs[:_MISSING_NAMED])
        return f"{names} and {count(len(jobs) - _MISSING_NAMED)} more" if len(jobs) > _MISSING_NAMED else names

    def _extras(self, node: TreeNode) -> list[str]:
        parts = []
        if node.priority != "normal":
            parts.append(f"{node.priority} priority")
        if node.archived_at is not None:
            parts.append("archived")
        if node.has_spawn_config and not self.tree.child_total(node.id) and node.id not in self.tree.unread:
            if node.status == JobStatus.COMPLETED:
                parts.append("spawned nothing")
            elif node.status not in FAILURES:
                parts.append("will spawn")
        return parts
