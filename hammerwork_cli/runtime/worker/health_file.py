"""The file that a worker writes with each heartbeat, for probes that start no program."""

import logging
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from hammerwork_cli import disk
from hammerwork_cli.errors import OutputError
from hammerwork_cli.view.text import visible

log = logging.getLogger("hammerwork")


class HealthFile:
    """One line: seconds since 1970, the same time in UTC, the state and the name of the worker.

    The line is replaced at once: no reader sees half of it. The time is that of this machine, as a probe has it.

    Args:
        path: ``None`` for no file.
    """

    def __init__(self, path: Path | None, name: str) -> None:
        # A handler may change the folder of the process.
        self._path = path and path.absolute()
        self._name = visible(name)
        self._has_failed = False  # only the heartbeat's thread uses it

    def begin(self) -> None:
        """Writes the first line.

        Raises:
            OutputError: it cannot be written.
        """
        try:
            self._write("running")
        except OSError as error:
            raise OutputError(f"The health file {self._path} cannot be written: {error.strerror or error}.") from error

    def write(self, state: str) -> None:
        """Writes a line after a heartbeat. A file that cannot be written must not end the heartbeats."""
        try:
            self._write(state)
            self._has_failed = False
        except OSError as error:
            if not self._has_failed:
                log.warning("The health file %s cannot be written: %s", self._path, error.strerror or error)
            self._has_failed = True

    def remove(self) -> None:
        if self._path is not None:
            with suppress(OSError):
                disk.check_regular(self._path)
                self._path.resolve().unlink()  # a symbolic link stays one

    def _write(self, state: str) -> None:
        if self._path is None:
            return
        now = time.time()
        timestamp = datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line = f"{int(now)} {timestamp} {state} {self._name}\n"
        disk.replace(self._path, line.encode(), 0o666, durable=False)
