"""Who takes jobs from whom, with workers that really run: docs/explain/liveness.md has the rules."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from hammerwork_cli import Handlers, Job, JobPriority, SpawnContext
from hammerwork_cli.core.ids import new_id
from hammerwork_cli.database import Database, connect
from hammerwork_cli.features.job.queries import enqueue
from hammerwork_cli.features.worker.queries import claim, finish, registry
from hammerwork_cli.features.worker.queries.registry import Registration
from hammerwork_cli.runtime import clock
from hammerwork_cli.runtime.connections import Connections
from hammerwork_cli.runtime.worker import assembly, claimer, heartbeat, keeper, loop, worker
from hammerwork_cli.runtime.worker.listener import Listener
from tests.conftest import on_mariadb, on_servers
from tests.forks import Fork
from tests.runtime.conftest import Crew, Stage, mariadb_too, until

LEASE = 2.0


def dead_worker(stage: Stage, queue: str, *jobs: Job, name: str = "dead") -> str:
    """A worker that has claimed these jobs and died at once; its id."""
    worker = new_id()
    registry.register(stage.database, Registration(worker, name, "host", 1, "0", (queue,), (), 9, LEASE))
    stage.enqueue(*jobs)
    now = stage.database.now() + timedelta(seconds=1)
    taken = claim.claim(stage.database, queue, worker=worker, now=now, limit=len(jobs), slots=len(jobs))
    assert len(taken) == len(jobs)
    return worker


def test_a_worker_that_has_just_started_judges_nobody_before_a_lease_is_over_whatever_their_last_heartbeat_says(
    stage: Stage, crew: Crew
) -> None:
    """It lies in the future if somebody put the server's clock back."""
    jobs = []
    for days in (-1, 1):
        jobs.append(job := Job("counted"))
        dead = dead_worker(stage, "counted", job, name=f"dead {days}")
        at = stage.database.json_timestamp(stage.database.now() + timedelta(days=days))
        stage.execute(f"UPDATE hammerwork_workers SET heartbeat_at = '{at}' WHERE id = '{dead}'")
    began = time.monotonic()
    crew.begin(concurrency=1)
    until(lambda: stage.status(*jobs) != ["Running"] * 2)
    assert time.monotonic() - began >= LEASE
    until(lambda: {stage.one(job, "status, claim_losses") for job in jobs} == {("Completed", 1)})


@mariadb_too
def test_forgotten_changes_come_back_within_a_lease_and_joins_are_released(stage: Stage, crew: Crew) -> None:
    """A fail-over lost a completion and the claim's answer is of a time that is no more."""
    done, claimed = stage.enqueue(Job("counted"), Job("elsewhere"))
    (join,) = stage.enqueue(Job("counted").depends_on(done, claimed))
    worker = crew.begin(concurrency=2)
    until(lambda: stage.one(done) == "Completed")
    stage.execute(
        f"UPDATE hammerwork_jobs SET status = 'Running', completed_at = NULL WHERE id = '{done.id}'",
    )
    crew.handlers.register_job("elsewhere", crew.count)
    stage.execute(
        "UPDATE hammerwork_jobs SET queue_name = 'counted', status = 'Running', attempts = 1, started_at = created_at,"
        f" claimed_at = created_at, claim_token = '{new_id()}', claimed_by = '{worker.id}' WHERE id = '{claimed.id}'"
    )
    until(lambda: stage.status(done, claimed, join) == ["Completed"] * 3)
    assert crew.runs == {done.id: 2, claimed.id: 1, join.id: 1}
    assert stage.rows("attempts, claim_losses") == [(1, None)] * 3


