"""Waits until all jobs of a tree have ended."""

import time
from collections.abc import Callable, Container, Iterable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol

from hammerwork_cli.core.clock import latest
from hammerwork_cli.core.values import FAILURES, FINISHED, UNSUCCESSFUL, Counts, Timestamp, status_of, timestamp
from hammerwork_cli.database import Database
from hammerwork_cli.database.batches import chunks
from hammerwork_cli.database.retrying import OUTAGES, OutageListener
from hammerwork_cli.database.waiting import Wait
from hammerwork_cli.errors import NotFoundError
from hammerwork_cli.features.spawn.models.spawn import QUIET_TIME
from hammerwork_cli.features.tree.model import TreeNode
from hammerwork_cli.features.tree.queries import tree
from hammerwork_cli.features.tree.queries.blockers import blockers_of
from hammerwork_cli.features.tree.queries.relatives import Relatives
from hammerwork_cli.features.tree.wait import Blocker, WaitOutcome, WaitResult

CHECKED = 200
"""Jobs in a check: as long as one of them has not ended, neither has the tree."""
SHOWN_FAILURES = 10


class JobState(NamedTuple):
    """The state of a job: the columns of ``tree.relatives.states``."""

    id: str
    stored_status: str
    dependency_status: str | None
    ended_at: Timestamp

    @property
    def status(self) -> str:
        """The status in its right spelling."""
        return status_of(self.stored_status)

    @property
    def has_finished(self) -> bool:
        return self.status in FINISHED

    @property
    def waits(self) -> bool:
        return self.dependency_status == "waiting" and not self.has_finished


class WaitListener(OutageListener, Protocol):
    """Receives the events of a wait."""

    def reading(self, counts: Counts) -> None:
        """The tree was read and has open jobs."""

    def stuck(self, blockers: list[Blocker]) -> None:
        """These jobs can never run."""


class TreeWatch:
    """Watches a tree until all of its jobs have ended.

    It reads the whole tree once, without payloads. A refresh then checks at most :data:`CHECKED` open jobs, since one
    is enough to continue. When all known jobs have ended, it reads the children of those that ran. At last it reads the
    whole tree again, because a worker may have inserted children at the same time as their parent ended. A tree with an
    open spawn request has not ended.
    """

    def __init__(self, database: Database, roots: Iterable[str], now: datetime) -> None:
        self.roots = tuple(roots)
        self.connected(database)
        self._since, self._latest = now - QUIET_TIME, latest(now)
        self.states: dict[str, JobState] = {}
        self._running: dict[str, None] = {}
        self._waiting: dict[str, None] = {}
        self._ended: list[str] = []
        self._recent: dict[str, None] = {}
        self._is_fresh = False
        self._is_requested = False
        self._confirmed: int | None = None
        self.stuck: dict[str, Blocker] = {}

    def connected(self, database: Database) -> None:
        """Continues with another connection."""
        self.relatives = Relatives(database)

    @property
    def counts(self) -> Counts:
        """All known jobs by status, as last read."""
        counts = Counts()
        for state in self.states.values():
            counts.add(state.status)
        return counts

    def read(self) -> None:
        """Reads the whole tree, a level at a time."""
        self.connected(self.relatives.database)  # drop the cached facts about the archive and later parents
        with self.relatives.database.snapshot():
            found = self._read()
            self._is_requested = self._has_request(found)
        self.states = {}
        self._running.clear()
        self._waiting.clear()
        self._ended.clear()
        for state in found.values():
            self._file(state)
        self._is_fresh = True

    def _read(self) -> dict[str, JobState]:
        found = {state.id: state for state in map(JobState._make, self.relatives.states(self.roots))}
        if not found:
            raise NotFoundError("The job no longer exists.", hint="Was it deleted in the meantime?")
        frontier = list(found)
        while frontier:
            fresh: list[str] = []
            for state in map(JobState._make, self.relatives.child_states(frontier)):
                if state.id not in found:
                    found[state.id] = state
                    fresh.append(state.id)
            frontier = fresh
        return found

    def _file(self, state: JobState) -> None:
        """Stores the state of a job, and sorts the job by whether it runs, waits or has ended."""
        job = state.id
        before = self.states.get(job)
        self.states[job] = state
        self._running.pop(job, None)
        self._waiting.pop(job, None)
        if not state.has_finished:
            (self._waiting if state.waits else self._running)[job] = None
        elif before is None or not before.has_finished:
            ended = timestamp(state.ended_at)
            if before is not None or ended is None or self._since <= ended <= self._latest:
                self._recent[job] = None
            if before is not None:
                self._ended.append(job)

    def _reread(self, jobs: list[str]) -> bool:
        """Reads some jobs again; returns whether one of them has not ended."""
        found = {state.id: state for state in map(JobState._make, self.relatives.states(jobs))}
        for job in jobs:
            if job in found:
                self._file(found[job])
            else:
                for known in (self.states, self._running, self._waiting):
                    known.pop(job, None)
        self._is_fresh = False
        return any(not state.has_finished for state in found.values())

    def refresh(self) -> bool:
        """Checks the tree with as few statements as possible.

        Returns whether nothing can happen any more: all jobs have ended, or the others are ``stuck``.
        """
        while self._running:
            if self._reread(list(self._running)[:CHECKED]):
                return False
        self._find_children()
        if not self._running and self._waiting:
            self._refresh_waiting()
        if self._running or len(self.stuck) < len(self._waiting):
            return False
        return bool(self._waiting) or self._confirm()

    def _find_children(self) -> None:
        parents, self._ended = self._ended, []
        for state in map(JobState._make, self.relatives.child_states(parents) if parents else ()):
            if state.id not in self.states:
                self._file(state)

    def _refresh_waiting(self) -> None:
        self._reread(list(self._waiting))
        self.find_stuck()

    def find_stuck(self) -> None:
        """Finds the jobs among the waiting ones that can never run."""
        found = blockers_of(self.relatives.database, self._waiting)
        self.stuck = {job: blocker for job, blocker in found.items() if blocker.is_stuck}

    def _confirm(self) -> bool:
        """Reads the whole tree again, unless that has just happened; twice if workers may still insert children."""
        if self._is_requested and self._has_request(self.states):
            return False
        if not self._is_fresh:
            self.read()
        self._is_fresh = False
        if self._running or self._waiting or self._is_requested:
            self._confirmed = None
            return False
        jobs, before = len(self.states), self._confirmed
        self._confirmed = jobs
        return before == jobs or not self._may_be_spawning()

    def _has_request(self, jobs: Container[str]) -> bool:
        """Whether one of these jobs has an open spawn request, so that it will have further children."""
        database = self.relatives.database
        return database.is_current and any(str(job) in jobs for (job,) in database.rows("spawn.wait.requested"))

    def _may_be_spawning(self) -> bool:
        """Whether the parent of a job that ended lately, however long ago it ended itself, may insert others."""
        rows = self.relatives.database.rows
        return bool(self._recent) and any(
            rows("spawn.wait.spawners", ids=part)
            for part in chunks(list(self.states), self.relatives.database.key_chunk)
        )


