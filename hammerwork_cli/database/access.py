"""The thin access to a database that everything above shares: statements in, rows out."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, TypeVar

from hammerwork_cli.cached import cached
from hammerwork_cli.database import driver_errors, statements
from hammerwork_cli.database.driver_errors import MIGRATE
from hammerwork_cli.database.texts import written_out
from hammerwork_cli.database.url import DatabaseUrl
from hammerwork_cli.errors import (
    ConnectionLostError,
    HammerworkError,
    LimitReachedError,
    MissingTablesError,
    RetryableError,
)

Row = tuple[Any, ...]
Result = TypeVar("Result")
Item = TypeVar("Item")

TRIES = 8
OTHER_BYTES = 16384
"""Room in a statement beside the values that are weighed."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long a connection waits, in seconds.

    Without a value the settings of the server and its user hold. SQLite knows ``lock`` alone.

    Attributes:
        connect: for each host of the URL to answer.
        lock: for rows and tables that others hold; then the statement raises RetryableError.
        statement: for the server to work on a statement; then the statement raises RetryableError.
        network: for an answer of the server, however long the statement may take; then the connection is closed and
            the statement raises ConnectionLostError. It should be 2 s longer than the other two.
    """

    connect: float = 10
    lock: float | None = None
    statement: float | None = None
    network: float | None = None


PATIENT = Timeouts()
"""What commands and handlers use."""


class Database:
    """One connection. Subclasses say how their driver connects, executes and reports errors.

    Statements are named after their files: ``worker.claim.ready`` is in ``sql/worker/claim.sql``. Each statement
    commits by itself outside :meth:`transaction`.

    Attributes:
        url: where it leads.
        timeouts: how long it waits.
        give_up: by the monotonic clock; a transaction that is lost after that is not tried again.
        executed: statements sent so far, for tests and ``--debug``.
        busy_since: when the statement was sent that has not been answered yet, by the monotonic clock.
    """

    dialect: ClassVar[str]
    placeholder: ClassVar[str] = "%s"
    percent: ClassVar[str] = "%"
    key_chunk: ClassVar[int] = 1000
    """Ids a statement that changes or locks rows."""
    read_chunk: int = key_chunk
    """Ids a statement that reads rows by an index; a longer list is sorted and meets neighbours in the index."""
    sorts_to_claim: bool = False
    """Whether the server cannot read jobs in the order of their urgency from an index."""
    extra_tags: frozenset[str] = frozenset()
    """Tags that a connection learns when it is made."""
    charset: str | None = None
    """The server's name for that of the text columns; ``None`` where they hold every character."""
    packet: int | None = None
    """Bytes that a statement may have, with all its values; ``None`` where nothing limits them."""
    scan_chunk: int = 100_000
    """Ids a statement that reads the whole table: as many as a statement may hold."""

    def __init__(self, url: DatabaseUrl, timeouts: Timeouts = PATIENT) -> None:
        self.url = url
        self.timeouts = timeouts
        self.give_up: float | None = None
        self.executed = 0
        self.busy_since: float | None = None
        self._in_transaction = False
        with self._translated():
            self._connection: Any = self._connect()

    # What a driver module provides.

    def _connect(self) -> Any:
        raise NotImplementedError

    def _execute(self, sql: str, values: list[Any], *, buffered: bool = True) -> Any:
        """Sends one statement and returns a cursor; not ``buffered``, the driver may leave rows with the server."""
        raise NotImplementedError

    def _begin(self) -> None:
        raise NotImplementedError

    def _begin_snapshot(self) -> None:
        """Begins a transaction that reads everything as of one moment."""
        raise NotImplementedError

    def _adapt(self, value: datetime) -> Any:
        """An instant, aware and in UTC, as the driver wants it."""
        return value

    def written_moment(self, value: datetime) -> str:
        """An instant as text that the database reads inside JSON."""
        return str(self._adapt(value))

    def ids(self, ids: Sequence[str]) -> Sequence[str] | str:
        """A long list of job ids as the statements with ``{among}`` want it."""
        return ids

    def message(self, text: str | None) -> str | None:
        """A message as text columns hold it: what they lack is written out, since nobody could choose other words."""
        return text if text is None or self.charset is None else written_out(text, self.charset)

    def _error(self, error: Exception) -> HammerworkError | None:
        """Our error for a driver's, ``None`` when it is not the driver's."""
        raise NotImplementedError

    @property
    def server(self) -> str:
        """Product and version, for people (``PostgreSQL 15.20``)."""
        raise NotImplementedError

    def now(self) -> datetime:
        """The server's clock, in UTC."""
        raise NotImplementedError

    def listen(self, channel: str) -> bool:
        """Begins to hear what is sent to a channel; false where the database, or what is before it, cannot do that."""
        raise NotImplementedError

    def notices(self, seconds: float) -> list[str]:
        """What was sent to the channel; waits for the first at most so long."""
        raise NotImplementedError

    # What callers use.

    @cached
    def schema(self) -> dict[str, dict[str, str]]:
        """Table -> column -> type, of the tables named ``hammerwork_*``. Read once a connection."""
        tables: dict[str, dict[str, str]] = {}
        for table, column, kind in self._rows("shared.schema", frozenset({self.dialect}), {}):
            tables.setdefault(_text(table), {})[_text(column)] = _text(kind)
        return tables

    @cached
    def tags(self) -> frozenset[str]:
        """What decides between the variants of a statement.

        ``postgresql``, ``mysql`` or ``sqlite``; ``indexed`` when our own indexes are there;
        ``jsonb`` when PostgreSQL holds ``depends_on`` as JSON (before 012); ``archive`` when there is
        an archive table and ``unarchivable`` when ``hammerwork_jobs`` has no ``archived_at``; ``pause``
        when there is a table of paused queues (014); ``workers`` when there are our columns and tables for them
        (017), and ``claim_times`` when jobs say when they were claimed (018); ``narrow`` when ids of MySQL are in
        another character set than utf8mb4; and one of ``by_first_parent``, ``by_gin``, ``by_scan``: the way to a job's
        children.
        """
        jobs = self.jobs_columns()
        tags = {self.dialect}
        if self.dialect == "postgresql" and jobs["depends_on"] == "jsonb":
            tags.add("jsonb")
        if "archived_at" not in jobs:
            tags.add("unarchivable")
        if "hammerwork_jobs_archive" in self.schema:
            tags.add("archive")
        if "hammerwork_queue_pause" in self.schema:
            tags.add("pause")
        if "claim_token" in jobs and "hammerwork_spawn_roots" in self.schema:
            tags.add("workers")
        if "claimed_at" in jobs:
            tags.add("claim_times")
        if "jsonb" not in tags and self._indexed():
            tags.add("indexed")
        tags.add(self._way(tags))
        return frozenset(tags) | self.extra_tags

    def _indexed(self) -> bool:
        if "hammerwork_migrations" not in self.schema:
            return False
        return bool(self._rows("shared.index_migration", frozenset({self.dialect}), {}))

    def _way(self, tags: set[str]) -> str:
        if "indexed" in tags:
            return "by_first_parent"
        return "by_gin" if self.dialect == "postgresql" and "jsonb" not in tags else "by_scan"

    def jobs_columns(self) -> dict[str, str]:
        """Columns of ``hammerwork_jobs``.

        Raises:
            MissingTablesError: it is not there, or older than dependencies (007).
        """
        jobs = self.schema.get("hammerwork_jobs")
        if jobs is None:
            raise MissingTablesError("This database has no hammerwork tables yet.", hint=MIGRATE)
        if "depends_on" not in jobs:
            raise MissingTablesError("The hammerwork tables are older than job dependencies (007).", hint=MIGRATE)
        return jobs

    def forget_schema(self) -> None:
        """Makes the next look at the schema a fresh one, after a migration."""
        self.__dict__.pop("schema", None)
        self.__dict__.pop("tags", None)

    def rows(self, statement: str, /, **values: Any) -> list[Row]:
        """All rows of a statement."""
        return self._rows(statement, self.tags, values)

    def row_parts(self, statement: str, size: int, /, **values: Any) -> Iterator[list[Row]]:
        """The rows of a statement, at most ``size`` at a time. All are read before the next statement is sent."""
        cursor = self._send(statement, self.tags, values, buffered=False)
        while True:
            with self._translated():
                rows = cursor.fetchmany(size)
            if not rows:
                return
            yield rows

    def row(self, statement: str, /, **values: Any) -> Row | None:
        """The first row of a statement, ``None`` when there is none."""
        rows = self.rows(statement, **values)
        return rows[0] if rows else None

    def run(self, statement: str, /, **values: Any) -> int:
        """Runs a statement that changes something and returns how many rows it touched."""
        cursor = self._send(statement, self.tags, values)
        return int(cursor.rowcount)

    def insert(self, statement: str, rows: Sequence[Row], /, **values: Any) -> int:
        """Runs a statement that inserts ``:rows``, many at once, and returns how many it inserted."""
        return self.run(statement, rows=rows, **values)

    def parts(self, items: Sequence[Item], most: int, weigh: Callable[[Item], int]) -> Iterator[Sequence[Item]]:
        """Cuts what is sent many at once: ``most`` items a statement, and no more than the server takes in one.

        Args:
            items: what is sent.
            most: items a statement.
            weigh: the most bytes that an item may have in a statement. What is too large by itself comes alone.
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
        """All rows of a statement that can do without the hammerwork tables."""
        return self._rows(statement, frozenset({self.dialect}), values)

    def plain_run(self, statement: str, /, **values: Any) -> int:
        """Like :meth:`run`, for a statement that can do without the hammerwork tables."""
        return int(self._send(statement, frozenset({self.dialect}), values).rowcount)

    def script(self, sql: str) -> None:
        """Runs one statement that has no values, as it stands: migrations."""
        with self._translated():
            self.executed += 1
            self._execute(sql, [])

    def query(self, sql: str, values: list[Any] | None = None) -> list[Row]:
        """Rows of a statement in the driver's own spelling: migrations and tests."""
        with self._translated():
            self.executed += 1
            return list(self._execute(sql, values or []).fetchall())

    def transaction(self, work: Callable[[], Result], *, tries: int = TRIES) -> Result:
        """Runs ``work`` in one transaction, again from the top when the server lost it to another one.

        Deadlocks, lock timeouts, serialization and certification failures are normal on busy and on
        replicated servers. ``work`` must not have effects outside the database. A nested call joins.

        Raises:
            RetryableError: it was lost ``tries`` times, after :attr:`give_up`, or at a limit of the server.
            ConnectionLostError: the outcome of a commit is not known.
        """
        if self._in_transaction:
            return work()
        for attempt in range(tries):
            try:
                return self._attempt(work)
            except RetryableError as error:
                late = self.give_up is not None and time.monotonic() >= self.give_up
                if late or attempt == tries - 1 or isinstance(error, LimitReachedError):
                    raise
                _pause(attempt)
        raise AssertionError("unreachable")

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Several reads by key, as of one moment. Within a transaction it joins that one."""
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

    def _attempt(self, work: Callable[[], Result]) -> Result:
        with self._translated():
            self._begin()
        self._in_transaction = True
        try:
            result = work()
            with self._translated():
                self._connection.commit()
        except BaseException:
            self._roll_back()
            raise
        finally:
            self._in_transaction = False
        return result

    def _roll_back(self) -> None:
        try:
            self._connection.rollback()
        except Exception as error:  # noqa: BLE001  the first error is the one to tell
            del error

    @property
    def _is_connected(self) -> bool:
        """Whether errors can be of anything else than of connecting."""
        return hasattr(self, "_connection")

    def close(self) -> None:
        """Ends the connection."""
        self._connection.close()

    def _rows(self, statement: str, tags: frozenset[str], values: Mapping[str, Any]) -> list[Row]:
        cursor = self._send(statement, tags, values)
        with self._translated():
            return list(cursor.fetchall())

    def _send(self, statement: str, tags: frozenset[str], values: Mapping[str, Any], *, buffered: bool = True) -> Any:
        sql, bound = statements.bind(statements.load(statement, tags), values, self.placeholder, self.percent)
        adapted = [self._adapt(value) if isinstance(value, datetime) else value for value in bound]
        with self._translated():
            self.executed += 1
            return self._execute(sql, adapted, buffered=buffered)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        self.busy_since = time.monotonic()
        try:
            yield
        except Exception as error:
            ours = driver_errors.unstorable(error) or self._error(error)
            if ours is None:
                raise
            if isinstance(ours, ConnectionLostError):
                self._in_transaction = False
            # The driver's own error can hold the connection string, so it is not chained.
            raise ours from None
        finally:
            self.busy_since = None


def _pause(attempt: int) -> None:
    import random

    time.sleep(random.uniform(0, 0.02 * 2**attempt))  # noqa: S311  jitter is no secret


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, (bytes, bytearray)) else str(value)
