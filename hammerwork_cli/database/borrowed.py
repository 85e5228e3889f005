"""Connections of applications: what is written through one of them belongs to the application's transaction."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, cast
from weakref import WeakSet

from hammerwork_cli.database.access import TRIES, Database, DriverCall, Result
from hammerwork_cli.database.timeouts import PATIENT
from hammerwork_cli.errors import (
    AccessDeniedError,
    ConfigError,
    HammerworkError,
    RetryableError,
    UnreachableError,
    UsageError,
)

_TABLE = re.compile(r"(?<![\w.'\"`])(?=hammerwork_[a-z])")
_KNOWN = ("schema", "_applied", "tags", "charset", "reads_escapes", "packet", "extra_tags", "version", "_remembered")
AGAIN = "Roll your transaction back, and run it again."


def text_of(value: Any) -> Any:
    """A value of a row, with bytes that are text as text: connections may return text so."""
    if not isinstance(value, (bytes, bytearray)):
        return value
    try:
        return value.decode()
    except UnicodeDecodeError:  # a payload of the archive, which is packed
        return value


class Facts:
    """What a connection of our own has learned about a database: a borrowed one asks for none of it."""

    def __init__(self, database: Database) -> None:
        database.check_current()
        self.url, self.identity = database.url, database.identity()
        self.known = {name: getattr(database, name) for name in _KNOWN if hasattr(database, name)}
        self.known["tags"] = database.tags | {"borrowed"}
        self.proven: WeakSet[Any] = WeakSet()  # connections that lead there


class Borrowed(Database):
    """A connection of an application. A subclass for each driver comes before the class of that driver.

    It neither begins nor commits, rolls back, repeats or sets anything, whatever the session is set to. Statements name
    the schema of the tables, since the session may look for them elsewhere.

    Raises:
        ConfigError: the connection leads to another database.
        UsageError: it cannot be used in its present state.
    """

    def __init__(self, connection: Any, facts: Facts) -> None:
        self._borrowed, self._facts = connection, facts
        super().__init__(facts.url, PATIENT)
        self.__dict__.update(facts.known)
        self._in_transaction = True  # of somebody else, who ends it
        self._check_state()
        self._check_identity()

    def _connect(self) -> Any:
        return self._borrowed

    @property
    def commits_each_statement(self) -> bool:
        """Whether there is no transaction, and none begins with the next statement."""
        raise NotImplementedError

    def _check_state(self) -> None:
        """Raises UsageError if no statement can be sent now."""

    def _check_identity(self) -> None:
        """Raises ConfigError unless the connection leads to the database of the queue."""
        if self._connection in self._facts.proven:
            return
        wanted = self._facts.identity
        found = self.identity(wanted[0])
        # One of the two users may not know all.
        if not found or any(one != other for one, other in zip(wanted, found, strict=True) if one and other):
            raise self._elsewhere()
        with suppress(TypeError):  # those of SQLite cannot be remembered, and are asked without a server
            self._facts.proven.add(self._connection)

    def _elsewhere(self) -> ConfigError:
        return ConfigError(
            f"The connection does not lead to the database of the queue, {self.url}.",
            hint="The jobs and your own tables must be in one database.",
        )

    def check_current(self) -> None:
        """Nothing to do: facts are of a current database."""

    def transaction(self, work: Callable[[], Result], *, tries: int = TRIES, ordered: bool = False) -> Result:
        """Runs ``work`` in the transaction of the application."""
        del tries, ordered
        return work()

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Nothing to do: the application has chosen what its statements see."""
        yield

    def remembered(self, name: str, seconds: float, read: Callable[[], Result]) -> Result:
        """What our own connection has read, however long ago: the application's user may not be allowed to."""
        until, value = self._remembered.get(name, (None, None))
        return super().remembered(name, seconds, read) if until is None else cast("Result", value)

    def notify(self, payloads: Iterable[str]) -> None:
        """Sends notifications, which arrive once the application commits."""
        if wanted := sorted(set(payloads)):
            self._notify(wanted)

    def close(self) -> None:
        """Nothing to do: the connection is not ours."""

    def _bound(self, statement: str, tags: frozenset[str], values: Mapping[str, Any]) -> tuple[str, list[Any]]:
        sql, bound = super()._bound(statement, tags, values)
        schema = self._facts.identity[0]
        named = schema.replace("%", self.percent) if bound else schema
        return _TABLE.sub(lambda _: f"{named}.", sql), bound

    def _translated(self) -> DriverCall:
        return DriverCall(self)  # whatever interrupts the application's statements interrupts ours

    def _in_our_words(self, error: HammerworkError | None) -> HammerworkError | None:
        """The same error for somebody who has begun the transaction."""
        if isinstance(error, RetryableError):
            return type(error)(error.message, hint=AGAIN, **error.details)
        if isinstance(error, UnreachableError):
            return UsageError("The connection is read-only.", hint="Enqueue with one that may write.", **error.details)
        if isinstance(error, AccessDeniedError):  # its user is not that of the URL
            text = error.message.replace(str(self.url), "The database", 1)
            return AccessDeniedError(text, hint="Grant the user of the connection this privilege.", **error.details)
        return error
