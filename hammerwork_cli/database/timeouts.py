"""Timeouts of a connection."""

from typing import NamedTuple


class Timeouts(NamedTuple):
    """Timeouts of a connection, in seconds.

    Without a value, the settings of the server and its user apply. SQLite has only ``lock``.

    Attributes:
        connect: wait for the answer of each host of the URL.
        lock: wait for rows and tables that other sessions have locked; then the statement raises RetryableError.
        statement: run time of a statement; then it raises RetryableError.
        network: wait for an answer of the server, even during a long statement; then the connection is closed and the
            statement raises ConnectionLostError. It should be 2 s longer than the other two.
    """

    connect: float = 10
    lock: float | None = None
    statement: float | None = None
    network: float | None = None


PATIENT = Timeouts()
"""The timeouts of commands and handlers."""
