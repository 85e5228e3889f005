"""PostgreSQL through psycopg 3."""

import math
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import datetime
from itertools import islice
from typing import Any

import psycopg
from psycopg import capabilities, pq
from psycopg.abc import Buffer, PQGen
from psycopg.pq import TransactionStatus
from psycopg.types.string import TextLoader

from hammerwork_cli.database.access import Database, Row
from hammerwork_cli.database.driver_errors import LATER, POSTGRES, ErrorMeaning, by_prefix, error_for
from hammerwork_cli.database.drivers import postgres_tls
from hammerwork_cli.database.timeouts import KERNEL_SECONDS, Timeouts
from hammerwork_cli.database.url import unresolved
from hammerwork_cli.errors import (
    AccessDeniedError,
    ConfigError,
    HammerworkError,
    SilentConnectionError,
    UnreachableError,
)

# While connecting, psycopg has no codes, only messages of the server and of libpq.
_SERVER_ANSWER = r"failed: \S+:  (.+)"
DENIED = ("authentication failed", "no password supplied", "FATAL:  role ", "no pg_hba.conf entry")
FULL = ("too many connections", "too many clients", "remaining connection slots")
NOT_THE_PRIMARY = ("session is read-only", "server is in hot standby mode")
NO_HOST = ("could not translate host name", "failed to resolve host")
WITHOUT_TLS = ("does not support SSL",)
TLS_FAILED = ("SSL error", "server certificate", "root certificate", "certificate file", "private key file")
TEXT_TYPES = ("uuid", "timestamptz", "json", "jsonb")
"""Types that stay text: building their Python objects takes longer than the server needs to find the row."""


OWN_STATE = "HW"
"""How the SQLSTATE of a warning begins that a statement of this project raises."""


class _UncheckedTextLoader(TextLoader):
    """Loads the text of a database that stores any bytes."""

    def load(self, data: Buffer) -> str:
        return bytes(data).decode(errors="replace")


END = Timeouts(connect=1, lock=1, statement=1, network=1)
"""Timeouts of the connection that ends the COPY of another one."""
_END_COPY = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'hammerwork' AND state = 'active'"
    " AND usename = current_user AND wait_event = 'ClientRead' AND query LIKE 'COPY %'"
)


class _ImpatientConnection(psycopg.Connection[Row]):
    """A connection that closes itself if the server does not answer for :attr:`network` seconds."""

    network: float = 0

    def wait(self, gen: PQGen[Any], *args: Any, **options: Any) -> Any:
        """Waits as psycopg does, and no longer than :attr:`network` unless the call has its own timeout."""
        if self.network and options.get("timeout") is None:
            gen = self._limited(gen)
        return super().wait(gen, *args, **options)

    def _limited(self, waiting: PQGen[Any]) -> PQGen[Any]:
        silent_since = None
        try:
            ready = yield next(waiting)
            while True:
                # psycopg resumes the generator several times a second even if nothing is ready.
                if ready:
                    silent_since = None
                elif silent_since is None:
                    silent_since = time.monotonic()
                elif time.monotonic() - silent_since > self.network:
                    self.pgconn.finish()
                    raise psycopg.OperationalError("the server does not answer")
                ready = yield waiting.send(ready)
        except StopIteration as ended:
            return ended.value


