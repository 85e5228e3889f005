"""``hammerwork worker start`` for somebody who watches it and edits its handlers: short lines, and ``--reload``."""

import contextlib
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hammerwork_cli.runtime.host.terminal import LINES
from tests import surroundings
from tests.conftest import ROOT, eventually
from tests.forks import PROGRAM
from tests.jobs import job, rows, statuses, write
from tests.terminal import PATIENCE, Terminal

HANDLERS = """
import pathlib, time
from hammerwork_cli import Handlers, RetryStrategy
from datetime import timedelta
app = Handlers()

@app.job("mail")
def mail(job):
    return "VERSION"

@app.job("fails", retry=RetryStrategy.fixed(timedelta(milliseconds=1)))
def fails(job):
    raise ValueError("red \\x1b[31m\\nforged")

@app.job("waits")
def waits(job):
    pathlib.Path("began").touch()
    time.sleep(60)
"""
Start = Callable[..., "Watched"]


class Watched(Terminal):
    """A worker on a terminal, whose log is read from where it was read before."""

    position = 0

    def says(self, pattern: str) -> re.Match[str]:
        """Reads until a line fits that comes after those that were found before."""
        deadline = time.monotonic() + PATIENCE
        while not (found := re.compile(pattern, re.M).search(self.raw, self.position)):
            assert time.monotonic() < deadline, self.raw
            assert self.read(0.1) or self.process.poll() is None, self.raw
        self.position = found.end()
        return found


@pytest.fixture
def url(new_database: Callable[..., str]) -> str:
    return new_database("sqlite", migrated=True)


@pytest.fixture
def start(url: str, tmp_path: Path, clean_environment: dict[str, str]) -> Iterator[Start]:
    """``start(*options)``: a worker on a terminal, which is killed at last."""
    (tmp_path / "handlers.py").write_text(HANDLERS)
    environment = surroundings.uncovered(clean_environment)
    environment |= {"HAMMERWORK_DATABASE_URL": url}
    with contextlib.ExitStack() as ending, contextlib.chdir(tmp_path):

        def start(*options: str, handlers: str = "handlers:app", **more: str) -> Watched:
            words = ("worker", "start", "--handlers", handlers, "--poll-interval", "0.1s", *options)
            # To reload, a worker starts its Python anew, which a fork cannot.
            anew = {"PYTHONPATH": str(ROOT)} if "--reload" in options else {}
            return ending.enter_context(Watched([*PROGRAM, *words], {**environment, **anew, **more}, columns=200))

        yield start


def results(url: str) -> dict[str, Any]:
    return {job[:8].lstrip("0"): result for job, result in rows(url, "id, result_data")}


# Lines of a terminal.


def test_a_terminal_shows_a_line_for_each_attempt_and_the_traceback_of_a_failure(start: Start, url: str) -> None:
    write(url, job(1), job(2, queue="fails", max_attempts=2))
    worker = start("--drain", "--concurrency", "1", TERM="xterm")
    assert worker.end() == 0
    at = r"\d\d:\d\d:\d\dZ "
    assert re.search(rf"^{at}\x1b\[32mdone \x1b\[0m mail 00000001: \d+ ms\r$", worker.raw, re.M)
    said, shown = r"ValueError: red \\x1b\[31m", re.escape("    ValueError: red \\x1b[31m\r\n    forged\r\n")
    trace = rf'\r\n    Traceback .*\r\n      File ".*/handlers.py", line 13, in fails\r\n(?:      .*\r\n)+{shown}'
    failed = "fails 00000002 failed in attempt"
    again = rf"^{at}\x1b\[33mretry\x1b\[0m {failed} 1 of 2 and will be tried again in \d+ ms: {said}{trace}"
    assert re.search(again, worker.raw, re.M), worker.raw
    assert re.search(rf"^{at}\x1b\[31mdead \x1b\[0m {failed} 2 of 2 and is Dead now: {said}{trace}", worker.raw, re.M)
    assert "runtime/execution" not in worker.raw
    assert worker.raw.rstrip().endswith("1 attempt completed, 2 failed.")


def test_a_terminal_shows_some_of_very_many_attempts_and_counts_the_others(start: Start, url: str) -> None:
    write(url, *(job(number) for number in range(1, 501)), *(job(1000 + n, queue="fails") for n in range(100)))
    worker = start("--drain", "--queue", "mail,fails")
    assert worker.end() == 0
    shown = len(re.findall(r"(?:done |retry|dead ) (?:mail|fails) ", worker.raw))
    others = re.findall(r"info  … and (\d+) more(?:, (\d+) of them failed)?\.", worker.raw)
    ends = [*re.findall(r"Attempts: (\d+) completed, (\d+) failed", worker.raw)[0]]
    assert ends == ["500", "300"]
    assert shown + sum(int(more) for more, _ in others) == 800
    times = re.findall(r"^(\d\d:\d\d:\d\dZ) ", worker.raw, re.M)
    assert LINES <= shown <= LINES * (2 + len(set(times)))
    assert sum(int(failed or 0) for _, failed in others) > 0
    assert worker.raw.index("… and") < worker.raw.rindex("Worker ")


