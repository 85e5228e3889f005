"""What the parts of a worker share, for a test that drives one of them by itself."""

from types import SimpleNamespace
from typing import Any

from hammerwork_cli import Handlers
from hammerwork_cli.core.ids import new_id
from hammerwork_cli.features.worker.queries.registry import Registration
from hammerwork_cli.runtime.clock import ServerClock, elapsed
from hammerwork_cli.runtime.execution.isolation import InThreads
from hammerwork_cli.runtime.faults import Progress
from hammerwork_cli.runtime.worker.context import WorkerContext
from hammerwork_cli.runtime.worker.lease import Lease
from hammerwork_cli.runtime.worker.options import Options
from hammerwork_cli.runtime.worker.stopping import StopSwitch

WORKER = Registration(new_id(), "name", "host", 1, "0", ("work",), (), 1, 60.0)


class Clock:
    """Stands for the module `time`: only the test moves it."""

    def __init__(self, now: float) -> None:
        self.now = now

    def monotonic(self) -> float:
        return self.now


def worker_context(
    connections: Any,
    registration: Registration = WORKER,
    *,
    clock: ServerClock | None = None,
    lease: Any = None,
    stop: Any = None,
    **options: Any,
) -> WorkerContext:
    """The context of a worker all of whose parts have the same connections."""
    given: Any = SimpleNamespace(
        main=connections,
        outages=connections.outages,
        give=lambda *_: connections,
        for_thread=lambda _: connections,
    )
    return WorkerContext(
        registration=registration,
        options=Options(lease=registration.lease, concurrency=registration.concurrency, **options),
        handlers=Handlers(),
        isolation=InThreads(),
        connections=given,
        clock=clock or ServerClock(),
        lease=lease or Lease(registration.lease, elapsed()),
        stop=stop or StopSwitch(None),
        progress=Progress(registration.lease),
    )
