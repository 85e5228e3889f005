"""The endpoints of the archive and of retention policies."""

from hammerwork_cli.errors import LIST_ARCHIVED
from hammerwork_cli.features.archive.models.lists import ArchiveFilter
from hammerwork_cli.features.archive.queries import listing, moving, policies
from hammerwork_cli.features.archive.queries.listing import ArchivedTree, NamedArchived
from hammerwork_cli.features.archive.views import ARCHIVED, ARCHIVED_SUM, POLICY
from hammerwork_cli.features.job.endpoints.changing import CHANGE_OPTIONS, answer_change
from hammerwork_cli.features.job.endpoints.parameters import ARCHIVED_JOB
from hammerwork_cli.features.job.queries import details
from hammerwork_cli.features.job.queries import listing as listing_of_jobs
from hammerwork_cli.features.job.views.details import JOB_DETAILS, DetailedJob
from hammerwork_cli.features.tree.queries import cursors
from hammerwork_cli.view import key
from hammerwork_cli.web.endpoints.endpoint import Answer, Call, Endpoint
from hammerwork_cli.web.endpoints.parameters import CURSOR, QUEUE, STATUS, body, limit, start_of, statuses, within

AS = ("run_again", "as_was")
"""The values of `as`."""


def archive_list(call: Call) -> Answer:
    wanted = call.values
    chosen = ArchiveFilter(
        queues=tuple(wanted["queue"]),
        statuses=tuple(statuses(wanted["status"]) or ()),
        since=start_of(call.now, wanted["since"]),
    )
    most = wanted["limit"]
    found = list(listing.find(call.database, chosen, limit=most + 1, cursor=wanted["cursor"]))
    page = found[:most]
    more = len(found) > most
    return Answer(ARCHIVED.records(page), cursors.at(page[-1].archived_at, page[-1].id) if more else None)


def archive_stats(call: Call) -> Answer:
    return Answer(ARCHIVED_SUM.records(listing.sums(call.database, call.values["queue"])))


def archived_job(call: Call) -> Answer:
    """Answers as ``archive show``."""
    return Answer(JOB_DETAILS.record(DetailedJob(details.details(call.database, call.values["id"], archived=True))))


def retention(call: Call) -> Answer:
    """Answers as ``archive policies``."""
    return Answer(POLICY.records(policies.all_policies(call.database)))


def restore(call: Call) -> Answer:
    top, tree, how = call.values["id"], call.body.get("tree", False), call.body.get("as")
    named = NamedArchived([listing_of_jobs.resolve(call.database, top, hint=LIST_ARCHIVED)])
    again = moving.runs_again(call.database, named, how, tree=tree, hint='Send "as": "run_again" or "as_was".')
    change = moving.RestoreArchived(call.now, again=again)
    return answer_change(call, ArchivedTree(named.named[0]) if tree else named, change)


ENDPOINTS = (
    Endpoint(
        "GET",
        "/api/archive",
        archive_list,
        "Archived jobs, most recently archived first.",
        "archive-list",
        (limit(50), CURSOR, QUEUE, STATUS, within("Only jobs archived")),
        refusals=(404,),
    ),
    Endpoint(
        "GET", "/api/archive-stats", archive_stats, "Archived jobs by queue and reason.", "archive-stats", (QUEUE,)
    ),
    Endpoint(
        "GET",
        "/api/archive/{id}",
        archived_job,
        "Everything known about an archived job.",
        "archive-show",
        (ARCHIVED_JOB,),
        refusals=(404, 409),
    ),
    Endpoint(
        "POST",
        "/api/archive/{id}/restore",
        restore,
        "Restores an archived job, which runs again if it had failed.",
        "archive-restore",
        (ARCHIVED_JOB,),
        body=body(
            {
                "tree": CHANGE_OPTIONS["tree"],
                "as": key.text(
                    "run_again (Pending with 0 attempts) or as_was; required for a tree or a job that did not fail", *AS
                ),
                "dry_run": CHANGE_OPTIONS["dry_run"],
            }
        ),
        changes=True,
        refusals=(404, 409),
    ),
    Endpoint("GET", "/api/retention", retention, "Retention policies, by queue.", "archive-policies"),
)
