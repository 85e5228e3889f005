"""Waiting until a whole tree has finished."""

import random
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol

from hammerwork_cli.database import Database
from hammerwork_cli.database.batches import chunks
from hammerwork_cli.errors import ConnectionLostError, HammerworkError, NotFoundError, RetryableError, UnreachableError
from hammerwork_cli.models import FAILURES, FINISHED, Counts, Timestamp, TreeNode, status_of, timestamp
from hammerwork_cli.models.wait import WaitOutcome, WaitResult
from hammerwork_cli.models.why import Blocker
from hammerwork_cli.queries.graph import tree
from hammerwork_cli.queries.graph.blockers import blockers_of
from hammerwork_cli.queries.graph.relatives import Relatives

LOOK = 200
"""Jobs a look: while one of them is unfinished, so is the tree."""
SETTLING = timedelta(seconds=10)
"""How long after a parent's end the original may still be inserting its children, one by one."""
OUTAGE = 60.0
"""Seconds without a server before waiting is given up."""
NAP = 0.5
SHOWN_FAILURES = 10
OUTAGES = (ConnectionLostError, UnreachableError, RetryableError)


class State(NamedTuple):
    """What a job is in: the columns of ``waiting.state``."""

    id: str
    stored_status: str
    dependency_status: str | None
    ended_at: Timestamp

    @property
    def status(self) -> str:
        """The status, mended."""
        return status_of(self.stored_status)

    @property
    def has_finished(self) -> bool:
        """Whether it has come to its end."""
        return self.status in FINISHED

    @property
    def waits(self) -> bool:
        """Whether it waits for other jobs."""
        return self.dependency_status == "waiting" and not self.has_finished


class Listener(Protocol):
    """Who is told what happens while waiting."""

    def reading(self, counts: Counts) -> None:
        """The tree was read, and is not finished."""

    def stuck(self, held: list[Blocker]) -> None:
        """These jobs can never run."""

    def lost(self, error: HammerworkError) -> None:
        """The server is gone; it is being tried again."""

    def back(self) -> None:
        """The database answers again."""


class TreeWatch:
    """A tree that is looked at until it has finished.

    It is read once, lean. Then a look asks for at most :data:`LOOK` unfinished jobs, since one that goes on is
    enough to know. When all known jobs have finished, the children of those that ran are looked up, and at last the
    whole tree is read again: a job may have got children in the moment in which it ended.
    """

    def __init__(self, database: Database, roots: Iterable[str], now: datetime) -> None:
        self.roots = tuple(roots)
        self.connected(database)
        self._since = now - SETTLING
        self.states: dict[str, State] = {}
        self._running: dict[str, None] = {}
        self._held: dict[str, None] = {}
        self._ended: list[str] = []
        self._recent: dict[str, None] = {}
        self._is_fresh = False
        self._confirmed: int | None = None
        self.stuck: dict[str, Blocker] = {}

    def connected(self, database: Database) -> None:
        """Goes on with another connection."""
        self.relatives = Relatives(database)

    @property
    def counts(self) -> Counts:
        """All known jobs by status, as last seen."""
        counts = Counts()
        for state in self.states.values():
            counts.add(state.status)
        return counts

    def read(self) -> None:
        """Reads the whole tree, a level at a time.

        Raises:
            NotFoundError: nothing of it is left.
        """
        self.connected(self.relatives.database)  # what it knows of archived jobs and joins may be old
        with self.relatives.database.snapshot():
            found = self._read()
        self.states = {}
        self._running.clear()
        self._held.clear()
        self._ended.clear()
        for state in found.values():
            self._take(state)
        self._is_fresh = True

    def _read(self) -> dict[str, State]:
        found = {row[0]: State._make(row) for row in self.relatives.states(self.roots)}
        if not found:
            raise NotFoundError("The job is not there any more.", hint="Was it deleted meanwhile?")
        frontier = list(found)
        while frontier:
            fresh: list[str] = []
            for row in self.relatives.child_states(frontier):
                if row[0] not in found:
                    found[row[0]] = State._make(row)
                    fresh.append(row[0])
            frontier = fresh
        return found

    def _take(self, state: State) -> None:
        """Files a job under what it is in."""
        job = state.id
        before = self.states.get(job)
        self.states[job] = state
        self._running.pop(job, None)
        self._held.pop(job, None)
        if not state.has_finished:
            (self._held if state.waits else self._running)[job] = None
        elif before is None or not before.has_finished:
            ended = timestamp(state.ended_at)
            if before is not None or ended is None or ended >= self._since:
                self._recent[job] = None
            if before is not None:
                self._ended.append(job)

    def _refresh(self, jobs: list[str]) -> bool:
        """Looks at some jobs again; whether one of them has not finished."""
        found = {row[0]: State._make(row) for row in self.relatives.states(jobs)}
        for job in jobs:
            if job in found:
                self._take(found[job])
            else:
                for known in (self.states, self._running, self._held):
                    known.pop(job, None)
        self._is_fresh = False
        return any(not state.has_finished for state in found.values())

    def look(self) -> bool:
        """One look, as cheap as it can be.

        Returns:
            Whether nothing goes on any more: all jobs have finished, or those left are ``stuck``.
        """
        while self._running:
            if self._refresh(list(self._running)[:LOOK]):
                return False
        self._find_children()
        if not self._running and self._held:
            self._look_at_held()
        if self._running or len(self.stuck) < len(self._held):
            return False
        return bool(self._held) or self._confirm()

    def _find_children(self) -> None:
        parents, self._ended = self._ended, []
        for row in self.relatives.child_states(parents) if parents else ():
            if row[0] not in self.states:
                self._take(State._make(row))

    def _look_at_held(self) -> None:
        self._refresh(list(self._held))
        self.find_stuck()

    def find_stuck(self) -> None:
        """Finds the jobs that can never run, among those that wait."""
        found = blockers_of(self.relatives.database, self._held)
        self.stuck = {job: hold for job, hold in found.items() if hold.is_stuck}

    def _confirm(self) -> bool:
        """Reads everything again unless that has just been done; twice where children may still be coming."""
        if not self._is_fresh:
            self.read()
            if self._running or self._held:
                self._confirmed = None
                return False
        self._is_fresh = False
        jobs, before = len(self.states), self._confirmed
        self._confirmed = jobs
        return before == jobs or not self._may_be_spawning()

    def _may_be_spawning(self) -> bool:
        rows = self.relatives.database.rows
        return any(
            rows("spawn.wait.spawners", ids=part)
            for part in chunks(list(self._recent), self.relatives.database.key_chunk)
        )


