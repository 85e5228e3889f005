"""Looks at workers while they work: whether one that is well is taken for lost, or late with its heartbeat.

It judges by a monotonic clock of its own, as an observer among the workers has to.
"""

import time
from collections.abc import Callable
from typing import NamedTuple

from chaos import checking
from chaos.plan import AT_ONCE, LIMITED
from hammerwork_cli.database import Database, connect
from hammerwork_cli.errors import ConnectionLostError, RetryableError, UnreachableError

BREAK = 1.0
"""Seconds without a look after which no heartbeat is judged by those before."""


_RUNNING = f"SELECT COUNT(*) FROM hammerwork_jobs WHERE queue_name = '{LIMITED}' AND status = 'Running'"


class _Heard(NamedTuple):
    pid: int
    beats: int
    state: str


class Watch:
    """One connection that looks at everything.

    Args:
        url: the database.
        lease: of the workers, in seconds. Others may take the jobs of one that sends no heartbeat for so long, as on a
            machine that gives it no processor.
        patience: seconds without a heartbeat that are too many; ``None`` where all wait for one lock of a file.
    """

    def __init__(self, url: str, lease: float, patience: float | None) -> None:
        self.url, self.lease, self.patience = url, lease, patience
        self.problems: list[str] = []
        self.slowest = 0.0
        self.late = 0
        """How often others took the jobs of a worker, or it was taken for lost, after such a silence."""
        self.database: Database | None = None
        self.up_since = 0.0
        """When the server last began to answer, as far as the faults tell."""
        self._heard: dict[int, tuple[_Heard, float]] = {}
        self._beats: dict[int, tuple[int, float]] = {}
        """Worker -> its heartbeats, and the look before the last of them, however long ago that was."""
        self._looked = time.monotonic()
        self._losses: dict[str, int] = {}
        self._pids: dict[str, int] = {}

    def look(self, is_well: Callable[[int], bool]) -> int | None:
        """How many jobs are yet to end; nothing when the database does not answer.

        Args:
            is_well: whether the worker with this process id lives and has never stood still.
        """
        try:
            if self.database is None:
                self.database = connect(self.url)
            left = checking.unfinished(self.database)
            workers = self.database.query("SELECT id, pid, beats, state FROM hammerwork_workers")
            running = self.database.query(_RUNNING)[0][0]
            losses = self.database.query("SELECT worker, COUNT(*) FROM chaos_losses GROUP BY worker")
        except (ConnectionLostError, UnreachableError, RetryableError):
            self.close()
            return None
        if running > AT_ONCE:
            self.problems.append(f"{running} jobs of the queue {LIMITED} run at once, and {AT_ONCE} may")
        # Who died while the database was read is dead.
        well = [_Heard(*rest) for _, *rest in workers if is_well(rest[0])]
        now = time.monotonic()
        self._compare(well, now)
        # A server that forgets may forget a worker's registration, and the worker may die before it registers again.
        self._pids |= {str(worker): pid for worker, pid, *_ in workers}
        for worker, number in losses:
            taken, pid = number - self._losses.get(str(worker), 0), self._pids.get(str(worker))
            if taken > 0 and pid is not None and is_well(pid):
                self._judge(pid, f"{taken} jobs were taken from worker {pid}, which was well")
        self._losses = {str(worker): number for worker, number in losses}
        for heard in well:
            beats, _ = self._beats.get(heard.pid, (-1, 0.0))
            if heard.beats != beats:
                self._beats[heard.pid] = heard.beats, self._looked
        self._looked = now
        return left

    def _compare(self, workers: list[_Heard], now: float) -> None:
        if now - self._looked > BREAK:
            self._heard.clear()
        before, self._heard = self._heard, {}
        for heard in workers:
            last, at = before.get(heard.pid, (heard, now))
            silent = now - at
            if last != heard:
                self.slowest, at = max(self.slowest, silent), now
            elif self.patience is not None and silent > self.patience:
                self.problems.append(f"worker {heard.pid} was well, and no heartbeat came for {silent:.1f} s")
                at = now
            # Before its first heartbeat it holds no job, and a busy machine may take its time.
            if heard.state == "lost" and last.state != "lost" and heard.beats:
                self._judge(heard.pid, f"worker {heard.pid} was well, and was taken for lost")
            self._heard[heard.pid] = (heard, at)

    def _judge(self, pid: int, problem: str) -> None:
        """Notes a problem, unless the worker may have been silent for a lease while the server answered."""
        _, after = self._beats.get(pid, (0, 0.0))
        if time.monotonic() - max(after, self.up_since) < self.lease:
            self.problems.append(problem)
        else:
            self.late += 1

    def changes(self) -> int:
        """How many changes of jobs the database remembers."""
        database = connect(self.url)
        ((number,),) = database.query("SELECT COUNT(*) FROM chaos_changes")
        database.close()
        return int(number)

    def close(self) -> None:
        """Until the next look."""
        if self.database is not None:
            self.database.close()
        self.database = None
        self._heard.clear()
