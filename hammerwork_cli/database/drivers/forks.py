"""Lets forks wait for SQLite.

SQLite keeps mutexes, and the locks of all connections, in the memory of the process. If a process forks while a thread
holds one of them, the child has a copy of it that no thread will ever release, and hangs
(https://www.sqlite.org/howtocorrupt.html, "Carrying an open database connection across a fork()").
"""

import os
import threading

LONGEST = 60.0
"""Most seconds that a fork waits. Anything longer is more likely a fault than a transaction."""


class _ForkLock:
    """A lock that threads share while they use SQLite, and that a fork takes alone. A thread may take it twice."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._within = 0  # number of threads; any thread writes it, under the lock of the condition
        self._is_taken = False  # by a fork; written by the thread that forks, under the lock of the condition
        self._own = threading.local()  # its depth: how many times this thread has entered

    def __enter__(self) -> None:
        depth = getattr(self._own, "depth", 0)
        if not depth:
            with self._changed:
                self._changed.wait_for(lambda: not self._is_taken)
                self._within += 1
        self._own.depth = depth + 1

    def __exit__(self, *_: object) -> None:
        self._own.depth -= 1
        if not self._own.depth:
            with self._changed:
                self._within -= 1
                if self._is_taken:
                    self._changed.notify_all()

    def take(self) -> None:
        """Keeps other threads out, and waits until those within have left. It keeps the lock of the condition."""
        depth = getattr(self._own, "depth", 0)
        own = int(depth > 0)
        self._changed.acquire()
        self._own.depth = depth + 1  # the garbage collector may close connections in this thread meanwhile
        self._is_taken = True
        self._changed.wait_for(lambda: self._within <= own, LONGEST)

    def release(self) -> None:
        """Lets other threads in again, in the parent."""
        self._own.depth -= 1
        self._is_taken = False
        self._changed.notify_all()
        self._changed.release()

    def renew(self) -> None:
        """Makes it anew in the child, which has only the thread that forked."""
        self.__init__()  # type: ignore[misc]


fork_lock = _ForkLock()
os.register_at_fork(before=fork_lock.take, after_in_parent=fork_lock.release, after_in_child=fork_lock.renew)
