"""What surrounds every test: the same environment and umask, whoever runs the tests and wherever."""

import compileall
import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

KEPT = {"PATH", "TMPDIR", "CI", "KILLS", "SIEGE_SECONDS", "LD_LIBRARY_PATH", "LD_PRELOAD", "VIRTUAL_ENV"}
KEPT_BEGINNINGS = ("HAMMERWORK_TEST_", "PYTEST_", "PYTHON", "COV", "FAKETIME")
FIXED = {"LANG": "C.UTF-8", "TERM": "dumb", "TZ": "UTC"}
UMASK = 0o022
MEMORY = "/dev/shm"  # noqa: S108  tempfile makes files and folders private
MEMORY_NEEDED = 8 << 30
"""Bytes that must be free there for temporary files to be kept in memory."""
COMPILED = ("hammerwork_cli", "chaos", "benchmarks")
"""Packages whose modules the processes that tests start import."""


def prepare(add_cleanup: Callable[[Callable[[], None]], object]) -> None:
    """Replaces the environment and the umask of this process, which all that it starts inherit.

    Args:
        add_cleanup: takes what removes the home folder.
    """
    os.environ.setdefault("TMPDIR", _temporary_folder())
    tempfile.tempdir = None  # read TMPDIR again
    home = tempfile.TemporaryDirectory(prefix="hammerwork-test-home-")
    add_cleanup(home.cleanup)
    for name in list(os.environ):
        if name not in KEPT and not name.startswith(KEPT_BEGINNINGS):
            del os.environ[name]
    # GNU's readline, which pytest imports, sets these for child processes, and Python does not know it.
    for name in ("COLUMNS", "LINES"):
        os.unsetenv(name)
    os.environ.update(FIXED, HOME=home.name)
    time.tzset()
    os.umask(UMASK)
    _compile()


def _compile() -> None:
    """Compiles the packages once: without it, each process that may not write bytecode compiles what it imports."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False
    for name in COMPILED:
        compileall.compile_dir(Path(__file__).parent.parent / name, quiet=2)


def _temporary_folder() -> str:
    """A folder in memory where that is large enough and may hold programs.

    Databases are made and dropped by the thousand. ext4 then looks long for a free inode among those just freed.
    """
    with contextlib.suppress(OSError):
        memory = os.statvfs(MEMORY)
        if memory.f_bavail * memory.f_frsize >= MEMORY_NEEDED and not memory.f_flag & os.ST_NOEXEC:
            return MEMORY
    return tempfile.gettempdir()


def environment() -> dict[str, str]:
    """The environment without the test that pytest names in it."""
    return {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}


def passed_on() -> dict[str, str]:
    """The variables that a program started by a test needs: where programs are, and where `make coverage` collects."""
    return {name: value for name, value in os.environ.items() if name == "PATH" or name.startswith("COVERAGE_")}


def uncovered(environment: dict[str, str]) -> dict[str, str]:
    """An environment without `make coverage`, which loads modules of its own, for tests of what a program loads."""
    return {name: value for name, value in environment.items() if not name.startswith("COVERAGE_")}
