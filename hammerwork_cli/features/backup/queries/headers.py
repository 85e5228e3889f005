"""The header of a file of jobs."""

from collections.abc import Iterable
from datetime import datetime

from hammerwork_cli.core.values import rfc3339
from hammerwork_cli.database import Database
from hammerwork_cli.features.backup.models.tables import Record, described
from hammerwork_cli.features.backup.queries.rows import Rows


def header(database: Database, now: datetime, kind: str, tables: Iterable[Rows], **filters: object) -> Record:
    """What a file says about itself.

    Args:
        kind: ``tree`` or ``backup``.
        filters: what was asked for; ``None`` for what was not.
    """
    migrations = database.rows("backup.migrations") if "hammerwork_migrations" in database.schema else []
    others = {rows.word: described(rows.others) for rows in tables if rows.others}
    return {
        "kind": kind,
        "created_at": rfc3339(now),
        "server": database.server,
        "migrations": [str(name) for (name,) in migrations],
        "filter": {name: value for name, value in filters.items() if value is not None},
        **({"columns": others} if others else {}),
    }
