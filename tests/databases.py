"""Fresh databases for the tests: empty, migrated, or restored from a dump of the Rust original."""

import contextlib
import gzip
import itertools
import os
import re
import shutil
import subprocess
import time
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar, Protocol
from urllib.parse import quote, unquote, urlsplit

DUMPS = Path(__file__).parent / "data" / "dumps"
_DATABASE = re.compile(r"^(?P<server>\w+://[^/?#]*)(?:/[^?#]*)?(?P<rest>.*)$", re.DOTALL)

_TEXT = "longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
FOR_MYSQL = [
    # MariaDB's JSON type is text with a check; MySQL has a type of its own.
    (rf"{_TEXT}((?: NOT NULL)?(?: DEFAULT [^ ,]+)?) CHECK \(json_valid\(`\w+`\)\)", r"json\1"),
    # MySQL wants an expression as a default in parentheses.
    (r"DEFAULT (uuid|json_array|json_object)\(\)", r"DEFAULT (\1())"),
]
"""What MySQL proper needs changed in a dump that MariaDB wrote: pattern, replacement."""


Query = Callable[[str], list[Any]]
Change = Callable[[str], None]
"""Changes the tables of a database with this URL. The same function makes the same change."""
MANY = 1000
"""Rows after which it is quicker to make a table anew."""
POSTGRES_SHAPE = """
    SELECT
        (SELECT sum(hashtext(concat_ws(' ', relname, relkind, relhastriggers, reloptions)))
        FROM pg_class WHERE relnamespace = 'public'::regnamespace),
        (SELECT sum(pg_attribute.xmin::text::bigint)
        FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
        WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'),
        (SELECT sum(xmin::text::bigint) FROM pg_constraint WHERE connamespace = 'public'::regnamespace),
        (SELECT sum(xmin::text::bigint) FROM pg_proc WHERE pronamespace = 'public'::regnamespace),
        (SELECT string_agg(migration_id, ' ' ORDER BY migration_id) FROM hammerwork_migrations),
        (SELECT count(*) FROM pg_db_role_setting JOIN pg_database ON pg_database.oid = setdatabase
        WHERE datname = current_database())
"""
"""A row changes its ``xmin`` with its definition."""
POSTGRES_TABLES = """
    SELECT relname, pg_relation_size(oid) > 65536 OR reltuples > 0
    FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND pg_relation_size(oid) > 0
    AND relname <> 'hammerwork_migrations'
"""
"""The tables that hold rows, or held some; whether they are quicker made anew, or somebody analysed them."""
MYSQL_DEFINITIONS = "SHOW GLOBAL STATUS WHERE Variable_name RLIKE '^Com_(alter|create|drop|rename)'"
"""How often anybody has defined something on the server."""
MYSQL_SHAPE = [
    "SELECT table_name, column_name, column_type, is_nullable, column_default, extra, generation_expression"
    " FROM information_schema.columns WHERE table_schema = '{}'",
    "SELECT table_name, index_name, column_name FROM information_schema.statistics WHERE table_schema = '{}'",
    "SELECT constraint_name, check_clause FROM information_schema.check_constraints WHERE constraint_schema = '{}'",
    "SELECT trigger_name FROM information_schema.triggers WHERE trigger_schema = '{}'",
]
MYSQL_STORED = (
    "SELECT concat('`', column_name, '`') FROM information_schema.columns"
    " WHERE table_schema = '{}' AND table_name = '{}' AND extra NOT LIKE '%GENERATED' ORDER BY ordinal_position"
)
MYSQL_MIGRATIONS = "SELECT migration_id FROM {}.hammerwork_migrations"
SESSIONS_END_WITHIN = 1.0
"""Seconds that a server may take to end a session whose client has gone."""


class Databases(Protocol):
    """Makes databases of one kind. Each method returns the URL of a new one.

    ``migrated`` makes tables, and then the same change of them in all databases that it is given for. Unless it is
    ``fresh``, the database may have served another test, whose deleted rows a planner still sees in its indexes.
    """

    def empty(self) -> str: ...

    def migrated(self, change: Change | None = None, *, fresh: bool = False) -> str: ...

    def drop(self, url: str) -> None: ...

    def close(self) -> None: ...


