"""What the jobs of an application do and spawn."""

import inspect
import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from copy import copy
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Self, TypedDict, TypeVar, Unpack

from hammerwork_cli.core.codecs import Codec, Codecs
from hammerwork_cli.core.input import fields
from hammerwork_cli.core.input.limits import LONGEST_NAME
from hammerwork_cli.core.input.spawn_config import SpawnConfig
from hammerwork_cli.core.values import JobPriority
from hammerwork_cli.errors import UsageError
from hammerwork_cli.features.worker.models.limits import QueueLimit
from hammerwork_cli.runtime.api.absent import deprecated, instead_of
from hammerwork_cli.runtime.api.around import Around
from hammerwork_cli.runtime.api.job import Job, checked
from hammerwork_cli.runtime.api.payloads import PayloadReader, reader_of
from hammerwork_cli.runtime.api.resources import OpenResources, check_resource
from hammerwork_cli.runtime.api.retry import RetryStrategy
from hammerwork_cli.runtime.api.retry import check as checked_strategy
from hammerwork_cli.runtime.api.signatures import check_call, is_typed, refusal, typed_signature
from hammerwork_cli.runtime.api.spawn import FoundHandler, SpawnContext, SpawnManager

if TYPE_CHECKING:
    from hammerwork_cli.features.cron.model import NewSchedule
    from hammerwork_cli.runtime.api.schedules import ScheduleOptions

Function = TypeVar("Function", bound=Callable[..., Any])
Surrounds = TypeVar("Surrounds", bound=Callable[[Job, SpawnContext, Callable[[], Any]], Any])
Begins = TypeVar("Begins", bound=Callable[..., Iterator[None]])
Opens = TypeVar("Opens", bound=Callable[..., Iterator[Any] | AsyncIterator[Any]])
Backoff = Callable[[Job, Exception], timedelta]
"""The pause before the next attempt at a job, after an error of its handler."""
Errors = type[BaseException] | tuple[type[BaseException], ...]
CONTEXT = re.compile("_*(context|ctx)")
"""Names of a parameter for the context of a job."""
FORM = "(job) or (job, context)"


class HandlerOptions(TypedDict, total=False):
    """How the attempts of a handler end, and what follows.

    Attributes:
        retry: the pause before the next attempt, for jobs without their own strategy: a strategy, or a function ``(job,
            error) -> timedelta``.
        timeout: for jobs without their own.
        retry_on: errors of the handler and of its jobs' spawn handler that allow another attempt; all by default. After
            any other error the job is Dead.
        give_up_on: errors among these that do not.
        retry_timeouts: whether there is another attempt after one that took too long.
        priority: of jobs of the queue that handlers of the application spawn, unless they have their own.
        spawn_config: of jobs that carry none: limits of what they spawn, say.
    """

    retry: RetryStrategy | Backoff | None
    timeout: timedelta | None
    retry_on: Errors
    give_up_on: Errors
    retry_timeouts: bool
    priority: JobPriority | int | str | None
    spawn_config: SpawnConfig | None


if TYPE_CHECKING:

    class CronOptions(HandlerOptions, ScheduleOptions):
        """The options of a handler that runs on a schedule."""


@dataclass(frozen=True, slots=True)
class JobHandler:
    """The handler of a queue's jobs: its function, and its :class:`HandlerOptions`."""

    function: Callable[..., Any]  # called with the job; it returns the job's result
    takes_context: bool = False
    reader: PayloadReader | None = None  # reads the payload, if the function names its type
    retry: RetryStrategy | Backoff | None = None
    timeout: timedelta | None = None
    retry_on: Errors = BaseException
    give_up_on: Errors = ()
    retry_timeouts: bool = False
    priority: JobPriority | int | str | None = None
    spawn_config: SpawnConfig | None = None

    @property
    def options(self) -> HandlerOptions:
        return {name: getattr(self, name) for name in HandlerOptions.__annotations__}  # type: ignore[return-value]

    def gives_up(self, error: BaseException) -> bool:
        """Whether there is no other attempt after an error that it raised."""
        return isinstance(error, self.give_up_on) or not isinstance(error, self.retry_on)


