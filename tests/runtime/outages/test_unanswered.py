"""What becomes of jobs when the answer to a commit is lost, or a worker dies after it was taken for lost."""

import logging
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from select import select
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import pytest

from hammerwork_cli import Handlers, Job, SpawnContext, SpawnHandler, SpawnResult
from hammerwork_cli.core.ids import new_id
from hammerwork_cli.database import Database
from hammerwork_cli.errors import ConnectionLostError
from hammerwork_cli.features.job.queries import enqueue, spawn_requests
from hammerwork_cli.features.worker.queries import claim, finish, registry, requests, spawn
from hammerwork_cli.features.worker.queries.registry import HeartbeatReport, Registration
from hammerwork_cli.runtime.api import queue
from hammerwork_cli.runtime.connections import Connections
from tests.conftest import all_databases, one_case_on_servers
from tests.runtime.conftest import Stage, mariadb_too


@contextmanager
def losing_the_answer(patch: pytest.MonkeyPatch, module: Any, name: str) -> Iterator[list[int]]:
    """The first call that changes something commits, and nobody hears of it."""
    original, lost = getattr(module, name), []

    def function(database: Database, *arguments: Any, **options: Any) -> Any:
        result = original(database, *arguments, **options)
        if result and not lost:
            lost.append(1)
            database.close()
            raise ConnectionLostError("The connection was lost.")
        return result

    with patch.context() as patched:
        patched.setattr(module, name, function)
        yield lost


@all_databases
@one_case_on_servers
@pytest.mark.parametrize("others", [5, 0])
def test_jobs_of_a_claim_whose_answer_was_lost_are_run_by_the_same_worker(
    stage: Stage, app: Handlers, monkeypatch: pytest.MonkeyPatch, others: int
) -> None:
    jobs = stage.enqueue(*(Job("noop", {}) for _ in range(2 + others)))
    with losing_the_answer(monkeypatch, claim, "claim") as lost:
        report = stage.work(app)
    assert lost
    assert report.completed == len(jobs)
    assert stage.rows("status, attempts, claim_losses") == [("Completed", 1, None)] * len(jobs)


@all_databases
def test_a_job_whose_enqueueing_was_not_answered_was_created_by_it(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = Job("noop")
    with losing_the_answer(monkeypatch, queue, "_write_one") as lost:
        assert stage.queue.enqueue(job).created
    assert lost
    assert not stage.queue.enqueue(job).created
    assert len(stage.rows()) == 1


@all_databases
def test_jobs_whose_enqueueing_was_not_answered_were_created_by_it(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    (before,) = stage.enqueue(Job("noop", 0))
    jobs = [before, Job("noop", 1), Job("noop", 2)]
    with losing_the_answer(monkeypatch, enqueue, "many") as lost:
        assert [job.created for job in stage.queue.enqueue_many(jobs)] == [False, True, True]
    assert lost
    assert len(stage.rows()) == 3


@mariadb_too
def test_jobs_that_ended_are_counted_once_when_the_answer_is_lost(
    stage: Stage, app: Handlers, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = stage.enqueue(*(Job("noop", {}) for _ in range(5)))
    with losing_the_answer(monkeypatch, finish, "finish") as lost:
        report = stage.work(app)
    assert lost
    assert (report.completed, report.failed) == (5, 0)
    assert stage.status(*jobs) == ["Completed"] * 5


def test_a_spawn_whose_commit_was_not_answered_calls_its_hook_once_and_fails_nothing(
    stage: Stage, app: Handlers, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A spawn at the end of its parent, and one that was requested."""
    told: list[tuple[str, int]] = []

    class Spawning(SpawnHandler):
        def spawn_jobs(self, context: SpawnContext) -> list[Job]:
            return [Job("noop"), Job("noop")]

        def on_spawn_complete(self, result: SpawnResult) -> None:
            told.append((result.parent_id, result.children))

    caplog.set_level(logging.INFO, "hammerwork")
    app.register_handler("parent", Spawning())
    (parent,) = stage.enqueue(Job("parent"))
    for number, (module, name) in enumerate([(spawn, "complete"), (requests, "fulfil")], 1):
        with losing_the_answer(monkeypatch, module, name) as lost:
            stage.work(app)
        assert lost
        assert told == [(parent.id, 2)] * number
        assert len(stage.children(parent)) == 2 * number
        assert caplog.text.count("spawned 2 jobs by") == number
        now = stage.database.now()
        spawn_requests.request(stage.database, parent.id, handler=None, config=None, by="x", now=now)
    assert [row[1:] for row in stage.operations()] == [("spawned", 2)] * 2
    assert stage.one(parent, "status, attempts") == ("Completed", 1)
    assert [record.message for record in caplog.records if record.levelno >= logging.WARNING] == []


@all_databases
def test_jobs_that_a_worker_took_after_it_was_taken_for_lost_come_back(stage: Stage) -> None:
    database, now = stage.database, stage.database.now()
    worker = new_id()
    registry.register(database, Registration(worker, "late", "host", 1, "0", ("noop",), (), 1, 1.0))
    assert stage.rescue() == [("late", 0, 0)]
    (job,) = stage.enqueue(Job("noop", {}))
    # It has not noticed, claims, and dies before its next heartbeat.
    later = now + timedelta(minutes=1)
    assert len(claim.claim(database, "noop", worker=worker, now=later, limit=1, slots=1)) == 1
    assert registry.heartbeats(database) == []
    assert stage.rescue() == [("late", 1, 0)]
    assert stage.one(job) == "Pending"
    assert stage.rescue() == []


@all_databases
def test_a_worker_that_has_ended_is_left_alone_when_it_holds_nothing(stage: Stage) -> None:
    worker = new_id()
    registry.register(stage.database, Registration(worker, "gone", "host", 1, "0", ("noop",), (), 1, 1.0))
    registry.end(stage.database, worker, "gone", HeartbeatReport("running", 0, 3, 0, None), stage.database.now())
    assert stage.rescue() == []
    (found,) = registry.listed(stage.database)
    assert (found.state, found.completed) == ("stopped", 3)


@pytest.mark.mysql
def test_a_server_that_ends_while_a_connection_begins_is_tried_again(new_database: Callable[..., str]) -> None:
    url = urlsplit(new_database("mysql", migrated=True))
    with hanging_up_once(url.hostname or "", url.port or 3306) as (port, hung_up):
        through = url._replace(netloc=f"{url.netloc.rpartition(':')[0]}:{port}").geturl()
        connections = Connections(through, 1)
        assert connections.run(lambda database: database.query("SELECT 1"), patience=30) == [(1,)]
        connections.close()
    assert hung_up


@contextmanager
def hanging_up_once(host: str, port: int) -> Iterator[tuple[int, list[bytes]]]:
    """A port that leads to a server; the first client is left alone after the server's greeting."""
    hung_up: list[bytes] = []

    def serve() -> None:
        client, _ = listener.accept()
        with client, socket.create_connection((host, port)) as server:
            client.sendall(server.recv(4096))
            hung_up.append(client.recv(4096))
        client, _ = listener.accept()
        with client, socket.create_connection((host, port)) as server:
            while ready := select([client, server], [], [], 30)[0]:
                for end in ready:
                    data = end.recv(65536)
                    if not data:
                        return
                    (server if end is client else client).sendall(data)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1], hung_up
        thread.join(30)
