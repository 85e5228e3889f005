"""The tables' own history: migrations, and what became of them."""

from dataclasses import dataclass

from hammerwork_cli.models.values import Timestamp


@dataclass(frozen=True, slots=True)
class Migration:
    """A change of the tables.

    Attributes:
        owner: ``upstream`` for those that the Rust original knows by the same id, ``ours``, or ``other`` for one that
            is recorded and that this version does not know.
    """

    id: str
    description: str
    owner: str = "upstream"


@dataclass(frozen=True, slots=True)
class MigrationState:
    """What became of a migration.

    Attributes:
        state: ``applied``, ``pending``, or ``partial`` when it is not recorded although some of what it makes is there.
        executed_at, execution_time_ms: as recorded, ``None`` when it is not.
    """

    migration: Migration
    state: str
    executed_at: Timestamp = None
    execution_time_ms: int | None = None

    @property
    def applied(self) -> bool:
        """Whether it is recorded."""
        return self.state == "applied"


@dataclass(frozen=True, slots=True)
class PlannedMigration:
    """What a run would send for a migration: nothing but the record when ``statements`` is empty."""

    migration: Migration
    statements: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TableRows:
    """A table of ours and how many rows it holds."""

    table: str
    rows: int
