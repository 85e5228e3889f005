"""The header of a file of jobs."""

from datetime import datetime

from hammerwork_cli.database import Database
from hammerwork_cli.models import rfc3339
from hammerwork_cli.models.backup.tables import Record


def header(database: Database, now: datetime, kind: str, **filters: object) -> Record:
    """What a file says about itself.

    Args:
        database: where its records come from.
        kind: ``tree`` or ``backup``.
        filters: what was asked for; ``None`` for what was not.
    """
    migrations = database.rows("backup.migrations") if "hammerwork_migrations" in database.schema else []
    return {
        "kind": kind,
        "created_at": rfc3339(now),
        "server": database.server,
        "migrations": [str(name) for (name,) in migrations],
        "filter": {name: value for name, value in filters.items() if value is not None},
    }
