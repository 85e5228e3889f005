"""Reads the children of a job from its handler, completes and checks them, and keeps them until they are written.

A handler may produce a million of them. A few are kept in memory, more in a temporary file, so that the transaction
that writes them calls no handler and can be retried.
"""

import json
import pickle
import tempfile
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    Awaitable,
    Callable,
    Collection,
    Generator,
    Iterable,
    Iterator,
    Mapping,
)
from contextlib import contextmanager
from dataclasses import fields, replace
from datetime import datetime, timedelta
from operator import attrgetter
from typing import IO, Any, Self

from hammerwork_cli.core.input.fields import whole_seconds
from hammerwork_cli.core.input.limits import MOST_PARENTS
from hammerwork_cli.core.input.spawn_config import SpawnConfig
from hammerwork_cli.core.values import JobPriority
from hammerwork_cli.errors import UsageError
from hammerwork_cli.features.job.models.new_job import NewJob
from hammerwork_cli.features.job.queries.enqueue import in_circle
from hammerwork_cli.runtime.api.job import Job
from hammerwork_cli.runtime.api.spawn import (
    FIRST_CHILDREN,
    NOTHING_SPAWNED,
    SpawnContext,
    SpawnError,
    SpawnFailedError,
    SpawnHandler,
    SpawnLimitError,
    UnwritableError,
)
from hammerwork_cli.runtime.outcomes.failures import first_line, spawn_failure

MOST_IN_MEMORY = 8 * 1024 * 1024
"""Bytes of payloads and other fields, roughly, before children go to a file."""

NO_PRIORITIES: Mapping[str, JobPriority] = {}

_BYTES_A_CHILD = 500
_PART = 500
_values = attrgetter(*(field.name for field in fields(NewJob)))


class Children:
    """The children of one job, ready to be written. One thread at a time uses them."""

    def __init__(self, parent: str) -> None:
        self.parent = parent
        self.count = 0
        self.queues: set[str] = set()
        # Ids of jobs that some depend on and that are neither the parent nor children themselves.
        self.external: frozenset[str] = frozenset()
        self.first_ids: list[str] = []  # ids of the first 1,000
        self.are_unique = False  # whether any has a unique key
        self._siblings: frozenset[str] = frozenset()
        self._referenced: set[str] = set()
        self._recurring: set[str] = set()
        self._ids: set[str] | None = set()
        self._bytes = 0
        self._part: list[NewJob] = []
        self._file: IO[bytes] | None = None

    def __len__(self) -> int:
        return self.count

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Frees the memory or the file that holds them."""
        self._part = []
        if self._file is not None:
            self._file.close()
            self._file = None

    def batches(self, size: int = 500) -> Iterator[list[NewJob]]:
        """The children in the order in which they were produced. It may be called again.

        ``dependency_status`` is ``satisfied`` for a child that waits for its parent only, else ``waiting``.
        """
        batch: list[NewJob] = []
        for job in self._stored():
            self._link(job)
            batch.append(job)
            if len(batch) == size:
                yield batch
                batch = []
        if batch:
            yield batch

    def _link(self, job: NewJob) -> None:
        """Adds the parent to a child's dependencies unless the child depends on a sibling already."""
        parent = self.parent
        if not job.depends_on:
            job.depends_on, job.dependency_status = (parent,), "satisfied"
            return
        hangs = parent in job.depends_on or any(other in self._siblings for other in job.depends_on)
        if not hangs:
            job.depends_on = (parent, *job.depends_on)
        job.dependency_status = "satisfied" if job.depends_on == (parent,) else "waiting"

    def _stored(self) -> Iterator[NewJob]:
        if self._file is not None:
            self._file.seek(0)
            while True:
                try:
                    part = pickle.load(self._file)  # noqa: S301  a nameless file of this process
                except EOFError:
                    break
                for values in part:
                    yield NewJob(*values)
        yield from self._part

    def drop(self, held: Collection[str]) -> None:
        """Leaves out those that were not written, because other jobs hold their unique keys."""
        self.count -= len(held)
        self.first_ids = [job for job in self.first_ids if job not in held]

    # While they are drained.

    def add(self, job: NewJob) -> None:
        if self._ids is not None:
            if job.id == self.parent:
                raise UnwritableError(
                    f"The spawn handler produced its own parent {job.id} ({job.queue}) as a child. {NOTHING_SPAWNED}"
                )
            if job.id in self._ids:
                raise UnwritableError(f"The job {job.id} ({job.queue}) was produced twice. {NOTHING_SPAWNED}")
            self._ids.add(job.id)
        self.count += 1
        self.queues.add(job.queue)
        if len(self.first_ids) < FIRST_CHILDREN:
            self.first_ids.append(job.id)
        if job.depends_on:
            self._referenced.update(job.depends_on)
        if job.recurring:
            self._recurring.add(job.id)
        if job.unique is not None:
            self.are_unique = True
        self._part.append(job)
        self._bytes += len(job.payload) + _BYTES_A_CHILD
        if self._bytes > MOST_IN_MEMORY and len(self._part) >= _PART:
            self._spill()

    def _spill(self) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix="hammerwork-children-")  # noqa: SIM115  closed by close()
            self._ids = None
        for start in range(0, len(self._part), _PART):
            part = [_values(job) for job in self._part[start : start + _PART]]
            pickle.dump(part, self._file, pickle.HIGHEST_PROTOCOL)
        self._part = []

    def complete(self) -> None:
        """Finds out which dependencies are siblings, once all children are there.

        Raises:
            SpawnFailedError: siblings wait for each other, or one waits for too many jobs.
        """
        self._referenced.discard(self.parent)
        for never in self._referenced & self._recurring:
            raise UnwritableError(
                f"The child {never} recurs and never completes: no job that depends on it would run. {NOTHING_SPAWNED}"
            )
        if self._referenced:
            self._siblings = frozenset(job.id for job in self._stored() if job.id in self._referenced)
            self._check()
        self.external = frozenset(self._referenced - self._siblings)
        self._ids, self._referenced = None, set()

    def _check(self) -> None:
        waits: dict[str, set[str]] = {}
        for job in self._stored():
            siblings = set(self._siblings.intersection(job.depends_on))
            if siblings:
                waits[job.id] = siblings
            elif len(job.depends_on) >= MOST_PARENTS and self.parent not in job.depends_on:
                raise _too_many(job)
        stuck = in_circle(waits)
        if stuck:
            raise UnwritableError(f"Children wait for each other, among them {stuck}. {NOTHING_SPAWNED}")


