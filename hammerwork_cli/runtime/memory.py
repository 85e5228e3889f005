"""How much memory a worker holds."""

import os


def memory() -> int | None:
    """Bytes that this process holds; ``None`` where the system does not tell."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123  read with every heartbeat
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return None
