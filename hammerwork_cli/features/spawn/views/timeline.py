"""Where the time of a tree went, as text."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from typing import NamedTuple

from hammerwork_cli.core.values import JobStatus
from hammerwork_cli.features.spawn.models.timeline import PARTS, QueueTimes, SiblingGroup, Timeline, TimelineStep
from hammerwork_cli.view.colour import paint, paint_status
from hammerwork_cli.view.table import Column, table_text
from hammerwork_cli.view.text import (
    TIMES,
    ascii_only,
    cells,
    count,
    duration,
    fitted,
    percent,
    plural,
    short_id,
    shorten,
    visible,
)

WIDTH = 80
"""Columns where the output is not a terminal."""
STEPS = 40
"""Lines of the critical path; the shortest jobs share lines."""
GROUPS = 200
QUEUES = 20
_LEAST_BAR = 10
_MOST_LABEL = 34
_SIGNS = {
    "utf8": {"spawning": "╌", "blocked": "┄", "delayed": "·", "queued": "░", "retrying": "▒", "running": "█"},
    "ascii": {"spawning": "-", "blocked": "_", "delayed": ".", "queued": ":", "retrying": "~", "running": "#"},
}
_UNKNOWN_SIGN = "?"


class TimelineStyle(NamedTuple):
    """How text is drawn."""

    width: int | None = None  # columns
    charset: str = "utf8"  # `utf8` or `ascii`
    colour: bool = False
    least: int | None = None  # microseconds; shorter jobs and groups share a line

    @property
    def columns(self) -> int:
        return self.width or WIDTH

    @property
    def ellipsis(self) -> str:
        return "..." if self.charset == "ascii" else "…"

    def safe(self, text: str) -> str:
        """A text of the database for the terminal, in the characters of the style."""
        return ascii_only(visible(text)) if self.charset == "ascii" else visible(text)


class Line(NamedTuple):
    label: str  # a safe text
    spans: tuple[tuple[str, int, int], ...]  # (part, from, to) in microseconds
    status: str | None = None  # a status to show after the label

    @property
    def running(self) -> int:
        return sum(end - start for part, start, end in self.spans if part == "running")

    @property
    def waiting(self) -> int:
        return sum(end - start for part, start, end in self.spans) - self.running


def length(microseconds: int) -> str:
    """A length for people."""
    return duration(timedelta(microseconds=microseconds))


def timeline_text(found: Timeline, style: TimelineStyle) -> Iterator[str]:
    """Yields the lines of a timeline: the whole, its parts, the critical path, the queues."""
    for line in _head(found, style):
        yield fitted(line, style.columns)
    if found.length:
        yield ""
        yield paint(f"Where {length(found.length)} went", "bold", style.colour)
        yield from _parts(found, style)
        yield fitted(f"With a worker for every job it would have taken {length(found.alone)}.", style.columns)
        yield ""
        yield from _chart("Critical path", folded_steps(found.path, style), found, style)
    if found.siblings:
        yield ""
        yield from _chart("Groups of siblings", group_lines(found.siblings, style), found, style)
    yield ""
    yield _queue_table(found.queues[:QUEUES], style)
    if len(found.queues) > QUEUES:
        yield f"{style.ellipsis} {plural(len(found.queues) - QUEUES, 'more queue')}"
    for remark in _remarks(found):
        yield ""
        yield fitted(remark, style.columns)


def _head(found: Timeline, style: TimelineStyle) -> tuple[str, str]:
    tree = found.tree
    root = tree.nodes[found.root]
    dot = " - " if style.charset == "ascii" else " · "
    until = "until now" if found.open else "to the last end"
    name = shorten(style.safe(root.queue), max(style.columns // 3, _LEAST_BAR), style.ellipsis)
    head = [
        f"{name} {short_id(root.id)}",
        plural(len(tree.nodes), "job"),
        f"{length(found.length)} from creation {until}",
    ]
    ran = found.sums["running"]
    figures = [f"Ran {length(ran)} in all"]
    if found.length:
        figures.append(f"{ran / found.length:.1f} jobs at once on average")
    if found.open:
        figures.append(f"{plural(found.open, 'job')} open")
    return dot.join(head), ", ".join(figures)


def _parts(found: Timeline, style: TimelineStyle) -> Iterator[str]:
    parts = sorted(found.parts.items(), key=lambda part: -part[1])
    signs = _SIGNS[style.charset]
    lengths = [length(one) for _, one in parts]
    names, figures = max(len(name) for name, _ in parts), max(map(len, lengths))
    room = max(min(style.columns - names - figures - 14, 40), 0)
    for (name, micro), shown in zip(parts, lengths, strict=True):
        share = micro / found.length
        bar = signs.get(name, _UNKNOWN_SIGN) * max(round(share * room), 1)
        yield f"  {name:<{names}}  {shown:>{figures}}  {percent(share):>6}  {bar if room else ''}".rstrip()


def folded_steps(path: Sequence[TimelineStep], style: TimelineStyle) -> Iterator[Line]:
    """Yields the lines of the critical path; neighbours that are too short share one.

    Without ``style.least``, the shortest jobs of a path with more than :data:`STEPS` share lines.
    """
    places: Iterable[int] = range(len(path))
    if style.least is not None:
        places = (place for place in places if path[place].length >= style.least)
    elif len(path) > STEPS:
        places = sorted(places, key=lambda place: path[place].length, reverse=True)[: STEPS // 2]
    kept = set(places)
    folded: list[TimelineStep] = []
    for place, step in enumerate(path):
        if place not in kept:
            folded.append(step)
            continue
        yield from _fold(folded, style)
        folded.clear()
        yield _step_line(step, style)
    yield from _fold(folded, style)


def _fold(steps: Sequence[TimelineStep], style: TimelineStyle) -> Iterator[Line]:
    if len(steps) == 1:
        yield _step_line(steps[0], style)
    elif steps:
        spans = tuple(span for step in steps for span in step.spans)
        yield Line(f"{style.ellipsis} {plural(len(steps), 'job')}", spans)


def _step_line(step: TimelineStep, style: TimelineStyle) -> Line:
    if step.node is None:
        return Line("(times unknown)", step.spans)
    status = step.node.status
    label = f"{style.safe(step.node.queue)} {short_id(step.node.id)}".lstrip()
    return Line(label, step.spans, None if status == JobStatus.COMPLETED else status)


def group_lines(groups: Sequence[SiblingGroup], style: TimelineStyle) -> Iterator[Line]:
    """Yields a line for each group of siblings that is long enough, :data:`GROUPS` at most."""
    shown = [group for group in groups if group.times.ended - group.times.ready >= (style.least or 0)]
    if len(shown) > GROUPS:
        least = sorted((group.times.ended - group.times.ready for group in shown), reverse=True)[GROUPS - 1]
        shown = [group for group in shown if group.times.ended - group.times.ready >= least][:GROUPS]
    times = "x" if style.charset == "ascii" else TIMES
    for group in shown:
        number = f" {times}{count(group.jobs)}" if group.jobs > 1 else ""
        indent = "  " * min(group.depth, 4)
        label = f"{indent}{style.safe(group.queue)}{number}"
        _, *spans = group.times.spans
        yield Line(label, tuple(span for span in spans if span[1] < span[2]))
    if len(shown) < len(groups):
        yield Line(f"{style.ellipsis} {plural(len(groups) - len(shown), 'shorter group')}", ())


def _chart(title: str, given: Iterable[Line], found: Timeline, style: TimelineStyle) -> Iterator[str]:
    """Draws lines with their bars, below a scale of the whole time."""
    lines = list(given)
    figures = [(_figure(line.waiting), _figure(line.running)) for line in lines]
    waited = max(len("waited"), *(len(one) for one, _ in figures))
    ran = max(len("ran"), *(len(one) for _, one in figures))
    room = style.columns - waited - ran - 6
    wanted = max(len(title), *(cells(line.label) + _status_cells(line) for line in lines))
    own = min(wanted, max(min(_MOST_LABEL, room // 2), len(title)))
    bar = room - own
    scale = _scale(found.length, bar) if bar >= _LEAST_BAR else ""
    head = f"{paint(title, 'bold', style.colour)}{' ' * (own - len(title))}  {'waited':>{waited}}  {'ran':>{ran}}"
    yield f"{head}  {scale}".rstrip()
    for line, (before, during) in zip(lines, figures, strict=True):
        drawn = _bar(line.spans, found, bar, style) if bar >= _LEAST_BAR else ""
        yield f"{_label(line, own, style)}  {before:>{waited}}  {during:>{ran}}  {drawn}".rstrip()
    signs = _SIGNS[style.charset]
    used = {part for line in lines for part, _, _ in line.spans}
    legend = "  ".join(f"{signs.get(part, _UNKNOWN_SIGN)} {part}" for part in PARTS if part in used)
    if bar >= _LEAST_BAR and used:
        yield f"{' ' * min(own + waited + ran + 6, max(style.columns - cells(legend), 0))}{legend}"


def _figure(microseconds: int) -> str:
    return length(microseconds) if microseconds else "-"


def _status_cells(line: Line) -> int:
    return cells(visible(line.status)) + 1 if line.status else 0


def _label(line: Line, width: int, style: TimelineStyle) -> str:
    """The label and status of a line, in exactly ``width`` columns; of a long name, its id stays."""
    status = style.safe(line.status) if line.status else ""
    room = width - (cells(status) + 1 if status else 0)
    text = line.label
    if cells(text) > room:
        name, _, job = text.rpartition(" ")
        kept = f" {job}" if cells(job) + 4 < room else ""
        text = f"{shorten(name if kept else text, room - cells(kept), style.ellipsis)}{kept}"
    shown = f"{text} {status}" if status else text
    if cells(shown) > width:
        shown = text = shorten(shown, width, style.ellipsis)
        return shown + " " * (width - cells(shown))
    painted = f"{text} {paint_status(line.status or '', status, style.colour)}" if status else text
    return painted + " " * (width - cells(shown))


def _scale(whole: int, width: int) -> str:
    """``0 s     7.1 s     14.2 s``."""
    ends = "0 s", length(whole)
    middle = length(whole // 2)
    if width < len("".join(ends)) + len(middle) + 6:
        return f"{ends[0]}{ends[1]:>{width - len(ends[0])}}"
    left = width // 2 - len(middle) // 2 - len(ends[0])
    text = f"{ends[0]}{' ' * left}{middle}"
    return f"{text}{ends[1]:>{width - len(text)}}"


def _bar(spans: Iterable[tuple[str, int, int]], found: Timeline, width: int, style: TimelineStyle) -> str:
    """Draws spans to scale. Each has a column at least, unless others need it."""
    signs = _SIGNS[style.charset]
    whole = found.length
    columns = [" "] * width
    for part, start, end in spans:
        first = min(max((start - found.begun) * width // whole, 0), width - 1)
        last = min(max(-((found.begun - end) * width // whole), first + 1), width)
        sign = signs.get(part, _UNKNOWN_SIGN)
        columns[first:last] = [sign] * (last - first)
    return "".join(columns)


def _queue_table(queues: Sequence[QueueTimes], style: TimelineStyle) -> str:
    columns: list[Column[QueueTimes]] = [
        Column(
            "queue", lambda one: shorten(style.safe(one.queue), max(style.columns // 3, _LEAST_BAR), style.ellipsis)
        ),
        Column("jobs", lambda one: count(one.jobs), align="right"),
        Column("failed", lambda one: count(one.failed), align="right", is_count=True, optional=True, drop_order=1),
        Column("ran", lambda one: length(one.running), align="right"),
        Column("queued p50", lambda one: one.queued and length(one.queued[0]), align="right"),
        Column("queued p95", lambda one: one.queued and length(one.queued[1]), align="right", drop_order=2),
        Column("ran p50", lambda one: one.ran and length(one.ran[0]), align="right"),
        Column("ran p95", lambda one: one.ran and length(one.ran[1]), align="right", drop_order=3),
    ]
    text = table_text(queues, columns, terminal=style.width is not None, width=style.width, colour=style.colour)
    return text.replace("·", "-") if style.charset == "ascii" else text


def _remarks(found: Timeline) -> Iterator[str]:
    if found.unknown:
        are, its = ("is", "its") if found.unknown == 1 else ("are", "their")
        yield (
            f"{plural(found.unknown, 'job')} {are} left out: {its} times are missing or contradict each other, as those"
            " from clocks of several hosts may."
        )
    if found.parts.get("retrying"):
        yield (
            "retrying: from the first attempt to the last, with pauses; if the first attempt is not recorded, also the "
            "wait before it."
        )
