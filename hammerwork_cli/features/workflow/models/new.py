"""Workflows that are about to be inserted."""

import json
from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple, Self
from uuid import UUID, uuid5

from hammerwork_cli.core.input import fields
from hammerwork_cli.core.input.limits import LONGEST_NAME, MOST_PARENTS
from hammerwork_cli.core.input.reading import uuid_of
from hammerwork_cli.core.values import Counts, JobStatus
from hammerwork_cli.errors import UsageError
from hammerwork_cli.features.job.models.new_job import NewJob, new_id
from hammerwork_cli.features.tree.model import SpawnTree, TreeNode, linked
from hammerwork_cli.features.workflow.models.workflows import FailurePolicy, StoredWorkflow, WorkflowStatus

MOST_JOBS = 100_000
"""Jobs of a workflow, which are written in one transaction."""
POLICY_KEY = "_failure_policy"
"""Names a policy in the metadata that the constraint of hammerwork (Rust) does not know."""
_SHOWN = 8
"""Keys of a circle that an error names."""


class NewWorkflow(NamedTuple):
    """A workflow that is about to be inserted."""

    name: str
    failure_policy: FailurePolicy
    metadata: str  # JSON text of an object, with `POLICY_KEY` if the table cannot hold the policy
    id: str

    @classmethod
    def of(cls, name: Any, failure_policy: Any = None, metadata: Any = None, id: str | UUID | None = None) -> Self:
        """Checks what a workflow is made of; without an id, makes a new one.

        Args:
            metadata: an object that JSON can hold.
        """
        name = fields.text(name, "The workflow's name")
        if not name:
            raise UsageError("The workflow has no name.", hint="Give --name, or write name in the file.")
        if len(name) > LONGEST_NAME:
            raise UsageError(f"The workflow's name has 1 to {LONGEST_NAME} characters, not {len(name):,}.")
        word = str(failure_policy or FailurePolicy.FAIL_FAST).strip().lower().replace("-", "_")
        if word not in [*FailurePolicy]:
            raise UsageError(f"{word[:40]!r} is not a failure policy.", hint=f"One of: {', '.join(FailurePolicy)}.")
        if not isinstance(metadata or {}, dict):
            raise UsageError(f"The workflow's metadata must be a JSON object, not {metadata!r:.60}.")
        if POLICY_KEY in (metadata or {}):
            raise UsageError(
                f"The key {POLICY_KEY} of the metadata is hammerwork's own.",
                hint="Give --failure-policy, or failure_policy.",
            )
        own = {POLICY_KEY: word} if word == FailurePolicy.IGNORE else {}
        try:
            text = fields.text(json.dumps((metadata or {}) | own, ensure_ascii=False, allow_nan=False), "The metadata")
        except (TypeError, ValueError, RecursionError) as error:
            raise UsageError(f"JSON cannot hold the metadata: {error}.") from error
        found = new_id() if id is None else uuid_of(str(id))
        if found is None:
            raise UsageError(f"{str(id)[:60]!r} is not a UUID.", hint="Write all of it; uuidgen makes one.")
        return cls(name, FailurePolicy(word), text, found)

    @property
    def stored_policy(self) -> FailurePolicy:
        """The policy as the constraint of the table allows it."""
        return FailurePolicy.MANUAL if self.failure_policy == FailurePolicy.IGNORE else self.failure_policy

    def linked(self, jobs: Mapping[str, NewJob], after: Mapping[str, Collection[str]]) -> list[NewJob]:
        """Adds jobs to the workflow, and makes them wait for each other.

        Args:
            jobs: key -> job, changed in place. Its id becomes that of the workflow and the key, so that the same
                workflow has the same jobs.
            after: key of each job -> keys of the jobs that it waits for.
        """
        check_order(after)
        ids = {key: str(uuid5(UUID(self.id), key)) for key in jobs}
        for key, job in jobs.items():
            job.id, job.workflow_id, job.workflow_name = ids[key], self.id, self.name
            job.depends_on = tuple(dict.fromkeys((*job.depends_on, *(ids[other] for other in after.get(key, ())))))
            _check_parents(key, len(job.depends_on))
        return list(jobs.values())


def own_metadata(text: str | None) -> str | None:
    """The metadata as somebody gave them: JSON text."""
    if text is None or POLICY_KEY not in text:
        return text
    try:
        found = json.loads(text)
        found.pop(POLICY_KEY, None)
    except (ValueError, RecursionError, AttributeError):
        return text
    return json.dumps(found, ensure_ascii=False)


def _check_parents(key: str, parents: int) -> None:
    if parents > MOST_PARENTS:
        raise UsageError(f"{key!r:.80} waits for {parents:,} jobs; {MOST_PARENTS:,} are possible.")


def check_order(after: Mapping[str, Collection[str]]) -> None:
    """Checks whether the jobs of a workflow can run.

    Args:
        after: key of each job -> keys of the jobs that it waits for.
    """
    if len(after) > MOST_JOBS:
        raise UsageError(f"A workflow has at most {MOST_JOBS:,} jobs, not {len(after):,}.")
    for key, others in after.items():
        unknown = next((other for other in others if other not in after), None)
        if unknown is not None:
            raise UsageError(f"{key!r:.80} waits for {unknown!r:.80}, which is not a job of the workflow.")
        _check_parents(key, len(others))
    circle = circle_in(after)
    if circle:
        drawn = " -> ".join(f"{key!s:.40}" for key in circle[:_SHOWN])
        raise UsageError(f"These jobs wait for each other: {drawn}{' -> ...' if len(circle) > _SHOWN else ''}.")


def planned(workflow: NewWorkflow, jobs: Mapping[str, NewJob]) -> tuple[StoredWorkflow, SpawnTree]:
    """A workflow and the graph of its jobs as they would be; queues are named by the keys of the jobs.

    Args:
        jobs: key -> job, as :meth:`NewWorkflow.linked` has changed it.
    """
    nodes: dict[str, TreeNode] = {}
    for key, job in jobs.items():
        name = key if key == job.queue else f"{key} ({job.queue})"
        row = (job.status, job.priority, 0, list(job.depends_on), job.created_at, None, None, None, None, None)
        nodes[job.id] = TreeNode(job.id, name, *row, workflow.id, workflow.name, None)
    counts = Counts({JobStatus.PENDING: len(nodes)} if nodes else {})
    waiting = sum(bool(job.depends_on) for job in jobs.values())
    created = next((job.created_at for job in jobs.values()), None)
    shown = StoredWorkflow(
        workflow.id, workflow.name, WorkflowStatus.RUNNING, workflow.failure_policy, 0, created, counts, waiting
    )
    return shown, linked(nodes)


def circle_in(after: Mapping[str, Iterable[str]]) -> list[str]:
    """The keys of jobs that wait for each other, each before one that it waits for, from one key to itself; else none.

    Args:
        after: key -> keys of the jobs that it waits for.
    """
    done: set[str] = set()
    for start in after:
        path: dict[str, Any] = {}
        key: str | None = start
        while key is not None:
            path.setdefault(key, iter(after.get(key, ())))
            other = next((one for one in path[key] if one not in done), None)
            if other in path:
                keys = list(path)
                return [*keys[keys.index(other or "") :], str(other)]
            if other is None:  # all that it waits for is done
                done.add(key)
                del path[key]
                other = next(reversed(path), None)
            key = other
    return []
