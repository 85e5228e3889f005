"""HTTP as uvicorn speaks it, for clients that are many, slow or silent: one deadline, and a bound on connections."""

import asyncio
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

CLIENT_SECONDS = 20.0
"""For a whole request, and for reading what was sent before more is sent."""
BACKLOG = 64
MOST_CONNECTIONS = 1000
FEWEST_CONNECTIONS = 16
OTHER_FILES = 64
"""Database connections, files of the page, and so on."""


def most_connections() -> int:
    """How many clients there may be: open files are bounded, and a whole backlog of clients is accepted at once."""
    try:
        import resource
    except ModuleNotFoundError:  # not on Windows
        return MOST_CONNECTIONS
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if files == resource.RLIM_INFINITY:
        return MOST_CONNECTIONS
    return max(min(files - BACKLOG - OTHER_FILES, MOST_CONNECTIONS), FEWEST_CONNECTIONS)


class Protocol(H11Protocol):
    """One connection.

    While the client is to act, by sending the rest of a request or by reading an answer, its deadline runs. A
    connection beyond the bound takes the place of the one that has kept the server waiting longest: uvicorn's
    ``limit_concurrency`` counts connections without a request too, and would refuse everybody else because of them.
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
        """Begins to wait for a request."""
        super().connection_made(transport)
        self._begin_deadline()
        if len(self.connections) > self._most:
            self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        """Ends it."""
        self._end_deadline()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Ends the deadline when the request is complete."""
        super().data_received(data)
        if self._is_answering:
            self._end_deadline()

    def on_response_complete(self) -> None:
        """Begins to wait for the next request, or for the end of this one, which may have been refused before."""
        super().on_response_complete()
        self._end_deadline()
        if not self._is_answering:
            self._begin_deadline()

    def pause_writing(self) -> None:
        """Begins to wait for the client to read."""
        super().pause_writing()
        self._end_deadline()
        self._begin_deadline()

    def resume_writing(self) -> None:
        """Ends the deadline when there is more to send."""
        super().resume_writing()
        if self._is_answering:
            self._end_deadline()

    @property
    def _is_answering(self) -> bool:
        """Whether it is the server's turn: there is a whole request and no whole answer, and the client reads."""
        cycle = self.cycle
        if cycle is None or self.flow.write_paused:
            return False
        return not cycle.more_body and not cycle.response_complete

    def _begin_deadline(self) -> None:
        self._deadline = self.loop.call_later(CLIENT_SECONDS, self._give_up)

    def _end_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        """Ends the connection at once; closing would wait for the client to read."""
        self._end_deadline()
        self.transport.abort()

    def _make_room(self) -> None:
        waiting = [
            (other._deadline.when(), other)
            for other in self.connections
            if isinstance(other, Protocol) and other._deadline is not None
        ]
        min(waiting, key=lambda found: found[0])[1]._give_up()
