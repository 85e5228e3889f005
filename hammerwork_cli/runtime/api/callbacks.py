"""Callbacks: jobs that are enqueued at the end of a batch, or of a job and everything below it."""

import json
from typing import Any

from hammerwork_cli.errors import UsageError
from hammerwork_cli.features.callbacks.model import CallbackEvent, new_callback
from hammerwork_cli.features.job.models.new_job import NewCallback
from hammerwork_cli.runtime.api.encoding import json_text

_KEPT = ("queue", "payload", "delay", "max_attempts", "timeout", "trace_id", "correlation_id")
_ELSE = (
    *("dependencies", "scheduled_at", "cron_schedule", "timezone", "retry_strategy", "workflow_id", "workflow_name"),
    *("parent_span_id", "span_context", "result_ttl", "result_max_size", "encryption", "callbacks"),
)


def callbacks_of(on_complete: Any, on_success: Any, on_failure: Any) -> tuple[NewCallback, ...]:
    """The callbacks for jobs (``Job | None``) that are to be enqueued at an end.

    Raises:
        UsageError: one of them is no job, has no queue, or has something that a callback cannot have.
    """
    given = {CallbackEvent.COMPLETE: on_complete, CallbackEvent.SUCCESS: on_success, CallbackEvent.FAILURE: on_failure}
    return tuple(new_callback(event, _options(job)) for event, job in given.items() if job is not None)


def _options(job: Any) -> dict[str, Any]:
    if not all(hasattr(job, name) for name in (*_KEPT, *_ELSE)):
        raise UsageError(f"A callback is a Job, not {job!r:.60}.")
    for name in _ELSE:
        if getattr(job, name) not in (None, ()):
            raise UsageError(f"The job of a callback cannot have {name}.")
    options = {name: getattr(job, name) for name in _KEPT}
    for name in ("delay", "timeout"):
        options[name] = None if options[name] is None else options[name].total_seconds()
    options["priority"] = None if job.priority is None else job.priority.word
    options["payload"] = {} if job.payload is None else json.loads(json_text(job.payload))
    return {name: value for name, value in options.items() if value is not None}
