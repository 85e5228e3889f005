"""Which tests run which lines and statements of the core, found by running them once."""

import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from mutants.changes import ROOT, Change
from mutants.covering import FILES, FOLDER, block_name

PLACES = ("tests/unit", "tests/runtime", "tests/commands", "tests/database")
"""Where the tests of the core are."""
OTHERS = ("test_wide_tree.py", "test_plans.py", "test_contract.py", "test_profiles.py")
"""Tests that are there for something else, and take long."""
SERVERS_TAKE = 4
"""A test on a server takes so many times what it takes on SQLite."""


class Tests:
    """What the tests run: kept in a file, and looked at anew where a test or the core has changed.

    Args:
        kept: the file.
        core: files whose lines and statements count.
        workers: processes that run tests.
    """

    def __init__(self, kept: Path, core: Sequence[str], workers: int) -> None:
        self._kept, self._core, self._workers = kept, core, workers
        self._by_test: dict[str, dict[str, Any]] = {}

    def look(self) -> None:
        """Runs the tests of which it is not known."""
        known = json.loads(self._kept.read_text(encoding="utf-8")) if self._kept.exists() else {}
        core = _hash(self._core)
        files = {file: _hash([file]) for place in PLACES for file in _below(place)}
        old = known.get("files", {}) if known.get("core") == core else {}
        changed = [file for file, number in files.items() if old.get(file) != number]
        stay = {test: seen for test, seen in known.get("tests", {}).items() if test.partition("::")[0] not in changed}
        self._by_test = stay if old else {}
        if changed:
            self._by_test |= self._run(changed)
            seen = {"core": core, "files": files, "tests": self._by_test}
            self._kept.write_text(json.dumps(seen), encoding="utf-8")

    def _run(self, files: Sequence[str]) -> dict[str, dict[str, Any]]:
        print(f"Looking what {len(files)} files of tests run ...", flush=True)
        command = [sys.executable, "-m", "pytest", "-q", "-p", "mutants.covering", "-p", "no:cacheprovider"]
        parallel = ["-n", str(self._workers), "--dist", "worksteal"] if len(files) > 1 else []
        with tempfile.TemporaryDirectory(prefix="hammerwork-mutants-") as folder:
            # What runs on Python 3.12's monitoring knows no contexts.
            watched = {FOLDER: folder, FILES: os.pathsep.join(self._core), "COVERAGE_CORE": "ctrace"}
            done = subprocess.run(
                [*command, *parallel, *files], cwd=ROOT, env={**os.environ, **watched}, capture_output=True, check=False
            )
            seen: dict[str, dict[str, Any]] = {}
            for file in Path(folder).iterdir():
                seen |= json.loads(file.read_text(encoding="utf-8"))
        if not seen or done.returncode not in (0, 1):
            sys.exit(f"The tests do not run:\n{done.stdout.decode()[-3000:]}")
        if done.returncode:
            print(f"These tests fail and are left out:\n{done.stdout.decode()[-1500:]}", flush=True)
        return seen

    def of(self, change: Change, within: float) -> tuple[list[str], list[str]]:
        """Tests that run what is changed, those on SQLite first, then those on servers; the quickest first.

        Args:
            change: a change.
            within: seconds that the tests of each list may take, by what they took before.
        """
        here: list[tuple[float, str]] = []
        there: list[tuple[float, str]] = []
        near: list[tuple[float, str]] = []
        for test, seen in self._by_test.items():
            elsewhere = [(seen["seconds"] * SERVERS_TAKE, other) for other in seen["elsewhere"]]
            if _runs(seen, change):
                (there if seen["on_server"] else here).append((seen["seconds"], test))
                there += elsewhere
            elif _runs_function(seen, change):
                near += elsewhere
        if not here:
            # A line for one server is run by tests that were watched on SQLite, where they run its function.
            there += near
        return _quickest(sorted(here), within), _quickest(sorted(there), within)

    def slowest(self, tests: Iterable[str]) -> float:
        """Seconds that the slowest of some tests takes."""
        return max(map(self._seconds, tests), default=5.0)

    def seconds(self, tests: Iterable[str]) -> float:
        """Seconds that some tests take one after the other."""
        return sum(map(self._seconds, tests))

    def _seconds(self, test: str) -> float:
        return float(self._by_test[test]["seconds"]) if test in self._by_test else 5.0


def _runs(seen: dict[str, Any], change: Change) -> bool:
    if change.path.endswith(".py"):
        first, last = change.lines
        return any(first <= line <= last for line in seen["lines"].get(change.path, ()))
    name, _, tags = change.where.partition(" [")
    # Other databases than SQLite have statements of their own with the same name.
    path = Path(change.path)
    subject = f"{path.parts[-3]}.{path.stem}"
    own = block_name(subject, name, tags.rstrip("]").split())
    if tags and "sqlite" not in tags:
        return own in seen["blocks"] or any(block.startswith(f"{subject}.{name} [") for block in seen["blocks"])
    return own in seen["blocks"]


def _runs_function(seen: dict[str, Any], change: Change) -> bool:
    first, last = change.function
    return any(first <= line <= last for line in seen["lines"].get(change.path, ()))


def _quickest(tests: Iterable[tuple[float, str]], within: float) -> list[str]:
    chosen: list[str] = []
    for seconds, test in tests:
        within -= seconds
        if within < 0 and chosen:
            break
        chosen.append(test)
    return chosen


def _below(place: str) -> list[str]:
    files = (ROOT / place).rglob("test_*.py")
    return sorted(str(file.relative_to(ROOT)) for file in files if not any(map(file.match, OTHERS)))


def _hash(files: Iterable[str]) -> str:
    # Comments and blank lines move lines about, so the whole text counts.
    return hashlib.sha256(b"\0".join((ROOT / file).read_bytes() for file in files)).hexdigest()[:16]


NAME_OF_FAILURE = re.compile(r"^(?:FAILED|ERROR) (\S+)", re.MULTILINE)
