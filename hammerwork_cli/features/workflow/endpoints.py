"""The endpoints of workflows."""

from dataclasses import replace

from hammerwork_cli.core.values import HIDDEN
from hammerwork_cli.features.job.endpoints.changing import CHANGE_OPTIONS, NOW, answer_change
from hammerwork_cli.features.job.endpoints.parameters import JOB
from hammerwork_cli.features.job.models.job import JobFilter
from hammerwork_cli.features.job.queries.changes import Change, RetryJobs
from hammerwork_cli.features.job.queries.selections import ByFilter
from hammerwork_cli.features.tree.queries import cursors
from hammerwork_cli.features.workflow import views as shown
from hammerwork_cli.features.workflow.model import WorkflowStatus
from hammerwork_cli.features.workflow.queries import endings, listing
from hammerwork_cli.features.workflow.queries.endings import CancelWorkflow
from hammerwork_cli.view import key
from hammerwork_cli.view.json import Record
from hammerwork_cli.web.endpoints.endpoint import Answer, Call, Endpoint
from hammerwork_cli.web.endpoints.parameters import CURSOR, REASON, STATUS, Parameter, body, limit, start_of, within

WORKFLOW = replace(
    JOB, about="A workflow's id, or at least its first 4 hex digits.", is_a="a workflow id", resolve=listing.resolve
)
WORDS = [status.value for status in WorkflowStatus]
NAME = Parameter("name", key.line(1, 255).schema, "Only workflows with this text in the name; * is any text.")
SHOWN_ERRORS = 10


def workflow_list(call: Call) -> Answer:
    wanted, most = call.values, call.values["limit"]
    found = list(
        listing.find(
            call.database,
            statuses=wanted["status"] or (),
            name=wanted["name"],
            since=start_of(call.now, wanted["since"]),
            limit=most + 1,
            cursor=wanted["cursor"],
        )
    )
    page = found[:most]
    more = len(found) > most
    return Answer(
        [_shown(call, shown.WORKFLOW.record(workflow)) for workflow in page],
        cursors.at(page[-1].created_at, page[-1].id) if more else None,
    )


def one_workflow(call: Call) -> Answer:
    """Answers as ``workflow show``."""
    found = listing.details(call.database, call.values["id"], limit=SHOWN_ERRORS)
    return Answer(_shown(call, shown.WORKFLOW_DETAILS.record(found)))


def workflow_graph(call: Call) -> Answer:
    with call.database.snapshot():
        found, tree = listing.one(call.database, call.values["id"]), listing.graph(call.database, call.values["id"])
    return Answer(_shown(call, shown.WORKFLOW_GRAPH.record(shown.Graph.of(found, tree))))


def _shown(call: Call, record: Record) -> Record:
    """The record, without the name if values are hidden: other answers hide the names of workflows, too."""
    return {**record, "name": HIDDEN} if call.settings.redact else record


def retry(call: Call) -> Answer:
    cancelled = call.body.get("cancelled", False)
    if cancelled and not call.body.get("dry_run", False):
        endings.reopen_without_failures(call.database, listing.resolve(call.database, call.values["id"]))
    return _change(call, RetryJobs(call.now, cancelled=cancelled, at_once=call.body.get("now", False)))


def cancel(call: Call) -> Answer:
    workflow = endings.cancellable(call.database, listing.resolve(call.database, call.values["id"])).id
    reason, force = call.body.get("reason"), call.body.get("force", False)
    answer = _change(call, CancelWorkflow(workflow, call.now, by=call.operator, reason=reason, force=force))
    if not call.body.get("dry_run", False):
        endings.cancel(call.database, workflow)
    return answer


def _change(call: Call, change: Change) -> Answer:
    workflow = listing.resolve(call.database, call.values["id"])
    return answer_change(call, ByFilter(change.filter(JobFilter(workflows=(workflow,)))), change)


ENDPOINTS = (
    Endpoint(
        "GET",
        "/api/workflows",
        workflow_list,
        "Workflows, newest first, with counts of their jobs.",
        "workflow-list",
        (
            limit(50),
            CURSOR,
            replace(
                STATUS,
                schema={**STATUS.schema, "items": {"type": "string", "enum": WORDS}},
                about="Only workflows in one of these statuses.",
            ),
            NAME,
            within("Only workflows created"),
        ),
        refusals=(404,),
    ),
    Endpoint(
        "GET",
        "/api/workflows/{id}",
        one_workflow,
        "Everything known about a workflow except its graph.",
        "workflow-show",
        (WORKFLOW,),
        refusals=(404, 409),
    ),
    Endpoint(
        "GET",
        "/api/workflows/{id}/graph",
        workflow_graph,
        "The jobs of a workflow and what they wait for.",
        "workflow-graph",
        (WORKFLOW,),
        refusals=(404, 409),
    ),
    Endpoint(
        "POST",
        "/api/workflows/{id}/retry",
        retry,
        "Retries the Failed, Dead and TimedOut jobs of a workflow, which runs again.",
        "workflow-retry",
        (WORKFLOW,),
        body=body({"cancelled": key.flag("Include Cancelled jobs"), "dry_run": CHANGE_OPTIONS["dry_run"], **NOW}),
        changes=True,
        refusals=(404, 409),
    ),
    Endpoint(
        "POST",
        "/api/workflows/{id}/cancel",
        cancel,
        "Cancels a workflow: its jobs that have not started.",
        "workflow-cancel",
        (WORKFLOW,),
        body=body({**REASON, "force": CHANGE_OPTIONS["force"], "dry_run": CHANGE_OPTIONS["dry_run"]}),
        changes=True,
        refusals=(404, 409),
    ),
)
