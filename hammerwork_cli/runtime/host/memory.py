"""The memory that a worker uses."""

import os
from collections.abc import Iterable


def memory(others: Iterable[int] = ()) -> int | None:
    """Bytes that this process and some others use; ``None`` where the system does not say.

    Args:
        others: process ids; those that have ended count nothing. Shared pages count for each process.
    """
    own = resident("self")
    return None if own is None else own + sum(resident(process) or 0 for process in others)


def resident(process: int | str) -> int | None:
    """Bytes that a process uses; ``None`` if it has ended, or the system does not say."""
    try:
        with open(f"/proc/{process}/statm", encoding="ascii") as file:  # noqa: PTH123  read with every heartbeat
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return None
