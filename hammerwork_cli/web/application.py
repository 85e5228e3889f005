"""The application: the endpoints, the page and its files behind the guard."""

import asyncio
import json as json_writer
import time
import traceback
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from hammerwork_cli.core.input.documents import json_of
from hammerwork_cli.core.values import Migrated
from hammerwork_cli.database import Database
from hammerwork_cli.errors import HammerworkError, TimedOutError, UsageError
from hammerwork_cli.features.archive import endpoints as archive
from hammerwork_cli.features.batch import endpoints as batches
from hammerwork_cli.features.cron import endpoints as schedules
from hammerwork_cli.features.job.endpoints import changing, reading
from hammerwork_cli.features.job.endpoints.parameters import JOB
from hammerwork_cli.features.monitor import endpoints as health_checks
from hammerwork_cli.features.monitor.queries import ping
from hammerwork_cli.features.queue import endpoints as queues
from hammerwork_cli.features.spawn.endpoints import again, operations, trees
from hammerwork_cli.features.streaming import endpoints as streams
from hammerwork_cli.features.tree.model import TreeNode
from hammerwork_cli.features.tree.views import json as json_views
from hammerwork_cli.features.web import endpoints as server
from hammerwork_cli.features.webhook import endpoints as webhooks
from hammerwork_cli.features.worker import endpoints as workers
from hammerwork_cli.features.worker.queries import registry
from hammerwork_cli.features.workflow import endpoints as workflows
from hammerwork_cli.view import json, key
from hammerwork_cli.view.commands import with_steps
from hammerwork_cli.view.shape import Shape
from hammerwork_cli.web import events, metrics, redaction
from hammerwork_cli.web.connections import WebConnections
from hammerwork_cli.web.endpoints.endpoint import JSON, Answer, Call, Endpoint
from hammerwork_cli.web.endpoints.parameters import QUEUE, Parameter, check, read_path, read_query
from hammerwork_cli.web.endpoints.settings import ServerSettings
from hammerwork_cli.web.events import MOST_WATCHERS, EventStream, Hub
from hammerwork_cli.web.guard import LARGEST_BODY, RequestGuard, announced_size, body_of
from hammerwork_cli.web.openapi import openapi
from hammerwork_cli.web.outside import Outside
from hammerwork_cli.web.problems import RequestError, bug, is_internal, problem, status_of
from hammerwork_cli.web.protocol import most_connections
from hammerwork_cli.web.sending import PIECE, LargeAnswer, Transit
from hammerwork_cli.web.sharing import Shared

STATIC = Path(__file__).parent / "static"
ENDPOINTS: tuple[Endpoint, ...] = (
    *operations.ENDPOINTS,
    *reading.ENDPOINTS,
    *trees.ENDPOINTS,
    *archive.ENDPOINTS,
    *batches.ENDPOINTS,
    *workflows.ENDPOINTS,
    *queues.ENDPOINTS,
    *workers.ENDPOINTS,
    *health_checks.ENDPOINTS,
    *server.ENDPOINTS,
    *schedules.ENDPOINTS,
    *webhooks.ENDPOINTS,
    *streams.ENDPOINTS,
    *changing.ENDPOINTS,
    *again.ENDPOINTS,
)
EVENTS = Endpoint(
    "GET",
    "/api/events",
    None,
    "Changes as server-sent events: ready (read now), jobs, queues, reset (read again), database.",
    None,
    (QUEUE, Parameter("root", JOB.schema, "Only jobs of the tree that this job belongs to.", is_a="a job id")),
    other_types=(events.MEDIA_TYPE,),
    refusals=(404, 409),
)
_HEALTH = Shape[int](
    {
        "status": key.text("", "ok").of(lambda _: "ok"),
        "stalled_workers": key.count("Running workers with a thread that hangs").of(lambda stalled: stalled),
    }
)
HEALTH = Endpoint(
    "GET",
    "/health",
    None,
    "Whether this server and its database answer, and how many workers are stalled.",
    _HEALTH.schema,
)
METRICS = Endpoint("GET", "/metrics", None, "Metrics for Prometheus.", None, other_types=(metrics.MEDIA_TYPE,))
READING = ("GET", "HEAD")
FIGURES_SECONDS = 5.0
KEPT_SECONDS = 2.0
REST = 10
"""A kept answer also stays fresh for this many times as long as it took to find."""


