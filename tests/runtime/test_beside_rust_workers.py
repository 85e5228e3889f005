"""A worker of ours and a Rust worker on the same jobs: nobody takes from the other what it runs."""

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from hammerwork_cli import Handlers, Job, RetryStrategy, Worker
from hammerwork_cli.database import connect
from hammerwork_cli.errors import RetryableError
from hammerwork_cli.features.spawn.queries import doctor as doctors
from hammerwork_cli.features.spawn.queries.doctor import Doctor, FixedJobs
from hammerwork_cli.features.worker.queries import registry
from tests.conftest import all_databases, one_case_on_servers
from tests.runtime.conftest import Stage, mariadb_too
from tests.rust_worker import RustWorker

Run = Callable[..., Any]
LATER = timedelta(hours=25)
"""By so much the Rust worker's clock goes ahead: for it, what ours retries in an hour or repeats tomorrow is due."""
PATIENCE = 30.0
PAGE = 20
"""Jobs that a sweep looks at in one transaction here: as many as an operator has would take long."""


@pytest.fixture
def rust(stage: Stage) -> Iterator[RustWorker]:
    with contextlib.closing(connect(stage.url)) as database:
        yield RustWorker(database, lambda: database.now() + LATER)


def _until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.02)


@mariadb_too
def test_a_worker_with_the_option_gives_back_what_a_rust_worker_left_running(stage: Stage) -> None:
    """An orderly stop of a Rust worker cancels its handlers, and leaves their jobs Running for good."""
    ran: list[str] = []
    app = Handlers()
    app.register_job("mail", lambda job: ran.append(job.id))
    with contextlib.closing(connect(stage.url)) as database:
        rust = RustWorker(database)
        again, last, fresh = (rust.enqueue("mail", max_attempts=attempts) for attempts in (3, 1, 3))
        assert {rust.take("mail") for _ in range(3)} == {again, last, fresh}
    hours_ago = stage.database.json_timestamp(stage.database.now() - timedelta(hours=3))
    stage.execute(f"UPDATE hammerwork_jobs SET started_at = '{hours_ago}' WHERE id <> '{fresh}'")
    stage.work(app)
    assert ran == []
    worker = Worker(stage.url, app, poll_interval=0.05, lease=0.6, rescue_older_than=7200)
    thread = threading.Thread(target=worker.run)
    thread.start()
    _until(lambda: ran == [again])
    _until(lambda: stage.database.query(f"SELECT status FROM hammerwork_jobs WHERE id = '{last}'") == [("Dead",)])
    assert "rescue" in registry.listed(stage.database, alive=True)[0].duties
    worker.stop()
    thread.join(20)
    assert not thread.is_alive()
    found = dict(stage.database.query("SELECT id, status FROM hammerwork_jobs"))
    assert {str(job): status for job, status in found.items()} == {again: "Completed", last: "Dead", fresh: "Running"}


