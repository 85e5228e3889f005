"""The endpoints of schedules and recurring jobs."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hammerwork_cli.core.input.reading import instant_of
from hammerwork_cli.errors import ConflictError, RefusedValueError, UsageError
from hammerwork_cli.features.cron.queries import manual, schedules
from hammerwork_cli.features.cron.queries.changes import Author
from hammerwork_cli.features.cron.queries.schedules import coming
from hammerwork_cli.features.cron.views import schedules as views
from hammerwork_cli.features.cron.views.details import SCHEDULE_DETAILS, ScheduleDetails
from hammerwork_cli.features.cron.views.runs import RUN
from hammerwork_cli.features.job.options import START
from hammerwork_cli.view import key
from hammerwork_cli.web.endpoints.endpoint import Answer, Call, Endpoint
from hammerwork_cli.web.endpoints.parameters import QUEUE, QUEUE_TEXT, REASON, Parameter, body, limit, start_of, within

NAME = Parameter("name", QUEUE_TEXT, "A schedule's name, or at least the first 4 hex digits of its id.", in_path=True)
SHOWN_RUNS, SHOWN_DATES = 10, 3


def schedule_list(call: Call) -> Answer:
    found = schedules.listed(call.database, queues=call.values["queue"], now=call.now)
    return Answer(views.SCHEDULE.records(found))


def one_schedule(call: Call) -> Answer:
    """Answers as ``cron show``."""
    found = schedules.find(call.database, call.values["name"])
    runs, totals = schedules.runs(call.database, found, limit=SHOWN_RUNS), schedules.totals(call.database, found)
    return Answer(
        SCHEDULE_DETAILS.record(ScheduleDetails.of(found, runs, totals, coming(found, SHOWN_DATES, call.now)))
    )


def history(call: Call) -> Answer:
    """Answers as ``cron history``; a recurring job has no runs."""
    found, since = schedules.find(call.database, call.values["name"]), start_of(call.now, call.values["since"])
    runs = schedules.runs(call.database, found, since=since, limit=call.values["limit"])
    return Answer(RUN.records(runs))


def trigger(call: Call) -> Answer:
    given: dict[str, Any] = call.body
    at = instant_of(given["at"]) if "at" in given else None
    found = schedules.find(call.database, call.values["name"])
    with _conflicts():
        job = manual.trigger(
            call.database,
            found,
            call.now,
            at=at,
            payload=given.get("payload"),
            plaintext_meant=given.get("encrypt") is False,
        )
    return Answer(views.TRIGGERED.record(views.Triggered(found, job)), headers={"location": f"/api/jobs/{job}"})


@contextmanager
def _conflicts() -> Iterator[None]:
    """Refuses with a conflict: the request is valid, but the schedule does not allow it."""
    try:
        yield
    except RefusedValueError:
        raise
    except UsageError as error:
        raise ConflictError(error.message, hint=error.hint) from error


def enable(call: Call) -> Answer:
    return _switch(call, enabled=True)


def disable(call: Call) -> Answer:
    return _switch(call, enabled=False)


def _switch(call: Call, *, enabled: bool) -> Answer:
    found, author = schedules.find(call.database, call.values["name"]), Author(call.operator, call.body.get("reason"))
    with _conflicts():
        switched = manual.switch(call.database, found, author, call.now, enabled=enabled)
    return Answer(views.changed_record(switched.after))


ENDPOINTS = (
    Endpoint("GET", "/api/schedules", schedule_list, "Schedules by name, then recurring jobs.", "cron-list", (QUEUE,)),
    Endpoint(
        "GET",
        "/api/schedules/{name}",
        one_schedule,
        "Everything about a schedule: its meaning, its next due times, its last runs.",
        "cron-show",
        (NAME,),
        refusals=(404, 409),
    ),
    Endpoint(
        "GET",
        "/api/schedules/{name}/runs",
        history,
        "Runs of a schedule, the last due one first.",
        "cron-history",
        (NAME, limit(50), within("Only runs due")),
        refusals=(404, 409),
    ),
    Endpoint(
        "POST",
        "/api/schedules/{name}/trigger",
        trigger,
        "Enqueues a job of a schedule now, even of a disabled one.",
        "cron-trigger",
        (NAME,),
        body=body(
            {
                "payload": {**key.anything("Keys to replace in the payload").schema, "type": "object"},
                "at": START,
                "encrypt": {
                    "type": "boolean",
                    "enum": [False],
                    "description": "false: write plaintext even to queues that hold encrypted jobs",
                },
            }
        ),
        changes=True,
        refusals=(404, 409, 422),
    ),
    Endpoint(
        "POST",
        "/api/schedules/{name}/enable",
        enable,
        "Enables a schedule; due times that passed meanwhile are not caught up.",
        views.SCHEDULE.schema,
        (NAME,),
        body=body(REASON),
        changes=True,
        refusals=(404, 409),
    ),
    Endpoint(
        "POST",
        "/api/schedules/{name}/disable",
        disable,
        "Disables a schedule: it enqueues no jobs until it is enabled.",
        views.SCHEDULE.schema,
        (NAME,),
        body=body(REASON),
        changes=True,
        refusals=(404, 409),
    ),
)
"""The endpoints of the REST API."""