class PostgresDatabase(Database):
    """A connection that returns ids, timestamps and JSON as text, in UTC."""

    dialect = "postgresql"
    writes_beside_claims = has_notifications = True
    read_chunk = 2000
    percent = "%%"
    _opening = ""

    def _connect(self) -> Any:
        kind = _ImpatientConnection if self.timeouts.network else psycopg.Connection
        connection: psycopg.Connection[Any] = kind.connect(
            self.url.raw,
            autocommit=True,
            cursor_factory=psycopg.ClientCursor,
            application_name="hammerwork",
            # In another encoding, psycopg would refuse characters that the server can convert, or return bytes.
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
            self.reads_escapes = False
            # With utf8, the server would refuse to send bytes that are not UTF-8.
            connection.execute("SET client_encoding = SQL_ASCII")
            loaders = dict.fromkeys((*TEXT_TYPES, "text", "varchar", "bpchar", "name"), _UncheckedTextLoader)
        for name, loader in loaders.items():
            connection.adapters.register_loader(name, loader)
        # Register it by number: psycopg takes the name uuid[] for uuid.
        connection.adapters.register_loader(connection.adapters.types["uuid"].array_oid, loaders["uuid"])
        # A pooler keeps these settings for each of its clients. It would leave others to the next client of the
        # session.
        kept = "SET TIME ZONE 'UTC'; SET datestyle = ISO; SET standard_conforming_strings = on; "
        self._backend = connection.info.backend_pid
        connection.execute(kept + self._settings(self._backend))
        return connection

    def _settings(self, backend: int) -> str:
        """Returns a statement that changes settings of the session unless it belongs to a pooler.

        A pooler reports another backend id than the server.
        """
        settings: dict[str, str] = {
            # The planner does not know how few jobs have several parents. It would spend half a second on compiling
            # statements that run for a millisecond.
            "jit": "off",
            # Other values of these change the results of statements.
            "extra_float_digits": "1",
            "gin_fuzzy_search_limit": "0",
            "transform_null_equals": "off",
        }
        limits = {
            "lock_timeout": self.timeouts.lock,
            "statement_timeout": self.timeouts.statement,
            # Its locks would stay with a transaction whose client is gone, without the server having heard of that.
            "idle_in_transaction_session_timeout": self.timeouts.network,
        }
        settings |= {name: str(math.ceil(limit * 1000)) for name, limit in limits.items() if limit}
        calls = ", ".join(f"set_config('{name}', '{value}', false)" for name, value in settings.items())
        return f"SELECT {calls} WHERE pg_backend_pid() = {backend}"

    def _network_limits(self) -> dict[str, Any]:
        """Parameters of libpq: the kernel notices a broken network. :attr:`network` notices a server that hangs."""
        network = self.timeouts.network or KERNEL_SECONDS
        return {
            "connect_timeout": math.ceil(self.timeouts.connect),
            "tcp_user_timeout": math.ceil(network * 1000),
            "keepalives_idle": max(1, round(network / 2)),
            "keepalives_interval": max(1, round(network / 6)),
            "keepalives_count": 3,
        }

    @property
    def session(self) -> int:
        return self._backend

    def end_session(self, session: object) -> None:
        # A pooler has numbers of its own, and a server that was restarted may have given the number to somebody else.
        ended = (
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = %s AND usename = current_user"
            " AND datname = current_database() AND application_name = current_setting('application_name')"
        )
        with self._translated():
            self._execute(ended, [session])

    def as_text(self, column: str, stored_type: str) -> str:
        del stored_type
        return f"CAST({column} AS text)"

    def _execute(self, sql: str, values: list[Any], *, buffered: bool = True) -> Any:
        del buffered  # see row_parts()
        opening = self._unsent
        cursor = self._connection.execute(f"{opening}{sql}", values or None)
        for _ in range(opening.count(";")):
            cursor.nextset()
        return cursor

    @property
    def _unsent(self) -> str:
        """The statements that begin the transaction, until they are sent with its first one: that saves an answer."""
        begun = self._connection.info.transaction_status != TransactionStatus.IDLE
        return self._opening if self._in_transaction and not begun else ""

    def _send_opening(self) -> None:
        if opening := self._unsent:
            self._connection.execute(opening)

    def row_parts(self, statement: str, size: int, /, **values: Any) -> Iterator[list[Row]]:
        """Yields rows while the server sends more of them; before version 17, libpq reads all of them first."""
        if not capabilities.has_stream_chunked():
            yield from super().row_parts(statement, size, **values)
            return
        sql, bound = self._bound(statement, self.tags, values)
        self.executed += 1
        with self._translated():
            self._send_opening()
        rows = self._connection.cursor().stream(sql, bound or None, size=size)
        while True:
            with self._translated():
                part = list(islice(rows, size))
            if not part:
                return
            yield part

    def _begin(self) -> None:
        # Do not rely on the default. Releases must see rows that others have committed meanwhile, and CREATE INDEX
        # CONCURRENTLY would wait for the snapshot of the transaction that keeps other migrations out.
        self._opening = "BEGIN ISOLATION LEVEL READ COMMITTED;"

    def _begin_ordered(self) -> None:
        self._begin()
        self._opening += " SET LOCAL enable_sort = off;"

    def _begin_snapshot(self) -> None:
        # If most of the table is one tree, the planner would read the whole table for each list of ids.
        self._opening = "BEGIN READ ONLY ISOLATION LEVEL REPEATABLE READ; SET LOCAL enable_seqscan = off;"

    def insert(self, statement: str, rows: Sequence[Row], /, **values: Any) -> int:
        """Inserts rows by COPY, which takes a fraction of the time of an INSERT for both the driver and the server.

        Only the table and columns of the statement are used; nothing may follow its VALUES.
        """
        sql, _ = self._bound(statement, self.tags, {"rows": [], **values})
        columns = sql.partition("INSERT INTO ")[2].partition("VALUES")[0]
        backend = self._connection.info.backend_pid
        try:
            with self._translated(), self._new_cursor() as cursor:
                self.executed += 1
                self._send_opening()
                with cursor.copy(f"COPY {columns} FROM STDIN") as copy:
                    for row in rows:
                        copy.write_row(row)
                return int(cursor.rowcount)
        except SilentConnectionError:
            self._end_copy(backend)
            raise

    def _new_cursor(self) -> "psycopg.Cursor[Row]":
        cursor: psycopg.Cursor[Row] = self._connection.cursor()
        return cursor

    def _execute_foreign(self, sql: str, parameters: Any) -> Any:
        self._send_opening()
        cursor = self._new_cursor()
        for name in TEXT_TYPES:  # which only our own statements read as text
            kind = psycopg.adapters.types[name]
            for number in (kind.oid, kind.array_oid):
                if loader := psycopg.adapters.get_loader(number, pq.Format.TEXT):
                    cursor.adapters.register_loader(number, loader)
        return cursor.execute(sql, parameters or None)

    def _end_copy(self, backend: int) -> None:
        """Ends a COPY whose rows never arrive: no timeout of the server does, and its transaction keeps its locks."""
        with suppress(HammerworkError), closing(PostgresDatabase(self.url, END)) as other:
            other.query(f"{_END_COPY} AND pid = {backend}")

    def listen(self, channel: str) -> bool:
        with self._translated():
            if _is_pooled(self._connection):
                return False
            self._connection.execute(f'LISTEN "{channel}"')
        return True

    def notifications(self, seconds: float) -> list[str]:
        with self._translated():
            return [notice.payload for notice in self._connection.notifies(timeout=seconds, stop_after=1)]

    def cancel(self) -> None:
        with self._translated():
            self._connection.cancel()

    @contextmanager
    def warnings(self, tell: Callable[[str], None]) -> Iterator[None]:
        def hear(notice: psycopg.errors.Diagnostic) -> None:
            if str(notice.sqlstate).startswith(OWN_STATE) and notice.message_primary:
                tell(notice.message_primary)

        connection = self._connection
        connection.add_notice_handler(hear)
        try:
            yield
        finally:
            connection.remove_notice_handler(hear)

    def _notify(self, payloads: Sequence[str]) -> None:
        self.plain_rows("job.notifications.notify", queues=list(payloads))

    def ids(self, ids: Sequence[str]) -> str:
        """Returns one array, because client and server would have to parse a thousand separate values."""
        return f"{{{','.join(ids)}}}"

    def times(self, times: Mapping[str, datetime]) -> str:
        """Returns one array."""
        return f"{{{','.join([time.isoformat() for time in times.values()])}}}"

    def _error(self, error: Exception) -> HammerworkError | None:
        if self._is_connected and self._connection.closed:
            # Any error of a closed connection counts, of any class: psycopg trips over the two answers that it gets
            # when a pooler cuts the connection of a COPY.
            return error_for(ErrorMeaning.LOST, self, "")
        if not isinstance(error, psycopg.Error):
            return None
        state = error.sqlstate
        if isinstance(error, psycopg.OperationalError) and not self._is_connected:
            return self._connect_error(str(error))
        text = error.diag.message_primary or str(error).strip().partition("\n")[0] or "unknown error"
        if state is None:
            return self._own_error(error, text)
        if "wraparound" in text:
            # No write succeeds before a VACUUM. The code alone would mean that the value is too large.
            return error_for(ErrorMeaning.LIMIT, self, text, state=state)
        return error_for(by_prefix(POSTGRES, state), self, text, state=state)

    def _own_error(self, error: psycopg.Error, text: str) -> HammerworkError:
        """Translates errors that psycopg raises by itself."""
        if isinstance(error, psycopg.ProgrammingError) and not self._is_connected:
            if unknown := postgres_tls.refused_option(text):
                return unknown
            return ConfigError(
                "The database URL is not valid for PostgreSQL.", hint="Check its options. Write % as %25."
            )
        refused = isinstance(error, psycopg.DataError) or text.startswith("cannot adapt")
        return error_for(ErrorMeaning.REFUSED if refused else ErrorMeaning.UNKNOWN, self, text)

    def _connect_error(self, text: str) -> HammerworkError:
        # libpq reports a line for each host of the URL.
        answers = "; ".join(re.findall(_SERVER_ANSWER, text))
        if any(words in text for words in WITHOUT_TLS):
            return UnreachableError(
                f"{self.url} requires TLS, which the server does not offer.",
                hint="Enable TLS on the server, or change sslmode.",
            )
        if any(words in text for words in TLS_FAILED):
            return UnreachableError(
                f"{self.url}: TLS failed: {postgres_tls.reason(text)}.", hint="Check sslmode, sslrootcert and the host."
            )
        if "permission denied" in answers:
            return error_for(ErrorMeaning.UNPRIVILEGED, self, answers)
        if any(words in text for words in DENIED):
            return AccessDeniedError(
                f"{self.url} refuses the user or the password.",
                hint="Check both. Special characters must be percent-encoded in the URL.",
            )
        if any(words in text for words in NOT_THE_PRIMARY):
            return error_for(ErrorMeaning.READ_ONLY, self, text)
        if any(words in answers for words in FULL):
            return error_for(ErrorMeaning.FULL, self, answers)
        if "does not exist" in answers:
            return error_for(ErrorMeaning.NO_DATABASE, self, answers)
        if any(words in text for words in NO_HOST) and "Connection refused" not in text:
            return unresolved(self.url)
        if answers:
            return UnreachableError(f"{self.url} refuses the connection: {answers}.", hint=LATER)
        return UnreachableError(
            f"No PostgreSQL server answers at {self.url}.", hint="Is it running? Is the host right?"
        )

    @property
    def server(self) -> str:
        return f"PostgreSQL {self._connection.info.parameter_status('server_version')}"

    def _server_now(self) -> datetime:
        return datetime.fromisoformat(self.query("SELECT clock_timestamp()")[0][0])


def _is_pooled(connection: "psycopg.Connection[Any]") -> bool:
    """Whether the connection leads to a pooler, which would give its subscriptions and settings to other clients."""
    return bool(connection.execute("SELECT pg_backend_pid()").fetchone() != (connection.info.backend_pid,))
