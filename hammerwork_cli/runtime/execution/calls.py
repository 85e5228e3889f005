"""What every call of a handler gets of its own."""

import inspect
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from copy import deepcopy
from typing import Any, TypeVar

from hammerwork_cli import app_path
from hammerwork_cli.models import SpawnConfig

Result = TypeVar("Result")


def apart(function: Callable[[], Result]) -> Result:
    """Calls a function of a handler. No other call sees the context variables that it sets."""
    return copy_context().run(function)


def own_config(config: SpawnConfig) -> SpawnConfig:
    """A copy of a configuration, which a handler may change."""
    return config if config.metadata is None and not config.extra else deepcopy(config)


def result_of(value: Any) -> Any:
    """The result of an awaitable, in an event loop of its own; any other value itself."""
    if not inspect.isawaitable(value):
        return value
    with app_path.without():
        import asyncio

    async def wait() -> Any:
        return await value

    def run() -> Any:
        return asyncio.run(wait())

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return run()
    # A thread has one running loop at most, and this one has: in a notebook, say.
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(copy_context().run, run).result()
