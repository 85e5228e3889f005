"""The workers of a run: processes that are killed, or stopped for a while, and replaced."""

import contextlib
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import cycle
from multiprocessing import get_context
from pathlib import Path
from random import Random
from typing import Any

from chaos import rust, rust3
from chaos.clocks import Clock
from chaos.worker import ANY_MOMENT, NAMED, OTHERS, UNREACHABLE, Fate, has_begun, last_words, work
from hammerwork_cli.database import DatabaseUrl

FROZEN_LEASES = 2.5
"""How long a worker stands still."""
WORKERS = 3
PATIENCE = 10.0
"""Seconds for a worker to reach its step; then it dies wherever it is."""
LAST_SECONDS = 20.0
"""For a worker that is told to end, and for what a dead one has started."""
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
        steps = [*NAMED, *drawn.sample(OTHERS, 6), *[ANY_MOMENT] * 4]
        if number >= len(steps):
            drawn.shuffle(steps)
        deck += [Fate(step, drawn.randint(1, _OFTEN.get(step, 3))) for step in steps]
    return deck[:number]


def freezes(number: int, drawn: Random) -> list[Fate]:
    """So many stops, most of them in the middle of a transaction that holds locks."""
    steps = (*NAMED, *OTHERS, ANY_MOMENT)
    return [Fate(drawn.choice(steps), drawn.randint(1, 6), freezes=True) for _ in range(number)]


class _Working:
    """A worker's process and what is to become of it.

    Attributes:
        has_thawed: whether it stood still and goes on again. A thread of its own writes it.
        was_frozen: whether it ever stood still: others may have taken its jobs. That thread writes it too.
    """

    def __init__(self, process: Any, fate: Fate | None, drawn: Random, lease: float, *, isolated: bool) -> None:
        self.process, self.fate, self.lease, self.isolated = process, fate, lease, isolated
        began = time.monotonic()
        timestamp = fate is not None and fate.step == ANY_MOMENT
        self.ends_at = None if fate is None else began + (drawn.uniform(0.3, 3) if timestamp else PATIENCE)
        self.step = "" if fate is None else fate.step
        self.has_thawed = self.was_frozen = False
        if fate is not None and fate.freezes:
            # Where it holds a lock, whoever looks after the workers may wait for it.
            threading.Thread(target=self._thaw, daemon=True).start()

    def die_later(self, dies: bool, drawn: Random) -> None:
        """Once it has stood still, it may be somebody else's turn to be killed at a step, and this one's at any."""
        self.has_thawed, self.step = False, ANY_MOMENT
        self.fate = Fate(ANY_MOMENT) if dies else None
        self.ends_at = time.monotonic() + drawn.uniform(0.3, 3)

    def look(self) -> None:
        """Kills or freezes it when it is time to."""
        if self.fate is None or self.ends_at is None or self.has_thawed or time.monotonic() < self.ends_at:
            return
        self.step, self.ends_at = ANY_MOMENT, None
        self._signal(signal.SIGSTOP if self.fate.freezes else signal.SIGKILL)

    def _thaw(self) -> None:
        # Stopped late by whoever looks after it, it may come to its step all the same. Asking the process itself is
        # for one thread alone.
        while (state := _state(self.process.pid)) not in ("", "Z"):
            if state == "T":
                self.was_frozen = True
                time.sleep(FROZEN_LEASES * self.lease)
                self.has_thawed = True
                self._signal(signal.SIGCONT)
            time.sleep(LOOK)

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.process.pid, number)


def _state(pid: int) -> str:
    """``T`` for a process that stands still; nothing for one that is gone."""
    return _stat(Path(f"/proc/{pid}"))[0]


