"""PostgreSQL through psycopg 3."""

import math
import re
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import psycopg
from psycopg.abc import Buffer, PQGen
from psycopg.types.string import TextLoader

from hammerwork_cli.database import postgres_tls, statements
from hammerwork_cli.database.access import Database, Row
from hammerwork_cli.database.driver_errors import LATER, POSTGRES, Meaning, by_prefix, told
from hammerwork_cli.errors import AccessDeniedError, ConfigError, HammerworkError, UnreachableError

# While connecting, psycopg hands on no code, only the words of the server and of libpq.
_SERVER_SAYS = re.compile(r"failed: \S+:  (.+)")
DENIED = ("authentication failed", "no password supplied", "FATAL:  role ", "no pg_hba.conf entry", "permission denied")
FULL = ("too many connections", "too many clients", "remaining connection slots")
NOT_THE_PRIMARY = ("session is read-only", "server is in hot standby mode")
WITHOUT_TLS = ("does not support SSL",)
TLS_FAILED = ("SSL error", "server certificate", "root certificate", "certificate file", "private key file")
TEXT_TYPES = ("uuid", "timestamptz", "json", "jsonb")
"""Asked for as text: building their Python objects costs more than the server needs to find the row."""


class _UncheckedTextLoader(TextLoader):
    """For a database that holds whatever bytes it was sent."""

    def load(self, data: Buffer) -> str:
        return bytes(data).decode(errors="replace")


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
            # Of the database's own encoding, psycopg would refuse what the server can convert, or hand out bytes.
            client_encoding="utf8",
            **{name: value for name, value in self._network_limits().items() if name not in self.url.options},
            **postgres_tls.arguments(self.url.raw),
        )
        if isinstance(connection, _ImpatientConnection):
            connection.network = self.timeouts.network or 0
        loaders = dict.fromkeys(TEXT_TYPES, TextLoader)
        encoding = connection.info.parameter_status("server_encoding") or "UTF8"
        if encoding not in ("UTF8", "SQL_ASCII"):
            self.charset = encoding
        if encoding == "SQL_ASCII":
            # Of such a database the server itself would refuse to send whatever is no UTF-8.
            connection.execute("SET client_encoding = SQL_ASCII")
            loaders = dict.fromkeys((*TEXT_TYPES, "text", "varchar", "bpchar", "name"), _UncheckedTextLoader)
        for name, loader in loaders.items():
            connection.adapters.register_loader(name, loader)
        # By its number: psycopg takes the name uuid[] for uuid.
        connection.adapters.register_loader(connection.adapters.types["uuid"].array_oid, loaders["uuid"])
        # A pooler keeps these for each of its clients, and hands the others on to whoever comes next.
        kept = "SET TIME ZONE 'UTC'; SET datestyle = ISO; SET standard_conforming_strings = on; "
        connection.execute(kept + self._settings(connection.info.backend_pid))
        return connection

    def _settings(self, backend: int) -> str:
        """A statement that changes settings of the session where no pooler gave it another number than its own."""
        settings: dict[str, str] = {
            # The planner cannot know how few jobs have several parents, and would compile statements that take a
            # millisecond to run: for half a second each.
            "jit": "off",
            # These change what statements find or what their answers say.
            "extra_float_digits": "1",
            "gin_fuzzy_search_limit": "0",
            "transform_null_equals": "off",
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
        # Whatever the default is: releases count what others have committed meanwhile, and an index that is made
        # concurrently waits for the snapshot of the transaction that keeps other migrations away.
        self._connection.execute("BEGIN ISOLATION LEVEL READ COMMITTED")

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

    def _error(self, error: Exception) -> HammerworkError | None:
        if self._is_connected and self._connection.closed:
            # Whatever the error says, and of whatever kind: psycopg stumbles over the two answers to a COPY whose
            # connection a pooler cuts.
            return told(Meaning.LOST, self, "")
        if not isinstance(error, psycopg.Error):
            return None
        state = error.sqlstate
        if isinstance(error, psycopg.OperationalError) and not self._is_connected:
            return self._connect_error(str(error))
        text = error.diag.message_primary or str(error).strip().partition("\n")[0] or "unknown error"
        if state is None:
            return self._own_error(error, text)
        if "wraparound" in text:
            # Nothing can be written before somebody vacuums; by its code it is the size of what was to be written.
            return told(Meaning.LIMIT, self, text, state=state)
        return told(by_prefix(POSTGRES, state), self, text, state=state)

    def _own_error(self, error: psycopg.Error, text: str) -> HammerworkError:
        """For what psycopg says by itself."""
        if isinstance(error, psycopg.ProgrammingError) and not self._is_connected:
            if unknown := postgres_tls.unknown_option(text):
                return unknown
            return ConfigError("PostgreSQL cannot use this database URL.", hint="Check its options; % is written %25.")
        refused = isinstance(error, psycopg.DataError) or text.startswith("cannot adapt")
        return told(Meaning.REFUSED if refused else Meaning.UNKNOWN, self, text)

    def _connect_error(self, text: str) -> HammerworkError:
        # One line for each host of the URL.
        said = "; ".join(_SERVER_SAYS.findall(text))
        if any(words in text for words in WITHOUT_TLS):
            return UnreachableError(
                f"{self.url} asks for TLS, and the server has none.", hint="Switch it on there, or change sslmode."
            )
        if any(words in text for words in TLS_FAILED):
            return UnreachableError(
                f"{self.url}: TLS failed: {postgres_tls.reason(text)}.", hint="Check sslmode, sslrootcert and the host."
            )
        if any(words in text for words in DENIED):
            return AccessDeniedError(
                f"{self.url} refuses the user or the password.", hint="Check both, percent-encoded in the URL."
            )
        if any(words in text for words in NOT_THE_PRIMARY):
            return told(Meaning.READ_ONLY, self, text)
        if any(words in said for words in FULL):
            return told(Meaning.FULL, self, said)
        if "does not exist" in said:
            return told(Meaning.NO_DATABASE, self, said)
        if said:
            return UnreachableError(f"{self.url} takes no connection: {said}.", hint=LATER)
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
