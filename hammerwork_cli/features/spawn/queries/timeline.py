"""Finds out where the time of a tree went."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import repeat
from operator import itemgetter

from hammerwork_cli.core.values import FAILURES, FINISHED, WAITING, JobStatus, Timestamp, status_of
from hammerwork_cli.database import Database
from hammerwork_cli.errors import ConflictError
from hammerwork_cli.features.spawn.models.timeline import PARTS, QueueTimes, SiblingGroup, Timeline, TimelineStep, Times
from hammerwork_cli.features.tree.model import JobDate, TreeNode
from hammerwork_cli.features.tree.queries import tree as tree_queries
from hammerwork_cli.features.tree.queries.child_totals import no_collector
from hammerwork_cli.features.tree.spawn_tree import SpawnTree

NOTHING: Mapping[str, int] = {}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAIVE_EPOCH = _EPOCH.replace(tzinfo=None)
_MICROSECOND = timedelta(microseconds=1)
_queue_and_status = itemgetter(*map(TreeNode._fields.index, ("queue", "stored_status")))


def timeline(
    database: Database, job: str, *, now: datetime, siblings: bool = False, max_jobs: int | None = None
) -> Timeline:
    """Reads the whole tree of a job, and the dates and first attempts of its jobs, in one snapshot.

    Raises JobNotFoundError if there is no such job.

    Args:
        now: the present, which is the end of jobs that have not ended.
        siblings: whether to sum up groups of siblings.
    """
    with database.snapshot(), no_collector():
        tree = tree_queries.tree(database, job, max_jobs=max_jobs, dated=True)
        if tree.truncated:
            raise ConflictError(
                f"The tree has more than {max_jobs:,} jobs.", hint=f"Ask: hammerwork spawn timeline {job}"
            )
        return timeline_of(tree, now, firsts=_first_attempts(database, tree), siblings=siblings)


def _first_attempts(database: Database, tree: SpawnTree) -> dict[str, int]:
    """Job -> recorded start of its first attempt, for the jobs with several."""
    if not database.is_current:
        return {}
    several = [job for job, node in tree.nodes.items() if node.attempts > 1 or job in tree.dates]
    firsts: dict[str, int] = {}
    for job, number, at in database.rows_of("spawn.timeline.first_attempts", several):
        started = _microseconds(at)
        if number == 1 and started is not None:
            firsts[str(job)] = started
    return firsts


def timeline_of(
    tree: SpawnTree, now: datetime, *, firsts: Mapping[str, int] = NOTHING, siblings: bool = False
) -> Timeline:
    """Computes the timeline of a tree that was read in full.

    Args:
        firsts: job -> start of its first attempt in microseconds since 1970, for jobs with several, if it is known.
        siblings: whether to sum up groups of siblings.
    """
    parents: dict[str, list[str]] = {}
    for parent, below in tree.children.items():
        for job in below:
            parents.setdefault(job, []).append(parent)
    reader = _Reader(tree.dates, firsts, parents, _microseconds(now) or 0)
    times = reader.read(tree)
    begun, ended, path = _critical_path(tree, times, parents)
    return Timeline(
        tree=tree,
        begun=begun,
        ended=ended,
        path=path,
        sums=_sums(times.values()),
        alone=max(begun, reader.last) - begun,
        queues=_queues(tree, times),
        open=sum(known.is_open for known in times.values()),
        unknown=len(tree.nodes) - len(times),
        siblings=_siblings(tree, times, parents) if siblings else None,
    )


def _sums(times: Iterable[Times]) -> dict[str, int]:
    sums = dict.fromkeys(PARTS, 0)
    for created, ready, due, first, started, ended, _, _ in times:
        sums["blocked"] += ready - created
        sums["delayed"] += due - ready
        sums["queued"] += first - due
        sums["retrying"] += started - first
        sums["running"] += ended - started
    return sums


def _microseconds(value: Timestamp) -> int | None:
    """Microseconds since 1970; ``None`` for a missing or unreadable time."""
    if value is None:
        return None
    try:
        instant = datetime.fromisoformat(value) if isinstance(value, str) else value
        return (instant - (_EPOCH if instant.tzinfo else _NAIVE_EPOCH)) // _MICROSECOND
    except (ValueError, OverflowError):
        return None


Ideal = tuple[int, int, int]
"""When a job would have been ready, have started and have ended, had each job started when it was ready and due."""


class _Reader:
    """Reads the times of jobs, parents first; leaves out jobs whose times are missing or contradict each other."""

    def __init__(
        self, dates: Mapping[str, JobDate], firsts: Mapping[str, int], parents: Mapping[str, list[str]], now: int
    ) -> None:
        self.dates, self.firsts = dates, firsts
        self.parents = parents
        self.now = now
        self.times: dict[str, Times] = {}
        self.ideals: dict[str, Ideal] = {}  # of jobs with children
        self.last = 0

    def read(self, tree: SpawnTree) -> dict[str, Times]:
        """Job -> times."""
        times, parents, children = self.times, self.parents, tree.children
        stored: object = None
        above: list[Times] = []
        ideals: list[Ideal] = []
        for job, node in tree.nodes.items():
            if node.stored_parents != stored:
                # Most jobs come after a sibling, and siblings have the same parents.
                stored = node.stored_parents
                known = [parent for parent in parents.get(job, ()) if parent in times]
                above = [times[parent] for parent in known]
                ideals = [self.ideals[parent] for parent in known]
            found = self._plain(job, node, above) or self._any(job, node, above)
            if found is not None:
                times[job] = found
                ideal = _ideal(found, above, ideals)
                if job in children:
                    self.ideals[job] = ideal
                if ideal[2] > self.last:
                    self.last = ideal[2]
        return times

    def _plain(self, job: str, node: TreeNode, above: list[Times]) -> Times | None:
        """The times of a job like nearly all of a large tree: it completed at its first attempt, after one parent."""
        if node.stored_status != JobStatus.COMPLETED or node.attempts > 1 or len(above) != 1 or job in self.dates:
            return None
        try:
            created = (datetime.fromisoformat(node.created_at) - _EPOCH) // _MICROSECOND  # type: ignore[arg-type]
            started = (datetime.fromisoformat(node.run_started_at) - _EPOCH) // _MICROSECOND  # type: ignore[arg-type]
            ended = (datetime.fromisoformat(node.completed_at) - _EPOCH) // _MICROSECOND  # type: ignore[arg-type]
        except (TypeError, ValueError, OverflowError):
            return None
        ready = above[0].ended
        if not created <= started <= ended or above[0].is_open or ready > started:
            return None
        if ready < created:
            ready = created
        return Times(created, ready, ready, started, started, ended, False, True)

    def _any(self, job: str, node: TreeNode, above: list[Times]) -> Times | None:
        created, started = _microseconds(node.created_at), _microseconds(node.run_start)
        return None if created is None else self._times(job, node, created, started, above)

    def _times(self, job: str, node: TreeNode, created: int, started: int | None, above: list[Times]) -> Times | None:
        status = node.status
        if status in FINISHED:
            ended = _end(node, status)
            if ended is None or ended < created:
                return None
            if started is not None:
                if not created <= started <= ended:
                    return None
                return self._started(job, node, created, started, ended, above)
            return None if status == JobStatus.COMPLETED else self._ended_unstarted(job, created, ended, above)
        if status in WAITING:
            return self._waiting(job, node, created, above)
        if status != JobStatus.RUNNING or started is None or started < created:
            return None
        return self._started(job, node, created, started, None, above)

    def _started(
        self, job: str, node: TreeNode, created: int, started: int, ended: int | None, above: list[Times]
    ) -> Times:
        is_open = ended is None
        end = max(self.now, started) if ended is None else ended
        ready = created
        for parent in above:
            # One that ended later was not waited for: it spawned the job early, or was retried.
            if ready < parent.ended <= started and not parent.is_open:
                ready = parent.ended
        due, first = self._first(job, node.attempts > 1, ready, started)
        return Times(created, ready, due, first, started, end, is_open, True)

    def _waiting(self, job: str, node: TreeNode, created: int, above: list[Times]) -> Times:
        now = max(self.now, created)
        date = self.dates.get(job)
        if date is not None and date.is_blocked:
            return Times(created, now, now, now, now, now, True, False)
        ready = max([created, *(parent.ended for parent in above if parent.ended <= now and not parent.is_open)])
        due, first = self._first(job, node.attempts > 0, ready, now)
        return Times(created, ready, due, first, now, now, True, False)

    def _ended_unstarted(self, job: str, created: int, ended: int, above: list[Times]) -> Times:
        """The times of a job that was cancelled, or failed because of another, before it started."""
        if any(parent.ended > ended or parent.is_open for parent in above):
            return Times(created, ended, ended, ended, ended, ended, False, False)
        ready = max([created, *(parent.ended for parent in above)])
        due, first = self._first(job, False, ready, ended)
        return Times(created, ready, due, first, ended, ended, False, False)

    def _first(self, job: str, several: bool, ready: int, started: int) -> tuple[int, int]:
        """Returns the date of a job and the start of its first attempt; each attempt has overwritten the date."""
        if job in self.firsts:
            return ready, min(max(ready, self.firsts[job]), started)
        if several:
            return ready, ready
        date = self.dates.get(job)
        at = None if date is None else _microseconds(date.scheduled_at)
        return (ready if at is None else min(max(ready, at), started)), started


def _end(node: TreeNode, status: str) -> int | None:
    first, second = node.completed_at, node.failed_at
    if status in FAILURES:
        first, second = second, first
    return _microseconds(second if first is None else first)


def _handover(job: Times, parents: Iterable[tuple[str, Times]]) -> tuple[int, str | None]:
    """Returns when a job took over the critical path, and from which parent; ``None`` from none.

    That is the end of the parent that it waited for longest. A job that a running parent spawned after that took over
    when it was created.
    """
    waited: tuple[int, str] | None = None
    early: tuple[int, str] | None = None
    for name, parent in parents:
        if parent.ended <= job.ready:
            waited = max(waited, (parent.ended, name)) if waited else (parent.ended, name)
        elif parent.ready <= job.created:
            early = max(early, (parent.ready, name)) if early else (parent.ready, name)
    if early is not None and (waited is None or waited[0] <= job.created):
        return job.created, early[1]
    return waited if waited is not None else (job.created, None)


def _critical_path(
    tree: SpawnTree, times: dict[str, Times], parents: Mapping[str, list[str]]
) -> tuple[int, int, tuple[TimelineStep, ...]]:
    """Returns start, end and steps of the path from a root to the job that ended last."""
    if not times:
        return 0, 0, ()
    # Of jobs that ended at once, the last one may be a child of the others.
    latest = max(known.ended for known in times.values())
    last = max((one for one in reversed(times) if times[one].ended == latest), key=lambda one: _lastness(times[one]))
    job: str | None = last
    ended = end = times[last].ended
    steps: list[TimelineStep] = []
    seen: set[str] = set()
    while job is not None and job not in seen:
        seen.add(job)
        known = times[job]
        above = [(parent, times[parent]) for parent in parents.get(job, ()) if parent in times and parent not in seen]
        start, parent = _handover(known, above)
        spans = (("spawning", start, known.created), *known.spans)
        cut = ((part, max(begin, start), min(stop, end)) for part, begin, stop in spans)
        steps.append(TimelineStep(tree.nodes[job], tuple(span for span in cut if span[1] < span[2])))
        if parent is None and parents.get(job):
            # The times of its parents are unknown: the time since the creation of the root is, too.
            begun = min([start, *(times[root].created for root in tree.roots if root in times)])
            if begun < start:
                steps.append(TimelineStep(None, (("unknown", begun, start),)))
            start = begun
        job, end = parent, start
    return end, ended, tuple(reversed(steps))


def _lastness(known: Times) -> tuple[bool, bool, int]:
    """The order in which jobs with the same end, the last one, end the critical path.

    Of open jobs, which all end now, the one that has been running longest is the last. Of others that ended at once,
    the one that started last, since it may be a child.
    """
    if not known.is_open:
        return True, True, known.started
    return known.ready < known.ended, known.started < known.ended, -known.started


def _ideal(known: Times, above: Sequence[Times], ideals: Sequence[Ideal]) -> Ideal:
    """Returns the ideal times of a job, from those of its parents; retries stay as they were."""
    created, ready, due, first, started, ended, _, _ = known
    earliest = created
    if len(above) == 1 and above[0].ended <= created:
        earliest = ideals[0][2] + created - above[0].ended
    elif above:
        earliest = min(max(map(_earliest, repeat(created), repeat(ready), above, ideals)), ready)
    start = earliest + due - ready + started - first
    return earliest, start, start + ended - started


def _earliest(created: int, ready: int, parent: Times, ideal: Ideal) -> int:
    """Returns when a job would have been ready as far as one parent is concerned."""
    if parent.ended <= ready:
        return ideal[2] + (created - parent.ended if created > parent.ended else 0)
    if parent.started <= created:
        return ideal[1] + created - parent.started
    return ideal[0] + max(created - parent.ready, 0)


def _queues(tree: SpawnTree, times: Mapping[str, Times]) -> tuple[QueueTimes, ...]:
    jobs: dict[str, int] = defaultdict(int)
    failed: dict[str, int] = defaultdict(int)
    known: dict[str, list[Times]] = defaultdict(list)
    for (queue, stored), number in Counter(map(_queue_and_status, tree.nodes.values())).items():
        jobs[queue] += number
        if status_of(stored) in FAILURES:
            failed[queue] += number
    for job, one in times.items():
        known[tree.nodes[job].queue].append(one)
    found = []
    for queue in jobs:
        queued = [
            first - due
            for _, _, due, first, start, _, _, ran in known[queue]
            if ran and (first > due or first == start)
        ]
        lengths = [end - start for _, _, _, _, start, end, is_open, ran in known[queue] if ran and not is_open]
        running = sum(end - start for _, _, _, _, start, end, _, _ in known[queue])
        found.append(QueueTimes(queue, jobs[queue], failed[queue], running, _middle(queued), _middle(lengths)))
    return tuple(sorted(found, key=lambda one: (-one.running, -one.jobs, one.queue)))


def _middle(lengths: Sequence[int]) -> tuple[int, int] | None:
    """Median and 95th percentile, as measured values."""
    if not lengths:
        return None
    ranked = sorted(lengths)
    return ranked[(len(ranked) - 1) // 2], ranked[(len(ranked) * 19 + 19) // 20 - 1]


def _siblings(
    tree: SpawnTree, times: Mapping[str, Times], parents: Mapping[str, list[str]]
) -> tuple[SiblingGroup, ...]:
    groups: dict[tuple[str | None, str], list[str]] = {}
    for job in times:
        group = (next(iter(parents.get(job, ())), None), tree.nodes[job].queue)
        groups.setdefault(group, []).append(job)
    found = []
    for (parent, queue), jobs in groups.items():
        known = [times[job] for job in jobs]
        started = min(one.started for one in known)
        is_retried = all(one.first < one.started for one in known)
        found.append(
            SiblingGroup(
                parent=parent,
                queue=queue,
                depth=min(tree.depths.get(job, 0) for job in jobs),
                jobs=len(jobs),
                failed=sum(tree.nodes[job].status in FAILURES for job in jobs),
                running=sum(one.ended - one.started for one in known),
                times=Times(
                    created=min(one.created for one in known),
                    ready=min(one.ready for one in known),
                    due=min(one.due for one in known),
                    first=min(one.first for one in known) if is_retried else started,
                    started=started,
                    ended=max(one.ended for one in known),
                    is_open=any(one.is_open for one in known),
                    has_run=any(one.has_run for one in known),
                ),
            )
        )
    return tuple(sorted(found, key=lambda one: (one.times.ready, one.depth, one.queue, one.parent or "")))
