"""An unknown error of a server is judged by time alone, and keeps no worker from ending."""

import re
import threading
import time
from typing import Any

import pytest

from hammerwork_cli import Handlers, Job, SpawnContext, Worker
from hammerwork_cli.features.worker.queries import spawn
from hammerwork_cli.runtime.worker import loop
from tests.runtime.conftest import Crew, Stage, until

LEASE = 1.0


def refuse(stage: Stage, when: str, code: str = "P0001", number: int = 1644) -> None:
    """Lets updates of jobs fail, by an error that no table knows unless its code and number are given."""
    on = "TRIGGER refuses BEFORE UPDATE ON hammerwork_jobs"
    if stage.database.dialect == "postgresql":
        body = f"$$ BEGIN RAISE EXCEPTION 'error 28' USING ERRCODE = '{code}'; END $$"
        stage.execute(f"CREATE FUNCTION refuses() RETURNS trigger LANGUAGE plpgsql AS {body}")
        stage.execute(f"CREATE {on} FOR EACH ROW WHEN ({when}) EXECUTE FUNCTION refuses()")
    elif stage.database.dialect == "mysql":
        signal = f"SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = {number}, MESSAGE_TEXT = 'error 28'"
        stage.execute(f"CREATE {on} FOR EACH ROW IF {when} THEN {signal}; END IF")
    else:
        stage.execute(f"CREATE {on} WHEN {when} BEGIN SELECT RAISE(ABORT, 'error 28'); END")


def accept(stage: Stage) -> None:
    stage.execute("DROP TRIGGER refuses" + (" ON hammerwork_jobs" if stage.database.dialect == "postgresql" else ""))


COMPLETIONS = "NEW.status = 'Completed'"
OUTCOMES = "OLD.status = 'Running' AND NEW.status <> 'Running'"


@pytest.fixture
def spawning(app: Handlers) -> Handlers:
    app.register_job("parent", lambda _: None)
    app.register_handler("parent", lambda _: [Job("noop")])
    return app


def test_a_job_whose_completion_is_refused_is_dead_after_a_lease_in_a_worker_that_writes_nothing_else(
    stage: Stage, spawning: Handlers
) -> None:
    refuse(stage, COMPLETIONS)
    jobs = stage.enqueue(Job("noop", max_attempts=3), Job("parent", max_attempts=1))
    began = time.monotonic()
    report = stage.work(spawning, lease=LEASE)
    assert time.monotonic() - began > LEASE
    assert [stage.one(job, "status, attempts") for job in jobs] == [("Dead", 1), ("Dead", 1)]
    assert all("error 28" in stage.one(job, "error_message") for job in jobs)
    assert (report.completed, report.failed, report.unwritten) == (0, 2, 0)
    assert stage.children(jobs[1]) == []


