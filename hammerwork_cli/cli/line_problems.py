"""Lines of a file that cannot be taken, on stderr."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from hammerwork_cli.cli.context import Context
from hammerwork_cli.core.input.problems import MOST_PROBLEMS, LineError, Problem
from hammerwork_cli.view.text import count, visible


@contextmanager
def printing_problems(context: Context) -> Iterator[None]:
    """Prints what is wrong with each line, before the error that counts them."""
    try:
        yield
    except LineError as error:
        print_problems(context, error.problems)
        raise


def print_problems(context: Context, problems: Sequence[Problem]) -> None:
    """Prints what is wrong with the first lines, unless stderr is for JSON."""
    if context.json_output:
        return
    for problem in problems[:MOST_PROBLEMS]:
        context.print_wrapped(visible(f"Line {problem.line}: {problem.error}"))
    if len(problems) > MOST_PROBLEMS:
        context.print_wrapped(f"And {count(len(problems) - MOST_PROBLEMS)} more.")
