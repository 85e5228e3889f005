"""Reads batches and workflows: rows whose jobs are counted whenever somebody looks."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from hammerwork_cli.core.values import Counts, Timestamp
from hammerwork_cli.database import Database
from hammerwork_cli.errors import NotFoundError
from hammerwork_cli.features.job.queries.listing import by_prefix
from hammerwork_cli.features.tree.queries import cursors

PAGE = 100
"""Rows whose jobs are counted by one statement."""


class _CountedRow(Protocol):
    @property
    def id(self) -> str: ...

    @property
    def created_at(self) -> Timestamp: ...

    @property
    def counts(self) -> Counts: ...


Of = TypeVar("Of", bound=_CountedRow)


class RowReader(NamedTuple, Generic[Of]):
    """Reads the rows of one table, with their jobs counted."""

    noun: str  # `batch` or `workflow`
    table: str
    listing: str  # the statement that lists rows after a cursor, newest first
    row: str  # the one that reads a row, with its metadata as the last column
    prefix: str  # the one that lists ids between two
    # Makes batches or workflows of rows, and counts their jobs; in the same order.
    counted: Callable[[Database, Sequence[Sequence[Any]]], list[Of]]

    def find(
        self,
        database: Database,
        *,
        limit: int,
        cursor: str | None = None,
        accepts: Callable[[Of], bool] | None = None,
        **filters: Any,
    ) -> Iterator[Of]:
        """Yields batches or workflows, newest first.

        Raises UsageError if the cursor is not valid.

        Args:
            cursor: ``CREATED_AT/ID`` of the last one of the page before, or its id.
            accepts: whether to take one, by its counts; without it, all are taken.
        """
        if not database.has_table(self.table):
            return
        at, after = cursors.split(cursor) if cursor else (None, None)
        if after is not None and at is None:
            at = self.one(database, after).created_at  # type: ignore[assignment]  # a driver's time is a value, too
        while limit > 0:
            size = PAGE if accepts else min(limit, PAGE)
            rows = database.rows(self.listing, at=at, after=after, limit=size, **filters)
            page = self.counted(database, rows)
            wanted = [one for one in page if accepts is None or accepts(one)][:limit]
            yield from wanted
            limit -= len(wanted)
            if len(page) < size:
                return
            at, after = page[-1].created_at, page[-1].id  # type: ignore[assignment]  # as above

    def one(self, database: Database, full_id: str) -> Of:
        """The one with this full id."""
        return self.with_metadata(database, full_id)[0]

    def with_metadata(self, database: Database, full_id: str) -> tuple[Of, str | None]:
        """The one with this full id, and the JSON text of its metadata."""
        row = database.row(self.row, id=full_id) if database.has_table(self.table) else None
        if row is None:
            raise NotFoundError(f"The {self.noun} {full_id} does not exist.", hint=self._hint)
        *columns, metadata = row
        return self.counted(database, [columns])[0], metadata

    def resolve(self, database: Database, text: str) -> str:
        """The full id of one, by its id or a unique prefix.

        Raises UsageError if the text is not 4 to 32 hex digits. Raises NotFoundError if none has such an id. Raises
        AmbiguousIdError if several have; the details list them.
        """
        statements = [self.prefix] if database.has_table(self.table) else []
        return by_prefix(database, text, statements, noun=self.noun, hint=self._hint)

    @property
    def _hint(self) -> str:
        return f"To list them: hammerwork {self.noun} list"


class EndWatch(Generic[Of]):
    """Watches a batch or a workflow until it has ended.

    Args:
        text: its id or a unique prefix.
        has_ended: whether nothing more can happen to it unless somebody steps in.
    """

    def __init__(self, database: Database, reader: RowReader[Of], text: str, has_ended: Callable[[Of], bool]) -> None:
        self._database, self._reader, self._has_ended = database, reader, has_ended
        self.found = reader.one(database, reader.resolve(database, text))  # the batch or the workflow as last read

    def connected(self, database: Database) -> None:
        """Continues with another connection."""
        self._database = database

    def look(self) -> bool:
        """Reads it; returns whether it has ended."""
        self.found = self._reader.one(self._database, self.found.id)
        return self._has_ended(self.found)
