"""One run: workers work and die, servers too, until so many have died and all the work is done."""

import contextlib
import itertools
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from chaos import checking, handlers, plan
from chaos.checking import Findings
from chaos.plan import Planned
from chaos.servers import CRASH, HALT, START, Server
from chaos.worker import ANY_MOMENT, NAMED, OTHERS, UNREACHABLE, Fate, last_words, work
from hammerwork_cli import Queue
from hammerwork_cli.database import Database, connect
from hammerwork_cli.errors import HammerworkError

LEASE = 1.5
"""Seconds."""
FROZEN_SECONDS = 2.5
WORKERS = 3
FEW = 60
"""Unfinished jobs at which more are enqueued as long as there is somebody to kill."""
PATIENCE = 10.0
"""Seconds for a worker to reach its step; then it dies wherever it is."""
QUIET_SECONDS = 60
"""After so long without any change, whatever has not ended is stuck."""
LOOK = 0.05
_OFTEN = {
    "claimed": 20,
    "handler done": 50,
    "claim: before commit": 20,
    "end: before commit": 20,
    "end: after commit": 20,
}
"""Steps that a worker gets to many times a second."""


def fates(number: int, drawn: Random) -> list[Fate]:
    """So many deaths: each named step in turn, the others more rarely, and a third at any moment."""
    deck: list[Fate] = []
    while len(deck) < number:
        steps = [*NAMED, *drawn.sample(OTHERS, 3), *[ANY_MOMENT] * 4]
        if number >= len(steps):
            drawn.shuffle(steps)
        deck += [Fate(step, drawn.randint(1, _OFTEN.get(step, 3))) for step in steps]
    return deck[:number]


@dataclass
class Outcome:
    """What happened in a run.

    Attributes:
        kills: step -> how many workers died there.
        freezes: workers that stood still for longer than their lease and went on.
        restarts: how a server was ended -> how often.
        unanswered: step -> how many connections were lost there.
        findings: what the check found.
        seconds: how long it took.
    """

    kills: Counter[str] = field(default_factory=Counter)
    freezes: int = 0
    restarts: Counter[str] = field(default_factory=Counter)
    unanswered: Counter[str] = field(default_factory=Counter)
    findings: Findings = field(default_factory=Findings)
    seconds: float = 0.0


class _Working:
    """A worker's process and what is to become of it.

    Attributes:
        frozen: whether it has stood still and goes on.
    """

    def __init__(self, process: Any, fate: Fate | None, drawn: Random) -> None:
        self.process, self.fate = process, fate
        began = time.monotonic()
        moment = fate is not None and fate.step == ANY_MOMENT
        self.ends_at = None if fate is None else began + (drawn.uniform(0.3, 3) if moment else PATIENCE)
        self.step = "" if fate is None else fate.step
        self.frozen = False
        if fate is not None and fate.freezes:
            # Where it holds a lock, whoever looks after the workers may wait for it.
            threading.Thread(target=self._thaw, daemon=True).start()

    def die_later(self, dies: bool, drawn: Random) -> None:
        """Once it has stood still, it may be somebody else's turn to be killed at a step, and this one's at any."""
        self.frozen, self.step = False, ANY_MOMENT
        self.fate = Fate(ANY_MOMENT) if dies else None
        self.ends_at = time.monotonic() + drawn.uniform(0.3, 3)

    def look(self) -> None:
        """Kills or freezes it when it is time to."""
        if self.fate is None or self.ends_at is None or self.frozen or time.monotonic() < self.ends_at:
            return
        self.step, self.ends_at = ANY_MOMENT, None
        self._signal(signal.SIGSTOP if self.fate.freezes else signal.SIGKILL)

    def _thaw(self) -> None:
        # Stopped late by whoever looks after it, it may come to its step all the same. Asking the process itself is
        # for one thread alone.
        while (state := _state(self.process.pid)) not in ("", "Z"):
            if state == "T":
                time.sleep(FROZEN_SECONDS)
                self.frozen = True
                self._signal(signal.SIGCONT)
            time.sleep(LOOK)

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.process.pid, number)


