"""Timeouts of a connection."""

from typing import NamedTuple


class Timeouts(NamedTuple):
    """Timeouts of a connection, in seconds.

    Without a value, the settings of the server and its user apply. SQLite has only ``lock``.
    """

    connect: float = 10  # wait for the answer of each host of the URL
    # Wait for rows and tables that other sessions have locked; then the statement raises RetryableError.
    lock: float | None = None
    statement: float | None = None  # run time of a statement; then it raises RetryableError
    # Wait for an answer of the server, even during a long statement; then the connection is closed and the statement
    # raises SilentConnectionError. It should be 2 s longer than the other two. The server ends a transaction whose
    # client is silent for as long, where it can. Without a value, the kernel alone notices a broken network.
    network: float | None = None

    def doubled(self) -> "Timeouts":
        """The same with twice the time for an answer, for a statement that may need it."""
        return self._replace(network=self.network and min(2 * self.network, LONGEST_NETWORK))


KERNEL_SECONDS = 60.0
"""How long the kernel tries to reach the other end before it gives a connection up, however long a statement takes."""
LONGEST_NETWORK = 3600.0
PATIENT = Timeouts()
"""The timeouts of commands and handlers."""
