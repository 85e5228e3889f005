"""The source files of an application, for a worker that starts again when one of them changes."""

import os
import sysconfig
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.machinery import SourceFileLoader
from importlib.util import cache_from_source
from pathlib import Path
from typing import Any

POLL_SECONDS = 0.5
"""Between two looks at the files."""
SETTLE_SECONDS = 0.2
"""A change is complete once no file changes for this time: editors and formatters write one file after the other."""
_INSTALLED = {"site-packages", "dist-packages"}

Stamp = tuple[float, int] | None
"""When a file was changed, and its size; ``None`` for a file that is missing."""


class Sources:
    """The source files that Python has read for an application, and what becomes of them.

    Python itself asks for the time and the size of each file before it reads it. So a change is noticed even if it
    comes while the file is imported, the import fails, or a handler imports it late.

    Args:
        folder: that of the application, in which a missing module may appear.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._library = tuple(sysconfig.get_path(name) + os.sep for name in ("stdlib", "platstdlib"))
        self._own = str(Path(__file__).parent.parent.parent) + os.sep
        # Path -> its stamp when it was read. Any thread that imports writes it.
        self._read: dict[str, Stamp] = {}
        # Folder -> the modules and packages in it when its first file was read. Any thread that imports writes it.
        self._listed: dict[str, set[str]] = {}

    @contextmanager
    def recorded(self) -> Iterator[None]:
        """Records what is imported meanwhile."""
        ask, read = SourceFileLoader.path_stats, self._note
        self._list(str(self._folder))

        def path_stats(self: SourceFileLoader, path: str) -> Mapping[str, Any]:
            stats = ask(self, path)
            read(os.path.abspath(path), (stats["mtime"], stats["size"]))  # noqa: PTH100  a Path costs more
            return stats

        SourceFileLoader.path_stats = path_stats  # type: ignore[method-assign]
        try:
            yield
        finally:
            SourceFileLoader.path_stats = ask  # type: ignore[method-assign]

    def _note(self, path: str, stamp: Stamp) -> None:
        if self._is_the_applications(path):
            self._list(os.path.dirname(path))  # noqa: PTH120  the same
            self._read[path] = stamp

    def _list(self, folder: str) -> None:
        if folder not in self._listed:
            self._listed[folder] = _modules(folder)

    def _is_the_applications(self, path: str) -> bool:
        if path.startswith(self._own):
            return False
        return not path.startswith(self._library) and not _INSTALLED.intersection(Path(path).parts)

    def changed(self) -> list[str]:
        """The names of the files that have changed since they were read, once the change is complete."""
        found = self._changes()
        while found:
            time.sleep(SETTLE_SECONDS)
            before, found = found, self._changes()
            if found == before:
                self._forget_compiled(found)
                return self._named(found)
        return []

    def watch(self, tell: Callable[[list[str]], None], ended: threading.Event) -> None:
        """Calls ``tell`` with the names of changed files, once, unless it is to end before."""
        while not ended.wait(POLL_SECONDS):
            if names := self.changed():
                tell(names)
                return

    def wait(self) -> list[str]:
        """Waits until a file changes, or a new one appears beside the others; returns their names."""
        while not (names := self.changed()):
            if new := self._beside():
                time.sleep(SETTLE_SECONDS)
                return self._named(new)
            time.sleep(POLL_SECONDS)
        return names

    def _changes(self) -> dict[str, Stamp]:
        stamps = {path: (_stamp(path), read) for path, read in [*self._read.items()]}
        return {path: now for path, (now, read) in stamps.items() if now != read}

    def _beside(self) -> set[str]:
        """The modules and packages beside the others that have come since and that nobody has read."""
        new = {path for folder, before in [*self._listed.items()] for path in _modules(folder) - before}
        return new - self._read.keys()

    def _named(self, paths: Iterable[str]) -> list[str]:
        return sorted(os.path.relpath(path, self._folder) for path in paths)

    @staticmethod
    def _forget_compiled(paths: dict[str, Stamp]) -> None:
        """Removes what Python compiled: it would take it for new if size and second of the source are the same."""
        for path in paths:
            with suppress(OSError, NotImplementedError):
                Path(cache_from_source(path)).unlink()


def _stamp(path: str) -> Stamp:
    try:
        found = os.stat(path)  # noqa: PTH116  a Path costs more
    except OSError:
        return None
    return (found.st_mtime, found.st_size)


def _modules(folder: str) -> set[str]:
    try:
        return {str(path) for pattern in ("*.py", "*/__init__.py") for path in Path(folder).glob(pattern)}
    except OSError:
        return set()
