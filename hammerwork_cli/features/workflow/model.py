"""Workflows: jobs that depend on each other, share an id, and fail as a policy says; new ones, and those in files."""

import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any, NamedTuple, Self
from uuid import UUID, uuid5

from hammerwork_cli.core.ids import new_id
from hammerwork_cli.core.input import fields
from hammerwork_cli.core.input.documents import json_of, toml_of
from hammerwork_cli.core.input.limits import LONGEST_NAME, MOST_PARENTS
from hammerwork_cli.core.input.reading import uuid_of
from hammerwork_cli.core.values import Counts, JobStatus, Timestamp, between
from hammerwork_cli.errors import UsageError
from hammerwork_cli.features.batch.model import Contents
from hammerwork_cli.features.job.models.new_job import NewJob
from hammerwork_cli.features.job.options import OPTIONS, WantedJob, wanted_job
from hammerwork_cli.features.tree.model import TreeNode
from hammerwork_cli.features.tree.spawn_tree import SpawnTree, linked


class WorkflowStatus(StrEnum):
    """The statuses of workflows, in the words of hammerwork (Rust)."""

    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    """All jobs have ended, and one has failed."""
    CANCELLED = "cancelled"
    """Somebody has cancelled it; jobs of it may still run."""
    GONE = "gone"
    """All jobs were deleted before they had ended. Rows do not hold this word."""


class FailurePolicy(StrEnum):
    """The effect of a failed job on the others of its workflow."""

    FAIL_FAST = "fail_fast"
    """All that have not started fail."""
    CONTINUE = "continue_on_failure"
    """Its dependents fail, and theirs; the others go on."""
    IGNORE = "ignore_failures"
    """Its dependents run once all of their dependencies have ended. hammerwork (Rust) does not know it."""
    MANUAL = "manual"
    """Its dependents stay Pending; the others go on."""


@dataclass(frozen=True, slots=True)
class StoredWorkflow:
    """A workflow whose jobs are counted: hammerwork (Rust) never changes the counters of its row."""

    id: str
    name: str
    stored_status: str  # a `WorkflowStatus`; may be stale
    failure_policy: str  # a `FailurePolicy`
    total: int  # the number of jobs that the row holds
    created_at: Timestamp
    # Its jobs by the status that the rows hold, archived ones too: Cancelled ones are Failed there, and Retrying ones
    # Pending.
    counts: Counts = field(default_factory=Counts)
    waiting: int = 0  # jobs that wait for other jobs
    last_end: Timestamp = None  # when the last of the ended jobs ended
    last_failure: Timestamp = None  # when the last job failed by itself, and not because of others

    @property
    def status(self) -> str:
        if self.stored_status == WorkflowStatus.CANCELLED:
            return WorkflowStatus.CANCELLED
        if self.counts.open:
            return WorkflowStatus.RUNNING
        if not self.counts.total:  # nothing else tells any more
            was_filled = self.stored_status == WorkflowStatus.RUNNING and self.total
            return WorkflowStatus.GONE if was_filled else self.stored_status
        return WorkflowStatus.FAILED if self.counts.unsuccessful else WorkflowStatus.COMPLETED

    @property
    def needs_decision(self) -> bool:
        """Whether a job has failed, and the policy leaves the jobs that wait to people."""
        is_running = self.status == WorkflowStatus.RUNNING
        return is_running and self.failure_policy == FailurePolicy.MANUAL and self.counts.unsuccessful > 0

    @property
    def ended_at(self) -> Timestamp:
        """When the last job ended; ``None`` while one is open."""
        return None if self.counts.open else self.last_end

    @property
    def took(self) -> timedelta | None:
        """Time from its creation to its end; ``None`` until it has ended."""
        return between(self.created_at, self.ended_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowDetails(Contents):
    """Everything about a workflow but the graph of its jobs."""

    workflow: StoredWorkflow


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
                f"The key {POLICY_KEY} of the metadata is reserved for hammerwork.",
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
        raise UsageError(f"{key!r:.80} waits for {parents:,} jobs; it can wait for at most {MOST_PARENTS:,}.")


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


KEYS = ("name", "failure_policy", "metadata", "jobs")
JOB_KEYS = ("after", *(name for name in OPTIONS if name != "id"))
_JSON = re.compile(r"\s*(\{|\[\s*\{)")
_FORM = 'Write name = "nightly", then [jobs.load] and below it queue = "load" and after = ["extract"].'


class WantedWorkflow(NamedTuple):
    """A workflow that was read from a file."""

    options: dict[str, Any]  # `name`, `failure_policy` and `metadata`, as far as it has them
    jobs: dict[str, WantedJob]  # key -> job
    after: dict[str, tuple[str, ...]]  # key -> keys of the jobs that it waits for


def parsed(text: str, file: str) -> Any:
    """The value of a file: JSON if it begins as an object or a list of objects, else TOML."""
    try:
        return json_of(text) if _JSON.match(text) else toml_of(text)
    except ValueError as error:
        raise UsageError(f"{file} {error}.") from error


def read_workflow(value: Any) -> WantedWorkflow:
    """Reads the workflow of a file. A job has the options of ``job enqueue``, and ``after``.

    The queue defaults to the key of the job, and the payload to an empty object.
    """
    if isinstance(value, list) or (isinstance(value, dict) and isinstance(value.get("jobs"), list)):
        raise UsageError("The jobs of a workflow are a table with a key for each, not a list.", hint=_FORM)
    if not isinstance(value, dict):
        raise UsageError("The file of a workflow is a table.", hint=_FORM)
    unknown = sorted(value.keys() - set(KEYS))
    if unknown:
        raise UsageError(f"{unknown[0][:80]!r} is not a key of a workflow.", hint=f"One of: {', '.join(KEYS)}.")
    tables = value.get("jobs")
    if not isinstance(tables, dict) or not tables:
        raise UsageError("The workflow of the file has no jobs.", hint=_FORM)
    wanted = WantedWorkflow({name: value[name] for name in KEYS[:-1] if name in value}, {}, {})
    for key, options in tables.items():
        try:
            wanted.after[key] = _after(options)
            wanted.jobs[key] = _job(key, options)
        except UsageError as error:
            raise UsageError(f"jobs.{key:.80}: {error.message}", hint=error.hint) from error
    check_order(wanted.after)
    return wanted


def _after(options: Any) -> tuple[str, ...]:
    if not isinstance(options, dict):
        raise UsageError("It has no options of a job.", hint=_FORM)
    keys = options.get("after", [])
    if not isinstance(keys, list):
        raise UsageError(f"after must be a list of keys of jobs, not {keys!r:.60}.")
    return tuple(dict.fromkeys(fields.text(key, "a key in after") for key in keys))


def _job(key: str, options: Mapping[str, Any]) -> WantedJob:
    unknown = sorted(options.keys() - set(JOB_KEYS))
    if unknown:
        raise UsageError(f"{unknown[0][:80]!r} is not an option of a job.", hint=f"One of: {', '.join(JOB_KEYS)}.")
    given = {"queue": key, "payload": {}, **{name: value for name, value in options.items() if name != "after"}}
    try:
        return wanted_job(given)
    except TypeError as error:  # TOML has dates
        raise UsageError(f"JSON cannot hold the payload: {error}.") from error
