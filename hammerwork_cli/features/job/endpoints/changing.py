"""The endpoints that change jobs, each by the queries of its command."""

from typing import Any

from hammerwork_cli.errors import ConflictError, NotFoundError
from hammerwork_cli.features.event.model import DELIVERIES
from hammerwork_cli.features.job.endpoints.parameters import JOB
from hammerwork_cli.features.job.models.job import EnqueuedJob
from hammerwork_cli.features.job.models.new_job import NewJob
from hammerwork_cli.features.job.options import JOB_OPTIONS, wanted_job
from hammerwork_cli.features.job.queries import changes, listing
from hammerwork_cli.features.job.queries import enqueue as enqueueing
from hammerwork_cli.features.job.queries.changes import CancelJobs, Change, RetryJobs
from hammerwork_cli.features.job.queries.selections import ByIds, Selection, Subtrees
from hammerwork_cli.features.job.views.changes import OUTCOME, ChangeAnswer, raise_refusal
from hammerwork_cli.features.job.views.enqueue import ENQUEUED
from hammerwork_cli.view import key
from hammerwork_cli.view.shape import Key, Schema, Shape
from hammerwork_cli.web.endpoints.endpoint import Answer, Call, Endpoint
from hammerwork_cli.web.endpoints.parameters import REASON, body, with_whole_numbers

_FIELDS = [(option.field or option.name, option.rest, option.name) for option in JOB_OPTIONS if option.rest]
NEW_JOB = Shape[Any]({field: one if field in {"queue", "payload"} else one.optional for field, one, _ in _FIELDS})
_NEW_JOB = body(NEW_JOB.parts, "queue", "payload") | {
    "dependentSchemas": {"spawn_config": {"properties": {"payload": {"type": "object"}}}},
    "dependentRequired": {"unique_within_seconds": ["unique"], "unique_while": ["unique"]},
}
_OPTIONS = {field: name for field, _, name in _FIELDS}
"""Field of the body -> option of a job."""


def enqueue(call: Call) -> Answer:
    given = with_whole_numbers(call.body, but="payload")
    if given["queue"] == DELIVERIES:  # its jobs are signed with the secrets of webhooks, whatever they say
        raise ConflictError(f"Nobody enqueues jobs of the queue {DELIVERIES} by HTTP.")
    if "spawn_config" in given:
        given["spawn_config"] = with_whole_numbers(given["spawn_config"], but="metadata")
    if "depends_on" in given:
        given["depends_on"] = [listing.resolve(call.database, word) for word in given["depends_on"]]
    wanted = wanted_job({_OPTIONS[name]: value for name, value in given.items()})
    if wanted.encrypt and call.database.url.keys is None:
        raise ConflictError(
            "This server has no encryption key: nothing was written.", hint="Start it with --encryption-key."
        )
    job = wanted.made(call.now)
    placed = _placed(call, job)
    location = {"location": f"/api/jobs/{placed.id}"}
    return Answer(ENQUEUED.record(placed), status=201 if placed.created else 200, headers=location)


def _placed(call: Call, job: NewJob) -> EnqueuedJob:
    """Enqueues the job, or finds it. With ``--redact``, the answer does not tell whether the payloads are the same."""
    taken = ConflictError("A job with this id exists.", hint=f"See: /api/jobs/{job.id}")
    try:
        placed = enqueueing.once(call.database, job)
    except ConflictError:
        if call.settings.redact and _is_there(call, job.id):
            raise taken from None
        raise
    if call.settings.redact and not placed.created and placed.id == job.id:
        raise taken
    return placed


def _is_there(call: Call, job: str) -> bool:
    try:
        listing.resolve(call.database, job)
    except NotFoundError:
        return False
    return True


CHANGE_OPTIONS: dict[str, Key | Schema] = {
    "tree": key.flag("Include everything below the job"),
    "force": key.flag("Include jobs that are refused otherwise: see the command's --force"),
    "dry_run": key.flag("Show the plan and change nothing"),
}
NOW: dict[str, Key | Schema] = {"now": key.flag("Run at once also jobs that were cancelled before they were due")}


def retry(call: Call) -> Answer:
    force, respawn = call.body.get("force", False), call.body.get("respawn", False)
    cancelled = call.body.get("cancelled", False) or not call.body.get("tree", False)
    return _change(
        call,
        RetryJobs(call.now, force=force, respawn=respawn, cancelled=cancelled, at_once=call.body.get("now", False)),
    )


def cancel(call: Call) -> Answer:
    reason, force = call.body.get("reason"), call.body.get("force", False)
    return _change(call, CancelJobs(call.now, by=call.operator, reason=reason, force=force))


def _change(call: Call, change: Change) -> Answer:
    job = listing.resolve(call.database, call.values["id"])
    return answer_change(
        call, Subtrees([job], change.in_trees) if call.body.get("tree", False) else ByIds([job]), change
    )


def answer_change(call: Call, selection: Selection, change: Change) -> Answer:
    """Carries a change out, or only plans it with ``dry_run``.

    Raises:
        ConflictError, NotFoundError: only one job was named, and it cannot change.
    """
    database = call.database
    plan = changes.plan(database, selection, change)
    if call.body.get("dry_run", False):
        return Answer(OUTCOME.record(ChangeAnswer(plan.foreseen, plan, dry_run=True)))
    raise_refusal(changes.refused(database, change, plan))
    outcome = changes.run(database, selection, change)
    outcome.later = plan.later
    raise_refusal(changes.refused(database, change, outcome))
    return Answer(OUTCOME.record(ChangeAnswer(outcome, plan if outcome.job is None else None)))


ENDPOINTS = (
    Endpoint(
        "POST",
        "/api/jobs",
        enqueue,
        "Enqueues a job: 201, or 200 when the same job exists; with --redact 409 when its id exists.",
        "job-enqueue",
        body=_NEW_JOB,
        changes=True,
        status=201,
        also=200,
        refusals=(404, 409, 422),
    ),
    Endpoint(
        "POST",
        "/api/jobs/{id}/retry",
        retry,
        "Retries a Failed, Dead, TimedOut or Cancelled job; with tree, also those below it.",
        OUTCOME.schema,
        (JOB,),
        body=body(
            CHANGE_OPTIONS
            | {
                "respawn": key.flag("Let jobs that have spawned spawn again"),
                "cancelled": key.flag(
                    "With tree, include Cancelled jobs; without it, a Cancelled job is always retried"
                ),
                **NOW,
            }
        ),
        changes=True,
        refusals=(404, 409),
    ),
    Endpoint(
        "POST",
        "/api/jobs/{id}/cancel",
        cancel,
        "Cancels a job that has not started; with tree, also those below it.",
        OUTCOME.schema,
        (JOB,),
        body=body(CHANGE_OPTIONS | REASON),
        changes=True,
        refusals=(404, 409),
    ),
)