@pytest.mark.parametrize("way", ["drain", "max_jobs", "stop", "queue.stop"])
def test_a_worker_whose_outcomes_are_all_refused_ends_after_a_lease_and_says_what_it_left(
    stage: Stage, spawning: Handlers, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.setattr(loop, "LAST_TRIES_SECONDS", 1.0)
    refuse(stage, OUTCOMES)
    jobs = stage.enqueue(Job("noop", max_attempts=1), Job("parent", max_attempts=2))
    options: dict[str, Any] = {"drain": way == "drain", "max_jobs": 2 if way == "max_jobs" else None}
    worker = Worker(stage.url, spawning, lease=LEASE, poll_interval=0.05, **options)
    reports: list[Any] = []
    thread = threading.Thread(target=lambda: reports.append(worker.run()))
    thread.start()
    until(lambda: "cannot be written yet" in caplog.text and stage.status(*jobs) == ["Running"] * 2)
    if way == "stop":
        worker.stop()
    elif way == "queue.stop":
        stage.execute("UPDATE hammerwork_workers SET request = 'stop'")
    thread.join(60)
    assert not thread.is_alive()
    assert stage.status(*jobs) == ["Running"] * 2
    (report,) = reports
    assert (report.completed, report.failed, report.unwritten) == (0, 0, 2)
    left = "The outcome of 2 jobs is not written: other workers will take over after 1 s: "
    (said,) = [message for message in caplog.messages if message.startswith(left)]
    assert all(job.id in said for job in jobs)
    accept(stage)


def test_a_server_that_refuses_everything_for_longer_than_a_lease_fails_no_job_and_health_says_so(
    stage: Stage, crew: Crew, run: Any
) -> None:
    def check() -> Any:
        asked = run("monitor", "health", "--only", "unwritten_outcomes", "--format", "json", url=stage.url)
        return asked.json["checks"][0]

    crew.handlers.register_job("parent", crew.count)
    crew.handlers.register_handler("parent", lambda _: [Job("counted")])
    refuse(stage, OUTCOMES)
    crew.begin(lease=LEASE)
    jobs = stage.enqueue(Job("counted", max_attempts=1), Job("parent", max_attempts=1))
    until(lambda: all(crew.runs[job.id] for job in jobs))
    crew.wait_for_heartbeats(18)  # six are a lease
    assert stage.status(*jobs) == ["Running"] * 2
    found = check()
    assert (found["status"], found["value"], found["about"]) == ("critical", 2, ["worker 0"])
    assert re.search(r"^2 outcomes of worker 0 cannot be written, for [^:]+: .*error 28", found["message"])
    # The job that spawns keeps its slot, and the other one has none.
    assert [one["running"] for one in run("worker", "status", "--format", "json", url=stage.url).json] == [1]
    accept(stage)
    until(lambda: not stage.rows(where="status <> 'Completed'"))
    until(lambda: check()["status"] == "healthy")
    assert len(stage.children(jobs[1])) == 1
    assert [crew.runs[job.id] for job in jobs] == [1, 1]


@pytest.mark.parametrize(("way", "slow"), [("drain", "the transaction"), ("stop", "the hook after it")])
def test_a_spawn_that_takes_longer_than_an_outcome_may_be_refused_is_waited_for(
    stage: Stage, app: Handlers, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, way: str, slow: str
) -> None:
    monkeypatch.setattr(loop, "LAST_TRIES_SECONDS", -0.5)
    writes = threading.Event()

    def take_long() -> None:
        writes.set()
        time.sleep(2 * LEASE)

    class Spawner:
        def spawn_jobs(self, _: SpawnContext) -> list[Job]:
            return [Job("noop")]

        def on_spawn_complete(self, *_: object) -> None:
            if slow == "the hook after it":
                take_long()

    def complete(*args: Any, **options: Any) -> Any:
        if slow == "the transaction":
            take_long()
        return spawned(*args, **options)

    spawned = spawn.complete
    monkeypatch.setattr(spawn, "complete", complete)
    app.register_job("parent", lambda _: None)
    app.register_handler("parent", Spawner())
    (job,) = stage.enqueue(Job("parent", max_attempts=2))
    worker = Worker(
        stage.url,
        app,
        queues=["parent"],
        lease=LEASE,
        poll_interval=0.05,
        drain=way == "drain",
    )
    reports: list[Any] = []
    thread = threading.Thread(target=lambda: reports.append(worker.run()))
    thread.start()
    assert writes.wait(60)
    if way == "stop":
        worker.stop()
    thread.join(60)
    (report,) = reports
    assert (report.completed, report.unwritten, report.unreturned) == (1, 0, 0)
    assert stage.one(job, "status, attempts") == ("Completed", 1)
    assert len(stage.children(job)) == 1
    assert "cannot" not in caplog.text


@pytest.mark.parametrize(
    "dialect", [pytest.param(name, marks=getattr(pytest.mark, name)) for name in ("postgres", "mysql")]
)
def test_a_job_that_loses_to_others_again_and_again_holds_up_no_other_and_no_stop(stage: Stage, crew: Crew) -> None:
    """Such as one whose row a trigger reads in a deadlock. By its error alone, it may be over in a moment."""
    other, lost = Job("counted"), Job("counted", max_attempts=1)
    refuse(stage, f"NEW.id = '{lost.id}' AND {OUTCOMES}", "40P01", 1213)
    crew.begin(lease=LEASE)
    stage.enqueue(lost, other)
    until(lambda: stage.status(lost, other) == ["Running", "Completed"])
    accept(stage)
    until(lambda: stage.status(lost) == ["Completed"])
    assert crew.runs == {lost.id: 1, other.id: 1}
