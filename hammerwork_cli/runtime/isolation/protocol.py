"""The messages between a worker and a process that runs its handlers."""

from typing import TYPE_CHECKING, Any, NamedTuple

from hammerwork_cli.models import SpawnConfig

if TYPE_CHECKING:
    from hammerwork_cli.queries.worker.claim import Claimed


BATCH = 200
"""Children that go through the pipe at once."""


class Start(NamedTuple):
    """What a process is told at its start.

    Attributes:
        target: the handlers as ``module:attribute``.
        url: of the database.
        log: level, and whether it is JSON; ``None`` where the worker's log is not ours.
        folders: where the application's own modules are.
    """

    target: str
    url: str
    log: tuple[str, bool] | None
    folders: list[str]


class ContextRecord(NamedTuple):
    """What a process is sent of a run's :class:`SpawnContext`, which it makes of it.

    Attributes:
        job: its row.
        config: of its spawning.
        result: JSON text of what the job's handler returned, for its spawn handler.
    """

    job: "Claimed"
    config: SpawnConfig
    result: str | None = None


class Answer(NamedTuple):
    """What the worker hears.

    Attributes:
        kind: ``ready`` (with the process's id), ``value`` (the last one), ``jobs`` (children), ``write`` (one to be
            written now), ``place`` (where does the job stand?), ``error``.
        value: what it is about.
    """

    kind: str
    value: Any = None


class Failure(NamedTuple):
    """An error of a handler; errors themselves cannot always be sent.

    Attributes:
        first: type and message, or the message alone of an error of ours.
        message: the error's own text.
        trace: where it arose; empty for errors of ours without a cause.
        spawn: whether it is a :class:`SpawnError`.
        refused: whether it is what the worker answered to ``context.spawn``.
        retryable: whether another attempt could succeed.
    """

    first: str
    message: str
    trace: str
    spawn: bool = False
    refused: bool = False
    retryable: bool = True
