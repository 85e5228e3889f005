"""The statement that enqueues a job, for drivers that a queue does not know."""

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

from hammerwork_cli.core.input.near import did_you_mean
from hammerwork_cli.database.unconnected import SERVERS, STYLES, Unconnected
from hammerwork_cli.errors import UsageError
from hammerwork_cli.features.job.queries import enqueue
from hammerwork_cli.runtime.api.job import Job, checked

USUAL = {"postgresql": "numeric", "mysql": "format", "mariadb": "format", "sqlite": "qmark"}
"""Dialect -> the style of its best-known drivers for asyncio."""


def statement(job: Job, dialect: str = "postgresql", paramstyle: str | None = None) -> tuple[str, tuple[Any, ...]]:
    """The statement that enqueues a job, for drivers that ``Queue.enqueue(job, connection=...)`` does not know.

    It belongs to the transaction in which it is sent, and does nothing if the job exists. On PostgreSQL it wakes
    workers once that has committed. A delay counts from the clock of this machine.

    Args:
        job: without dependencies, callbacks, a workflow, encryption or a unique key, which need a :class:`Queue`.
        dialect: ``postgresql``, ``mysql`` (8.0.17 or newer), ``mariadb`` or ``sqlite``.
        paramstyle: ``numeric`` (``$1``), ``qmark`` (``?``) or ``format`` (``%s``); by default that of asyncpg,
            aiomysql or aiosqlite.

    Returns:
        The SQL and its parameters.

    Raises:
        UsageError: the job is not valid, or needs a queue.
        RefusedValueError: no such database can hold it.
    """
    _check("dialect", dialect, SERVERS)
    style = USUAL[dialect] if paramstyle is None else paramstyle
    _check("paramstyle", style, STYLES)
    wants = {
        "dependencies": checked(job).dependencies,
        "callbacks": job.callbacks,
        "a workflow": job.workflow_id,
        "encryption": job.encryption,
        "a unique key": job.unique,
    }
    if needs := ", ".join(name for name, value in wants.items() if value):
        raise UsageError(f"A statement alone cannot enqueue a job with {needs}: use a Queue.")
    now = datetime.now(UTC)
    return enqueue.written(Unconnected(dialect, now), job._new_job(now), style)


def _check(what: str, given: str, known: Collection[str]) -> None:
    if given not in known:
        ones = f"Known: {', '.join(known)}."
        raise UsageError(f"The {what} {given!r:.40} is not known.", hint=did_you_mean(str(given), known) or ones)
