"""Every row of the tables of driver errors: what it concerns, and that a real server's word for it is read so."""

import contextlib
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hammerwork_cli.database import Database, connect
from hammerwork_cli.database.driver_errors import MYSQL, POSTGRES, SENTENCES, SQLITE, ErrorMeaning, by_prefix, error_for
from hammerwork_cli.database.drivers import sqlite
from hammerwork_cli.errors import HammerworkError, UnreachableError
from hammerwork_cli.runtime.faults import Fault
from tests.conftest import own_server

VALUE, SESSION, SERVER, UNKNOWN = "the value", "the session", "the server", "nobody knows"
CONCERNS = {
    ErrorMeaning.REFUSED: VALUE,
    ErrorMeaning.DUPLICATE: VALUE,
    ErrorMeaning.LOST: SESSION,
    ErrorMeaning.CONFLICT: SESSION,
    ErrorMeaning.LOCKED: SESSION,
    ErrorMeaning.READ_ONLY: SERVER,
    ErrorMeaning.NOT_LOGGED: SERVER,
    ErrorMeaning.FULL: SERVER,
    ErrorMeaning.LIMIT: SERVER,
    ErrorMeaning.NO_ROOM: SERVER,
    ErrorMeaning.DENIED: SERVER,
    ErrorMeaning.UNPRIVILEGED: SERVER,
    ErrorMeaning.MISSING: SERVER,
    ErrorMeaning.NO_DATABASE: SERVER,
    ErrorMeaning.UNKNOWN: UNKNOWN,
}


@pytest.mark.sqlite
def test_only_what_concerns_the_value_is_a_job_s_own_and_what_nobody_knows_after_a_lease(sqlite_url: str) -> None:
    with contextlib.closing(connect(sqlite_url)) as database:
        for meaning in ErrorMeaning:
            error, concerns = error_for(meaning, database, "text"), CONCERNS[meaning]
            assert Fault(30).is_the_jobs(error) == (concerns == VALUE), meaning
            patient = Fault(0.001)
            patient.is_the_jobs(error)
            time.sleep(0.002)
            assert patient.is_the_jobs(error) == (concerns in (VALUE, UNKNOWN)), meaning


def said(database: Database, statement: str) -> HammerworkError:
    with pytest.raises(HammerworkError) as caught:
        database.script(statement)
    return caught.value


@pytest.mark.postgres
def test_each_row_of_postgresql_means_the_same_when_a_server_says_it(new_database: Callable[..., str]) -> None:
    with contextlib.closing(connect(new_database("postgres"))) as database:
        for prefix in (*POSTGRES, "54023"):
            code = prefix.ljust(5, "0")
            error = said(database, f"DO $$ BEGIN RAISE EXCEPTION 'said' USING ERRCODE = '{code}'; END $$")
            assert (type(error), error.details["state"]) == (SENTENCES[by_prefix(POSTGRES, code)][0], code)
        assert database.query("SELECT 1") == [(1,)]


@pytest.mark.mysql
def test_each_row_of_mysql_means_the_same_when_a_server_says_it(new_database: Callable[..., str]) -> None:
    with contextlib.closing(connect(new_database("mysql"))) as database:
        database.script(
            "CREATE PROCEDURE says(number INT) SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'said', MYSQL_ERRNO = number"
        )
        for number, meaning in MYSQL.items():
            error = said(database, f"CALL says({number})")
            assert (type(error), error.details["errno"]) == (SENTENCES[meaning][0], number)
        assert database.query("SELECT 1") == [(1,)]


@pytest.mark.mysql
def test_a_binary_log_that_is_not_fit_for_our_transactions_is_named_with_what_to_set() -> None:
    settings = {"log-bin": "log", "server-id": "1", "binlog-format": "STATEMENT"}
    with own_server("mysql", settings=settings) as private, contextlib.closing(connect(private.url)) as database:
        database.script("CREATE TABLE odd (id INTEGER) ENGINE = InnoDB")
        error = said(database, "INSERT INTO odd VALUES (1)")
        assert type(error) is UnreachableError
        assert error.details["errno"] == 1665
        assert "the format of its binary log is STATEMENT" in error.message
        assert error.hint == "Set binlog_format=MIXED, or ROW, on the server."
        database.script("SET SESSION binlog_format = 'MIXED'")
        database.script("INSERT INTO odd VALUES (1)")


