"""The reports of errors, for :mod:`hammerwork_cli.contrib.sentry`, which is imported without Sentry's SDK."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from weakref import WeakSet

import sentry_sdk
from sentry_sdk.utils import capture_internal_exceptions, event_from_exception

from hammerwork_cli.runtime.api.around import Around
from hammerwork_cli.runtime.api.handlers import Handlers
from hammerwork_cli.runtime.api.job import Job
from hammerwork_cli.runtime.api.outcomes import WantedOutcome
from hammerwork_cli.runtime.api.spawn import SpawnContext
from hammerwork_cli.runtime.outcomes.failures import JobError, RemoteError, wanted_by

_REPORTED = "_hammerwork_reported"
FLUSH_SECONDS = 2.0
_INSTRUMENTED: WeakSet[Handlers] = WeakSet()
"""Applications whose errors are reported: a second call would report each twice."""


def instrument(app: Handlers) -> None:
    """See :func:`hammerwork_cli.contrib.sentry.instrument`."""
    if app in _INSTRUMENTED:
        return
    _INSTRUMENTED.add(app)
    sentry_sdk.get_global_scope().add_event_processor(_without_repetition)

    @contextmanager
    def run(job: Job) -> Iterator[None]:
        with sentry_sdk.isolation_scope() as scope:
            scope.set_transaction_name(job.queue or "", source="task")
            scope.set_tags({"queue": job.queue, "job_id": job.id, "attempt": str(job.attempts)})
            try:
                yield
            except WantedOutcome:
                raise
            except Exception as error:
                with capture_internal_exceptions():
                    mechanism = {"type": "hammerwork", "handled": False}
                    options = sentry_sdk.get_client().options
                    event, hint = event_from_exception(error, client_options=options, mechanism=mechanism)
                    sentry_sdk.capture_event(event, hint=hint)
                with suppress(AttributeError):  # of a class without a place for it
                    setattr(error, _REPORTED, True)
                raise

    def sync(job: Job, _: SpawnContext, call: Callable[[], Any]) -> Any:
        with run(job):
            return call()

    async def coroutine(job: Job, _: SpawnContext, call: Callable[[], Awaitable[Any]]) -> Any:
        with run(job):
            return await call()

    def flushed() -> Iterator[None]:
        yield
        sentry_sdk.flush(FLUSH_SECONDS)

    app._arounds.append(Around(sync, coroutine))
    app.lifespan(flushed)


def _without_repetition(event: Any, hint: dict[str, Any]) -> Any:
    """Drops what the worker logs about an error that is reported, or that the handler means."""
    record, error = hint.get("log_record"), (hint.get("exc_info") or (None, None))[1]
    if record is None or record.name != "hammerwork" or error is None:
        return event
    in_process = isinstance(error, JobError) and isinstance(error.__cause__, RemoteError)
    return None if in_process or hasattr(error, _REPORTED) or wanted_by(error) is not None else event
