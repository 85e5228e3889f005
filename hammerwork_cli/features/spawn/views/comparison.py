"""Two trees side by side, as text and as JSON."""

from collections.abc import Callable, Iterator, Mapping
from itertools import groupby
from typing import NamedTuple

from hammerwork_cli.features.spawn.models.comparison import Comparison, QueueChange, path_of
from hammerwork_cli.features.spawn.models.timeline import PARTS, QueueTimes, Timeline
from hammerwork_cli.features.spawn.views.timeline import length
from hammerwork_cli.features.spawn.views.timeline_records import QUEUE_TIMES, TIMELINE, moment, part_of, parts
from hammerwork_cli.features.spawn.views.timeline_records import length as duration_of
from hammerwork_cli.view import key
from hammerwork_cli.view.colour import paint
from hammerwork_cli.view.shape import Shape
from hammerwork_cli.view.table import Column, table_text
from hammerwork_cli.view.text import (
    NOTHING,
    TIMES,
    ascii_only,
    count,
    fitted,
    plural,
    short_id,
    shorten,
    statuses,
    visible,
)

_NAME_CELLS = 24
_PATH = 12
"""Queues of a critical path that text shows."""
_QUEUES = 30


class JudgedComparison(NamedTuple):
    """A comparison, and how much longer B may take."""

    found: Comparison
    most: float | None


_COMPARED = Shape[Timeline](
    {
        "root": TIMELINE.parts["root"],
        "job": TIMELINE.parts["job"],
        "jobs": TIMELINE.parts["jobs"],
        "counts": key.counts("Jobs by status", in_order=True).of("tree.counts"),
        "failed": key.count().of("tree.counts.failed"),
        "open": key.count("Jobs that have not ended"),
        "unknown": key.count("Jobs that are left out"),
        "started_at": key.null_or(moment()).of(TIMELINE.reader("started_at")),
        "ended_at": key.null_or(moment()).of(TIMELINE.reader("ended_at")),
        "seconds": duration_of().of("length"),
        "without_queueing_seconds": duration_of().of("alone"),
        "parts": parts("Seconds of the critical path"),
        "job_seconds": parts("Seconds of all jobs together").of("sums"),
        "path": key.list_of(
            key.null_or(key.text()), "Queues along the critical path; null for time that is unknown"
        ).of(path_of),
    }
)
_DIFFERENCE = Shape[Mapping[str, int]]({part: key.number().of(part_of(part)) for part in PARTS})
_QUEUE_CHANGE = Shape[QueueChange](
    {
        "queue": key.text(),
        "state": key.text("new in B, gone from it, or in both", "both", "new", "gone"),
        "a": key.null_or(QUEUE_TIMES),
        "b": key.null_or(QUEUE_TIMES),
    }
)
COMPARISON = Shape[JudgedComparison](
    {
        "a": _COMPARED.key().of("found.a"),
        "b": _COMPARED.key().of("found.b"),
        "change": key.null_or(key.number("How much longer B took: 0.2 for 20%; null if A took no time", digits=6)).of(
            "found.change"
        ),
        "fail_above": key.null_or(key.number("As given")).of("most"),
        "exceeded": key.flag("Whether B took longer than A by more than that").of(
            lambda one: one.most is not None and one.found.exceeds(one.most)
        ),
        "difference_seconds": _DIFFERENCE.key("What B's critical path has more").of(
            lambda one: {part: b - a for part, a, b in one.found.parts}
        ),
        "by_queue": key.list_of(_QUEUE_CHANGE, "The largest difference of run times first").of("found.queues"),
    }
)


class _ComparedRow(NamedTuple):
    name: str
    a: int
    b: int
    shown: Callable[[int], str]


def comparison_text(
    found: Comparison, *, charset: str = "utf8", width: int | None = None, colour: bool = False
) -> Iterator[str]:
    """Yields both trees, their lengths and parts, their critical paths where they differ, and their queues."""
    text = "\n".join(_lines(found, width, colour))
    if charset == "ascii":
        text = ascii_only(text.replace("→", ">").replace("·", "-").replace("…", "~").replace(TIMES, "x"))
    yield from text.split("\n")


