"""Spawn handlers, their context and their result."""

import json
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, NamedTuple, Protocol, TypeAlias

from hammerwork_cli import app_path
from hammerwork_cli.cached import cached
from hammerwork_cli.core.input import fields
from hammerwork_cli.core.input.limits import LONGEST_NAME
from hammerwork_cli.core.input.names import storable_name
from hammerwork_cli.core.input.spawn_config import STORED_KEYS, SpawnConfig
from hammerwork_cli.core.payloads import due_time
from hammerwork_cli.core.values import timestamp
from hammerwork_cli.errors import HammerworkError, UsageError
from hammerwork_cli.features.tree.ancestry import Ancestry
from hammerwork_cli.features.tree.progress import LONGEST_TEXT
from hammerwork_cli.runtime.api import tracing
from hammerwork_cli.runtime.api.absent import Translated
from hammerwork_cli.runtime.api.job import Job, Payload
from hammerwork_cli.runtime.api.payloads import PayloadReader, reader_of
from hammerwork_cli.runtime.api.resources import OpenResources, UsesResources
from hammerwork_cli.runtime.api.results import Results
from hammerwork_cli.runtime.api.signatures import check_call, refusal, signature
from hammerwork_cli.runtime.api.tracing import TraceColumns

if TYPE_CHECKING:
    from hammerwork_cli.runtime.api.queue import Queue

JOIN_SCOPES, ON_FAILURE = ("children", "tree"), ("fail", "run")
FIRST_CHILDREN = 1000
NOTHING_SPAWNED = "Nothing was spawned."
"""The end of the message of an error; see :meth:`SpawnError._with_kept`."""

Produced: TypeAlias = Iterable[Job] | AsyncIterable[Job] | Awaitable[Iterable[Job]]
"""The types that ``spawn_jobs`` may return: a list or another iterable, sync or async, or a generator."""


class SpawnError(HammerworkError):
    """A job could not spawn: its children were not written. Early children that were written before stay."""

    code = "spawn"

    def _with_kept(self, kept: int, *, early: bool) -> None:
        """Adds the number of children by key that stay; ``early`` says that the error is about another one."""
        if kept and self.message.endswith(NOTHING_SPAWNED):
            what = "This one was not spawned" if early else "Nothing else was spawned"
            they = "the one that was spawned early stays" if kept == 1 else f"the {kept:,} that were spawned early stay"
            self.message = f"{self.message.removesuffix(NOTHING_SPAWNED)}{what}; {they}."
            self.args = (self.message, *self.args[1:])


class SpawnLimitError(SpawnError):
    """More children, generations or descendants than a limit allows.

    Attributes:
        limit: its name, as in :class:`SpawnConfig`.
        value: the number that it allows.
        attempted: the number that was requested, or the first one that is too many.
        root: id of the root of the tree.
    """

    code = "spawn_limit"
    retryable = False
    _THINGS: ClassVar[dict[str, tuple[str, str]]] = {
        "max_spawn_count": ("child of one job", "children of one job"),
        "max_depth": ("generation below the root", "generations below the root"),
        "max_descendants": ("job below the root", "jobs below the root"),
    }

    def __init__(self, limit: str, value: int, attempted: int, root: str, *, is_default: bool = False) -> None:
        unless = " unless a spawn configuration, or --max-descendants of the worker, sets another number"
        super().__init__(
            f"{limit} allows {value:,} {self._THINGS[limit][value != 1]}{unless * is_default}, and this would be"
            f" {attempted:,} (root {root}). {NOTHING_SPAWNED}",
            hint=f"Raise {limit} in the job's spawn configuration, or spawn less.",
            limit=limit,
            value=value,
            attempted=attempted,
            root=root,
        )
        self.limit, self.value, self.attempted, self.root = limit, value, attempted, root


class InvalidSpawnConfigError(SpawnError):
    """``payload._spawn_config`` holds an invalid value."""

    code = "spawn_config"
    retryable = False


class UnknownSpawnHandlerError(SpawnError):
    """A job names a spawn handler that is not registered.

    Attributes:
        name: the name, or the job's queue.
        registered: the registered names.
    """

    code = "spawn_handler_unknown"
    retryable = False

    def __init__(self, name: str, registered: Iterable[str]) -> None:
        self.name, self.registered = name, tuple(registered)
        known = ", ".join(self.registered) if self.registered else "none"
        super().__init__(f"There is no spawn handler {name!r:.100}. Registered: {known:.1000}.", name=name)


class SpawnRefusedError(SpawnError):
    """``validate_spawn`` refused."""

    code = "spawn_refused"


