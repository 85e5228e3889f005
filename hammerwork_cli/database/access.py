"""A connection to a database: runs statements and returns rows."""

import json
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import compress
from typing import Any, ClassVar, TypeVar, cast

from hammerwork_cli import app_path
from hammerwork_cli.cached import cached
from hammerwork_cli.core.values import Migrated
from hammerwork_cli.database import driver_errors, statements
from hammerwork_cli.database.batches import chunks
from hammerwork_cli.database.driver_errors import MIGRATE
from hammerwork_cli.database.guards import is_change
from hammerwork_cli.database.interrupts import Interruption
from hammerwork_cli.database.retrying import Backoff, lost_to_another, retry
from hammerwork_cli.database.statements import GROWN, Statement
from hammerwork_cli.database.texts import written_out
from hammerwork_cli.database.timeouts import PATIENT, Timeouts
from hammerwork_cli.database.url import DatabaseUrl
from hammerwork_cli.errors import (
    BrokenInstallationError,
    ConnectionLostError,
    DuplicateError,
    HammerworkError,
    MissingTablesError,
    SilentConnectionError,
)

Row = tuple[Any, ...]
Result = TypeVar("Result")
Item = TypeVar("Item")

TRIES = 8
CONTENTION = Backoff(0.02, 5.0)  # before a transaction that lost to another one starts again
MOST_TOGETHER = 100
"""Values for which one statement asks by :meth:`Database.rows_for_each`."""
MIGRATIONS = statements.FOLDER.parent / "sql" / "migrations"


def migrations_of(owner: str) -> list[str]:
    """The ids of the migrations in a folder of ``sql/migrations``, in the order of a run."""
    return sorted(file.stem for file in (MIGRATIONS / owner).iterdir() if file.suffix == ".sql")


OURS = frozenset(migrations_of("ours"))
"""The migrations of hammerwork-cli: a database with all of them is current."""
RUST_3 = frozenset({"015_add_job_leases", "018_add_job_retry_strategy"})
"""Migrations of which each tells that version 3 of hammerwork (Rust) uses a database."""
OTHER_BYTES = 16384
"""Room in a statement for everything but the values that are weighed."""


def _log() -> Any:
    """The log, whose module no command should have to load."""
    with app_path.without():
        import logging
    return logging.getLogger("hammerwork")


def _warn(text: str) -> None:
    _log().warning(text)


