"""A spawn tree as a Mermaid flowchart, within the limits beyond which Mermaid refuses to draw."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from heapq import heappop, heappush

from hammerwork_cli.core.values import FAILURES, Counts
from hammerwork_cli.features.tree.spawn_tree import SpawnTree
from hammerwork_cli.features.tree.views.outline import Below, unread_children
from hammerwork_cli.view.colour import OTHER_COLOURS, STATUS_COLOURS
from hammerwork_cli.view.text import TIMES, count, percent, plural, short_id, shorten, status_word, statuses, visible

MAX_EDGES = 500
MAX_CHARACTERS = 50_000

_NAME_CELLS = 40
_EDGE = 40
"""Characters of the longest edge, with the name of its node."""
_KINDS = 16
"""Edges reserved for folded siblings beside the failed jobs that are drawn by name."""
_MORE_CELLS = 90
_ROW = 5
"""Least length of a row of only children that is folded."""
_MORE_NODE = 150
"""Characters reserved for the node that counts everything below one that is not expanded."""

_STYLES = {
    status.lower(): f"fill:{fill},stroke:{line},color:{text}"
    for status, (_, fill, line, text) in {**STATUS_COLOURS, "other": OTHER_COLOURS}.items()
} | {"target": "stroke-width:4px"}

# Characters that Mermaid, its directives, Markdown, mathematics or HTML could interpret.
_SPECIAL = re.compile(r"[^\w\s.,:/·\xd7()-]|(?<![^\W_])_|_(?![^\W_])|^[-.]|(?<=^\d)[.)]|\s(?=\s)|(?<=:)/", re.ASCII)
_ASCII = re.compile(r"[\x00-\x7f]")


def mermaid(tree: SpawnTree, *, max_edges: int = MAX_EDGES) -> tuple[str, list[str]]:
    """Draws the tree as a ``graph TD``; returns it with notes on the parts that were folded.

    If the whole tree does not fit, siblings with the same queue and status become one counted node. Failed jobs, their
    ancestors and the target keep nodes of their own as long as there is room.

    Args:
        max_edges: most edges that Mermaid draws.
    """
    notes = []
    chart = None
    if _edge_count(tree, max_edges) <= max_edges:
        chart = _Chart(tree, max_edges, fold=False).build()
    if chart is None or not chart.whole:
        chart = _Chart(tree, max_edges, fold=True).build()
        notes += chart.notes()
    return chart.text(), notes


def _edge_count(tree: SpawnTree, enough: int) -> int:
    edges = 0
    for children in tree.children.values():
        edges += len(children)
        if edges > enough:
            break
    return edges


def label(text: str) -> str:
    """Escapes a text of the database for a quoted label, so that Mermaid interprets nothing in it."""
    return _SPECIAL.sub(lambda found: _entity(found[0]), visible(text))


def _entity(character: str) -> str:
    # Mermaid interprets no character outside ASCII: these stay readable.
    return f"#{ord(character)};" if _ASCII.match(character) else character


def utf16_units(text: str) -> int:
    """Length in UTF-16 units, as JavaScript counts it."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def _style(status: str) -> str:
    style = "".join(filter(str.isalpha, status_word(status)))
    return style if style in _STYLES and style != "target" else "other"


def _head(styles: dict[str, str]) -> list[str]:
    return ["graph TD\n", *(f"  classDef {name} {style}\n" for name, style in styles.items())]


@dataclass(slots=True)
class _Unit:
    """A node of the chart: one job, siblings of a kind, a row of only children, or a count of descendants."""

    name: str
    jobs: list[str]  # ids; empty for a node that only counts
    level: int
    extra: Counts = field(default_factory=Counts)  # counts of jobs without a node, such as children that were not read
    below: Counts = field(default_factory=Counts)  # counts of the jobs below those
    in_a_row: bool = False  # whether each of the jobs is the only child of the one before

    @property
    def ends(self) -> list[str]:
        """The jobs whose children are drawn below the node."""
        return self.jobs[-1:] if self.in_a_row else self.jobs


