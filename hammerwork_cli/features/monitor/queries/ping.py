from hammerwork_cli.database import Database


def check(database: Database) -> None:
    """Checks that the database answers. Raises DatabaseError if the database does not answer, or has no tables."""
    database.rows("monitor.ping.check")
