"""What each call of a handler has for itself."""

import inspect
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from copy import deepcopy
from typing import Any, ParamSpec, TypeVar

from hammerwork_cli import app_path
from hammerwork_cli.core.input.spawn_config import SpawnConfig
from hammerwork_cli.database import DatabaseUrl
from hammerwork_cli.features.worker.queries.claim import Claimed
from hammerwork_cli.runtime.api.job import Job
from hammerwork_cli.runtime.api.spawn import FoundHandler, SpawnError, SpawnRefusedError
from hammerwork_cli.runtime.host.logs import HANDLED, handled
from hammerwork_cli.runtime.outcomes.failures import message_of

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
log = logging.getLogger("hammerwork")


def in_own_context(
    job: Claimed, function: Callable[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs
) -> Result:
    """Calls a function of a job's handler. No other call sees the context variables that it sets."""
    context = copy_context()
    context.run(HANDLED.set, job)
    return context.run(function, *args, **kwargs)


def readable(job: Claimed, url: DatabaseUrl) -> Claimed:
    """The job with its payload decrypted and decoded."""
    with app_path.without():
        from hammerwork_cli.runtime.api import decryption
    return decryption.readable(job, url)


def log_start(job: Claimed) -> None:
    """Logs the start of an attempt at level ``debug``."""
    if log.isEnabledFor(logging.DEBUG):
        log.debug("The job starts attempt %d of %d.", job.attempts, job.max_attempts, extra=handled(job))


def own_config(config: SpawnConfig) -> SpawnConfig:
    """Copies a configuration, so that a handler may change it."""
    return config if config.metadata is None and not config.extra else deepcopy(config)


def validate(
    found: FoundHandler,
    job: Claimed,
    config: SpawnConfig,
    result_of: Callable[[Any], Any],
    passed: type[BaseException],
) -> None:
    """Asks a spawn handler whether a job may spawn: ``validate_spawn``.

    Args:
        result_of: waits for the result of an awaitable.
        passed: another error that is raised as it is.

    Raises:
        SpawnError: it refused; a SpawnRefusedError names any error but its own.
    """
    try:
        result_of(found.handler.validate_spawn(Job._of(job), own_config(config)))
    except (SpawnError, passed):
        raise
    except BaseException as error:
        raise SpawnRefusedError(f"validate_spawn of {found.name} refused: {message_of(error)}") from error


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
    # A thread runs one loop at most, and this one already does: in a notebook, say.
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(copy_context().run, run).result()
