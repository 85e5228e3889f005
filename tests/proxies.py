"""A way to a server that swallows what it carries: open connections stay and deliver nothing, new ones work.

So a network is that has forgotten a connection: an address that moved after a power loss, a NAT that lost its table.
It can also break a connection at a COMMIT: before that reaches the server, or before the answer reaches the client.
``python -m tests.proxies HOST PORT`` prints its port, and swallows the open connections at each line of its input.
"""

import asyncio
import contextlib
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from enum import Enum
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

ROOT = Path(__file__).parent.parent
PIECE = 65536
END = re.compile(rb"COMMIT\0|\x07\0\0\0\x03commit", re.IGNORECASE)
"""What ends a transaction, as PostgreSQL and as MySQL get it."""


class Break(Enum):
    """When a connection breaks at the end of a transaction."""

    BEFORE = "before the server hears of it"
    AFTER = "before the client hears of it"


class Proxy:
    """Carries connections to a server, in a thread of its own.

    Args:
        host: of the server.
        port: of the server.

    Attributes:
        port: where it listens.
        next_break: of the connection on which the next transaction ends; then it is ``None`` again.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target, self.port = (host, port), 0
        # The thread of the loop alone uses these.
        self._carried: set[_Carried] = set()
        self.next_break: Break | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._loop = asyncio.new_event_loop()
        self._ready, self._ended = threading.Event(), asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=[self._serve()], daemon=True)
        self._thread.start()
        self._ready.wait()

    @classmethod
    def to(cls, url: str) -> Self:
        """A way to the server of a URL."""
        parts = urlsplit(url)
        assert parts.hostname
        assert parts.port
        return cls(parts.hostname, parts.port)

    def url(self, url: str) -> str:
        """The same URL by this way."""
        return by_port(url, self.port)

    def swallow(self) -> int:
        """From now on the open connections deliver nothing, in neither direction, and stay open; how many.

        Those that were swallowed before are closed: a server has room for a certain number.
        """
        return asyncio.run_coroutine_threadsafe(self._swallow(), self._loop).result()

    def _ends(self, data: bytes) -> Break | None:
        """Whether the connection that carries this to the server breaks."""
        if self.next_break is None or not END.search(data):
            return None
        found, self.next_break = self.next_break, None
        return found

    def close(self) -> None:
        """Closes all connections."""
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join()
        self._loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._ended.wait()
        server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _swallow(self) -> int:
        for carried in self._carried:
            if carried.is_swallowed:
                carried.task.cancel()
        kept = [carried for carried in self._carried if not carried.is_swallowed]
        for carried in kept:
            carried.is_swallowed = True
        return len(kept)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            others_reader, others_writer = await asyncio.open_connection(*self._target)
        except OSError:
            writer.close()
            self._tasks.discard(task)
            return
        carried = _Carried(task)
        self._carried.add(carried)
        try:
            await asyncio.gather(carried.pump(reader, others_writer, self._ends), carried.pump(others_reader, writer))
        except asyncio.CancelledError:
            return  # it ends
        finally:
            for one in (writer, others_writer):
                one.close()
            self._carried.discard(carried)
            self._tasks.discard(task)


class _Carried:
    """A connection that is carried."""

    def __init__(self, task: asyncio.Task[Any]) -> None:
        self.task, self.is_swallowed, self._is_unanswered = task, False, False

    async def pump(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        ends: Callable[[bytes], Break | None] = lambda _: None,
    ) -> None:
        """Carries one direction; of a swallowed connection not even the end, for as long as there is somebody."""
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(PIECE):
                found = ends(data)
                if self._is_unanswered or found is Break.BEFORE:
                    self.task.cancel()
                    return
                self._is_unanswered = found is Break.AFTER
                if not self.is_swallowed:
                    writer.write(data)
                    await writer.drain()
        if not self.is_swallowed:
            writer.close()


class ProxyProcess:
    """The same in a process of its own, which loses no time to this one."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        command = [sys.executable, "-m", "tests.proxies", str(parts.hostname), str(parts.port)]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True, start_new_session=True)
        self.port = self._answer()

    def url(self, url: str) -> str:
        """See :meth:`Proxy.url`."""
        return by_port(url, self.port)

    def swallow(self) -> int:
        """See :meth:`Proxy.swallow`."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> int:
        assert self._process.stdout is not None
        return int(self._process.stdout.readline())

    def close(self) -> None:
        """Ends it."""
        self._process.communicate()


@contextlib.contextmanager
def proxy_process(url: str) -> Iterator[ProxyProcess]:
    """A proxy in a process of its own."""
    made = ProxyProcess(url)
    try:
        yield made
    finally:
        made.close()


def by_port(url: str, port: int) -> str:
    """A URL by another port of this machine."""
    parts = urlsplit(url)
    login, at, _ = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{login}{at}127.0.0.1:{port}").geturl()


if __name__ == "__main__":
    with Proxy(sys.argv[1], int(sys.argv[2])) as proxy:
        print(proxy.port, flush=True)  # noqa: T201  whoever started it reads it
        for _ in sys.stdin:
            print(proxy.swallow(), flush=True)  # noqa: T201
