"""Putting jobs into queues from Python, and reading them."""

import contextlib
import gzip
import os
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from hammerwork_cli import (
    EncryptionKeys,
    HammerworkError,
    Handlers,
    Job,
    JobPriority,
    Queue,
    RetryStrategy,
    SpawnContext,
    Worker,
)
from hammerwork_cli.core.ids import new_id
from hammerwork_cli.database import Database, connect
from hammerwork_cli.errors import ConflictError, MissingTablesError, UnreachableError, UsageError
from hammerwork_cli.features.migration import queries as migrations
from tests.conftest import all_databases
from tests.rows import Rows
from tests.runtime.conftest import Stage, mariadb_too

HOUR = timedelta(hours=1)
MOMENT = datetime(2026, 11, 24, 14, 0, tzinfo=UTC)


def test_a_job_is_read_as_it_is_now(stage: Stage, app: Handlers) -> None:
    @app.job("fails")
    def fail(job: Job) -> None:
        raise ValueError("no data")

    done, dead = stage.enqueue(Job("noop", {"a": "東京"}).as_high_priority(), Job("fails", max_attempts=1))
    waiting = stage.queue.get(done)
    assert (waiting.status, waiting.attempts, waiting.started_at, waiting.error) == ("Pending", 0, None, None)
    assert (waiting.queue, waiting.payload, waiting.priority) == ("noop", {"a": "東京"}, JobPriority.HIGH)
    stage.work(app)
    ended, failed = stage.queue.get(done.id), stage.queue.get(dead.id.upper())
    assert (ended.status, ended.attempts) == ("Completed", 1)
    assert ended.started_at is not None
    assert failed.status == "Dead"
    assert (failed.error or "").startswith("ValueError: no data")


@all_databases
def test_a_job_that_is_not_there_is_none_and_what_is_no_id_an_error(stage: Stage) -> None:
    assert stage.queue.find(new_id()) is None
    with pytest.raises(HammerworkError, match="is not the id of a job"):
        stage.queue.get("first")


@all_databases
def test_a_job_in_the_archive_is_read_with_what_its_record_holds(stage: Stage) -> None:
    row = {
        "id": new_id(),
        "queue_name": "reports",
        "payload": gzip.compress(b'{"pages": [1, 2]}'),
        "status": "Completed",
        "priority": "High",
        "attempts": 2,
        "created_at": MOMENT,
        "scheduled_at": MOMENT,
        "started_at": MOMENT,
        "completed_at": MOMENT,
        "archived_at": MOMENT,
        "result": '{"written": true}',
        "timeout_seconds": 60,
        "trace_id": "trace",
    }
    unreadable = {**row, "id": new_id(), "payload": b"\x1f\x8bbroken", "status": "Dead", "error_message": "broken"}
    cut = {**row, "id": new_id(), "payload": b'{"pages": [1', "result": None}
    rows = Rows(stage.database)
    for one in (row, unreadable, cut):
        rows.insert("hammerwork_jobs_archive", one)
    found = stage.queue.get(row["id"])
    assert (found.queue, found.payload, found.result) == ("reports", {"pages": [1, 2]}, {"written": True})
    assert (found.status, found.priority, found.attempts) == ("Completed", JobPriority.HIGH, 2)
    assert (found.timeout, found.trace_id, found.started_at) == (timedelta(minutes=1), "trace", MOMENT)
    assert (found.workflow_id, found.dependencies, found.recurring, found.spawn_config) == (None, (), False, None)
    for one, error in ((unreadable, "broken"), (cut, None)):
        kept = stage.queue.get(one["id"])
        assert (kept.payload, kept.error) == (None, error)


@all_databases
def test_the_beginning_of_an_id_is_for_commands_and_a_file_that_is_not_there_is_not_made(
    stage: Stage, tmp_path: Path, app: Handlers
) -> None:
    with pytest.raises(UsageError, match="'538548c2' is not the id of a job: Python wants the whole UUID"):
        stage.queue.get("538548c2")
    missing = tmp_path / "missing.db"
    with Queue(f"sqlite:///{missing}") as queue:
        for use in (
            lambda: queue.enqueue(Job("q")),
            lambda: queue.enqueue_many([Job("q")]),
            lambda: queue.get(new_id()),
            lambda: queue.results([new_id()]),
            Worker(queue, app).run,
        ):
            with pytest.raises(UnreachableError, match=r"The SQLite file .*missing\.db does not exist"):
                use()
    assert not missing.exists()


