"""Clocks that can be put forward and back while processes run, by libfaketime.

Only the time of day steps: monotonic clocks and sleeps go on as they were.
"""

import atexit
import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.servers import ServerMissingError

_PLACES = ("/usr/lib", "/usr/local/lib", "/opt/homebrew/lib")


class Clock:
    """What the processes with its environment take for the time of day.

    Args:
        file: where the step is written; a path that they can read.

    Raises:
        ServerMissingError: libfaketime is not installed.
    """

    def __init__(self, file: Path) -> None:
        self._file, self._library = file, _library()
        self.put(0)

    def put(self, seconds: float) -> None:
        """So far before the real one, or behind it; they notice within two seconds."""
        written = self._file.with_suffix(".new")
        written.write_text(f"{seconds:+.3f}", encoding="ascii")
        written.chmod(0o644)
        written.replace(self._file)

    @property
    def environment(self) -> dict[str, str]:
        """For the processes that are to have this clock."""
        return {
            "LD_PRELOAD": str(self._library),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_DISABLE_SHM": "1",
            "NO_FAKE_STAT": "1",
        }

    @contextlib.contextmanager
    def inherited(self) -> Iterator[None]:
        """Processes that are started meanwhile have it."""
        before = {name: os.environ.get(name) for name in self.environment}
        os.environ.update(self.environment)
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value


@cache
def host_clock() -> Clock:
    """That of the workers' host: one, since all of them are started by one process that has it."""
    folder = Path(tempfile.mkdtemp(prefix="hammerwork-clock-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Clock(folder / "clock")


def _library() -> Path:
    for place in _PLACES:
        for found in sorted(Path(place).glob("**/faketime/libfaketime.so.1")):
            return found
    raise ServerMissingError("The clocks cannot be put forward and back. Install libfaketime, or say --clock-steps 0.")