@dataclass(frozen=True, slots=True)
class _ReadingBackoff:
    """A function for the pause before the next attempt, which gets the payload as the handler does."""

    function: Backoff
    reader: PayloadReader

    def __call__(self, job: Job, error: Exception) -> timedelta:
        self.reader.read(job)
        return self.function(job, error)


class Handlers(SpawnManager):
    """An application's job handlers, spawn handlers, schedules, limits and resources.

    ``hammerwork worker start --handlers module:attribute`` names one.

    Attributes:
        name: ``module:attribute``, if it was loaded by that name.
    """

    def __init__(self) -> None:
        super().__init__()
        self.name: str | None = None
        self._workers: dict[str, JobHandler] = {}
        self._configs: dict[str, SpawnConfig] = {}
        self._schedules: dict[str, NewSchedule] = {}
        self._limits: dict[str, QueueLimit] = {}
        self._codecs: dict[str, tuple[Codec, ...]] = {}
        self._arounds: list[Around] = []  # for workers, which call handlers within them
        self._resources: dict[Callable[..., Any], None] = {}
        self._lifespans: dict[Callable[..., Any], None] = {}

    def job(self, queue: str, **options: Unpack[HandlerOptions]) -> Callable[[Function], Function]:
        """Decorates the handler of a queue's jobs.

        Args:
            queue: the queue.
            options: see :class:`HandlerOptions`.

        Raises:
            UsageError: it is not the name of a queue, or :meth:`register_job` refuses the function.
        """
        _check_name(queue, '@app.job("queue")')

        def decorate(function: Function) -> Function:
            self.register_job(queue, function, **options)
            return function

        return decorate

    def register_job(self, queue: str, function: Callable[..., Any], **options: Unpack[HandlerOptions]) -> None:
        """Registers the handler of a queue's jobs; see :meth:`job`.

        Raises:
            UsageError: the queue has a handler already or a wrong name, or the function cannot be called with a job.
        """
        fields.queue(queue)
        if not callable(function):
            raise UsageError(f"{type(function).__name__} cannot be called with a job of {queue!r:.100}.")
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise UsageError(
                f"The handler of {queue!r:.100} is a generator, which would never run.",
                hint="A job's handler returns its result. Register a function that yields jobs with @app.spawn.",
            )
        _check_options(options)
        if queue in self._workers:
            raise UsageError(f"There is already a handler for jobs of {queue!r:.100}.")
        takes_context, what = _takes_context(function, queue), f"The handler of {queue!r:.100}"
        check_call(function, what, *(("job", "context") if takes_context else ("job",)), form=FORM)
        reader, retry = reader_of(function, (Job, SpawnContext), what), options.get("retry")
        if reader is not None and callable(retry) and not isinstance(retry, _ReadingBackoff):
            options = {**options, "retry": _ReadingBackoff(retry, reader)}
        if (config := options.get("spawn_config")) is not None:
            self._configure(queue, config)
        self._workers[queue] = JobHandler(function, takes_context, reader, **options)

    def cron(
        self,
        schedule: str | timedelta,
        *,
        name: str | None = None,
        payload: Any = None,
        **options: "Unpack[CronOptions]",
    ) -> Callable[[Function], Function]:
        """Decorates a handler that runs on a schedule, in a queue with the name of the function.

        Args:
            schedule: ``"30 2 * * Mon-Fri"``, ``"@daily"``, or an interval.
            name: of the schedule and of the queue; that of the function by default.
            payload: of its jobs; an empty object by default.
            options: see :class:`HandlerOptions` and :class:`ScheduleOptions`.

        Raises:
            UsageError: see :meth:`register_job` and :meth:`schedule`.
        """
        if callable(schedule):
            raise UsageError('A schedule is missing. Write @app.cron("30 2 * * *").')

        def decorate(function: Function) -> Function:
            queue = name or str(getattr(function, "__name__", type(function).__name__))
            if queue == "<lambda>":
                raise UsageError('A function without a name needs one: @app.cron(..., name="report").')
            own: Any = {name: given for name, given in options.items() if name in HandlerOptions.__annotations__}
            others: Any = {name: given for name, given in options.items() if name not in own}
            for option in others:
                if instead := instead_of("handler", [option]):
                    of_job = " in app.schedule(name, schedule, job)" if instead.startswith("Job(") else ""
                    raise UsageError(f"@app.cron has no option {option!r:.60}.", hint=f"Use {instead}{of_job}.")
            declared = self._declared(queue, schedule, Job(queue, payload, priority=own.get("priority")), others)
            self.register_job(queue, function, **own)
            self._schedules[queue] = declared
            return function

        return decorate

    def schedule(self, name: str, schedule: str | timedelta, job: Job, **options: "Unpack[ScheduleOptions]") -> None:
        """Declares a schedule. Workers write it to the database when they start, unless they do no upkeep.

        Args:
            name: of the schedule.
            schedule: ``"30 2 * * Mon-Fri"``, ``"@daily"``, or an interval.
            job: each run's job has its queue, payload, priority, ``max_attempts`` and timeout.
            options: see :class:`ScheduleOptions`.

        Raises:
            UsageError: the name is taken, or something is not valid.
        """
        self._schedules[name] = self._declared(name, schedule, job, options)

    def limit(
        self, queue: str, *, concurrency: int | None = None, rate: str | None = None, per: str | None = None
    ) -> None:
        """Declares the limit of a queue, for all workers. Workers write it to the database when they start.

        A limit that an operator has set since stays as it is.

        Args:
            queue: the queue.
            concurrency: see :meth:`Queue.limit`, as the next two.
            rate: ``10/s``.
            per: a key of payloads.

        Raises:
            UsageError: the queue has a limit already, or something is not valid.
        """
        self._add_limit(QueueLimit.of(queue, concurrency, rate, per))

    def codec(self, queue: str, codec: Codec, *older: Codec) -> None:
        """Encodes the payloads and results of a queue that workers write, and decodes them for handlers.

        Producers do so too with ``Queue(url, codecs=app.codecs)``.

        Args:
            queue: the queue.
            codec: encodes, and decodes what it has encoded.
            older: further ones that only decode.

        Raises:
            UsageError: one of them is not a codec, or shares its name, or the queue has codecs already.
        """
        if queue in self._codecs:
            raise UsageError(f"There is already a codec of {queue!r:.80}.")
        Codecs({**self._codecs, queue: (codec, *older)})
        self._codecs[queue] = (codec, *older)

    @property
    def codecs(self) -> dict[str, tuple[Codec, ...]]:
        """The codecs of queues, as ``Queue(url, codecs=...)`` takes them."""
        return self._codecs.copy()

    def _add_limit(self, limit: QueueLimit) -> None:
        if limit.queue in self._limits:
            raise UsageError(f"There is already a limit of {limit.queue!r:.80}.")
        self._limits[limit.queue] = limit

    def resource(self, function: Opens) -> Opens:
        """Decorates a generator function that opens something for handlers, yields it once, and then closes it.

        ``context.use(function)`` opens it for the first handler that uses it, and returns what it yields: for all slots
        of the worker, or with ``isolation="process"`` for each process. That of an ``async def`` is opened for each
        event loop: ``await context.use(function)``. All are closed when the worker or the process ends, the last one
        first.

        Args:
            function: has no parameter, or one for :class:`Resources`, by which it uses others. If it raises before it
                yields, the attempt fails, and the next one opens it again.

        Raises:
            UsageError: it is not such a function.
        """
        check_resource(function, "A resource", may_be_async=True)
        self._resources[function] = None
        return function

    def lifespan(self, function: Begins) -> Begins:
        """Decorates a generator function that runs until its ``yield`` before the first job, and then at the end.

        It runs once in a worker, or with ``isolation="process"`` in each of its processes, for what all handlers need:
        the set-up of tracing, say. If it raises before it yields, the worker does not start; in a process, the attempt
        fails.

        Args:
            function: see :meth:`resource`; it cannot be an ``async def``.

        Raises:
            UsageError: it is not such a function.
        """
        check_resource(function, "A lifespan", may_be_async=False)
        self._lifespans[function] = None
        return function

    def around(self, function: Surrounds) -> Surrounds:
        """Decorates a function ``(job, context, call)`` around every call of a job's handler, the first outermost.

        ``call()`` calls the handler, or what is next around it, at most once, and returns its result, or raises what it
        raises: also :class:`Retry`, :class:`Snooze`, :class:`Discard` and :class:`Cancel`. The value that the function
        returns becomes the result. It runs where the handler runs. Spawn handlers have nothing around them.

        Args:
            function: a ``def``, or an ``async def``, which writes ``await call()``. Either works for all handlers; a
                ``def`` around a coroutine holds a thread. A timeout cancels an ``async def``.

        Raises:
            UsageError: it cannot be called like that.
        """
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise UsageError("A function around handlers cannot be a generator: it returns the result of call().")
        check_call(function, "A function around handlers", "job", "context", "call")
        self._arounds.append(Around.of(function))
        return function

    def _declared(self, name: str, schedule: str | timedelta, job: Job, options: "ScheduleOptions") -> "NewSchedule":
        from hammerwork_cli.runtime.api.schedules import new_schedule

        fields.text(name, "A schedule's name")
        checked(job, f"The job of the schedule {name!r:.80}")
        if name in self._schedules:
            raise UsageError(f"There is already a schedule {name!r:.80}.")
        return new_schedule(name, schedule, job, options)

    def spawn(self, name: str, *, spawn_config: SpawnConfig | None = None) -> Callable[[Function], Function]:
        """Decorates the spawn handler for the jobs of a queue, or for those that name it.

        Args:
            name: the queue, or the name.
            spawn_config: of jobs of the queue that carry none.

        Raises:
            UsageError: it is not a name, or :meth:`register_spawn` refuses the function.
        """
        _check_name(name, '@app.spawn("queue")')

        def decorate(function: Function) -> Function:
            self.register_spawn(name, function)
            if spawn_config is not None:
                self._configure(name, spawn_config)
            return function

        return decorate

    def include(self, manager: SpawnManager) -> None:
        """Adds the spawn handlers of a manager; if it is a Handlers, also all else that it has.

        Raises:
            UsageError: a name is taken, or it is not a manager.
        """
        fields.an(manager, SpawnManager, "include takes a Handlers or a SpawnManager itself")
        for name in manager.handler_names:
            self.register_spawn(name, manager._named(name))
        if isinstance(manager, Handlers):
            for queue in manager.queues:
                handler = manager._workers[queue]
                self.register_job(queue, handler.function, **handler.options)
            for queue, config in manager._configs.items():
                self._configure(queue, config)
            for schedule in manager._schedules.values():
                if schedule.name in self._schedules:
                    raise UsageError(f"There is already a schedule {schedule.name!r:.80}.")
                self._schedules[schedule.name] = schedule
            for limit in manager._limits.values():
                self._add_limit(limit)
            for queue, codecs in manager._codecs.items():
                self.codec(queue, *codecs)
            self._arounds += [around for around in manager._arounds if around not in self._arounds]
            self._resources |= manager._resources
            self._lifespans |= manager._lifespans

    def _spawn_handler(self, job: Job, config: SpawnConfig | None) -> FoundHandler | None:
        """See :class:`SpawnManager`. A job with a handler may have a spawn configuration and spawn by key only."""
        named = config is not None and config.handler is not None
        if not named and job.queue in self._workers and job.queue not in self._spawners:
            return None
        return super()._spawn_handler(job, config)

    def _check_payloads(self) -> None:
        """Looks up the types of payloads that handlers name, before a job fails by one."""
        super()._check_payloads()
        for handler in self._workers.values():
            if handler.reader is not None:
                handler.reader.check()

    def _configure(self, queue: str, config: SpawnConfig) -> None:
        fields.an(config, SpawnConfig, "spawn_config takes a SpawnConfig")
        if config.handler is not None:
            raise UsageError(
                f"The spawn_config of {queue!r:.100} cannot name a handler: @app.spawn has the jobs of its queue."
            )
        if self._configs.setdefault(queue, config) != config:
            raise UsageError(f"There is already a spawn_config for jobs of {queue!r:.100}.")

    def _default_config(self, queue: str) -> SpawnConfig | None:
        """The spawn configuration of the jobs of a queue that carry none."""
        return self._configs.get(queue)

    @property
    def _priorities(self) -> Mapping[str, JobPriority]:
        """Queue -> priority of the jobs that handlers spawn into it."""
        given = ((queue, handler.priority) for queue, handler in self._workers.items())
        return {queue: fields.priority(priority) for queue, priority in given if priority is not None}

    def _job_handler(self, queue: str) -> JobHandler | None:
        """The handler of a queue's jobs; ``None`` without one: they may still spawn."""
        return self._workers.get(queue)

    def _open_resources(self, fakes: Mapping[Callable[..., Any], Any] | None = None) -> OpenResources:
        """Its resources for a worker or a process, none of which is open yet."""
        return OpenResources(self._resources, self._lifespans, fakes)

    def _without_limits(self) -> Self:
        """The same handlers, which leave the limits of the database as they are."""
        others = copy(self)
        others._limits = {}
        return others

    def _with_functions(self, functions: Mapping[str, Callable[..., Any]]) -> Self:
        """The same handlers, with other functions for the jobs of some queues.

        Lifespans are opened where jobs run: not here, if all have other functions.
        """
        others = copy(self)
        others._workers = {
            queue: replace(handler, function=functions[queue], takes_context=True, reader=None)
            if queue in functions
            else handler
            for queue, handler in self._workers.items()
        }
        if functions.keys() >= self._workers.keys():
            others._lifespans = {}
        return others

    @property
    def queues(self) -> tuple[str, ...]:
        """The queues whose jobs have a handler, sorted."""
        return tuple(sorted(self._workers))

    @property
    def _source(self) -> str:
        """The source of its schedules: ``code:module:attribute``; ``code`` if it was not loaded by its name."""
        return f"code:{self.name}"[:LONGEST_NAME] if self.name else "code"

    @property
    def schedules(self) -> "tuple[NewSchedule, ...]":
        """Deprecated: the command ``hammerwork cron list`` shows what is declared."""
        deprecated("Handlers.schedules", "hammerwork cron list")
        return tuple(self._schedules.values())


