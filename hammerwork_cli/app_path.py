"""The folders of an application: searched for modules at last, and never for an optional one of what we use ourselves.

Drivers and the standard library try to import what need not be there (``psycopg_c``, ``dns``). A file of that name in
the folder of an application is none of theirs.
"""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, PathFinder
from typing import Any

_added: list[str] = []
_state = threading.local()


def add(folder: str) -> None:
    """Looks for modules in this folder, too, after all others."""
    if folder in sys.path:
        return
    if not _added:
        sys.meta_path.insert(0, _Installed)
    _added.append(folder)
    sys.path.append(folder)


def added() -> list[str]:
    """What :func:`add` has added."""
    return list(_added)


def others() -> list[str]:
    """The path of modules without these."""
    return [folder for folder in sys.path if folder not in _added]


@contextmanager
def without() -> Iterator[None]:
    """What this thread imports meanwhile comes from elsewhere."""
    before = getattr(_state, "holds", False)
    _state.holds = True
    try:
        yield
    finally:
        _state.holds = before


class _Installed:
    """Asked first, and says for a thread in :func:`without` what all others would say but for the application."""

    @classmethod
    def find_spec(cls, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if path is not None or not getattr(_state, "holds", False):
            return None
        for finder in sys.meta_path:
            if finder is cls:
                continue
            found = finder.find_spec(name, others() if finder is PathFinder else None, target)
            if found is not None:
                return found
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