def _too_many(job: NewJob) -> UnwritableError:
    return UnwritableError(
        f"A job may depend on {MOST_PARENTS:,} jobs at most, its parent included; the child {job.id} ({job.queue})"
        f" depends on {len(job.depends_on):,}. {NOTHING_SPAWNED}"
    )


class Drain:
    """Completes and keeps the jobs that a handler produces; :func:`drain` and :func:`drain_async` feed it."""

    def __init__(
        self,
        parent: Job,
        config: SpawnConfig,
        now: datetime,
        root: str | None,
        priorities: Mapping[str, JobPriority],
        admit: Callable[[], None] | None,
    ) -> None:
        self.children = Children(parent.id)
        self._config, self._now, self._admit = config, now, admit
        self._queue = parent.queue if config.inherit_queue else None
        self._root = root or parent.id
        self._inherited = _inherited(parent, config)
        self._priority = parent.priority if config.inherit_priority else None
        self._priorities = priorities
        self._workflow = (parent.workflow_id, parent.workflow_name)

    def add(self, produced: object) -> None:
        """Completes, checks and keeps one child.

        Raises:
            SpawnLimitError: it is one too many, or no child is allowed.
            SpawnFailedError: it is not a job, or a job that cannot be written.
        """
        number, most = self.children.count, self._config.max_spawn_count
        if not isinstance(produced, Job):
            raise UnwritableError(
                f"The spawn handler produced {_a(produced)} as child {number + 1}, not a Job. {NOTHING_SPAWNED}"
            )
        if number == 0 and self._admit is not None:
            self._admit()
        if most is not None and number >= most:
            raise SpawnLimitError("max_spawn_count", most, number + 1, self._root)
        self.children.add(self._complete(produced, number))

    def add_all(self, produced: object) -> None:
        """Adds the jobs of a sync handler; a generator is closed whatever happens, so that it can clean up."""
        try:
            for child in iterable(produced):
                self.add(child)
        finally:
            if isinstance(produced, Generator):
                produced.close()

    def _complete(self, child: Job, number: int) -> NewJob:
        if child.queue is None:
            if self._queue is None:
                raise UnwritableError(f"Child {number + 1} has no queue, and inherit_queue is off. {NOTHING_SPAWNED}")
            child = replace(child, queue=self._queue)
        try:
            new = child._new_job(self._now)
        except UsageError as error:
            raise UnwritableError(
                f"Child {number + 1} ({child.queue}) cannot be written: {error.message} {NOTHING_SPAWNED}"
            ) from error
        if len(new.depends_on) > MOST_PARENTS:
            raise _too_many(new)
        for name, value in self._inherited:
            if getattr(new, name) is None:
                setattr(new, name, value)
        if child.priority is None and (priority := self._priorities.get(new.queue, self._priority)) is not None:
            new.priority = priority
        if new.workflow_id is None:
            new.workflow_id, new.workflow_name = self._workflow
        delay = self._config.spawn_delay
        if delay:
            new.scheduled_at = max(new.scheduled_at, self._due(number, delay))
        return new

    def _due(self, number: int, delay: timedelta) -> datetime:
        try:
            return self._now + number // (self._config.batch_size or 1) * delay
        except OverflowError as error:
            raise UnwritableError(
                f"With the spawn_delay of {delay}, child {number + 1} would be due after the last possible date."
                f" {NOTHING_SPAWNED}"
            ) from error

    def finish(self) -> Children:
        """The children, once all have been added."""
        self.children.complete()
        return self.children


