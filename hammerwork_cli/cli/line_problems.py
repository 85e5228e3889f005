"""Lines of a file that cannot be taken, on stderr."""

from collections.abc import Iterator
from contextlib import contextmanager

from hammerwork_cli.cli.context import Context
from hammerwork_cli.models.input.problems import LineError
from hammerwork_cli.render.formats.text import visible


@contextmanager
def naming_lines(context: Context) -> Iterator[None]:
    """Prints what is wrong with each line, before the error that counts them."""
    try:
        yield
    except LineError as error:
        for problem in error.problems if not context.speaks_json else ():
            context.print_wrapped(visible(f"Line {problem.line}: {problem.error}"))
        raise
