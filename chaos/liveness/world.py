"""A database and a clock that the checks control: time passes, servers go away, and forget what they had committed."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from hammerwork_cli.core.values import timestamp
from hammerwork_cli.database import Database
from hammerwork_cli.errors import UnreachableError

START = datetime(2026, 11, 25, 12, tzinfo=UTC)
TABLES = (
    "hammerwork_jobs",
    "hammerwork_workers",
    "hammerwork_attempts",
    "hammerwork_schedules",
    "hammerwork_schedule_runs",
    "hammerwork_duties",
)
NOW_IN_POSTGRESQL = """
CREATE SCHEMA IF NOT EXISTS simulated;
CREATE OR REPLACE FUNCTION simulated.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS
$$ SELECT current_setting('simulated.now')::timestamptz $$
"""


@dataclass(slots=True)
class Book:
    """What the checks know of jobs, beside the database. A server that forgets takes the book back as well.

    Attributes:
        completed: (job, occurrence) -> how often a worker counted that it completed.
        allowed: the same -> how often somebody allowed it beyond the first time.
        beats: worker -> when its last heartbeat succeeded, by the monotonic clock.
        unrecorded: (job, start) of attempts that completed or never began, which leave no row in the history.
        disturbed: jobs that a Rust worker or somebody's hand touched, so that their attempts follow other rules.
    """

    completed: dict[tuple[str, str], int] = field(default_factory=dict)
    allowed: dict[tuple[str, str], int] = field(default_factory=dict)
    beats: dict[str, float] = field(default_factory=dict)
    unrecorded: set[tuple[str, datetime]] = field(default_factory=set)
    disturbed: set[str] = field(default_factory=set)

    def copy(self) -> "Book":
        return Book(
            dict(self.completed), dict(self.allowed), dict(self.beats), set(self.unrecorded), set(self.disturbed)
        )


class World:
    """One database, empty at first, with a server's clock and everybody's monotonic one.

    Attributes:
        seconds: the monotonic clock.
        is_away: nobody reaches the server.
        stepped_at: when somebody set the server's clock last, by the monotonic one.
        wrong_by: how far it is wrong for a moment.
        again_until: the latest time that it showed before it was set back for good: the time until then comes again.
        later: when a process of the server that stands still goes on, and whose heartbeat it writes then.
    """

    def __init__(self, database: Database) -> None:
        self.database = database
        self.seconds = 0.0
        self.is_away = False
        self.book = Book()
        self._offset = self.stepped_at = self.wrong_by = 0.0
        self.has_stepped = False
        self.later: list[tuple[float, str]] = []
        self.again_until = START
        self._instants = 0
        self._past: list[tuple[dict[str, list[Any]], Book]] = []
        self._columns = {table: stored_columns(database, table) for table in TABLES}
        if database.dialect == "postgresql":
            database.script(NOW_IN_POSTGRESQL)
            database.script("SET search_path = simulated, pg_catalog, public")
        elif database.dialect == "sqlite":
            database.script("PRAGMA synchronous = OFF")  # nothing here survives the program
            database._connection.create_function("strftime", -1, lambda _, __, after="0 seconds": self._written(after))
        for table in (*TABLES, "hammerwork_spawn_requests"):
            database.script(f"DELETE FROM {table}")
        self._tell_the_server()

    def now(self) -> datetime:
        """The server's clock. No two readings are the same, as with real clocks."""
        self._instants += 1
        return START + timedelta(seconds=self.seconds + self._offset, microseconds=self._instants)

    @property
    def offset(self) -> float:
        """How far the server's clock is before the monotonic one."""
        return self._offset

    def step_clock(self, seconds: float) -> None:
        """Somebody sets the server's clock."""
        if seconds < 0 and not self.wrong_by:
            self.again_until = max(self.again_until, self.now())
        self._offset += seconds
        self.has_stepped, self.stepped_at = True, self.seconds
        self._tell_the_server()

    def pass_second(self) -> None:
        """A second of everybody's time."""
        self.seconds += 1.0
        if not self.is_away:
            self._tell_the_server()

    def _tell_the_server(self) -> None:
        if self.database.dialect == "postgresql":
            self.database.query(f"SELECT set_config('simulated.now', '{self.now().isoformat()}', FALSE)")
        elif self.database.dialect == "mysql":
            self.database.script(f"SET timestamp = {self.now().timestamp():.6f}")

    def _written(self, after: str) -> str:
        at = self.now() + timedelta(seconds=float(after.split()[0]))
        return at.isoformat(timespec="microseconds").replace("+00:00", "Z")

    @contextmanager
    def reached(self) -> Iterator[Database]:
        """The database, for one unit of work.

        Raises:
            UnreachableError: the server is away.
        """
        if self.is_away:
            raise UnreachableError("The server is away.")
        yield self.database

    # The history of attempts.

    def recorded(self, job: str, started_at: datetime) -> list[str]:
        """The outcomes that the history has of the attempt at a job that started then."""
        rows = self.database.query(f"SELECT started_at, outcome FROM hammerwork_attempts WHERE job_id = '{job}'")
        return [outcome for at, outcome in rows if timestamp(at) == started_at]

    def recorded_as_lost(self) -> int:
        """How many attempts the history has that were lost with their worker."""
        return int(self.database.query("SELECT COUNT(*) FROM hammerwork_attempts WHERE outcome = 'lost'")[0][0])

    # What a server forgets.

    def remember(self) -> None:
        """Before each step: the last few states, to which a server may fall back."""
        if not self.is_away:
            rows = {
                table: self.database.query(f"SELECT {', '.join(columns)} FROM {table}")
                for table, columns in self._columns.items()
            }
            self._past = [*self._past[-3:], (rows, self.book.copy())]

    def forget(self, steps: int) -> None:
        """The server comes back without its last commits, although it had acknowledged them."""
        if self.is_away or not self._past:
            return
        tables, book = self._past[-min(steps, len(self._past))]
        self._past = []
        self.book = book
        for table, rows in tables.items():
            self.database.script(f"DELETE FROM {table}")
            for row in rows:
                self._insert(table, row)

    def _insert(self, table: str, row: Sequence[Any]) -> None:
        columns = self._columns[table]
        places = ", ".join([self.database.placeholder] * len(columns))
        self.database._execute(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({places})", list(row))


def stored_columns(database: Database, table: str) -> list[str]:
    """Those that are not computed from others."""
    if database.dialect == "mysql":
        rows = database.query(
            "SELECT column_name FROM information_schema.columns WHERE table_schema = DATABASE()"
            f" AND table_name = '{table}' AND extra NOT LIKE '%GENERATED%'"
        )
        return [str(row[0]) for row in rows]
    return list(database.schema[table])