class SpawnFailedError(SpawnError):
    """``spawn_jobs`` raised, or produced children that cannot be written."""

    code = "spawn_failed"


class UnwritableError(SpawnFailedError):
    """``spawn_jobs`` produced a value that is not a job, or jobs that cannot be written."""

    retryable = False


class SpawnFunction(Protocol):
    """``context.spawn``."""

    def __call__(self, job: Job, *, key: str) -> Job:
        """Writes a child at once. It may run at once.

        Args:
            job: the child.
            key: its name among its parent's children: a retried parent finds it instead of writing another one.

        Returns:
            The child as it is stored, or the job that holds its unique key and becomes no child. With ``created``,
            this call wrote it. Otherwise an earlier attempt did, perhaps with another payload, or another program did,
            with the same id and content; it has its present ``status``.

        Raises:
            SpawnLimitError: it is one too many; it is not written.
            ConflictError: this attempt has spawned a job with another queue or payload by this key, another job has
                its id, or it depends on a job that failed.
            NotFoundError: it depends on a job that does not exist.
            UsageError: the key or the job cannot be stored.
        """


def _no_worker(job: Job, *, key: str) -> Job:
    raise SpawnFailedError(f"Only a worker can write the child {key!r:.100} ({job.queue}) before its parent ends.")