class SqliteDatabases:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = itertools.count()
        self._templates: dict[Change | None, Path] = {}

    def empty(self) -> str:
        return f"sqlite:///{quote(str(self._path()))}"

    def migrated(self, change: Change | None = None, *, fresh: bool = False) -> str:
        del fresh  # each is
        if change not in self._templates:
            self._templates[change] = self._path()
            url = f"sqlite:///{quote(str(self._templates[change]))}"
            migrate(url)
            if change:
                change(url)
        copy = self._path()
        shutil.copyfile(self._templates[change], copy)
        return f"sqlite:///{quote(str(copy))}"

    def copy(self, url: str) -> str:
        """A new database with the tables and rows of another one, to which nobody is connected."""
        copy = self._path()
        shutil.copyfile(unquote(url.removeprefix("sqlite:///")), copy)
        return f"sqlite:///{quote(str(copy))}"

    def _path(self) -> Path:
        return self._folder / f"{next(self._numbers)} é.db"

    def drop(self, url: str) -> None:
        path = unquote(url.removeprefix("sqlite:///"))
        for suffix in ("", "-wal", "-shm"):
            Path(path + suffix).unlink(missing_ok=True)

    def close(self) -> None:
        return


class ServerDatabases(ABC):
    """Databases on a server.

    A migrated database is emptied after its test and lent again, when the test left its tables as they were: that
    takes a tenth of the time that making one takes.
    """

    def __init__(self) -> None:
        self._names = names()
        self._clean: defaultdict[Change | None, list[str]] = defaultdict(list)
        self._lent: dict[str, Change | None] = {}
        self._shapes: dict[Change | None, Any] = {}

    @abstractmethod
    def empty(self) -> str: ...

    @abstractmethod
    def copy(self, url: str) -> str:
        """A new database with the tables and rows of another one, to which nobody is connected."""

    @abstractmethod
    def _migrated(self, change: Change | None) -> str:
        """A new database with tables, changed."""

    @abstractmethod
    def _inside(self, url: str) -> contextlib.AbstractContextManager[Query]:
        """Runs statements in a database and returns their rows."""

    @abstractmethod
    def _look(self, query: Query, name: str) -> Any:
        """Whatever of a database must not change for the next test: tables, indexes, recorded migrations."""

    sessions: ClassVar[str]
    """Asks for the sessions of a database besides the one that asks."""

    @abstractmethod
    def _empty_tables(self, query: Query, name: str) -> None: ...

    @abstractmethod
    def _drop(self, url: str) -> None: ...

    def migrated(self, change: Change | None = None, *, fresh: bool = False) -> str:
        if fresh:
            return self._migrated(change)
        if self._clean[change]:
            url = self._clean[change].pop()
        else:
            url = self._migrated(change)
            if change not in self._shapes:
                with self._inside(url) as query:
                    self._shapes[change] = self._look(query, database_of(url))
        self._lent[url] = change
        return url

    def drop(self, url: str) -> None:
        if url in self._lent:
            change = self._lent.pop(url)
            # Whatever a test did that stands in the way of emptying costs only time.
            with contextlib.suppress(Exception), self._inside(url) as query:
                name = database_of(url)
                if self._is_alone(query, name) and self._look(query, name) == self._shapes[change]:
                    self._empty_tables(query, name)
                    self._clean[change].append(url)
                    return
        self._drop(url)

    def clear(self, url: str) -> None:
        """Empties the tables of a database."""
        with self._inside(url) as query:
            self._empty_tables(query, database_of(url))

    def _is_alone(self, query: Query, name: str) -> bool:
        """Whether nobody else is connected, and so may hold a lock; who has just gone may be so for a moment."""
        deadline = time.monotonic() + SESSIONS_END_WITHIN
        while query(self.sessions.format(name)):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.005)
        return True

    def close(self) -> None:
        for url in chain(*self._clean.values()):
            self._drop(url)