class _Ours:
    """Our worker, which has attempted every job of the queue ``shared`` and still runs one of them."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.begun, self.go_on = threading.Event(), threading.Event()
        handlers = Handlers()
        handlers.register_job("shared", self._handle, retry=RetryStrategy.fixed(timedelta(hours=1)))
        daily = Job("shared", {"as": "recurring"}).with_cron("@daily")
        self.retried, self.last, self.by_hand, self.recurring, self.running = self.jobs = stage.enqueue(
            Job("shared", {"as": "retried"}),
            Job("shared", {"as": "last attempt"}).with_max_attempts(2),
            Job("shared", {"as": "retried by hand"}).with_max_attempts(1),
            daily,
            Job("shared", {"as": "running"}),
        )
        due = "scheduled_at = created_at, next_run_at = created_at"
        stage.execute(f"UPDATE hammerwork_jobs SET {due} WHERE id = '{daily.id}'")
        self.dependent = stage.enqueue(Job("shared", {}).depends_on(self.last))[0]
        self.worker = Worker(stage.queue, handlers, name="ours", concurrency=5, poll_interval=0.02)
        self._thread = threading.Thread(target=self.worker.run, daemon=True)
        self._thread.start()

    def _handle(self, job: Job) -> None:
        if job.payload["as"] == "running":
            self.begun.set()
            assert self.go_on.wait(PATIENCE)
        elif job.payload["as"] != "recurring":
            raise OSError("no space")

    def wait(self) -> None:
        """Until all but one have ended, each in its way."""
        assert self.begun.wait(PATIENCE)
        ended = "status <> 'Running' AND claim_token IS NOT NULL"
        _until(lambda: len(self.stage.rows(where=ended)) == len(self.jobs) - 1)

    def end(self) -> None:
        self.go_on.set()
        self.worker.stop()
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()


@pytest.fixture
def ours(stage: Stage) -> Iterator[_Ours]:
    worker = _Ours(stage)
    yield worker
    worker.end()


def _hand_over(stage: Stage, ours: _Ours, rust: RustWorker, run: Run) -> list[str]:
    """Everything that ours attempted is the Rust worker's now: the ids."""
    ours.wait()
    assert run("queue", "pause", "shared", "--yes", url=stage.url).exit_code == 0
    for job, force in ((ours.by_hand, ()), (ours.running, ("--force",))):
        assert run("job", "retry", job.id, "--yes", *force, url=stage.url).exit_code == 0
    taken = sorted(iter(lambda: rust.take("shared"), None))
    expected = [job.id for job in ours.jobs]
    if stage.database.dialect != "postgresql":  # where a Rust worker does not look whether a job waits
        expected.append(ours.dependent.id)
        stage.execute(f"UPDATE hammerwork_jobs SET status = 'Pending' WHERE id = '{ours.dependent.id}'")
    assert taken == sorted(expected)
    return [job.id for job in ours.jobs]


def _another(stage: Stage, app: Handlers, until: Callable[[], bool]) -> None:
    """One more worker of ours, on another queue."""
    worker = Worker(stage.queue, app, name="another", lease=0.3, poll_interval=0.05)
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        _until(until)
    finally:
        worker.stop()
        thread.join(PATIENCE)


@all_databases
@one_case_on_servers
@pytest.mark.parametrize("is_lost", [True, False], ids=["is lost", "ends in order"])
def test_a_worker_that_stops_leaves_rust_workers_the_jobs_that_it_attempted_before_them(
    stage: Stage, ours: _Ours, rust: RustWorker, app: Handlers, run: Run, is_lost: bool
) -> None:
    jobs = _hand_over(stage, ours, rust, run)
    before = stage.rows("id, status, attempts, started_at, error_message")
    ours.end()
    assert stage.rows("id, status, attempts, started_at, error_message") == before
    worker = f"FROM hammerwork_workers WHERE id = '{ours.worker.id}'"
    if is_lost:  # a killed one leaves its row like this
        stage.execute(
            "UPDATE hammerwork_workers SET state = 'running', ended_at = NULL, lease_seconds = 0.1"
            f" WHERE id = '{ours.worker.id}'"
        )
    ends = "lost" if is_lost else "stopped"
    (noop,) = stage.enqueue(Job("noop", {}))
    _another(
        stage,
        app,
        lambda: stage.one(noop) == "Completed" and stage.database.query(f"SELECT state {worker}") == [(ends,)],
    )
    assert stage.database.query(f"SELECT state {worker}") == [(ends,)]
    assert [row for row in stage.rows("id, status, attempts, started_at, error_message") if row[0] != noop.id] == before
    for job in jobs:
        rust.complete(job)
    assert set(stage.status(*ours.jobs)) == {"Completed"}