class Database:
    """A connection. A subclass for each driver connects, sends statements and translates errors.

    Statements are named after their files: ``worker.claim.ready`` is in ``features/worker/sql/claim.sql``. Each
    statement commits by itself outside :meth:`transaction`.
    """

    dialect: ClassVar[str]
    placeholder: ClassVar[str] = "%s"
    percent: ClassVar[str] = "%"
    writes_beside_claims: ClassVar[bool] = False
    """Whether a worker may write outcomes while it claims jobs. SQLite has one lock for all writers; on MySQL, claims
    and outcomes would wait for each other's gaps."""
    has_notifications: ClassVar[bool] = False
    """Whether :meth:`listen` and :meth:`notifications` are there to be called."""
    key_chunk: ClassVar[int] = 1000
    """Most ids in a statement that changes or locks rows."""
    read_chunk: int = key_chunk
    """Most ids in a statement that reads rows by an index. In a longer list, more ids are neighbours in the index."""
    sorts_to_claim: bool = False
    """Whether the server has to sort the due jobs, because no index has them in the order of claiming."""
    extra_tags: frozenset[str] = frozenset()
    """Tags of the server, which the connection reads when it connects."""
    charset: str | None = None
    """The server's name of the character set of its text columns; ``None`` if they can store every character."""
    reads_escapes: bool = True
    """Whether the server reads JSON in which characters other than ASCII are escaped."""
    packet: int | None = None
    """Most bytes of a statement with all its values; ``None`` without a limit."""
    idle_limit: float = math.inf
    """Seconds after which the server closes a session that asks for nothing."""
    scan_chunk: int = 100_000
    """Most ids in a statement that reads the whole table anyway: as many as a statement can have."""

    def __init__(self, url: DatabaseUrl, timeouts: Timeouts = PATIENT) -> None:
        self.url = url  # the URL of the database
        self.timeouts = timeouts  # the timeouts of the connection
        # A time by the monotonic clock after which a lost transaction is not tried again.
        self.give_up: float | None = None
        self.executed = 0  # number of statements sent so far, for tests
        # Start of the running statement by the monotonic clock. Only the thread that uses the connection writes it;
        # `hammerwork_cli.database.stalls.SlowStatementWatch` reads it.
        self.busy_since: float | None = None
        # Whether the running call of the driver is a COMMIT, whose errors are never about a value.
        self.is_committing = False
        self._in_transaction = False
        self._remembered: dict[str, tuple[float, Any]] = {}  # name -> until when by the monotonic clock, and the value
        self._notices: set[str] = set()
        self.tell: Callable[[str], None] = _warn  # what users should know of the database
        self._has_told = False
        with self._translated():
            self._connection: Any = self._connect()

    # Each driver module overrides these.

    def _connect(self) -> Any:
        raise NotImplementedError

    def _execute(self, sql: str, values: list[Any], *, buffered: bool = True) -> Any:
        """Sends a statement and returns a cursor. Unless ``buffered``, the driver may leave rows on the server."""
        raise NotImplementedError

    def _begin(self) -> None:
        raise NotImplementedError

    def _begin_ordered(self) -> None:
        """Starts a transaction whose statements read rows in the order of an index, and sort none."""
        self._begin()

    def _begin_snapshot(self) -> None:
        """Starts a transaction all of whose statements read the same state of the database."""
        raise NotImplementedError

    def _adapt(self, value: datetime) -> Any:
        """Converts an aware time into the value that the driver binds."""
        return value

    def json_timestamp(self, value: datetime) -> str:
        """Returns a time as text that the database can read out of JSON."""
        return str(self._adapt(value))

    def ids(self, ids: Sequence[str]) -> Sequence[str] | str:
        """Converts a long list of job ids into the value for statements with ``{among}``."""
        return ids

    def times(self, times: Mapping[str, datetime]) -> Sequence[datetime] | str:
        """Converts a time for each of some jobs, by id, into the value that goes with their :meth:`ids`."""
        return list(times.values())

    def cancel(self) -> None:
        """Breaks off the statement that another thread runs, which raises LimitReachedError."""
        raise NotImplementedError

    @contextmanager
    def warnings(self, tell: Callable[[str], None]) -> Iterator[None]:
        """Tells what statements of this project warn of meanwhile. Only those for PostgreSQL can."""
        del tell
        yield

    def json(self, value: object) -> str:
        """Returns JSON that the server can read."""
        return json.dumps(value, ensure_ascii=self.reads_escapes)

    @property
    def session(self) -> object:
        """What :meth:`end_session` ends through another connection; ``None`` where a connection has no session."""
        return None

    def end_session(self, session: object) -> None:
        """Ends the session of another connection of this user, if it still exists: its transaction is rolled back.

        Raises DatabaseError if the server refuses that.
        """

    def quoted(self, name: str) -> str:
        """The name of a column for :class:`~hammerwork_cli.database.statements.Columns`, in its letter case."""
        return f'"{name}"'

    def as_text(self, column: str, stored_type: str) -> str:
        """A term for the text that the database reads as the same value of its column, whatever its type."""
        del stored_type
        return column

    def message(self, text: str | None) -> str | None:
        """Escapes the characters that text columns cannot store: an error message must be stored in any case."""
        return text if text is None or self.charset is None else written_out(text, self.charset)

    def _error(self, error: Exception) -> HammerworkError | None:
        """Translates an error of the driver; ``None`` for other errors."""
        raise NotImplementedError

    @property
    def server(self) -> str:
        """Product and version, for people (``PostgreSQL 15.20``)."""
        raise NotImplementedError

    def _server_now(self) -> datetime:
        raise NotImplementedError

    def now(self) -> datetime:
        """The time of the server's clock in UTC."""
        return self.moved(self._server_now())

    def moved(self, time: datetime) -> datetime:
        """A time of the server's clock, which a test may have moved forward."""
        ahead = self.url.ahead
        return time if ahead is None else time + ahead()

    def identity(self, schema: str = "") -> tuple[str, ...]:
        """What tells the jobs of this database from those of any other; empty if there are none.

        Args:
            schema: by its name in statements, or the one that an unqualified name reaches. The first text is its name.
        """
        given = {"schema": schema or None, "visible": not schema}
        rows = self._rows("shared.identity", frozenset({self.dialect}), given)
        return tuple("" if value is None else _text(value) for value in rows[0]) if rows else ()

    def ping(self) -> None:
        """Asks for an answer; raises an error if there is none."""
        self.query("SELECT 1")

    def foreign_rows(self, sql: str, parameters: Sequence[Any] | Mapping[str, Any]) -> list[Row]:
        """Returns the rows of a statement of an application, in the spelling of the driver; none if it returns none."""
        self._admit(sql)
        with self._translated():
            cursor = self._execute_foreign(sql, parameters)
            return list(cursor.fetchall()) if cursor.description else []

    def _execute_foreign(self, sql: str, parameters: Any) -> Any:
        return self._execute(sql, parameters)

    def listen(self, channel: str) -> bool:
        """Subscribes to a channel; false behind a pooler, which cannot deliver notifications."""
        raise NotImplementedError

    def notifications(self, seconds: float) -> list[str]:
        """Returns the notifications of the channel; waits up to ``seconds`` for the first one."""
        raise NotImplementedError

    def _notify(self, payloads: Sequence[str]) -> None:
        """Sends notifications of the channel of hammerwork, where the database has them."""

    # For callers.

    @cached
    def schema(self) -> dict[str, dict[str, str]]:
        """Table -> column -> type of the tables ``hammerwork_*``, which are read once per connection.

        A current database is used without them: to read them takes a third of the time of a new connection.
        """
        tables: dict[str, dict[str, str]] = {}
        rows = self._rows("shared.schema", frozenset({self.dialect}), {})
        if not all(isinstance(value, str) for row in rows[:1] for value in row):  # some servers send names as bytes
            rows = [tuple(map(_text, row)) for row in rows]
        for table, column, kind in rows:
            tables.setdefault(table, {})[column] = kind
        return tables

    def has_table(self, name: str) -> bool:
        """Whether a table of hammerwork (Rust) may be read: an old database lacks some.

        A current one has them all. If one was dropped, the statement raises MissingTablesError: what was in it must not
        pass for nothing.
        """
        return self.is_current or name in self.schema

    @cached
    def tags(self) -> frozenset[str]:
        """The tags that choose between the variants of a statement.

        Of every database: ``postgresql``, ``mysql`` or ``sqlite``; ``rust_3``: version 3 of hammerwork (Rust) uses it,
        and its meanings apply; ``narrow``: ids of MySQL are in another character set than utf8mb4; and one of these
        two:

        - ``current``: all migrations of hammerwork-cli have been applied.
        - ``original``: they have not. Then only what hammerwork (Rust) stores is read, and nothing is changed. The way
          to the children of a job is ``by_gin`` or ``by_scan`` there. ``jsonb``: PostgreSQL stores ``depends_on`` as
          JSON (before 012).

        ``statements.GROWN`` has the tags of what the tables of hammerwork (Rust) have gained; a current one has all.
        """
        rust_3 = {"rust_3"} if not self._applied.isdisjoint(RUST_3) else set()
        if self._applied >= OURS:
            return frozenset({self.dialect, "current", *GROWN, *rust_3}) | self.extra_tags
        jobs = self.jobs_columns()
        grown = {tag for tag, (table, column) in GROWN.items() if column in self.schema.get(table, ())}
        tags = {self.dialect, "original", *grown, *rust_3}
        if self._is_between and not self._has_told:
            self._has_told = True
            self.tell(f"{self._lacking} Only what hammerwork (Rust) stores is read. {MIGRATE}")
        if self.dialect == "postgresql" and jobs["depends_on"] == "jsonb":
            tags.add("jsonb")
        tags.add("by_gin" if self.dialect == "postgresql" and "jsonb" not in tags else "by_scan")
        return frozenset(tags) | self.extra_tags

    @property
    def is_current(self) -> bool:
        """Whether all migrations of hammerwork-cli have been applied: its own tables are read, and jobs changed."""
        return "current" in self.tags

    @property
    def migrated(self) -> Migrated:
        """What decides whether a printed command would be refused; ``ALL`` while the tables have not been read."""
        if "current" in self.__dict__.get("tags", ("current",)):
            return Migrated.ALL
        return Migrated.SOME if self._is_between else Migrated.NONE

    @property
    def migrations(self) -> int:
        """How many migrations were recorded when the connection read them."""
        return len(self._applied)

    def check_current(self) -> None:
        """Raises MissingTablesError unless the database is current: no other one is changed."""
        if not self._applied >= OURS:
            self.forget_schema()  # somebody may have migrated since it was read
        if not self._applied >= OURS:
            self.jobs_columns()  # raises if there are no tables
            raise MissingTablesError(self._lacking, hint=MIGRATE)

    def has_own_tables(self) -> bool:
        """Whether to read a table of hammerwork-cli; for lists of its rows alone, which are empty without it.

        Raises MissingTablesError if the database is between two versions: what it holds must not pass for nothing.
        """
        if self._is_between:
            self.check_current()
        return self.is_current

    @property
    def _is_between(self) -> bool:
        if self._applied >= OURS:
            return False
        return not self._applied.isdisjoint(OURS) or self._is_unrecorded

    @property
    def _is_unrecorded(self) -> bool:
        """Whether there are tables of hammerwork-cli, and the table that lists its migrations is gone."""
        return "hammerwork_workers" in self.schema and "hammerwork_migrations" not in self.schema

    @property
    def _lacking(self) -> str:
        if not self._is_between:
            return "Only the tables of hammerwork (Rust) exist, which hammerwork-cli reads but never changes."
        if self._is_unrecorded:
            hidden = ", or hidden from this user" if self.dialect == "mysql" else ""
            return f"The table hammerwork_migrations, which lists the applied migrations, is missing{hidden}."
        missing = sorted(OURS - self._applied)
        others = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        return f"The tables are of an older hammerwork-cli, and lack {missing[0]}{others}."

    @cached
    def _applied(self) -> frozenset[str]:
        """The migrations that are recorded as applied; none without the jobs that they are about."""
        if not self._rows("shared.has_tables", frozenset({self.dialect}), {}):
            return frozenset()
        rows = self._rows("shared.applied_migrations", frozenset({self.dialect}), {})
        return frozenset(name if isinstance(name, str) else _text(name) for (name,) in rows)

    def jobs_columns(self) -> dict[str, str]:
        """Returns column -> type of ``hammerwork_jobs``."""
        jobs = self.schema.get("hammerwork_jobs")
        if jobs is None and self.schema:
            raise MissingTablesError("The table hammerwork_jobs is missing.", hint=MIGRATE)
        if jobs is None:
            raise MissingTablesError("This database has no hammerwork tables yet.", hint=MIGRATE)
        if "depends_on" not in jobs:
            raise MissingTablesError("The hammerwork tables are older than job dependencies (007).", hint=MIGRATE)
        return jobs

    def forget_schema(self) -> None:
        """Lets the schema be read again after a migration."""
        for cache in ("schema", "_applied", "tags"):
            self.__dict__.pop(cache, None)

    def look_again(self) -> None:
        """Lets the schema be read again if the database was not current: somebody may migrate it meanwhile."""
        if "current" not in self.__dict__.get("tags", ("current",)):
            self.forget_schema()

    def rows(self, statement: str, /, **values: Any) -> list[Row]:
        return self._rows(statement, self.tags, values)

    def rows_for_each(
        self, statement: str, name: str, each: Sequence[str], /, **values: Any
    ) -> Iterator[tuple[str, Row]]:
        """Yields the rows of a statement for each of many values of ``:name``, with that value; sends few statements.

        Its rows come in any order.
        """
        for start in range(0, len(each), MOST_TOGETHER):
            part = each[start : start + MOST_TOGETHER]
            found = [self._bound(statement, self.tags, {**values, name: value}) for value in part]
            texts = (
                f"SELECT {place} AS place, r.* FROM ({sql}) AS r"  # noqa: S608  of statements of the package
                for place, (sql, _) in enumerate(found)
            )
            cursor = self._send_bound(" UNION ALL ".join(texts), [value for _, bound in found for value in bound])
            with self._translated():
                rows = list(cursor.fetchall())
            yield from ((part[place], row) for place, *row in rows)

    def rows_of(self, statement: str, ids: Sequence[str], size: int | None = None, /, **values: Any) -> Iterator[Row]:
        """Yields the rows of a statement for ``:ids``, of which a part is sent at a time: ``size``, or else many."""
        for part in chunks(ids, size or self.read_chunk):
            yield from self.rows(statement, ids=self.ids(part), **values)

    def rows_in(self, statement: str, ids: Sequence[str], /, **values: Any) -> Iterator[Row]:
        """Like :meth:`rows_of`, for a statement with ``IN (:ids)``."""
        for part in chunks(ids, self.key_chunk):
            yield from self.rows(statement, ids=part, **values)

    def row_parts(self, statement: str, size: int, /, **values: Any) -> Iterator[list[Row]]:
        """Yields the rows of a statement, ``size`` at a time. Read all of them before you send another statement."""
        cursor = self._send(statement, self.tags, values, buffered=False)
        while True:
            with self._translated():
                rows = cursor.fetchmany(size)
            if not rows:
                return
            yield rows

    def row(self, statement: str, /, **values: Any) -> Row | None:
        """Returns the first row of a statement; ``None`` if there is none."""
        rows = self.rows(statement, **values)
        return rows[0] if rows else None

    def value(self, statement: str, /, **values: Any) -> Any:
        """Returns the only value of the first row of a statement; ``None`` if there is no row."""
        row = self.row(statement, **values)
        return row[0] if row else None

    def run(self, statement: str, /, **values: Any) -> int:
        """Runs a statement and returns the number of rows that it changed."""
        cursor = self._send(statement, self.tags, values)
        return int(cursor.rowcount)

    def run_for(self, statement: str, ids: Sequence[str], /, **values: Any) -> int:
        """Like :meth:`run`, for any number of ``:ids``."""
        return sum(self.run(statement, ids=self.ids(part), **values) for part in chunks(ids, self.key_chunk))

    def run_once(self, statement: str, /, **values: Any) -> int:
        """Runs a statement that inserts a row ``{unless_it_exists}``, and returns whether it did, as 1 or 0."""
        return self.run(statement, **values)

    def insert(self, statement: str, rows: Sequence[Row], /, **values: Any) -> int:
        """Runs a statement that inserts ``:rows``, and returns their number."""
        return self.run(statement, rows=rows, **values)

    def parts(self, items: Sequence[Item], most: int, weigh: Callable[[Item], int]) -> Iterator[Sequence[Item]]:
        """Cuts items into parts that each fit into a statement.

        Args:
            weigh: returns the most bytes that an item can have in a statement. An item that exceeds the server's limit
                by itself gets its own part.
        """
        room = None if self.packet is None else self.packet - OTHER_BYTES
        start = weight = 0
        for number, item in enumerate(items):
            one = 0 if room is None else weigh(item)
            if number > start and (number - start >= most or (room is not None and weight + one > room)):
                yield items[start:number]
                start, weight = number, 0
            weight += one
        if items:
            yield items[start:]

    def plain_rows(self, statement: str, /, **values: Any) -> list[Row]:
        """Returns all rows of a statement that does not need the hammerwork tables."""
        return self._rows(statement, frozenset({self.dialect}), values)

    def plain_run(self, statement: str, /, **values: Any) -> int:
        """Like :meth:`run`, for a statement that does not need the hammerwork tables."""
        return int(self._send(statement, frozenset({self.dialect}), values).rowcount)

    def script(self, sql: str) -> None:
        """Runs the text of a statement without values, for migrations."""
        self._admit(sql)
        with self._translated():
            self.executed += 1
            self._execute(sql, [])

    def query(self, sql: str, values: list[Any] | None = None) -> list[Row]:
        """Returns the rows of a statement with the driver's own placeholders, for migrations and tests."""
        self._admit(sql)
        with self._translated():
            self.executed += 1
            return list(self._execute(sql, values or []).fetchall())

    def transaction(self, work: Callable[[], Result], *, tries: int = TRIES, ordered: bool = False) -> Result:
        """Runs ``work`` in a transaction, and runs it again from the start if the server rolls it back.

        Deadlocks, lock timeouts, serialization and certification failures are normal on busy and on replicated servers.
        Therefore ``work`` must not have effects outside the database. A nested call joins the transaction. It also runs
        once more after a duplicate key. Raises RetryableError if the server rolled it back ``tries`` times, after
        :attr:`give_up`, or at one of its limits. Raises ConnectionLostError if the outcome of the commit is unknown.

        Args:
            ordered: its statements read the first rows in the order of an index. With statistics of another time,
                PostgreSQL may expect so few rows that it would rather read and sort all of them; here it may not.
        """
        if self._in_transaction:
            return work()
        if self.url.guard is not None:
            self.url.guard.before_transaction()

        def run() -> Result:
            return retry(
                lambda: self._attempt(work, self._begin_ordered if ordered else self._begin),
                CONTENTION,
                passes=lost_to_another,
                tries=tries,
                ended=lambda: self.give_up is not None and time.monotonic() >= self.give_up,
            )

        try:
            return run()
        except DuplicateError:
            # Another transaction may have inserted the row since ``work`` looked for it. Now it finds it, and says so.
            return run()

    def remembered(self, name: str, seconds: float, read: Callable[[], Result]) -> Result:
        """What a connection has read within the last ``seconds``; it reads anything older again."""
        until, value = self._remembered.get(name, (0.0, None))
        now = time.monotonic()
        if now >= until:
            value = read()
            self._remembered[name] = now + seconds, value
        return cast("Result", value)

    def forget(self, name: str) -> None:
        """Lets what is :meth:`remembered` be read again."""
        self._remembered.pop(name, None)

    def notify(self, payloads: Iterable[str]) -> None:
        """Sends notifications once the present transaction has committed; outside of one, at once.

        They have a transaction of their own. If they cannot be sent, because their queue on the server is full for
        example, nothing else is undone: whoever waits for them polls as well.
        """
        self._notices.update(payloads)
        if not self._in_transaction:
            self._send_notices()

    def _send_notices(self) -> None:
        notices, self._notices = self._notices, set()
        if not notices:
            return
        try:
            self._notify(sorted(notices))
        except HammerworkError as error:
            _log().debug("Idle workers are not notified: %s", error.message)

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Lets several reads by key see the same state of the database. Within a transaction, it joins that one."""
        if self._in_transaction:
            yield
            return
        with self._translated():
            self._begin_snapshot()
        self._in_transaction = True
        try:
            yield
        finally:
            self._roll_back()
            self._in_transaction = False

    def _attempt(self, work: Callable[[], Result], begin: Callable[[], None]) -> Result:
        with self._held(begin):
            return work()

    @contextmanager
    def held(self) -> Iterator[None]:
        """A transaction that is tried once: it commits at the end, or rolls back when an exception ends it."""
        if self.url.guard is not None:
            self.url.guard.before_transaction()
        with self._held(self._begin):
            yield

    @contextmanager
    def _held(self, begin: Callable[[], None]) -> Iterator[None]:
        with self._translated():
            begin()
        self._in_transaction = True
        try:
            yield
            self.is_committing = True
            with self._translated():
                self._connection.commit()
        except BaseException:
            self._roll_back()
            self._notices.clear()
            raise
        finally:
            self._in_transaction = self.is_committing = False
        self._send_notices()

    def _roll_back(self) -> None:
        try:
            self._connection.rollback()
        except Exception as error:  # noqa: BLE001  the caller gets the first error
            del error

    @property
    def _is_connected(self) -> bool:
        """Whether the connection has been made: before, all errors are about connecting."""
        return hasattr(self, "_connection")

    def close(self) -> None:
        self._connection.close()

    def _rows(self, statement: str, tags: frozenset[str], values: Mapping[str, Any]) -> list[Row]:
        cursor = self._send(statement, tags, values)
        with self._translated():
            return list(cursor.fetchall())

    def _send(self, statement: str, tags: frozenset[str], values: Mapping[str, Any], *, buffered: bool = True) -> Any:
        return self._send_bound(*self._bound(statement, tags, values), buffered=buffered)

    def _send_bound(self, sql: str, bound: list[Any], *, buffered: bool = True) -> Any:
        with self._translated():
            self.executed += 1
            return self._execute(sql, bound, buffered=buffered)

    def _bound(self, statement: str, tags: frozenset[str], values: Mapping[str, Any]) -> tuple[str, list[Any]]:
        """The text of a statement, and its values, as the driver wants them."""
        try:
            sql, bound = statements.bind(self._loaded(statement, tags), values, self.placeholder, self.percent)
        except (LookupError, ValueError) as error:
            raise BrokenInstallationError(
                f"The statement {statement} of hammerwork-cli cannot be used: {error}.",
                hint="Was it upgraded meanwhile? Start this program again, or install hammerwork-cli anew.",
            ) from error
        self._admit(sql)
        # By type, since a list may have thousands of values, and few are times.
        times = {kind for kind in set(map(type, bound)) if issubclass(kind, datetime)}
        for place in compress(range(len(bound)), map(times.__contains__, map(type, bound))) if times else ():
            bound[place] = self._adapt(bound[place])
        return sql, bound

    def _loaded(self, statement: str, tags: frozenset[str]) -> Statement:
        loaded = statements.load(statement, tags)
        if "original" in tags and is_change(loaded.text):
            self.check_current()
            return statements.load(statement, self.tags)
        return loaded

    def _admit(self, sql: str) -> None:
        if self.url.guard is not None and is_change(sql):
            self.url.guard.before_change()

    def _translated(self) -> "DriverCall":
        return DriverCall(self)


class DriverCall:
    """A call of a driver, as a context manager: it notes its start, and raises the driver's errors as ours.

    It is a class, which takes half as long as a generator, because each statement has two or three.
    """

    __slots__ = ("database", "interruption")

    def __init__(self, database: Database, interruption: Interruption | None = None) -> None:
        self.database, self.interruption = database, interruption

    def __enter__(self) -> None:
        self.database.busy_since = time.monotonic()
        if self.interruption is not None:
            self.interruption.begin()

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        database, began = self.database, self.database.busy_since
        database.busy_since = None
        if self.interruption is not None:
            self.interruption.end()
        if not isinstance(error, Exception):
            return
        translated = driver_errors.unstorable(error) or database._error(error)
        if translated is None:
            return
        if isinstance(translated, ConnectionLostError):
            database._in_transaction = False
            network, took = database.timeouts.network, time.monotonic() - (began or 0.0)
            if network and database._is_connected and took >= network:
                translated = SilentConnectionError(
                    f"{database.url} has not answered for {took:,.0f} s: the connection is given up.",
                    hint="The network may have dropped the connection, or a process of the server hangs.",
                )
        # The driver's own error may contain the connection string with the password.
        raise translated from None


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, (bytes, bytearray)) else str(value)
