"""MySQL and MariaDB through mysql-connector-python."""

import math
import re
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import mysql.connector
from mysql.connector import errorcode

from hammerwork_cli.database.access import Database, DriverCall, Row
from hammerwork_cli.database.driver_errors import LATER, MYSQL, ErrorMeaning, error_for
from hammerwork_cli.database.drivers.mysql_tls import FILES, Tls, without_tls
from hammerwork_cli.database.interrupts import Interruption
from hammerwork_cli.database.mysql_texts import STRICT
from hammerwork_cli.database.timeouts import KERNEL_SECONDS, Timeouts
from hammerwork_cli.database.url import Host, unknown_option, unresolved
from hammerwork_cli.errors import ConfigError, DatabaseError, HammerworkError, RefusedValueError, UnreachableError

ABORT = Timeouts(connect=1, network=1)
OLDEST = {"MariaDB": (10, 6), "MySQL": (8, 0)}
"""The oldest versions with JSON_TABLE and SKIP LOCKED."""
NO_ANSWER = {2002, 2003}
NO_HOST = 2005
SILENT = 2013
SSL_ERROR = 2026
WITHOUT_TLS = {2061}
NO_NUMBER = -1
WIDE = "utf8mb4"
"""The character set of all connections, which has every character."""
MIXED = {1267, 1270, 1271, 3854}
"""A literal has a character that the column beside it lacks; 3854 is MySQL's own number for that."""
OPTIONS = {"unix_socket", "charset", "ssl_mode", "sslmode", *FILES}
"""Options of a URL. ``charset`` has no effect, because it is always utf8mb4; URLs for SQLAlchemy contain it."""
SETTINGS = f"""
SET SESSION sql_mode = '{STRICT}', sql_safe_updates = 0, sql_select_limit = {2**64 - 1}, max_join_size = {2**64 - 1},
sql_big_selects = 1, sql_auto_is_null = 0, completion_type = 0, foreign_key_checks = 1, unique_checks = 1,
default_storage_engine = InnoDB /*M! , check_constraint_checks = 1 */, eq_range_index_dive_limit = 0,
group_concat_max_len = 4294967295
/*M! , max_recursive_iterations = 4294967295 */ /*!80003 , cte_max_recursion_depth = 4294967295 */
"""
"""Settings for which a server may have other defaults, which change values, cut results or refuse statements.

Without ``eq_range_index_dive_limit``, MySQL estimates the rows for a list of 200 ids or more from averages: after a few
jobs with many children, it reads whole tables. By default, MariaDB leaves out what is more than 1,000 generations down.
"""
AT_ONCE = {ErrorMeaning.DENIED, ErrorMeaning.UNPRIVILEGED, ErrorMeaning.FULL, ErrorMeaning.NO_DATABASE}
"""Meanings that errors have while connecting too."""

# Any thread writes it, one reference at a time.
_answered: dict[str, Host] = {}
"""URL -> the host that answered last. All connections of a process go to that node as long as it answers."""


