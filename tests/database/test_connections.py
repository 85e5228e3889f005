"""Connections: which server of several they lead to, and what becomes of a transaction whose connection is cut."""

import contextlib
import socket
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest

from hammerwork_cli.database import Database, connect
from hammerwork_cli.errors import AccessDeniedError, ConnectionLostError, UnreachableError
from tests.servers import PASSWORD

SERVERS = [pytest.param(name, marks=getattr(pytest.mark, name)) for name in ("postgres", "mysql")]
OWN_NUMBER = {"postgresql": "SELECT pg_backend_pid()", "mysql": "SELECT connection_id()"}
CUT = {"postgresql": "SELECT pg_terminate_backend({})", "mysql": "KILL {}"}


def cut(database: Database) -> None:
    """Ends a connection, from another one."""
    ((number,),) = database.query(OWN_NUMBER[database.dialect])
    with contextlib.closing(connect(database.url)) as other:
        other.script(CUT[database.dialect].format(number))


@pytest.mark.parametrize("kind", SERVERS)
def test_a_transaction_whose_connection_is_cut_fails_and_nothing_of_it_stays(
    kind: str, new_database: Callable[..., str]
) -> None:
    url = new_database(kind)
    database = connect(url)
    database.script("CREATE TABLE stay (number INTEGER)")
    tries = 0

    def work() -> None:
        nonlocal tries
        tries += 1
        database.script("INSERT INTO stay VALUES (1)")
        cut(database)
        database.script("INSERT INTO stay VALUES (2)")

    with pytest.raises(ConnectionLostError):
        database.transaction(work)
    with pytest.raises(ConnectionLostError):
        database.script("INSERT INTO stay VALUES (3)")
    with contextlib.closing(connect(url)) as other:
        assert other.query("SELECT number FROM stay") == []
    assert tries == 1


@pytest.mark.mysql
def test_a_transaction_sends_nothing_but_its_statements(new_database: Callable[..., str]) -> None:
    database = connect(new_database("mysql"))
    database.script("CREATE TABLE stay (number INTEGER)")

    def sent() -> dict[str, int]:
        rows = database.query("SHOW SESSION STATUS WHERE Variable_name IN ('Questions', 'Com_admin_commands')")
        return {name: int(value) for name, value in rows}

    def work() -> dict[str, int]:
        before = sent()
        for number in range(3):
            database.script(f"INSERT INTO stay VALUES ({number})")
        assert len(database.query("SELECT number FROM stay")) == 3
        after = sent()
        return {name: after[name] - before[name] for name in before}

    assert database.transaction(work) == {"Questions": 5, "Com_admin_commands": 0}
    database.close()


def among_others(url: str, *others: str) -> str:
    """The URL with these hosts before its own."""
    user, _, host = urlsplit(url).netloc.rpartition("@")
    return urlsplit(url)._replace(netloc=f"{user}@{','.join([*others, host])}").geturl()


@contextlib.contextmanager
def nobody() -> Iterator[str]:
    """A host where nobody answers."""
    with socket.socket() as kept:
        kept.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{kept.getsockname()[1]}"


@pytest.mark.parametrize("kind", SERVERS)
def test_of_several_hosts_the_first_that_answers_is_used(kind: str, new_database: Callable[..., str]) -> None:
    with nobody() as down, contextlib.closing(connect(among_others(new_database(kind), down))) as database:
        assert database.query("SELECT 1") == [(1,)]


@pytest.mark.parametrize("kind", SERVERS)
def test_when_no_host_answers_all_are_named_and_no_password(kind: str, new_database: Callable[..., str]) -> None:
    with nobody() as one, nobody() as two:
        url = urlsplit(among_others(new_database(kind), one))
        url = url._replace(netloc=f"{url.netloc.rpartition(',')[0]},{two}")
        with pytest.raises(UnreachableError, match=f"{one},{two}") as caught:
            connect(url.geturl())
    assert PASSWORD not in str(caught.value)
    assert "***" in caught.value.message


@pytest.mark.mysql
def test_who_is_refused_by_one_host_does_not_ask_the_next(new_database: Callable[..., str]) -> None:
    url = urlsplit(new_database("mysql"))
    host = url.netloc.rpartition("@")[2]
    with pytest.raises(AccessDeniedError):
        connect(url._replace(netloc=f"nobody:wrong@{host},{host}").geturl())


@pytest.mark.mysql
def test_all_connections_of_a_process_go_to_the_host_that_answered(new_database: Callable[..., str]) -> None:
    with socket.socket() as late:
        late.bind(("127.0.0.1", 0))
        url = among_others(new_database("mysql"), f"127.0.0.1:{late.getsockname()[1]}")
        connect(url).close()
        late.listen()
        late.settimeout(0)
        connect(url).close()
        with pytest.raises(BlockingIOError):
            late.accept()
