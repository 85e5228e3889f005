"""What the handlers of a process share: pools of connections, clients, set-up."""

import inspect
import logging
import threading
import traceback
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Collection, Generator, Iterator, Mapping
from contextlib import suppress
from contextvars import Context
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, overload
from weakref import WeakSet

from hammerwork_cli import app_path
from hammerwork_cli.errors import ConfigError, UsageError
from hammerwork_cli.runtime.api.signatures import check_call, signature

if TYPE_CHECKING:
    import asyncio

Function = Callable[..., Any]
Yielded = TypeVar("Yielded")
CLOSE_SECONDS = 5.0
"""For one asynchronous resource, and for the resources of all processes together."""
CLOSED = "The worker has ended, and its resources are closed."
log = logging.getLogger("hammerwork")


class UsesResources:
    """Whatever may use resources."""

    def _open(self, resource: Function) -> Any:
        raise NotImplementedError

    @overload
    def use(self, resource: Callable[..., AsyncIterator[Yielded]]) -> Awaitable[Yielded]: ...

    @overload
    def use(self, resource: Callable[..., Iterator[Yielded]]) -> Yielded: ...

    def use(self, resource: Function) -> Any:
        """What a resource yields: see :meth:`Handlers.resource`. The first use opens it.

        A coroutine awaits that of an ``async def``: ``await context.use(client)``.

        Raises:
            UsageError: it is not a resource of the application, it uses itself, or it needs an event loop.
            ConfigError: the worker has ended, and its resources are closed.
        """
        return self._open(resource)


class Resources(UsesResources):
    """The argument of a resource that uses others: ``def store(resources: Resources)``."""

    def __init__(self, opened: "OpenResources", path: tuple[Function, ...]) -> None:
        self._opened, self._path = opened, path

    def _open(self, resource: Function) -> Any:
        return self._opened.use(resource, self._path)


def check_resource(function: Function, what: str, *, may_be_async: bool) -> None:
    """Refuses a function that is not a generator function without arguments, or with the resources as its argument.

    Raises:
        UsageError: it is something else.
    """
    if not may_be_async and inspect.isasyncgenfunction(function):
        raise UsageError(
            f"{what} cannot be asynchronous: a process has no event loop when it starts.",
            hint="Write def, or @app.resource, which is opened in the event loop that uses it.",
        )
    if not (inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)):
        raise UsageError(
            f"{what} must be a generator function, and {_name(function)} is none.",
            hint="Open it, yield it once, and close it after the yield.",
        )
    check_call(function, what, *(("resources",) if _takes_resources(function) else ()), form="() or (resources)")


def _takes_resources(function: Function) -> bool:
    known = signature(function)
    return known is not None and bool(known.parameters)


def _name(function: Function) -> str:
    return str(getattr(function, "__name__", type(function).__name__))


def _running_loop(function: Function) -> "asyncio.AbstractEventLoop":
    with app_path.without():
        import asyncio
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        raise UsageError(
            f"{_name(function)} needs an event loop.",
            hint=f"Use it in an async def handler: await context.use({_name(function)}).",
        ) from None


class _Opened(Protocol):
    def close(self) -> None:
        """Closes it; logs an error."""
        ...