@dataclass(frozen=True)
class SpawnContext(UsesResources, Generic[Payload]):
    """The context of a job, for its handler and for ``spawn_jobs``; ``Context`` is the same.

    Attributes:
        parent_job: the job that succeeded, as it is stored: without changes that its handler made to it.
        config: its spawn configuration.
        queue: the queues, to read, and to enqueue jobs that are not children.
        spawn: ``spawn(job, key=...)`` writes a child now instead of at the end.
        result_text: the JSON text of :attr:`result`.
        deadline: when the time of the attempt is up, by the server's clock; ``None`` without a timeout.
        cancelled: whether the attempt is over although its handler still runs: the job was cancelled or taken from this
            worker, its time is up, or the worker is stopping at once. Its result and its children are not written. A
            long-running handler in a thread should check it; a coroutine is cancelled instead, and a process is killed.
        depth: generations of spawning above the job; 0 for the root of a tree.
        root_id: id of the root of the tree.
    """

    parent_job: Job[Payload]
    config: SpawnConfig = field(default_factory=SpawnConfig)
    queue: "Queue" = None  # type: ignore[assignment]  # handlers always get one
    spawn: SpawnFunction = _no_worker
    result_text: str | None = None
    deadline: datetime | None = None
    _place: Callable[[], Ancestry] | None = field(default=None, repr=False, compare=False)
    _is_over: Callable[[], bool] | None = field(default=None, repr=False, compare=False)
    _resources: OpenResources | None = field(default=None, repr=False, compare=False)

    _handed_down: Callable[[TraceColumns], None] | None = field(default=None, repr=False, compare=False)
    _reported: Callable[[float, str], None] | None = field(default=None, repr=False, compare=False)
    _room: Callable[[], int | None] | None = field(default=None, repr=False, compare=False)

    def _hand_down(self, carrier: Mapping[str, str]) -> None:
        """Adds what this attempt spawns to the trace of a span."""
        if self._handed_down is not None:
            self._handed_down(tracing.columns(carrier))

    def _open(self, resource: Callable[..., Any]) -> Any:
        if self._resources is None:
            raise UsageError("Only a worker, a rehearsal or testing.run opens resources.")
        return self._resources.use(resource)

    async def aspawn(self, job: Job, *, key: str) -> Job:
        """Writes a child at once, as ``spawn`` does, and does not block the event loop.

        Args:
            job: the child.
            key: its name among its parent's children: a retried parent finds it instead of writing another one.

        Returns:
            The child as it is stored: see ``spawn``.

        Raises:
            SpawnLimitError: it is one too many; it is not written.
            ConflictError, NotFoundError, UsageError: see ``spawn``.
        """
        with app_path.without():
            import asyncio
        return await asyncio.to_thread(self.spawn, job, key=key)

    def after_all(
        self,
        job: Job,
        *,
        scope: Literal["children", "tree"] = "children",
        on_failure: Literal["fail", "run"] = "fail",
        key: str = "after_all",
    ) -> Job:
        """Writes a child that runs once when the other children have ended, however many they are.

        Call it before anything else is spawned: it waits for the children that follow, but not for those that depend on
        it. It is itself one of the children that ``max_spawn_count`` and ``max_descendants`` count. Its :meth:`results`
        are those of the jobs that it waited for.

        Args:
            job: the child.
            scope: the other children of this job, or all jobs below it.
            on_failure: ``fail`` fails the child once all have ended, if one of them failed; a retry of that one lets it
                wait again. ``run`` runs it in any case.
            key: its name among the children, as for ``spawn``.

        Returns:
            The child as it is stored.

        Raises:
            UsageError: an argument is not valid, or this attempt has spawned a child already.
            SpawnError, ConflictError, NotFoundError: see ``spawn``.
        """
        for name, given, known in (("scope", scope, JOIN_SCOPES), ("on_failure", on_failure, ON_FAILURE)):
            if given not in known:
                raise UsageError(f"{name} must be {known[0]!r} or {known[1]!r}, not {given!r:.60}.")
        if not isinstance(job, Job):
            raise UsageError(f"after_all takes a Job, not {type(job).__name__}.")
        if job.recurring or job.unique is not None:
            raise UsageError("A job that runs after all others can neither recur nor be unique.")
        joining = replace(job)
        joining._join = scope, on_failure
        return self.spawn(joining, key=key)

    async def aafter_all(
        self,
        job: Job,
        *,
        scope: Literal["children", "tree"] = "children",
        on_failure: Literal["fail", "run"] = "fail",
        key: str = "after_all",
    ) -> Job:
        """See :meth:`after_all`; it does not block the event loop."""
        with app_path.without():
            import asyncio
        return await asyncio.to_thread(self.after_all, job, scope=scope, on_failure=on_failure, key=key)

    def progress(self, share: float, text: str = "") -> None:
        """Reports how far the job is, for ``spawn tree``, ``spawn monitor``, ``job show`` and the REST API.

        It takes no statement: the next heartbeat of the worker writes the last report of each job, within 3 s.

        Args:
            share: of the work that is done, 0 to 1.
            text: what it does now; a line, of which 200 characters are kept.

        Raises:
            UsageError: the share is not a number from 0 to 1, or the text is not text.
        """
        if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0 <= share <= 1:
            raise UsageError(f"progress takes the share of the work that is done, 0 to 1, not {share!r:.60}.")
        if not isinstance(text, str):
            raise UsageError(f"The text of progress must be text, not {text!r:.60}.")
        if self._reported is not None:
            self._reported(float(share), text[:LONGEST_TEXT])

    @property
    def room(self) -> int | None:
        """How many more children this job may have before it reaches a limit; ``None`` if nothing limits them.

        Children that a spawn handler yields count at its end. Other jobs of the tree may take the same room meanwhile.
        It asks the database.

        Raises:
            DatabaseError: the database does not answer.
        """
        return self._room() if self._room is not None else self.config.max_spawn_count

    @property
    def job(self) -> Job[Payload]:
        """The job: ``parent_job``."""
        return self.parent_job

    @property
    def cancelled(self) -> bool:
        """See :class:`SpawnContext`."""
        return self._is_over is not None and self._is_over()

    @property
    def depth(self) -> int:
        """See :class:`SpawnContext`."""
        return self._place().depth if self._place else 0

    @property
    def root_id(self) -> str:
        """See :class:`SpawnContext`."""
        return self._place().root if self._place else self.parent_job.id

    @property
    def scheduled_for(self) -> datetime | None:
        """When the run of a schedule, or of a recurring job, was due, in UTC; ``None`` for other jobs.

        For a job that somebody triggered, it is the time of the trigger. With ``catch_up``, it may be long ago.
        """
        row = getattr(self.parent_job, "_row", None)
        if row is not None and row.recurring:
            return timestamp(row.next_run_at)
        return due_time(self.parent_job._stored_payload)

    @cached
    def result(self) -> Any:
        """The job's result, as it is stored; ``None`` if the job has no handler."""
        return None if self.result_text is None else json.loads(self.result_text)

    def results(self) -> Results:
        """The results of the jobs that this one depends on or, after :meth:`after_all`, waited for, by their ids.

        They are read on the first use, which raises what :meth:`Queue.results` raises.

        Raises:
            SpawnFailedError: the context has no queue to read them from: your own code made it.
        """
        queue: Queue | None = self.queue
        if queue is None:
            raise SpawnFailedError("Only a worker can read the results of the jobs that this one depends on.")
        return Results(queue, self.parent_job)


Context = SpawnContext
"""The same, for handlers that spawn nothing."""


@dataclass(frozen=True, slots=True)
class SpawnResult:
    """The result of an operation.

    Attributes:
        parent_id: id of the parent.
        operation_id: its name, or its id.
        handler: name of the spawn handler.
        children: number of children.
        child_ids: ids of the first 1,000.
        spawned_at: when they were committed.
    """

    parent_id: str
    operation_id: str
    handler: str
    children: int
    child_ids: tuple[str, ...]
    spawned_at: datetime


