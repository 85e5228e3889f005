"""The commands that hints and answers print, for the database that the command line names."""

from collections.abc import Iterator
from contextlib import contextmanager
from shlex import quote

from hammerwork_cli.core.values import Migrated
from hammerwork_cli.database.url import redact
from hammerwork_cli.errors import HammerworkError
from hammerwork_cli.view.commands import runnable
from hammerwork_cli.view.text import visible


def with_database_option(text: str, database: str, migrated: Migrated = Migrated.ALL) -> str:
    """Adds ``-u`` to the commands in a text for people, because a command that is pasted must open the same database.

    A command that has ``-u`` stays, and so do lines of JSON, because they are data.

    Args:
        database: a URL, whose password is hidden, or ``@`` and a profile.
    """
    return runnable(text, migrated, option=f"-u {visible(quote(redact(database.strip())))} ")


@contextmanager
def hints_with_database_option(database: str) -> Iterator[None]:
    """Lets the hints of errors name a database, for a command that opens two."""
    try:
        yield
    except HammerworkError as error:
        error.hint = error.hint and with_database_option(error.hint, database)
        raise
