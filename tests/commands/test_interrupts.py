"""Ctrl-C and SIGTERM end the program while a database makes it wait, and leave nothing running on the server."""

import contextlib
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hammerwork_cli import app
from hammerwork_cli.database import Database, connect
from hammerwork_cli.database.interrupts import Terminated
from tests.conftest import ROOT, all_databases
from tests.forks import Begun, begin
from tests.rows import Rows

PROMPTLY = 8
"""Seconds; it takes one at most, on a machine that has time for it. What would go on waits for far longer."""
SIGNALS = [pytest.param(signal.SIGINT, 130, id="ctrl-c"), pytest.param(signal.SIGTERM, 143, id="sigterm")]
HOLD = {"postgresql": ["BEGIN", "LOCK TABLE hammerwork_jobs"], "mysql": ["LOCK TABLES hammerwork_jobs WRITE"]}
OTHERS = {
    "postgresql": "SELECT COALESCE(wait_event_type, '') FROM pg_stat_activity WHERE datname = current_database()"
    " AND application_name = 'hammerwork' AND state = 'active' AND pid NOT IN (:held)",
    "mysql": "SELECT COALESCE(state, '') FROM information_schema.processlist WHERE db = DATABASE()"
    " AND command = 'Query' AND id NOT IN (:held)",
}
OWN_ID = {"postgresql": "SELECT pg_backend_pid()", "mysql": "SELECT CONNECTION_ID()"}


@pytest.fixture
def filled_url(new_database: Callable[..., str]) -> str:
    """An SQLite file with a parent in it."""
    url = new_database("sqlite", migrated=True)
    with contextlib.closing(connect(url)) as database:
        Rows(database).job(spawns=True)
    return url


@contextlib.contextmanager
def started(*words: str, url: str, env: dict[str, str]) -> Iterator[Begun]:
    with begin([*words, "-u", url], env, Path.cwd()) as process:
        try:
            yield process
        finally:
            process.kill()


def until(condition: Callable[[], bool], process: Begun) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


class Watcher:
    """What other connections to a database do."""

    def __init__(self, url: str, holder: Database) -> None:
        self.database = connect(url)
        ids = [str(db.query(OWN_ID[db.dialect])[0][0]) for db in (holder, self.database)]
        self.statement = OTHERS[holder.dialect].replace(":held", ", ".join(ids))

    def states(self) -> list[str]:
        return [str(state) for (state,) in self.database.query(self.statement)]

    def waits(self) -> bool:
        return any("lock" in state.lower() for state in self.states())


@pytest.mark.parametrize(("number", "exit_code"), SIGNALS)
@pytest.mark.parametrize(
    "kind", [pytest.param(name, marks=getattr(pytest.mark, name)) for name in ("postgres", "mysql")]
)
def test_a_statement_that_waits_for_a_lock_ends_on_the_server_too(
    new_database: Callable[..., str], clean_environment: dict[str, str], kind: str, number: int, exit_code: int
) -> None:
    url = new_database(kind, migrated=True)
    with contextlib.closing(connect(url)) as holder:
        watcher = Watcher(url, holder)
        for statement in HOLD[holder.dialect]:
            holder.script(statement)
        with started("spawn", "list", url=url, env=clean_environment) as process:
            until(watcher.waits, process)
            process.send_signal(number)
            assert process.wait(timeout=PROMPTLY) == exit_code
            assert process.communicate() == ("", "")
        deadline = time.monotonic() + PROMPTLY
        while watcher.states():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        watcher.database.close()


@pytest.mark.parametrize(("number", "exit_code"), SIGNALS)
def test_a_file_that_another_process_writes_is_not_waited_for(
    new_database: Callable[..., str], clean_environment: dict[str, str], number: int, exit_code: int
) -> None:
    url = new_database("sqlite", migrated=True)
    with contextlib.closing(connect(url)) as holder:
        holder.script("BEGIN IMMEDIATE")
        with started("job", "enqueue", "-q", "mail", "--payload", "{}", url=url, env=clean_environment) as process:
            log = f"{holder.url.path}-wal"
            until(lambda: log in open_files(process.pid), process)
            process.send_signal(number)
            assert (process.communicate(timeout=PROMPTLY), process.returncode) == (("", ""), exit_code)


@pytest.mark.parametrize(("stop", "exit_code"), [(Terminated, 143), (KeyboardInterrupt, 130)])
def test_a_signal_that_comes_while_a_module_makes_a_class_is_no_bug(
    monkeypatch: pytest.MonkeyPatch, stop: type[BaseException], exit_code: int
) -> None:
    class Field:
        def __set_name__(self, *_: object) -> None:
            raise stop

    monkeypatch.setattr(app, "_invoke", lambda *_: type("Made", (), {"field": Field()}))
    assert app.main([]) == exit_code


def open_files(process: int) -> set[str]:
    found = set()
    for link in Path(f"/proc/{process}/fd").iterdir():
        with contextlib.suppress(OSError):
            found.add(str(link.readlink()))
    return found


@pytest.mark.parametrize(("number", "exit_code"), SIGNALS)
@pytest.mark.parametrize("scheme", ["mysql", "postgresql"])
def test_a_server_that_says_nothing_is_not_waited_for(
    clean_environment: dict[str, str], scheme: str, number: int, exit_code: int
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(30)
        url = f"{scheme}://me@127.0.0.1:{server.getsockname()[1]}/db"
        with started("spawn", "list", url=url, env=clean_environment) as process, server.accept()[0]:
            process.send_signal(number)
            assert process.wait(timeout=PROMPTLY) == exit_code


@pytest.mark.mysql
def test_a_handler_of_ones_own_lets_the_statement_finish(mysql_url: str) -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: heard.append(number))
    try:
        with contextlib.closing(connect(mysql_url)) as database:
            threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
            assert database.query("SELECT SLEEP(0.5)") == [(0,)]
    finally:
        signal.signal(signal.SIGINT, before)
    assert heard == [signal.SIGINT]


@all_databases
def test_other_threads_use_connections_of_their_own(migrated_url: str) -> None:
    answers: list[Any] = []

    def ask() -> None:
        with contextlib.closing(connect(migrated_url)) as database:
            answers.append(database.query("SELECT COUNT(*) FROM hammerwork_jobs")[0][0])

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert answers == [0, 0, 0, 0]
    assert signal.set_wakeup_fd(-1) == -1


@pytest.mark.parametrize("module", ["typer", "tabulate"])
def test_ctrl_c_ends_a_start_that_has_not_imported_everything_yet(
    filled_url: str, clean_environment: dict[str, str], tmp_path: Path, module: str
) -> None:
    (tmp_path / f"{module}.py").write_text("import signal\nsignal.raise_signal(signal.SIGINT)\n")
    env = {**clean_environment, "PYTHONPATH": os.pathsep.join((str(tmp_path), str(ROOT)))}
    with started("spawn", "list", url=filled_url, env=env) as process:
        assert process.communicate() == ("", "")
        assert process.returncode == 130