class MySQLDatabase(Database):
    """A connection in UTC, READ COMMITTED, utf8mb4, with the collation of the tables' ids if that is of utf8mb4."""

    dialect = "mysql"
    key_chunk = read_chunk = 999
    """MariaDB turns a list of 1,000 into a table, and joins it by reading all of the other table."""
    _session: tuple[Host, int] | None = None
    """The host, and the id of the connection there."""

    def _open(self, host: Host, timeouts: Timeouts) -> Any:
        url = self.url
        if not url.database:
            raise ConfigError(f"{url} has no database.", hint="Add it after the host: mysql://user@host/database")
        options = {name.replace("-", "_"): value for name, value in url.options.items()}
        unknown = sorted(options.keys() - OPTIONS)
        if unknown:
            known = f"Known: {', '.join(sorted(OPTIONS))}."
            raise unknown_option(unknown[0], "MySQL", OPTIONS, otherwise=known)
        tls = Tls.of(options)
        network = timeouts.network and math.ceil(timeouts.network)
        connection = _opened(
            2 * math.ceil(timeouts.connect),
            host=host.name or "127.0.0.1",
            port=host.port or 3306,
            unix_socket=options.get("unix_socket"),
            user=url.user,
            password=url.password or "",
            database=url.database,
            connection_timeout=math.ceil(timeouts.connect),
            read_timeout=network,
            write_timeout=network or math.ceil(KERNEL_SECONDS),
            autocommit=True,
            time_zone="+00:00",
            charset=WIDE,
            use_unicode=True,
            **tls.arguments(),
        )
        tls.check(connection, url)
        return connection

    def _connect(self) -> Any:
        # Try the host that answered last first. If all hosts fail, the error of the last one is raised.
        *others, last = sorted(self.url.hosts, key=lambda host: host != _answered.get(self.url.raw))
        for host in others:
            try:
                return self._connect_to(host)
            except Exception as error:
                if not isinstance(self._error(error), UnreachableError):
                    raise
        return self._connect_to(last)

    def _connect_to(self, host: Host) -> Any:
        connection = self._open(host, self.timeouts)
        self._session = host, int(connection.connection_id)
        cursor: Any = connection.cursor()
        # connection.cursor() pings the server first, and the ping would hide that a cluster has rolled the transaction
        # back. Therefore cursors are made from their classes.
        self._cursors = {False: type(cursor), True: type(connection.cursor(buffered=True))}
        # A node that has lost its cluster accepts connections and refuses the first statement.
        cursor.execute("DO 0")
        cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
        cursor.execute(SETTINGS)
        cursor.execute("SELECT version(), @@max_allowed_packet, @@wait_timeout")
        version, packet, idle = cursor.fetchone()
        self.version, self.packet, self.idle_limit = str(version), int(packet), float(idle)
        if refusal := too_old(self.version):
            connection.close()
            raise ConfigError(refusal)
        self.sorts_to_claim = self.is_mariadb and _numbers(self.version) < (10, 8)
        # The result of a CAST has the collation of the connection, which must be that of the columns. The character set
        # of the connection always has every character, because JSON columns do, whatever that of ids and names is.
        cursor.execute(
            "SELECT collation_name FROM information_schema.columns WHERE table_schema = DATABASE()"
            " AND table_name = 'hammerwork_jobs' AND column_name = 'id'"
        )
        collation = _text(cursor) or _collation_to_be(cursor)
        charset = collation.partition("_")[0]
        if charset == WIDE:
            cursor.execute(f"SET NAMES {WIDE} COLLATE {collation}")
        else:
            cursor.execute(f"SET NAMES {WIDE}")
            self.charset, self.extra_tags = charset, frozenset({"narrow"})
        _see_other_nodes_writes(cursor)
        self._limit(cursor)
        _answered[self.url.raw] = host
        return connection

    def _limit(self, cursor: Any) -> None:
        settings: list[str] = []
        if lock := self.timeouts.lock:
            settings += [f"innodb_lock_wait_timeout = {math.ceil(lock)}", f"lock_wait_timeout = {math.ceil(lock)}"]
        if statement := self.timeouts.statement:
            # MySQL limits only SELECT, MariaDB all statements.
            settings.append(
                f"max_statement_time = {statement}"
                if self.is_mariadb
                else f"max_execution_time = {math.ceil(statement * 1000)}"
            )
        if network := self.timeouts.network:
            # A transaction whose client is gone, without the server having heard of that, would keep its locks. MySQL
            # ends a session that is idle, MariaDB only one that is so in a transaction.
            timeout = "idle_transaction_timeout" if self.is_mariadb else "wait_timeout"
            settings.append(f"{timeout} = {math.ceil(network)}")
            if not self.is_mariadb:
                self.idle_limit = network
        if settings:
            cursor.execute(f"SET SESSION {', '.join(settings)}")

    def quoted(self, name: str) -> str:
        return f"`{name}`"

    def as_text(self, column: str, stored_type: str) -> str:
        # As a FLOAT it would be written with six digits.
        return f"CAST({column}{' + 0E0' if stored_type.startswith('float') else ''} AS CHAR)"

    def _execute(self, sql: str, values: list[Any], *, buffered: bool = True) -> Any:
        cursor = self._cursors[buffered](self._connection)
        try:
            cursor.execute(sql, values)
        except mysql.connector.Error:
            self._refuse_too_large(cursor.statement)
            raise
        return cursor

    def _refuse_too_large(self, statement: str | bytes | None) -> None:
        """Raises if a failed statement was too large: the server closes the connection then, each time."""
        # The driver has bytes of one that is not UTF-8, such as with packed payloads.
        size = len(statement.encode() if isinstance(statement, str) else statement or b"")
        if self.packet is None or size < self.packet:
            return
        if not self._is_alive():
            self._connection = self._connect()
        text = f"{size} bytes exceed max_allowed_packet, which is {self.packet}"
        raise error_for(ErrorMeaning.REFUSED, self, text) from None

    def _translated(self) -> DriverCall:
        return DriverCall(self, Interruption(self.cancel))

    def insert(self, statement: str, rows: Sequence[Row], /, **values: Any) -> int:
        """Inserts rows in statements that fit into ``max_allowed_packet``."""
        return sum(self.run(statement, rows=part, **values) for part in self.parts(rows, len(rows), _weigh))

    def cancel(self) -> None:
        # Through another connection, because this one is busy.
        if self._session is None:
            return
        host, number = self._session
        with closing(self._open(host, ABORT)) as other:
            other.cursor().execute(f"KILL QUERY {number}")

    @property
    def session(self) -> object:
        return self._session

    def end_session(self, session: object) -> None:
        if not isinstance(session, tuple) or self._session is None or session[0] != self._session[0]:
            return  # another server may have given the number to somebody else
        alike = "SELECT id FROM information_schema.processlist WHERE id = %s AND db = DATABASE()"
        with self._translated():
            for (number,) in self._execute(alike, [session[1]]).fetchall():
                self._execute(f"KILL CONNECTION {int(number)}", [])

    def _begin(self) -> None:
        self._execute("START TRANSACTION", [])

    def _begin_snapshot(self) -> None:
        self._execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", [])
        self._execute("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY", [])

    def _adapt(self, value: datetime) -> datetime:
        return value.astimezone(UTC).replace(tzinfo=None)

    def _error(self, error: Exception) -> HammerworkError | None:
        numbered = self._numbered(error)
        if numbered is None:
            return None
        number, text = numbered
        meaning = self._meaning(number, text)
        if not self._is_connected and meaning not in AT_ONCE:
            return self._connect_error(meaning, number, text)
        if number in MIXED and self.charset:
            return RefusedValueError(
                f"A name has a character that the tables cannot store: their character set is {self.charset}.",
                errno=number,
            )
        return error_for(meaning, self, text, errno=number)

    def _numbered(self, error: Exception) -> tuple[int | None, str] | None:
        """The number and the text of an error of the driver; ``None`` for other errors."""
        # The driver's commit and rollback do not wrap the error of its C library.
        if not isinstance(error, mysql.connector.Error) and type(error).__name__ != "MySQLInterfaceError":
            return None
        return getattr(error, "errno", None), getattr(error, "msg", "") or str(error)

    def _meaning(self, number: int | None, text: str) -> ErrorMeaning:
        if number is not None and number != NO_NUMBER:
            return MYSQL.get(number, ErrorMeaning.UNKNOWN)
        # Errors of the driver itself.
        if "cannot be converted" in text or "Failed converting" in text:
            return ErrorMeaning.REFUSED
        return ErrorMeaning.UNKNOWN if self._is_alive() else ErrorMeaning.LOST

    def _is_alive(self) -> bool:
        try:
            return self._is_connected and bool(self._connection.is_connected())
        except mysql.connector.Error:
            return True  # the driver did not ask the server, because rows of another statement are unread

    def _connect_error(self, meaning: ErrorMeaning, number: int | None, text: str) -> HammerworkError:
        if number == SSL_ERROR:
            if "SSL is required" in text:
                return without_tls(self.url)
            # Without one of these words, the server stopped during the handshake.
            if any(word in text for word in ("certificate", "host", "verif")):
                return self._unverified(_plain(text).removeprefix("SSL connection error: "))
        if number in WITHOUT_TLS:
            return UnreachableError(
                f"{self.url} asks for the password, which needs TLS: {_plain(text)}.",
                hint="Enable TLS on the server, and omit ssl-mode=DISABLED.",
            )
        if number == NO_HOST:
            return unresolved(self.url)
        if number in NO_ANSWER or meaning == ErrorMeaning.LOST:
            return UnreachableError(f"No MySQL server answers at {self.url}.", hint="Is it running? Is the host right?")
        if meaning in (ErrorMeaning.CONFLICT, ErrorMeaning.LOCKED, ErrorMeaning.LIMIT, ErrorMeaning.NO_ROOM):
            return UnreachableError(f"{self.url} is busy: {_plain(text)}.", hint=LATER)
        return DatabaseError(f"Cannot connect to {self.url}: {_plain(text)}.", errno=number)

    def _unverified(self, why: str) -> HammerworkError:
        if "certificate verify failed" in why:
            # The library does not say which of the two it was.
            why = "the CA in ssl_ca did not sign the server's certificate, or the certificate is for another host"
        options = {name.replace("-", "_"): value for name, value in self.url.options.items()}
        if Tls.of(options).mode == "VERIFY_CA":  # which looks at no host
            why = why.partition(", or the certificate")[0]
            return UnreachableError(f"{self.url}: TLS failed: {why}.", hint="Check ssl_ca.")
        return UnreachableError(
            f"{self.url}: TLS failed: {why}.",
            hint="Check ssl_ca and the host. If ssl-mode=VERIFY_CA connects, the certificate is for another host.",
        )

    @property
    def is_mariadb(self) -> bool:
        return _product(self.version) == "MariaDB"

    @property
    def server(self) -> str:
        return _named(self.version)

    def _server_now(self) -> datetime:
        instant: datetime = self.query("SELECT UTC_TIMESTAMP(6)")[0][0]
        return instant.replace(tzinfo=UTC)