@all_databases
def test_everything_that_a_job_was_given_comes_back(stage: Stage) -> None:
    other = Job("noop")
    given = (
        Job("noop", [1, {"two": None}])
        .with_timeout(timedelta(minutes=2))
        .with_max_attempts(9)
        .with_retry_strategy(RetryStrategy.fibonacci(timedelta(seconds=2), jitter=0.5))
        .with_cron("0 30 2 * * Mon-Fri", "Europe/Oslo")
        .with_trace_id("trace")
        .with_correlation_id("correlation")
        .with_workflow(new_id(), "nightly")
        .with_result_ttl(timedelta(days=1))
        .depends_on(other)
    )
    stage.enqueue(other, given)
    found = stage.queue.get(given)
    same = attrgetter(
        *("queue", "payload", "max_attempts", "timeout", "retry_strategy", "cron_schedule", "timezone", "recurring"),
        *("trace_id", "correlation_id", "workflow_id", "workflow_name", "result_ttl", "dependencies"),
    )
    assert same(found) == same(given)


def test_jobs_that_are_written_together_keep_what_only_one_of_them_has(lite: Stage) -> None:
    own = {
        "retry_strategy": Job("noop").with_retry_strategy(RetryStrategy.fixed(HOUR)),
        "result_ttl_seconds": Job("noop").with_result_ttl(HOUR),
        "cron_schedule": Job("noop").with_cron("@daily"),
        "ancestry": Job("noop").with_callbacks(on_complete=Job("noop")),
        "encryption_key_id": Job("noop", {"secret": 1}).with_encryption(),
    }
    with Queue(lite.url, encryption=EncryptionKeys({"k": bytes(32)})) as queue:
        for column, job in own.items():
            plain = Job("noop")
            queue.enqueue_many([plain, job])
            assert [lite.one(written, column) is None for written in (plain, job)] == [True, False], column


def test_a_timeout_counts_for_a_job_that_only_spawns(stage: Stage, app: Handlers) -> None:
    @app.spawn("slow")
    def slowly(context: SpawnContext) -> list[Job]:
        time.sleep(1.6)
        return [Job("noop")]

    (parent,) = stage.enqueue(Job("slow").with_timeout(timedelta(seconds=1)))
    stage.work(app)
    assert stage.status(parent) == ["TimedOut"]
    assert stage.children(parent) == []


@mariadb_too
def test_enqueue_says_whether_it_wrote_the_job_and_what_has_become_of_it(stage: Stage, app: Handlers) -> None:
    job = Job("noop", {"a": 1}, id=uuid4())
    first = stage.queue.enqueue(job)
    assert (first.id, first.created, first.status) == (job.id, True, "Pending")
    stage.work(app)
    again = stage.queue.enqueue(job)
    assert (again.id, again.created, again.status) == (job.id, False, "Completed")
    found = stage.queue.get(UUID(job.id))
    assert (found.created, found.status) == (None, "Completed")


@all_databases
def test_enqueue_many_says_it_of_each_job(stage: Stage, app: Handlers) -> None:
    done = Job("noop", {"a": 1})
    stage.enqueue(done)
    stage.work(app)
    fresh, other = Job("other").depends_on(done), Job("other")
    found = stage.queue.enqueue_many([fresh, done, other, fresh])
    assert [job.id for job in found] == [fresh.id, done.id, other.id, fresh.id]
    assert [(job.created, job.status) for job in found] == [
        (True, "Pending"),
        (False, "Completed"),
        (True, "Pending"),
        (True, "Pending"),
    ]
    assert [job.created for job in (fresh, done, other)] == [None] * 3
    assert {job.created for job in stage.queue.enqueue_many([fresh, other])} == {False}


@all_databases
def test_the_same_id_with_another_schedule_or_time_zone_is_a_conflict(stage: Stage) -> None:
    job = stage.queue.enqueue(Job("noop").with_cron("0 30 2 * * *"))
    assert not stage.queue.enqueue(job.with_cron("0 30 2 * * *", "UTC")).created
    for other, differs in (
        (job.with_cron("0 45 2 * * *"), "cron_schedule"),
        (job.with_cron("0 30 2 * * *", "Europe/Oslo"), "timezone"),
        (Job("noop", id=job.id), "cron_schedule, timezone"),
    ):
        with pytest.raises(ConflictError, match=f"with a different {differs}"):
            stage.queue.enqueue(other)


