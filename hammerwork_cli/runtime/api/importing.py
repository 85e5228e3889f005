"""What an application must not do while it is imported for its handlers."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from hammerwork_cli.errors import UsageError

START = "start a worker"
ENQUEUE = "enqueue jobs"


class _Imports(threading.local):
    """What the import that goes on in this thread must not do."""

    refused: tuple[str, ...] = ()


_imports = _Imports()


@contextmanager
def importing(*refused: str) -> Iterator[None]:
    """Refuses something to the modules that this thread imports meanwhile."""
    before, _imports.refused = _imports.refused, (*_imports.refused, *refused)
    try:
        yield
    finally:
        _imports.refused = before


def check(what: str) -> None:
    """Refuses something that a module does while it is imported for its handlers.

    Raises:
        UsageError: it must not do that; the message names the line that is missing.
    """
    if what in _imports.refused:
        raise UsageError(
            f'A module that is imported for its handlers must not {what}: put that below `if __name__ == "__main__":`.'
        )
