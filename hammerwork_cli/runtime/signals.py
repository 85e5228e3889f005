"""SIGTERM and Ctrl-C, while a worker runs."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from types import FrameType


@contextmanager
def listening(heard: Callable[[int], None]) -> Iterator[None]:
    """Calls ``heard`` with the number of each signal; only the main thread can listen, elsewhere it does nothing.

    It is called in a thread of its own: a signal comes between any two steps of the main thread, which may just hold
    the lock that ``heard`` wants.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers: SimpleQueue[int | None] = SimpleQueue()

    def handle(number: int, frame: FrameType | None) -> None:
        del frame
        numbers.put(number)

    def tell() -> None:
        while (number := numbers.get()) is not None:
            heard(number)

    listener = threading.Thread(target=tell, name="hammerwork-signals", daemon=True)
    listener.start()
    before = {number: signal.signal(number, handle) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        numbers.put(None)
        listener.join()