class OpenResources:
    """The resources that a worker, or a process of it, has opened. All of its threads use it.

    Args:
        known: the functions that are resources; a use may add to them.
        lifespans: those that are opened before the first job.
        fakes: function -> what stands for what it yields.
    """

    def __init__(
        self,
        known: Collection[Function],
        lifespans: Collection[Function] = (),
        fakes: Mapping[Function, Any] | None = None,
    ) -> None:
        self._known, self._lifespans, self._fakes = known, lifespans, dict(fakes or {})
        for function in self._fakes:
            self._check(function, ())
        # Threads and tasks that began while a resource was opened.
        self.started: WeakSet[threading.Thread | asyncio.Task[Any]] = WeakSet()
        self._lock = threading.Lock()
        # Any thread writes these under the lock; what belongs to an event loop, its thread writes.
        self._values: dict[Function, Any] = {}
        self._async: dict[tuple[asyncio.AbstractEventLoop, Function], _AsyncOpened] = {}
        self._opening: dict[Function, threading.Lock] = {}
        self._stack: list[_Opened] = []
        self._closed = False

    def begin(self) -> None:
        """Opens the lifespans.

        Raises:
            ConfigError: one of them fails.
        """
        try:
            for function in self._lifespans:
                self._use(function, ())
        except BaseException as error:
            self.close()
            if not isinstance(error, Exception):
                raise
            frames = traceback.extract_tb(error.__traceback__)
            place = f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""
            raise ConfigError(
                f"The lifespan {_name(function)} failed: {type(error).__name__}: {error}{place}"
            ) from error

    def use(self, function: Function, path: tuple[Function, ...] = ()) -> Any:
        """What a resource yields, or an awaitable for it.

        Args:
            function: the resource.
            path: the resources that are being opened, and use it.
        """
        if function not in self._values:
            self._check(function, path)
        if inspect.isasyncgenfunction(function):
            return self._use_async(function, _running_loop(function), path)
        return self._fakes[function] if function in self._fakes else self._use(function, path)

    def _check(self, function: Function, path: tuple[Function, ...]) -> None:
        if function not in self._known:
            raise UsageError(
                f"{_name(function)} is not a resource of this application.",
                hint="Decorate it: @app.resource. An application that is included brings its own along.",
            )
        if function in path:
            names = " -> ".join(_name(one) for one in (*path[path.index(function) :], function))
            raise UsageError(f"The resource {_name(function)} uses itself: {names}.")

    def _use(self, function: Function, path: tuple[Function, ...]) -> Any:
        if function in self._values:
            return self._values[function]
        with self._lock:
            opening = self._opening.setdefault(function, threading.Lock())
        with opening:
            if function not in self._values:
                self._check_open()
                before = threading.enumerate()
                one = _SyncOpened(function, self.arguments(function, path))
                self.started.update(set(threading.enumerate()).difference(before))
                if not self.keep(one):
                    one.close()
                    self._check_open()
                self._values[function] = one.value
        return self._values[function]

    def arguments(self, function: Function, path: tuple[Function, ...]) -> tuple[Resources, ...]:
        """The arguments of a resource's function."""
        return (Resources(self, (*path, function)),) if _takes_resources(function) else ()

    async def _use_async(
        self, function: Function, loop: "asyncio.AbstractEventLoop", path: tuple[Function, ...]
    ) -> Any:
        import asyncio

        if function in self._fakes:
            return self._fakes[function]
        one = self._async.get((loop, function))
        if one is None:
            self._check_open()
            one = self._async[loop, function] = _AsyncOpened(self, loop, function, self.arguments(function, path))
        # A coroutine that is cancelled meanwhile leaves it to the others.
        return await asyncio.shield(one.ready)

    def _check_open(self) -> None:
        if self._closed:
            raise ConfigError(CLOSED)

    def keep(self, one: _Opened) -> bool:
        """Remembers to close a resource that has just been opened; ``False`` if the others are closed meanwhile."""
        with self._lock:
            if not self._closed:
                self._stack.append(one)
            return not self._closed

    def forget(self, one: "_AsyncOpened") -> None:
        """Forgets a resource that its event loop has closed, or could not open."""
        with self._lock:
            self._async.pop((one.loop, one.function), None)
            with suppress(ValueError):
                self._stack.remove(one)

    def opened_after(self, one: "_AsyncOpened") -> "list[_AsyncOpened]":
        """The resources that were opened later in the same event loop, the last first."""
        with self._lock:
            later = self._stack[self._stack.index(one) + 1 :] if one in self._stack else []
        return [other for other in reversed(later) if isinstance(other, _AsyncOpened) and other.loop is one.loop]

    def close(self) -> None:
        """Closes all of them, the last first, and lets none be opened any more. Raises nothing."""
        while True:
            with self._lock:
                self._closed = True
                one = self._stack.pop() if self._stack else None
            if one is None:
                return
            one.close()


