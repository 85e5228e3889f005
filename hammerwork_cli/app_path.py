"""The folders of an application, which stand last in the path of modules.

Drivers and the standard library try to import optional modules (``psycopg_c``, ``dns``). They must not find a file of
that name in the folder of an application, which has nothing to do with them.
"""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, PathFinder
from typing import Any

# The thread that loads handlers writes it, before others import.
_added: list[str] = []
_state = threading.local()


def add(folder: str) -> None:
    """Adds a folder to the end of the path of modules."""
    if folder in sys.path:
        return
    if not _added:
        sys.meta_path.insert(0, _Installed)
    _added.append(folder)
    sys.path.append(folder)


def added() -> list[str]:
    """Returns the folders that :func:`add` has added."""
    return list(_added)


def others() -> list[str]:
    """Returns the path of modules without the added folders."""
    return [folder for folder in sys.path if folder not in _added]


@contextmanager
def without() -> Iterator[None]:
    """Lets this thread import without the added folders."""
    before = getattr(_state, "is_without", False)
    _state.is_without = True
    try:
        yield
    finally:
        _state.is_without = before


class _Installed:
    """The first finder of modules. For a thread in :func:`without`, it asks the others without the added folders."""

    @classmethod
    def find_spec(cls, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        # A path means a module in a package, which has been found already.
        if path is not None or not getattr(_state, "is_without", False):
            return None
        for finder in sys.meta_path:
            if finder is cls:
                continue
            found = finder.find_spec(name, others() if finder is PathFinder else None, target)
            if found is not None:
                return found
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
