"""Describes one job in a line of a drawn tree."""

import re
from datetime import datetime, timedelta
from typing import NamedTuple

from hammerwork_cli.core.values import FAILURES, UNSUCCESSFUL, WAITING, Counts, JobStatus, timestamp
from hammerwork_cli.features.tree.model import TreeNode
from hammerwork_cli.features.tree.views.outline import Outline, Siblings, unread_children
from hammerwork_cli.view.colour import paint, paint_status
from hammerwork_cli.view.text import (
    ascii_only,
    cells,
    count,
    duration,
    first_line,
    instant,
    percent,
    plural,
    short_id,
    shorten,
    statuses,
    visible,
)

_DAY = timedelta(days=1)
_NAME_CELLS = 60
_LEAST_ERROR_CELLS = 24
_MISSING_NAMED = 3
_PAINT = re.compile("\x1b\\[[0-9]*m")


class Signs(NamedTuple):
    """The characters that draw a tree."""

    tee: str
    corner: str
    bar: str
    gap: str
    dot: str
    times: str
    target: str
    ellipsis: str


class Describer:
    """Writes the lines of jobs, of folded siblings and of omitted ones."""

    def __init__(
        self, outline: Outline, signs: Signs, ascii_data: bool, width: int | None, colour: bool, now: datetime | None
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
        """The line of the only root, with a summary of the whole tree."""
        node = self.tree.nodes[job]
        status, *state = self._state(node, None)
        # A narrow terminal cuts the end of the line: with several jobs, the totals matter most.
        is_alone = len(self.tree.nodes) == 1
        facts = [status, *state, self._totals()] if is_alone else [*self._whole(), f"itself: {status}", *state]
        parts = [self._name(job), *facts, *self._operation(node)]
        return self._line(self.signs.dot.join(parts), node, 0)

    def _whole(self) -> list[str]:
        took = self.tree.wall_time
        return [self._totals()] if took is None else [self._totals(), f"took {duration(took)}"]

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
        """A job by name, on a line that has ``used`` columns already."""
        node = self.tree.nodes[job]
        parts = [self._name(job), *self._state(node, parent)]
        if self.tree.child_total(job):
            parts.append(self._below(*self.outline.below.of(job)))
        return self._line(lead + self.signs.dot.join(parts), node, used)

    def repeated(self, job: str, why: str = "") -> str:
        """A job whose children are drawn elsewhere."""
        line = self.signs.dot.join([self._name(job), self._word(self.tree.nodes[job])])
        return f"{line} (*) {why}".rstrip()

    def folded(self, jobs: list[str], parent: str | None) -> str:
        """Folded siblings of one kind."""
        node = self.tree.nodes[jobs[0]]
        below, whole = Counts(), True
        for job in jobs:
            below.merge(self.outline.below.counted_here(job))
            whole = whole and job not in self.outline.below.incomplete
        times = f"{self._data(node.queue)} {self.signs.times}{count(len(jobs))}"
        parts = [times, self._word(node), *self._annotations(jobs)]
        if all(self.tree.nodes[job].stored_parents == node.stored_parents for job in jobs):
            parts += self._waiting(node, parent)
        parts += self._extras(node)
        if below.total:
            parts.append(self._below(below, whole))
        again = parent is not None and self.outline.below.parent.get(jobs[0]) != parent
        return self.signs.dot.join(parts) + (" (*)" if again else "")

    def rest(self, siblings: Siblings) -> str:
        """Siblings that a limit leaves out."""
        text = f"... {count(siblings.rest.total)} more: {self._statuses(siblings.rest)}"
        if siblings.rest_below.total:
            text += self.signs.dot + self._below(siblings.rest_below, siblings.rest_whole)
        return text

    def _below(self, counts: Counts, whole: bool) -> str:
        return f"below: {'' if whole else 'at least '}{self._statuses(counts)}"

    def _line(self, line: str, node: TreeNode, used: int) -> str:
        """Adds the error at the end of a line, cut to the rest of the width; that of an open job is an earlier one."""
        if node.status == JobStatus.COMPLETED or not (node.error or node.status in FAILURES):
            return line
        error = first_line(node.error or "") or "no error recorded"
        if node.status not in UNSUCCESSFUL:
            error = f"last error: {error}"
        room = None
        if self.width is not None:
            taken = used + cells(_PAINT.sub("", line) + self.signs.dot)
            room = max(self.width - taken, _LEAST_ERROR_CELLS)
        return f"{line}{self.signs.dot}{self._data(error, room)}"

    def _state(self, node: TreeNode, parent: str | None) -> list[str]:
        return [
            self._status(node),
            *self._annotations([node.id]),
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
            state = f"{word} {self._so_far(node)}" if node.started_at is not None else word
            state = f"{state}, attempt {count(node.attempts)}" if node.attempts > 1 else state
            return self.signs.dot.join([state, *self._progress(node)])
        return f"{word} after {plural(node.attempts, 'attempt')}" if node.attempts else word

    def _progress(self, node: TreeNode) -> list[str]:
        found = self.tree.progress.get(node.id)
        return [" ".join(filter(None, (percent(found.share), self._data(first_line(found.text)))))] if found else []

    def _so_far(self, node: TreeNode) -> str:
        started = timestamp(node.started_at)
        return f"for {duration(self.now - started)}" if self.now and started else f"since {instant(node.started_at)}"

    def _annotations(self, jobs: list[str]) -> list[str]:
        """The annotations of jobs that all have the same reason for not starting."""
        annotations = self.outline.annotations
        parts = ["stuck"] if jobs[0] in annotations.stuck else []
        if jobs[0] in annotations.due:
            instants = {annotations.due[job] for job in jobs}
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
        """The parents that are not in the tree: they do not exist, or belong to another tree."""
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
            elif node.status not in UNSUCCESSFUL:
                parts.append("will spawn")
        return parts
