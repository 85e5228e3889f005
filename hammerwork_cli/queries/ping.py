"""Whether the database answers."""

from hammerwork_cli.database import Database


def check(database: Database) -> None:
    """Asks for nothing.

    Raises:
        DatabaseError: the database does not answer, or has no tables.
    """
    database.rows("ping.check")
