"""Hammerwork: database-backed job queues whose jobs spawn jobs.

A module is imported on the first use of a name of it, so importing the package costs nothing.
"""

_HOMES = {
    "errors": (
        "AccessDeniedError ConfigError ConflictError ConnectionLostError DatabaseError HammerworkError "
        "JobNotFoundError MissingTablesError NotFoundError RefusedValueError RetryableError TimedOutError "
        "UnreachableError UsageError"
    ),
    "core.codecs": "Codec CodecError Compressed",
    "core.input.spawn_config": "SpawnConfig",
    "core.values": "JobPriority JobStatus",
    "runtime.api.async_queue": "AsyncQueue",
    "runtime.api.conversion": "convert",
    "runtime.api.encryption": "EncryptionKeys",
    "runtime.api.handlers": "Handlers",
    "runtime.api.job": "Job",
    "runtime.api.outcomes": "Cancel Discard Retry Snooze",
    "runtime.api.queue": "Batch Queue",
    "runtime.api.resources": "Resources",
    "runtime.api.retry": "Jitter RetryStrategy",
    "runtime.api.spawn": (
        "Context InvalidSpawnConfigError SpawnContext SpawnError SpawnFailedError SpawnHandler SpawnLimitError "
        "SpawnManager SpawnRefusedError SpawnResult UnknownSpawnHandlerError"
    ),
    "runtime.api.statement": "statement",
    "runtime.api.streamed": "EventFile StreamedEvent events",
    "runtime.api.transaction": "Transaction",
    "runtime.api.workflow": "Workflow",
    "runtime.worker.worker": "Worker WorkerReport",
    "version": "__version__",
}
_HOME = {name: module for module, names in _HOMES.items() for name in names.split()}

TYPE_CHECKING = False  # importing typing would take longer than this module
if TYPE_CHECKING:
    from hammerwork_cli.core.codecs import Codec, CodecError, Compressed
    from hammerwork_cli.core.input.spawn_config import SpawnConfig
    from hammerwork_cli.core.values import JobPriority, JobStatus
    from hammerwork_cli.errors import (
        AccessDeniedError,
        ConfigError,
        ConflictError,
        ConnectionLostError,
        DatabaseError,
        HammerworkError,
        JobNotFoundError,
        MissingTablesError,
        NotFoundError,
        RefusedValueError,
        RetryableError,
        TimedOutError,
        UnreachableError,
        UsageError,
    )
    from hammerwork_cli.runtime.api.async_queue import AsyncQueue
    from hammerwork_cli.runtime.api.conversion import convert
    from hammerwork_cli.runtime.api.encryption import EncryptionKeys
    from hammerwork_cli.runtime.api.handlers import Handlers
    from hammerwork_cli.runtime.api.job import Job
    from hammerwork_cli.runtime.api.outcomes import Cancel, Discard, Retry, Snooze
    from hammerwork_cli.runtime.api.queue import Batch, Queue
    from hammerwork_cli.runtime.api.resources import Resources
    from hammerwork_cli.runtime.api.retry import Jitter, RetryStrategy
    from hammerwork_cli.runtime.api.spawn import (
        Context,
        InvalidSpawnConfigError,
        SpawnContext,
        SpawnError,
        SpawnFailedError,
        SpawnHandler,
        SpawnLimitError,
        SpawnManager,
        SpawnRefusedError,
        SpawnResult,
        UnknownSpawnHandlerError,
    )
    from hammerwork_cli.runtime.api.statement import statement
    from hammerwork_cli.runtime.api.streamed import EventFile, StreamedEvent, events
    from hammerwork_cli.runtime.api.transaction import Transaction
    from hammerwork_cli.runtime.api.workflow import Workflow
    from hammerwork_cli.runtime.worker.worker import Worker, WorkerReport
    from hammerwork_cli.version import __version__
else:

    def __getattr__(name: str) -> object:
        if name not in _HOME:
            from hammerwork_cli.runtime.api.absent import no_name

            raise no_name(__name__, name)
        from importlib import import_module

        value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
        globals()[name] = value
        return value


__all__ = [
    "AccessDeniedError",
    "AsyncQueue",
    "Batch",
    "Cancel",
    "Codec",
    "CodecError",
    "Compressed",
    "ConfigError",
    "ConflictError",
    "ConnectionLostError",
    "Context",
    "DatabaseError",
    "Discard",
    "EncryptionKeys",
    "EventFile",
    "HammerworkError",
    "Handlers",
    "InvalidSpawnConfigError",
    "Jitter",
    "Job",
    "JobNotFoundError",
    "JobPriority",
    "JobStatus",
    "MissingTablesError",
    "NotFoundError",
    "Queue",
    "RefusedValueError",
    "Resources",
    "Retry",
    "RetryStrategy",
    "RetryableError",
    "Snooze",
    "SpawnConfig",
    "SpawnContext",
    "SpawnError",
    "SpawnFailedError",
    "SpawnHandler",
    "SpawnLimitError",
    "SpawnManager",
    "SpawnRefusedError",
    "SpawnResult",
    "StreamedEvent",
    "TimedOutError",
    "Transaction",
    "UnknownSpawnHandlerError",
    "UnreachableError",
    "UsageError",
    "Worker",
    "WorkerReport",
    "Workflow",
    "__version__",
    "convert",
    "events",
    "statement",
]


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
