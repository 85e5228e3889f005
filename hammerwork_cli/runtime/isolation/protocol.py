"""The messages between a worker and a process that runs its handlers."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from hammerwork_cli.core.input.spawn_config import SpawnConfig
from hammerwork_cli.runtime.api.outcomes import Wanted

if TYPE_CHECKING:
    from hammerwork_cli.core.encryption import Keys
    from hammerwork_cli.features.worker.queries.claim import Claimed


BATCH = 200
"""Children per message."""


class Start(NamedTuple):
    """The first message to a process."""

    target: str  # the handlers as `module:attribute`
    url: str
    log: tuple[str, bool] | None  # level, and whether it is JSON; `None` where the application configured logging
    folders: list[str]  # where the application's own modules are
    keys: "Keys | None" = None  # for payloads of jobs that handlers enqueue and read themselves
    refuse_plaintext: bool = False  # as the queue of the worker


class ContextRecord(NamedTuple):
    """The parts of an attempt's :class:`SpawnContext`, from which the process makes its own."""

    job: "Claimed"
    config: SpawnConfig
    result: str | None = None  # JSON text of the job's result, for its spawn handler
    deadline: datetime | None = None


class Reply(NamedTuple):
    """A message to the worker."""

    # `ready` (with the process's id), `value` (the last one), `jobs` (children), `write` (one to be written
    # now), `place` (asks for the job's place in its tree), `room` (for how many more children it may have), `trace`
    # (what its children inherit), `progress` (which has no answer), `error`.
    kind: str
    value: Any = None
    spent: bool = False  # a handler has changed the process for good: another one must serve the next attempt
    left: str = ""  # what a handler has left running


class Failure(NamedTuple):
    """An error of a handler. Errors themselves cannot always be sent."""

    first: str  # type and message; the message alone of an error that no handler raised
    message: str
    trace: str  # empty for an error that no handler raised
    spawn: bool = False  # whether it is a SpawnError
    refused: bool = False  # whether it is the worker's answer to `context.spawn`
    retryable: bool = True  # whether another attempt could succeed
    wanted: Wanted | None = None  # the end that the handler wants for its attempt
    pause: timedelta | None = None  # before another attempt, if a function of the handler says so
