"""Applications that enqueue in transactions of their own, by each library that ``connection=`` knows.

The type checker reads this module: it passes what users pass.
"""

import contextlib
import itertools
import sqlite3
from collections.abc import Iterator
from typing import Any, ClassVar

import mysql.connector
import psycopg
import pymysql
import pymysql.constants.CLIENT
import pymysql.cursors
import sqlalchemy
from sqlalchemy.orm import Session

from hammerwork_cli import Job, Queue
from hammerwork_cli.database import DatabaseUrl


class Caller:
    """An application with a connection, on which a transaction begins with the next statement."""

    dialect: ClassVar[str]

    def __init__(self, url: str) -> None:
        self.url = DatabaseUrl.parse(url)
        self.connect()

    def connect(self) -> None:
        raise NotImplementedError

    @property
    def connection(self) -> Any:
        """What is passed as ``connection=``."""
        raise NotImplementedError

    def enqueue(self, queue: Queue, job: Job) -> Job:
        raise NotImplementedError

    def execute(self, sql: str) -> None:
        raise NotImplementedError

    def commit(self) -> None:
        self.connection.commit()

    def rollback(self) -> None:
        self.connection.rollback()

    def close(self) -> None:
        self.connection.close()

    @property
    def server(self) -> dict[str, Any]:
        host = self.url.hosts[0]
        assert host.name is not None
        return {"host": host.name, "port": host.port, "user": self.url.user, "database": self.url.database}


class Psycopg(Caller):
    dialect = "postgres"

    def connect(self) -> None:
        self._connection = psycopg.connect(self.url.raw)

    @property
    def connection(self) -> "psycopg.Connection[tuple[Any, ...]]":
        return self._connection

    def enqueue(self, queue: Queue, job: Job) -> Job:
        return queue.enqueue(job, connection=self.connection)

    def execute(self, sql: str) -> None:
        self.connection.execute(sql)


class Sqlite3(Caller):
    dialect = "sqlite"

    def connect(self) -> None:
        assert self.url.path is not None
        self._connection = sqlite3.connect(self.url.path)

    @property
    def connection(self) -> sqlite3.Connection:
        return self._connection

    def enqueue(self, queue: Queue, job: Job) -> Job:
        return queue.enqueue(job, connection=self.connection)

    def execute(self, sql: str) -> None:
        self.connection.execute(sql)


class MysqlConnector(Caller):
    dialect = "mysql"

    def connect(self) -> None:
        password = self.url.password or ""
        self._connection = mysql.connector.connect(**self.server, password=password, **self.options())

    def options(self) -> dict[str, Any]:
        return {}

    @property
    def connection(self) -> Any:
        return self._connection

    def enqueue(self, queue: Queue, job: Job) -> Job:
        return queue.enqueue(job, connection=self._connection)

    def execute(self, sql: str) -> None:
        cursor = self.connection.cursor()
        cursor.execute(sql)
        cursor.close()


class MysqlConnectorInPython(MysqlConnector):
    def options(self) -> dict[str, Any]:
        return {"use_pure": True}


class MysqlConnectorFromPool(MysqlConnector):
    def options(self) -> dict[str, Any]:
        # A pool leads to the database of its first connection for as long as the process lives.
        name = f"callers_{self.server['database']}"
        return {"pool_name": name, "pool_size": 1, "raise_on_warnings": True}


class PyMySQL(Caller):
    dialect = "mysql"

    def connect(self) -> None:
        # A text as a password would be sent in latin1.
        password: Any = (self.url.password or "").encode()
        found = pymysql.constants.CLIENT.FOUND_ROWS
        self._connection = pymysql.connect(**self.server, password=password, client_flag=found)

    @property
    def connection(self) -> "pymysql.connections.Connection[pymysql.cursors.Cursor]":
        return self._connection

    def enqueue(self, queue: Queue, job: Job) -> Job:
        return queue.enqueue(job, connection=self.connection)

    def execute(self, sql: str) -> None:
        with self.connection.cursor() as cursor:
            cursor.execute(sql)