class PostgresDatabases(ServerDatabases):
    sessions = "SELECT pid FROM pg_stat_activity WHERE datname = '{}' AND pid <> pg_backend_pid()"

    def __init__(self, server_url: str) -> None:
        import psycopg

        super().__init__()
        self._server_url = server_url
        self._admin = psycopg.connect(server_url, autocommit=True)
        # Copying files is several times faster than logging each block.
        self._strategy = " STRATEGY file_copy" if self._admin.info.server_version >= 150000 else ""
        self._templates: dict[str | Change | None, str] = {}
        # One for each database that is lent again and again: half of the time of emptying one goes into connecting.
        self._connections: dict[str, Any] = {}

    def empty(self) -> str:
        return self._create("template0")

    def _migrated(self, change: Change | None) -> str:
        # The same change of two databases leaves two shapes, since each has its own transactions.
        if change not in self._templates:
            self._templates[change] = self._migrated(None) if change else self.empty()
            (change or migrate)(self._templates[change])
        return self.copy(self._templates[change])

    def copy(self, url: str) -> str:
        return self._create(database_of(url))

    def restored(self, dump: str, *, is_migrated: bool = False) -> str:
        if is_migrated:
            name = f"{dump}, migrated"
            if name not in self._templates:
                self._templates[name] = self.restored(dump)
                migrate(self._templates[name])
            return self.copy(self._templates[name])
        if dump not in self._templates:
            self._templates[dump] = self.empty()
            url = urlsplit(self._templates[dump])
            program(
                "psql",
                "-qX",
                "-v",
                "ON_ERROR_STOP=1",
                without_password(self._templates[dump]),
                text=read_dump(dump),
                PGPASSWORD=unquote(url.password or ""),
                PGOPTIONS="-c client_min_messages=warning",
            )
        return self.copy(self._templates[dump])

    def _create(self, template: str) -> str:
        name = next(self._names)
        self._admin.execute(f"CREATE DATABASE {name} TEMPLATE {template}{self._strategy}".encode())
        return with_database(self._server_url, name)

    @contextlib.contextmanager
    def _inside(self, url: str) -> Iterator[Query]:
        import psycopg

        connection = self._connections.get(url)
        if connection is None or connection.closed:
            connection = psycopg.connect(url, autocommit=True, prepare_threshold=None)
            connection.execute("SET lock_timeout = '2s'")
            self._connections[url] = connection

        def query(sql: str) -> list[Any]:
            cursor = connection.execute(sql.encode())
            return cursor.fetchall() if cursor.description else []

        yield query

    def _look(self, query: Query, name: str) -> Any:
        return query(POSTGRES_SHAPE)

    def _empty_tables(self, query: Query, name: str) -> None:
        for table, anew in query(POSTGRES_TABLES):
            query(f"TRUNCATE {table} RESTART IDENTITY" if anew else f"DELETE FROM {table}")

    def _drop(self, url: str) -> None:
        if url in self._connections:
            self._connections.pop(url).close()
        self._admin.execute(f"DROP DATABASE IF EXISTS {database_of(url)} WITH (FORCE)".encode())

    def close(self) -> None:
        super().close()
        for url in self._templates.values():
            self._drop(url)
        self._admin.close()


