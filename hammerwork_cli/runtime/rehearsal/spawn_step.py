"""Runs the spawn handler of one job without writing what it spawns."""

import inspect
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Generator, Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any

from hammerwork_cli.core.input.spawn_config import SpawnConfig
from hammerwork_cli.errors import LastingConflictError
from hammerwork_cli.features.job.models.new_job import NewJob
from hammerwork_cli.features.tree.ancestry import Ancestry
from hammerwork_cli.features.worker.queries.ancestry import MOST_DESCENDANTS, Spawner
from hammerwork_cli.features.worker.queries.claim import Claim, Claimed
from hammerwork_cli.runtime.api.handlers import Handlers
from hammerwork_cli.runtime.api.job import Job
from hammerwork_cli.runtime.api.resources import OpenResources
from hammerwork_cli.runtime.api.spawn import FoundHandler, SpawnContext, SpawnLimitError, config_of
from hammerwork_cli.runtime.api.tracing import TraceColumns
from hammerwork_cli.runtime.execution.calls import in_own_context, own_config, result_of, validate
from hammerwork_cli.runtime.execution.parents import came_too_late, check_spawn, named_limits, payload_hash
from hammerwork_cli.runtime.outcomes.children import Children, drain, drain_async, iterable, produced_by
from hammerwork_cli.runtime.rehearsal.collecting_queue import CollectingQueue


class SpawnStep:
    """One job whose spawn handler runs."""

    def __init__(
        self,
        handlers: Handlers,
        queue: CollectingQueue,
        now: datetime,
        job: Claimed,
        place: Ancestry,
        result: str | None,  # JSON text of its result
        resources: OpenResources,
    ) -> None:
        self._handlers, self._queue, self._now, self.result = handlers, queue, now, result
        self.resources = resources
        self.job, self.place, self._bare_place = job, place, place
        self.config = SpawnConfig()
        self.handler: FoundHandler | None = None  # once it is found
        self.early: dict[str, NewJob] = {}  # key -> child that was spawned before the end
        self.produced = 0  # children, one too many for a limit included
        self.was_stopped = False  # the handler had more children than were wanted
        self.progress: tuple[float, str] | None = None  # the last report: share and text

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
        in_own_context(self.job, validate, found, self.job, self.config, result_of, KeyboardInterrupt)
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
        is_default = self.place.max_descendants is None
        allowed = MOST_DESCENDANTS if self.place.max_descendants is None else self.place.max_descendants
        if total > allowed:
            raise SpawnLimitError("max_descendants", allowed, total, self.place.root, is_default=is_default)

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
    same = {name: getattr(job, name) for name in Claimed._fields if hasattr(job, name)}
    changed = {"priority": int(job.priority), "attempts": 1, "depends_on": list(job.depends_on), "ancestry": None}
    return Claimed(
        **same | changed, queue_name=job.queue, claim=Claim("", "", now), claim_losses=None, has_spawned=False
    )
