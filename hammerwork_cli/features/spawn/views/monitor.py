"""Draws ``spawn monitor`` as a screen."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from hammerwork_cli.core.values import JobStatus, between, timestamp
from hammerwork_cli.features.queue.model import QueueState
from hammerwork_cli.features.spawn.models.monitor import BusyWorker, MonitorSnapshot, RunningOperation
from hammerwork_cli.features.tree.model import TreeNode
from hammerwork_cli.view.colour import paint, paint_status
from hammerwork_cli.view.live import headline
from hammerwork_cli.view.text import (
    ascii_only,
    cells,
    count,
    cut,
    duration,
    first_line,
    painted_cells,
    percent,
    plural,
    short_id,
    shorten,
)
from hammerwork_cli.view.text import visible as made_visible

LEAST_BAR, MOST_BAR = 8, 30
NAME_CELLS = 24
NARROW = 60
"""Columns below which words are shortened."""
ROOMY = 18
"""Lines below which empty sections are left out."""
WIDE = 110
"""Columns from which on there is room for secondary facts."""
MIGRATE = "Only running children are known: hammerwork migration run adds the indexes that count them all."


class Frame(NamedTuple):
    """The size of the screen, and the notes on it."""

    width: int
    height: int
    colour: bool
    charset: str
    interval: float
    note: str | None = None  # replaces the first line, after a lost connection
    keys: bool = True  # whether the program reads keys
    profile: str | None = None


class _Section(NamedTuple):
    title: str
    lines: Sequence[str]
    empty: str


def picture(snapshot: MonitorSnapshot, frame: Frame) -> list[str]:
    """Draws lines that fit the screen: figures, operations, progress, queues, retrying jobs, failures, workers."""
    draw = _MonitorDrawing(snapshot, frame)
    head = [draw.headline(), *draw.figures()]
    drawn = (
        draw.operations(),
        draw.progress(),
        draw.queues(),
        draw.retries(),
        draw.failures(),
        draw.workers(),
    )
    sections = [section for section in drawn if section]
    if frame.height < ROOMY:
        sections = [section for section in sections if section.lines]
    lines = head + _fitted(sections, frame.height - len(head), draw)
    return [cut(line, frame.width, draw.ellipsis) for line in lines[: frame.height]]


def _fitted(sections: Sequence[_Section], room: int, draw: "_MonitorDrawing") -> list[str]:
    """Stacks the sections under their titles, and shortens them as far as necessary."""
    colour = draw.frame.colour
    spaced = room >= sum(max(len(section.lines), 1) + 2 for section in sections) or draw.frame.height > ROOMY
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
    """Divides lines among sections: a fair share for each, and the lines that others leave."""
    shares = [0] * len(wanted)
    while room > 0:
        hungry = [place for place, most in enumerate(wanted) if shares[place] < most]
        if not hungry:
            break
        for place in hungry[:room]:
            shares[place] += 1
        room -= len(hungry[:room])
    return shares


class _MonitorDrawing:
    """Draws the parts of one screen."""

    def __init__(self, snapshot: MonitorSnapshot, frame: Frame) -> None:
        self.snapshot = snapshot
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
        """The program, the time, and the keys."""
        frame, snapshot = self.frame, self.snapshot
        queue = "all queues" if not snapshot.queues else self._data(", ".join(snapshot.queues), NAME_CELLS)
        clock = f"{snapshot.at:%H:%M:%S} UTC"
        parts = [queue, clock]
        if frame.profile is not None:
            parts.insert(0, self._data(f"@{frame.profile}", NAME_CELLS))
        if not self.narrow:
            parts = ["hammerwork", *parts, f"every {frame.interval:g} s"]
        return headline(
            parts,
            frame.width,
            clock=clock,
            charset=frame.charset,
            colour=frame.colour,
            keys=frame.keys,
            note=frame.note,
        )

    def figures(self) -> list[str]:
        """The rates in the window and the numbers of open jobs."""
        flow, snapshot = self.snapshot.flow, self.snapshot
        pairs = [
            ("enqueued", _rate(flow.rate(flow.enqueued)), None),
            ("started", _rate(flow.rate(flow.started)), None),
            ("completed", _rate(flow.rate(flow.completed)), "green" if flow.completed else None),
            ("failed", _rate(flow.rate(flow.failed)), "red" if flow.failed else None),
            ("pending", f"{count(snapshot.pending)}{'+' * snapshot.more_pending}", None),
            ("retrying", _at_least(snapshot), "yellow" if snapshot.retrying else None),
            (
                "running",
                f"{count(snapshot.running)}{'+' * snapshot.more_running}",
                "cyan" if snapshot.running else None,
            ),
        ]
        widths = [max(len(name), len(value), 9) for name, value, _ in pairs]
        if self.narrow or self.frame.height < 12 or sum(widths) + 2 * len(widths[1:]) > self.frame.width:
            return self._packed(pairs)
        names = "  ".join(name.rjust(width) for (name, _, _), width in zip(pairs, widths, strict=True))
        values = "  ".join(
            self._paint(value.rjust(width), colour) if colour else value.rjust(width)
            for (_, value, colour), width in zip(pairs, widths, strict=True)
        )
        return ["", self._paint(names, "dim"), values]

    def _packed(self, pairs: Sequence[tuple[str, str, str | None]]) -> list[str]:
        """Packs pairs of word and number into as few lines as possible."""
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
        shown = self.snapshot.operations
        names = _aligned([self._name(one.parent.queue, one.parent.id) for one in shown])
        room = self.frame.width - max(map(cells, names), default=0) - len("    ")
        tails = self._tails(room)
        bar = min(room - max(map(painted_cells, tails), default=0) - 1, MOST_BAR)
        lines = [f"  {name}  {self._bar(one, bar)}{tail}" for one, name, tail in zip(shown, names, tails, strict=True)]
        if not all(one.counted for one in shown) and not self.narrow:
            lines.append(self._paint(f"  {MIGRATE}", "dim"))
        return _Section("Running operations", lines, "none")

    def progress(self) -> _Section | None:
        """The running jobs whose handlers report how far they are."""
        shown = self.snapshot.progress
        names = _aligned([self._name(one.queue, one.job) for one in shown])
        lines = [
            f"  {name}  {percent(one.share):>6}  {self._data(first_line(one.text), None)}".rstrip()
            for one, name in zip(shown, names, strict=True)
        ]
        return _Section("Progress", lines, "") if lines else None

    def _name(self, queue: str, job: str) -> str:
        width = 14 if self.narrow else NAME_CELLS if self.frame.width >= WIDE else 18
        return f"{self._data(queue, width)} {self._data(short_id(job), None)}"

    def _tails(self, room: int) -> list[str]:
        """The texts beside the bars, as long as there is room for the bars."""
        parts = [self._progress(one) for one in self.snapshot.operations]
        most = max(map(len, parts), default=0)
        least = MOST_BAR * 2 // 3 if self.frame.width >= WIDE else LEAST_BAR
        for kept in range(most, 0, -1):
            tails = [self.dot.join(part[:kept]) for part in parts]
            if kept == 1 or room - max(map(painted_cells, tails)) > least:
                return tails
        return []

    def _progress(self, one: RunningOperation) -> list[str]:
        """The facts about an operation, the most important first."""
        running = f"{count(one.running)} running"
        if not one.counted:
            return [self._paint(running, "cyan")]
        counts = one.operation.children if one.below is None else one.below
        ended, total = counts.ended, counts.total
        parts, failed = f"{count(ended)}/{count(total)}", ""
        if counts.failed:
            failed = self._paint(f"{count(counts.failed)} failed", "red")
        if one.below is None:
            first = f"{parts} children{self.dot}more below" + (f"{self.dot}{failed}" if failed else "")
            return [f"{parts} children" if self.narrow else first, running, *self._times(one, 0, total)]
        share = f"{ended * 100 // total if total else 0:3d}%"
        if self.narrow:
            return [f"{share}  {failed or parts}"]
        first = f"{share}  {parts}" + (f"{self.dot}{failed}" if failed else "")
        return [first, running, *self._times(one, ended, total)]

    def _times(self, one: RunningOperation, ended: int, total: int) -> list[str]:
        """The time since the start, an estimate of the rest from the present rate, and its name."""
        passed = between(one.operation.spawned_at, self.snapshot.at)
        parts = [] if passed is None else [f"for {duration(passed)}"]
        if one.left is not None and ended < total:
            left = max(round(one.left.total_seconds()), 1)
            parts.append(f"about {f'{left} s' if left < 60 else duration(timedelta(seconds=left))} left")
        name = one.parent.operation_id
        return [*parts, self._data(name, NAME_CELLS)] if name else parts

    def _bar(self, one: RunningOperation, width: int) -> str:
        """The completed and failed jobs, as parts of a bar."""
        if width < LEAST_BAR or one.below is None or not one.below.total:
            return ""
        total, failed = one.below.total, one.below.failed
        full, rest = ("█", "░") if self.frame.charset == "utf8" else ("#", ".")
        bad = min(max(width * failed // total, 1), width) if failed else 0
        # The bar is only full when all jobs have ended.
        most = width - bad - (one.below.open > 0)
        good = max(min(width * one.below.of(JobStatus.COMPLETED) // total, most), 0)
        parts = (self._paint(full * good, "green"), self._paint(full * bad, "red"), rest * (width - good - bad))
        return f"{''.join(parts)} "

    # Queues, failures and workers.

    def queues(self) -> _Section | None:
        """The queues with open jobs, with the rates of `queue stats` and `monitor metrics`, and paused ones."""
        shown = self.snapshot.states
        names = _aligned([self._data(state.name or "", 14 if self.narrow else NAME_CELLS) for state in shown])
        ready = [count(state.ready) for state in shown]
        width = max(map(len, ready), default=0)
        lines = [
            f"  {name}  {jobs.rjust(width)} ready{''.join(self.dot + part for part in self._queue(state))}"
            for state, name, jobs in zip(shown, names, ready, strict=True)
        ]
        return _Section("Queues, with the rates of the last hour", lines, "") if lines else None

    def _queue(self, state: QueueState) -> list[str]:
        """The facts about a queue, the most important first."""
        backlog = state.backlog(self.snapshot.window)
        parts = [
            self._paint("paused", "yellow") if state.pause else "",
            self._paint("no worker registered", "red") if state.is_unserved else "",
            f"{count(state.running)} running" if state.running else "",
            f"{state.per_minute(self.snapshot.window):,.1f} per minute" if state.completed else "",
            f"done in {duration(backlog)}" if backlog is not None else "",
            self._paint(f"{count(state.failed)} failed", "red") if state.failed else "",
            f"{count(state.scheduled)} scheduled" if state.scheduled else "",
            f"{count(state.waiting)} waiting" if state.waiting else "",
        ]
        return [part for part in parts if part]

    def failures(self) -> _Section:
        """The newest failures and their errors."""
        shown = self.snapshot.failures
        names = _aligned([self._name(node.queue, node.id) for node in shown])
        words = _aligned([self._data(node.status, 12) for node in shown])
        clocks = _aligned([_clock(node, self.snapshot.at) for node in shown])
        lines = [self._failure(*parts) for parts in zip(shown, names, words, clocks, strict=True)]
        return _Section("Newest failures", lines, "none in the last day")

    def retries(self) -> _Section | None:
        """The retrying jobs that are due first, with the errors of their last attempts."""
        shown, rate = self.snapshot.retries, self.snapshot.failed_attempts
        if not shown and not rate:
            return None
        names = _aligned([self._name(node.queue, node.id) for node in shown])
        tries = _aligned([f"after {plural(node.attempts, 'attempt')}" for node in shown])
        parts = [f"{_at_least(self.snapshot)} retrying", f"{_rate(rate)} failed attempts" if rate else ""]
        lines = [self._failure(*told) for told in zip(shown, names, tries, [""] * len(shown), strict=True)]
        return _Section(
            f"Failed attempts: {self.dot.join(filter(None, parts))}", lines, "no job waits for another attempt"
        )

    def _failure(self, node: TreeNode, name: str, word: str, clock: str) -> str:
        lead = f"  {clock}  {name}  " if clock else f"  {name}  "
        error = self._data(first_line(node.error or "") or "no error recorded", None)
        room = max(self.frame.width - cells(lead) - cells(word) - 2, 0)
        return f"{lead}{paint_status(node.status, word, self.frame.colour)}  {shorten(error, room, self.ellipsis)}"

    def workers(self) -> _Section:
        shown = self.snapshot.workers or ()
        names = _aligned([self._data(worker.name, 20 if self.narrow else 32) for worker in shown])
        lines = [self._worker(worker, name) for worker, name in zip(shown, names, strict=True)]
        return _Section("Workers", lines, "none registered (Rust workers do not register)")

    def _worker(self, worker: BusyWorker, name: str) -> str:
        parts = [f"{count(worker.running)}/{count(worker.concurrency)} busy", f"{count(worker.completed)} completed"]
        if worker.failed:
            parts.append(self._paint(plural(worker.failed, "failed attempt"), "red"))
        if worker.state == "silent":
            silent = duration(timedelta(seconds=worker.silent_seconds))
            parts = [self._paint(f"silent for {silent}", "red"), *parts]
        elif worker.state != "running":
            parts = [self._paint(worker.state, "yellow"), *parts]
        return f"  {name}  {self.dot.join([*parts, self._data(', '.join(worker.queues), None)])}"


def _aligned(texts: Sequence[str]) -> list[str]:
    """Pads texts to the width of the widest."""
    width = max(map(cells, texts), default=0)
    return [text + " " * (width - cells(text)) for text in texts]


def _rate(rate: float) -> str:
    if rate >= 100:
        return f"{count(round(rate))}/s"
    return f"{rate:.1f}/s" if rate >= 0.05 or not rate else f"{rate:.2f}/s"


def _clock(node: TreeNode, now: datetime) -> str:
    ended = timestamp(node.failed_at)
    if ended is None:
        return "--:--:--"
    return f"{ended:%H:%M:%S}" if ended.date() == now.date() else f"{ended:%d %b %H:%M}"


def _at_least(snapshot: MonitorSnapshot) -> str:
    return f"{count(snapshot.retrying)}{'+' * snapshot.more_retrying}"
