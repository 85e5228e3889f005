"""uvicorn's HTTP with a deadline for slow or silent clients, and a limit on their number."""

import asyncio
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

CLIENT_SECONDS = 20.0
"""Time for a client to send a whole request, or to read a part of an answer before the server sends more."""
BACKLOG = 64
MOST_CONNECTIONS = 1000
FEWEST_CONNECTIONS = 16
OTHER_FILES = 64
"""Open files besides connections of clients: database connections, files of the page, and so on."""


def most_connections() -> int:
    """Returns the limit of clients: open files are limited, and uvicorn accepts a whole backlog at once."""
    try:
        import resource
    except ModuleNotFoundError:  # not on Windows
        return MOST_CONNECTIONS
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if files == resource.RLIM_INFINITY:
        return MOST_CONNECTIONS
    return max(min(files - BACKLOG - OTHER_FILES, MOST_CONNECTIONS), FEWEST_CONNECTIONS)


class Protocol(H11Protocol):
    """The connection of a client.

    Its deadline runs while the server waits for the client to send the rest of a request or to read an answer. A
    connection beyond the limit replaces the one for which the server has waited longest. uvicorn's own
    ``limit_concurrency`` also counts connections without a request, and would refuse all others because of them.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._most = most_connections()
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Waits for a request."""
        super().connection_made(transport)
        self._start_deadline()
        if len(self.connections) > self._most:
            self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_deadline()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Stops the deadline when the request is complete."""
        super().data_received(data)
        if self._is_answering:
            self._stop_deadline()

    def on_response_complete(self) -> None:
        """Waits for the next request, or for the rest of this one, which may have been refused early."""
        super().on_response_complete()
        self._stop_deadline()
        if not self._is_answering:
            self._start_deadline()

    def pause_writing(self) -> None:
        """Waits for the client to read."""
        super().pause_writing()
        self._stop_deadline()
        self._start_deadline()

    def resume_writing(self) -> None:
        """Stops the deadline if the server has more to send."""
        super().resume_writing()
        if self._is_answering:
            self._stop_deadline()

    @property
    def _is_answering(self) -> bool:
        """Whether it is the server's turn: the request is complete, the answer is not, and the client reads."""
        cycle = self.cycle
        if cycle is None or self.flow.write_paused:
            return False
        return not cycle.more_body and not cycle.response_complete

    def _start_deadline(self) -> None:
        self._deadline = self.loop.call_later(CLIENT_SECONDS, self._abort)

    def _stop_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _abort(self) -> None:
        """Aborts the connection, because closing it would wait for the client to read."""
        self._stop_deadline()
        self.transport.abort()

    def _make_room(self) -> None:
        waiting = [
            (other._deadline.when(), other)
            for other in self.connections
            if isinstance(other, Protocol) and other._deadline is not None
        ]
        min(waiting, key=lambda found: found[0])[1]._abort()
