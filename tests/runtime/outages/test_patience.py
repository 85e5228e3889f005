"""How long a queue waits: for servers that say nothing, for others' locks, and for its own connections."""

import contextlib
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest

from hammerwork_cli import Job, Queue
from hammerwork_cli.database import DatabaseUrl
from hammerwork_cli.errors import ConnectionLostError, DatabaseError, RetryableError, UnreachableError
from tests.database.connection.test_timeouts import SERVERS, way_to

SOON = 30.0
"""Seconds that nobody waits who is not patient; without a bound it was more than a minute, or for ever."""


@contextlib.contextmanager
def soon(*kinds: type[DatabaseError]) -> Iterator[None]:
    began = time.monotonic()
    with pytest.raises(kinds):
        yield
    assert time.monotonic() - began < SOON


@pytest.mark.parametrize(
    ("kind", "patience"),
    [pytest.param("postgres", 1, marks=pytest.mark.postgres), pytest.param("mysql", 0, marks=pytest.mark.mysql)],
)
def test_a_server_that_says_nothing_any_more_is_waited_for_as_long_as_the_queue_is_patient(
    kind: str, patience: float, new_database: Callable[..., str]
) -> None:
    silent = threading.Event()
    with way_to(new_database(kind, migrated=True), silent) as url, Queue(url, patience=patience) as queue:
        queue.enqueue(Job("noop"))
        silent.set()
        with soon(ConnectionLostError, UnreachableError):
            queue.enqueue(Job("noop"))
        silent.clear()
        assert queue.enqueue(Job("noop")).created


@pytest.mark.parametrize("kind", SERVERS)
@pytest.mark.long
def test_hosts_that_take_connections_and_say_nothing_share_the_patience(
    kind: str, new_database: Callable[..., str]
) -> None:
    silent = threading.Event()
    silent.set()
    with way_to(new_database(kind, migrated=True), silent) as url:
        host = urlsplit(url).netloc.rpartition("@")[2]
        with Queue(url.replace(host, ",".join([host] * 5)), patience=0) as queue, soon(UnreachableError):
            queue.enqueue(Job("noop"))


def test_a_file_that_another_one_writes_is_waited_for_as_long_as_the_queue_is_patient(
    new_database: Callable[..., str],
) -> None:
    url = new_database("sqlite", migrated=True)
    path = str(DatabaseUrl.parse(url).path)
    with Queue(url, patience=0) as queue, contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with soon(RetryableError):
            queue.enqueue(Job("noop"))
        other.execute("ROLLBACK")
        assert queue.enqueue(Job("noop")).created


@pytest.mark.parametrize("kind", SERVERS)
def test_rows_that_others_have_locked_are_waited_for_as_long_as_the_queue_is_patient(
    kind: str, new_database: Callable[..., str]
) -> None:
    url = new_database(kind, migrated=True)
    with Queue(url, patience=0) as queue, Queue(url) as other:
        parent = queue.enqueue(Job("noop"))
        locked, enough = threading.Event(), threading.Event()

        def hold() -> None:
            def unit(database: object) -> None:
                database.query(f"SELECT id FROM hammerwork_jobs WHERE id = '{parent.id}' FOR UPDATE")  # type: ignore[attr-defined]
                locked.set()
                enough.wait(4 * SOON)

            other._connections.run(lambda database: database.transaction(lambda: unit(database)))

        holder = threading.Thread(target=hold)
        holder.start()
        try:
            assert locked.wait(SOON)
            with soon(RetryableError):
                queue.enqueue(Job("noop").depends_on(parent))
        finally:
            enough.set()
            holder.join()
        assert queue.enqueue(Job("noop").depends_on(parent)).created


def test_connections_that_other_threads_have_are_waited_for_as_long_as_the_queue_is_patient(
    new_database: Callable[..., str],
) -> None:
    with Queue(new_database("sqlite", migrated=True), pool_size=1, patience=0) as queue:
        taken, enough = threading.Event(), threading.Event()

        def take(_: object) -> None:
            taken.set()
            enough.wait(4 * SOON)

        taker = threading.Thread(target=queue._connections.run, args=[take])
        taker.start()
        try:
            assert taken.wait(SOON)
            with soon(RetryableError):
                queue.enqueue(Job("noop"))
        finally:
            enough.set()
            taker.join()
        assert queue.enqueue(Job("noop")).created


def test_a_patient_queue_gets_what_others_have_in_the_end(new_database: Callable[..., str]) -> None:
    url = new_database("sqlite", migrated=True)
    path = str(DatabaseUrl.parse(url).path)
    with (
        Queue(url, patience=60) as queue,
        contextlib.closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other,
    ):
        other.execute("BEGIN IMMEDIATE")
        later = threading.Timer(1, other.execute, ["ROLLBACK"])
        later.start()
        assert queue.enqueue(Job("noop")).created
        later.join()


def test_a_queue_of_endless_patience_has_no_bounds(new_database: Callable[..., str]) -> None:
    with Queue(new_database("sqlite", migrated=True), patience=float("inf")) as queue:
        assert queue.enqueue(Job("noop")).created
