"""A job that spawns, in its attempt or by a request: its place in the tree, and the children that it spawns early."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import TypeVar

from hammerwork_cli.cached import cached
from hammerwork_cli.core.input.limits import LONGEST_NAME
from hammerwork_cli.core.input.spawn_config import SpawnConfig
from hammerwork_cli.core.values import JobPriority, JobStatus
from hammerwork_cli.database import Database
from hammerwork_cli.errors import HammerworkError, LastingConflictError, UsageError
from hammerwork_cli.features.job.models.new_job import NewJob
from hammerwork_cli.features.tree.ancestry import Ancestry
from hammerwork_cli.features.worker.queries import ancestry, finish
from hammerwork_cli.features.worker.queries import spawn as spawn_queries
from hammerwork_cli.features.worker.queries.ancestry import LimitError, NewJoin, Spawner
from hammerwork_cli.features.worker.queries.claim import Claimed
from hammerwork_cli.runtime.api.job import Job, checked
from hammerwork_cli.runtime.api.spawn import SpawnError, SpawnLimitError
from hammerwork_cli.runtime.api.stored_jobs import stored_job
from hammerwork_cli.runtime.clock import ServerClock
from hammerwork_cli.runtime.connections import Connections
from hammerwork_cli.runtime.execution.attempts import Attempt
from hammerwork_cli.runtime.outcomes.children import drain

Result = TypeVar("Result")
DELETED = "Deleted"
"""The status of a child that was deleted; it is not written again."""


class Parent:
    """A job that spawns. The slot's thread uses it, and the threads that its handler starts.

    Args:
        connections: write its children, and read its place in the tree.
        attempt: at the job or its spawn request. Once its outcome is decided, nothing is retried.
        priorities: queue -> priority of children without their own.
        most_descendants: see :class:`Spawner`.
    """

    def __init__(
        self,
        connections: Connections,
        clock: ServerClock,
        attempt: Attempt,
        config: SpawnConfig,
        priorities: Mapping[str, JobPriority],
        most_descendants: int,
    ) -> None:
        self._connections, self._clock, self._attempt, self._config = connections, clock, attempt, config
        self._priorities, self._most_descendants = priorities, most_descendants
        self._job: Claimed = attempt.job
        self._request = attempt.request.id if attempt.request else None

    def _run(self, unit: Callable[[Database], Result]) -> Result:
        try:
            return self._connections.run(unit, over=lambda: self._attempt.over, told=self._attempt.refuse)
        finally:
            self._attempt.refuse(None)

    @cached
    def place(self) -> Ancestry:
        """The place of the job in its tree."""
        return ancestry.known(self._job) or self._run(lambda database: ancestry.of(database, self._job))

    @cached
    def _spawner(self) -> Spawner:
        spawner = Spawner.of(self._job, self.place, self._config, self._request)
        return spawner._replace(most_descendants=self._most_descendants)

    @property
    def spawner(self) -> Spawner:
        """The job with the limits of its tree, and the children that wait for the others."""
        return self._spawner._replace(joins=self._attempt.joins) if self._attempt.joins else self._spawner

    @property
    def room(self) -> int | None:
        """How many more children the job may have before it reaches a limit; ``None`` if nothing limits them."""
        return self._run(lambda database: ancestry.room(database, self.spawner))

    @cached
    def _as_job(self) -> Job:
        return Job._of(self._job)

    def check_depth(self) -> None:
        """Refuses to spawn deeper than a limit allows."""
        with named_limits():
            self.spawner.check_depth()

    def spawn(self, job: Job, *, key: str | None = None) -> Job:
        """Writes a child at once: ``context.spawn``.

        Returns:
            The child as it is stored: the new one, or the one that got the key in an earlier attempt.

        Raises:
            LastingConflictError: another child of this attempt has the key.
            SpawnLimitError: the child is one too many.
            ConflictError, NotFoundError, RefusedValueError: it cannot be written; see :func:`spawn_queries.spawn_now`.
        """
        key = check_spawn(job, key)
        try:
            return self._spawn(job, key)
        except SpawnError as error:
            error._with_kept(self.kept(), early=True)
            raise

    def kept(self) -> int:
        """The number of children by key, those of earlier attempts included; 0 when it cannot be read."""
        try:
            return self._run(lambda database: spawn_queries.keys(database, self._job, self._request))
        except HammerworkError:
            return 0

    def _spawn(self, job: Job, key: str) -> Job:
        now = self._clock.now()
        is_deep = None
        try:
            self.check_depth()
        except SpawnLimitError as error:
            is_deep = error
        if is_deep or job.id == self._job.id:
            if existing := self._existing(job, now):
                return existing
            if is_deep:
                raise is_deep
        unlimited = replace(self._config, max_spawn_count=None, spawn_delay=None)
        with drain(self._as_job, unlimited, [job], now, priorities=self._priorities) as children:
            new = next(iter(children.batches()))[0]
        new.join = job._join
        others = self._attempt.keys.keys() - {key}
        if new.join is not None and len(others) > len(self._attempt.joins):
            raise came_too_late()

        tries: list[str] = []

        def unit(database: Database) -> Job:
            tries.append(key)
            child, is_new = spawn_queries.spawn_now(database, self.spawner, key, new, now=now)
            stored = None if is_new else stored_job(database, child) or replace(job, id=child, status=DELETED)
            found = stored or replace(job, queue=new.queue)
            # An earlier try may have written it although the answer got lost.
            is_own = found.id == new.id and found.scheduled_at == new.scheduled_at
            found.created = is_new or (len(tries) > 1 and is_own)
            return found

        with named_limits(), self._under(key, new):
            try:
                written = self._run(unit)
            except spawn_queries.LostClaimError as error:
                raise self._why_lost(error) from None
        if new.join is not None:
            self._attempt.joins += (NewJoin(written.id, new.join[0]),)
        return written

    def _why_lost(self, error: spawn_queries.LostClaimError) -> HammerworkError:
        """Names the end of the attempt, if that is why nothing can be spawned for the job."""
        if not self._attempt.over or self._request is not None:
            return error
        fate = self._run(lambda database: finish.fates(database, [self._job.id])).get(self._job.id)
        is_ours = fate is not None and fate[0] not in {JobStatus.CANCELLED, JobStatus.RUNNING, JobStatus.PENDING}
        status = f": the job is {fate[0]}" if fate and is_ours else ""
        return spawn_queries.LostClaimError(
            f"The attempt at job {self._job.id} has ended{status}. Nothing more is spawned for it.",
            hint="Call context.spawn before the handler returns; a thread or a task of it must not outlive it.",
        )

    def _existing(self, job: Job, now: datetime) -> Job | None:
        """The job itself, if it exists: the parent, an ancestor, or whatever else a link leads to."""
        child = replace(job, queue=job.queue or self._job.queue_name)._new_job(now)

        def unit(database: Database) -> Job | None:
            if not spawn_queries.exists(database, child):
                return None
            found = stored_job(database, child.id)
            if found is not None:
                found.created = False
            return found

        return self._run(unit)

    @contextmanager
    def _under(self, key: str, child: NewJob) -> Iterator[None]:
        """Reserves a key for a child while it is written, and until the end of the attempt if it is."""
        mine = (child.queue, payload_hash(child.payload))
        first = self._attempt.keys.setdefault(key, mine)
        if first != mine:
            other = " and has another payload" if first[1] != mine[1] else ""
            raise LastingConflictError(
                f"The key {key!r:.100} names a child in the queue {first[0]!r:.100} that this attempt has spawned;"
                f" this one is for the queue {child.queue!r:.100}{other}.",
                hint="Give each child of a job its own key.",
            )
        try:
            yield
        except BaseException:
            if first is mine:
                del self._attempt.keys[key]
            raise


@contextmanager
def named_limits() -> Iterator[None]:
    """Raises the error that handlers know in place of LimitError."""
    try:
        yield
    except LimitError as error:
        raise SpawnLimitError(
            error.limit, error.value, error.attempted, error.root, is_default=error.is_default
        ) from None


def payload_hash(payload: str) -> int:
    """A hash that is the same for equal JSON values."""
    try:
        return hash(json.dumps(json.loads(payload), sort_keys=True))
    except (ValueError, RecursionError):
        return hash(payload)


def came_too_late() -> UsageError:
    """Makes the error of ``context.after_all`` after ``context.spawn``."""
    return UsageError(
        "context.after_all comes too late: this attempt has spawned a child already, which it would miss.",
        hint="Call it before context.spawn.",
    )


def check_spawn(job: object, key: object) -> str:
    """Checks the arguments of ``context.spawn``; returns the key."""
    checked(job, "The child of context.spawn")
    if key is None:
        raise UsageError('context.spawn needs a key: context.spawn(job, key="name among its siblings").')
    if not isinstance(key, str) or not 0 < len(key) <= LONGEST_NAME:
        raise UsageError(f"The key of a child must be text of 1 to {LONGEST_NAME} characters, not {key!r:.60}.")
    try:
        key.encode()
    except UnicodeEncodeError as error:
        raise UsageError(f"The key of a child cannot be stored, since it is not Unicode text: {key!a:.60}.") from error
    if "\0" in key:
        raise UsageError("The key of a child cannot hold the character NUL.")
    return key
