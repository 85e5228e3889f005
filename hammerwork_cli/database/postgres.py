"""PostgreSQL through psycopg 3."""

import math
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import psycopg
from psycopg.abc import PQGen
from psycopg.types.string import TextLoader

from hammerwork_cli.database import statements
from hammerwork_cli.database.access import MIGRATE, Database, Row
from hammerwork_cli.errors import (
    AccessDeniedError,
    ConfigError,
    ConnectionLostError,
    DatabaseError,
    MissingTablesError,
    RefusedValueError,
    RetryableError,
    UnreachableError,
)

NAME_THE_PRIMARY = "Name the primary; several hosts are asked which it is with ?target_session_attrs=read-write."
DENIED = ("authentication failed", "no password supplied", "FATAL:  role ", "no pg_hba.conf entry")
"""What a refusal says: while connecting, psycopg hands on no code."""
TEXT_TYPES = ("uuid", "timestamptz", "json", "jsonb")
"""Asked for as text: building their Python objects costs more than the server needs to find the row."""


class _ImpatientConnection(psycopg.Connection[Row]):
    """A connection that is closed when the server leaves it without an answer for :attr:`network` seconds."""

    network: float = 0

    def wait(self, gen: PQGen[Any], *args: Any, **options: Any) -> Any:
        """Waits as psycopg does; a wait that has a timeout of its own keeps it."""
        if self.network and options.get("timeout") is None:
            gen = self._limited(gen)
        return super().wait(gen, *args, **options)

    def _limited(self, waiting: PQGen[Any]) -> PQGen[Any]:
        heard = time.monotonic()
        try:
            wanted = next(waiting)
            while True:
                # psycopg goes on several times a second, also when nothing is ready.
                ready = yield wanted
                if ready:
                    heard = time.monotonic()
                elif time.monotonic() - heard > self.network:
                    self.pgconn.finish()
                    raise psycopg.OperationalError("the server does not answer")
                wanted = waiting.send(ready)
        except StopIteration as ended:
            return ended.value