TRULY = {
    *("22", "23505", "25006", "28", "3D000", "42501", "42703", "42P01", "53", "53100", "53300", "54001", "55P03"),
    *("57014", "57P"),
    *(201, 1040, 1045, 1049, 1054, 1062, 1114, 1142, 1143, 1146, 1205, 1264, 1290, 1317, 1406, 1412, 1665, 1792),
    *(1969, 2013, 4150, 4151),
    *(3032, 3118, 3955, 3989),  # where MySQL proper is installed
}
"""Rows that tests provoke for good, most of them in test_driver_errors.py; some end the connection before the code."""
ONLY_SAID: dict[str, set[str] | set[int]] = {
    "the network, or a protocol that breaks in the middle of an answer": {
        *("08", "40003"),
        *(1152, 1156, 1927, 2006, 1157, 1158, 1159, 1160, 1161, 1184, 1835, 2012, 2014, 2026, 2027, 2055),
    },
    "a time in a transaction, or a version of the server, that the tests do not have": {
        "25P03",
        "25P04",
        3024,
        3572,
        4031,
    },
    "another transaction that wins at this moment, as in chaos": {"40", 1213},
    "disks and memory of a server that are full or broken": {
        *("58", "XX"),
        *(
            200,
            202,
            1,
            3,
            5,
            20,
            23,
            1016,
            1021,
            1024,
            1026,
            1028,
            1030,
            1037,
            1038,
            1041,
            1135,
            1206,
            1799,
            1878,
            3015,
            3019,
        ),
        *(3675, 3884, 3950, 3985, 4081, 4082),
    },
    "a cluster, or group replication": {1047, 1180, 3100, 3101},
    "a server that ends at that moment, or is upgraded": {1053, 1079, 1080, 1836, 1874, 3168, 3169},
    "statements that hammerwork never sends: of other sessions, of definitions, of administrators": {
        *("54", "54000", "55"),
        *(
            1020,
            1036,
            1044,
            1071,
            1118,
            1203,
            1226,
            1197,
            1223,
            1227,
            1370,
            1614,
            1615,
            1637,
            1689,
            1820,
            1862,
            1129,
            1130,
            1698,
            3159,
        ),
    },
    "values that the drivers or columns of hammerwork refuse before": {
        *("23502", "23514"),
        *(
            1048,
            1153,
            1265,
            1366,
            3819,
            4025,
            1292,
            1300,
            1301,
            1436,
            1525,
            1690,
            1977,
            2020,
            3140,
            3141,
            3144,
            3150,
            3151,
            3155,
            3156,
        ),
        *(3157, 3854, 3988, 4037, 4038, 4040),
    },
    "no meaning of its own": {1105},
}
"""Why a server is only made to say the code of a row: what would have to happen."""


def test_each_row_of_a_server_is_provoked_or_says_why_a_server_only_says_it() -> None:
    rows = {*POSTGRES, *MYSQL}
    listed = [*TRULY, *(row for group in ONLY_SAID.values() for row in group)]
    assert {*listed} == rows
    assert len(listed) == len({*listed})


# SQLite has nobody who could say a code: these are provoked.


def _interrupt(connection: sqlite3.Connection) -> None:
    connection.create_function("stop", 0, connection.interrupt)


def _limit(connection: sqlite3.Connection) -> None:
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 1000)


def _deny(connection: sqlite3.Connection) -> None:
    connection.set_authorizer(lambda *_: sqlite3.SQLITE_DENY)


