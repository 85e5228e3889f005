"""Notifications that wake idle workers."""

from collections.abc import Iterable

from hammerwork_cli.database import Database

CHANNEL = "hammerwork"


def notify(database: Database, queues: Iterable[str]) -> None:
    """Wakes idle workers of these queues when the transaction commits; only PostgreSQL can do that."""
    if database.dialect == "postgresql":
        for queue in sorted(set(queues)):
            database.rows("job.notifications.notify", queue=queue)