def _inherited(parent: Job, config: SpawnConfig) -> list[tuple[str, object]]:
    """Values that children inherit where they have none: (field of ``NewJob``, value)."""
    found: list[tuple[str, object]] = []
    if config.inherit_timeout and parent.timeout is not None:
        found.append(("timeout_seconds", whole_seconds(parent.timeout)))
    if config.inherit_retry_strategy and parent.retry_strategy is not None:
        found.append(("retry_strategy", json.dumps(parent.retry_strategy._stored())))
    if config.inherit_trace_context:
        names = ("trace_id", "correlation_id", "parent_span_id", "span_context")
        found += [(name, getattr(parent, name)) for name in names if getattr(parent, name) is not None]
    return found


def _a(thing: object) -> str:
    return "nothing (None)" if thing is None else f"a value of type {type(thing).__name__}"


def drain(
    parent: Job,
    config: SpawnConfig,
    produced: object,
    now: datetime,
    root: str | None = None,
    priorities: Mapping[str, JobPriority] = NO_PRIORITIES,
    admit: Callable[[], None] | None = None,
) -> Children:
    """Reads all children that a sync handler produced.

    Args:
        produced: the value of ``spawn_jobs``: an iterable of jobs.
        now: when they are written.
        root: id of the root of the tree, for errors.
        priorities: queue -> priority of children without their own; others inherit it.
        admit: refuses the first child if there may be none.

    Raises:
        SpawnLimitError: more than ``max_spawn_count``, or ``admit`` refused; the handler does not go on.
        SpawnFailedError: the handler raised, or produced a value that cannot be written.
    """
    draining = Drain(parent, config, now, root, priorities, admit)
    with _failing(draining.children):
        draining.add_all(produced)
        return draining.finish()


async def drain_async(
    parent: Job,
    config: SpawnConfig,
    produced: object,
    now: datetime,
    root: str | None = None,
    priorities: Mapping[str, JobPriority] = NO_PRIORITIES,
    admit: Callable[[], None] | None = None,
) -> Children:
    """Reads all children that an async handler produces, as :func:`drain` does.

    Args:
        produced: the value of ``spawn_jobs``: awaitable, an async iterable, or an iterable.
    """
    draining = Drain(parent, config, now, root, priorities, admit)
    with _failing(draining.children):
        if isinstance(produced, Awaitable):
            produced = await produced
        if isinstance(produced, AsyncIterable):
            try:
                async for child in produced:
                    draining.add(child)
            finally:
                if isinstance(produced, AsyncGenerator):
                    await produced.aclose()
        else:
            draining.add_all(produced)
        return draining.finish()


def produced_by(handler: SpawnHandler, context: SpawnContext) -> Any:
    """Calls ``spawn_jobs`` of a handler.

    Raises:
        SpawnFailedError: it raised.
    """
    with _failing():
        return handler.spawn_jobs(context)


def iterable(produced: object) -> Iterable[Any]:
    """The value of a handler as an iterable.

    Raises:
        SpawnFailedError: it does not contain jobs.
    """
    if produced is None:
        return ()
    if isinstance(produced, Job):
        return (produced,)
    if isinstance(produced, Iterable) and not isinstance(produced, str | bytes | dict):
        return produced
    raise UnwritableError(f"The spawn handler returned {_a(produced)}, not jobs. {NOTHING_SPAWNED}")


@contextmanager
def _failing(children: Children | None = None) -> Iterator[None]:
    """Closes the children when a handler fails, and raises a SpawnError."""
    try:
        yield
    except BaseException as error:
        if children is not None:
            children.close()
        if isinstance(error, SpawnError) or not isinstance(error, Exception):
            raise
        raise SpawnFailedError(spawn_failure(first_line(error))) from error
