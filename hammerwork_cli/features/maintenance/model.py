"""The tables and indexes of a database: how large they are, what they may be, and the work done on them."""

from datetime import timedelta
from typing import NamedTuple

from hammerwork_cli.core.values import Timestamp


class Stored(NamedTuple):
    """A table or one of its indexes, in the order of the statement's columns."""

    name: str  # of the table or the index
    table: str  # the table
    rows: int | None  # an estimate, which the server keeps; exact in SQLite. `None` for an index.
    bytes: int | None  # on disk, of a table without its indexes; `None` where the server does not tell
    # Rows that were changed or deleted and still take up space; `None` where there is no such number.
    dead_rows: int | None
    is_valid: bool  # false for an index whose build was interrupted
    vacuumed_at: Timestamp  # when dead rows were last removed, by hand or by the server itself

    @property
    def is_index(self) -> bool:
        return self.name != self.table

    @property
    def dead_share(self) -> float | None:
        """Dead rows among all rows, 0 to 1; ``None`` if nobody knows."""
        if self.dead_rows is None or self.rows is None:
            return None
        return self.dead_rows / max(self.dead_rows + self.rows, 1)


class AllowedTables(NamedTuple):
    """Limits of the checks of tables; ``None`` switches a check off."""

    rows: int | None  # most rows of the table of jobs
    dead: float | None  # largest share of dead rows of a table
    transaction: timedelta | None  # longest time that a transaction may be open


class Done(NamedTuple):
    """Work on a table or an index."""

    name: str  # of the table or the index
    work: str  # `vacuum`, `analyze`, `optimize`, `reindex` or `drop`
    seconds: float