class Heartbeats:
    """When the heartbeats of each worker were answered, and which threads use which connections."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.answered: dict[str, list[float]] = {}
        self.users: dict[Connections, set[int]] = {}
        self.alone: set[Connections] = set()
        record, run = registry.record_heartbeat, Connections.run

        def recording(database: Database, worker: str, *given: Any) -> Any:
            answer = record(database, worker, *given)
            self.answered.setdefault(worker, []).append(time.monotonic())
            return answer

        def running(line: Connections, *arguments: Any, **options: Any) -> Any:
            self.users.setdefault(line, set()).add(threading.get_ident())
            if threading.current_thread().name == "hammerwork-heartbeat":
                self.alone.add(line)
            return run(line, *arguments, **options)

        patch.setattr(registry, "record_heartbeat", recording)
        patch.setattr(Connections, "run", running)

    @property
    def longest_gap(self) -> float:
        return max(later - sooner for times in self.answered.values() for sooner, later in pairwise(times))


@on_servers
@pytest.mark.long
def test_a_transaction_that_hangs_delays_no_heartbeat_and_holds_up_only_what_it_has_locked(
    stage: Stage, crew: Crew, monkeypatch: pytest.MonkeyPatch
) -> None:
    heartbeats, lease = Heartbeats(monkeypatch), 3 * LEASE
    one, other = Job("counted"), Job("counted")
    dead_worker(stage, "counted", one, other)
    third = Job("counted")
    unlucky = dead_worker(stage, "counted", third, name="unlucky")
    (parent,) = stage.enqueue(Job("held"))
    (child,) = stage.enqueue(Job("counted").depends_on(parent))
    with contextlib.closing(connect(stage.url)) as hanging:
        crew.begin(2, concurrency=2, lease=lease)
        until(lambda: crew.runs[parent.id])
        hanging.script("START TRANSACTION")
        hanging.script(f"UPDATE hammerwork_jobs SET error_message = 'x' WHERE id IN ('{one.id}', '{child.id}')")
        hanging.script(f"UPDATE hammerwork_workers SET host = 'x' WHERE id = '{unlucky}'")
        crew.go_on.set()  # the parent cannot release its child
        until(lambda: stage.one(other, "status, claim_losses") == ("Completed", 1))
        crew.wait_for_heartbeats(8)
        assert stage.status(one, third, parent, child) == ["Running", "Running", "Running", "Pending"]
        assert heartbeats.longest_gap < lease / 2
        hanging.script("ROLLBACK")
    until(lambda: stage.status(one, third, parent, child) == ["Completed"] * 4)
    assert [stage.one(job, "claim_losses") for job in (one, other, third, parent, child)] == [1, 1, 1, None, None]
    assert set(crew.runs.values()) == {1}
    assert len(heartbeats.answered) == len(heartbeats.alone) == 2
    assert {len(heartbeats.users[line]) for line in heartbeats.alone} == {1}


def test_while_a_spawn_writes_for_longer_than_the_lease_its_neighbours_do_not_look_lost(
    stage: Stage, crew: Crew, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert, wrote = enqueue.insert, threading.Event()

    def slowly(database: Database, jobs: Any) -> None:
        insert(database, jobs)
        if threading.current_thread().name.startswith("hammerwork-slot") and not wrote.is_set():
            time.sleep(1.5 * LEASE)  # as a million children do
            wrote.set()

    @crew.handlers.spawn("counted")
    def spawn(context: SpawnContext) -> Iterator[Job]:
        if context.parent_job.payload:
            yield Job("counted", 0)

    jobs = stage.enqueue(*(Job("held").with_max_attempts(1) for _ in range(2)))
    crew.begin(3, concurrency=1)
    until(lambda: len(crew.runs) == 2)
    monkeypatch.setattr(enqueue, "insert", slowly)
    stage.enqueue(Job("counted", 1))
    assert wrote.wait(60)
    crew.wait_for_heartbeats(8)
    crew.go_on.set()
    until(lambda: len(stage.rows(where="status = 'Completed'")) == 4)
    assert stage.rows("attempts, claim_losses") == [(1, None)] * 4
    assert stage.status(*jobs) == ["Completed"] * 2


def test_a_foreign_error_ends_no_thread_and_is_in_the_log_with_its_traceback(
    stage: Stage, crew: Crew, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    raised: list[str] = []

    def once(module: Any, name: str) -> None:
        original = getattr(module, name)

        def broken(*arguments: Any, **options: Any) -> Any:
            if name not in raised and threading.current_thread() is not threading.main_thread():
                raised.append(name)
                raise ZeroDivisionError(f"of {name}")
            return original(*arguments, **options)

        monkeypatch.setattr(module, name, broken)

    crew.begin(concurrency=1)
    for module, name in (
        (registry, "record_heartbeat"),
        (registry, "heartbeats"),
        (claim, "claim"),
        (finish, "finish"),
    ):
        once(module, name)
    job = Job("counted")
    dead_worker(stage, "counted", job)
    until(lambda: stage.one(job, "status, claim_losses") == ("Completed", 1))
    crew.wait_for_heartbeats(2)
    until(lambda: sorted(raised) == ["claim", "finish", "heartbeats", "record_heartbeat"])
    for name in ("record_heartbeat", "heartbeats", "claim"):
        assert f"ZeroDivisionError: of {name}" in caplog.text


@pytest.mark.postgres
def test_the_listener_survives_foreign_errors(
    new_database: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    stage = Stage(new_database("postgres", migrated=True))
    crew = Crew(stage)
    listen, broken = Listener._listen, threading.Event()

    def once(self: Listener, database: Database, seconds: float) -> None:
        if not broken.is_set():
            broken.set()
            raise ZeroDivisionError("of listening")
        listen(self, database, seconds)

    monkeypatch.setattr(Listener, "_listen", once)
    crew.begin(poll_interval=600)
    assert broken.wait(60)
    for _ in range(3):
        (job,) = stage.enqueue(Job("counted"))
        until(lambda job=job: stage.one(job) == "Completed")
    assert "ZeroDivisionError: of listening" in caplog.text
    crew.end()
    stage.close()


def test_a_worker_that_drains_its_queues_waits_for_jobs_of_silent_workers_and_runs_them(
    stage: Stage, app: Handlers
) -> None:
    jobs = [Job("noop"), Job("noop")]
    dead_worker(stage, "noop", *jobs)
    assert stage.work(app, lease=LEASE).completed == 2
    assert [stage.one(job, "status, attempts, claim_losses") for job in jobs] == [("Completed", 2, 1)] * 2


STOPPING = """
import os, signal, threading, time
from pathlib import Path
from hammerwork_cli import Handlers
app = Handlers()
begun = Path(os.environ["BEGUN"])

