"""Spawns the children of jobs: those of a spawn handler at the end of an attempt, and those of a spawn request."""

import inspect
import logging
import time
from collections.abc import AsyncIterable, Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from hammerwork_cli.core.codecs import decoded
from hammerwork_cli.core.ids import new_id
from hammerwork_cli.core.input.spawn_config import SpawnConfig
from hammerwork_cli.database import Database
from hammerwork_cli.errors import DatabaseError, HammerworkError
from hammerwork_cli.features.job.models.spawn_request import SpawnRequest
from hammerwork_cli.features.job.queries import results
from hammerwork_cli.features.worker.queries import finish, requests, spawn
from hammerwork_cli.features.worker.queries.claim import Claimed
from hammerwork_cli.features.worker.queries.finish import EndedAttempt, FinishReport
from hammerwork_cli.features.worker.queries.spawn import LostClaimError, Operation, SpawnedBeforeError
from hammerwork_cli.runtime.api.handlers import Handlers
from hammerwork_cli.runtime.api.job import Job
from hammerwork_cli.runtime.api.resources import OpenResources
from hammerwork_cli.runtime.api.spawn import (
    FoundHandler,
    SpawnContext,
    SpawnError,
    SpawnFailedError,
    SpawnResult,
    UnknownSpawnHandlerError,
    config_of,
)
from hammerwork_cli.runtime.clock import ServerClock
from hammerwork_cli.runtime.connections import Connections
from hammerwork_cli.runtime.execution.attempts import Attempt
from hammerwork_cli.runtime.execution.calls import in_own_context, own_config, readable, validate
from hammerwork_cli.runtime.execution.event_loop import EventLoop
from hammerwork_cli.runtime.execution.isolation import Isolation
from hammerwork_cli.runtime.execution.outcome_policy import OutcomePolicy
from hammerwork_cli.runtime.execution.parents import Parent, named_limits
from hammerwork_cli.runtime.faults import Progress
from hammerwork_cli.runtime.host.logs import handled
from hammerwork_cli.runtime.outcomes.children import Children, drain, drain_async, produced_by
from hammerwork_cli.runtime.outcomes.failures import OutOfTimeError, described, for_log, wanted_by
from hammerwork_cli.view.text import plural

if TYPE_CHECKING:
    from hammerwork_cli.runtime.api.queue import Queue

LOST = "The job was taken from this worker while it ran: it spawned nothing."
log = logging.getLogger("hammerwork")


class _UndoneError(Exception):
    """Rolls a transaction back."""


