"""The endpoints of streams. Nobody adds or changes one by HTTP."""

import time
from contextlib import closing
from functools import partial
from shlex import quote

from hammerwork_cli.errors import ConflictError, HammerworkError, NotFoundError
from hammerwork_cli.features.event import queries as events
from hammerwork_cli.features.event.model import Event
from hammerwork_cli.features.streaming import queries, views
from hammerwork_cli.features.streaming.model import Backend, Stream
from hammerwork_cli.features.streaming.views import TriedStream
from hammerwork_cli.features.webhook.endpoints import SINCE, TEST, TEST_SECONDS, event_of
from hammerwork_cli.runtime.delivery.allowed import Allowed
from hammerwork_cli.runtime.delivery.streams.backends import open_backend
from hammerwork_cli.runtime.delivery.streams.messages import encode
from hammerwork_cli.view import key
from hammerwork_cli.web.endpoints.endpoint import Answer, Call, Endpoint
from hammerwork_cli.web.endpoints.parameters import QUEUE_TEXT, REASON, Parameter, body, start_of

NAME = Parameter("name", QUEUE_TEXT, "A stream's name, or its id.", in_path=True)


def stream_list(call: Call) -> Answer:
    return Answer(views.PUBLIC.records(queries.states(call.database, call.now)))


def one_stream(call: Call) -> Answer:
    """Answers as ``streaming show``."""
    return _answer(call, queries.named(call.database, call.values["name"]))


def _answer(call: Call, stream: Stream) -> Answer:
    found = next((one for one in queries.states(call.database, call.now) if one.stream.id == stream.id), None)
    if found is None:
        raise NotFoundError("Somebody else has removed the stream.")
    return Answer(views.PUBLIC.record(found))


def test(call: Call) -> Answer:
    """Sends an event as ``streaming test`` does, unless the stream goes into a program."""
    stream = queries.named(call.database, call.values["name"])
    if stream.backend is Backend.COMMAND:
        raise ConflictError(
            "The web server runs no programs.",
            hint=f"On the command line: hammerwork streaming test {quote(stream.name)}",
        )
    return Answer(later=partial(_tried, stream, event_of(call, payload=stream.include_payload), call.settings.allowed))


def _tried(stream: Stream, event: Event, allowed: Allowed) -> Answer:
    record, event_key = event.record(), events.key_of(str(stream.partitioning), event)
    began, problem = time.monotonic(), None
    try:
        with closing(open_backend(stream, allowed, timeout=TEST_SECONDS)) as backend:
            backend.send([encode(stream, record, event_key)])
    except HammerworkError as error:
        problem = error.message
    tried = TriedStream(stream.name, record, event_key, problem, time.monotonic() - began)
    return Answer(views.TRIED.record(tried))


def enable(call: Call) -> Answer:
    return _switch(call, enabled=True)


def disable(call: Call) -> Answer:
    return _switch(call, enabled=False)


def _switch(call: Call, *, enabled: bool) -> Answer:
    stream, reason = queries.named(call.database, call.values["name"]), call.body.get("reason")
    queries.switch(call.database, stream, enabled=enabled, by=call.operator, now=call.now, reason=reason)
    return _answer(call, stream)


def replay(call: Call) -> Answer:
    stream = queries.named(call.database, call.values["name"])
    since = start_of(call.now, call.body.get("since", "24h")) or call.now
    added = queries.replay(call.database, stream, since, call.now)
    return Answer(views.REPLAYED.record({"stream": stream.name, "events": added}))


ENDPOINTS = (
    Endpoint(
        "GET",
        "/api/streams",
        stream_list,
        "Streams by name, without secrets; a backlog above 10,000 events is an estimate.",
        key.list_of(views.PUBLIC).schema,
    ),
    Endpoint(
        "GET",
        "/api/streams/{name}",
        one_stream,
        "A stream, without secrets.",
        views.PUBLIC.schema,
        (NAME,),
        refusals=(404,),
    ),
    Endpoint(
        "POST",
        "/api/streams/{name}/test",
        test,
        f"Sends an event now, and waits {TEST_SECONDS} s at most; 409 for a stream into a program.",
        views.TRIED.schema,
        (NAME,),
        body=body(TEST),
        changes=True,
        refusals=(404, 409),
    ),
    Endpoint(
        "POST",
        "/api/streams/{name}/enable",
        enable,
        "Enables a stream; events of the time before are not sent.",
        views.PUBLIC.schema,
        (NAME,),
        body=body({}),
        changes=True,
        refusals=(404,),
    ),
    Endpoint(
        "POST",
        "/api/streams/{name}/disable",
        disable,
        "Disables a stream: its events wait until it is enabled.",
        views.PUBLIC.schema,
        (NAME,),
        body=body(REASON),
        changes=True,
        refusals=(404,),
    ),
    Endpoint(
        "POST",
        "/api/streams/{name}/replay",
        replay,
        "Replays the job-end events of jobs that still exist.",
        "streaming-replay",
        (NAME,),
        body=body({"since": {**SINCE.schema, "description": "Events since this; by default 24h"}}),
        changes=True,
        refusals=(404, 409),
    ),
)
"""The endpoints of the REST API."""