class SqlalchemySession(Caller):
    driver: ClassVar[str]

    @property
    def arguments(self) -> dict[str, Any]:
        return {"password": (self.url.password or "").encode()} if self.driver == "pymysql" else {}

    def connect(self) -> None:
        scheme, _, rest = self.url.raw.partition("://")
        if self.driver == "sqlite":
            rest = f"/{self.url.path}"
        name = f"{scheme}+{self.driver}" if self.driver != "sqlite" else scheme
        self.engine = sqlalchemy.create_engine(f"{name}://{rest}", connect_args=self.arguments)
        self._session = Session(self.engine)

    @property
    def connection(self) -> Session:
        return self._session

    def enqueue(self, queue: Queue, job: Job) -> Job:
        return queue.enqueue(job, connection=self.connection)

    def execute(self, sql: str) -> None:
        self.connection.execute(sqlalchemy.text(sql))

    def close(self) -> None:
        self._session.close()
        self.engine.dispose()


class SessionOnPsycopg(SqlalchemySession):
    dialect, driver = "postgres", "psycopg"


class SessionOnSqlite(SqlalchemySession):
    dialect, driver = "sqlite", "sqlite"


class SessionOnMysqlConnector(SqlalchemySession):
    dialect, driver = "mysql", "mysqlconnector"


class ConnectionOnPyMySQL(SqlalchemySession):
    """SQLAlchemy without its ORM."""

    dialect, driver = "mysql", "pymysql"

    def connect(self) -> None:
        super().connect()
        self._core = self.engine.connect()

    @property
    def connection(self) -> Any:
        return self._core

    def enqueue(self, queue: Queue, job: Job) -> Job:
        return queue.enqueue(job, connection=self._core)

    def close(self) -> None:
        self._core.close()
        super().close()


_numbers = itertools.count()


class Django(Caller):
    engine: ClassVar[str]

    def connect(self) -> None:
        import django
        from django.conf import settings
        from django.db import connections

        pymysql.install_as_MySQLdb()
        if not settings.configured:
            settings.configure(DATABASES={"default": {}}, USE_TZ=True, TIME_ZONE="Asia/Tokyo")
            django.setup()
        self.alias = f"caller{next(_numbers)}"
        mine: dict[str, Any] = {"ENGINE": f"django.db.backends.{self.engine}", "NAME": str(self.url.path)}
        if self.url.hosts:
            host = self.url.hosts[0]
            mine |= {"NAME": self.url.database, "HOST": host.name, "PORT": host.port, "USER": self.url.user}
            mine |= {"PASSWORD": self.url.password}
        if self.engine == "mysql":
            mine |= {"PASSWORD": None, "OPTIONS": {"password": (self.url.password or "").encode()}}
        connections.settings[self.alias] = connections.configure_settings({"default": {}, self.alias: mine})[self.alias]
        self._atomic = contextlib.ExitStack()

    @property
    def connection(self) -> Any:
        from django.db import connections

        return connections[self.alias]

    def _begin(self) -> None:
        from django.db import transaction

        if not self.connection.in_atomic_block:
            self._atomic = contextlib.ExitStack()
            self._atomic.enter_context(transaction.atomic(using=self.alias))

    def enqueue(self, queue: Queue, job: Job) -> Job:
        self._begin()
        return queue.enqueue(job, connection=self.connection)

    def execute(self, sql: str) -> None:
        self._begin()
        with self.connection.cursor() as cursor:
            cursor.execute(sql)

    def commit(self) -> None:
        self._atomic.close()

    def rollback(self) -> None:
        if self.connection.in_atomic_block:
            self.connection.set_rollback(True)
            self._atomic.close()

    def close(self) -> None:
        self.rollback()
        self.connection.close()


class DjangoOnPsycopg(Django):
    dialect, engine = "postgres", "postgresql"


class DjangoOnSqlite(Django):
    dialect, engine = "sqlite", "sqlite3"


class DjangoOnPyMySQL(Django):
    dialect, engine = "mysql", "mysql"


DRIVERS: tuple[type[Caller], ...] = (Psycopg, Sqlite3, MysqlConnector, MysqlConnectorInPython, PyMySQL)
ABOVE: tuple[type[Caller], ...] = (
    MysqlConnectorFromPool,
    SessionOnPsycopg,
    SessionOnSqlite,
    SessionOnMysqlConnector,
    ConnectionOnPyMySQL,
    DjangoOnPsycopg,
    DjangoOnSqlite,
    DjangoOnPyMySQL,
)


@contextlib.contextmanager
def calling(kind: type[Caller], url: str) -> Iterator[Caller]:
    """An application that has a table of orders."""
    caller = kind(url)
    try:
        yield caller
    finally:
        caller.close()
