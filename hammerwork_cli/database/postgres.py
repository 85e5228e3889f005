"""PostgreSQL through psycopg 3."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import psycopg
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

CONNECT_SECONDS = 10
NAME_THE_PRIMARY = "Name the primary; several hosts are asked which it is with ?target_session_attrs=read-write."
DENIED = ("authentication failed", "no password supplied", "FATAL:  role ", "no pg_hba.conf entry")
"""What a refusal says: while connecting, psycopg hands on no code."""
TEXT_TYPES = ("uuid", "timestamptz", "json", "jsonb")
"""Asked for as text: building their Python objects costs more than the server needs to find the row."""


class PostgresDatabase(Database):
    """A connection whose ids, instants and JSON arrive as text, in UTC."""

    dialect = "postgresql"
    read_chunk = 2000
    percent = "%%"

    def _connect(self) -> Any:
        connection = psycopg.connect(
            self.url.raw,
            autocommit=True,
            cursor_factory=psycopg.ClientCursor,
            connect_timeout=CONNECT_SECONDS,
            application_name="hammerwork",
        )
        for name in TEXT_TYPES:
            connection.adapters.register_loader(name, TextLoader)
        # By its number: psycopg takes the name uuid[] for uuid.
        connection.adapters.register_loader(connection.adapters.types["uuid"].array_oid, TextLoader)
        # The planner cannot know how few jobs have several parents, and would compile statements that take a
        # millisecond to run: for half a second each.
        connection.execute("SET TIME ZONE 'UTC'; SET jit = off")
        return connection

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
        if self._is_pooled():
            return False
        with self._translated():
            self._connection.execute(f'LISTEN "{channel}"')
        return True

    def _is_pooled(self) -> bool:
        """Whether a pooler hands out the server's connections: what one listens to, another one would hear."""
        pooler_gave: int = self._connection.info.backend_pid
        return bool(self.query("SELECT pg_backend_pid()")[0][0] != pooler_gave)

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
        if state in {"40001", "40P01", "55P03"}:
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