class Server:
    """The state that all handlers share."""

    def __init__(
        self,
        connections: WebConnections,
        settings: ServerSettings,
        *,
        health: WebConnections,
        now: Callable[[Database | None], datetime],
        operator: str,
        report: Callable[[str], None],
    ) -> None:
        self.connections = connections  # connections to the database
        self.health = health  # one more connection, so that the liveness check never waits for the others
        self.settings = settings  # the options of the server
        self.now = now  # returns the present, by the database's clock if it is given one
        self.operator = operator  # `user@host`, which changes record as their author
        self._report = report
        self._ids: Shared[str] = Shared()
        self._shared: Shared[Answer] = Shared(size=lambda answer: len(answer.text))
        self._kept: Shared[Answer] = Shared(KEPT_SECONDS, rest=REST, size=lambda answer: len(answer.text))
        self._figures: Shared[bytes] = Shared(FIGURES_SECONDS, size=len)
        self._own_figures: Shared[bytes] = Shared(0)
        self._liveness: Shared[int] = Shared(0)
        self._transit = Transit()
        self._outside = Outside()
        self.hub = Hub(
            connections.ask,
            most=min(MOST_WATCHERS, most_connections() // 2),
            on_change=self._forget,
            record=self._record,
            report=report,
        )
        self._metrics = metrics.Metrics(lambda: connections.executed, lambda: len(self.hub.watchers))

    def application(self) -> ASGIApp:
        app = Starlette(
            routes=self._routes(),
            lifespan=self._lifespan,
            exception_handlers={
                HammerworkError: self._on_error,
                HTTPException: _on_http_error,
                Exception: self._on_bug,
            },
        )
        app.router.redirect_slashes = False

        async def quiet(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http" and scope["path"].startswith("/api/"):
                # Route by the path before decoding, because the name of a queue may contain an encoded slash.
                scope = {**scope, "path": scope["raw_path"].decode("ascii")}
            with suppress(Exception):  # _on_bug has reported it
                await app(scope, receive, send)

        return RequestGuard(quiet, self.settings)

    def _forget(self) -> None:
        """Drops shared answers after a change."""
        self._ids.forget()
        self._shared.forget()

    def stop(self) -> None:
        """Closes the streams of events, which would never end."""
        self.hub.stop()

    @asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncIterator[None]:
        del app
        yield
        self.connections.close()
        self.health.close()

    def _routes(self) -> list[BaseRoute]:
        by_path: dict[str, list[Endpoint]] = {}
        for endpoint in ENDPOINTS:
            by_path.setdefault(endpoint.path, []).append(endpoint)
        routes: list[BaseRoute] = [self._route(path, found) for path, found in by_path.items()]
        document = json.document(openapi((*ENDPOINTS, EVENTS, HEALTH, METRICS))).encode()
        return [
            *routes,
            Route(EVENTS.path, self._events),
            Route(HEALTH.path, self._health),
            Route(METRICS.path, self._written_metrics),
            Route("/openapi.json", lambda _: self._sent(document, len(document), media_type=JSON)),
            Route("/client.js", lambda _: FileResponse(STATIC / "client.js", media_type="text/javascript")),
            Route("/", lambda _: FileResponse(STATIC / "index.html", media_type="text/html")),
            Mount("/static", StaticFiles(directory=STATIC)),
        ]

    def _route(self, path: str, endpoints: Sequence[Endpoint]) -> Route:
        serving = {endpoint.method: self._serving(endpoint) for endpoint in endpoints}
        if "GET" in serving:
            serving["HEAD"] = serving["GET"]

        async def serve(request: Request) -> Response:
            response: Response = await serving[request.method](request)
            return response

        return Route(path, serve, methods=[endpoint.method for endpoint in endpoints])

    def _serving(self, endpoint: Endpoint) -> Callable[[Request], Any]:
        async def serve(request: Request) -> Response:
            began, status = time.monotonic(), 500
            try:
                response = await self._serve(endpoint, request)
                status = response.status_code
            except HammerworkError as error:
                status = status_of(error)
                raise
            finally:
                self._metrics.answered(endpoint.path, endpoint.method, status, time.monotonic() - began)
            return response

        return serve

    async def _serve(self, endpoint: Endpoint, request: Request) -> Response:
        values = read_path(endpoint.parameters, request.path_params)
        values |= read_query(endpoint.parameters, request.query_params, endpoint.fields)
        body = await _body(endpoint, request, self._transit)
        if not endpoint.changes:
            values |= await self._full_ids(endpoint, values)

        async def find() -> Answer:
            try:
                return await self.connections.ask(
                    lambda database: self._answer(endpoint, database, values, body), repeatable=not endpoint.changes
                )
            except TimedOutError as error:
                raise TimedOutError(error.message, hint=endpoint.narrower) from error

        if endpoint.is_shared:
            shared = self._kept if endpoint.is_kept else self._shared
            answer = await shared.ask((endpoint.path, json.document(values)), find)
            return self._response(answer, endpoint, request)
        try:
            answer = await find()
            if answer.later is not None:
                answer = await self._outside.ask(partial(self._finished, answer.later))
            return self._response(answer, endpoint, request)
        finally:
            if endpoint.changes:
                self._forget()

    async def _full_ids(self, endpoint: Endpoint, values: dict[str, Any]) -> dict[str, str]:
        found = {}
        for parameter in endpoint.parameters:
            if parameter.resolve is not None:
                find = partial(self.connections.ask, partial(_resolved, parameter.resolve, values[parameter.name]))
                found[parameter.name] = await self._ids.ask((parameter.resolve, values[parameter.name]), find)
        return found

    def _answer(self, endpoint: Endpoint, database: Database, values: dict[str, Any], body: Any) -> Answer:
        """Calls the handler and writes the JSON, in a thread, because a large answer takes long."""
        assert endpoint.handler is not None
        # A change uses the database's clock. A read does not need it and saves the statement.
        if endpoint.changes:
            database.check_current()
        now = self.now(database if endpoint.changes else None)
        answer = endpoint.handler(Call(database, values, body, now, self.settings, self.operator))
        return answer if answer.later is not None else self._written(answer, database.migrated)

    def _finished(self, later: Callable[[], Answer]) -> Answer:
        return self._written(later(), Migrated.ALL)

    def _written(self, answer: Answer, migrated: Migrated) -> Answer:
        if answer.chunks is not None:
            return answer
        record = with_steps(answer.record, migrated)
        record = redaction.hidden(record) if self.settings.redact else record
        return replace(answer, record=None, text=json.document(record).encode())

    def _response(self, answer: Answer, endpoint: Endpoint, request: Request) -> Response:
        headers, status = dict(answer.headers), answer.status or endpoint.status
        if answer.cursor is not None:
            following = request.url.include_query_params(cursor=answer.cursor)
            headers["next-cursor"] = answer.cursor
            headers["link"] = f'<{following.path}?{following.query}>; rel="next"'
        content, size = (answer.text, len(answer.text)) if answer.chunks is None else (answer.chunks, answer.size)
        return self._sent(content, size, status=status, headers=headers, media_type=answer.media_type)

    def _sent(
        self,
        content: bytes | Iterable[str],
        size: int,
        *,
        status: int = 200,
        headers: Mapping[str, str] = MappingProxyType({}),
        media_type: str,
    ) -> Response:
        if isinstance(content, bytes) and size <= PIECE:
            return Response(content, status, headers, media_type)
        return LargeAnswer(self._transit, content, size, status=status, headers=headers, media_type=media_type)

    def _record(self, node: TreeNode) -> json.Record:
        record = json_views.NODE.record(node)
        return redaction.hidden(record) if self.settings.redact else record

    async def _events(self, request: Request) -> Response:
        values = read_query(EVENTS.parameters, request.query_params)
        if request.method == "HEAD":
            return Response(media_type=events.MEDIA_TYPE)
        client = request.client.host if request.client else ""
        watcher = await self.hub.watch(client, tuple(values["queue"]), values["root"])
        return EventStream(self.hub, watcher)

    async def _health(self, request: Request) -> Response:
        del request
        stalled = await self._liveness.ask("health", partial(self.health.ask, _stalled_workers))
        return Response(json.document(_HEALTH.record(stalled)), media_type=JSON)

    async def _written_metrics(self, request: Request) -> Response:
        del request
        own = partial(asyncio.to_thread, self._metrics.text)
        text = await self._figures.ask("figures", self._find_figures) + await self._own_figures.ask("own", own)
        return self._sent(text, len(text), media_type=metrics.MEDIA_TYPE)

    async def _find_figures(self) -> bytes:
        return await self.connections.ask(lambda database: metrics.text(database, self.now(None)))

    def _on_error(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, HammerworkError)
        if is_internal(error):
            self._report(f"Error: {error.message}")
        return problem(error, reading=request.method in READING)

    def _on_bug(self, request: Request, error: Exception) -> Response:
        del request
        self._report("".join(traceback.format_exception(error)))
        return bug()


async def _body(endpoint: Endpoint, request: Request, transit: Transit) -> Any:
    """Returns the JSON value of a request's body; ``None`` if there is no body.

    Raises RetryableError if too many large bodies and answers are in transit.
    """
    raw = await _raw_body(request, transit)
    if endpoint.body is None:
        if raw and request.method != "GET":
            raise UsageError("This endpoint does not accept a body.")
        return None
    value: Any = {}
    if raw:
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != JSON:
            raise RequestError(
                415,
                "media_type",
                f"A body must be {JSON}.",
                hint=f"Add the header, for example: curl -H 'Content-Type: {JSON}'",
            )
        value = _parsed(raw)
    check(endpoint.body, value, "The body")
    return value


async def _raw_body(request: Request, transit: Transit) -> bytes:
    size = announced_size(request.headers)
    if not PIECE < size <= LARGEST_BODY:
        return await body_of(request.stream(), request.headers)
    with transit.place(request, size) as moved:

        async def pieces() -> AsyncIterator[bytes]:
            async for piece in request.stream():
                moved()
                yield piece

        return await body_of(pieces(), request.headers)


def _stalled_workers(database: Database) -> int:
    ping.check(database)
    return registry.stalled(database)


def _resolved(resolve: Callable[[Database, str], str], text: str, database: Database) -> str:
    return resolve(database, text)


def _parsed(raw: bytes) -> Any:
    try:
        text = raw.decode()
        value = json_of(text)
        # Half a character, which can be written in JSON and nowhere else.
        json_writer.dumps(value, ensure_ascii=False).encode()
    except UnicodeError as error:
        raise UsageError("The body is not UTF-8 text.") from error
    except ValueError as error:
        raise UsageError(f"The body {error}.") from error
    return value


def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    path = request.url.path[:80]
    if error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "")
        return problem(RequestError(405, "method", f"{path} does not accept {request.method}.", allow=allowed))
    return problem(RequestError(404, "no_such_path", f"The path {path} does not exist.", hint="See /openapi.json."))