class _Chart:
    """Grows from the roots, the most important parts first, until it reaches a limit."""

    def __init__(self, tree: SpawnTree, max_edges: int, *, fold: bool) -> None:
        self.tree = tree
        self.below = Below(tree)
        self.fold = fold
        self.lines: list[str] = []
        self.edges: list[str] = []
        self.unit_of: dict[str, str] = {}
        self.spine = self._spine()
        self.folded_jobs = 0
        self.summed_jobs = 0
        self.edges_left_out = 0
        self.whole = True
        self.edge_room = max_edges
        self.character_room = MAX_CHARACTERS - sum(map(len, _head(_STYLES)))
        self.heap: list[tuple[int, int, int, _Unit]] = []
        self.made = 0

    def _spine(self) -> set[str]:
        job: str | None = self.tree.target
        spine = set()
        while job is not None:
            spine.add(job)
            job = self.below.parent.get(job)
        return spine

    def build(self) -> "_Chart":
        """Draws as much as there is room for."""
        self._grow(None, list(self.tree.roots), 0)
        while self.heap:
            unit = heappop(self.heap)[3]
            self.edge_room += 1
            self.character_room += _MORE_NODE
            children = [child for job in unit.ends for child in self._own_children(job)]
            if not self._grow(unit, children, unit.level + 1):
                self._sum_up(unit)
        self._cross_edges()
        return self

    def _grow(self, above: _Unit | None, children: list[str], level: int) -> bool:
        """Adds the children of a unit, or the roots; returns ``False`` if there is no room even for folded ones."""
        names = self._room_for_names(children)
        for some, lump in ((names, False), (0, False), (names, True), (0, True)):
            units = self._units_of(children, level, some, lump)
            if above is not None and above.extra.total:
                units.insert(0, _Unit("", [], level, above.extra, above.below))
            further = sum(map(self._has_children, units))
            characters = sum(utf16_units(self._text(unit)) + _EDGE for unit in units) + _MORE_NODE * further
            if len(units) + further <= self.edge_room and characters <= self.character_room:
                for unit in units:
                    self._add(unit, above)
                if lump:
                    self._leave(units[-1].extra.total)
                return True
        return False

    def _room_for_names(self, jobs: list[str]) -> int:
        """Number of jobs that may have a node of their own although they could be folded."""
        share = self.edge_room // 4 if self.heap else self.edge_room - _KINDS
        if any(map(self.tree.child_total, jobs)):
            share //= 2
        return max(min(share, self.character_room // _MORE_NODE), 0)

    def _own_children(self, job: str) -> list[str]:
        return [child for child in self.tree.children.get(job, ()) if self.below.parent.get(child) == job]

    def _leave(self, jobs: int) -> None:
        self.whole = False
        self.summed_jobs += jobs

    def _sum_up(self, unit: _Unit) -> None:
        """Writes one node for all descendants of a unit; the room for it is reserved already."""
        below = Counts()
        for job in unit.ends:
            below.merge(self.below.counted_here(job))
        self._leave(below.total)
        more = _Unit("", [], unit.level + 1, below)
        self._write(more, unit)

    def _has_children(self, unit: _Unit) -> bool:
        return any(unread_children(self.tree, job).total or self._own_children(job) for job in unit.ends)

    def _add(self, unit: _Unit, above: _Unit | None) -> None:
        self._write(unit, above)
        for job in unit.jobs:
            self.unit_of[job] = unit.name
        if len(unit.jobs) > 1:
            self.folded_jobs += len(unit.jobs)
        if self._has_children(unit):
            self.edge_room -= 1
            self.character_room -= _MORE_NODE
            heappush(self.heap, (self._urgency(unit), unit.level, self.made, unit))

    def _write(self, unit: _Unit, above: _Unit | None) -> None:
        self.made += 1
        unit.name = f"n{self.made}"
        line = self._text(unit)
        self.lines.append(line)
        self.character_room -= utf16_units(line) + 1
        if above is not None:
            self._edge(above.name, unit.name, self._spawns(above))

    def _edge(self, start: str, end: str, spawns: bool) -> None:
        edge = f"  {start} {'-->' if spawns else '-.->'} {end}"
        self.edges.append(edge)
        self.edge_room -= 1
        self.character_room -= len(edge) + 1

    def _spawns(self, unit: _Unit) -> bool:
        return any(self.tree.spawns(job) for job in unit.jobs)

    def _urgency(self, unit: _Unit) -> int:
        if any(job in self.spine for job in unit.jobs[:1]):
            return 0
        return 1 if any(self.below.has(job, FAILURES) for job in unit.jobs) else 2

    def _units_of(self, jobs: list[str], level: int, names: int, lump: bool) -> list[_Unit]:
        """Makes units of jobs: single ones, or folded by kind except for jobs that deserve a name.

        At most ``names`` failed jobs get one. ``lump`` puts all jobs without a name, and all of their descendants, into
        one counted unit at the end.
        """
        if not self.fold and not lump:
            return [self._unit([job], level, rows=False) for job in jobs]
        units: list[_Unit] = []
        kinds: dict[object, list[str]] = {}
        for job in jobs:
            if job in self.spine:
                units.append(self._unit([job], level))
            elif self._tells(job) and names > 0:
                names -= 1
                units.append(self._unit([job], level))
            else:
                kinds.setdefault((self._kind(job), self.below.has(job, FAILURES)), []).append(job)
        if lump:
            return [*units, self._lump([job for group in kinds.values() for job in group], level)]
        return units + [self._unit(group, level) for group in kinds.values()]

    def _lump(self, jobs: list[str], level: int) -> _Unit:
        counts = Counts()
        for job in jobs:
            counts.add(self.tree.nodes[job].status)
            counts.merge(self.below.counted_here(job))
        return _Unit("", [], level, counts)

    def _tells(self, job: str) -> bool:
        return self.tree.nodes[job].status in FAILURES or self.below.has(job, FAILURES)

    def _unit(self, jobs: list[str], level: int, *, rows: bool = True) -> _Unit:
        row = self._row(jobs[0]) if rows and len(jobs) == 1 and level else []
        unit = _Unit("", row, level, in_a_row=True) if len(row) >= _ROW else _Unit("", jobs, level)
        for job in unit.ends:
            unit.extra.merge(unread_children(self.tree, job))
            unit.below.merge(self.tree.below_omitted.get(job) or Counts())
        return unit

    def _row(self, job: str) -> list[str]:
        """Returns the row from this job downward in which each job is the only child and of the same kind."""
        kind = self._kind(job)
        row = []
        while self._kind(job) == kind and self.tree.nodes[job].status not in FAILURES and job != self.tree.target:
            row.append(job)
            children = self._own_children(job)
            if len(children) != 1 or self.tree.child_total(job) != 1:
                break
            job = children[0]
        return row

    def _kind(self, job: str) -> tuple[str, str, bool]:
        node = self.tree.nodes[job]
        return node.queue, node.status, node.archived_at is None

    def _text(self, unit: _Unit) -> str:
        if not unit.jobs:
            text = f"{plural(unit.extra.total, 'more job')}: {statuses(unit.extra)}"
            text += f" · below: {statuses(unit.below)}" if unit.below.total else ""
            style = _style(unit.extra.worst or unit.below.worst or "other")
            return f'  {unit.name}["{label(shorten(text, _MORE_CELLS))}"]:::{style}'
        node = self.tree.nodes[unit.jobs[0]]
        queue = label(shorten(visible(node.queue), _NAME_CELLS))
        which = label(short_id(node.id)) if len(unit.jobs) == 1 else f"{TIMES}{count(len(unit.jobs))}"
        which += " in a row" if unit.in_a_row else ""
        status = label(shorten(visible(node.status), _NAME_CELLS))
        if progress := self.tree.progress.get(node.id):
            status += f" {percent(progress.share)}"
        archived = " · archived" if node.archived_at is not None else ""
        return f'  {unit.name}["{queue}<br/>{which}<br/>{status}{archived}"]:::{_style(node.status)}'

    def _cross_edges(self) -> None:
        """Draws edges to jobs that stand below another parent: joins and cycles."""
        drawn = set()
        for job, unit in self.unit_of.items():
            for child in self.tree.children.get(job, ()):
                other = self.unit_of.get(child)
                if self.below.parent.get(child) == job or other is None or (unit, other) in drawn:
                    continue
                drawn.add((unit, other))
                if self.edge_room < 1 or self.character_room < _MORE_NODE:
                    self.edges_left_out += 1
                    self.whole = False
                else:
                    self._edge(unit, other, self.tree.spawns(job))

    def notes(self) -> list[str]:
        """Notes on the parts that the chart does not show."""
        notes = []
        if self.folded_jobs:
            notes.append(f"Mermaid's limits: {plural(self.folded_jobs, 'job')} were folded into counted nodes.")
        if self.summed_jobs:
            notes.append(f"Mermaid's limits: {plural(self.summed_jobs, 'job')} are counted below the last level drawn.")
        if self.edges_left_out:
            notes.append(f"Mermaid's limits: {plural(self.edges_left_out, 'edge')} to joins were left out.")
        return notes

    def text(self) -> str:
        """The diagram with a line end at its end."""
        used = {line.rpartition(":::")[2] for line in self.lines} | {"target"}
        head = _head({name: style for name, style in _STYLES.items() if name in used})
        return "".join(head) + "\n".join([*self.lines, *self.edges, *self._mark()]) + "\n"

    def _mark(self) -> Iterator[str]:
        target = self.unit_of.get(self.tree.target)
        if target:
            yield f"  class {target} target"
