"""Functions around the calls of handlers."""

import inspect
from collections.abc import Awaitable, Callable, Sequence
from contextvars import copy_context
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from hammerwork_cli.errors import UsageError

if TYPE_CHECKING:
    from hammerwork_cli.runtime.api.job import Job
    from hammerwork_cli.runtime.api.payloads import PayloadReader
    from hammerwork_cli.runtime.api.spawn import SpawnContext

Function = Callable[..., Any]
Call = Callable[[], Any]
Done = Callable[[Any, BaseException | None], None]


class Around(NamedTuple):
    """A function around the calls of handlers: one of these, or both for an integration that has the choice."""

    sync: Function | None
    coroutine: Function | None

    @classmethod
    def of(cls, function: Function) -> "Around":
        """That of an application."""
        return cls(None, function) if makes_coroutines(function) else cls(function, None)


def makes_coroutines(function: Function) -> bool:
    """Whether a call of a function makes a coroutine."""
    call = getattr(function, "__call__", None)  # noqa: B004  that of an object may be one
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(call)


def never_waits(arounds: Sequence[Around], function: Function) -> bool:
    """Whether neither a handler nor what is around it needs a thread while it runs."""
    return makes_coroutines(function) and all(around.coroutine is not None for around in arounds)


class Handler(Protocol):
    """The handler of a queue's jobs."""

    @property
    def function(self) -> Function:
        """Called with the job."""
        ...

    @property
    def reader(self) -> "PayloadReader | None":
        """Reads the payload, if the function names its type."""
        ...


class Runner(Protocol):
    """A thread that calls a handler, and lets others run its coroutines."""

    def wait(self, awaitable: Awaitable[Any]) -> Any:
        """The result of a coroutine, for which this thread waits."""
        ...

    async def hand_over(self, function: Call) -> Any:
        """The result of a function, which a coroutine lets the thread call that waits for it."""
        ...


def surrounded(
    arounds: Sequence[Around],
    handler: Handler,
    arguments: Sequence[Any],
    context: "SpawnContext",
    runner: Runner,
) -> Any:
    """Calls a handler within what is around it, the first outermost.

    Returns:
        The result, or an awaitable for it if no thread needs to wait.
    """
    inner, is_async = _reading(handler, arguments), makes_coroutines(handler.function)
    for around in reversed(arounds):
        inner, is_async = _wrapped(around, inner, arguments[0], context, runner, is_async=is_async)
    returned = inner()
    waits = arounds and inspect.isawaitable(returned) and not never_waits(arounds, handler.function)
    return runner.wait(returned) if waits else returned


def _reading(handler: Handler, arguments: Sequence[Any]) -> Call:
    """The call of a handler with the payload as its type; what is around sees the error if it cannot be read."""
    try:
        if handler.reader is not None:
            handler.reader.read(arguments[0])
    except UsageError as error:
        return partial(_raise, error)
    return partial(handler.function, *arguments)


def _raise(error: UsageError) -> None:
    raise error


def _wrapped(
    around: Around, inner: Call, job: "Job", context: "SpawnContext", runner: Runner, *, is_async: bool
) -> tuple[Call, bool]:
    is_called = False

    def check() -> None:
        nonlocal is_called
        if is_called:
            raise UsageError("A function around the handler calls it twice: that would run the job twice.")
        is_called = True

    def call() -> Any:
        check()
        value = inner()
        return runner.wait(value) if inspect.isawaitable(value) else value

    async def acall() -> Any:
        check()
        value = inner() if is_async else await runner.hand_over(inner)
        return await value if inspect.isawaitable(value) else value

    if around.coroutine is not None and (is_async or around.sync is None):
        return partial(around.coroutine, job, context, acall), True
    assert around.sync is not None
    return partial(around.sync, job, context, call), False


class HandedOver:
    """A function that a coroutine has handed over to the thread that waits for it."""

    def __init__(self, function: Call) -> None:
        import asyncio

        self._function, self._context = function, copy_context()
        self._loop = asyncio.get_running_loop()
        self.answer: asyncio.Future[tuple[Any, BaseException | None]] = self._loop.create_future()

    def run(self) -> None:
        """Calls it, and tells the coroutine."""
        value, error = None, None
        try:
            value = self._context.run(self._function)
        except BaseException as raised:  # noqa: BLE001  the coroutine raises it
            error = raised
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._tell, value, error)

    def _tell(self, value: Any, error: BaseException | None) -> None:
        if not self.answer.done():  # the coroutine may have been cancelled
            self.answer.set_result((value, error))

    async def result(self) -> Any:
        """What came of it."""
        value, error = await self.answer
        if error is not None:
            raise error
        return value


class Waiting:
    """A thread that waits for coroutines in another one, and calls what they hand over.

    Args:
        start: starts a coroutine elsewhere, and calls a function once with what came of it.
    """

    def __init__(self, start: Callable[[Any, Done], None]) -> None:
        self._start = start
        self._waits: list[SimpleQueue[Call | tuple[Any, BaseException | None]]] = []

    def wait(self, awaitable: Awaitable[Any]) -> Any:
        """See :class:`Runner`."""
        wait: SimpleQueue[Call | tuple[Any, BaseException | None]] = SimpleQueue()
        self._waits.append(wait)
        try:
            self._start(awaitable, lambda value, error: wait.put((value, error)))
            while not isinstance(one := wait.get(), tuple):
                one()
        finally:
            self._waits.remove(wait)
        value, error = one
        if error is not None:
            raise error
        return value

    async def hand_over(self, function: Call) -> Any:
        """See :class:`Runner`."""
        handed = HandedOver(function)
        self._waits[-1].put(handed.run)
        return await handed.result()
