"""The statements that are printed for a database are those that it gets."""

from hammerwork_cli.database import Database
from hammerwork_cli.database.statements import GROWN


def test_the_printer_knows_the_tags_of_a_database_after_all_migrations(database: Database) -> None:
    assert database.tags == {database.dialect, "current", *GROWN}
