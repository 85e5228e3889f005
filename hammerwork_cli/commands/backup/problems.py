"""Records that a database cannot store, on stderr."""

from collections.abc import Iterator
from contextlib import contextmanager

from hammerwork_cli.cli.context import Context
from hammerwork_cli.queries.backup.importing import RecordsError
from hammerwork_cli.render.formats.text import visible


@contextmanager
def naming_records(context: Context) -> Iterator[None]:
    """Prints the lines of a file that cannot be stored, before the error that counts them."""
    try:
        yield
    except RecordsError as error:
        for problem in error.problems if not context.speaks_json else ():
            context.print_wrapped(visible(f"Line {problem.line}: {problem.error}"))
        raise
