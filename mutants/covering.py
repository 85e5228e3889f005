"""A plugin of pytest that writes down which tests run which lines and statements: ``-p mutants.covering``.

Of a test that runs on every database it runs the one on SQLite, and notes the others as its ``elsewhere``.
"""

import json
import os
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import coverage
import pytest

from hammerwork_cli.database import statements
from mutants.changes import ROOT

FOLDER = "HAMMERWORK_TEST_MUTANTS_FOLDER"
"""Names where each process of the run writes what it saw."""
FILES = "HAMMERWORK_TEST_MUTANTS_FILES"
"""The modules that count."""


class Covering:
    """What the tests of this process run."""

    def __init__(self) -> None:
        self.files = [str(ROOT / file) for file in os.environ[FILES].split(os.pathsep)]
        self.coverage = coverage.Coverage(data_file=None, config_file=False, include=self.files)
        # A process that hands tests to others runs none itself.
        self.coverage.set_option("run:disable_warnings", ["no-data-collected"])
        self.seconds: dict[str, float] = defaultdict(float)
        self.failed: set[str] = set()
        self.blocks: dict[str, set[str]] = defaultdict(set)
        self.elsewhere: dict[str, list[str]] = defaultdict(list)
        self.on_servers: set[str] = set()
        self._test = ""

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Leaves out what SQLite says as well."""
        known = {item.nodeid for item in items}
        kept, dropped = [], []
        for item in items:
            test, bracket, parameters = item.nodeid.partition("[")
            parts = ["sqlite" if part in {"postgres", "mysql"} else part for part in parameters[:-1].split("-")]
            same = f"{test}[{'-'.join(parts)}]"
            if bracket and same != item.nodeid and same in known:
                self.elsewhere[same].append(item.nodeid)
                dropped.append(item)
            else:
                kept.append(item)
        self.on_servers = {item.nodeid for item in kept if any(map(item.get_closest_marker, ("postgres", "mysql")))}
        config.hook.pytest_deselected(items=dropped)
        items[:] = kept

    def pytest_sessionstart(self) -> None:
        """Begins to watch."""
        load = statements.load

        def watched(name: str, tags: frozenset[str]) -> Any:
            loaded = load(name, tags)
            self.blocks[self._test].update(blocks_of(name, tags))
            return loaded

        watched.cache_clear = load.cache_clear  # type: ignore[attr-defined]
        statements.load = watched  # type: ignore[assignment]
        self.coverage.start()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """Says whose lines the next ones are."""
        self._test = item.nodeid
        self.coverage.switch_context(item.nodeid)
        result = yield
        self.coverage.switch_context("")
        self._test = ""
        return result

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Notes how long a test took; one that does not pass is of no use."""
        self.seconds[report.nodeid] += report.duration
        if not report.passed:
            self.failed.add(report.nodeid)

    def pytest_sessionfinish(self) -> None:
        """Writes it."""
        self.coverage.stop()
        data = self.coverage.get_data()
        lines: dict[str, dict[str, list[int]]] = defaultdict(dict)
        for file in data.measured_files():
            for line, tests in data.contexts_by_lineno(file).items():
                for test in filter(None, tests):
                    lines[test].setdefault(str(Path(file).relative_to(ROOT)), []).append(line)
        seen = {
            test: {
                "seconds": round(self.seconds[test], 3),
                "lines": lines.get(test, {}),
                "blocks": sorted(self.blocks.get(test, ())),
                "on_server": test in self.on_servers,
                "elsewhere": self.elsewhere.get(test, []),
            }
            for test in {*lines, *self.blocks}
            if test in self.seconds and test not in self.failed
        }
        if seen:
            (Path(os.environ[FOLDER]) / f"{os.getpid()}.json").write_text(json.dumps(seen), encoding="utf-8")


def blocks_of(name: str, tags: frozenset[str]) -> set[str]:
    """The blocks of which a statement is made, as ``subject.name [tags]``."""
    subject, _, block = name.rpartition(".")
    found: set[str] = set()
    todo = [block]
    while todo:
        block = todo.pop()
        place = statements.subject_of(subject, block)
        fitting = [
            (len(wanted), sorted(wanted), sql) for wanted, sql in statements.blocks(place)[block] if wanted <= tags
        ]
        _, wanted, sql = max(fitting)
        full = block_name(place, block, wanted)
        if full not in found:
            found.add(full)
            todo += [token["block"] for token in statements.TOKEN.finditer(sql) if token["block"]]
    return found


def block_name(subject: str, name: str, tags: list[str]) -> str:
    """How a block is called here."""
    return f"{subject}.{name} [{' '.join(sorted(tags))}]"


def pytest_configure(config: pytest.Config) -> None:
    """Registers it."""
    config.pluginmanager.register(Covering(), "covering")