class ChildSpawner:
    """Calls spawn handlers, each in the thread of its attempt, and writes the children.

    Nothing here changes after construction.

    Args:
        isolation: prepares the thread of a spawn request.
        resources: for handlers that run here.
        queue: what handlers get.
        connections: for what attempts write themselves.
        loop: runs spawn handlers that are coroutines or async generators, while their thread waits.
        most_descendants: of a tree that sets no limit.
        callbacks_due: called when somebody is to look at callbacks.
        spawned: called when there are new jobs.
    """

    def __init__(
        self,
        handlers: Handlers,
        isolation: Isolation,
        resources: OpenResources,
        queue: "Queue",
        connections: Connections,
        loop: EventLoop,
        clock: ServerClock,
        progress: Progress,
        outcome_policy: OutcomePolicy,
        *,
        most_descendants: int,
        callbacks_due: Callable[[], None],
        spawned: Callable[[], None],
    ) -> None:
        self._handlers, self._isolation, self._resources, self._queue = handlers, isolation, resources, queue
        self._connections, self._loop, self._clock = connections, loop, clock
        self._progress, self._outcome_policy = progress, outcome_policy
        self._callbacks_due, self._spawned = callbacks_due, spawned
        self._codecs = queue.url.codecs
        self._priorities, self._most_descendants = handlers._priorities, most_descendants

    def context(self, attempt: Attempt, job: Job, config: SpawnConfig, result: str | None = None) -> SpawnContext:
        """Makes what a handler gets beside its job."""
        parent = self._parent(attempt, config)
        return SpawnContext(
            *(job, own_config(config), self._queue, parent.spawn, result),
            self._time_of(attempt.deadline),
            lambda: parent.place,
            lambda: attempt.over,
            self._resources,
            attempt.hand_down,
            lambda share, text: attempt.report(share, text, self._clock.now()),
            lambda: parent.room,
        )

    def _time_of(self, deadline: float | None) -> datetime | None:
        """A deadline by the server's clock; ``None`` for one that no time can hold."""
        if deadline is not None:
            with suppress(OverflowError):
                return self._clock.now() + timedelta(seconds=deadline - time.monotonic())
        return None

    def _parent(self, attempt: Attempt, config: SpawnConfig) -> Parent:
        return Parent(self._connections, self._clock, attempt, config, self._priorities, self._most_descendants)

    def spawn(
        self,
        attempt: Attempt,
        completed: EndedAttempt,
        found: FoundHandler,
        config: SpawnConfig,
        result: str | None,
    ) -> EndedAttempt | None:
        """Spawns the children of a job whose handler has returned, in the transaction that completes it.

        Returns:
            The outcome that is still to be written; ``None`` without one.
        """
        claimed, began = completed.job, self._clock.now()
        if claimed.has_spawned:
            return self._spawned_before(completed)
        try:
            operation, children = self._produce(attempt, found, config, result, began)
        except BaseException as error:  # noqa: BLE001  whatever a handler raises fails its attempt
            return self._not_spawned(attempt, completed, found, config, error, began)
        if self._leaves_nothing(attempt, found, children):
            return completed  # it is written with others, as the end of any job
        with children:
            while attempt.decide():
                try:
                    self._commit(attempt, completed, operation, children)
                except SpawnedBeforeError:
                    return self._spawned_before(completed)
                except HammerworkError as error:
                    ended = self._not_spawned(attempt, completed, found, config, error, began)
                    is_unknown = type(error) is DatabaseError and not self._connections.stopped_at_once.is_set()
                    if ended is None or not is_unknown or self._accepts(ended):
                        return ended
                else:
                    self._announce(found, operation, claimed, children)
                    return None
        return None

    @staticmethod
    def _leaves_nothing(attempt: Attempt, found: FoundHandler, children: Children) -> bool:
        """Whether a spawn has neither children, nor a record or a hook that somebody waits for."""
        is_asked_for = attempt.keys or Job._of(attempt.job)._stored_config is not None
        return not children and not is_asked_for and not found.handler._has_hook

    def _accepts(self, ended: EndedAttempt) -> bool:
        """Whether the database accepts an outcome, which it writes and undoes."""

        def unit(database: Database) -> None:
            finish.finish(database, [ended], max(self._clock.now(), ended.job.claim.started_at))
            raise _UndoneError

        def undone(database: Database) -> None:
            database.transaction(lambda: unit(database))

        try:
            with suppress(_UndoneError):
                self._connections.run(undone, patience=0)
        except DatabaseError:
            return False
        return True

    @staticmethod
    def _spawned_before(completed: EndedAttempt) -> EndedAttempt:
        job = completed.job
        log.info("The job has spawned before, and does not spawn again.", extra=handled(job))
        return completed

    def _produce(
        self, attempt: Attempt, found: FoundHandler, config: SpawnConfig, result: str | None, began: datetime
    ) -> tuple[Operation, Children]:
        """Calls the spawn handler. Each step may change the job and the configuration that it gets."""
        parent = self._parent(attempt, config)
        job = attempt.job
        in_own_context(job, validate, found, job, config, lambda value: self._result_of(value, attempt), OutOfTimeError)
        context = self.context(attempt, Job._of(attempt.job), config, result)
        children = in_own_context(attempt.job, self._drained, attempt, found, context, began, parent)
        return Operation(new_id(), parent.spawner, found.name, config, began, len(children)), children

    def _drained(
        self, attempt: Attempt, found: FoundHandler, context: SpawnContext, began: datetime, parent: Parent
    ) -> Children:
        root = parent.place.root
        produced = produced_by(found.handler, context)
        job, config, also = Job._of(attempt.job), context.config, (self._priorities, parent.check_depth)
        if inspect.isawaitable(produced) or isinstance(produced, AsyncIterable):
            attempt.awaits = produced
            children: Children = self._loop.result(
                drain_async(job, config, produced, began, root, *also), attempt.deadline, attempt, produced
            )
            attempt.awaits = None
            return children
        return drain(job, config, produced, began, root, *also)

    def _result_of(self, value: Any, attempt: Attempt | None = None) -> Any:
        """Returns the result of an awaitable, which ends with its attempt, or any other value as it is."""
        deadline = attempt.deadline if attempt else None
        return self._loop.result(value, deadline, attempt) if inspect.isawaitable(value) else value

    def _commit(self, attempt: Attempt, completed: EndedAttempt, operation: Operation, children: Children) -> None:
        completed.took = time.monotonic() - attempt.began

        def unit(database: Database) -> FinishReport:
            return spawn.complete(
                database,
                completed,
                operation,
                children.batches,
                external=children.external,
                are_unique=children.are_unique,
                now=max(self._clock.now(), attempt.job.claim.started_at),
            )

        with named_limits():
            report = self._connections.run(unit, told=attempt.refuse)
        attempt.refuse(None)
        completed.took = time.monotonic() - attempt.began
        self._progress.count([] if report.lost else [completed])
        if report.lost:
            raise LostClaimError(f"Job {attempt.job.id} belongs to another worker now: it spawned nothing.")
        if report.callbacks:
            self._callbacks_due()
        children.drop(report.held)

    def _not_spawned(
        self,
        attempt: Attempt,
        completed: EndedAttempt,
        found: FoundHandler,
        config: SpawnConfig,
        error: BaseException,
        began: datetime,
    ) -> EndedAttempt | None:
        if isinstance(error, LostClaimError):
            log.warning(LOST, extra=handled(completed.job))
            return None
        if attempt.over:
            return None
        self._mention_kept(attempt, config, error)
        text = described(error)
        final = (
            isinstance(error, OutOfTimeError)
            or wanted_by(error) is not None
            or self._outcome_policy.is_of_the_stop(error)
        )
        if final or config.on_error != "complete" or not attempt.decide():
            return self._outcome_policy.failed_by(completed.job, error)
        said, first = "The job completes although it could not spawn: %s", text.partition("\n")[0]
        log.warning(said, first, exc_info=for_log(error), extra=handled(completed.job))
        operation = Operation(new_id(), self._parent(attempt, config).spawner, found.name, config, began, 0, error=text)
        try:
            self._commit(attempt, completed, operation, Children(completed.job.id))
        except LostClaimError:
            log.warning(LOST, extra=handled(completed.job))
        except HammerworkError as another:  # the database may refuse the result of the job
            return self._outcome_policy.failed_by(completed.job, another)
        return None

    def _mention_kept(self, attempt: Attempt, config: SpawnConfig, error: BaseException) -> None:
        if isinstance(error, SpawnError):
            error._with_kept(self._parent(attempt, config).kept(), early=False)

    def _announce(self, found: FoundHandler, operation: Operation, claimed: Claimed, children: Children) -> None:
        self._spawned()
        if children:
            log.info("The job spawned %s by %s.", plural(len(children), "job"), found.name, extra=handled(claimed))
        name = operation.config.operation_id or operation.id
        result = SpawnResult(claimed.id, name, found.name, len(children), tuple(children.first_ids), self._clock.now())
        try:
            in_own_context(claimed, lambda: self._result_of(found.handler.on_spawn_complete(result)))
        except BaseException as error:
            log.exception(
                "on_spawn_complete of %s failed; the children of the job stay.", found.name, extra=handled(claimed)
            )
            text = described(error)
            self._record(lambda database: spawn.hook_failed(database, operation.id, text))

    def _record(self, unit: Callable[[Database], None]) -> None:
        """Writes a failure for operators. Nothing depends on it."""
        try:
            self._connections.run(unit)
        except HammerworkError as error:
            log.error("A failure could not be recorded: %s", error.message)

    def fulfil(self, attempt: Attempt, request: SpawnRequest) -> None:
        """Writes the children that a spawn request asks for, or why there are none."""
        claimed, began = attempt.job, self._clock.now()
        try:
            self._isolation.ready(attempt)
            claimed = attempt.job = readable(claimed, self._queue.url)
            job = Job._of(claimed)
            config = SpawnConfig._parse(request.config) if request.config else config_of(job)
            config = config or self._handlers._default_config(claimed.queue_name) or SpawnConfig()
            named = replace(config, handler=request.handler or config.handler)
            found = self._handlers._spawn_handler(job, named)
            if found is None:
                raise UnknownSpawnHandlerError(claimed.queue_name, self._handlers.handler_names)
            stored = self._connections.run(lambda database: results.texts(database, [claimed.id]).get(claimed.id))
            result = None if stored is None else decoded(stored, self._codecs)
            operation, children = self._produce(attempt, found, named, result, began)
            with children:
                self._commit_request(attempt, request, operation, children)
                self._announce(found, operation, claimed, children)
        except BaseException as error:
            if self._outcome_policy.is_of_the_stop(error) or (
                self._isolation.can_kill and self._connections.stopped_at_once.is_set()
            ):
                return  # its process was killed with the worker: another worker claims the request
            self._mention_kept(attempt, SpawnConfig(), error)
            text, now = described(error), self._clock.now()
            said, first = "The spawn request for the job failed: %s", text.partition("\n")[0]
            log.warning(said, first, exc_info=for_log(error), extra=handled(claimed))
            self._record(lambda database: requests.refuse(database, request, claimed, text, now))

    def _commit_request(
        self, attempt: Attempt, request: SpawnRequest, operation: Operation, children: Children
    ) -> None:
        def unit(database: Database) -> FinishReport:
            return requests.fulfil(
                database,
                request,
                attempt.job,
                operation,
                children.batches,
                external=children.external,
                are_unique=children.are_unique,
                now=self._clock.now(),
            )

        with named_limits():
            report = self._connections.run(unit, told=attempt.refuse)
        if report.lost:
            raise SpawnFailedError("Another worker has the request now, or the job was deleted.")
        children.drop(report.held)
