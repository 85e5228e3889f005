"""Runs spawn handlers without writing what they spawn."""

import inspect
import time
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Generator,
    Iterable,
    Iterator,
    Sequence,
)
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Any

from hammerwork_cli.core.input.spawn_config import SpawnConfig
from hammerwork_cli.core.values import JobStatus
from hammerwork_cli.database import Database
from hammerwork_cli.errors import HammerworkError, JobNotFoundError, LastingConflictError
from hammerwork_cli.features.job.models.new_job import NewJob
from hammerwork_cli.features.job.queries import enqueue, limits
from hammerwork_cli.features.spawn.models.rehearsal import (
    SHOWN,
    Limit,
    Rehearsal,
    RehearsedLevel,
    SpawnShape,
    chain_length,
)
from hammerwork_cli.features.tree.ancestry import Ancestry
from hammerwork_cli.features.tree.queries import release
from hammerwork_cli.features.tree.queries.release import RECURRING
from hammerwork_cli.features.worker.queries import ancestry
from hammerwork_cli.features.worker.queries.ancestry import Spawner
from hammerwork_cli.features.worker.queries.claim import Claim, Claimed
from hammerwork_cli.runtime.api.handlers import Handlers
from hammerwork_cli.runtime.api.job import Job
from hammerwork_cli.runtime.api.resources import OpenResources
from hammerwork_cli.runtime.api.spawn import (
    FoundHandler,
    SpawnContext,
    SpawnError,
    SpawnFailedError,
    SpawnLimitError,
    SpawnRefusedError,
    config_of,
)
from hammerwork_cli.runtime.api.tracing import TraceColumns
from hammerwork_cli.runtime.execution.calls import in_own_context, own_config, result_of
from hammerwork_cli.runtime.execution.parents import came_too_late, check_spawn, named_limits, payload_hash
from hammerwork_cli.runtime.host.loading import place_of
from hammerwork_cli.runtime.outcomes.children import Children, drain, drain_async, iterable, produced_by
from hammerwork_cli.runtime.outcomes.failures import first_line, message_of, spawn_failure
from hammerwork_cli.runtime.rehearsal.collecting_queue import CollectingQueue