@app.job("work")
def work(job):
    with begun.open("a") as file:
        print(job.id, os.getpid(), file=file)
    if job.payload["stops"] and os.environ.get("STOPS"):
        time.sleep(0.3)  # so that the other threads have nothing under way
        signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)  # that of the process may come later
    time.sleep(0.02)
"""


@contextlib.contextmanager
def killed_at_last(process: Fork) -> Iterator[None]:
    """Whatever fails meanwhile: nobody waits for a process that stands still."""
    try:
        yield
    finally:
        process.kill()


@on_mariadb
def test_a_worker_that_stood_still_for_longer_than_its_lease_begins_no_job_that_went_to_others(
    stage: Stage, crew: Crew, tmp_path: Path
) -> None:
    (tmp_path / "stopping.py").write_text(STOPPING)
    begun = tmp_path / "begun"
    priorities = [JobPriority.CRITICAL] * 20 + [JobPriority.HIGH] + [JobPriority.NORMAL] * 40
    jobs = stage.enqueue(
        *(Job("work", {"stops": one == JobPriority.HIGH}, priority=one, max_attempts=9) for one in priorities)
    )
    variables = {"BEGUN": str(begun), "STOPS": "1", "HAMMERWORK_DATABASE_URL": stage.url}
    options = ["--lease", "2s", "--concurrency", "1", "--poll-interval", "50ms"]
    command = ["worker", "start", "--handlers", "stopping:app", *options]
    worker = Fork(command, {**os.environ, **variables}, tmp_path)
    with worker, killed_at_last(worker):
        until(lambda: "T" in Path(f"/proc/{worker.pid}/stat").read_text().rpartition(")")[2].split()[0])
        prefetched = [str(row[0]) for row in stage.rows("id", "status = 'Running'")]
        assert len(begun.read_text().splitlines()) == 21
        assert len(prefetched) > 1

        def elsewhere(job: Job) -> None:
            crew.count(job)

        crew.handlers.register_job("work", elsewhere)
        crew.begin(concurrency=1)
        until(lambda: stage.status(*jobs) == ["Completed"] * len(jobs))
        worker.send_signal(signal.SIGCONT)
        said = ""
        for line in worker.stderr:
            said += line
            if "treated this worker as lost" in line:
                break
        worker.terminate()
        said += worker.stderr.read()
        assert worker.wait(60) == 0, said
    assert "treated this worker as lost" in said
    assert len(begun.read_text().splitlines()) == 21
    assert set(prefetched) <= set(crew.runs)
    assert set(crew.runs.values()) == {1}


@pytest.mark.skipif(not hasattr(time, "CLOCK_BOOTTIME"), reason="here the monotonic clock goes on")
def test_a_worker_whose_machine_was_suspended_begins_nothing_before_a_heartbeat_has_succeeded(
    lite: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its monotonic clock stood still, and others have taken its jobs."""
    crew, slept, elapsed = Crew(lite), 0.0, clock.elapsed
    assert elapsed() == pytest.approx(time.clock_gettime(time.CLOCK_BOOTTIME), abs=1), "the clock that goes on"
    for module in (assembly, claimer, heartbeat, keeper, loop, worker):
        monkeypatch.setattr(module, "elapsed", lambda: elapsed() + slept)
    begun, beats, record = threading.Event(), threading.Event(), registry.record_heartbeat

    def recording(*arguments: Any) -> Any:
        assert beats.wait(60)
        return record(*arguments)

    def work(job: Job) -> None:
        crew.count(job)
        if job.payload["lasts"]:
            begun.set()
            assert crew.go_on.wait(60)

    beats.set()
    monkeypatch.setattr(registry, "record_heartbeat", recording)
    crew.handlers.register_job("work", work)
    priorities = [JobPriority.CRITICAL] * 20 + [JobPriority.HIGH] + [JobPriority.NORMAL] * 40
    jobs = lite.enqueue(*(Job("work", {"lasts": one == JobPriority.HIGH}, priority=one) for one in priorities))
    crew.begin(concurrency=1, lease=20)
    assert begun.wait(60)
    assert len(crew.runs) == 21
    assert len(lite.rows("id", "status = 'Running'")) > 1  # it has claimed some ahead
    beats.clear()
    slept = 60.0
    crew.go_on.set()
    time.sleep(0.3)
    assert len(crew.runs) == 21
    beats.set()
    until(lambda: lite.status(*jobs) == ["Completed"] * len(jobs))
    assert set(crew.runs.values()) == {1}
    crew.end()