class MysqlDatabases(ServerDatabases):
    sessions = "SELECT id FROM information_schema.processlist WHERE db = '{}'"

    def __init__(self, server_url: str) -> None:
        import mysql.connector

        super().__init__()
        self._server_url = server_url
        url = urlsplit(server_url)
        self._admin: Any = mysql.connector.connect(
            host=url.hostname,
            port=url.port or 3306,
            user=unquote(url.username or ""),
            password=unquote(url.password or ""),
            autocommit=True,
        )
        self._rows("SET SESSION lock_wait_timeout = 10, innodb_lock_wait_timeout = 2")
        self.is_mariadb = "mariadb" in self._rows("SELECT version()")[0][0].lower()
        self._template: str | None = None
        self._looks: dict[str, tuple[list[Any], Any]] = {}  # database -> definitions, and its shape after them

    def _rows(self, sql: str) -> list[Any]:
        with contextlib.closing(self._admin.cursor(buffered=True)) as cursor:
            cursor.execute(sql)
            return list(cursor.fetchall()) if cursor.with_rows else []

    def empty(self) -> str:
        name = next(self._names)
        self._rows(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
        return with_database(self._server_url, name)

    def _migrated(self, change: Change | None) -> str:
        if self._template is None:
            self._template = self.empty()
            migrate(self._template)
        url = self.copy(self._template)
        if change:
            change(url)
        return url

    def copy(self, url: str) -> str:
        template, copied = database_of(url), self.empty()
        for (table,) in self._rows(f"SHOW TABLES FROM {template}"):
            # LIKE would give MySQL's checks other names.
            ((_, definition),) = self._rows(f"SHOW CREATE TABLE {template}.{table}")
            self._rows(definition.replace(f"`{table}`", f"{database_of(copied)}.{table}", 1))
            if self._rows(f"SELECT 1 FROM {template}.{table} LIMIT 1"):
                columns = ", ".join(name for (name,) in self._rows(MYSQL_STORED.format(template, table)))
                to = f"{database_of(copied)}.{table} ({columns})"
                self._rows(f"INSERT INTO {to} SELECT {columns} FROM {template}.{table}")
        return copied

    def restored(self, dump: str, *, is_migrated: bool = False) -> str:
        url = self.empty()
        parts = urlsplit(url)
        client = shutil.which("mariadb") or "mysql"
        sql = read_dump(dump) if self.is_mariadb else for_mysql(read_dump(dump))
        program(
            client,
            "--no-defaults",
            "-h",
            str(parts.hostname),
            "-P",
            str(parts.port or 3306),
            "-u",
            unquote(parts.username or ""),
            "--default-character-set=utf8mb4",
            database_of(url),
            text=sql,
            MYSQL_PWD=unquote(parts.password or ""),
        )
        if is_migrated:
            migrate(url)
        return url

    @contextlib.contextmanager
    def _inside(self, url: str) -> Iterator[Query]:
        del url  # statements name their database
        yield self._rows

    def _look(self, query: Query, name: str) -> Any:
        def look(statements: list[str]) -> list[list[str]]:
            return [sorted(map(repr, query(sql.format(name)))) for sql in statements]

        definitions = query(MYSQL_DEFINITIONS)
        if name not in self._looks or self._looks[name][0] != definitions:
            self._looks[name] = definitions, look(MYSQL_SHAPE)
        return self._looks[name][1], look([MYSQL_MIGRATIONS])

    def _empty_tables(self, query: Query, name: str) -> None:
        tables = [table for (table,) in query(f"SHOW TABLES FROM {name}") if table != "hammerwork_migrations"]
        rows = ", ".join(f"(SELECT count(*) FROM (SELECT 1 FROM {name}.{table} LIMIT {MANY}) t)" for table in tables)
        for table, number in zip(tables, *query(f"SELECT {rows}"), strict=True):
            if number:
                # TRUNCATE makes a table anew, which takes as long as deleting many rows.
                query(f"{'TRUNCATE' if number == MANY else 'DELETE FROM'} {name}.{table}")

    def _drop(self, url: str) -> None:
        name = database_of(url)
        self._looks.pop(name, None)
        # A connection that a failed test left open would hold its locks. MySQL proper cannot list a thread whose
        # statement has a character beyond the first 65,536.
        with contextlib.suppress(Exception):
            for (thread,) in self._rows(f"SELECT id FROM information_schema.processlist WHERE db = '{name}'"):
                with contextlib.suppress(Exception):
                    self._rows(f"KILL {thread}")
        self._rows(f"DROP DATABASE IF EXISTS {name}")

    def close(self) -> None:
        super().close()
        if self._template is not None:
            self._drop(self._template)
        self._admin.close()


def migrate(url: str) -> None:
    """Makes the tables, as ``hammerwork migration run`` does."""
    from hammerwork_cli.database import connect
    from hammerwork_cli.features.migration import queries as migrations

    with contextlib.closing(connect(url)) as database:
        migrations.run(database)


def names() -> Iterator[str]:
    """Database names that no other test run on the same server uses."""
    return (f"hammerwork_test_{os.getpid()}_{number}" for number in itertools.count())


def with_database(url: str, name: str) -> str:
    """The URL with another database."""
    return _DATABASE.sub(lambda parts: f"{parts['server']}/{name}{parts['rest']}", url)


def without_password(url: str) -> str:
    """The URL for a command line, where others can read it."""
    return re.sub(r"(://[^:@/]*):[^@/]*@", r"\1@", url)


def database_of(url: str) -> str:
    """The database that a URL names."""
    return urlsplit(url).path.removeprefix("/")


def read_dump(name: str) -> str:
    """The SQL of a dump."""
    return gzip.decompress((DUMPS / f"{name}.sql.gz").read_bytes()).decode()


def for_mysql(sql: str) -> str:
    """A dump of MariaDB as MySQL proper takes it: :data:`FOR_MYSQL`, in the table definitions only."""
    lines = sql.split("\n")
    for number, line in enumerate(lines):
        if line.startswith("  "):
            for pattern, replacement in FOR_MYSQL:
                line = re.sub(pattern, replacement, line)
            lines[number] = line
    return "\n".join(lines)


def program(*command: str, text: str, **environment: str) -> None:
    """Runs a database's own client."""
    if shutil.which(command[0]) is None:
        raise FileNotFoundError(f"{command[0]} is needed to restore a dump: install postgresql-client, mariadb-client")
    done = subprocess.run(
        command, input=text, env={**os.environ, **environment}, capture_output=True, encoding="utf-8", check=False
    )
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed: {done.stderr[-2000:]}")
