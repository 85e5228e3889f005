"""Callbacks: jobs that workers enqueue at the end of a batch, a tree or a workflow."""

import json
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from hammerwork_cli.core.ids import new_id
from hammerwork_cli.core.payloads import same_json
from hammerwork_cli.core.values import Counts, JobStatus, Timestamp
from hammerwork_cli.features.event.model import EventType

ENDED_KEY = "_ended"
"""The key of a payload that says what has ended."""
_TYPE = "_event"
_ANNOUNCES = f'{{"{_TYPE}": '


class Subject(StrEnum):
    """What a callback belongs to."""

    BATCH = "batch"
    TREE = "tree"
    """A job and everything below it."""
    WORKFLOW = "workflow"


class CallbackEvent(StrEnum):
    """What a callback waits for."""

    COMPLETE = "complete"
    """All jobs have ended."""
    SUCCESS = "success"
    """All jobs have completed, also after a retry."""
    FAILURE = "failure"
    """The first job has failed for good, or was cancelled."""


class CallbackState(StrEnum):
    OPEN = "open"
    FIRED = "fired"
    OVER = "over"
    """Its event can no longer happen."""


class NewCallback(NamedTuple):
    """A callback that is about to be inserted; :func:`job.options.new_callback` makes one."""

    event: str  # what it waits for
    job: str  # JSON text of the options of the job
    id: str  # of the callback, and of its job
    plaintext_meant: bool = False  # somebody has said so


def announcing(
    event: EventType, *, queue: str | None = None, priority: str | None = None, name: str | None = None
) -> NewCallback:
    """A callback that writes an event in place of a job.

    Args:
        queue: that of the root of a tree, or of all jobs of a batch or a workflow.
        priority: its word.
        name: that of a batch or a workflow.
    """
    when = CallbackEvent.SUCCESS if event is EventType.TREE_COMPLETED else CallbackEvent.COMPLETE
    about = {_TYPE: str(event), "queue": queue, "priority": priority, "name": name}
    return NewCallback(when, json.dumps(about, ensure_ascii=False), new_id(), plaintext_meant=True)


def writes_event(stored_job: str) -> bool:
    """Whether a callback writes an event in place of a job."""
    return stored_job.startswith(_ANNOUNCES)


class Callback(NamedTuple):
    """A callback, in the order of the statement's columns."""

    id: str  # of the callback, and of its job
    subject: str
    subject_id: str
    event: str
    stored_job: str  # JSON text of the options of the job
    state: str
    check_at: Timestamp  # when a worker looks next
    ended_at: Timestamp  # when a worker first saw that all jobs had ended; only of one that goes on watching then
    created_at: Timestamp
    changed_at: Timestamp

    @property
    def announced(self) -> Mapping[str, Any] | None:
        """What event it writes in place of a job, and about what; ``None`` if it enqueues a job."""
        if not writes_event(self.stored_job):
            return None
        found: dict[str, Any] = json.loads(self.stored_job)
        return {**found, "type": EventType(found[_TYPE])}

    @property
    def queue(self) -> str:
        """The queue of its job; empty if nothing can be read."""
        try:
            return str(json.loads(self.stored_job)["queue"])
        except (ValueError, RecursionError, KeyError, TypeError):
            return ""

    def is_same(self, new: NewCallback) -> bool:
        """Whether a new callback of the same subject enqueues the same job at the same event."""
        return self.event == new.event and same_json(self.stored_job, new.job)

    @property
    def is_open(self) -> bool:
        return self.state == CallbackState.OPEN

    @property
    def job_id(self) -> str | None:
        """The id of its job, once that is enqueued."""
        return self.id if self.state == CallbackState.FIRED else None

    @property
    def fired_at(self) -> Timestamp:
        return self.changed_at if self.state == CallbackState.FIRED else None

    def options(self, counts: Counts) -> dict[str, Any]:
        """The options of its job, with what has ended in the payload if that is an object."""
        options: dict[str, Any] = json.loads(self.stored_job)
        if isinstance(options["payload"], dict):
            ended = {
                "subject": self.subject,
                "id": self.subject_id,
                "event": self.event,
                "jobs": counts.total,
                "completed": counts.of(JobStatus.COMPLETED),
                "failed": counts.unsuccessful,
            }
            options["payload"] = {**options["payload"], ENDED_KEY: ended}
        return options
