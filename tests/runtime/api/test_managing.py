"""Finding, waiting for, cancelling and retrying jobs, pausing queues and making tables from Python."""

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from hammerwork_cli import (
    ConfigError,
    ConflictError,
    Handlers,
    Job,
    JobNotFoundError,
    JobStatus,
    Queue,
    SpawnContext,
    UsageError,
    Worker,
)
from hammerwork_cli.core.ids import new_id
from hammerwork_cli.database import connect
from hammerwork_cli.errors import NotFoundError, TimedOutError
from hammerwork_cli.runtime.api import queue as queue_module
from hammerwork_cli.runtime.connections import Connections
from tests.conftest import all_databases
from tests.runtime.conftest import Stage, mariadb_too

SECOND = timedelta(seconds=1)


@pytest.fixture
def app(app: Handlers) -> Handlers:
    """Also a handler whose job spawns three children, of which the one that is bad fails."""

    @app.spawn("parent")
    def spawn(context: SpawnContext) -> list[Job]:
        del context
        return [Job("child", {"bad": number == 2}, max_attempts=1) for number in range(3)]

    @app.job("child")
    def child(job: Job) -> int:
        if job.payload["bad"]:
            raise ValueError("bad")
        return 7

    return app


@all_databases
def test_a_job_that_is_not_there_is_none_to_find_and_an_error_to_all_others(stage: Stage) -> None:
    missing = new_id()
    assert stage.queue.find(missing) is None
    for ask in (
        lambda: stage.queue.get(missing),
        lambda: list(stage.queue.jobs(tree=missing)),
        lambda: list(stage.queue.children(missing)),
        lambda: stage.queue.wait(missing),
        lambda: stage.queue.wait(missing, tree=True),
    ):
        with pytest.raises(JobNotFoundError, match=missing):
            ask()
    for change in (stage.queue.cancel, stage.queue.retry):
        with pytest.raises(NotFoundError, match=missing):
            change(missing)


def test_jobs_are_found_by_queue_status_and_tree(stage: Stage, app: Handlers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue_module, "PAGE", 2)  # so that there are several
    (parent,) = stage.enqueue(Job("parent"))
    stage.work(app)
    later = stage.enqueue(*(Job("later", {"number": number}) for number in range(5)))
    queue = stage.queue
    assert {job.id for job in queue.jobs("later")} == {job.id for job in later}
    assert {job.payload["number"] for job in queue.jobs("later", status="pending")} == set(range(5))
    assert list(queue.jobs("later", status=[JobStatus.DEAD, "completed"])) == []
    assert [job.status for job in queue.jobs("child", status=JobStatus.DEAD)] == ["Dead"]
    tree = list(queue.jobs(tree=parent))
    assert tree[0] == parent
    assert sorted(job.queue for job in tree) == ["child", "child", "child", "parent"]
    assert [job.error for job in queue.jobs(tree=parent, status="dead") if job.error.startswith("ValueError")] != []
    assert [job.result for job in queue.jobs("child", tree=parent, status="completed")] == [7, 7]
    assert {job.id for job in queue.children(parent)} == {job.id for job in tree[1:]}
    assert list(queue.children(later[0])) == []
    assert len(list(queue.jobs())) == 9
    with pytest.raises(UsageError, match="'broken' is not a status"):
        queue.jobs(status="broken")


def test_wait_returns_the_job_once_it_or_its_tree_has_ended(stage: Stage, app: Handlers) -> None:
    parent, done = stage.enqueue(Job("parent"), Job("noop"))
    worker = threading.Timer(0.5, stage.work, [app])
    worker.start()
    try:
        assert stage.queue.wait(done, timeout=30 * SECOND).status == "Completed"
        assert stage.queue.wait(parent, timeout=30 * SECOND, tree=True).status == "Completed"
        assert {job.status for job in stage.queue.children(parent)} == {"Completed", "Dead"}
    finally:
        worker.join()


@pytest.mark.parametrize("tree", [False, True])
def test_wait_gives_up_after_its_timeout(stage: Stage, tree: bool) -> None:
    (job,) = stage.enqueue(Job("noop"))
    began = time.monotonic()
    with pytest.raises(TimedOutError, match=f"did not end within 500 ms: {job.id}"):
        stage.queue.wait(job, timeout=SECOND / 2, tree=tree)
    assert time.monotonic() - began >= 0.5