class SpawnHandler:
    """Spawns the children of a job once it has succeeded. Override ``spawn_jobs``; each method may be ``async``."""

    @property
    def _has_hook(self) -> bool:
        """Whether somebody wants to hear what was spawned."""
        return getattr(self.on_spawn_complete, "__func__", None) is not SpawnHandler.on_spawn_complete

    def validate_spawn(self, parent_job: Job, config: SpawnConfig, /) -> Any:
        """Raises an error if this job must not spawn.

        The spawning then fails with a :class:`SpawnRefusedError`, or with this error if it is a :class:`SpawnError`.

        Args:
            parent_job: the job that succeeded.
            config: its spawn configuration.
        """

    def spawn_jobs(self, context: SpawnContext, /) -> Produced:
        """The children.

        It runs outside any transaction. All of its jobs are written together with the parent's completion, or none.

        Args:
            context: of the job that succeeded.

        Raises:
            NotImplementedError: a subclass has not overridden it.
            Exception: whatever it raises: then none of the jobs that it produced is written (those of
                ``context.spawn`` stay), and the spawning fails with a :class:`SpawnFailedError`, or with this error if
                it is a :class:`SpawnError`.
        """
        raise NotImplementedError(f"{type(self).__name__} has no spawn_jobs")

    def on_spawn_complete(self, result: SpawnResult, /) -> Any:
        """Called after the children are committed. An error is logged and changes nothing.

        Args:
            result: what was spawned.
        """


class FunctionHandler(SpawnHandler):
    """A plain function ``(context) -> jobs`` as a spawn handler."""

    def __init__(self, function: Callable[[SpawnContext], Produced]) -> None:
        self.function = function

    def spawn_jobs(self, context: SpawnContext, /) -> Produced:
        """Calls the function."""
        return self.function(context)


class _Reading(SpawnHandler):
    """A spawn handler that names the type of its jobs' payloads; it gets them so."""

    def __init__(self, handler: SpawnHandler, for_jobs: PayloadReader | None, for_check: PayloadReader | None) -> None:
        self.handler, self.readers = handler, tuple(filter(None, (for_jobs, for_check)))
        self._for_jobs, self._for_check = for_jobs, for_check
        self.on_spawn_complete = handler.on_spawn_complete  # type: ignore[method-assign]  # has no payload

    def validate_spawn(self, parent_job: Job, config: SpawnConfig, /) -> Any:
        _read(self._for_check, parent_job)
        return self.handler.validate_spawn(parent_job, config)

    def spawn_jobs(self, context: SpawnContext, /) -> Produced:
        _read(self._for_jobs, context.parent_job)
        return self.handler.spawn_jobs(context)


class FoundHandler(NamedTuple):
    """A spawn handler, and the name by which it was found."""

    name: str
    handler: SpawnHandler


class SpawnManager(Translated):
    """Spawn handlers by name."""

    def __init__(self) -> None:
        self._spawners: dict[str, SpawnHandler] = {}

    def register_handler(
        self, name: str, handler: "SpawnHandler | type[SpawnHandler] | Callable[[SpawnContext], Produced]"
    ) -> None:
        """The name of :meth:`register_spawn` in hammerwork (Rust): see there."""
        self.register_spawn(name, handler)

    def register_spawn(
        self, name: str, handler: "SpawnHandler | type[SpawnHandler] | Callable[[SpawnContext], Produced]"
    ) -> None:
        """Registers a spawn handler: an object, its class, or a plain function ``(context) -> jobs``.

        Args:
            name: the name in jobs' ``_spawn_config.handler``, or the queue of jobs that name none.
            handler: spawns the children.

        Raises:
            UsageError: the name is taken, too long or not text, or the object is not a handler.
        """
        if not fields.text(name, "A spawn handler's name"):
            raise UsageError("A spawn handler's name must not be empty.")
        if len(name) > LONGEST_NAME:
            raise UsageError(f"A spawn handler's name has at most {LONGEST_NAME} characters, not {len(name):,}.")
        if name in self._spawners:
            raise UsageError(f"There is already a spawn handler {name!r:.100}.")
        made = _as_handler(handler)
        _check_signatures(name, made)
        self._spawners[name] = _reading(name, made)

    def _check_payloads(self) -> None:
        """See :meth:`Handlers._check_payloads`."""
        for handler in self._spawners.values():
            for reader in handler.readers if isinstance(handler, _Reading) else ():
                reader.check()

    @property
    def handler_names(self) -> tuple[str, ...]:
        """The names of the registered handlers, sorted."""
        return tuple(sorted(self._spawners))

    def _named(self, name: str) -> SpawnHandler:
        if name not in self._spawners:
            raise UnknownSpawnHandlerError(name, self.handler_names)
        return self._spawners[name]

    def _spawn_handler(self, job: Job, config: SpawnConfig | None) -> FoundHandler | None:
        """The spawn handler of a job: the one that its configuration names, else that of its queue.

        Returns ``None`` when the job has no configuration and its queue has no spawn handler.
        """
        name = (config.handler if config else None) or job.queue or ""
        handler = self._spawners.get(name)
        if handler is not None:
            return FoundHandler(name, handler)
        if config is None:
            return None
        raise UnknownSpawnHandlerError(name, self.handler_names)


