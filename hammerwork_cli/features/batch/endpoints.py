"""The endpoints of batches."""

from dataclasses import replace

from hammerwork_cli.features.batch import views as shown
from hammerwork_cli.features.batch.queries import listing
from hammerwork_cli.features.job.endpoints.changing import CHANGE_OPTIONS, NOW, answer_change
from hammerwork_cli.features.job.endpoints.parameters import JOB
from hammerwork_cli.features.job.models.job import JobFilter
from hammerwork_cli.features.job.queries.changes import CancelJobs, Change, RetryJobs
from hammerwork_cli.features.job.queries.selections import ByFilter
from hammerwork_cli.features.tree.queries import cursors
from hammerwork_cli.view import key
from hammerwork_cli.web.endpoints.endpoint import Answer, Call, Endpoint
from hammerwork_cli.web.endpoints.parameters import CURSOR, REASON, body, limit, start_of, within

BATCH = replace(
    JOB, about="A batch's id, or at least its first 4 hex digits.", is_a="a batch id", resolve=listing.resolve
)
SHOWN_ERRORS = 10


def batch_list(call: Call) -> Answer:
    wanted, most = call.values, call.values["limit"]
    since = start_of(call.now, wanted["since"])
    found = list(listing.find(call.database, since=since, limit=most + 1, cursor=wanted["cursor"]))
    page = found[:most]
    more = len(found) > most
    return Answer(shown.BATCH.records(page), cursors.at(page[-1].created_at, page[-1].id) if more else None)


def one_batch(call: Call) -> Answer:
    """Answers as ``batch show``."""
    return Answer(shown.BATCH_DETAILS.record(listing.details(call.database, call.values["id"], limit=SHOWN_ERRORS)))


def retry(call: Call) -> Answer:
    return _change(
        call, RetryJobs(call.now, cancelled=call.body.get("cancelled", False), at_once=call.body.get("now", False))
    )


def cancel(call: Call) -> Answer:
    reason, force = call.body.get("reason"), call.body.get("force", False)
    return _change(call, CancelJobs(call.now, by=call.operator, reason=reason, force=force))


def _change(call: Call, change: Change) -> Answer:
    batch = listing.resolve(call.database, call.values["id"])
    return answer_change(call, ByFilter(change.filter(JobFilter(batches=(batch,)))), change)


ENDPOINTS = (
    Endpoint(
        "GET",
        "/api/batches",
        batch_list,
        "Batches, newest first, with counts of their jobs.",
        "batch-list",
        (limit(50), CURSOR, within("Only batches created")),
        refusals=(404,),
    ),
    Endpoint(
        "GET",
        "/api/batches/{id}",
        one_batch,
        "Everything known about a batch.",
        "batch-show",
        (BATCH,),
        refusals=(404, 409),
    ),
    Endpoint(
        "POST",
        "/api/batches/{id}/retry",
        retry,
        "Retries the Failed, Dead and TimedOut jobs of a batch.",
        "batch-retry",
        (BATCH,),
        body=body({"cancelled": key.flag("Include Cancelled jobs"), "dry_run": CHANGE_OPTIONS["dry_run"], **NOW}),
        changes=True,
        refusals=(404, 409),
    ),
    Endpoint(
        "POST",
        "/api/batches/{id}/cancel",
        cancel,
        "Cancels the jobs of a batch that have not started.",
        "batch-cancel",
        (BATCH,),
        body=body({**REASON, "force": CHANGE_OPTIONS["force"], "dry_run": CHANGE_OPTIONS["dry_run"]}),
        changes=True,
        refusals=(404, 409),
    ),
)
