"""Commands that wait for a worker go on when the server ends their connections."""

import contextlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hammerwork_cli.core.values import JobStatus
from hammerwork_cli.database import connect
from tests.commands.worker.test_worker import register
from tests.forks import Begun, begin
from tests.jobs import execute, identity, job, write

SERVERS = [pytest.param(name, marks=getattr(pytest.mark, name)) for name in ("postgres", "mysql")]
OTHERS = {
    "postgresql": "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()",
    "mysql": "SELECT id FROM information_schema.processlist WHERE db = database() AND id <> connection_id()",
}
CUT = {"postgresql": "SELECT pg_terminate_backend({})", "mysql": "KILL {}"}


def cut_all(url: str) -> None:
    """Ends every connection to a database, as a restart of the server does."""
    with contextlib.closing(connect(url)) as database:
        others = [number for (number,) in database.query(OTHERS[database.dialect])]
        assert others
        for number in others:
            database.script(CUT[database.dialect].format(number))


@pytest.fixture
def start(clean_environment: dict[str, str]) -> Iterator[Callable[..., Begun]]:
    """Starts the program and does not wait for its end."""
    with contextlib.ExitStack() as ending:

        def program(url: str, *words: str) -> Begun:
            process = begin(words, {**clean_environment, "HAMMERWORK_DATABASE_URL": url}, Path.cwd())
            ending.enter_context(process)
            ending.callback(process.kill)
            return process

        yield program


def heard(process: Begun, words: str) -> None:
    """Reads notes until one has these words."""
    assert process.stderr
    lines: list[str] = []
    while line := process.stderr.readline():
        lines.append(line)
        if words in line:
            return
    pytest.fail(f"{words!r} was not said: {lines}")


@pytest.mark.parametrize("kind", SERVERS)
def test_commands_that_wait_for_a_worker_connect_again_when_the_server_ends_their_connections(
    kind: str, new_database: Callable[..., str], start: Callable[..., Begun]
) -> None:
    url = new_database(kind, migrated=True)
    register(url, 1, heartbeat_at=datetime.now(UTC), lease_seconds=3600.0)
    write(url, job(1, JobStatus.COMPLETED, queue="fan"))
    stop = start(url, "worker", "stop", "w-1", "--wait", "--timeout", "5m")
    again = start(url, "spawn", "again", identity(1), "--wait", "--timeout", "5m")
    heard(stop, "Waiting for 1 worker.")
    heard(again, "No running worker can take it")
    cut_all(url)
    for waiting in (stop, again):
        heard(waiting, "Trying again for a minute.")
        heard(waiting, "The database answers again.")
        assert waiting.poll() is None
    execute(url, "UPDATE hammerwork_workers SET state = 'stopped', ended_at = heartbeat_at")
    execute(url, "UPDATE hammerwork_spawn_requests SET state = 'done', children = 2")
    assert "It spawned 2 jobs." in again.communicate(timeout=60)[1]
    assert "w-1" in stop.communicate(timeout=60)[0]
    assert (stop.returncode, again.returncode) == (0, 0)
