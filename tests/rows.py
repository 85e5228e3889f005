"""Rows as anybody may have written them: the tests' way around the program's own writing."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any
from uuid import uuid4

from hammerwork_cli.database import Database

START = datetime(2026, 11, 24, 14, 0, tzinfo=UTC)
CONFIG = {"operation_id": "op-1", "max_spawn_count": 10, "inherit_priority": True}
ROWS_A_STATEMENT = 500


class Rows:
    """Inserts jobs into a database; each is a second younger than the one before."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.written = 0
        self._kept: list[tuple[str, dict[str, Any]]] | None = None

    @property
    def url(self) -> str:
        return self.database.url.raw

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Writes what is inserted in the block when it ends, many rows a statement."""
        self._kept = []
        yield
        kept, self._kept = self._kept, None

        def write() -> None:
            for (table, _), alike in groupby(kept, key=lambda row: (row[0], tuple(row[1]))):
                rows = [row for _, row in alike]
                if self.database.dialect == "postgresql":
                    self._copy(table, rows)
                    continue
                for start in range(0, len(rows), ROWS_A_STATEMENT):
                    self._insert(table, rows[start : start + ROWS_A_STATEMENT])

        self.database.transaction(write)

    def job(
        self,
        *parents: str,
        queue: str = "work",
        status: str = "Completed",
        payload: Any = None,
        spawns: Any = None,
        depends_on: Any = ...,
        table: str = "hammerwork_jobs",
        **columns: Any,
    ) -> str:
        """Writes one row and returns its id.

        Args:
            parents: ids for ``depends_on``.
            queue: its queue.
            status: as the row spells it.
            payload: anything that JSON can say.
            spawns: ``_spawn_config``; ``True`` for an ordinary one.
            depends_on: the stored value instead of ``parents``.
            table: the archive, if wanted.
            columns: further columns.
        """
        self.written += 1
        created = START + timedelta(seconds=self.written)
        if spawns is not None:
            payload = {**(payload or {}), "_spawn_config": CONFIG if spawns is True else spawns}
        row = {
            "id": str(uuid4()),
            "queue_name": queue,
            "payload": json.dumps({} if payload is None else payload),
            "status": status,
            "created_at": created,
            "scheduled_at": created,
            "depends_on": self.ids(parents) if depends_on is ... else depends_on,
            **columns,
        }
        self.insert(table, row)
        return str(row["id"])

    def insert(self, table: str, row: dict[str, Any]) -> None:
        """Writes one row as it is."""
        if self._kept is None:
            self._insert(table, [row])
        else:
            self._kept.append((table, row))

    def _insert(self, table: str, rows: Sequence[dict[str, Any]]) -> None:
        places = f"({', '.join([self.database.placeholder] * len(rows[0]))})"
        sql = f"INSERT INTO {table} ({', '.join(rows[0])}) VALUES {', '.join([places] * len(rows))}"
        self.run(sql, [value for row in rows for value in row.values()])

    def _copy(self, table: str, rows: Sequence[dict[str, Any]]) -> None:
        """Writes rows in half of the time that an INSERT takes, with its many parameters."""
        with (
            self.database._connection.cursor() as cursor,
            cursor.copy(f"COPY {table} ({', '.join(rows[0])}) FROM STDIN") as copy,
        ):
            for row in rows:
                copy.write_row([self.adapted(value) for value in row.values()])

    def adapted(self, value: Any) -> Any:
        """A value as the driver wants it."""
        return self.database._adapt(value) if isinstance(value, datetime) else value

    def run(self, sql: str, values: Sequence[Any] = ()) -> None:
        """Sends a statement that returns nothing, with a ``?`` for each value."""
        sql = sql.replace("?", self.database.placeholder) if values else sql
        self.database._execute(sql, [self.adapted(value) for value in values])

    def ids(self, ids: Sequence[str]) -> str:
        """A list of ids as ``depends_on`` holds it here."""
        if self.database.dialect == "postgresql" and self.database.schema["hammerwork_jobs"]["depends_on"] == "uuid[]":
            return "{" + ",".join(ids) + "}"
        return json.dumps(list(ids))