def _state(pid: int) -> str:
    """``T`` for a process that stands still; nothing for one that is gone."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2][1:2]
    return ""


class Size(NamedTuple):
    """How much of everything there is in a run.

    Attributes:
        kills: workers that die.
        freezes: workers that stand still for a while.
        restarts: of the server.
        stream: children of a generator.
    """

    kills: int
    freezes: int
    restarts: int
    stream: int


class Run:
    """Workers on one database.

    Args:
        urls: of one migrated database; each worker takes the next.
        server: its server, where it is one that may be ended.
        folder: for the workers' logs and effects.
        size: how much happens.
        seed: the same seed enqueues the same jobs and draws the same fates.
    """

    def __init__(self, urls: Sequence[str], server: Server | None, folder: Path, size: Size, seed: int) -> None:
        self.url, self.server, self.folder, self.size, self.seed = urls[0], server, folder, size, seed
        self._urls = itertools.cycle(urls)
        self.drawn = Random(seed)
        self.outcome = Outcome()
        self.roots: list[Planned] = []
        self.waves = 0
        self.problems: list[str] = []
        self._fates = fates(size.kills, self.drawn)
        frozen = [Fate(step, self.drawn.randint(1, 6), freezes=True) for step in (*NAMED, *OTHERS, ANY_MOMENT)]
        for _ in range(size.freezes):
            self._fates.insert(self.drawn.randint(0, len(self._fates)), self.drawn.choice(frozen))
        self._processes = get_context("forkserver")
        self._processes.set_forkserver_preload(["chaos.worker", "hammerwork_cli.database.postgres"])
        self._workers: list[_Working] = []
        self._watching: Database | None = None
        self._down_until = 0.0

    def go(self) -> Outcome:
        """Runs it to the end and checks what is left."""
        began = time.monotonic()
        self._enqueue()
        try:
            self._workers = [self._start() for _ in range(WORKERS)]
            for left in self._unfinished():
                self._look_after_workers()
                if self._fates and left < FEW:
                    self._enqueue()
                self._restart_server()
            self._end_workers()
        finally:
            for worker in self._workers:
                worker.process.kill()
                worker.process.join()
            if self._watching is not None:
                self._watching.close()
        self.outcome.findings = checking.check(self.url, self.roots, self.folder / "effects")
        self.outcome.findings.wrong += self.problems
        with contextlib.suppress(FileNotFoundError):
            self.outcome.unanswered.update((self.folder / "unanswered").read_text(encoding="ascii").splitlines())
        self.outcome.seconds = time.monotonic() - began
        return self.outcome

    def _enqueue(self) -> None:
        more = plan.wave(self.waves, self.seed, self.size.stream)
        with Queue(self.url) as queue:
            queue.enqueue_many(handlers.roots(more))
        self.roots += more
        self.waves += 1

    def _unfinished(self) -> Iterator[int]:
        """Until all is done: how much is left, looked at now and then."""
        last, changed, looked = -1, time.monotonic(), 0.0
        while True:
            now = time.monotonic()
            if now - looked > 5 * LOOK:
                left, looked = self._ask(), now
                if left is not None and left != last:
                    last, changed = left, now
                if last == 0 and not self._fates and self._none_doomed and self._recurring_ended():
                    return
                if now - changed > QUIET_SECONDS:
                    self.problems.append(f"nothing has changed for {QUIET_SECONDS} s, and {last} jobs have not ended")
                    return
            yield last if last >= 0 else FEW
            time.sleep(LOOK)

    @property
    def _none_doomed(self) -> bool:
        return not any(worker.fate for worker in self._workers)

    def _ask(self) -> int | None:
        try:
            if self._watching is None:
                self._watching = connect(self.url)
            return checking.unfinished(self._watching)
        except HammerworkError:
            self._watching = None
            return None

    def _recurring_ended(self) -> bool:
        # What a last run spawned has to be done too.
        assert self._watching is not None
        with contextlib.suppress(HammerworkError):
            return checking.end_recurring(self._watching) and checking.unfinished(self._watching) == 0
        return False

    # Workers.

    def _start(self) -> _Working:
        fate = self._fates.pop() if self._fates else None
        process = self._processes.Process(target=work, args=(next(self._urls), self.folder, LEASE, fate), daemon=True)
        process.start()
        return _Working(process, fate, self.drawn)

    def _look_after_workers(self) -> None:
        for place, worker in enumerate(self._workers):
            if worker.process.is_alive():
                worker.look()
                if worker.frozen and worker.fate is not None:
                    self.outcome.freezes += 1
                    worker.die_later(bool(self._fates and self._fates.pop()), self.drawn)
                continue
            if worker.process.exitcode == -signal.SIGKILL and worker.fate is not None:
                self.outcome.kills[worker.step] += 1
            elif worker.process.exitcode == UNREACHABLE and time.monotonic() < self._down_until:
                self._fates += [worker.fate] if worker.fate else []
            else:
                words = last_words(self.folder, worker.process.pid)
                self.problems.append(f"worker {worker.process.pid} ended by itself: {worker.process.exitcode}, {words}")
            worker.process.join()
            self._workers[place] = self._start()

    def _end_workers(self) -> None:
        for worker in self._workers:
            worker.process.terminate()
        for worker in self._workers:
            worker.process.join(20)
            # One that has not begun does not listen yet.
            if worker.process.exitcode not in (0, -signal.SIGTERM):
                self.problems.append(f"worker {worker.process.pid} ended with {worker.process.exitcode} when asked to")

    # Servers.

    def _restart_server(self) -> None:
        done, died = self.outcome.restarts.total(), self.outcome.kills.total()
        if (
            self.server is None
            or done >= self.size.restarts
            or died < (done + 0.5) * self.size.kills / self.size.restarts
        ):
            return
        how = (CRASH, HALT)[done % 2]
        self._down_until = float("inf")
        self.server.order(how)
        up = time.monotonic() + self.drawn.uniform(0, 2 * LEASE)
        while time.monotonic() < up:
            self._look_after_workers()
            time.sleep(LOOK)
        self.server.order(START)
        self._down_until = time.monotonic() + 2 * LEASE
        self.outcome.restarts[how] += 1
