"""Traces of OpenTelemetry: a span for each run of a job, in the trace of the program that enqueued it."""

from typing import TYPE_CHECKING

from hammerwork_cli import app_path
from hammerwork_cli.contrib import extras
from hammerwork_cli.runtime.api.handlers import Handlers

if TYPE_CHECKING:
    from opentelemetry.trace import TracerProvider

__all__ = ["instrument"]


def instrument(app: Handlers | None = None, *, tracer_provider: "TracerProvider | None" = None) -> None:
    """Traces the runs of an application's jobs, and the jobs that this process enqueues.

    A run is a span. Its parent, which it also links to, is the span in which the job was enqueued, by hammerwork (Rust)
    too, or the run of the job that spawned it. A failed run has the status ``ERROR`` and the exception. A job without a
    trace that is enqueued in a span gets that span's context.

    Args:
        app: the application; ``None`` in a program that only enqueues.
        tracer_provider: the global one by default.

    Raises:
        ConfigError: OpenTelemetry is not installed.
    """
    with extras.needed("opentelemetry"), app_path.without():
        from hammerwork_cli.contrib import spans
    spans.instrument(app, tracer_provider)