def _opened(seconds: float, **arguments: Any) -> Any:
    """Connects within some seconds. The driver waits without limit for a server that is silent in a TLS handshake."""
    opened: Future[Any] = Future()

    def connect() -> None:
        try:
            connection = mysql.connector.connect(**arguments)
        except Exception as error:  # noqa: BLE001  whoever waits gets it
            if opened.set_running_or_notify_cancel():
                opened.set_exception(error)
        else:
            if opened.set_running_or_notify_cancel():
                opened.set_result(connection)
            else:
                connection.close()

    threading.Thread(target=connect, name="hammerwork-connect", daemon=True).start()
    try:
        return opened.result(seconds)
    except TimeoutError:
        raise mysql.connector.OperationalError("The server stopped answering while connecting", errno=SILENT) from None
    finally:
        opened.cancel()  # has no effect once it has ended


def _weigh(row: Row) -> int:
    """Returns the most bytes that a row can have in a statement, where each character of a text may be escaped."""
    text = "".join([value for value in row if isinstance(value, str)])
    return 32 * len(row) + 2 * (len(text) if text.isascii() else len(text.encode()))


def too_old(version: str) -> str | None:
    """Returns an error message if the server lacks features that the statements need; ``None`` if it has them."""
    oldest = OLDEST[_product(version)]
    if _numbers(version) >= oldest:
        return None
    return f"{_named(version)} is too old: {oldest[0]}.{oldest[1]} or newer is needed."


def _product(version: str) -> str:
    return "MariaDB" if "mariadb" in version.lower() else "MySQL"


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:2])


def _named(version: str) -> str:
    return f"{_product(version)} {version.partition('-')[0]}"


def _see_other_nodes_writes(cursor: Any) -> None:
    """Lets a node of a Galera cluster wait for earlier commits on other nodes before it reads or writes."""
    try:
        cursor.execute("SET SESSION wsrep_sync_wait = 7")
    except mysql.connector.Error as error:
        if error.errno != errorcode.ER_UNKNOWN_SYSTEM_VARIABLE:
            raise


def _collation_to_be(cursor: Any) -> str:
    """Returns the collation that the migrations will give the tables, by the same rule as ``migration.collation``."""
    cursor.execute("SELECT @@collation_database")
    default = _text(cursor) or ""
    return default if default.startswith(WIDE) else f"{WIDE}_general_ci"


def _text(cursor: Any) -> str | None:
    row = cursor.fetchone()
    return None if row is None else row[0].decode() if isinstance(row[0], (bytes, bytearray)) else str(row[0])


def _plain(text: str) -> str:
    return text.strip().rstrip(".")
