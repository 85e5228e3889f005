"""What ``spawn monitor`` shows: a picture that fits a screen, plain lines, or records."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from hammerwork_cli.models import FINISHED, WAITING, JobStatus, TreeNode, moment, rfc3339
from hammerwork_cli.models.activity import Activity, BusyWorker, RunningOperation
from hammerwork_cli.render.colour import paint, paint_status
from hammerwork_cli.render.text import ascii_only, cells, count, cut, duration, first_line, plural, short_id, shorten
from hammerwork_cli.render.text import visible as made_visible

Record = dict[str, Any]

LEAST_BAR, MOST_BAR = 8, 30
NAME_CELLS = 24
NARROW = 60
"""Columns below which words are shortened."""
ROOMY = 18
"""Lines below which nothing is said of what there is not."""
MIGRATE = "Only running children are known: hammerwork migration run adds the indexes that count them all."


@dataclass(frozen=True, slots=True)
class Frame:
    """What a picture must fit, and what is said beside it.

    Attributes:
        note: instead of the usual first line: that the server is gone.
        keys: whether keys are listened to.
    """

    width: int
    height: int
    colour: bool
    charset: str
    interval: float
    note: str | None = None
    keys: bool = True


@dataclass(frozen=True, slots=True)
class _Section:
    title: str
    lines: Sequence[str]
    empty: str


def picture(activity: Activity, frame: Frame) -> list[str]:
    """Lines, no more than fit and none wider: figures, running operations, newest failures, workers."""
    draw = _Drawing(activity, frame)
    head = [draw.headline(), *draw.figures()]
    sections = [section for section in (draw.operations(), draw.failures(), draw.workers()) if section]
    if frame.height < ROOMY:
        sections = [section for section in sections if section.lines]
    lines = head + _fitted(sections, frame.height - len(head), draw)
    return [cut(line, frame.width, draw.ellipsis) for line in lines[: frame.height]]


def _fitted(sections: Sequence[_Section], room: int, draw: "_Drawing") -> list[str]:
    """Sections under their titles, each shortened as far as it must be."""
    colour = draw.frame.colour
    spaced = room >= 4 * len(sections)
    shares = _shares([max(len(section.lines), 1) for section in sections], room - (1 + spaced) * len(sections))
    lines: list[str] = []
    for section, share in zip(sections, shares, strict=True):
        if share < 1:
            continue
        lines += [""] * spaced + [paint(section.title, "bold", colour)]
        hidden = len(section.lines) - share
        if not section.lines:
            lines.append(paint(f"  {section.empty}", "dim", colour))
        elif hidden > 0:
            more = paint(f"  {draw.ellipsis} {count(hidden + 1)} more", "dim", colour)
            lines += [*section.lines[: share - 1], more] if share > 1 else section.lines[:1]
        else:
            lines += section.lines
    return lines


def _shares(wanted: Sequence[int], room: int) -> list[int]:
    """Lines for each: a fair share, and what others leave."""
    shares = [0] * len(wanted)
    while room > 0:
        hungry = [place for place, most in enumerate(wanted) if shares[place] < most]
        if not hungry:
            break
        for place in hungry[:room]:
            shares[place] += 1
        room -= len(hungry[:room])
    return shares


class _Drawing:
    """Makes the parts of one picture."""

    def __init__(self, activity: Activity, frame: Frame) -> None:
        self.activity = activity
        self.frame = frame
        self.narrow = frame.width < NARROW
        self.dot = " · " if frame.charset == "utf8" else " - "
        self.ellipsis = "…" if frame.charset == "utf8" else "..."

    def _paint(self, text: str, colour: str) -> str:
        return paint(text, colour, self.frame.colour)

    def _data(self, text: str, width: int | None) -> str:
        safe = made_visible(text)
        return shorten(safe if self.frame.charset == "utf8" else ascii_only(safe), width, self.ellipsis)

    def headline(self) -> str:
        """What this is, when it was, and how to end it."""
        frame, activity = self.frame, self.activity
        clock = f"{activity.at:%H:%M:%S} UTC"
        if frame.note:
            return f"{clock}{self.dot}{self._paint(made_visible(frame.note), 'yellow')}"
        queue = "all queues" if activity.queue is None else self._data(activity.queue, NAME_CELLS)
        parts = [queue, clock]
        if not self.narrow:
            parts = ["hammerwork", *parts, f"every {frame.interval:g} s"]
        left = self.dot.join(parts)
        keys = "q quits" if frame.keys else ""
        gap = frame.width - cells(left) - len(keys)
        return f"{self._paint(left, 'bold')}{' ' * gap}{keys}" if keys and gap > 1 else self._paint(left, "bold")

    def figures(self) -> list[str]:
        """Rates of the window and what is open."""
        flow, activity = self.activity.flow, self.activity
        pairs = [
            ("enqueued", _rate(flow.rate(flow.enqueued)), None),
            ("started", _rate(flow.rate(flow.started)), None),
            ("completed", _rate(flow.rate(flow.completed)), "green" if flow.completed else None),
            ("failed", _rate(flow.rate(flow.failed)), "red" if flow.failed else None),
            ("pending", f"{count(activity.pending)}{'+' * activity.more_pending}", None),
            (
                "running",
                f"{count(activity.running)}{'+' * activity.more_running}",
                "cyan" if activity.running else None,
            ),
        ]
        if self.narrow or self.frame.height < 12:
            return self._packed(pairs)
        widths = [max(len(name), len(value), 9) for name, value, _ in pairs]
        names = "  ".join(name.rjust(width) for (name, _, _), width in zip(pairs, widths, strict=True))
        values = "  ".join(
            self._paint(value.rjust(width), colour) if colour else value.rjust(width)
            for (_, value, colour), width in zip(pairs, widths, strict=True)
        )
        return ["", self._paint(names, "dim"), values]

    def _packed(self, pairs: Sequence[tuple[str, str, str | None]]) -> list[str]:
        """As many words and numbers a line as there is room for."""
        lines: list[str] = []
        left = 0
        for name, value, colour in pairs:
            text = f"{self._paint(value, colour) if colour else value} {name}"
            taken = len(value) + len(name) + 1 + len(self.dot)
            if taken <= left:
                lines[-1] += self.dot + text
                left -= taken
            else:
                lines.append(text)
                left = self.frame.width - taken + len(self.dot)
        return lines

    # Operations.

    def operations(self) -> _Section:
        """Running operations with their progress."""
        shown = self.activity.operations
        names = _aligned([self._name(one.parent) for one in shown])
        lines = [self._operation(one, name) for one, name in zip(shown, names, strict=True)]
        if not all(one.counted for one in shown) and not self.narrow:
            lines.append(self._paint(f"  {MIGRATE}", "dim"))
        return _Section("Running operations", lines, "none")

    def _name(self, node: TreeNode) -> str:
        queue = self._data(node.queue, 14 if self.narrow else NAME_CELLS)
        return f"{queue} {self._data(short_id(node.id), None)}"

    def _operation(self, one: RunningOperation, name: str) -> str:
        children = one.operation.children
        running = children.of(JobStatus.RUNNING)
        lead = f"  {name}  "
        if not one.counted:
            return f"{lead}{self._paint(f'{count(running)} running', 'cyan')}"
        ended, total = children.of(*FINISHED), children.total
        bar = self._bar(children.of(JobStatus.COMPLETED), children.failed, total, cells(lead))
        parts = [f"{ended * 100 // total if total else 0:3d}%  {count(ended)}/{count(total)}"]
        if children.failed:
            parts.append(self._paint(f"{count(children.failed)} failed", "red"))
        if running and not self.narrow:
            parts.append(f"{count(running)} running")
        if (since := moment(one.operation.spawned_at)) and not self.narrow:
            parts.append(duration(max(self.activity.at - since, timedelta())))
        return f"{lead}{bar}{self.dot.join(parts)}"

    def _bar(self, completed: int, failed: int, total: int, used: int) -> str:
        """What has completed and what has failed, as parts of a bar."""
        width = min(self.frame.width - used - 44, MOST_BAR) if not self.narrow else self.frame.width - used - 24
        if width < LEAST_BAR:
            return ""
        full, rest = ("█", "░") if self.frame.charset == "utf8" else ("#", ".")
        bad = min(max(width * failed // total, 1), width) if failed else 0
        good = min(width * completed // total, width - bad) if total else 0
        return (
            f"{self._paint(full * good, 'green')}{self._paint(full * bad if bad else '', 'red')}"
            f"{rest * (width - good - bad)} "
        )

    # Failures and workers.

    def failures(self) -> _Section:
        """The newest failures and their errors."""
        shown = self.activity.failures
        names = _aligned([self._name(node) for node in shown])
        words = _aligned([self._data(node.status, 12) for node in shown])
        lines = [self._failure(*parts) for parts in zip(shown, names, words, strict=True)]
        return _Section("Newest failures", lines, "none in the last day")

    def _failure(self, node: TreeNode, name: str, word: str) -> str:
        lead = f"  {_clock(node, self.activity.at)}  {name}  "
        error = self._data(first_line(node.error or "") or "no error recorded", None)
        room = max(self.frame.width - cells(lead) - cells(word) - 2, 0)
        return f"{lead}{paint_status(node.status, word, self.frame.colour)}  {shorten(error, room, self.ellipsis)}"

    def workers(self) -> _Section | None:
        """Who works."""
        shown = self.activity.workers
        if shown is None:
            return None
        names = _aligned([self._data(worker.name, 20 if self.narrow else 32) for worker in shown])
        lines = [self._worker(worker, name) for worker, name in zip(shown, names, strict=True)]
        return _Section("Workers", lines, "none of hammerwork's own")

    def _worker(self, worker: BusyWorker, name: str) -> str:
        parts = [f"{count(worker.running)}/{count(worker.concurrency)} busy", f"{count(worker.completed)} completed"]
        if worker.failed:
            parts.append(self._paint(f"{count(worker.failed)} failed", "red"))
        if worker.state == "lost":
            silent = duration(timedelta(seconds=worker.silent_seconds))
            parts = [self._paint(f"lost, silent for {silent}", "red"), *parts]
        elif worker.state != "running":
            parts = [self._paint(worker.state, "yellow"), *parts]
        return f"  {name}  {self.dot.join([*parts, self._data(', '.join(worker.queues), None)])}"


def _aligned(texts: Sequence[str]) -> list[str]:
    """The texts, all as wide as the widest."""
    width = max(map(cells, texts), default=0)
    return [text + " " * (width - cells(text)) for text in texts]


def _rate(rate: float) -> str:
    if rate >= 100:
        return f"{count(round(rate))}/s"
    return f"{rate:.1f}/s" if rate >= 0.05 or not rate else f"{rate:.2f}/s"


def _clock(node: TreeNode, now: datetime) -> str:
    ended = moment(node.failed_at)
    if ended is None:
        return "--:--:--"
    return f"{ended:%H:%M:%S}" if abs(now - ended) < timedelta(hours=20) else f"{ended:%d %b  }"


# Programs, and terminals that cannot be drawn over.


def activity_record(activity: Activity, failures: Sequence[TreeNode]) -> Record:
    """One look.

    Keys: ``at``, ``queue``, ``seconds`` (the window of the figures), ``enqueued``, ``started``, ``completed``,
    ``failed`` (jobs in the window), ``pending``, ``running``, ``more_pending``, ``more_running`` (whether there are
    more than were counted), ``operations`` (running ones, and those that ended since the last look), ``failures``
    (those that were not told before), ``workers`` (null where there is no table of them).
    """
    flow = activity.flow
    return {
        "at": rfc3339(activity.at),
        "queue": activity.queue,
        "seconds": round(flow.seconds, 3),
        "enqueued": flow.enqueued,
        "started": flow.started,
        "completed": flow.completed,
        "failed": flow.failed,
        "pending": activity.pending,
        "running": activity.running,
        "more_pending": activity.more_pending,
        "more_running": activity.more_running,
        "operations": [_operation_record(one) for one in activity.operations],
        "failures": [
            {
                "id": node.id,
                "queue": node.queue,
                "status": node.status,
                "error": node.error,
                "failed_at": rfc3339(node.failed_at),
            }
            for node in failures
        ],
        "workers": None if activity.workers is None else [_worker_record(worker) for worker in activity.workers],
    }


def _operation_record(one: RunningOperation) -> Record:
    children, parent = one.operation.children, one.parent
    known: Callable[[int], int | None] = lambda number: number if one.counted else None  # noqa: E731
    return {
        "parent_id": parent.id,
        "queue": parent.queue,
        "status": parent.status,
        "operation_id": parent.operation_id,
        "spawned_at": rfc3339(one.operation.spawned_at),
        "children": {
            "total": known(children.total),
            "completed": known(children.of(JobStatus.COMPLETED)),
            "failed": known(children.failed),
            "running": children.of(JobStatus.RUNNING),
            "pending": known(children.of(*WAITING)),
        },
    }


def _worker_record(worker: BusyWorker) -> Record:
    return {
        "name": worker.name,
        "queues": list(worker.queues),
        "state": worker.state,
        "running": worker.running,
        "concurrency": worker.concurrency,
        "completed": worker.completed,
        "failed": worker.failed,
    }


class Changes:
    """Looks of which only what has changed is told.

    Args:
        tell: (activity, failures not told before) -> lines.
    """

    def __init__(self, tell: Callable[[Activity, Sequence[TreeNode]], Iterator[str]]) -> None:
        self._tell = tell
        self._last: object = None
        self._told: frozenset[tuple[str, str | None]] = frozenset()

    def lines(self, activity: Activity) -> Iterator[str]:
        """What there is to say; nothing when nothing has changed."""
        told = frozenset((node.id, rfc3339(node.failed_at)) for node in activity.failures)
        fresh = [node for node in activity.failures if (node.id, rfc3339(node.failed_at)) not in self._told]
        state = _state(activity)
        flow = activity.flow
        if self._last == state and not (fresh or flow.enqueued or flow.started or flow.completed or flow.failed):
            return
        self._last, self._told = state, told
        yield from self._tell(activity, fresh)


def _state(activity: Activity) -> object:
    record = activity_record(activity, ())
    return {key: record[key] for key in ("pending", "running", "operations", "workers")}


def record_lines(activity: Activity, failures: Sequence[TreeNode]) -> Iterator[str]:
    """One JSON object."""
    from hammerwork_cli.render.json import document

    yield document(activity_record(activity, failures))


def plain_lines(activity: Activity, failures: Sequence[TreeNode]) -> Iterator[str]:
    """Sentences: for a log, and for a terminal that only prints."""
    flow = activity.flow
    parts = [
        f"{count(number)} {word}"
        for number, word in (
            (flow.enqueued, "enqueued"),
            (flow.started, "started"),
            (flow.completed, "completed"),
            (flow.failed, "failed"),
        )
        if number
    ]
    parts.append(f"{count(activity.pending)}{'+' * activity.more_pending} pending")
    parts.append(f"{count(activity.running)}{'+' * activity.more_running} running")
    if activity.operations:
        parts.append(f"{plural(len(activity.operations), 'operation')} running")
    yield f"{activity.at:%Y-%m-%d %H:%M:%S} {', '.join(parts)}"
    for node in reversed(failures):
        error = first_line(node.error or "") or "no error recorded"
        yield f"  failed: {made_visible(node.queue)} {node.id} {made_visible(node.status)}: {error}"
