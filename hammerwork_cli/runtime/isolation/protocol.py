"""The messages between a worker and a process that runs its handlers."""

from typing import TYPE_CHECKING, Any, NamedTuple

from hammerwork_cli.core.input.spawn_config import SpawnConfig
from hammerwork_cli.runtime.api.outcomes import Wanted

if TYPE_CHECKING:
    from hammerwork_cli.core.encryption import Keys
    from hammerwork_cli.features.worker.queries.claim import Claimed


BATCH = 200
"""Children per message."""


class Start(NamedTuple):
    """The first message to a process.

    Attributes:
        target: the handlers as ``module:attribute``.
        url: of the database.
        log: level, and whether it is JSON; ``None`` where the application configured logging.
        folders: where the application's own modules are.
        keys: for payloads of jobs that handlers enqueue and read themselves.
        refuse_plaintext: as the queue of the worker.
    """

    target: str
    url: str
    log: tuple[str, bool] | None
    folders: list[str]
    keys: "Keys | None" = None
    refuse_plaintext: bool = False


class ContextRecord(NamedTuple):
    """The parts of an attempt's :class:`SpawnContext`, from which the process makes its own.

    Attributes:
        job: its row.
        config: of its spawning.
        result: JSON text of the job's result, for its spawn handler.
    """

    job: "Claimed"
    config: SpawnConfig
    result: str | None = None


class Reply(NamedTuple):
    """A message to the worker.

    Attributes:
        kind: ``ready`` (with the process's id), ``value`` (the last one), ``jobs`` (children), ``write`` (one to be
            written now), ``place`` (asks for the job's place in its tree), ``error``.
        value: its content.
    """

    kind: str
    value: Any = None


class Failure(NamedTuple):
    """An error of a handler. Errors themselves cannot always be sent.

    Attributes:
        first: type and message; the message alone of an error that no handler raised.
        message: the error's own text.
        trace: its traceback; empty for an error that no handler raised.
        spawn: whether it is a :class:`SpawnError`.
        refused: whether it is the worker's answer to ``context.spawn``.
        retryable: whether another attempt could succeed.
        wanted: the end that the handler wants for its attempt.
    """

    first: str
    message: str
    trace: str
    spawn: bool = False
    refused: bool = False
    retryable: bool = True
    wanted: Wanted | None = None
