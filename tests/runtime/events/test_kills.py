"""An event that counts as sent can be read, whoever is killed while it is written. ``make kills`` kills more often."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hammerwork_cli import Job
from hammerwork_cli.features.event import queries as events
from hammerwork_cli.features.streaming import queries as stored_streams
from hammerwork_cli.features.streaming.model import Stream
from hammerwork_cli.runtime.worker import streams
from hammerwork_cli.runtime.worker.options import Options
from tests.allowing import ALL
from tests.conftest import all_databases, on_sqlite
from tests.forks import Fork
from tests.runtime.conftest import Crew, Stage, until

KILLS = int(os.environ.get("KILLS", "0"))
"""For each case; without it, two on SQLite alone."""
SIZE = 1_000_000
PROGRAM = """
import os, sys
from hammerwork_cli import EventFile, events
with EventFile(sys.argv[1]) as file:
    with open(sys.argv[1] + ".pid", "w") as pid:
        pid.write(str(os.getpid()))
    for event in events():
        file.append(event)
"""
WORKER = """
import os, sys
from hammerwork_cli import Handlers, Worker
from hammerwork_cli.runtime.delivery.streams import command
from hammerwork_cli.runtime.worker import streams
streams.LEASE_SECONDS, streams.TIMEOUT_SECONDS, streams.LONGEST_PAUSE = 0.5, 0.2, 0.1
url, program, writing, pieces = sys.argv[1:]

def noted(self, waiting, write=command._Program._write, written=[], writing=writing, pieces=int(pieces), os=os):
    found = write(self, waiting)
    open(writing, "w").close()
    written.append(found)
    if len(written) == pieces:
        os.kill(os.getpid(), 9)
    return found

command._Program._write = noted
app = Handlers()
app.register_job("nothing", lambda _: None)
Worker(url, app, allowed_programs=[program]).run()
"""
Run = Callable[..., Any]


class Written:
    """A stream into a file."""

    def __init__(self, stage: Stage, run: Run, folder: Path) -> None:
        self.stage, self.folder, self.file = stage, folder, folder / "events.jsonl"
        program = folder / "to_file.py"
        program.write_text(PROGRAM)
        self.command = shlex.join([sys.executable, str(program), str(self.file)])
        added = (
            "add",
            "--name",
            "file",
            "-b",
            "command",
            "--command",
            self.command,
            "--no-test",
            "--events",
            "enqueued",
        )
        done = run("streaming", *added, "--include-payload", "--partitioning", "queue_name", url=stage.url)
        assert done.exit_code == 0, done.stderr
        events_noticed(stage)
        self.jobs: list[str] = []

    @property
    def stream(self) -> Stream:
        return stored_streams.named(self.stage.database, "file")

    def kill_while_writing(self, *, pieces: int = 0, after: float = 0.0, program: bool = False) -> None:
        """Kills a worker, or its program, while it writes another event.

        Args:
            pieces: of the line, after which the worker is killed.
            after: seconds after the first of them, otherwise.
        """
        for payload in ({"text": "x" * SIZE}, {}):
            self.jobs += [job.id for job in self.stage.enqueue(Job("work", payload))]
        writing, pid = self.folder / "writing", self.folder / "events.jsonl.pid"
        for earlier in (writing, pid):
            earlier.unlink(missing_ok=True)
        words = [self.stage.url, self.command, str(writing), str(pieces)]
        with Fork(words, os.environ, self.folder, before=WORKER) as worker:
            try:
                if not pieces:
                    until(writing.exists)
                    time.sleep(after)
                if program:
                    until(lambda: pid.exists() and pid.read_text())
                    os.kill(int(pid.read_text()), signal.SIGKILL)
                    sent = len(self.jobs)
                    until(lambda: self.stream.sent == sent)
            finally:
                if not pieces:
                    worker.kill()
            worker.wait(60)

    def assert_readable(self) -> None:
        """Each event that counts as sent is in the file, the first copies in the order of their key."""
        with subprocess.Popen(shlex.split(self.command), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as last:
            last.wait()  # earlier programs have ended, and what they left is repaired
        found = [json.loads(line)["data"]["id"] for line in self.file.read_text().splitlines()]
        assert list(dict.fromkeys(found)) == self.jobs


def events_noticed(stage: Stage) -> None:
    stage.database.forget(events.READERS)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Options, "allowed", ALL)
    monkeypatch.setattr(streams, "LEASE_SECONDS", 0.5)
    monkeypatch.setattr(streams, "TIMEOUT_SECONDS", 0.2)
    monkeypatch.setattr(streams, "LONGEST_PAUSE", 0.1)
    monkeypatch.setattr(events, "SECONDS", 0.1)


@pytest.fixture
def written(stage: Stage, run: Run, tmp_path: Path) -> Written:
    return Written(stage, run, tmp_path)


def test_half_a_line_is_nothing(written: Written, crew: Crew) -> None:
    for pieces in (1, 2, 5, 11):
        written.kill_while_writing(pieces=pieces)
    crew.begin()
    until(lambda: written.stream.sent == len(written.jobs))
    written.assert_readable()


@pytest.mark.long
@(all_databases if KILLS else on_sqlite)
@pytest.mark.parametrize("program", [False, True], ids=["worker", "program"])
def test_no_kill_during_a_write_loses_an_event_that_counts_as_sent(written: Written, crew: Crew, program: bool) -> None:
    kills = KILLS or 2
    for number in range(kills):
        written.kill_while_writing(after=number * 60 / kills / 1000, program=program)
    crew.begin()
    until(lambda: written.stream.sent == len(written.jobs))
    written.assert_readable()