class Rehearser:
    """Rehearses jobs in this thread.

    Args:
        now: when the children would be written.
        database: an open connection for checks that need one; ``None`` leaves them out.
        most: children to read before a generator is stopped, on all levels together.
    """

    def __init__(
        self, handlers: Handlers, queue: CollectingQueue, now: datetime, *, database: Database | None, most: int
    ) -> None:
        self._handlers, self._queue, self._now, self._database, self._left = handlers, queue, now, database, most
        self._spawned = 0
        self._before: int | None = None

    def rehearse(self, job: Claimed, *, stored: bool, result: str | None = None, levels: int = 1) -> Rehearsal:
        """Runs the spawn handler of a job, and those of the jobs that it would spawn.

        Args:
            stored: whether it is in the database; otherwise it is the root of a new tree.
            result: JSON text of its result.
        """
        self._resources = self._handlers._open_resources()
        self._resources.begin()
        try:
            return self._rehearsed(job, stored=stored, result=result, levels=levels)
        finally:
            self._resources.close()

    def _rehearsed(self, job: Claimed, *, stored: bool, result: str | None, levels: int) -> Rehearsal:
        found = Rehearsal(job.id if stored else None, job.queue_name)
        place = ancestry.of(self._database, job) if stored and self._database is not None else Ancestry(job.id)
        parents = [(job, place)]
        for number in range(1, levels + 1):
            parents = self._generation(found, number, parents, result if number == 1 else None)
            if not parents or not found.complete:
                break
        else:
            self._check_next(found, levels + 1, parents)
        for other in self._queue.collected:
            found.enqueued[other.queue or ""] = found.enqueued.get(other.queue or "", 0) + 1
        return found

    def _generation(
        self, found: Rehearsal, number: int, parents: list[tuple[Claimed, Ancestry]], result: str | None
    ) -> list[tuple[Claimed, Ancestry]]:
        level = RehearsedLevel()
        below: list[tuple[Claimed, Ancestry]] = []
        for job, place in parents:
            step = SpawnStep(self._handlers, self._queue, self._now, job, place, result, self._resources)
            late = self._late_children(found, number, step)
            if step.handler is None:
                continue
            level.parents += 1
            children = [*step.early.values(), *late]
            for child in children:
                level.add(child)
                below.append((claimed(child, self._now), step.place.child()))
            self._spawned += len(children)
            self._left -= step.produced
            if number == 1:
                found.handler = step.handler.name
                found.early = len(step.early)
                found.first = children[:SHOWN]
                found.keys = {child.id: key for key, child in step.early.items()}
                found.shape = shape(job.id, late)
            if step.was_stopped:
                found.complete = False
                break
        if level.parents:
            found.levels.append(level)
        return below

    def _check_next(self, found: Rehearsal, number: int, parents: list[tuple[Claimed, Ancestry]]) -> None:
        """Says which jobs of the last generation would spawn although the tree is as deep as it may be."""
        for job, place in parents:
            step = SpawnStep(self._handlers, self._queue, self._now, job, place, None, self._resources)
            with suppress(HammerworkError):  # this generation is not rehearsed
                if step.prepare() is None:
                    continue
                try:
                    step.check_depth()
                except SpawnLimitError as error:
                    if step.would_spawn():
                        found.fail(number, job.queue_name, error.code, error.message, error.hint)

    def _late_children(self, found: Rehearsal, number: int, step: "SpawnStep") -> list[NewJob]:
        """Returns the children that a parent would spawn at its end; none if it would fail, which ``found`` records."""
        began = time.monotonic()
        queue = step.job.queue_name
        try:
            with step.run(self._left) as children:
                late = [child for batch in children.batches() for child in batch]
                if step.handler is not None:
                    self._check(step, late, children.external)
                return late
        except HammerworkError as error:
            if isinstance(error, SpawnError):
                error._with_kept(len(step.early), early=False)
            cause = error.__cause__
            place = place_of(cause) if isinstance(error, SpawnError) and cause is not None else None
            found.fail(number, queue, error.code, message_of(error), f"In {place}." if place else error.hint)
            return []
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001  whatever a handler raises, SystemExit too
            place = place_of(error)
            failure = spawn_failure(first_line(error))
            found.fail(number, queue, SpawnFailedError.code, failure, f"In {place}." if place else None)
            return []
        finally:
            found.seconds += time.monotonic() - began
            if step.handler is not None:
                self._keep_tightest(found, step)

    def _check(self, step: "SpawnStep", late: list[NewJob], external: Iterable[str]) -> None:
        """Refuses children that could not be written."""
        step.check_descendants(self._descendants(step) + len(step.early) + len(late))
        if self._database is None:
            return
        for child in (*step.early.values(), *late):
            limits.check(self._database, child)
        # Jobs that it spawned by key or enqueued would exist by now.
        made = {
            job.id: RECURRING if job.recurring else JobStatus.PENDING
            for job in (*step.early.values(), *(job._new_job(self._now) for job in self._queue.collected))
        }
        wanted = {other for child in step.early.values() for other in child.depends_on} - {step.job.id}
        parents = sorted(wanted.union(external))
        stored = release.statuses(self._database, [other for other in parents if other not in made])
        try:
            enqueue.check_parents(parents, stored | made)
        except JobNotFoundError as error:
            raise enqueue.name_child(error, late) from None

    def _descendants(self, step: "SpawnStep") -> int:
        """Jobs below the root before this parent spawns."""
        if self._before is None:
            limited = step.place.max_descendants is not None and self._database is not None
            self._before = ancestry.descendants(self._database, step.place) if limited and self._database else 0
        return self._before + self._spawned

    def _keep_tightest(self, found: Rehearsal, step: "SpawnStep") -> None:
        """Keeps the tightest limit of each name among all parents so far."""
        place, known = step.place, {limit.name: limit for limit in found.limits}
        deepest = ancestry.DEEPEST if place.max_depth is None else place.max_depth
        most, produced = step.config.max_spawn_count, step.produced
        if most is not None:  # the first one too many ends the handler; early ones may come on top
            produced = min(produced, most + 1)
        for limit in (
            Limit("max_spawn_count", most, produced),
            Limit("max_depth", deepest, place.depth + 1),
            Limit("max_descendants", place.max_descendants, self._descendants(step) + produced),
        ):
            old = known.get(limit.name)
            if old is None or old.left is None or (limit.left is not None and limit.left < old.left):
                known[limit.name] = limit
        found.limits = tuple(known.values())