class PostgresDatabase(Database):
    """A connection whose ids, instants and JSON arrive as text, in UTC."""

    dialect = "postgresql"
    read_chunk = 2000
    percent = "%%"

    def _connect(self) -> Any:
        kind = _ImpatientConnection if self.timeouts.network else psycopg.Connection
        connection: psycopg.Connection[Any] = kind.connect(
            self.url.raw,
            autocommit=True,
            cursor_factory=psycopg.ClientCursor,
            application_name="hammerwork",
            **{name: value for name, value in self._network_limits().items() if name not in self.url.options},
        )
        if isinstance(connection, _ImpatientConnection):
            connection.network = self.timeouts.network or 0
        for name in TEXT_TYPES:
            connection.adapters.register_loader(name, TextLoader)
        # By its number: psycopg takes the name uuid[] for uuid.
        connection.adapters.register_loader(connection.adapters.types["uuid"].array_oid, TextLoader)
        # A pooler keeps these for each of its clients, and hands the others on to whoever comes next.
        connection.execute("SET TIME ZONE 'UTC'; SET datestyle = ISO; " + self._settings(connection.info.backend_pid))
        return connection

    def _settings(self, backend: int) -> str:
        """A statement that changes settings of the session where no pooler gave it another number than its own."""
        settings: dict[str, str] = {
            # The planner cannot know how few jobs have several parents, and would compile statements that take a
            # millisecond to run: for half a second each.
            "jit": "off",
        }
        limits = {"lock_timeout": self.timeouts.lock, "statement_timeout": self.timeouts.statement}
        settings |= {name: str(math.ceil(limit * 1000)) for name, limit in limits.items() if limit}
        calls = ", ".join(f"set_config('{name}', '{value}', false)" for name, value in settings.items())
        return f"SELECT {calls} WHERE pg_backend_pid() = {backend}"

    def _network_limits(self) -> dict[str, Any]:
        """Parameters of libpq. The kernel's timeouts notice a network that is gone, ours a server that hangs."""
        limits: dict[str, Any] = {"connect_timeout": math.ceil(self.timeouts.connect)}
        if network := self.timeouts.network:
            limits |= {
                "tcp_user_timeout": math.ceil(network * 1000),
                "keepalives_idle": max(1, round(network / 2)),
                "keepalives_interval": max(1, round(network / 6)),
                "keepalives_count": 3,
            }
        return limits

    def _execute(self, sql: str, values: list[Any], *, buffered: bool = True) -> Any:
        del buffered  # libpq has all rows before it hands out one
        return self._connection.execute(sql, values or None)

    def _begin(self) -> None:
        self._connection.execute("BEGIN")

    def _begin_snapshot(self) -> None:
        # Where most of the table is one tree, the planner would read the whole table for each list of ids.
        self._connection.execute("BEGIN READ ONLY ISOLATION LEVEL REPEATABLE READ; SET LOCAL enable_seqscan = off")

    def insert(self, statement: str, rows: Sequence[Row], /, **values: Any) -> int:
        """Inserts rows by COPY: the driver and the server take a fraction of the time of an INSERT of many rows.

        Of the statement, what stands before its VALUES counts: it must end there.
        """
        named = {"rows": [], **values}
        sql, _ = statements.bind(statements.load(statement, self.tags), named, self.placeholder, self.percent)
        columns = sql.partition("INSERT INTO ")[2].partition("VALUES")[0]
        with self._translated(), self._connection.cursor() as cursor:
            self.executed += 1
            with cursor.copy(f"COPY {columns} FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(row)
            return int(cursor.rowcount)

    def listen(self, channel: str) -> bool:
        """Begins to hear what is sent to a channel; false, and nothing begun, behind a pooler."""
        with self._translated():
            if _is_pooled(self._connection):
                return False
            self._connection.execute(f'LISTEN "{channel}"')
        return True

    def notices(self, seconds: float) -> list[str]:
        """What was sent to the channel; waits for the first at most so long."""
        with self._translated():
            return [notice.payload for notice in self._connection.notifies(timeout=seconds, stop_after=1)]

    def ids(self, ids: Sequence[str]) -> str:
        """One array: a thousand values would each be looked at by the client and by the server."""
        return f"{{{','.join(ids)}}}"

    def _error(self, error: Exception) -> Exception | None:
        if not isinstance(error, psycopg.Error):
            # psycopg stumbles over the two answers to a COPY whose connection a pooler cuts.
            return self._lost() if self._is_closed() else None
        state = error.sqlstate or ""
        text = error.diag.message_primary or str(error).strip().splitlines()[0] if str(error) else "unknown error"
        if isinstance(error, psycopg.ProgrammingError) and not state:
            return ConfigError("PostgreSQL cannot use this database URL.", hint="Check its options; % is written %25.")
        if isinstance(error, psycopg.OperationalError) and not hasattr(self, "_connection"):
            return self._connect_error(state, str(error))
        if state in {"40001", "40P01", "55P03", "57014"}:
            return RetryableError(f"PostgreSQL is busy: {text}.", hint="Try again in a moment.")
        if state in {"42P01", "42703"}:
            return MissingTablesError(f"The database lacks something: {text}.", hint=MIGRATE)
        if state == "42501":
            return AccessDeniedError(f"PostgreSQL refuses: {text}.", hint="Ask for the privilege, or use another user.")
        if state == "25006":
            return UnreachableError(
                f"{self.url} takes no writes: it is a standby, or read-only.", hint=NAME_THE_PRIMARY
            )
        if state.startswith("22"):
            return RefusedValueError(f"PostgreSQL refuses the value: {text}.")
        if state.startswith(("08", "57P")) or self._connection.closed:
            return self._lost()
        return DatabaseError(f"PostgreSQL says: {text}.", state=state)

    def _is_closed(self) -> bool:
        return hasattr(self, "_connection") and bool(self._connection.closed)

    def _lost(self) -> ConnectionLostError:
        return ConnectionLostError(f"The connection to {self.url} was lost.", hint="Is the server restarting?")

    def _connect_error(self, state: str, text: str) -> Exception:
        if state.startswith("28") or any(words in text for words in DENIED):
            return AccessDeniedError(
                f"{self.url} refuses the user or the password.", hint="Check both, percent-encoded in the URL."
            )
        if state == "3D000" or "does not exist" in text:
            return UnreachableError(f"{self.url}: there is no such database.", hint="Create it, or check the name.")
        return UnreachableError(
            f"No PostgreSQL server answers at {self.url}.", hint="Is it running? Is the host right?"
        )

    @property
    def server(self) -> str:
        """Product and version."""
        return f"PostgreSQL {self._connection.info.parameter_status('server_version')}"

    def now(self) -> datetime:
        """The server's clock, in UTC."""
        return datetime.fromisoformat(self.query("SELECT clock_timestamp()")[0][0])


def _is_pooled(connection: "psycopg.Connection[Any]") -> bool:
    """Whether a pooler hands out the server's connections: what one listens to or sets, another one would have."""
    return bool(connection.execute("SELECT pg_backend_pid()").fetchone() != (connection.info.backend_pid,))
