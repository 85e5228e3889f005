"""The endpoints that read jobs. Each runs a query and answers with the record that its command prints."""

from hammerwork_cli.features.job.endpoints.parameters import JOB
from hammerwork_cli.features.job.models.job import JobFilter
from hammerwork_cli.features.job.queries import details, listing
from hammerwork_cli.features.job.views.details import JOB_DETAILS, DetailedJob
from hammerwork_cli.features.job.views.listing import JOB as LISTED_JOB
from hammerwork_cli.features.spawn.queries import delays, failed
from hammerwork_cli.features.spawn.views.hold import hold_of
from hammerwork_cli.web.endpoints.endpoint import Answer, Call, Endpoint
from hammerwork_cli.web.endpoints.parameters import CURSOR, QUEUE, SINCE, STATUS, limit, start_of, statuses, within


def failed_jobs(call: Call) -> Answer:
    """Answers with the jobs that failed last, as ``job list`` prints jobs."""
    wanted = call.values
    since = start_of(call.now, wanted["since"])
    found = failed.latest(call.database, limit=wanted["limit"], queues=wanted["queue"], since=since)
    return Answer(LISTED_JOB.records(found))


def job_list(call: Call) -> Answer:
    wanted = call.values
    chosen = JobFilter(
        queues=tuple(wanted["queue"]),
        statuses=tuple(statuses(wanted["status"]) or ()),
        since=start_of(call.now, wanted["since"]),
    )
    page = listing.find(call.database, chosen, limit=wanted["limit"], cursor=wanted["cursor"])
    return Answer(LISTED_JOB.records(page.jobs), page.cursor)


def job(call: Call) -> Answer:
    """Answers as ``job show``."""
    found = details.details(call.database, call.values["id"])
    hold = hold_of(found, delays.of_job(call.database, found, now=call.now), call.now)
    return Answer(JOB_DETAILS.record(DetailedJob(found, hold)))


ENDPOINTS = (
    Endpoint(
        "GET",
        "/api/failed-jobs",
        failed_jobs,
        "Jobs that failed, the newest failure first.",
        "job-list",
        (limit(50), QUEUE, within("Only jobs that failed")),
    ),
    Endpoint(
        "GET",
        "/api/jobs",
        job_list,
        "Jobs, newest first.",
        "job-list",
        (limit(50), CURSOR, QUEUE, STATUS, SINCE),
        refusals=(404,),
    ),
    Endpoint("GET", "/api/jobs/{id}", job, "Everything known about a job.", "job-show", (JOB,), refusals=(404, 409)),
)