class SpawnStep:
    """One job whose spawn handler runs.

    Attributes:
        job: the parent.
        result: JSON text of its result.
        place: its place in the tree, under its own limits.
        handler: its spawn handler, once it is found.
        early: key -> child that was spawned before the end.
        produced: children that were produced, one too many for a limit included.
        was_stopped: whether the handler had more children than were wanted.
        progress: what it has reported last: share and text.
    """

    def __init__(
        self,
        handlers: Handlers,
        queue: CollectingQueue,
        now: datetime,
        job: Claimed,
        place: Ancestry,
        result: str | None,
        resources: OpenResources,
    ) -> None:
        self._handlers, self._queue, self._now, self.result = handlers, queue, now, result
        self.resources = resources
        self.job, self.place, self._bare_place = job, place, place
        self.config = SpawnConfig()
        self.handler: FoundHandler | None = None
        self.early: dict[str, NewJob] = {}
        self.produced = 0
        self.was_stopped = False
        self.progress: tuple[float, str] | None = None

    def look(self) -> bool:
        """Whether the job is cancelled: ``context.cancelled``."""
        return False

    def report(self, share: float, text: str) -> None:
        """Keeps a report: ``context.progress``."""
        self.progress = share, text

    def hand_down(self, columns: TraceColumns) -> None:
        """Lets the children inherit another trace: see :meth:`Attempt.hand_down`."""
        self.job = self.job._replace(**columns)

    def run(self, most: int) -> Children:
        """Runs ``validate_spawn`` and ``spawn_jobs``; returns the children, none without a handler.

        Args:
            most: children after which the handler is stopped.

        Raises:
            SpawnError: the job would spawn nothing.
        """
        found = self.prepare()
        if found is None:
            return Children(self.job.id)
        in_own_context(self.job, self._validate, found)
        children = in_own_context(self.job, self._drained, found, most)
        allowed, total = self.config.max_spawn_count, len(self.early) + len(children)
        if allowed is not None and total > allowed:
            children.close()
            raise SpawnLimitError("max_spawn_count", allowed, total, self.place.root)
        return children

    def would_spawn(self) -> bool:
        """Whether it would spawn a child where it may not."""
        try:
            self.run(1).close()
        except SpawnLimitError:
            return True
        return False

    def check_descendants(self, total: int) -> None:
        """Refuses more jobs below the root than the tree may have."""
        allowed = self.place.max_descendants
        if allowed is not None and total > allowed:
            raise SpawnLimitError("max_descendants", allowed, total, self.place.root)

    @property
    def room(self) -> int | None:
        """How many more children it may have, as far as its own limit says."""
        try:
            self.check_depth()
        except SpawnLimitError:
            return 0
        allowed = self.config.max_spawn_count
        return None if allowed is None else max(allowed - len(self.early), 0)

    def prepare(self) -> FoundHandler | None:
        """Finds the spawn handler and the place of the job; ``None`` if it has none.

        Raises:
            SpawnError: it has no valid configuration, or names an unknown handler.
        """
        given = config_of(Job._of(self.job))
        found = self._handlers._spawn_handler(Job._of(self.job), given)
        if found is None:
            return None
        self.config = given or self._handlers._default_config(self.job.queue_name) or SpawnConfig()
        self.handler = found
        self.place = self._spawner.ancestry
        return found

    @property
    def _spawner(self) -> Spawner:
        return Spawner.of(self.job, self._bare_place, self.config)

    def check_depth(self) -> None:
        """Refuses to spawn where the tree is as deep as it may be."""
        with named_limits():
            self._spawner.check_depth()

    def _validate(self, found: FoundHandler) -> None:
        try:
            result_of(found.handler.validate_spawn(Job._of(self.job), own_config(self.config)))
        except (SpawnError, KeyboardInterrupt):
            raise
        except BaseException as error:
            raise SpawnRefusedError(f"validate_spawn of {found.name} refused: {message_of(error)}") from error

    def _drained(self, found: FoundHandler, most: int) -> Children:
        job, config = Job._of(self.job), own_config(self.config)
        context = SpawnContext(
            *(job, config, self._queue, self.spawn, self.result, None, lambda: self._bare_place),
            _resources=self.resources,
            _reported=self.report,
            _room=lambda: self.room,
            _is_over=self.look,
        )
        produced = produced_by(found.handler, context)
        parent, root, also = Job._of(self.job), self.place.root, (self._handlers._priorities, self.check_depth)
        if inspect.isawaitable(produced) or isinstance(produced, AsyncIterable):
            children: Children = result_of(
                drain_async(parent, config, self._at_most_async(produced, most), self._now, root, *also)
            )
            return children
        return drain(parent, config, self._at_most(produced, most), self._now, root, *also)

    def _is_wanted(self, most: int) -> bool:
        if self.produced >= most:
            self.was_stopped = True
            return False
        self.produced += 1
        return True

    def _at_most(self, produced: object, most: int) -> Iterator[Any]:
        try:
            for child in iterable(produced):
                if not self._is_wanted(most):
                    return
                yield child
        finally:
            if isinstance(produced, Generator):
                produced.close()

    async def _at_most_async(self, produced: object, most: int) -> AsyncIterator[Any]:
        if isinstance(produced, Awaitable):
            produced = await produced
        if not isinstance(produced, AsyncIterable):
            for child in self._at_most(produced, most):
                yield child
            return
        try:
            async for child in produced:
                if not self._is_wanted(most):
                    return
                yield child
        finally:
            if isinstance(produced, AsyncGenerator):
                await produced.aclose()

    def spawn(self, job: Job, *, key: str | None = None) -> Job:
        """Collects a child by key: ``context.spawn``."""
        key = check_spawn(job, key)
        self.check_depth()
        unlimited = replace(self.config, max_spawn_count=None, spawn_delay=None)
        with drain(Job._of(self.job), unlimited, [job], self._now, priorities=self._handlers._priorities) as children:
            new = next(iter(children.batches()))[0]
        new.join = job._join
        if new.join is not None and any(child.join is None for name, child in self.early.items() if name != key):
            raise came_too_late()
        known = self.early.get(key)
        if known is not None and (known.queue, payload_hash(known.payload)) != (new.queue, payload_hash(new.payload)):
            raise LastingConflictError(
                f"The key {key!r:.100} names another child that this attempt has spawned.",
                hint="Give each child of a job its own key.",
            )
        allowed = self.config.max_spawn_count
        if known is None:
            self.produced += 1
            if allowed is not None and self.produced > allowed:
                raise SpawnLimitError("max_spawn_count", allowed, self.produced, self.place.root)
            self.early[key] = new
        child = replace(job, queue=new.queue, id=(known or new).id)
        child.created = known is None
        return child


