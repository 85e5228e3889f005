"""Rows of any table as records of a file, and the way back."""

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from hammerwork_cli.cached import cached
from hammerwork_cli.core.input import strategies
from hammerwork_cli.database import Database
from hammerwork_cli.database.access import Row
from hammerwork_cli.database.batches import chunks
from hammerwork_cli.database.driver_errors import MIGRATE
from hammerwork_cli.database.statements import Columns, Names
from hammerwork_cli.errors import MissingTablesError, RefusedValueError, UsageError
from hammerwork_cli.features.backup.models.tables import (
    LEASES,
    NOT_IN_FILES,
    ONLY_COPIED,
    TABLES,
    TEXT_OF,
    ColumnKind,
    OtherColumn,
    OtherColumns,
    Record,
    Table,
    other_column,
    other_written,
    read,
    values,
    written,
)
from hammerwork_cli.features.job.queries.enqueue import stored_ids
from hammerwork_cli.features.job.queries.export import FIRST_PAGE, next_limit

ROWS_PER_STATEMENT = 500
_VARIED = re.compile(r"(?:varchar|varbinary|character varying|char|character|binary)\((\d+)\)")


class Rows:
    """The rows of one table of a database, with all of its columns, but for leases.

    Its columns are read when this is made, because another program may have added one since the connection was opened.

    Args:
        without: columns to leave out, of those that this version does not know.
    """

    def __init__(self, database: Database, word: str, without: Collection[str] = ()) -> None:
        self.database = database
        self.word = word
        self.table: Table = TABLES[word]
        # Column -> its whole type in the database.
        self.types = dict(map(_texts, database.rows("backup.columns", name=self.table.name)))
        if not self.types:
            raise MissingTablesError(f"This database has no table {self.table.name} yet.", hint=MIGRATE)
        # All columns that a file can carry, those that this version knows first.
        self.kinds = {name: kind for name, kind in self.table.columns.items() if name in self.types}
        self.others: dict[str, OtherColumn] = {}  # the columns that this version does not know
        self._without = frozenset(without)
        self._unreadable: dict[str, str] = {}
        self._strange: dict[str, str] = {}
        for name in self.types.keys() - self.kinds.keys() - LEASES.get(word, frozenset()) - self._without:
            column = other_column(database.dialect, name, self.types[name])
            if column is None or self.table.columns.get(name.removesuffix(TEXT_OF)) is ColumnKind.JSON:
                self._unreadable[name] = self.types[name]
            else:
                self.others[name] = column
        self.others = dict(sorted(self.others.items()))
        self.kinds |= {name: other.kind for name, other in self.others.items()}
        self._table = Names((self.table.name,))

    @classmethod
    def of_all(
        cls,
        database: Database,
        without: Collection[str] = (),
        arriving: Mapping[str, OtherColumns] | None = None,
        *,
        copied: bool = False,
    ) -> "dict[str, Rows]":
        """The tables that a database has, by their words.

        Args:
            arriving: the columns of a file that this version does not know, by the words of their tables.
            copied: those that only a copy has, too.
        """
        found = {word: cls(database, word, without) for word in cls.words(database, copied=copied)}
        unknown = {name for rows in found.values() for name in rows.types.keys() - rows.table.columns.keys()}
        unknown.update(*(columns for columns in (arriving or {}).values()))
        for name in without:
            if name not in unknown:
                raise UsageError(f"No table has a column {name!r:.60} that this version does not know.")
        return found

    @classmethod
    def words(cls, database: Database, *, copied: bool = False) -> list[str]:
        """The words of the tables that a database has, for a file or for a copy."""
        database.jobs_columns()  # raises if there are none at all
        left_out = frozenset[str]() if copied else ONLY_COPIED
        return [word for word, table in TABLES.items() if table.name in database.schema and word not in left_out]

    def accept(self, arriving: OtherColumns) -> dict[str, OtherColumn]:
        """Compares the other columns of a file with those of this database.

        Returns the columns in whose kinds the values are to be read. :meth:`lacking` refuses those that do not fit
        here.
        """
        found: dict[str, OtherColumn] = {}
        for name, theirs in arriving.items():
            ours = self.others.get(name)
            if name in self._without:
                continue
            if ours is not None and ours.takes(theirs):
                found[name] = ours
                continue
            found[name] = theirs
            kind = self.types.get(name)
            self._strange[name] = f"the type {kind} cannot hold it" if kind else "this database has no such column"
        return found

    def values(self, record: Record, others: OtherColumns | None = None) -> Record:
        """The values of a record: of one that :meth:`all` or :meth:`of` has read, or of a file.

        Args:
            record: the record, which loses the columns to leave out.
            others: what :meth:`accept` returned for the file.
        """
        if self._without:
            gone = self._without - self.table.columns.keys()
            record = {name: value for name, value in record.items() if name not in gone}
        found = values(self.word, record, self.others if others is None else others)
        strategy = found.get("retry_strategy") if self.word == "jobs" and "rust_3" in self.database.tags else None
        if strategy is not None and not strategies.is_readable(strategy):
            raise UsageError(
                f"Version 3 of hammerwork (Rust) uses this database, and cannot read the retry_strategy {strategy:.60}."
            )
        return found

    @property
    def is_named(self) -> bool:
        """Whether a name is the key: there are few rows, such as pauses and policies."""
        return self.table.columns[self.table.key[0]] is not ColumnKind.ID

    # Reading.

    def all(self) -> Iterator[Record]:
        """Yields all rows in the order of the first column of their key, with flat memory."""
        key = self.table.key[0]
        names = {"table": self._table, "columns": self._selected, "key": Names((key,))}
        place = list(self.kinds).index(key)
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
        return self._of_owners(self._selected, key, [owner])

    def _of_owners(self, columns: Names, owner: str, ids: Sequence[str]) -> list[Row]:
        names = {"table": self._table, "columns": columns, "owner": Names((owner,))}
        return self.database.rows("backup.of_owner", **names, ids=self.database.ids(ids))

    def of(self, owner: str, ids: Sequence[str]) -> Iterator[Record]:
        """Yields the rows whose column ``owner`` has one of some ids, those of near ids together."""
        for part in chunks(sorted(ids), min(self.database.read_chunk, ROWS_PER_STATEMENT)):
            yield from map(self.record, self._of_owners(self._selected, owner, part))

    @cached
    def _selected(self) -> Columns:
        """The terms to read. Raises RefusedValueError if a file cannot carry the values of a column."""
        for name, kind in self._unreadable.items():
            raise self._refused(name, f"its type {kind} cannot be carried")
        return Columns(
            self.database.as_text(self.database.quoted(name), self.types[name])
            if kind is ColumnKind.OTHER
            else self.database.quoted(name)
            for name, kind in self.kinds.items()
        )

    def _refused(self, name: str, why: str) -> RefusedValueError:
        return RefusedValueError(
            f"{self.table.name} has the column {name[:60]!r}, which this version does not know: {why[:100]}.",
            hint=f"To leave it out: --without-column {name}" if name.isidentifier() else None,
        )

    def record(self, row: Row) -> Record:
        found: Record = {}
        for (name, kind), value in zip(self.kinds.items(), row, strict=True):
            if kind is ColumnKind.FLAG and name in self.others and value not in (None, 0, 1):
                raise self._refused(name, f"{value!r} is neither true nor false")
            found |= other_written(kind, name, value) if name in self.others else written(kind, name, value)
        return found

    # Writing.

    def insert(self, values: Sequence[Record]) -> int:
        """Inserts rows whose values :meth:`values` has made. Other columns that they lack get their defaults."""
        alike: dict[tuple[str, ...], list[Record]] = {}
        for one in values:
            names = tuple(name for name in self.kinds if name in one or name not in self.others)
            alike.setdefault(names, []).append(one)
        return sum(self._insert(names, rows) for names, rows in alike.items())

    def _insert(self, names: Sequence[str], values: Sequence[Record]) -> int:
        columns = {"table": self._table, "columns": Columns(map(self.database.quoted, names))}
        rows = [tuple(self._stored(name, self.kinds[name], one[name]) for name in names) for one in values]
        size = max(1, min(ROWS_PER_STATEMENT, self.database.scan_chunk // len(names)))
        return sum(
            self.database.insert("backup.insert", rows[start : start + size], **columns)
            for start in range(0, len(rows), size)
        )

    def lacking(self, values: Record) -> str | None:
        """Says which column has a value that this database cannot store because it lacks the column.

        Raises RefusedValueError if it is a column that this version does not know.
        """
        for name, value in values.items():
            if value is None or (name in self.kinds and name not in self._strange):
                continue
            if name in self.table.columns:
                return f"this database has no column {name}"
            raise self._refused(name, self._strange.get(name, "this database has no such column"))
        return None

    def longest(self, name: str) -> int | None:
        """The most characters, or bytes, of a column whose type says so."""
        found = _VARIED.match(self.types.get(name, ""))
        return int(found[1]) if found else None

    def is_of_seconds(self, name: str) -> bool:
        """Whether a column of times has no fractions of seconds, as some have that hammerwork (Rust) made in MySQL."""
        return self.types[name] in {"timestamp", "datetime"}

    def existing(self, values: Sequence[Record]) -> set[tuple[Any, ...]]:
        """The keys of the given rows that already exist."""
        key = self.table.key
        if self.is_named:
            return {tuple(record[name] for name in key) for record in self.all()} & set(map(self.key_of, values))
        found: set[tuple[Any, ...]] = set()
        for part in chunks(sorted({one[key[0]] for one in values}), ROWS_PER_STATEMENT):
            for row in self._of_owners(Names(key), key[0], part):
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
                self.database.run("backup.delete_named", table=self._table, queue=value[key])
            return
        if more:  # further rows of an owner stay: they may come from another part of the file
            names = {"table": self._table, "owner": Names((key,)), "second": Names(more[:1])}
            for value in values:
                second, other, *_ = *(self._stored(name, self.kinds[name], value[name]) for name in more), None
                self.database.run(
                    "backup.delete_one", **names, third=Names(more[1:]), id=value[key], value=second, other=other
                )
            return
        for part in chunks(sorted({value[key] for value in values}), ROWS_PER_STATEMENT):
            names = {"table": self._table, "owner": Names((key,))}
            self.database.run("backup.delete", **names, ids=self.database.ids(part))

    def count(self) -> int:
        return int(self.database.value("backup.count", table=self._table))

    @cached
    def _has_lists(self) -> bool:
        return self.database.dialect == "postgresql"

    def _stored(self, name: str, kind: ColumnKind, value: Any) -> Any:
        if value is None:
            return None
        if kind is ColumnKind.TIME and self.is_of_seconds(name):
            return value.replace(microsecond=0)  # the server would round half of them up
        if kind is ColumnKind.IDS:
            return stored_ids(self.database, value)
        if kind is ColumnKind.TEXTS:
            return list(value) if self._has_lists else json.dumps(value)
        return value


def left_out(database: Database) -> dict[str, int]:
    """Words of the tables that a copy has and a file has not -> their rows."""
    return {word: Rows(database, word).count() for word in Rows.words(database, copied=True) if word in ONLY_COPIED}


def unknown_tables(database: Database) -> dict[str, int]:
    """Tables that this version does not know, which are in no file -> their rows, of those that have any."""
    known = NOT_IN_FILES | {table.name for table in TABLES.values()}
    names = sorted(database.schema.keys() - known)
    counts = {
        name: int(database.value("backup.count", table=Columns([database.quoted(name)])))
        for name in names
        if name.isidentifier()
    }
    return {name: rows for name, rows in counts.items() if rows}


def _texts(row: Row) -> tuple[str, str]:
    """A name and a type; some servers send them as bytes."""
    name, kind = (one.decode() if isinstance(one, (bytes, bytearray)) else str(one) for one in row)
    return name, kind
