"""Finds out whether a thread waits for a lock of SQLite that it holds itself, in another connection."""

import gc
import os
import sqlite3
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from hammerwork_cli.errors import UsageError

LOCKS = Path("/proc/locks")
WRITING = "120"
"""The byte of the file ``-shm`` that who writes has locked."""
OURS = ("hammerwork", "interrupts")
"""How the names of this package's threads begin, which use no connection of an application."""


class OwnConnection(sqlite3.Connection):
    """A connection of this package."""


class _Held(threading.local):
    """The files whose locks this thread holds by :func:`holding`, as paths without links."""

    def __init__(self) -> None:
        self.files: list[str] = []


_held = _Held()


@contextmanager
def holding(file: Path) -> Iterator[None]:
    """Notes that this thread holds the lock of a file while code of an application runs."""
    real = os.path.realpath(file)
    _held.files.append(real)
    try:
        yield
    finally:
        _held.files.remove(real)


def refuse_own_transaction(file: Path) -> None:
    """Raises UsageError if this thread holds the lock of a file by :func:`holding`."""
    if _held.files and os.path.realpath(file) in _held.files:
        raise UsageError(
            f"This thread has a transaction open in {file.name}, and would wait for its end in another connection.",
            hint="Enqueue in that transaction: tx.enqueue(job).",
        )


def refuse_deadlock(file: Path) -> None:
    """Raises UsageError if a connection of this thread has written to a file, and has not committed."""
    if _another_process_has(file):
        return
    real = os.path.realpath(file)
    for one in gc.get_objects():
        kind = type(one)  # lazy objects of an application may run code when they are asked for their class
        if (
            issubclass(kind, sqlite3.Connection)
            and not issubclass(kind, OwnConnection)
            and _has_written(one)
            and _is_of_this_thread(one)
            and _file(one) == real
        ):
            raise UsageError(
                f"This thread has a transaction open in {file.name}, and would wait for its end in another connection.",
                hint="Enqueue in that transaction: queue.enqueue(job, connection=...).",
            )


def _another_process_has(file: Path) -> bool:
    """Whether another process has the lock, where the system says so (Linux)."""
    try:
        inode, lines = str(Path(f"{file}-shm").stat().st_ino), LOCKS.read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):
        return False
    locks = [line.split()[-5:] for line in lines if " WRITE " in line and "->" not in line]
    holders = {
        process
        for _, process, place, first, last in locks
        if place.rpartition(":")[2] == inode and first == last == WRITING
    }
    return bool(holders) and str(os.getpid()) not in holders


def _has_written(connection: sqlite3.Connection) -> bool:
    """Whether a connection has a transaction open, and has ever changed something."""
    try:
        return connection.in_transaction and connection.total_changes > 0
    except sqlite3.Error:  # it is closed
        return False


def _is_of_this_thread(connection: sqlite3.Connection) -> bool:
    """Whether nobody else could end the transaction of a connection."""
    if not _can_use(connection):
        return False
    here = threading.current_thread()
    if all(one is here or one.name.startswith(OURS) for one in threading.enumerate()) or _is_djangos(connection):
        return True
    answers: list[bool] = []
    thread = threading.Thread(target=lambda: answers.append(_can_use(connection)), name=OURS[0], daemon=True)
    thread.start()
    thread.join()
    return answers == [False]


def _is_djangos(connection: sqlite3.Connection) -> bool:
    """Whether it is one that Django keeps for this thread, and that any thread could use."""
    django = sys.modules.get("django.db")
    if django is None:
        return False
    try:
        known = django.connections.all(initialized_only=True)
    except Exception:  # noqa: BLE001  without settings it has none
        return False
    return any(one.connection is connection for one in known)


def _can_use(connection: sqlite3.Connection) -> bool:
    try:
        sqlite3.Cursor(connection)
    except sqlite3.Error:  # of another thread
        return False
    return True


def _file(connection: sqlite3.Connection) -> str | None:
    """The file of a connection, without links."""
    cursor = sqlite3.Cursor(connection)
    cursor.row_factory = None
    with suppress(sqlite3.Error):
        for _, name, file in cursor.execute("PRAGMA database_list"):
            if file and name in ("main", b"main"):
                return os.path.realpath(os.fsdecode(file))
    return None
