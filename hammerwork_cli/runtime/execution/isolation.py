"""Where handlers run, as a worker sees it: in its own threads, or in processes that it can kill."""

from collections.abc import Callable
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from hammerwork_cli import app_path
from hammerwork_cli.database import DatabaseUrl
from hammerwork_cli.runtime.api.handlers import Handlers
from hammerwork_cli.runtime.api.job import Job
from hammerwork_cli.runtime.api.spawn import SpawnContext

if TYPE_CHECKING:
    from hammerwork_cli.runtime.isolation.parent import Processes

Source = Executor | Callable[[], Executor]
"""An executor, or a function that makes one."""


class Isolation(Protocol):
    """Where handlers run. The slots' threads and the main thread use it at once."""

    has_nodes: ClassVar[bool]
    """Whether handlers run where only the database connects them with the worker."""
    can_kill: ClassVar[bool]
    """Whether :meth:`kill` and :meth:`close` end running handlers."""

    def handlers(self, real: Handlers) -> Handlers:
        """The handlers to call in a slot."""
        ...

    def ready(self, attempt: object) -> None:
        """Prepares an attempt of the current thread."""

    def done(self, attempt: object) -> None:
        """Learns that the current thread needs nothing more for an attempt."""

    def kill(self, thread: int, attempt: object) -> None:
        """Ends an attempt of a thread, unless that has started another one since."""

    def ids(self) -> list[int]:
        """Ids of the processes, besides the worker's own."""
        ...

    def close(self) -> None:
        """Ends all handlers that it can end, and lets none start."""

    def finish(self) -> None:
        """Ends handlers as :meth:`close` does, and lets the other processes close what they have opened."""

    def forget(self) -> None:
        """Frees what the processes held, once no thread uses them."""


class InThreads:
    """Runs handlers in the slots' threads, which nobody can end."""

    has_nodes: ClassVar[bool] = False
    can_kill: ClassVar[bool] = False

    def handlers(self, real: Handlers) -> Handlers:
        return real

    def ready(self, attempt: object) -> None:
        """Nothing to prepare."""

    def done(self, attempt: object) -> None:
        """Nothing to clean up."""

    def kill(self, thread: int, attempt: object) -> None:
        """Nothing to kill."""

    def ids(self) -> list[int]:
        return []

    def close(self) -> None:
        """Nothing to end."""

    def finish(self) -> None:
        """Nothing to end."""

    def forget(self) -> None:
        """Nothing to free."""


class Elsewhere:
    """Stands for a job's handler that runs elsewhere, with all that is around it."""

    async def __call__(self, job: Job, context: SpawnContext) -> Any:
        """Returns the handler's result."""
        raise NotImplementedError


def in_processes(
    target: str, url: DatabaseUrl, *, max_jobs: int | None = None, max_memory: int | None = None
) -> "Processes":
    """Runs handlers in processes, one for each slot. It imports their modules only when a worker needs them."""
    with app_path.without():
        from hammerwork_cli.runtime.isolation.parent import processes
    return processes(target, url, max_jobs=max_jobs, max_memory=max_memory)
