"""The commands that hints and answers print, for the database that the command line names."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from shlex import quote

from hammerwork_cli.database.url import redact
from hammerwork_cli.errors import HammerworkError
from hammerwork_cli.view.text import visible

GROUPS = (
    *("spawn", "job", "queue", "cron", "batch", "workflow", "worker"),
    *("monitor", "archive", "maintenance", "backup", "web", "migration"),
)
"""The groups whose commands open a database."""
_COMMAND = re.compile(rf"\bhammerwork (?=(?:{'|'.join(GROUPS)}) [a-z])(?!\S+ \S+ --help)")
_JSON = re.compile(r"\s*[\[{\"]")


def with_database_option(text: str, database: str) -> str:
    """Adds ``-u`` to the commands in a text for people, because a command that is pasted must open the same database.

    A command that has ``-u`` stays, and so do lines of JSON, because they are data.

    Args:
        database: a URL, whose password is hidden, or ``@`` and a profile.
    """
    if "hammerwork " not in text:  # as in nearly all lines of a large tree
        return text
    option = f"hammerwork -u {visible(quote(redact(database.strip())))} "
    return "\n".join(_aimed(line, option) for line in text.split("\n"))


def _aimed(line: str, option: str) -> str:
    if _JSON.match(line):
        return line
    # A command may quote an error that names a command, and must still find that error.
    return _COMMAND.sub(lambda _: option, line, count=line.lstrip().startswith("hammerwork "))


@contextmanager
def hints_with_database_option(database: str) -> Iterator[None]:
    """Lets the hints of errors name a database, for a command that opens two."""
    try:
        yield
    except HammerworkError as error:
        error.hint = error.hint and with_database_option(error.hint, database)
        raise