def _stat(process: Path) -> tuple[str, str]:
    """State and session of a process."""
    with contextlib.suppress(OSError):
        words = (process / "stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
        return words[0], words[3]
    return "", ""


def _started_by(sessions: Collection[int]) -> list[int]:
    """The processes that live in the sessions of some workers."""
    wanted = {str(session) for session in sessions}
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        state, session = _stat(process)
        if session in wanted and state not in ("", "Z"):
            found.append(int(process.name))
    return found


class Crew:
    """Workers, and whoever else works on the database.

    Args:
        url: of the database, for the program that works like Rust's, which would wait for what is swallowed for ever.
        urls: ways to it; each worker takes the next.
        folder: for logs and effects.
        fates: of the workers, in their order from the end.
        drawn: draws the moments.
        lease: of the workers, in seconds.
        extras: some of :data:`chaos.plan.EXTRAS`.
        clock: that of their host, where it may step.
    """

    def __init__(
        self,
        url: str,
        urls: Sequence[str],
        folder: Path,
        fates: list[Fate],
        drawn: Random,
        lease: float,
        extras: Collection[str],
        clock: Clock | None,
    ) -> None:
        self.lease = lease
        self.url, self.folder, self.fates, self.drawn, self.extras = url, folder, fates, drawn, extras
        self.kills: Counter[str] = Counter()
        self.freezes: Counter[str] = Counter()
        self.problems: list[str] = []
        self.down_until = 0.0
        """When the database answers again; a worker that starts earlier may stop."""
        self._is_one_file = DatabaseUrl.parse(self.url).dialect == "sqlite"
        self._urls = cycle(urls)
        self._workers: list[_Working] = []
        self._sessions: list[int] = []
        self._rust: Any = None
        self._processes = get_context("forkserver")
        self._processes.set_forkserver_preload(["chaos.worker", "hammerwork_cli.database.drivers.postgres"])
        with clock.inherited() if clock else contextlib.nullcontext():
            from multiprocessing import forkserver

            # One that an earlier run left has that run's clock. Only Python's own tests have a way to end it.
            forkserver._forkserver._stop()  # type: ignore[attr-defined]
            forkserver.ensure_running()

    def begin(self) -> None:
        """Starts all of them."""
        self._workers = [self._start("processes" in self.extras and place == 0) for place in range(WORKERS)]
        self.begin_rust()

    def begin_rust(self) -> None:
        """Starts the program that works like Rust's: version 3, or the one before it, which does not check its runs."""
        if not {"rust", "rust3"}.isdisjoint(self.extras):
            program = rust3 if "rust3" in self.extras else rust
            self._rust = self._processes.Process(target=program.work, args=(self.url, self.folder, self.lease))
            self._rust.start()

    def end_rust(self) -> None:
        """Lets it end its job."""
        if self._rust is not None:
            self._rust.terminate()
            self._rust.join(LAST_SECONDS)
            if self._rust.exitcode != 0:
                self.problems.append(f"the program that works like Rust's ended with {self._rust.exitcode}")
                self.problems += self._stacks(
                    [self._rust.pid] if self._rust.exitcode is None and self._rust.pid else []
                )

    def _start(self, isolated: bool) -> _Working:
        fate = self.fates.pop() if self.fates else None
        process = self._processes.Process(
            target=work, args=(next(self._urls), self.folder, self.lease, fate), kwargs={"isolated": isolated}
        )
        process.start()
        assert process.pid is not None
        self._sessions.append(process.pid)
        return _Working(process, fate, self.drawn, self.lease, isolated=isolated)

    @property
    def none_doomed(self) -> bool:
        """Whether nobody is to die any more."""
        return not self.fates and not any(worker.fate for worker in self._workers)

    def is_well(self, pid: int) -> bool:
        """Whether that worker lives and has never stood still."""
        return any(
            worker.process.pid == pid and not worker.was_frozen and worker.process.is_alive()
            for worker in self._workers
        )

    def look_after(self) -> None:
        """Lets workers meet their fate, and replaces who has ended."""
        for place, worker in enumerate(self._workers):
            if worker.process.is_alive():
                worker.look()
                if worker.has_thawed and worker.fate is not None:
                    self.freezes[worker.step] += 1
                    worker.die_later(bool(self.fates and self.fates.pop()), self.drawn)
                continue
            if worker.process.exitcode == -signal.SIGKILL and worker.fate is not None:
                self.kills[worker.step] += 1
            elif worker.process.exitcode == UNREACHABLE and self._may_refuse(worker.process.pid):
                self.fates += [worker.fate] if worker.fate else []
            else:
                words = last_words(self.folder, worker.process.pid)
                self.problems.append(f"worker {worker.process.pid} ended by itself: {worker.process.exitcode}, {words}")
            worker.process.join()
            self._workers[place] = self._start(worker.isolated)

    def _may_refuse(self, pid: int) -> bool:
        """Whether a worker that found no database at its start may say so and end.

        Others, and one that stands still, may hold the lock of a file for longer than a new worker waits for it.
        """
        return time.monotonic() < self.down_until or (self._is_one_file and not has_begun(self.folder, pid))

    def end(self) -> None:
        """Tells all to end, and waits for them and for what they have started."""
        for worker in self._workers:
            worker.process.terminate()
        for worker in self._workers:
            worker.process.join(LAST_SECONDS)
            # One that has not begun does not listen yet.
            if worker.process.exitcode not in (0, -signal.SIGTERM):
                self.problems.append(f"worker {worker.process.pid} ended with {worker.process.exitcode} when asked to")
        self.end_rust()
        if left := self._left_behind():
            self.problems += [
                f"a process that worker {_stat(Path(f'/proc/{pid}'))[1]} had started has outlived it" for pid in left
            ]
            self.problems += self._stacks(left)

    def _stacks(self, pids: Iterable[int]) -> Iterator[str]:
        """What the threads of processes do that should not be there."""
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGUSR1)
        time.sleep(1)
        for file in self.folder.glob("*.stacks"):
            if text := file.read_text(encoding="utf-8"):
                yield f"{file.name}: {text}"

    def kill(self) -> None:
        """Kills all at once, and whatever they have started."""
        for worker in self._workers:
            worker.process.kill()
            worker.process.join()
            self.fates += [worker.fate] if worker.fate else []
        if self._rust is not None:
            self._rust.kill()
            self._rust.join()
        for pid in _started_by(self._sessions):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._left_behind()
        self._workers = []

    def _left_behind(self) -> list[int]:
        until = time.monotonic() + LAST_SECONDS
        while (left := _started_by(self._sessions)) and time.monotonic() < until:
            time.sleep(LOOK)
        return left
