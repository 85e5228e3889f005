"""A job that is taken from the worker that runs it, by `job cancel --force` say, ends there as far as it can."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from hammerwork_cli import Handlers, Job, SpawnContext, Worker
from hammerwork_cli.features.job.queries import changes
from hammerwork_cli.features.job.queries.changes import CancelJobs, Delete, RetryJobs
from hammerwork_cli.features.job.queries.selections import ByIds
from hammerwork_cli.runtime.host.logs import named
from tests.runtime.conftest import PATIENCE, Stage, mariadb_too, until

BEATS = 5
"""Heartbeats within which it must be noticed; each is a sixth of a lease."""
LEASE = 6.0


def take(stage: Stage, job: Job, how: str) -> None:
    now = stage.database.now()
    if how == "delete":
        change: Any = Delete(now, force=True)
    elif how == "retry":
        change = RetryJobs(now, force=True)
    else:
        change = CancelJobs(now, by="me", force=True, reason="too slow")
    assert changes.run(stage.database, ByIds([job.id]), change).changed == 1


class Running:
    """A worker with one slot, in a thread."""

    def __init__(self, stage: Stage, handlers: Any, **options: Any) -> None:
        self.worker = Worker(stage.url, handlers, concurrency=1, lease=LEASE, poll_interval=0.05, **options)
        self.thread = threading.Thread(target=self.worker.run)
        self.thread.start()

    def end(self) -> None:
        self.worker.stop(now=True)
        self.thread.join(PATIENCE)
        assert not self.thread.is_alive()


@pytest.fixture
def beginning(stage: Stage) -> Any:
    begun: list[Running] = []

    def begin(handlers: Any, **options: Any) -> None:
        begun.append(Running(stage, handlers, **options))

    yield begin
    for one in begun:
        one.end()


SAID = {
    "cancel": "it was cancelled by me through hammerwork: too slow.",
    "delete": "it was deleted.",
}


@pytest.mark.parametrize("how", SAID)
def test_a_coroutine_whose_job_is_taken_away_is_cancelled_and_its_slot_free(
    stage: Stage, app: Handlers, beginning: Callable[..., None], caplog: pytest.LogCaptureFixture, how: str
) -> None:
    runs, cancelled = threading.Event(), threading.Event()

    @app.job("slow")
    async def slow(job: Job) -> None:
        runs.set()
        try:
            await asyncio.sleep(PATIENCE)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    beginning(app, queues=("slow", "noop"))
    (job,) = stage.enqueue(Job("slow"))
    assert runs.wait(PATIENCE)
    began = time.monotonic()
    take(stage, job, how)
    assert cancelled.wait(PATIENCE)
    assert time.monotonic() - began < BEATS * LEASE / 6
    (following,) = stage.enqueue(Job("noop"))
    until(lambda: stage.status(following) == ["Completed"])
    if how == "cancel":
        found = stage.queue.get(job)
        assert found is not None
        assert (found.status, found.error) == ("Cancelled", "cancelled by me through hammerwork: too slow")
    said = [record for record in caplog.records if "taken from this worker" in record.msg]
    assert [(record.job_id, record.levelname) for record in said] == [(job.id, "WARNING")]
    assert named(said[0]) == (
        f"Job {job.id} (slow) was taken from this worker while it ran: {SAID[how]} Its coroutine is cancelled."
    )
    assert "another worker" not in caplog.text


@mariadb_too
def test_a_job_that_is_retried_while_it_runs_runs_once_at_a_time(
    stage: Stage, app: Handlers, beginning: Callable[..., None]
) -> None:
    runs: list[str] = []

    @app.job("slow")
    async def slow(job: Job) -> str:
        runs.append("begins")
        try:
            await asyncio.sleep(PATIENCE if len(runs) == 1 else 0)
        except asyncio.CancelledError:
            runs.append("cancelled")
            raise
        return "again"

    beginning(app)
    (job,) = stage.enqueue(Job("slow"))
    until(lambda: runs)
    take(stage, job, "retry")
    until(lambda: stage.status(job) == ["Completed"])
    assert runs == ["begins", "cancelled", "begins"]
    assert stage.queue.results([job])[job.id] == "again"


@pytest.mark.sqlite
def test_children_that_an_async_generator_produces_end_with_their_job(
    lite: Stage, app: Handlers, caplog: pytest.LogCaptureFixture
) -> None:
    ended = threading.Event()

    @app.spawn("slow")
    async def spawn(context: SpawnContext) -> AsyncIterator[Job]:
        try:
            yield Job("noop")
            await asyncio.sleep(PATIENCE)
        finally:
            ended.set()

    (job,) = lite.enqueue(Job("slow"))
    running = Running(lite, app)
    until(lambda: lite.status(job) == ["Running"])
    time.sleep(0.2)
    take(lite, job, "cancel")
    assert ended.wait(PATIENCE)
    running.end()
    assert lite.children(job) == []
    assert lite.status(job) == ["Failed"]


def waits_for_the_slot(lite: Stage, go_on: threading.Event) -> None:
    """The worker says that the slot is held, and the next job starts only when the handler goes on."""
    until(lambda: lite.database.query("SELECT held_slots FROM hammerwork_workers") == [(1,)])
    (following,) = lite.enqueue(Job("noop"))
    time.sleep(0.2)
    assert lite.status(following) == ["Pending"]
    go_on.set()
    until(lambda: lite.status(following) == ["Completed"])


@pytest.mark.sqlite
def test_a_thread_whose_job_is_taken_away_holds_its_slot_and_the_worker_says_so(
    lite: Stage, app: Handlers, caplog: pytest.LogCaptureFixture
) -> None:
    runs, go_on = threading.Event(), threading.Event()

    @app.job("slow")
    def slow(job: Job) -> None:
        runs.set()
        assert go_on.wait(PATIENCE)

    running = Running(lite, app, queues=("slow", "noop"))
    (job,) = lite.enqueue(Job("slow"))
    assert runs.wait(PATIENCE)
    take(lite, job, "cancel")
    until(lambda: "holds its slot until the handler returns" in caplog.text)
    waits_for_the_slot(lite, go_on)
    running.end()
    said = [named(record) for record in caplog.records if getattr(record, "job_id", None) == job.id]
    assert len(said) == 2, said
    assert said[1].startswith(f"The handler of job {job.id} (slow) has returned, after ")


@pytest.mark.sqlite
def test_a_thread_that_has_timed_out_holds_its_slot_and_the_worker_says_so(
    lite: Stage, app: Handlers, caplog: pytest.LogCaptureFixture
) -> None:
    go_on = threading.Event()
    app.register_job("slow", lambda _: go_on.wait(PATIENCE))
    running = Running(lite, app, queues=("slow", "noop"))
    (job,) = lite.enqueue(Job("slow", timeout=timedelta(seconds=1)))
    until(lambda: lite.status(job) == ["TimedOut"] and "has held its slot since" in caplog.text)
    waits_for_the_slot(lite, go_on)
    running.end()
    said = [named(record) for record in caplog.records if getattr(record, "job_id", None) == job.id]
    holds, failed, returned = sorted(said[:2], reverse=True) + said[2:]
    assert "failed in attempt 1 of 3 and is TimedOut now" in failed
    assert holds.startswith(f"Job {job.id} (slow) has timed out, but a thread cannot be killed: ")
    assert returned.startswith(f"The handler of job {job.id} (slow) has returned, after ")


@pytest.mark.usefixtures("forked_processes")
@pytest.mark.sqlite
def test_a_process_whose_job_is_taken_away_is_killed_and_its_slot_free(
    lite: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "slow_app.py").write_text(
        "import os, time\nfrom hammerwork_cli import Handlers\napp = Handlers()\n"
        "@app.job('slow')\ndef slow(job):\n    open(job.payload, 'w').write(str(os.getpid()))\n    time.sleep(60)\n"
        "app.register_job('noop', lambda job: None)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    file = tmp_path / "pid"
    (job,) = lite.enqueue(Job("slow", str(file)))
    running = Running(lite, "slow_app:app", isolation="process")
    until(lambda: file.exists() and file.read_text())
    take(lite, job, "cancel")
    (following,) = lite.enqueue(Job("noop"))
    until(lambda: lite.status(following) == ["Completed"])
    running.end()
    until(lambda: not Path(f"/proc/{file.read_text()}").exists())
    found = lite.queue.get(job)
    assert found is not None
    assert found.status == "Cancelled"
    assert "Its process is killed." in caplog.text