@pytest.mark.parametrize("options", [("--log-level", "warn"), ("--quiet",), ("--log-format", "json")])
def test_a_terminal_shows_no_completed_attempts_to_who_wants_less(
    start: Start, url: str, options: tuple[str, ...]
) -> None:
    write(url, job(1))
    worker = start("--drain", *options)
    assert worker.end() == 0
    assert "00000001" not in worker.raw
    assert statuses(url) == {1: "Completed"}


# Reload.


def test_a_worker_that_reloads_runs_new_code_and_waits_after_an_error_until_that_is_fixed(
    start: Start, url: str, tmp_path: Path
) -> None:
    app = tmp_path / "handlers.py"
    worker = start("--reload")
    worker.says("serves fails, mail, waits")
    write(url, job(1))
    worker.says("done  mail 00000001")

    # In the same second, with the same size: Python would take what it compiled for new.
    for at, text in ((0.2, HANDLERS), (0.6, HANDLERS.replace("VERSION", "version"))):
        (tmp_path / "written").write_text(text)
        os.utime(tmp_path / "written", (1_700_000_000 + at,) * 2)
        (tmp_path / "written").replace(app)
        worker.says("handlers.py changed: starting again")
        worker.says("serves")
    write(url, job(2))
    worker.says("done  mail 00000002")

    app.write_text(f"{HANDLERS}\nimport helper\n")
    worker.says("error The module handlers cannot be imported: ModuleNotFoundError: No module named 'helper'")
    worker.says(r'File ".*/handlers.py", line 20, in <module>')
    worker.says("Waiting for a change")
    (tmp_path / "helper.py").write_text("")
    worker.says("helper.py changed: starting again")
    worker.says("serves")
    write(url, job(3))
    worker.says("done  mail 00000003")
    assert results(url) == {"1": '"VERSION"', "2": '"version"', "3": '"VERSION"'}
    worker.press("\x03")
    assert worker.end() == 0
    assert "1 attempt completed, 0 failed." in worker.raw


def test_a_worker_that_waits_for_a_change_ends_at_once(start: Start, tmp_path: Path) -> None:
    (tmp_path / "handlers.py").write_text("1 / 0\n")
    worker = start("--reload")
    worker.says("ZeroDivisionError: division by zero")
    worker.says("Waiting for a change")
    worker.press("\x03")
    assert worker.end() == 130


def test_a_change_deep_in_a_package_gives_running_jobs_back_and_leaves_no_process(
    start: Start, url: str, tmp_path: Path
) -> None:
    package = tmp_path / "shop" / "jobs"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "tasks.py").write_text(HANDLERS)
    (package.parent / "main.py").write_text("from shop.jobs.tasks import app\n")
    write(url, job(1, queue="waits"))
    worker = start("--reload", "--isolation", "process", "--grace", "0.1s", handlers="shop.main:app")
    eventually((tmp_path / "began").exists)
    processes = children(worker.process.pid)
    assert processes
    (package / "tasks.py").write_text(HANDLERS.replace("time.sleep(60)", "return 'ended'"))
    worker.says(re.escape("shop/jobs/tasks.py changed: starting again"))
    worker.says("Running jobs have not finished within 0.1 s: stopping now, giving jobs back")
    worker.says("done  waits 00000001")
    assert rows(url, "status, attempts, result_data") == [("Completed", 1, '"ended"')]
    assert not [pid for pid in processes if Path(f"/proc/{pid}").exists()]
    processes = children(worker.process.pid)
    worker.signal(signal.SIGTERM)
    assert worker.end() == 0
    assert not [pid for pid in processes if Path(f"/proc/{pid}").exists()]


def children(pid: int) -> list[str]:
    return [child for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--handlers", "handlers:app", "--drain"), "A worker with --drain ends too soon for --reload."),
        (("--upkeep-only",), "A worker with --upkeep-only runs no jobs, so --reload has no effect."),
    ],
)
def test_reloading_is_refused_where_it_has_no_effect(run: Any, url: str, options: tuple[str, ...], said: str) -> None:
    done = run("worker", "start", "--reload", *options, url=url)
    assert done.exit_code == 2
    assert said in done.stderr
