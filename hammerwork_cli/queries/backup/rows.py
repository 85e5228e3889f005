"""Rows of any table as records of a file, and the way back."""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from hammerwork_cli.cached import cached
from hammerwork_cli.database import Database
from hammerwork_cli.database.access import Row
from hammerwork_cli.database.batches import chunks
from hammerwork_cli.database.driver_errors import MIGRATE
from hammerwork_cli.database.statements import Names
from hammerwork_cli.errors import MissingTablesError
from hammerwork_cli.models.backup.tables import TABLES, Kind, Record, Table, read, written
from hammerwork_cli.queries.job.enqueue import stored_ids
from hammerwork_cli.queries.job.export import FIRST_PAGE, next_limit

ROWS_PER_STATEMENT = 500


class Rows:
    """The rows of one table of a database, with those of its columns that files have.

    Args:
        word: of the table, in files.

    Raises:
        MissingTablesError: the database has no such table.
    """

    def __init__(self, database: Database, word: str) -> None:
        self.database = database
        self.word = word
        self.table: Table = TABLES[word]
        stored = database.schema.get(self.table.name)
        if stored is None:
            raise MissingTablesError(f"This database has no table {self.table.name} yet.", hint=MIGRATE)
        self.kinds = {name: kind for name, kind in self.table.columns.items() if name in stored}
        self._names = {"table": Names((self.table.name,)), "columns": Names(self.kinds)}

    @classmethod
    def words(cls, database: Database) -> list[str]:
        """The words of the tables that a database has."""
        database.jobs_columns()  # raises if there are none at all
        return [word for word, table in TABLES.items() if table.name in database.schema]

    @property
    def is_named(self) -> bool:
        """Whether a name is the key: there are few rows, such as pauses and policies."""
        return self.table.columns[self.table.key[0]] is not Kind.ID

    # Reading.

    def all(self) -> Iterator[Record]:
        """Yields all rows in the order of the first column of their key, with flat memory."""
        key = self.table.key[0]
        names, place = {**self._names, "key": Names((key,))}, list(self.kinds).index(key)
        after, limit = None, FIRST_PAGE
        while True:
            rows = self.database.rows("backup.page", **names, after=after, limit=limit)
            whole = rows
            if len(rows) == limit and len(self.table.key) > 1:
                # The rows of the last owner may go on: they come with the next page, or all by themselves.
                whole = [row for row in rows if row[place] != rows[-1][place]] or self._of_one(key, rows[-1][place])
            yield from map(self.record, whole)
            if len(rows) < limit:
                return
            after, limit = whole[-1][place], next_limit(rows)

    def _of_one(self, key: str, owner: str) -> list[Row]:
        return self._of_owners(self.kinds, key, [owner])

    def _of_owners(self, columns: Iterable[str], owner: str, ids: Sequence[str]) -> list[Row]:
        names = {"table": self._names["table"], "columns": Names(columns), "owner": Names((owner,))}
        return self.database.rows("backup.of_owner", **names, ids=self.database.ids(ids))

    def of(self, owner: str, ids: Sequence[str]) -> Iterator[Record]:
        """Yields the rows whose column ``owner`` has one of some ids, those of near ids together."""
        for part in chunks(sorted(ids), min(self.database.read_chunk, ROWS_PER_STATEMENT)):
            yield from map(self.record, self._of_owners(self.kinds, owner, part))

    def record(self, row: Row) -> Record:
        """A row as a record."""
        found: Record = {}
        for (name, kind), value in zip(self.kinds.items(), row, strict=True):
            found |= written(kind, name, value)
        return found

    # Writing.

    def insert(self, values: Sequence[Record]) -> int:
        """Inserts rows, the values of which :func:`hammerwork_cli.models.backup.tables.values` has made."""
        rows = [tuple(self._stored(name, kind, one[name]) for name, kind in self.kinds.items()) for one in values]
        size = max(1, min(ROWS_PER_STATEMENT, self.database.scan_chunk // len(self.kinds)))
        return sum(
            self.database.insert("backup.insert", rows[start : start + size], **self._names)
            for start in range(0, len(rows), size)
        )

    def lacking(self, values: Record) -> str | None:
        """Says which column has a value that this database cannot store because it lacks the column."""
        name = next((name for name, value in values.items() if value is not None and name not in self.kinds), None)
        return name and f"this database has no column {name}"

    def is_of_seconds(self, name: str) -> bool:
        """Whether a column of times has no fractions of seconds, as some have that hammerwork (Rust) made in MySQL."""
        return self._types[name] in {"timestamp", "datetime"}

    @property
    def _types(self) -> dict[str, str]:
        return self.database.schema[self.table.name]

    def existing(self, values: Sequence[Record]) -> set[tuple[Any, ...]]:
        """The keys of the given rows that already exist."""
        key = self.table.key
        if self.is_named:
            return {tuple(record[name] for name in key) for record in self.all()} & set(map(self.key_of, values))
        found: set[tuple[Any, ...]] = set()
        for part in chunks(sorted({one[key[0]] for one in values}), ROWS_PER_STATEMENT):
            for row in self._of_owners(key, key[0], part):
                pairs = zip(key, row, strict=True)
                found.add(
                    tuple(read(self.kinds[name], name, written(self.kinds[name], name, one)) for name, one in pairs)
                )
        return found

    def taken(self, values: Sequence[Record]) -> set[tuple[Any, ...]]:
        """The keys of the given rows whose unique value another row already has."""
        name = self.table.unique
        if name is None:
            return set()
        known = {record[name]: self.key_of(record) for record in self.all()}
        keys = {self.key_of(one): one[name] for one in values}
        return {key for key, wanted in keys.items() if known.get(wanted, key) != key}

    def alike(self, names: Iterable[str]) -> list[tuple[str, str]]:
        """Pairs of different names that this database takes for the same key."""
        given = sorted(names)
        if self.database.dialect != "mysql" or not given:
            return []
        collation = self.database.value("backup.collation", table=self.table.name, column=self.table.key[0])
        if collation is None:
            return []
        compared = {"charset": Names((collation.partition("_")[0],)), "collation": Names((collation,))}
        pairs = self.database.rows("backup.alike", names=json.dumps(given), **compared)
        return [(bytes(one).decode(), bytes(other).decode()) for one, other in pairs]

    def key_of(self, values: Record) -> tuple[Any, ...]:
        return tuple(values[name] for name in self.table.key)

    def remove(self, values: Sequence[Record]) -> None:
        """Deletes the rows that have the keys of these."""
        key, *more = self.table.key
        if self.is_named:
            for value in values:
                self.database.run("backup.delete_named", table=self._names["table"], queue=value[key])
            return
        if more:  # further rows of an owner stay: they may come from another part of the file
            names = {"table": self._names["table"], "owner": Names((key,)), "second": Names(more[:1])}
            for value in values:
                second, other, *_ = *(self._stored(name, self.kinds[name], value[name]) for name in more), None
                self.database.run(
                    "backup.delete_one", **names, third=Names(more[1:]), id=value[key], value=second, other=other
                )
            return
        for part in chunks(sorted({value[key] for value in values}), ROWS_PER_STATEMENT):
            names = {"table": self._names["table"], "owner": Names((key,))}
            self.database.run("backup.delete", **names, ids=self.database.ids(part))

    def count(self) -> int:
        return int(self.database.value("backup.count", table=self._names["table"]))

    @cached
    def _has_lists(self) -> bool:
        return self.database.dialect == "postgresql"

    def _stored(self, name: str, kind: Kind, value: Any) -> Any:
        if value is None:
            return None
        if kind is Kind.TIME and self.is_of_seconds(name):
            return value.replace(microsecond=0)  # the server would round half of them up
        if kind is Kind.IDS:
            return stored_ids(self.database, value)
        if kind is Kind.TEXTS:
            return list(value) if self._has_lists else json.dumps(value)
        return value