ENDLESS = "WITH RECURSIVE n AS (SELECT stop() AS i UNION ALL SELECT 1 FROM n) SELECT count(*) FROM n"
FILL = (
    "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 500)"
    " INSERT INTO odd SELECT i + 1, hex(randomblob(500)), 1 FROM n"
)
HEAP = (
    "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 99999)"
    " SELECT group_concat(hex(randomblob(500))) FROM n"
)
OF_SQLITE: dict[str, tuple[Callable[[sqlite3.Connection], Any] | str, str]] = {
    "SQLITE_AUTH": (_deny, "SELECT * FROM odd"),
    "SQLITE_CONSTRAINT_CHECK": ("", "INSERT INTO odd VALUES (2, 'a', 0)"),
    "SQLITE_CONSTRAINT_NOTNULL": ("", "INSERT INTO odd VALUES (2, NULL, 1)"),
    "SQLITE_CONSTRAINT_PRIMARYKEY": ("", "INSERT INTO odd VALUES (1, 'b', 1)"),
    "SQLITE_CONSTRAINT_UNIQUE": ("", "INSERT INTO odd VALUES (2, 'first', 1)"),
    "SQLITE_FULL": ("PRAGMA max_page_count = 1", FILL),
    "SQLITE_INTERRUPT": (_interrupt, ENDLESS),
    "SQLITE_MISMATCH": ("", "INSERT INTO odd VALUES ('x', 'b', 1)"),
    "SQLITE_READONLY": ("PRAGMA query_only = ON", "INSERT INTO odd VALUES (2, 'b', 1)"),
    "SQLITE_TOOBIG": (_limit, "SELECT hex(zeroblob(900))"),
}


@pytest.mark.sqlite
@pytest.mark.parametrize("code", OF_SQLITE)
def test_each_row_of_sqlite_means_what_it_should(sqlite_url: str, code: str) -> None:
    before, statement = OF_SQLITE[code]
    with contextlib.closing(connect(sqlite_url)) as database:
        database.script("CREATE TABLE odd (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, n INTEGER CHECK (n > 0))")
        database.script("INSERT INTO odd VALUES (1, 'first', 1)")
        if callable(before):
            before(database._connection)
        elif before:
            database.script(before)
        error = said(database, statement)
        database._connection.set_authorizer(None)
        assert database.query("SELECT count(*) FROM odd") == [(1,)]
    assert str(error.details["sqlite"]).startswith(code)
    assert type(error) is SENTENCES[SQLITE[code]][0]


@pytest.mark.sqlite
def test_a_file_of_sqlite_that_another_writes_has_changed_or_was_moved(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 1)
    with contextlib.closing(connect(sqlite_url)) as database, contextlib.closing(connect(sqlite_url)) as other:
        for one in (database, other):
            one._connection.execute("PRAGMA busy_timeout = 20")
        database.script("CREATE TABLE odd (id INTEGER)")
        other.script("BEGIN IMMEDIATE")
        busy = said(database, "INSERT INTO odd VALUES (1)")
        other.script("ROLLBACK")
        database.script("BEGIN")
        database.query("SELECT * FROM odd")
        other.script("INSERT INTO odd VALUES (1)")
        changed = said(database, "INSERT INTO odd VALUES (2)")
        database.script("ROLLBACK")
    for error, code in ((busy, "SQLITE_BUSY"), (changed, "SQLITE_BUSY_SNAPSHOT")):
        assert error.details["sqlite"] == code
        assert type(error) is SENTENCES[SQLITE[code]][0]


@pytest.mark.sqlite
def test_a_library_without_memory_is_at_a_limit(sqlite_url: str) -> None:
    program = f"""
from hammerwork_cli.database import connect
from hammerwork_cli.errors import LimitReachedError
database = connect({sqlite_url!r})
database.script("PRAGMA hard_heap_limit = 1000000")  # of the whole process, and nothing raises it again
try:
    database.query({HEAP!r})
except LimitReachedError as error:
    print(error.details)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("{'sqlite': 'SQLITE_NOMEM'}\n", 0), done.stderr


PROVOKED = {
    "SQLITE_BUSY",
    "SQLITE_BUSY_SNAPSHOT",
    "SQLITE_NOMEM",
    *OF_SQLITE,
}
NOT_PROVOKED = {
    "SQLITE_IOERR": "a disk that fails",
    "SQLITE_LOCKED": "a cache that connections share, which hammerwork never opens",
    "SQLITE_PERM": "the library has not returned it for years",
    "SQLITE_PROTOCOL": "a race of several processes for the lock of the log",
    "SQLITE_READONLY_DBMOVED": "journal modes other than WAL, or a file that is replaced between two system calls",
    "SQLITE_SCHEMA": "the library compiles the statement again by itself",
}


def test_each_row_of_sqlite_is_provoked_or_says_why_not() -> None:
    assert PROVOKED.isdisjoint(NOT_PROVOKED)
    assert {*PROVOKED, *NOT_PROVOKED} == SQLITE.keys()
