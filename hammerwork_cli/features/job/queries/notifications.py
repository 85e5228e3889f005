"""Notifications that wake idle workers."""

from collections.abc import Iterable

from hammerwork_cli.database import Database

CHANNEL = "hammerwork"


def notify(database: Database, queues: Iterable[str]) -> None:
    """Wakes idle workers of these queues once the transaction has committed; only PostgreSQL can do that."""
    database.notify(queues)
