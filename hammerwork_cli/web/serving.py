"""Runs the server: its socket, uvicorn, signals and logs."""

import asyncio
import logging
import socket
from collections.abc import Callable
from datetime import datetime
from types import FrameType

import uvicorn

from hammerwork_cli.database import Database, DatabaseUrl
from hammerwork_cli.errors import UsageError
from hammerwork_cli.web.application import Server
from hammerwork_cli.web.connections import WebConnections
from hammerwork_cli.web.endpoints.settings import ServerSettings
from hammerwork_cli.web.protocol import BACKLOG, Protocol
from hammerwork_cli.web.reports import Reports

CONNECTIONS = 4
GRACE_SECONDS = 5


def listen(host: str, port: int) -> socket.socket:
    """Opens a listening socket. Port 0 chooses a free port."""
    name = host.strip("[]")
    try:
        family = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)[0][0]
        listening = socket.create_server((name, port), family=family, backlog=BACKLOG)
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise UsageError(
            f"Cannot listen on {host} port {port}: {why}.", hint="Choose another --port or --host."
        ) from error
    # Connections inherit it. Without it, each small answer would wait 40 ms for a delayed acknowledgement.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


def address(listening: socket.socket, host: str) -> str:
    name = host if ":" not in host or host.startswith("[") else f"[{host}]"
    return f"http://{name}:{listening.getsockname()[1]}"


def serve(
    url: DatabaseUrl,
    settings: ServerSettings,
    listening: socket.socket,
    *,
    now: Callable[[Database | None], datetime],
    operator: str,
    report: Callable[[str], None],
) -> None:
    """Serves until SIGTERM or Ctrl-C. Then it closes the streams of events and finishes running requests.

    Args:
        now: returns the present, by the database's clock if it is given one.
        report: prints an error, which contains no secrets.
    """
    reports = Reports(report)
    _report_logs(reports)
    server = Server(
        WebConnections(url, CONNECTIONS),
        settings,
        health=WebConnections(url, 1),
        now=now,
        operator=operator,
        report=reports,
    )
    config = uvicorn.Config(
        server.application(),
        http=Protocol,
        loop="asyncio",
        backlog=BACKLOG,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        lifespan="on",
        ws="none",
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    _Uvicorn(config, server).run(sockets=[listening])


class _Uvicorn(uvicorn.Server):
    """A server that exits with 0 on SIGTERM and Ctrl-C; uvicorn's would raise the signal again."""

    def __init__(self, config: uvicorn.Config, server: Server) -> None:
        super().__init__(config)
        self._server = server

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        del sig, frame
        self.force_exit = self.should_exit
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._server.stop()
        await super().shutdown(sockets)


def _report_logs(report: Callable[[str], None]) -> None:
    """Reports the errors that uvicorn and asyncio log, for example that no more files can be opened."""

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            error = record.exc_info[1] if record.exc_info else None
            if isinstance(error, OSError):
                report(f"Error: {record.getMessage().splitlines()[0]}: {error.strerror}")
            # An answer that was cancelled for lack of room, or because the server stops, is not an error. Nor is it
            # that asyncio, a second after it could open no file, finds the socket closed because the server stops.
            elif not isinstance(error, asyncio.CancelledError) and "._start_serving(" not in record.getMessage():
                report(self.format(record))

    for name in ("uvicorn.error", "asyncio"):
        logger = logging.getLogger(name)
        logger.handlers = [Handler(logging.ERROR)]
        logger.propagate = False