@all_databases
def test_jobs_are_due_by_the_servers_clock(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    class Ahead(datetime):
        """The clock of a producer that is ten minutes ahead."""

        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime.now(tz) + timedelta(minutes=10)

    monkeypatch.setattr("hammerwork_cli.runtime.clock.datetime", Ahead)
    queue = Queue(stage.url)
    one = queue.enqueue(Job("noop"))
    (many,) = queue.enqueue_many([Job("noop")])
    queue.close()
    for job in (one, many):
        assert stage.timestamp(job, "scheduled_at") < datetime.now(UTC) + timedelta(minutes=1)


def test_a_queue_waits_as_long_as_its_options_say(tmp_path: Path) -> None:
    queue = Queue("postgresql://nobody@127.0.0.1:1/nothing", patience=0)
    with pytest.raises(UnreachableError):
        queue.enqueue(Job("noop"))
    for wrong in ({"patience": -1}, {"patience": float("nan")}, {"pool_size": 0}):
        with pytest.raises(UsageError):
            Queue(f"sqlite:///{tmp_path}/jobs.db", **wrong)  # type: ignore[arg-type]


@mariadb_too
def test_a_queue_that_was_connected_before_a_migration_sees_it_when_a_job_needs_it(
    empty_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(migrations, "MIGRATIONS", migrations.MIGRATIONS[:14])
        migrations.run(empty_database)
    retried = Job("noop").with_retry_strategy(RetryStrategy.fixed(timedelta(seconds=7)))
    with Queue(empty_database.url) as queue:
        with pytest.raises(MissingTablesError, match="hammerwork-cli reads but never changes"):
            queue.enqueue(retried)
        migrations.run(empty_database)
        queue.enqueue(retried)
        found = queue.get(retried)
    assert found.retry_strategy == retried.retry_strategy


@all_databases
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_queue_and_a_worker_that_were_used_before_a_fork_are_used_after_it(stage: Stage) -> None:
    app = Handlers()
    app.register_job("forked", lambda job: None)  # noqa: ARG005
    stage.enqueue(Job("forked"))
    worker = Worker(stage.queue, app, drain=True, poll_interval=0.05)
    children = []
    for _ in range(2):
        child = os.fork()
        if child == 0:
            code = 1
            try:
                for _ in range(5):
                    stage.queue.enqueue(Job("forked"))
                worker.run()
                code = 0
            finally:
                os._exit(code)
        children.append(child)
    for _ in range(5):
        stage.queue.enqueue(Job("forked"))
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0]
    stage.queue.enqueue(Job("forked"))
    worker.run()
    assert [status for _, status in stage.rows()] == ["Completed"] * 17
    assert len(stage.database.query("SELECT id FROM hammerwork_workers")) == 3


@all_databases
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_process_that_was_forked_while_a_thread_wrote_writes_as_well(stage: Stage) -> None:
    begun, may_end = threading.Event(), threading.Event()

    def write_for_a_while() -> None:
        def work() -> None:
            database.query("SELECT 1")
            begun.set()
            may_end.wait(60)

        with contextlib.closing(connect(stage.url)) as database:
            database.transaction(work)

    writing = threading.Thread(target=write_for_a_while)
    writing.start()
    assert begun.wait(60)
    threading.Timer(0.3, may_end.set).start()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            Queue(stage.url, patience=5).enqueue(Job("noop"))
            code = 0
        finally:
            os._exit(code)
    writing.join()
    assert os.waitpid(child, 0)[1] == 0
    assert len(stage.rows()) == 1


FORGOTTEN = """
import sys
from hammerwork_cli import Job, Queue

def enqueue():
    Queue(sys.argv[1]).enqueue(Job("noop"))

enqueue()
queue = Queue(sys.argv[1])
queue.enqueue(Job("noop"))
"""


@all_databases
def test_a_queue_that_nobody_closes_leaves_no_connection_open(stage: Stage) -> None:
    command = [sys.executable, "-X", "dev", "-c", FORGOTTEN, stage.url]
    ended = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert len(stage.rows()) == 2
