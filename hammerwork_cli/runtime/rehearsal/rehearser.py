"""Rehearses jobs and those that they would spawn: what the tree would be, and what would refuse it."""

import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime

from hammerwork_cli.core.values import JobStatus
from hammerwork_cli.database import Database
from hammerwork_cli.errors import HammerworkError, JobNotFoundError
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
from hammerwork_cli.features.worker.queries.claim import Claimed
from hammerwork_cli.runtime.api.handlers import Handlers
from hammerwork_cli.runtime.api.spawn import SpawnError, SpawnFailedError, SpawnLimitError
from hammerwork_cli.runtime.host.loading import place_of
from hammerwork_cli.runtime.outcomes.failures import first_line, message_of, spawn_failure
from hammerwork_cli.runtime.rehearsal.collecting_queue import CollectingQueue
from hammerwork_cli.runtime.rehearsal.spawn_step import SpawnStep, claimed


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

    def _late_children(self, found: Rehearsal, number: int, step: SpawnStep) -> list[NewJob]:
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

    def _check(self, step: SpawnStep, late: list[NewJob], external: Iterable[str]) -> None:
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

    def _descendants(self, step: SpawnStep) -> int:
        """Jobs below the root before this parent spawns."""
        if self._before is None:
            self._before = ancestry.descendants(self._database, step.place) if self._database else 0
        return self._before + self._spawned

    def _keep_tightest(self, found: Rehearsal, step: SpawnStep) -> None:
        """Keeps the tightest limit of each name among all parents so far."""
        place, known = step.place, {limit.name: limit for limit in found.limits}
        deepest = ancestry.DEEPEST if place.max_depth is None else place.max_depth
        largest = ancestry.MOST_DESCENDANTS if place.max_descendants is None else place.max_descendants
        most, produced = step.config.max_spawn_count, step.produced
        if most is not None:  # the first one too many ends the handler; early ones may come on top
            produced = min(produced, most + 1)
        for limit in (
            Limit("max_spawn_count", most, produced),
            Limit("max_depth", deepest, place.depth + 1),
            Limit("max_descendants", largest, self._descendants(step) + produced),
        ):
            old = known.get(limit.name)
            if old is None or old.left is None or (limit.left is not None and limit.left < old.left):
                known[limit.name] = limit
        found.limits = tuple(known.values())


def shape(parent: str, children: Sequence[NewJob]) -> SpawnShape:
    """How children at the end of a job wait for each other."""
    ids = {child.id for child in children}
    waits = {child.id: tuple(other for other in child.depends_on if other in ids) for child in children}
    after_siblings = sum(bool(others) for others in waits.values())
    others = sum(any(other != parent and other not in ids for other in child.depends_on) for child in children)
    return SpawnShape(len(children) - after_siblings, after_siblings, others, chain_length(waits))
