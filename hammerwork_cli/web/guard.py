"""Checks who sends a request before anything else reads it."""

import hmac
import ipaddress
import re
from collections.abc import AsyncIterable

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hammerwork_cli.web.endpoints.settings import ServerSettings
from hammerwork_cli.web.problems import RequestError, problem

LARGEST_BODY = 1 << 20
READING = frozenset({"GET", "HEAD", "OPTIONS"})
GUARDED = ("/api/", "/metrics")
"""Paths that need the token. The page, the client, the OpenAPI document and the liveness check contain no data."""

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
SECURITY_HEADERS = {
    "content-security-policy": CSP,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
CORS_HEADERS = {
    "access-control-allow-methods": "GET, POST",
    "access-control-allow-headers": "Authorization, Content-Type, Last-Event-ID",
    "access-control-max-age": "600",
}
EXPOSED = "Next-Cursor, Link, Retry-After, Total-Count"
_AUTHORITY = re.compile(r"(\[[0-9a-f:.]+\]|[^\s:@/?#\[\]]+)(:[0-9]{1,5})?")


class RequestGuard:
    """Checks Host, Origin and token of each request, and adds headers to each answer."""

    def __init__(self, app: ASGIApp, settings: ServerSettings) -> None:
        self._app = app
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        origin = headers.get("origin")
        shared = origin is not None and origin.lower() in self._settings.cors_origins

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                sent = MutableHeaders(scope=message)
                # Files have an ETag. Answers from the database must not be cached.
                sent.setdefault("cache-control", "no-cache" if "etag" in sent else "no-store")
                _add_headers(sent, origin if shared else None)
            await send(message)

        try:
            self._check(scope, headers, shared=shared)
        except RequestError as error:
            await problem(error)(scope, receive, send_with_headers)
            return
        if shared and scope["method"] == "OPTIONS" and "access-control-request-method" in headers:
            await Response(status_code=204, headers=CORS_HEADERS)(scope, receive, send_with_headers)
            return
        await self._app(scope, receive, send_with_headers)

    def _check(self, scope: Scope, headers: Headers, *, shared: bool) -> None:
        _check_framing(headers)
        self._check_host(headers)
        self._check_origin(headers, shared=shared)
        if scope["path"].startswith(GUARDED):
            _check_site(headers, shared=shared)
        if scope["method"] == "OPTIONS":
            return
        if self._settings.token is not None and scope["path"].startswith(GUARDED):
            self._check_token(headers)
        if scope["method"] not in READING:
            self._check_change(headers)

    def _check_host(self, headers: Headers) -> None:
        # DNS rebinding: an attacker lets the name of a page lead to this machine. The Host header still has that name.
        given = headers.getlist("host")
        if len(given) != 1 or not self._is_own_name(_name(given[0])):
            raise RequestError(
                403,
                "host",
                "The server does not accept the name in the Host header.",
                hint="Start the server with --allow-host NAME.",
            )

    def _is_own_name(self, name: str | None) -> bool:
        if name is None:
            return False
        if name in self._settings.host_names or name == "localhost":
            return True
        try:
            address = ipaddress.ip_address(name.strip("[]"))
        except ValueError:
            return False
        return address.is_loopback or not self._settings.is_local

    def _check_origin(self, headers: Headers, *, shared: bool) -> None:
        origin = headers.get("origin")
        if origin is None or shared:
            return
        scheme, _, authority = origin.lower().partition("://")
        own = _with_port(headers["host"].lower(), scheme)
        if scheme not in {"http", "https"} or _with_port(authority, scheme) != own:
            raise _other_origin()

    def _check_token(self, headers: Headers) -> None:
        scheme, _, given = headers.get("authorization", "").partition(" ")
        wanted = (self._settings.token or "").encode()
        if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode("latin-1", "replace"), wanted):
            raise RequestError(
                401,
                "token",
                "The token is missing or wrong.",
                hint="Send the header: Authorization: Bearer TOKEN",
                www_authenticate='Bearer realm="hammerwork"',
            )

    def _check_change(self, headers: Headers) -> None:
        if self._settings.read_only:
            raise RequestError(403, "read_only", "The server is read-only (--read-only).")
        if self._settings.token is None and "origin" not in headers:
            raise RequestError(
                403,
                "origin",
                "Without a token, changes need the header Origin with the server's own origin.",
                hint="Start the server with --token, or send: Origin: http://HOST:PORT",
            )


def _check_framing(headers: Headers) -> None:
    # Request smuggling: a proxy that believes the other header sees the end of the request elsewhere.
    if "transfer-encoding" in headers and "content-length" in headers:
        raise RequestError(
            400,
            "framing",
            "A request must not have both Content-Length and Transfer-Encoding.",
            connection="close",
        )


def _check_site(headers: Headers, *, shared: bool) -> None:
    # Browsers send no Origin with an image, a script or a link. They send this header with every request.
    if not shared and headers.get("sec-fetch-site") in {"cross-site", "same-site"}:
        raise _other_origin()


def _other_origin() -> RequestError:
    return RequestError(
        403,
        "origin",
        "Pages of another origin may not use this server.",
        hint="Start the server with --cors-origin ORIGIN.",
    )


def _name(authority: str) -> str | None:
    """Returns the host of ``HOST:PORT`` in lower case; ``None`` if it is not valid."""
    found = _AUTHORITY.fullmatch(authority.lower())
    return found[1].rstrip(".") if found else None


def _with_port(authority: str, scheme: str) -> str:
    port = {"http": ":80", "https": ":443"}.get(scheme, "")
    has_port = authority.rpartition("]")[2].find(":") >= 0 if "]" in authority else ":" in authority
    return authority if has_port else authority + port


def _add_headers(headers: MutableHeaders, origin: str | None) -> None:
    for name, value in SECURITY_HEADERS.items():
        headers.setdefault(name, value)
    headers.add_vary_header("Origin")
    if origin is not None:
        headers["access-control-allow-origin"] = origin
        headers["access-control-expose-headers"] = EXPOSED


def announced_size(headers: Headers) -> int:
    """Returns the size of a request's body in bytes, or the largest possible one if the request does not say it."""
    if "transfer-encoding" in headers:
        return LARGEST_BODY
    announced = headers.get("content-length", "0")
    return int(announced[:20]) if announced.isascii() and announced.isdigit() else 0


async def body_of(chunks: AsyncIterable[bytes], headers: Headers) -> bytes:
    too_large = RequestError(413, "too_large", f"A body may have at most {LARGEST_BODY:,} bytes.")
    if announced_size(headers) > LARGEST_BODY:
        raise too_large
    body = bytearray()
    try:
        async for chunk in chunks:
            body += chunk
            if len(body) > LARGEST_BODY:
                raise too_large
    except ClientDisconnect as error:
        raise RequestError(400, "incomplete", "The connection was closed before the body was complete.") from error
    return bytes(body)