def _check_options(options: HandlerOptions) -> None:
    if unknown := sorted(options.keys() - HandlerOptions.__annotations__):
        instead = instead_of("handler", unknown)
        raise UsageError(
            f"A handler has no option {unknown[0]!r:.60}: {', '.join(HandlerOptions.__annotations__)}.",
            hint=instead and f"Use {instead}.",
        )
    if (timeout := options.get("timeout")) is not None:
        fields.duration(timeout, "timeout", timedelta.max, positive=True)
    if (priority := options.get("priority")) is not None:
        fields.priority(priority)
    if (retry := options.get("retry")) is not None:
        if isinstance(retry, type) or not callable(retry):
            checked_strategy(retry)
        elif inspect.iscoroutinefunction(retry):
            raise UsageError("A function that says when to retry cannot be a coroutine: it returns a timedelta.")
        else:
            check_call(retry, "A function that says when to retry", "job", "error")
    for name in ("retry_on", "give_up_on"):
        given = options.get(name, ())
        for error in given if isinstance(given, tuple) else (given,):
            if not (isinstance(error, type) and issubclass(error, BaseException)):
                raise UsageError(f"{name} must be a class of errors, or a tuple of them, not {error!r:.60}.")


def _check_name(name: object, form: str) -> None:
    """Refuses a decorator without a name, which would get the function instead and register nothing."""
    if callable(name):
        raise UsageError(f"A name is missing. Write {form}.")
    if not isinstance(name, str) or not name:
        raise UsageError(f"A name must be text, not {name!r:.60}. Write {form}.")


def _takes_context(function: Callable[..., Any], queue: str) -> bool:
    """Whether a job's handler has a second parameter, for the context.

    Refuses parameters with the names of something else, such as the keys of a payload.
    """
    known = typed_signature(function)
    parameters = known.parameters.values() if known else ()
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    required = [p for p in positional if p.default is p.empty]
    called = f"The handler of {queue!r:.100}"
    if required and CONTEXT.fullmatch(required[0].name):
        raise refusal(function, called, FORM, "The first one is the job.")
    given = function.keywords if isinstance(function, partial) else {}
    if any(_is_context(p) for p in parameters if p.kind is p.KEYWORD_ONLY and p.name not in given):
        raise refusal(function, called, FORM, "Write context as the second parameter, without the * before it.")
    takes_context = len(positional) >= 2 and _is_context(positional[1])
    if len(required) >= 2 and not (takes_context or required[1].name.startswith("_")):
        raise refusal(function, called, FORM, "Name the second one context. The payload is job.payload.")
    return takes_context or len(required) >= 2


def _is_context(parameter: inspect.Parameter) -> bool:
    return CONTEXT.fullmatch(parameter.name) is not None or is_typed(parameter, SpawnContext)