def _as_handler(given: object) -> SpawnHandler:
    if isinstance(given, type) and issubclass(given, SpawnHandler):
        given = given()
    if isinstance(given, SpawnHandler) and type(given).spawn_jobs is SpawnHandler.spawn_jobs:
        raise UsageError(f"{type(given).__name__} has no method spawn_jobs, which yields the children.")
    if isinstance(given, SpawnHandler) or callable(getattr(given, "spawn_jobs", None)):
        return _complete(given)
    if callable(given) and not isinstance(given, type):
        return FunctionHandler(given)
    raise UsageError(
        f"{type(given).__name__} is not a spawn handler.",
        hint="Give a SpawnHandler, or a function that takes the context and returns jobs.",
    )


_CALLS = {
    "validate_spawn": ("parent_job", "config"),
    "spawn_jobs": ("context",),
    "on_spawn_complete": ("result",),
}
"""The arguments of each method of a spawn handler."""


def _check_signatures(name: str, handler: SpawnHandler) -> None:
    for method, arguments in _CALLS.items():
        if method == "spawn_jobs" and isinstance(handler, FunctionHandler):
            check_call(handler.function, f"The spawn handler {name!r:.100}", *arguments)
        else:
            check_call(getattr(handler, method), f"{method} of the spawn handler {name!r:.100}", *arguments)
    produce = handler.function if isinstance(handler, FunctionHandler) else handler.spawn_jobs
    known = signature(produce)
    if known is not None and next(iter(known.parameters), "") in {"job", "parent_job"}:
        raise refusal(
            produce,
            f"The spawn handler {name!r:.100}",
            "(context)",
            "Name the parameter context. The job is context.parent_job.",
        )


def _read(reader: PayloadReader | None, job: Job) -> None:
    try:
        if reader is not None:
            reader.read(job)
    except UsageError as error:
        raise SpawnFailedError(f"{error.message} {NOTHING_SPAWNED}") from error


def _reading(name: str, handler: SpawnHandler) -> SpawnHandler:
    produce = handler.function if isinstance(handler, FunctionHandler) else handler.spawn_jobs
    for_jobs = reader_of(produce, (SpawnContext,), f"The spawn handler {name!r:.100}")
    for_check = reader_of(handler.validate_spawn, (Job,), f"validate_spawn of the spawn handler {name!r:.100}")
    return handler if for_jobs is for_check is None else _Reading(handler, for_jobs, for_check)


def _complete(given: Any) -> SpawnHandler:
    if isinstance(given, SpawnHandler):
        return given
    handler = FunctionHandler(given.spawn_jobs)
    for name in ("validate_spawn", "on_spawn_complete"):
        if callable(getattr(given, name, None)):
            setattr(handler, name, getattr(given, name))
    return handler


def config_of(job: Job) -> SpawnConfig | None:
    """The valid spawn configuration of a job.

    Returns:
        ``None`` when it has none.

    Raises:
        InvalidSpawnConfigError: it is invalid; the message names the field.
    """
    stored = job._stored_config
    if stored is None:
        return None
    config = SpawnConfig._parse(stored)
    if config is None or not isinstance(stored, dict):
        raise InvalidSpawnConfigError("The spawn configuration is not a JSON object.")
    for key in sorted(STORED_KEYS & stored.keys()):
        if stored[key] is not None and config._field(key) not in (stored[key], _as_recorded(key, stored[key])):
            raise InvalidSpawnConfigError(f"The spawn configuration's {key} cannot be {stored[key]!r:.100}.")
    return config


def _as_recorded(key: str, stored: object) -> object:
    # The name of an operation is for people: one that is too long is cut, and fails no job.
    return storable_name(stored) if key == "operation_id" and isinstance(stored, str) else stored