@mariadb_too
def test_a_job_of_a_rust_worker_has_no_worker_here_and_the_doctor_finds_it_once_that_worker_is_killed(
    stage: Stage, ours: _Ours, rust: RustWorker, run: Run
) -> None:
    jobs = _hand_over(stage, ours, rust, run)
    stage.execute("UPDATE hammerwork_workers SET lease_seconds = 1000")
    assert run("worker", "status", "ours", "--format", "json", url=stage.url).json[0]["jobs"] == []
    late = {"HAMMERWORK_NOW": (stage.database.now() + 2 * LATER).isoformat()}
    for job in jobs:
        (delay,) = run("spawn", "why", job, "--format", "json", url=stage.url, env=late).json["delays"]
        assert (delay["reason"], delay["first"]["worker"]) == ("long_running", None)
    found = run("spawn", "doctor", "--older-than", "1h", "--fix", "--yes", "--format", "json", url=stage.url, env=late)
    mended = {finding["kind"]: finding["mended"] for finding in found.json}
    assert mended["lost"] + mended["lost_last_attempt"] == len(jobs)
    assert "Running" not in stage.status(*ours.jobs)


@mariadb_too
def test_jobs_go_through_both_kinds_of_workers_in_turn_and_what_rust_completes_is_swept_at_once(
    stage: Stage, rust: RustWorker, app: Handlers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More dependents than a sweep looks at in one transaction."""
    monkeypatch.setattr(doctors, "PAGE", PAGE)
    (ours_first,) = stage.enqueue(Job("noop", {}))
    now = stage.database.now()
    theirs = rust.enqueue("noop", created_at=now, scheduled_at=now)
    after_both = stage.enqueue(*(Job("noop", {}).depends_on(ours_first, theirs) for _ in range(2 * PAGE + 1)))
    assert rust.take("noop") == ours_first.id
    stage.work(app)
    assert (stage.one(theirs, "status, attempts"), stage.one(ours_first)) == (("Completed", 1), "Running")
    assert len(stage.rows(where="status = 'Pending'")) == len(after_both)
    rust.complete(ours_first.id, {"frames": 25})
    stage.work(app)
    assert len(stage.rows(where="status = 'Completed' AND attempts = 1")) == len(after_both) + 2
    assert json.loads(stage.one(ours_first, "result_data")) == {"frames": 25}


def test_a_worker_that_drains_its_queues_waits_for_a_sweep_that_a_deadlock_broke_off(
    stage: Stage, rust: RustWorker, app: Handlers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctors, "PAGE", PAGE)
    (first,) = stage.enqueue(Job("noop", {}))
    after = stage.enqueue(*(Job("noop", {}).depends_on(first) for _ in range(PAGE + 1)))
    assert rust.take("noop") == first.id
    rust.complete(first.id)
    fix_waiting_page = Doctor.fix_waiting_page
    collisions = iter([RetryableError("Deadlock found.")])

    def collide(doctor: Doctor, last: str | None) -> tuple[str | None, FixedJobs]:
        if last is not None and (error := next(collisions, None)):
            raise error
        return fix_waiting_page(doctor, last)

    monkeypatch.setattr(Doctor, "fix_waiting_page", collide)
    stage.work(app, lease=3)
    assert set(stage.status(first, *after)) == {"Completed"}


@all_databases
def test_a_job_that_a_rust_worker_took_before_its_parent_completed_here_is_reported(
    stage: Stage, rust: RustWorker, app: Handlers, run: Run
) -> None:
    (parent,) = stage.enqueue(Job("noop", {}))
    (early,) = stage.enqueue(Job("early", {}).depends_on(parent))
    rust.now = rust.database.now
    taken = rust.take("early")
    assert taken == (None if stage.database.dialect == "postgresql" else early.id)
    if taken:
        rust.complete(taken)
    stage.work(app)
    found = run("spawn", "doctor", "--format", "json", url=stage.url).json
    told = [(finding["kind"], [job["detail"] for job in finding["examples"]]) for finding in found]
    assert told == ([("ran_early", [parent.id])] if taken else [])
