"""What a connection with timeouts waits for: others' locks, long statements, and servers that say nothing."""

import contextlib
import socket
import time
from collections.abc import Callable, Iterator
from select import select
from threading import Event, Thread
from urllib.parse import urlsplit

import pytest

from hammerwork_cli.database import Timeouts, connect
from hammerwork_cli.errors import ConnectionLostError, RetryableError, UnreachableError

SERVERS = [pytest.param(name, marks=getattr(pytest.mark, name)) for name in ("postgres", "mysql")]
SLEEP = {"postgres": "SELECT pg_sleep(20)", "mysql": "SELECT SLEEP(20) FROM hammerwork_migrations"}
QUICK = Timeouts(connect=1, lock=1, statement=0.5, network=1)
LONG = 15.0


@contextlib.contextmanager
def way_to(url: str, silent: Event) -> Iterator[str]:
    """The URL of a server by a way that hands nothing on while ``silent`` is set, and cuts nothing."""
    parts = urlsplit(url)
    ended = Event()

    def carry(here: socket.socket) -> None:
        with here, socket.create_connection((parts.hostname, parts.port)) as there:
            other = {here: there, there: here}
            while not ended.is_set():
                ready = select([] if silent.is_set() else [here, there], [], [], 0.05)[0]
                for end in ready:
                    data = end.recv(65536)
                    if not data:
                        return
                    other[end].sendall(data)

    def accept() -> None:
        while not ended.is_set():
            with contextlib.suppress(TimeoutError):
                carriers.append(Thread(target=carry, args=[door.accept()[0]]))
                carriers[-1].start()

    carriers: list[Thread] = []
    with socket.create_server(("127.0.0.1", 0)) as door:
        door.settimeout(0.05)
        acceptor = Thread(target=accept)
        acceptor.start()
        user = parts.netloc.rpartition("@")[0]
        try:
            yield parts._replace(netloc=f"{user}@127.0.0.1:{door.getsockname()[1]}").geturl()
        finally:
            ended.set()
            for thread in (acceptor, *carriers):
                thread.join()


@pytest.mark.parametrize("kind", SERVERS)
def test_a_server_that_says_nothing_any_more_costs_the_connection_after_the_network_timeout(
    kind: str, new_database: Callable[..., str]
) -> None:
    silent = Event()
    with way_to(new_database(kind), silent) as url, contextlib.closing(connect(url, QUICK)) as database:
        assert database.query("SELECT 1") == [(1,)]
        silent.set()
        began = time.monotonic()
        with pytest.raises(ConnectionLostError):
            database.query("SELECT 1")
        with pytest.raises(UnreachableError):
            connect(url, QUICK)
        assert time.monotonic() - began < LONG


@pytest.mark.parametrize("kind", SERVERS)
def test_a_statement_that_takes_too_long_may_be_tried_again_on_the_same_connection(
    kind: str, new_database: Callable[..., str]
) -> None:
    with contextlib.closing(connect(new_database(kind, migrated=True), QUICK)) as database:
        began = time.monotonic()
        with pytest.raises(RetryableError, match="time"):
            database.query(SLEEP[kind])
        assert time.monotonic() - began < LONG
        assert database.query("SELECT 1") == [(1,)]


def test_a_lock_that_another_one_holds_is_waited_for_as_long_as_the_timeout_says(migrated_url: str) -> None:
    holder, other = connect(migrated_url), connect(migrated_url, Timeouts(lock=0.2))
    insert = "INSERT INTO hammerwork_queue_pause (queue_name) VALUES ('held')"
    with contextlib.closing(holder), contextlib.closing(other):

        def hold() -> None:
            holder.script(insert)
            began = time.monotonic()
            with pytest.raises(RetryableError):
                other.script(insert)
            assert time.monotonic() - began < LONG / 2

        holder.transaction(hold)


def test_a_server_that_falls_silent_in_a_tls_handshake_is_given_up() -> None:
    """The library of MySQL would wait for it without limit."""
    offers_tls, other_abilities = 0x800, 0x88209
    abilities = (offers_tls | other_abilities).to_bytes(4, "little")
    greeting = b"\x0a8.4.0\0" + bytes(4) + b"x" * 8 + b"\0" + abilities[:2] + b"\xff\x02\0" + abilities[2:]
    greeting += b"\x15" + bytes(10) + b"x" * 12 + b"\0caching_sha2_password\0"
    with socket.create_server(("127.0.0.1", 0)) as server:

        def greet() -> None:
            end, _ = server.accept()
            with end:
                end.sendall(len(greeting).to_bytes(3, "little") + b"\0" + greeting)
                while end.recv(65536):
                    pass

        Thread(target=greet, daemon=True).start()
        began = time.monotonic()
        with pytest.raises(UnreachableError, match="No MySQL server answers"):
            connect(f"mysql://user@127.0.0.1:{server.getsockname()[1]}/jobs", QUICK)
        assert time.monotonic() - began < LONG
