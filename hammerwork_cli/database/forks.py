"""Forks wait for SQLite.

It keeps in the memory of a process which locks its connections have, and mutexes of its own. A process that is forked
while a thread has one of them has it in its copy, and nobody who could give it back: it would wait for it for ever
(https://www.sqlite.org/howtocorrupt.html, "Carrying an open database connection across a fork()").
"""

import os
import threading

LONGEST = 60.0
"""Seconds that a fork waits. What takes longer is rather a fault than a transaction."""


class _Gate:
    """Threads that use SQLite are within, some of them more than once; it is closed while the process is forked."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._within = 0  # written under the condition's lock, as is the next
        self._is_closed = False
        self._own = threading.local()

    def __enter__(self) -> None:
        depth = getattr(self._own, "depth", 0)
        if not depth:
            with self._changed:
                self._changed.wait_for(lambda: not self._is_closed)
                self._within += 1
        self._own.depth = depth + 1

    def __exit__(self, *_: object) -> None:
        self._own.depth -= 1
        if not self._own.depth:
            with self._changed:
                self._within -= 1
                if self._is_closed:
                    self._changed.notify_all()

    def close(self) -> None:
        """Waits until nobody else is within, and lets nobody in."""
        own = int(getattr(self._own, "depth", 0) > 0)
        self._changed.acquire()
        self._is_closed = True
        self._changed.wait_for(lambda: self._within <= own, LONGEST)

    def open(self) -> None:
        """In the parent."""
        self._is_closed = False
        self._changed.notify_all()
        self._changed.release()

    def renew(self) -> None:
        """In the child, where there is one thread."""
        self.__init__()  # type: ignore[misc]


gate = _Gate()
os.register_at_fork(before=gate.close, after_in_parent=gate.open, after_in_child=gate.renew)
