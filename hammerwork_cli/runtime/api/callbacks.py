"""Callbacks: jobs that are enqueued at the end of a batch, or of a job and everything below it."""

import json
from collections.abc import Collection
from dataclasses import MISSING, fields
from datetime import timedelta
from typing import Any

from hammerwork_cli.core.values import JobPriority
from hammerwork_cli.errors import UsageError
from hammerwork_cli.features.callbacks.model import CallbackEvent, NewCallback
from hammerwork_cli.features.job.options import CALLBACK_OPTIONS, new_callback

_OF_A_ROW = {"id", "status", "attempts", "created_at", "started_at", "error", "created", "result"}
"""Fields of a job that a callback does not take over."""


def callbacks_of(on_complete: Any, on_success: Any, on_failure: Any) -> tuple[NewCallback, ...]:
    """The callbacks for jobs (``Job | None``) that are to be enqueued at an end.

    Raises:
        UsageError: one of them is no job, has no queue, or has something that a callback cannot have.
    """
    given = {CallbackEvent.COMPLETE: on_complete, CallbackEvent.SUCCESS: on_success, CallbackEvent.FAILURE: on_failure}
    return tuple(new_callback(event, _options(job)) for event, job in given.items() if job is not None)


def refuse_fields(job: Any, subject: str, *, but: Collection[str]) -> None:
    """Refuses a job with a field that a callback or a schedule would drop.

    Args:
        subject: of the error's sentence.
        but: the fields that it may have.
    """
    for field in fields(job):
        default = None if field.default is MISSING else field.default
        if field.name not in but and getattr(job, field.name) != default:
            raise UsageError(f"{subject} cannot have {field.name}.")


def _options(job: Any) -> dict[str, Any]:
    if not all(hasattr(job, name) for name in CALLBACK_OPTIONS):
        raise UsageError(f"A callback is a Job, not {job!r:.60}.")
    refuse_fields(job, "The job of a callback", but={*CALLBACK_OPTIONS, "spawn_config", *_OF_A_ROW})
    options = {name: plain(getattr(job, name)) for name in CALLBACK_OPTIONS}
    payload = json.loads(job._payload_text())
    options["payload"] = {} if payload is None else payload
    return {name: value for name, value in options.items() if value is not None}


def plain(value: Any) -> Any:
    """The value of a job's field as an option of a job."""
    if isinstance(value, timedelta):
        return value.total_seconds()
    return value.word if isinstance(value, JobPriority) else value