def _lines(found: Comparison, width: int | None, colour: bool) -> Iterator[str]:
    for name, tree in (("A", found.a), ("B", found.b)):
        yield fitted(f"{name}  {_head(tree)}", width)
    yield paint(verdict(found), "red" if found.exceeds(0) else "green", colour)
    yield ""
    yield _figures(found, width, colour)
    if path_of(found.a) != path_of(found.b):
        yield ""
        yield fitted(f"Critical path of A: {_path(found.a)}", width)
        yield fitted(f"Critical path of B: {_path(found.b)}", width)
    yield ""
    queues = found.queues
    yield _queue_table(queues[:_QUEUES], width, colour)
    if len(queues) > _QUEUES:
        yield f"… {plural(len(queues) - _QUEUES, 'more queue')}"
    for name, tree in (("A", found.a), ("B", found.b)):
        if tree.open:
            yield fitted(f"{name} has {plural(tree.open, 'open job')}: its time runs until now.", width)
        if tree.unknown:
            yield fitted(f"{name} leaves out {plural(tree.unknown, 'job')} whose times contradict each other.", width)


def _head(found: Timeline) -> str:
    tree = found.tree
    root = tree.nodes[found.root]
    counts = f"{plural(len(tree.nodes), 'job')}: {statuses(tree.counts)}"
    return f"{shorten(visible(root.queue), _NAME_CELLS)} {short_id(root.id)} · {counts} · {length(found.length)}"


def verdict(found: Comparison) -> str:
    """A sentence that says which tree took longer."""
    change = found.change
    if found.b.length == found.a.length:
        return "Both took the same time."
    if change is None:
        return f"B took {length(found.b.length)}, and A no time at all."
    return f"B took {abs(change) * 100:.1f}% {'more' if change > 0 else 'less'} time than A."


def _figures(found: Comparison, width: int | None, colour: bool) -> str:
    a, b = found.a, found.b
    rows = [
        _ComparedRow("time", a.length, b.length, length),
        *(_ComparedRow(f"· {part}", before, after, length) for part, before, after in found.parts),
        _ComparedRow("without queueing", a.alone, b.alone, length),
        _ComparedRow("ran in all", a.sums["running"], b.sums["running"], length),
        _ComparedRow("jobs", len(a.tree.nodes), len(b.tree.nodes), count),
        _ComparedRow("failed", a.tree.counts.failed, b.tree.counts.failed, count),
    ]
    columns: list[Column[_ComparedRow]] = [
        Column("", lambda row: row.name),
        Column("A", lambda row: row.shown(row.a), align="right"),
        Column("B", lambda row: row.shown(row.b), align="right"),
        Column("difference", _difference, align="right"),
        Column("%", lambda row: _signed_percent(row.a, row.b), align="right", drop_order=1),
    ]
    return table_text(rows, columns, terminal=width is not None, width=width, colour=colour)


def _difference(row: _ComparedRow) -> str:
    if row.a == row.b:
        return NOTHING
    return f"{'+' if row.b > row.a else '-'}{row.shown(abs(row.b - row.a))}"


def _signed_percent(a: int, b: int) -> str:
    return NOTHING if not a or a == b else f"{(b - a) / a * 100:+.1f}%"


def _path(found: Timeline) -> str:
    """The queues along a critical path; neighbours of the same queue are counted."""
    names = []
    for queue, same in groupby(path_of(found)):
        number = len(list(same))
        name = "?" if queue is None else shorten(visible(queue), _NAME_CELLS)
        names.append(f"{name} {TIMES}{count(number)}" if number > 1 else name)
    shown = names if len(names) <= _PATH else [*names[: _PATH // 2], "…", *names[-_PATH // 2 :]]
    return " → ".join(shown) or NOTHING


def _state(change: QueueChange) -> str:
    return "in both" if change.state == "both" else change.state


def _queue_table(queues: tuple[QueueChange, ...], width: int | None, colour: bool) -> str:
    def both(value: Callable[[QueueTimes], str | None]) -> Callable[[QueueChange], str]:
        def shown(change: QueueChange) -> str:
            a = (value(change.a) if change.a else None) or NOTHING
            b = (value(change.b) if change.b else None) or NOTHING
            return a if a == b else f"{a} → {b}"

        return shown

    columns: list[Column[QueueChange]] = [
        Column("queue", lambda change: shorten(visible(change.queue), _NAME_CELLS)),
        *([Column("state", _state)] if any(change.state != "both" for change in queues) else []),
        Column("jobs", both(lambda one: count(one.jobs)), align="right"),
        Column(
            "failed", both(lambda one: count(one.failed)), align="right", is_count=True, optional=True, drop_order=1
        ),
        Column("ran p50", both(lambda one: one.ran and length(one.ran[0])), align="right"),
        Column("ran p95", both(lambda one: one.ran and length(one.ran[1])), align="right", drop_order=2),
        Column("queued p95", both(lambda one: one.queued and length(one.queued[1])), align="right", drop_order=3),
    ]
    return table_text(queues, columns, terminal=width is not None, width=width, colour=colour)