@mariadb_too
def test_a_job_that_can_never_run_is_not_waited_for(stage: Stage) -> None:
    parent = Job("noop")
    child = Job("noop").depends_on(parent)
    stage.enqueue(parent, child)
    stage.execute(f"UPDATE hammerwork_jobs SET status = 'Dead', failed_at = created_at WHERE id = '{parent.id}'")
    assert stage.queue.wait(parent, timeout=30 * SECOND, tree=True).status == "Dead"


def test_a_job_is_cancelled_and_retried_alone_or_with_what_is_below_it(stage: Stage, app: Handlers) -> None:
    queue = stage.queue
    first = Job("noop")
    second = Job("noop").depends_on(first)
    stage.enqueue(first, second)
    assert queue.cancel(first, "too early") == 1
    cancelled, followed = queue.get(first), queue.get(second)
    assert (cancelled.status, followed.status) == ("Cancelled", "Cancelled")
    assert "too early" in (cancelled.error or "")
    with pytest.raises(ConflictError, match="Cancelled"):
        queue.cancel(first)
    assert queue.retry(first, now=True) == 1
    assert (queue.get(first).status, queue.get(second).status) == ("Pending", "Pending")
    assert queue.cancel(first, tree=True) == 2
    assert queue.retry(first, tree=True) == 0
    assert queue.retry(first, tree=True, cancelled=True) == 2
    stage.work(app)
    with pytest.raises(ConflictError, match="Completed"):
        queue.retry(first)
    assert queue.retry(first, force=True) == 1


@all_databases
def test_a_change_whose_answer_was_lost_counts_as_made(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    (job,) = stage.enqueue(Job("noop"))
    run = Connections.run

    def twice(self: Connections, unit: Callable[..., object], **options: object) -> object:
        return run(self, lambda database: (unit(database), unit(database))[1], **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Connections, "run", twice)
    assert stage.queue.cancel(job) == 1
    assert stage.queue.retry(job) == 1


def test_no_worker_starts_a_job_of_a_paused_queue_until_it_is_resumed(stage: Stage, app: Handlers) -> None:
    (job,) = stage.enqueue(Job("noop"))
    stage.queue.pause("noop", "deploying")
    stage.work(app)
    assert stage.status(job) == ["Pending"]
    assert [row[0] for row in stage.database.query("SELECT reason FROM hammerwork_queue_pause")] == ["deploying"]
    stage.queue.resume("noop")
    stage.queue.resume("noop")
    stage.work(app)
    assert stage.status(job) == ["Completed"]


def test_a_program_makes_its_own_tables(url: str) -> None:
    with Queue(url) as queue:
        assert "001_initial_schema" in queue.migrate()
        assert queue.migrate() == []
        job = queue.enqueue(Job("noop"))
        assert queue.get(job).status == "Pending"


def test_a_database_that_is_not_current_is_read_and_not_changed(tmp_path: Path) -> None:
    file = tmp_path / "jobs.db"
    with Queue(f"sqlite:///{file}") as queue:
        queue.migrate()
        job = queue.enqueue(Job("noop"))
        database = connect(f"sqlite:///{file}")
        database.script("DELETE FROM hammerwork_migrations WHERE migration_id LIKE 'hw_036%'")
        database.close()
    with Queue(f"sqlite:///{file}") as queue:
        assert queue.get(job).status == "Pending"
        with pytest.raises(Exception, match="migration run"):
            queue.cancel(job)


def test_a_database_in_memory_is_that_of_one_queue_and_gone_once_it_is_closed(app: Handlers) -> None:
    with Queue("sqlite:///:memory:") as queue, Queue("sqlite:///:memory:") as other:
        queue.migrate()
        other.migrate()
        parent = queue.enqueue(Job("parent"))
        assert Worker(queue, app, drain=True).run().failed == 1
        assert other.find(parent) is None
        path = queue.url.path
        assert path is not None
        assert path.exists()
    assert not path.parent.exists()


def test_a_database_in_memory_is_no_database_of_a_command(lite: Stage) -> None:
    del lite
    with pytest.raises(ConfigError, match="only for a Queue in Python"):
        Worker("sqlite:///:memory:", Handlers()).run()