class Waiter:
    """Waits for one tree, over a restart of the server.

    Args:
        connect: opens a connection.
        listener: who is told.
        interval: seconds between two looks.
        timeout: seconds after which to give up; ``None`` for never.
        fail_stuck: stop when only jobs are left that can never run.
    """

    def __init__(
        self,
        connect: Callable[[], Database],
        listener: Listener,
        *,
        interval: float,
        timeout: float | None,
        fail_stuck: bool,
    ) -> None:
        self._connect = connect
        self._listener = listener
        self._interval = interval
        self._timeout = timeout
        self._fail_stuck = fail_stuck
        self._start = time.monotonic()
        self._told: frozenset[str] = frozenset()

    def wait(self, database: Database, job: str, *, whole: bool, now: datetime) -> WaitResult:
        """Waits until the tree of a job has finished, or until it is not worth waiting any longer.

        Args:
            database: an open connection.
            job: a full id.
            whole: the whole tree that the job belongs to; otherwise the job and what is below.
            now: the present.

        Raises:
            NotFoundError: there is no such job.
            UnreachableError, ConnectionLostError: the server stays away.
        """
        roots = tree.tree(database, job, whole=True, depth=0).roots if whole else (job,)
        watch = TreeWatch(database, roots, now)
        watch.read()
        watch.find_stuck()
        if watch.counts.of(*FINISHED) < len(watch.states):
            self._listener.reading(watch.counts)
        outcome = self._watch(watch)
        return self._result(job, watch, outcome)

    def _watch(self, watch: TreeWatch) -> WaitOutcome:
        while True:
            try:
                over = self._patiently(watch, watch.look)
            except OUTAGES:
                if not self._is_late():
                    raise
                return WaitOutcome.TIMEOUT
            self._tell_stuck(watch)
            if over and not watch.stuck:
                return WaitOutcome.FAILED if watch.counts.failed else WaitOutcome.COMPLETED
            if over and self._fail_stuck:
                return WaitOutcome.STUCK
            if self._is_late():
                with suppress(*OUTAGES):
                    watch.read()
                return WaitOutcome.TIMEOUT
            self._sleep(self._interval)

    def _is_late(self) -> bool:
        left = self._left()
        return left is not None and left <= 0

    def _sleep(self, seconds: float) -> None:
        """Sleeps, not beyond the timeout."""
        left = self._left()
        end = time.monotonic() + (seconds if left is None else min(seconds, left))
        # In naps: a Ctrl-C that comes in the instant before a sleep begins is noticed after it.
        while (rest := end - time.monotonic()) > 0:
            time.sleep(min(rest, NAP))

    def _left(self) -> float | None:
        return None if self._timeout is None else self._start + self._timeout - time.monotonic()

    def _tell_stuck(self, watch: TreeWatch) -> None:
        stuck = frozenset(watch.stuck)
        if stuck - self._told:
            self._listener.stuck([watch.stuck[job] for job in watch.stuck if job not in self._told])
        self._told |= stuck

    def _patiently(self, watch: TreeWatch, work: Callable[[], bool | None]) -> bool:
        """Does some reading, again with a fresh connection when the server was lost."""
        lost_at: float | None = None
        while True:
            try:
                if lost_at is not None:
                    watch.connected(self._connect())
                done = bool(work())
            except OUTAGES as error:
                if lost_at is None:
                    lost_at = time.monotonic()
                    self._listener.lost(error)
                if not self._pause(lost_at):
                    raise
            else:
                if lost_at is not None:
                    self._listener.back()
                return done

    def _pause(self, lost_at: float) -> bool:
        """Waits before the next try; ``False`` when there have been enough."""
        away = time.monotonic() - lost_at
        if away > OUTAGE or self._is_late():
            return False
        pause = random.uniform(0.5, 1.0) * min(0.2 + away, 5.0)  # noqa: S311  jitter is no secret
        self._sleep(pause)
        return True

    def _result(self, job: str, watch: TreeWatch, outcome: WaitOutcome) -> WaitResult:
        failed = [state.id for state in watch.states.values() if state.status in FAILURES][:SHOWN_FAILURES]
        nodes: list[TreeNode] = []
        with suppress(*OUTAGES):
            nodes = watch.relatives.jobs(failed)
        return WaitResult(
            job=job,
            roots=watch.roots,
            outcome=outcome,
            counts=watch.counts,
            failed=tuple(nodes),
            stuck=tuple(watch.stuck.values()),
            waited=timedelta(seconds=time.monotonic() - self._start),
        )
