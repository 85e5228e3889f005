"""A progress bar on stderr."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from hammerwork_cli.cli.context import Context


@contextmanager
def progress_bar(context: Context) -> Iterator[Callable[[str, int, int], None]]:
    """Yields ``report(step, done, total)``, which draws a bar on a terminal unless the command is quiet."""
    if not (context.is_terminal and context.stderr.isatty()) or context.is_quiet:
        yield lambda *_: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(file=context.stderr, no_color=not context.colour)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=None)

        def report(step: str, done: int, total: int) -> None:
            progress.update(task, description=step, completed=done, total=total)

        context.print_above_bar = lambda text: console.print(text, markup=False, highlight=False)
        try:
            yield report
        finally:
            context.print_above_bar = None