class _SyncOpened:
    """A resource of a process. Any thread opens or closes it."""

    def __init__(self, function: Function, arguments: tuple[Resources, ...]) -> None:
        self._function = function
        # It outlives the job that is the first to use it, and sees none of its context variables.
        self._context = Context()
        self._generator: Generator[Any, None, None] = function(*arguments)
        try:
            self.value = self._context.run(next, self._generator)
        except StopIteration:
            raise UsageError(f"{_name(function)} yields nothing.") from None

    def close(self) -> None:
        """Closes it; logs an error."""
        try:
            self._context.run(next, self._generator)
        except StopIteration:
            return
        except BaseException:
            log.exception("%s could not be closed.", _name(self._function))
            return
        log.error("%s yields more than once.", _name(self._function))
        with suppress(BaseException):
            self._context.run(self._generator.close)


class _AsyncOpened:
    """A resource of an event loop. One task opens and closes it, and is cancelled to do so: also by the loop's end."""

    def __init__(
        self,
        owner: OpenResources,
        loop: "asyncio.AbstractEventLoop",
        function: Function,
        arguments: tuple[Resources, ...],
    ) -> None:
        self._owner, self.loop, self.function = owner, loop, function
        self.ready: asyncio.Future[Any] = loop.create_future()
        self.ready.add_done_callback(lambda ready: ready.exception())  # perhaps nobody waits for it any longer
        self._ended = threading.Event()
        self.task = loop.create_task(self._hold(function(*arguments)), context=Context())

    async def _hold(self, generator: AsyncGenerator[Any, None]) -> None:
        import asyncio

        threads, tasks = threading.enumerate(), asyncio.all_tasks()
        self._owner.started.add(self.task)
        try:
            value = await anext(generator)
            self._owner.started.update(asyncio.all_tasks() - tasks)
            self._owner.started.update(set(threading.enumerate()).difference(threads))
            if not self._owner.keep(self):
                await self._finish(generator)
                raise ConfigError(CLOSED)
        except BaseException as error:  # noqa: BLE001  whoever uses it gets it
            self._fail(error)
            return
        self.ready.set_result(value)
        try:
            with suppress(asyncio.CancelledError):
                await self.loop.create_future()
            for later in self._owner.opened_after(self):  # the end of the loop has cancelled them too
                await asyncio.wait([later.task])
            await self._finish(generator)
        except BaseException:
            log.exception("%s could not be closed.", _name(self.function))
        finally:
            self._end()

    def _fail(self, error: BaseException) -> None:
        import asyncio

        name = _name(self.function)
        if isinstance(error, StopAsyncIteration):
            error = UsageError(f"{name} yields nothing.")
        elif isinstance(error, asyncio.CancelledError):
            error = ConfigError(f"The event loop ended while {name} was opened.")
        self._end()
        self.ready.set_exception(error)

    async def _finish(self, generator: AsyncGenerator[Any, None]) -> None:
        try:
            await anext(generator)
        except StopAsyncIteration:
            return
        log.error("%s yields more than once.", _name(self.function))
        await generator.aclose()

    def _end(self) -> None:
        self._owner.forget(self)
        self._ended.set()

    def close(self) -> None:
        """Closes it, in its event loop; logs an error."""
        import asyncio

        with suppress(RuntimeError):  # the loop is closed, and has closed it before
            if self.loop.is_running():  # in its own thread
                self.loop.call_soon_threadsafe(self.task.cancel)
                self._ended.wait(CLOSE_SECONDS)
            elif not self.loop.is_closed():
                self.task.cancel()
                self.loop.run_until_complete(asyncio.wait([self.task], timeout=CLOSE_SECONDS))
        if not self._ended.is_set():
            log.error("%s could not be closed within %g s.", _name(self.function), CLOSE_SECONDS)
