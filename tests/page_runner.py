"""Runs the blocks of a page of the documentation, in order, as a reader would (docs/develop/documentation.md)."""

import contextlib
import gc
import io
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from tests.forks import as_fork
from tests.pages import ROOT, Block, Page

COMMANDS = {"sh", "console"}
RUN = {*COMMANDS, "python"}
LANGUAGES = {*RUN, "text", "mermaid", "toml", "sql", "yaml", "ini", "nginx", "js", "json"}
"""What a page says of a block. Another name for a language that is run, such as ``bash``, would escape the tests."""

LONGEST = 120
"""Seconds for a block that takes a part of one."""

SERVERS = {"postgres": "postgresql://user:password@db.example/jobs", "mysql": "mysql://user:password@db.example/jobs"}
"""The URL that stands in a page for a new database with tables, by its dialect."""

_VARYING = [
    (re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"), "UUID"),
    (re.compile(r"\b[0-9a-f]{8}\b"), "ID"),
    (re.compile(r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?Z?"), "TIME"),
    (re.compile(r"\b\d\d:\d\d:\d\d\b"), "TIME"),
    (re.compile(r"\b(?:\d+(?:\.\d+)? ?(?:ms|s|m|h|d)\b ?)+"), "DURATION "),
    (re.compile(r"\b\d+\.\d+\b"), "NUMBER"),
    (re.compile(r"[ \t]+"), " "),
]


def comparable(text: str) -> str:
    """A text without what differs between two runs: ids, times, durations, and how wide columns are."""
    for pattern, name in _VARYING:
        text = pattern.sub(name, text)
    return "\n".join(line.strip() for line in text.strip().splitlines())


def is_like(output: str, shown: str) -> bool:
    """Whether an output is what a page shows, where ``...`` stands for any text, and as a line for any lines."""
    pattern = re.escape(comparable(shown)).replace("\\\n", "\n")
    pattern = re.sub(r"(?m)^\\\.\\\.\\\.\n", "(?:.*\\n)?", pattern)
    pattern = re.sub(r"\n\\\.\\\.\\\.\Z", "(?:\\n.*)?", pattern)
    return re.fullmatch(pattern.replace(r"\.\.\.", ".*"), comparable(output), re.DOTALL) is not None


class PageRunner:
    """A folder, a database and a shell for one page.

    Args:
        folder: where its blocks run.
        new_database: makes the URL of a database of this kind, which is that of a :class:`tests.pages.Database`.
        environment: what its commands see of this machine.
        forked: start ``hammerwork`` as a fork, which is quicker.
        rewrite: write what is printed into the page where it shows something else.
    """

    def __init__(
        self,
        page: Page,
        folder: Path,
        new_database: Callable[..., str],
        environment: dict[str, str],
        *,
        forked: bool = False,
        rewrite: bool = False,
    ) -> None:
        self._page, self._folder, self._new_database, self._rewrite = page, folder, new_database, rewrite
        self._names: dict[str, Any] = {"__name__": "page"}
        self._port = free_port()
        self._tests: list[Block] = []
        self._closing = contextlib.ExitStack()
        self._state = folder / ".state"
        programs = installed(folder)
        places = [str(programs), environment["PATH"]]
        if forked:
            forks = folder / ".forks"
            forks.mkdir()
            as_fork(forks, programs / "hammerwork")
            places.insert(0, str(forks))
        # The plugins of these tests take longer to load than those of a page take to run.
        self._environment = {**environment, "PATH": os.pathsep.join(places), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        (folder / "examples").symlink_to(ROOT / "examples")

    def __enter__(self) -> "PageRunner":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with self._closing:
            if kind is None:
                self._run_tests()
        # The program of a page ends with connections of its own: Python says so of no program, unless it is asked to.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            self._names.clear()
            gc.collect()

    def use(self, kind: str, *, is_migrated: bool = False) -> None:
        """Makes a database, which the commands that follow have for theirs."""
        self._run_tests()
        url = self._new_database(kind, is_migrated=is_migrated)
        with self._state.open("a", encoding="utf-8") as state:
            state.write(f"export HAMMERWORK_DATABASE_URL={shlex.quote(url)}\n")

    def run(self, block: Block) -> None:
        """Runs a block, and compares what it prints with what the page shows; one run of pytest has tests in a row."""
        if not block.file.startswith("test_"):
            self._run_tests()
        if block.file:
            (self._folder / block.file).write_text(self._here(block.text), encoding="utf-8")
        if block.file.startswith("test_"):
            self._tests.append(block)
        elif block.language == "python":
            self._compare(block, self._python(block), block.shown, "```text\n")
        elif block.language == "console":
            *first, last = block.commands
            for command, shown in [*first, last]:
                before = "$ " + command.replace("\n", "\n> ") + "\n"
                expected = block.exit_code if (command, shown) == last else 0
                self._compare(block, self._shell(block, command, expected), shown, before)
        elif block.background:
            self._start(block)
        elif block.language == "sh":
            self._compare(block, self._shell(block, block.text, block.exit_code), block.shown, "```text\n")

    def _run_tests(self) -> None:
        tests, self._tests = self._tests, []
        if tests:
            options = "-q -p no:cacheprovider -p hammerwork_cli.pytest_plugin"
            files = " ".join(block.file for block in tests)
            self._shell(tests[0], f"{shlex.quote(sys.executable)} -m pytest {options} {files}", 0)

    def _compare(self, block: Block, output: str, shown: str | None, before: str) -> None:
        if shown is None or is_like(output, shown):
            return
        assert self._rewrite, f"{self._at(block)} prints\n{output}\nand not\n{shown}"
        text = self._page.path.read_text(encoding="utf-8").replace(before + shown, before + output, 1)
        self._page.path.write_text(text, encoding="utf-8")

    def _at(self, block: Block) -> str:
        return f"{self._page.name}:{block.line}"

    def _here(self, text: str) -> str:
        """A text with databases of the tests in the place of a reader's, and a free port in that of 8080."""
        for dialect, url in SERVERS.items():
            if url in text:
                text = text.replace(url, self._new_database(dialect))
        text = re.sub(r"(hammerwork web serve)(?![^\n]*--port)", r"\1 --port 8080", text)
        return text.replace("8080", str(self._port))

    def _python(self, block: Block) -> str:
        printed = io.StringIO()
        code = compile("\n" * block.line + self._here(block.text), self._page.name, "exec")
        with contextlib.chdir(self._folder), contextlib.redirect_stdout(printed):
            exec(code, self._names)  # noqa: S102  our own documentation
        return printed.getvalue()

    def _script(self, text: str) -> list[str]:
        """A command that runs a text in a shell which begins as the one before it ended."""
        script = [
            "set -euo pipefail",
            f". {self._state}",
            f'trap \'set +e; export -p >{self._state}; printf "cd %q\\n" "$PWD" >>{self._state}\' EXIT',
            "set -a",
            self._here(text),
        ]
        return ["bash", "-c", "\n".join(script)]

    def _shell(self, block: Block, text: str, exit_code: int) -> str:
        started = self._spawn(text, subprocess.PIPE)
        try:
            output, _ = started.communicate(timeout=LONGEST)
        except subprocess.TimeoutExpired:
            end(started)
            raise
        ended = f"{self._at(block)} ends with exit code {started.returncode} and prints\n{output}"
        assert started.returncode == exit_code, ended
        return output

    def _spawn(self, text: str, output: int | IO[str]) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self._script(text),
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            encoding="utf-8",
        )

    def _start(self, block: Block) -> None:
        """Starts a program that runs until the page ends, and waits until its output has the text that is awaited."""
        output = self._folder / f".output-{block.line}"
        with output.open("w", encoding="utf-8") as written:
            started = self._spawn(block.text, written)
        self._closing.callback(end, started)
        deadline = time.monotonic() + LONGEST
        while block.background not in (printed := output.read_text(encoding="utf-8")):
            is_alive = started.poll() is None and time.monotonic() < deadline
            assert is_alive, f"{self._at(block)} prints\n{printed}\nand never {block.background}"
            time.sleep(0.05)


def installed(folder: Path) -> Path:
    """Where the program is; with a Python that has only its dependencies, one that runs the source tree."""
    programs = Path(sys.executable).parent
    if not (programs / "hammerwork").exists():
        programs = folder / ".bin"
        programs.mkdir()
        script = f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -P -m hammerwork_cli "$@"\n'
        (programs / "hammerwork").write_text(script, encoding="utf-8")
        (programs / "hammerwork").chmod(0o755)
    return programs


def end(started: subprocess.Popen[Any]) -> None:
    """Ends a program and what it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(started.pid, signal.SIGTERM)
    try:
        started.wait(10)
    except subprocess.TimeoutExpired:
        os.killpg(started.pid, signal.SIGKILL)
        started.wait()


def free_port() -> int:
    """A port on which nobody listens."""
    with contextlib.closing(socket.socket()) as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


def missing_tools(blocks: list[Block]) -> Iterator[str]:
    """The programs that blocks use and this machine lacks."""
    for name in ("curl", "dot", "jq", "node", "openssl", "psql"):
        used = any(
            re.search(rf"(?m)(?:^|[|(]) *{name}\b", block.text) for block in blocks if block.language in COMMANDS
        )
        if used and shutil.which(name) is None:
            yield name
