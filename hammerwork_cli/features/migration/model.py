"""Migrations of the tables, and their states."""

from enum import StrEnum
from typing import NamedTuple

from hammerwork_cli.core.values import Timestamp

UNREADABLE_STRATEGY = (
    "Version 3 of hammerwork (Rust) has migrated this database, but cannot read its column retry_strategy, which is"
    " TEXT: its workers leave jobs that have a strategy Running, and its reaper fails on them."
    " Run: hammerwork migration run"
)


class RustVersion(StrEnum):
    """A version of hammerwork (Rust) whose tables are known, the oldest first."""

    V1 = "1.15.5"
    V3 = "3"


class Migration(NamedTuple):
    """A change of the tables."""

    id: str
    description: str
    # `upstream` if hammerwork (Rust) has a migration with the same id; `ours`; or `other` if it is recorded in the
    # database and unknown to this version.
    owner: str = "upstream"
    # The first version of hammerwork (Rust) that has it; `None` for one of `ours` or `other`.
    rust: RustVersion | None = None

    @property
    def owner_name(self) -> str:
        """The owner's name for people. Scripts keep ``owner``."""
        return {"upstream": "hammerwork (Rust)", "ours": "hammerwork-cli"}.get(self.owner, self.owner)


class MigrationState(NamedTuple):
    migration: Migration
    # `applied`; `incomplete` if it is recorded and objects that it makes are missing; `pending`; or `partial` if some
    # of its tables, columns or indexes exist without a record.
    state: str
    # `executed_at` and `execution_time_ms`: as recorded; `None` without a record.
    executed_at: Timestamp = None
    execution_time_ms: int | None = None
    # The objects that an incomplete one lacks, such as `column hammerwork_jobs.claimed_at`.
    missing: tuple[str, ...] = ()
    # What the run that applied it had to change in jobs, or what does not work until it is applied.
    warnings: tuple[str, ...] = ()

    @property
    def applied(self) -> bool:
        return self.state == "applied"


class RustFit(NamedTuple):
    """Which version of hammerwork (Rust) a database suits."""

    # The newest that finds the tables, columns and types that it expects; `None` if none does.
    version: RustVersion | None
    # What the next version lacks: ids of migrations, the first to apply first. Empty for the newest.
    lacking: tuple[str, ...]
    uses: bool = False  # whether a migration of version 3 is recorded
    unreadable: bool = False  # whether `retry_strategy` has a type that version 3 cannot read
    runs_here: bool = True  # whether version 3 runs on this kind of database at all


class TableRewrite(NamedTuple):
    """A table that a migration locks against writers, and maybe readers, while it writes rows again."""

    table: str
    rows: int  # rows of the table
    written: int  # those that are written again. If it is all of them, all indexes are made again as well.
    readers_wait: bool = True


class PlannedMigration(NamedTuple):
    """The statements that ``migration run`` sends for a migration; it only records one that has none left."""

    migration: Migration
    statements: tuple[str, ...]
    rewrites: tuple[TableRewrite, ...] = ()


class TableRows(NamedTuple):
    table: str
    rows: int