class Waiter:
    """Waits for one tree, also across a restart of the server.

    Args:
        timeout: seconds after which to give up; ``None`` to wait without limit.
        fail_stuck: stop when all open jobs are stuck.
        stopped: asked whether to give up earlier.
    """

    def __init__(
        self,
        connect: Callable[[], Database],
        listener: WaitListener,
        *,
        interval: float,
        timeout: float | None,
        fail_stuck: bool,
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        self._wait = Wait(connect, listener, interval=interval, timeout=timeout, stopped=stopped)
        self._listener = listener
        self._fail_stuck = fail_stuck
        self._start = time.monotonic()
        self._reported: frozenset[str] = frozenset()

    def wait(self, database: Database, job: str, *, whole: bool, now: datetime) -> WaitResult:
        """Waits until the tree of a job has ended, or cannot end.

        Raises NotFoundError if there is no such job. Raises UnreachableError or ConnectionLostError if the server did
        not come back.

        Args:
            whole: wait for the whole tree of the job; otherwise for the job and its descendants.
        """
        roots = tree.tree(database, job, whole=True, depth=0).roots if whole else (job,)
        watch = TreeWatch(database, roots, now)
        watch.read()
        watch.find_stuck()
        if watch.counts.ended < len(watch.states):
            self._listener.reading(watch.counts)
        outcome = self._watch(watch)
        return self._result(job, watch, outcome)

    def _watch(self, watch: TreeWatch) -> WaitOutcome:
        outcome: WaitOutcome | None = None

        def look() -> bool:
            nonlocal outcome
            over = watch.refresh()
            self._report_stuck(watch)
            if over and not watch.stuck:
                outcome = WaitOutcome.FAILED if watch.counts.unsuccessful else WaitOutcome.COMPLETED
            elif over and self._fail_stuck:
                outcome = WaitOutcome.STUCK
            return outcome is not None

        if self._wait.until(look, watch.connected) and outcome is not None:
            return outcome
        with suppress(*OUTAGES):
            watch.read()
        return WaitOutcome.TIMEOUT

    def _report_stuck(self, watch: TreeWatch) -> None:
        stuck = frozenset(watch.stuck)
        if stuck - self._reported:
            self._listener.stuck([watch.stuck[job] for job in watch.stuck if job not in self._reported])
        self._reported |= stuck

    def _result(self, job: str, watch: TreeWatch, outcome: WaitOutcome) -> WaitResult:
        failed = [state for state in watch.states.values() if state.status in UNSUCCESSFUL]
        failed.sort(key=lambda state: state.status not in FAILURES)
        nodes: list[TreeNode] = []
        with suppress(*OUTAGES):
            nodes = watch.relatives.jobs(state.id for state in failed[:SHOWN_FAILURES])
        return WaitResult(
            job=job,
            roots=watch.roots,
            outcome=outcome,
            counts=watch.counts,
            failed=tuple(nodes),
            stuck=tuple(watch.stuck.values()),
            waited=timedelta(seconds=time.monotonic() - self._start),
        )
