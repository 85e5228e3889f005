"""The application: the endpoints, the page and its files, behind the guard."""

import json as json_reader
import traceback
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from hammerwork_cli.database import Database
from hammerwork_cli.errors import HammerworkError, UsageError
from hammerwork_cli.render import json
from hammerwork_cli.web import reading, redaction
from hammerwork_cli.web.connections import Connections
from hammerwork_cli.web.endpoint import JSON, Answer, Call, Endpoint
from hammerwork_cli.web.guard import Guard, body_of
from hammerwork_cli.web.openapi import openapi
from hammerwork_cli.web.parameters import check, read_path, read_query
from hammerwork_cli.web.problems import RequestError, bug, problem
from hammerwork_cli.web.settings import Settings

Found = TypeVar("Found")

STATIC = Path(__file__).parent / "static"
ENDPOINTS: tuple[Endpoint, ...] = reading.ENDPOINTS


class Server:
    """What the handlers share.

    Attributes:
        connections: to the database.
        now: the clock.
        operator: who changes something, for those who ask later.
        report: is told of what nobody foresaw.
    """

    def __init__(
        self,
        connections: Connections,
        settings: Settings,
        *,
        now: Callable[[], datetime],
        operator: str,
        report: Callable[[str], None],
    ) -> None:
        self.connections = connections
        self.settings = settings
        self.now = now
        self.operator = operator
        self.report = report

    def application(self) -> ASGIApp:
        """What uvicorn serves."""
        app = Starlette(
            routes=self._routes(),
            lifespan=self._lifespan,
            exception_handlers={
                HammerworkError: _on_error,
                HTTPException: _on_http_error,
                Exception: self._on_bug,
            },
        )
        return Guard(app, self.settings)

    def stop(self) -> None:
        """Ends what would go on for ever."""

    @asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncIterator[None]:
        del app
        yield
        self.connections.close()

    def _routes(self) -> list[BaseRoute]:
        routes: list[BaseRoute] = [
            Route(endpoint.path.replace("{name}", "{name:path}"), self._serving(endpoint), methods=[endpoint.method])
            for endpoint in sorted(ENDPOINTS, key=lambda endpoint: -endpoint.path.count("/"))
        ]
        document = json.document(openapi(ENDPOINTS))
        return [
            *routes,
            Route("/openapi.json", lambda _: Response(document, media_type=JSON)),
            Route("/client.js", lambda _: FileResponse(STATIC / "client.js", media_type="text/javascript")),
            Route("/", lambda _: FileResponse(STATIC / "index.html", media_type="text/html")),
            Mount("/static", StaticFiles(directory=STATIC)),
        ]

    def _serving(self, endpoint: Endpoint) -> Callable[[Request], Any]:
        async def serve(request: Request) -> Response:
            values = read_path(endpoint.parameters, request.path_params)
            values |= read_query(endpoint.parameters, request.query_params)
            body = await _body(endpoint, request)
            answer = await self.ask(
                lambda database: endpoint.handler(
                    Call(database, values, body, self.now(), self.settings, self.operator)
                ),
                repeatable=not endpoint.changes,
            )
            return self._response(answer, endpoint, request)

        return serve

    async def ask(self, work: Callable[[Database], Found], *, repeatable: bool = True) -> Found:
        """What a query finds, in a thread that has a connection."""
        return await self.connections.ask(work, repeatable=repeatable)

    def _response(self, answer: Answer, endpoint: Endpoint, request: Request) -> Response:
        headers = {}
        if answer.cursor is not None:
            headers["next-cursor"] = answer.cursor
            headers["link"] = f'<{request.url.include_query_params(cursor=answer.cursor)}>; rel="next"'
        if answer.chunks is not None:
            return StreamingResponse(answer.chunks, endpoint.status, headers, answer.media_type)
        record = redaction.hidden(answer.record) if self.settings.redact else answer.record
        return Response(json.document(record), endpoint.status, headers, answer.media_type)

    def _on_bug(self, request: Request, error: Exception) -> Response:
        del request
        self.report("".join(traceback.format_exception(error)))
        return bug()


async def _body(endpoint: Endpoint, request: Request) -> Any:
    """The JSON value of a request's body; ``None`` where there is none.

    Raises:
        RequestError, UsageError: it is too large, no JSON, or does not fit.
    """
    raw = await body_of(request.stream(), request.headers)
    if endpoint.body is None:
        if raw and request.method != "GET":
            raise UsageError("This takes no body.")
        return None
    value: Any = {}
    if raw:
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != JSON:
            raise RequestError(415, "media_type", f"A body is {JSON}.")
        value = _parsed(raw)
    check(endpoint.body, value, "The body")
    return value


def _parsed(raw: bytes) -> Any:
    try:
        return json_reader.loads(raw.decode(), parse_constant=_no_constant)
    except RecursionError as error:
        raise UsageError("The body is nested too deeply.") from error
    except ValueError as error:
        raise UsageError("The body is not JSON in UTF-8.") from error


def _no_constant(word: str) -> None:
    raise ValueError(word)


def _on_error(request: Request, error: Exception) -> Response:
    del request
    assert isinstance(error, HammerworkError)
    return problem(error)


def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    path = request.url.path[:80]
    if error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "")
        return problem(RequestError(405, "method", f"{request.method} is not for {path}.", allow=allowed))
    return problem(RequestError(404, "no_such_path", f"There is nothing at {path}.", hint="See /openapi.json."))
