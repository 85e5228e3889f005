"""The endpoints about spawn operations and failures. Each answers with the record that its command prints."""

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, NamedTuple

from hammerwork_cli.core.input.limits import LONGEST_NAME
from hammerwork_cli.database import Database
from hammerwork_cli.errors import AmbiguousIdError, NotFoundError
from hammerwork_cli.features.job.endpoints.parameters import JOB
from hammerwork_cli.features.job.queries import listing
from hammerwork_cli.features.spawn.endpoints.trees import CHILD
from hammerwork_cli.features.spawn.models.spawn import SpawnOperation
from hammerwork_cli.features.spawn.queries import failed, whole_trees
from hammerwork_cli.features.spawn.queries import failures as failures_queries
from hammerwork_cli.features.spawn.queries import operations as operations_queries
from hammerwork_cli.features.spawn.queries import stats as stats_queries
from hammerwork_cli.features.spawn.views import records
from hammerwork_cli.features.spawn.views.failures import ERRORS
from hammerwork_cli.features.spawn.views.stats_records import SPAWN_STATS
from hammerwork_cli.features.tree.queries import children
from hammerwork_cli.view import key
from hammerwork_cli.view.shape import Shape
from hammerwork_cli.web.endpoints.endpoint import Answer, Call, Endpoint
from hammerwork_cli.web.endpoints.parameters import (
    CURSOR,
    HOURS,
    QUEUE,
    SINCE,
    STATUS,
    Parameter,
    limit,
    start_of,
    statuses,
    within,
)

FIRST_CHILDREN = 100
"""Most children beside an operation; all of them are at /api/jobs/{id}/children."""


def operations(call: Call) -> Answer:
    """Answers as ``spawn list``."""
    wanted = call.values
    chosen: dict[str, Any] = {
        "limit": wanted["limit"],
        "queues": wanted["queue"],
        "statuses": statuses(wanted["status"]),
        "since": start_of(call.now, wanted["since"]),
        "until": start_of(call.now, wanted["until"]),
        "roots": wanted["roots"],
        "cursor": wanted["cursor"],
    }
    headers = {}
    if wanted["failed"]:
        broken = failed.operations(call.database, topmost=wanted["topmost"], **chosen)
        headers["total-count"] = f"{broken.total}{'+' if broken.more else ''}"
        page, cursor = broken.operations, broken.cursor
    else:
        pages = whole_trees if wanted["topmost"] else operations_queries
        page, cursor = pages.page(call.database, **chosen)
    if not wanted["topmost"]:
        return Answer(records.OPERATION.records(page), cursor, headers=headers)
    counted = whole_trees.with_counts(call.database, page)
    return Answer(records.TOPMOST_OPERATION.records(counted), cursor, headers=headers)


class DetailedOperation(NamedTuple):
    """An operation and the first of its children."""

    operation: SpawnOperation
    jobs: Sequence[children.Child]


DETAILED_OPERATION = Shape[DetailedOperation](
    {**records.OPERATION.within("operation"), "jobs": key.list_of(CHILD, "Failures first")}
)


def operation(call: Call) -> Answer:
    """Answers with a parent and the first of its children."""
    found = operations_queries.operation(call.database, call.values["id"])
    first = children.page(call.database, found.parent.id, limit=FIRST_CHILDREN)
    return Answer(DETAILED_OPERATION.record(DetailedOperation(found, first.children)))


def _parent(database: Database, wanted: str) -> str:
    """Returns the id of the parent that the id of a job or of an operation means."""
    named = operations_queries.operations(database, limit=2, operations=[wanted])
    if not named and not re.fullmatch(JOB.schema["pattern"], wanted):
        raise NotFoundError(f"The operation {wanted[:60]!r} does not exist.", hint="See /api/spawn/operations.")
    if not named:
        return listing.resolve(database, wanted)
    if len(named) > 1:
        candidates = [operation.parent.id for operation in named]
        raise AmbiguousIdError("Several parents have this operation id.", candidates=candidates)
    return named[0].parent.id


def failures(call: Call) -> Answer:
    """Answers as ``spawn why`` without a job."""
    wanted = call.values
    found = failures_queries.failures(
        call.database, limit=wanted["limit"], queues=wanted["queue"], since=start_of(call.now, wanted["since"])
    )
    return Answer(ERRORS.record(found))


def stats(call: Call) -> Answer:
    """Answers as ``spawn stats --detailed``."""
    figures = stats_queries.stats(
        call.database,
        since=call.now - timedelta(hours=call.values["hours"]),
        recent=call.now - timedelta(hours=1),
        queues=call.values["queue"],
        detailed=call.values["detailed"],
    )
    return Answer(SPAWN_STATS.record(figures))


UNTIL = replace(
    SINCE, name="until", about="Only jobs created before this: 2h (two hours ago), or a time such as 2026-12-24T18:00Z."
)
ROOTS = Parameter("roots", {"type": "boolean"}, "Only parents that depend on no other job.", default=False)
FAILED = Parameter(
    "failed",
    {"type": "boolean"},
    "Only those with a failure at or anywhere below them, the newest failure first.",
    default=False,
)
TOPMOST = Parameter(
    "topmost",
    {"type": "boolean"},
    "Only those without an operation above them, with counts of their whole trees.",
    default=False,
)

ENDPOINTS = (
    Endpoint(
        "GET",
        "/api/spawn/operations",
        operations,
        "Parents that spawned, newest first.",
        "spawn-list",
        (limit(50), CURSOR, QUEUE, STATUS, SINCE, UNTIL, ROOTS, FAILED, TOPMOST),
        refusals=(404,),
        counts_all=True,
    ),
    Endpoint(
        "GET",
        "/api/spawn/operations/{id}",
        operation,
        f"One spawning parent, by its job's id or its operation id, with the first {FIRST_CHILDREN} of its children.",
        DETAILED_OPERATION.schema,
        (Parameter("id", key.line(1, LONGEST_NAME).schema, "A job or operation id.", in_path=True, resolve=_parent),),
        refusals=(404, 409),
    ),
    Endpoint(
        "GET",
        "/api/spawn/stats",
        stats,
        "Statistics of spawning in the last hours.",
        "spawn-stats",
        (
            HOURS,
            QUEUE,
            Parameter("detailed", {"type": "boolean"}, "Also by queue, by handler, and the slowest.", default=False),
        ),
    ),
    Endpoint(
        "GET",
        "/api/failures",
        failures,
        "Failed and retrying jobs by error, the most frequent error first.",
        "spawn-why-all",
        (limit(20), QUEUE, within("Only jobs whose last attempt failed")),
    ),
)