def claimed(job: NewJob, now: datetime) -> Claimed:
    """Returns a new job as a worker would get it."""
    return Claimed(
        id=job.id,
        queue_name=job.queue,
        payload=job.payload,
        priority=int(job.priority),
        attempts=1,
        max_attempts=job.max_attempts,
        timeout_seconds=job.timeout_seconds,
        created_at=job.created_at,
        scheduled_at=job.scheduled_at,
        depends_on=list(job.depends_on),
        workflow_id=job.workflow_id,
        workflow_name=job.workflow_name,
        batch_id=job.batch_id,
        trace_id=job.trace_id,
        correlation_id=job.correlation_id,
        parent_span_id=job.parent_span_id,
        span_context=job.span_context,
        cron_schedule=job.cron_schedule,
        timezone=job.timezone,
        recurring=job.recurring,
        next_run_at=job.next_run_at,
        result_ttl_seconds=job.result_ttl_seconds,
        result_max_size_bytes=job.result_max_size_bytes,
        retry_strategy=job.retry_strategy,
        claim_losses=None,
        ancestry=None,
        claim=Claim("", "", now),
        has_spawned=False,
        encryption=job.encryption,
    )


def shape(parent: str, children: Sequence[NewJob]) -> SpawnShape:
    """How children at the end of a job wait for each other."""
    ids = {child.id for child in children}
    waits = {child.id: tuple(other for other in child.depends_on if other in ids) for child in children}
    after_siblings = sum(bool(others) for others in waits.values())
    others = sum(any(other != parent and other not in ids for other in child.depends_on) for child in children)
    return SpawnShape(len(children) - after_siblings, after_siblings, others, chain_length(waits))
