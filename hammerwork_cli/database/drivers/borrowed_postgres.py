"""Connections of applications to PostgreSQL, by psycopg 3."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import NoneType
from typing import Any, ClassVar

import psycopg
from psycopg.abc import Dumper, Loader
from psycopg.adapt import AdaptersMap
from psycopg.pq import PipelineStatus, TransactionStatus
from psycopg.rows import tuple_row
from psycopg.types.array import ListDumper
from psycopg.types.bool import BoolDumper, BoolLoader
from psycopg.types.none import NoneDumper
from psycopg.types.numeric import IntDumper, IntLoader
from psycopg.types.string import BytesDumper, StrDumperUnknown, TextLoader

from hammerwork_cli.cached import cached
from hammerwork_cli.database.access import Database, Row
from hammerwork_cli.database.borrowed import Borrowed, text_of
from hammerwork_cli.database.drivers.postgres import TEXT_TYPES, PostgresDatabase
from hammerwork_cli.errors import HammerworkError, UsageError

_LOADERS: dict[str, type[Loader]] = {
    **dict.fromkeys((*TEXT_TYPES, "text", "varchar", "bpchar", "name"), TextLoader),
    **dict.fromkeys(("int2", "int4", "int8", "oid"), IntLoader),
    "bool": BoolLoader,
}
UTF8 = "utf-8"


class _EscapedStrDumper(StrDumperUnknown):
    """Writes text in ASCII, for a connection whose encoding may lack some of its characters."""

    def quote(self, obj: str) -> bytes:
        escaped = "".join([sign if sign.isascii() else f"\\U{ord(sign):08X}" for sign in _doubled(obj)])
        return f" E'{escaped}'".encode("ascii")


def _doubled(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "''")


def _adapters(text: type[Dumper]) -> AdaptersMap:
    adapters = AdaptersMap(psycopg.adapters)
    adapters.register_dumper(str, text)
    for kind, dumper in ((int, IntDumper), (bool, BoolDumper), (list, ListDumper), (bytes, BytesDumper)):
        adapters.register_dumper(kind, dumper)
    adapters.register_dumper(NoneType, NoneDumper)
    for name, loader in _LOADERS.items():
        adapters.register_loader(name, loader)
    adapters.register_loader(adapters.types["uuid"].array_oid, TextLoader)
    return adapters


class _Cursor(psycopg.ClientCursor[Row]):
    """Not the connection's own kind: its rows may be anything, and a pooler may not know its prepared statements.

    Its adapters are made once, since each job that is enqueued has a cursor of its own.
    """

    _ours: ClassVar[AdaptersMap] = _adapters(StrDumperUnknown)

    @property
    def adapters(self) -> AdaptersMap:
        return self._ours


class _EscapingCursor(_Cursor):
    _ours = _adapters(_EscapedStrDumper)


class BorrowedPostgres(Borrowed, PostgresDatabase):
    """A ``psycopg.Connection``, whatever its cursors, row factory, adapters, encoding and settings are."""

    @property
    def commits_each_statement(self) -> bool:
        idle = self._connection.info.transaction_status == TransactionStatus.IDLE
        return bool(idle and self._connection.autocommit)

    def _check_state(self) -> None:
        connection = self._connection
        if connection.closed:
            raise UsageError("The connection is closed.")
        if connection.info.transaction_status == TransactionStatus.INERROR:
            raise UsageError("The transaction of the connection has failed.", hint="Roll it back first.")
        if connection.pgconn.pipeline_status != PipelineStatus.OFF:
            raise UsageError("The connection is in pipeline mode.", hint="Enqueue before or after the pipeline.")

    @property
    def _is_utf8(self) -> bool:
        return bool(self._connection.info.encoding == UTF8)

    def _new_cursor(self) -> "psycopg.Cursor[Row]":
        kind = _Cursor if self._is_utf8 else _EscapingCursor
        return kind(self._connection, row_factory=tuple_row)

    def _execute(self, sql: str, values: list[Any], *, buffered: bool = True) -> Any:
        del buffered
        return self._cursor.execute(sql, values or None)

    @cached
    def _cursor(self) -> "psycopg.Cursor[Row]":
        return self._new_cursor()

    def _rows(self, statement: str, tags: frozenset[str], values: Mapping[str, Any]) -> list[Row]:
        return [tuple(map(text_of, row)) for row in super()._rows(statement, tags, values)]

    def _send_opening(self) -> None:
        """Nothing to do: psycopg begins transactions for the application."""

    def _adapt(self, value: datetime) -> str:
        return value.isoformat()

    def insert(self, statement: str, rows: Sequence[Row], /, **values: Any) -> int:
        if self._is_utf8:
            adapted = ([self._adapt(value) if isinstance(value, datetime) else value for value in row] for row in rows)
            return super().insert(statement, list(map(tuple, adapted)), **values)
        return Database.insert(self, statement, rows, **values)

    def _notify(self, payloads: Sequence[str]) -> None:
        self.plain_rows("job.notifications.notify_within", queues=list(payloads))

    def _error(self, error: Exception) -> HammerworkError | None:
        return self._in_our_words(super()._error(error))
