"""The spans of runs, for :mod:`hammerwork_cli.contrib.opentelemetry`, which is imported without OpenTelemetry."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from weakref import WeakSet

from opentelemetry import propagate, trace
from opentelemetry.context import Context, attach, detach, get_current
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode, TracerProvider
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from hammerwork_cli.runtime.api import tracing
from hammerwork_cli.runtime.api.around import Around
from hammerwork_cli.runtime.api.handlers import Handlers
from hammerwork_cli.runtime.api.job import Job
from hammerwork_cli.runtime.api.outcomes import Cancel, Retry, Snooze, WantedOutcome
from hammerwork_cli.runtime.api.spawn import SpawnContext
from hammerwork_cli.runtime.outcomes.failures import message_of
from hammerwork_cli.version import __version__

_W3C = TraceContextTextMapPropagator()
_INSTRUMENTED: WeakSet[Handlers] = WeakSet()
"""Applications whose runs have spans: a second call would add a second one."""


def instrument(app: Handlers | None, tracer_provider: TracerProvider | None) -> None:
    """See :func:`hammerwork_cli.contrib.opentelemetry.instrument`."""
    tracing.carrier_of_present_span = _carrier
    if app is None or app in _INSTRUMENTED:
        return
    _INSTRUMENTED.add(app)
    tracer = trace.get_tracer("hammerwork", __version__, tracer_provider)

    @contextmanager
    def run(job: Job, context: SpawnContext) -> Iterator[None]:
        parent = _parent(job)
        token = attach(get_current() if parent is None else parent)
        started = tracer.start_as_current_span(
            f"process {job.queue}",
            kind=SpanKind.CONSUMER,
            attributes=_attributes(job),
            links=_links(parent),
            record_exception=False,
            set_status_on_exception=False,
        )
        try:
            with started as span:
                context._hand_down(_carrier())
                try:
                    yield
                except BaseException as error:
                    _tell(span, error)
                    raise
        finally:
            detach(token)

    def sync(job: Job, context: SpawnContext, call: Callable[[], Any]) -> Any:
        with run(job, context):
            return call()

    async def coroutine(job: Job, context: SpawnContext, call: Callable[[], Awaitable[Any]]) -> Any:
        with run(job, context):
            return await call()

    def flushed() -> Iterator[None]:
        yield
        provider: Any = tracer_provider or trace.get_tracer_provider()
        if hasattr(provider, "force_flush"):
            provider.force_flush()

    app._arounds.append(Around(sync, coroutine))
    app.lifespan(flushed)


def _carrier() -> dict[str, str]:
    carrier: dict[str, str] = {}
    if trace.get_current_span().get_span_context().is_valid:
        propagate.inject(carrier)  # baggage, say
        _W3C.inject(carrier)
    return carrier


def _parent(job: Job) -> Context | None:
    carrier = job.carrier
    return _W3C.extract(carrier, propagate.extract(carrier)) if carrier else None


def _links(parent: Context | None) -> list[Link]:
    span = trace.get_current_span(parent or Context()).get_span_context()
    return [Link(span)] if span.is_valid else []


def _attributes(job: Job) -> dict[str, str | int]:
    known = {
        "messaging.system": "hammerwork",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": job.queue,
        "messaging.message.id": job.id,
        "messaging.message.conversation_id": job.correlation_id,
        "hammerwork.job.attempt": job.attempts,
        "hammerwork.job.max_attempts": job.max_attempts,
    }
    return {name: value for name, value in known.items() if value is not None}


def _tell(span: Span, error: BaseException) -> None:
    if isinstance(error, Snooze | Cancel):
        span.set_attribute("hammerwork.job.outcome", type(error).__name__.lower())
        return
    span.set_attribute("error.type", type(error).__qualname__)
    span.set_status(Status(StatusCode.ERROR, message_of(error)))
    if isinstance(error, WantedOutcome):
        span.set_attribute("hammerwork.job.outcome", "retry" if isinstance(error, Retry) else "discard")
    else:
        with suppress(Exception):  # whatever its __str__ raises
            span.record_exception(error)
