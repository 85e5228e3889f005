"""Migrations of the tables, and their states."""

from typing import NamedTuple

from hammerwork_cli.models.values import Timestamp


class Migration(NamedTuple):
    """A change of the tables.

    Attributes:
        owner: ``upstream`` if hammerwork (Rust) has a migration with the same id; ``ours``; or ``other`` if it is
            recorded in the database and unknown to this version.
    """

    id: str
    description: str
    owner: str = "upstream"

    @property
    def owner_name(self) -> str:
        """The owner's name for people. Scripts keep ``owner``."""
        return {"upstream": "hammerwork (Rust)", "ours": "hammerwork-cli"}.get(self.owner, self.owner)


class MigrationState(NamedTuple):
    """The state of a migration in a database.

    Attributes:
        state: ``applied``; ``incomplete`` if it is recorded and objects that it makes are missing; ``pending``; or
            ``partial`` if some of its tables, columns or indexes exist without a record.
        executed_at, execution_time_ms: as recorded; ``None`` without a record.
        missing: the objects that an incomplete one lacks, such as ``column hammerwork_jobs.claimed_at``.
    """

    migration: Migration
    state: str
    executed_at: Timestamp = None
    execution_time_ms: int | None = None
    missing: tuple[str, ...] = ()

    @property
    def applied(self) -> bool:
        return self.state == "applied"


class PlannedMigration(NamedTuple):
    """The statements that ``migration run`` sends for a migration; it only records one that has none left."""

    migration: Migration
    statements: tuple[str, ...]


class TableRows(NamedTuple):
    table: str
    rows: int
