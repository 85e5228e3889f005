"""Workflows: jobs that wait for each other under a name."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Self
from uuid import UUID

from hammerwork_cli.core.input import fields
from hammerwork_cli.errors import UsageError
from hammerwork_cli.features.job.models.new_job import NewJob
from hammerwork_cli.features.workflow.model import NewWorkflow
from hammerwork_cli.runtime.api.absent import Translated
from hammerwork_cli.runtime.api.callbacks import callbacks_of
from hammerwork_cli.runtime.api.job import Job, checked


class Workflow(Translated):
    """Jobs that wait for each other, with a name and a failure policy. :meth:`Queue.enqueue_workflow` writes it.

    Args:
        name: of the workflow, for people.
        failure_policy: what happens once a job has failed. ``fail_fast`` fails the others that have not started. With
            another policy they go on, and those that wait for it fail (``continue_on_failure``), run once everything
            that they wait for has ended (``ignore_failures``), or stay Pending (``manual``).
        metadata: a JSON object to store with it.
        id: a UUID; the same workflow with this id is written once.
        on_complete: enqueued once, when all jobs have ended.
        on_success: enqueued once, when all have completed, even if failed ones had to be retried.
        on_failure: enqueued once, when the first job has failed for good or was cancelled.

    Raises:
        UsageError: one of them is not valid.
    """

    def __init__(
        self,
        name: str,
        *,
        failure_policy: str | None = None,
        metadata: dict[str, Any] | None = None,
        id: str | UUID | None = None,
        on_complete: Job | None = None,
        on_success: Job | None = None,
        on_failure: Job | None = None,
    ) -> None:
        self._new = NewWorkflow.of(name, failure_policy, metadata, id)
        self._callbacks = callbacks_of(on_complete, on_success, on_failure)
        self._jobs: dict[str, Job] = {}
        self._after: dict[str, tuple[str, ...]] = {}

    @property
    def id(self) -> str:
        """Its id."""
        return self._new.id

    @property
    def name(self) -> str:
        """Its name."""
        return self._new.name

    def add(self, key: str, job: Job, *, after: str | Iterable[str] = ()) -> Self:
        """Adds a job.

        Args:
            key: name of the job in the workflow; the job's id derives from it and from the workflow's id.
            job: may depend on other jobs, too.
            after: keys of the jobs that must complete first.

        Returns:
            The workflow itself.

        Raises:
            UsageError: the key is taken or is not text, or that is not a job.
        """
        fields.text(key, "The key")
        if key in self._jobs:
            raise UsageError(f"The workflow already has a job {key!r:.80}.")
        checked(job, f"The job {key!r:.80} of the workflow")
        keys = [after] if isinstance(after, str) else after
        self._jobs[key] = job
        self._after[key] = tuple(dict.fromkeys(fields.text(one, "a key in after") for one in keys))
        return self

    @property
    def jobs(self) -> dict[str, Job]:
        """Its jobs by key, as they were added."""
        return dict(self._jobs)

    def _new_jobs(self, now: datetime) -> tuple[NewWorkflow, list[NewJob]]:
        """The rows to insert.

        Refuses a job that waits for one that is not there, or for itself through others, or that depends on another job
        of the workflow by its id.
        """
        keys = {job.id: key for key, job in self._jobs.items()}
        for key, job in self._jobs.items():
            if other := next((keys[parent] for parent in job.dependencies if parent in keys), None):
                raise UsageError(
                    f"The job {key!r:.80} depends on {other!r:.80} by an id that it does not have in the workflow.",
                    hint=f"Write add({key!r:.80}, ..., after={other!r:.80}).",
                )
        return self._new, self._new.linked({key: job._new_job(now) for key, job in self._jobs.items()}, self._after)
