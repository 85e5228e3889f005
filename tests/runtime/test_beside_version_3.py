"""A worker of ours, and workers and the reaper of version 3 of hammerwork (Rust), on the same jobs: each runs once."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from hammerwork_cli import Handlers, Job, SpawnContext
from hammerwork_cli.database import Database, connect
from hammerwork_cli.features.monitor.queries import health
from hammerwork_cli.features.worker.queries import finish, registry, rescue
from hammerwork_cli.runtime.worker import heartbeat
from tests.conftest import all_databases, one_case_on_servers
from tests.runtime.conftest import PATIENCE, Crew, Stage, mariadb_too, until
from tests.rust3.outcomes import use
from tests.rust3.runs import LEASE, Run, Version3

Command = Callable[..., Any]
AT_ONCE = timedelta()
"""The reaper takes every run that has no lease, however young."""


@pytest.fixture
def version3(stage: Stage) -> Iterator[Version3]:
    with contextlib.closing(connect(stage.url)) as database:
        yield Version3(database)


@pytest.fixture
def command(run: Command) -> Command:
    """The command line."""
    return run


@pytest.fixture
def new_connection(stage: Stage) -> Iterator[Callable[[], Database]]:
    with contextlib.ExitStack() as closing:
        yield lambda: closing.enter_context(contextlib.closing(connect(stage.url)))


class Reaper(threading.Thread):
    """Reaps without a pause until it is told to end.

    Attributes:
        taken: what it took.
        rounds: how often it has looked.
    """

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self.url, self.taken, self.rounds = url, dict[str, str](), 0
        self._ends = threading.Event()

    def run(self) -> None:
        with contextlib.closing(connect(self.url)) as database:
            version3 = Version3(database)
            while not self._ends.wait(0.02):
                self.taken |= version3.reap(AT_ONCE)
                self.rounds += 1

    def __enter__(self) -> "Reaper":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self.join(20)
        assert not self.is_alive()


def test_a_job_that_runs_for_long_is_left_to_its_worker(stage: Stage, crew: Crew) -> None:
    (job,) = stage.enqueue(Job("held", {}))
    crew.begin()
    until(lambda: crew.runs[job.id])
    with Reaper(stage.url) as reaper:
        until(lambda: reaper.rounds >= 10)
        assert reaper.taken == {}
        crew.go_on.set()
        until(lambda: stage.status(job) == ["Completed"])
    assert crew.runs == {job.id: 1}


HANDLERS = """
import asyncio, os, time
from pathlib import Path
from hammerwork_cli import Handlers, Job, SpawnContext

app = Handlers()

def folder():
    return Path(os.environ["FOLDER"])

def begin(job):
    with (folder() / "runs").open("a") as runs:
        runs.write(job.id + "\\n")

def is_over():
    return (folder() / "go on").exists()

@app.job("thread")
def in_a_thread(job):
    begin(job)
    while not is_over():
        time.sleep(0.02)

@app.job("coroutine")
async def as_a_coroutine(job):
    begin(job)
    while not is_over():
        await asyncio.sleep(0.02)

@app.spawn("spawns")
def spawns(context):
    begin(context.parent_job)
    while not is_over():
        time.sleep(0.02)
    yield Job("thread")
"""


@pytest.mark.usefixtures("forked_processes")
@all_databases
@one_case_on_servers
@pytest.mark.parametrize("isolation", ["thread", "process"])
def test_however_a_job_runs_for_long_its_lease_is_renewed_and_the_reaper_leaves_it(
    stage: Stage, crew: Crew, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, isolation: str
) -> None:
    (tmp_path / "long_running.py").write_text(HANDLERS)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("FOLDER", str(tmp_path))
    monkeypatch.setattr(heartbeat, "RENEWALS", 1e6)  # it looks with each heartbeat
    runs = tmp_path / "runs"
    jobs = stage.enqueue(Job("thread"), Job("coroutine"), Job("spawns"))
    crew.begin(handlers="long_running:app", isolation=isolation, concurrency=3)
    until(lambda: runs.exists() and len(runs.read_text().split()) == len(jobs))
    soon = stage.database.json_timestamp(stage.database.now() + LEASE / 2)
    stage.execute(f"UPDATE hammerwork_jobs SET lease_expires_at = '{soon}'")
    with Reaper(stage.url) as reaper:
        renewed = stage.database.json_timestamp(stage.database.now() + LEASE * 0.9)
        until(lambda: len(stage.rows(where=f"lease_expires_at > '{renewed}'")) == len(jobs))
        until(lambda: reaper.rounds >= 10)
        (tmp_path / "go on").touch()
        until(lambda: set(stage.status(*jobs)) == {"Completed"})
        until(lambda: len(stage.rows(where="status = 'Completed'")) == len(jobs) + 1)
        assert reaper.taken == {}
    assert sorted(runs.read_text().split()) == sorted(str(job) for (job,) in stage.rows("id"))
    assert set(stage.rows("last_heartbeat_at, lease_expires_at, attempts")) == {(None, None, 1)}


def test_jobs_that_are_claimed_ahead_or_wait_to_be_written_are_left_to_their_worker(stage: Stage, crew: Crew) -> None:
    jobs = stage.enqueue(*(Job("counted") for _ in range(600)))
    with Reaper(stage.url) as reaper:
        crew.begin(2)
        until(lambda: len(stage.rows(where="status = 'Completed'")) == len(jobs))
        assert reaper.taken == {}
    assert set(crew.runs.values()) == {1}
    assert len(crew.runs) == len(jobs)


def test_a_claim_and_a_renewal_write_a_heartbeat_that_is_not_before_the_start(
    stage: Stage, crew: Crew, version3: Version3, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No heartbeat before the start of the run, also when the server's clock was put back meanwhile."""
    monkeypatch.setattr(heartbeat, "RENEWALS", 1e6)
    (job,) = stage.enqueue(Job("held"))
    crew.begin(lease=100.0)
    until(lambda: crew.runs[job.id])
    at, until_ = version3.lease_of(job.id)
    assert at == stage.timestamp(job, "started_at") == stage.timestamp(job, "claimed_at")
    assert until_ is not None
    assert abs(until_ - stage.database.now() - timedelta(seconds=400)) < timedelta(seconds=60)  # four leases
    later = stage.database.json_timestamp(stage.database.now() + timedelta(hours=1))
    stage.execute(
        f"UPDATE hammerwork_jobs SET started_at = '{later}', claimed_at = '{later}', last_heartbeat_at = NULL,"
        " lease_expires_at = NULL"
    )
    until(lambda: version3.lease_of(job.id)[0] == stage.timestamp(job, "started_at"))
    assert version3.reap(AT_ONCE) == {}


@all_databases
def test_a_renewal_waits_for_nobody_and_takes_one_statement_while_nothing_is_due(
    stage: Stage, crew: Crew, new_connection: Callable[[], Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        heartbeat.HeartbeatThread, "_renew", lambda _: None
    )  # on a busy machine, its first one may come between
    jobs = stage.enqueue(*(Job("held") for _ in range(3)))
    worker = crew.begin(concurrency=3, lease=600.0)
    until(lambda: len(crew.runs) == len(jobs))
    other = new_connection()

    def sent() -> int:
        before = other.executed
        registry.renew_leases(other, worker.id, 300)
        return other.executed - before

    assert other.tags
    assert sent() == 1
    stage.execute("UPDATE hammerwork_jobs SET lease_expires_at = NULL")
    if stage.database.dialect == "sqlite":
        assert sent() < 6
        return  # it has one lock for all
    with contextlib.closing(connect(stage.url)) as third:

        def hold() -> None:
            third.query(f"SELECT id FROM hammerwork_jobs WHERE id = '{jobs[0].id}' FOR UPDATE")
            assert sent() < 6

        third.transaction(hold)
    assert [job for (job,) in stage.rows("id", "lease_expires_at IS NULL")] == [stage.one(jobs[0], "id")]
    sent()
    assert stage.rows(where="lease_expires_at IS NULL") == []


# What version 3 runs is left to it while it lives, and taken once it is gone.


def _passed(stage: Stage, job: str, column: str = "lease_expires_at", hours: float = 1) -> None:
    before = stage.database.json_timestamp(stage.database.now() - timedelta(hours=hours))
    stage.execute(f"UPDATE hammerwork_jobs SET {column} = '{before}' WHERE id = '{job}'")


def _old(stage: Stage, run: Run) -> Run:
    """The run, as if it had begun three hours ago."""
    _passed(stage, run.job, "started_at", 3)
    return run._replace(started_at=stage.timestamp(run.job, "started_at"))


def _claimed(version3: Version3, queue: str = "theirs") -> Run:
    run = version3.claim(queue)
    assert run is not None
    return run


@mariadb_too
def test_a_job_that_version_3_heartbeats_is_never_taken_however_old_and_one_that_it_abandoned_is(
    stage: Stage, crew: Crew, version3: Version3, command: Command
) -> None:
    use(stage.database)
    stage.enqueue(*(Job("theirs", max_attempts=3) for _ in range(2)), Job("theirs", max_attempts=1))
    claimed = [_old(stage, _claimed(version3)) for _ in range(3)]
    last, alive, gone = sorted(claimed, key=lambda run: run.max_attempts)
    for run in (gone, last):
        _passed(stage, run.job)
    found = command("spawn", "doctor", "--older-than", "1h", "--format", "json", url=stage.url).json
    assert {one["kind"]: one["jobs"] for one in found} == {"lost": 1, "lost_last_attempt": 1}
    looked = command("spawn", "doctor", "--format", "json", url=stage.url)
    assert {one["kind"]: one["jobs"] for one in looked.json} == {"lost": 1, "lost_last_attempt": 1}
    assert "--older-than" not in looked.stderr  # the leases tell
    reasons = {}
    for run in (alive, gone):
        (delay,) = command("spawn", "why", run.job, "--format", "json", url=stage.url).json["delays"]
        reasons[run] = delay["reason"], delay["first"]["worker"]
    assert reasons == {alive: ("running", None), gone: ("silent_worker", None)}
    told = " ".join(command("spawn", "why", gone.job, url=stage.url).stdout.split())
    assert "its worker, of hammerwork (Rust), has been silent for" in told
    assert told.endswith("Next hammerwork spawn doctor --fix")  # `worker list` does not know such a worker
    checks = {one["check"]: one for one in _health(stage, command)}
    assert (checks["lost_jobs"]["value"], checks["unclaimed_jobs"]["status"]) == (2, "healthy")
    crew.begin(rescue_older_than=60.0)  # without handlers for this queue
    until(lambda: stage.one(last.job) == "Dead")
    until(lambda: stage.one(gone.job) == "Pending")
    assert stage.rows("last_heartbeat_at, lease_expires_at", f"id <> '{alive.job}'") == [(None, None)] * 2
    assert not version3.heartbeat(gone)
    assert not version3.complete(gone)
    assert (stage.one(alive.job), version3.heartbeat(alive)) == ("Running", True)
    fixed = command("spawn", "doctor", "--older-than", "1h", "--fix", "--yes", "--format", "json", url=stage.url)
    assert fixed.json == []
    assert version3.complete(alive, {"frames": 25})
    history = stage.database.query("SELECT job_id, outcome, attempt, worker_id FROM hammerwork_attempts")
    assert {(str(job), *rest) for job, *rest in history} == {(run.job, "lost", 1, None) for run in (gone, last)}
    again = _claimed(version3)
    _passed(stage, again.job)
    version3.reap()
    (delay,) = command("spawn", "why", again.job, "--format", "json", url=stage.url).json["delays"]
    assert (again.job, delay["last_attempt"]) == (gone.job, "lost")


def test_a_job_that_version_3_abandoned_is_rescued_without_an_option_and_runs_here(
    stage: Stage, crew: Crew, version3: Version3
) -> None:
    use(stage.database)
    (job,) = stage.enqueue(Job("counted"))
    run = _claimed(version3, "counted")
    crew.begin()
    crew.wait_for_heartbeats(2)
    assert stage.status(job) == ["Running"]
    assert not rescue.some_abandoned(stage.database, stage.database.now())
    _passed(stage, run.job)
    assert rescue.some_abandoned(stage.database, stage.database.now())
    crew.begin(lease=1.0)  # it looks at once, and again after a minute
    stage.execute("DELETE FROM hammerwork_duties WHERE name = 'leases'")
    crew.begin()
    until(lambda: stage.status(job) == ["Completed"])
    _passed(stage, run.job)  # some program has left it on the row
    stage.execute("UPDATE hammerwork_jobs SET claimed_by = NULL, last_heartbeat_at = started_at")
    assert not rescue.some_abandoned(stage.database, stage.database.now())
    assert (crew.runs, stage.one(job, "attempts")) == ({job.id: 1}, 2)


@mariadb_too
def test_a_lease_from_before_the_clock_was_set_back_by_hours_begins_anew_unless_it_is_renewed(
    stage: Stage, crew: Crew, version3: Version3, command: Command
) -> None:
    use(stage.database)
    stage.enqueue(*(Job("counted", max_attempts=3) for _ in range(2)))
    gone, alive = _claimed(version3, "counted"), _claimed(version3, "counted")
    for run in (gone, alive):
        for column, hours in (("started_at", 2.0), ("last_heartbeat_at", 2.0), ("lease_expires_at", 2.0005)):
            _passed(stage, run.job, column, -hours)
    alive = alive._replace(started_at=stage.timestamp(alive.job, "started_at"))
    assert version3.heartbeat(alive)
    checks = {one["check"]: one for one in _health(stage, command)}
    assert checks["times_in_the_future"]["about"] == ["jobs of counted"]
    assert checks["lost_jobs"]["value"] == 0
    crew.begin(lease=1.0)  # it looks at once, and again after a minute
    until(lambda: stage.timestamp(gone.job, "lease_expires_at") <= stage.database.now())
    stage.execute("DELETE FROM hammerwork_duties WHERE name = 'leases'")
    crew.begin()
    until(lambda: stage.one(gone.job) == "Completed")
    assert (stage.one(alive.job), version3.heartbeat(alive)) == ("Running", True)
    assert version3.complete(alive)


@all_databases
def test_a_lease_that_outlasts_a_wrong_clock_begins_anew_once(stage: Stage, version3: Version3) -> None:
    """Each time, it would lose as much as the start is ahead: it would be over before its worker renews it."""
    use(stage.database)
    stage.enqueue(Job("counted"), Job("counted"))
    leases = {_claimed(version3, "counted").job: hours for hours in (3, 6)}
    now = stage.database.now()
    ahead = stage.database.json_timestamp(now + timedelta(hours=1))
    stage.execute(f"UPDATE hammerwork_jobs SET started_at = '{ahead}', last_heartbeat_at = '{ahead}'")
    for job, hours in leases.items():
        _passed(stage, job, "lease_expires_at", -1 - hours)
    looks = [rescue.put_leases_back(stage.database, now + timedelta(minutes=minutes)) for minutes in range(5)]
    assert looks == [2, 0, 0, 0, 0]
    for job, hours in leases.items():
        end = stage.timestamp(job, "lease_expires_at")
        assert abs(end - now - timedelta(hours=hours)) < timedelta(minutes=1)
    assert list(health.in_the_future(stage.database, now)) == []
    for job in leases:
        _passed(stage, job, "lease_expires_at", -9)
    ours, _ = leases
    stage.execute(f"UPDATE hammerwork_jobs SET last_heartbeat_at = '{ahead}'")
    assert len(rescue.leases_ahead(stage.database, now)) == 2
    stage.execute(f"UPDATE hammerwork_jobs SET claimed_by = id, claimed_at = started_at WHERE id = '{ours}'")
    assert len(rescue.leases_ahead(stage.database, now)) == 1
    stage.execute("UPDATE hammerwork_jobs SET status = 'Completed'")
    assert rescue.leases_ahead(stage.database, now) == []


def test_a_lease_that_is_renewed_meanwhile_is_not_put_back(
    stage: Stage, version3: Version3, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(stage.database)
    stage.enqueue(Job("counted"), Job("counted"))
    renewed, other = (_claimed(version3, "counted").job for _ in range(2))
    now = stage.database.now()
    for job in (renewed, other):
        for column, hours in (("started_at", 1), ("last_heartbeat_at", 2), ("lease_expires_at", 3)):
            _passed(stage, job, column, -hours)
    found = rescue.leases_ahead(stage.database, now)
    assert {lease.id for lease in found} == {renewed, other}
    _passed(stage, renewed, "last_heartbeat_at", -1.5)
    monkeypatch.setattr(rescue, "leases_ahead", lambda *_: found)
    before = stage.one(renewed, "last_heartbeat_at, lease_expires_at")
    assert rescue.put_leases_back(stage.database, now) == 1
    assert stage.one(renewed, "last_heartbeat_at, lease_expires_at") == before


def test_a_job_of_our_own_worker_goes_by_heartbeats_whatever_its_lease_says(
    stage: Stage, crew: Crew, command: Command
) -> None:
    (job,) = stage.enqueue(Job("held"))
    crew.begin()
    until(lambda: crew.runs[job.id])
    _passed(stage, job.id)
    assert command("spawn", "doctor", "--older-than", "0s", "--format", "json", url=stage.url).json == []
    (delay,) = command("spawn", "why", job.id, "--format", "json", url=stage.url).json["delays"]
    assert (delay["reason"], delay["first"]["worker"]) == ("running", "worker 0")
    assert {one["check"]: one for one in _health(stage, command)}["lost_jobs"]["value"] == 0


# A run that the other kind has taken over ends without effect, and says so.


def _take_over(stage: Stage, version3: Version3, job: Job) -> Run:
    """Version 3 takes the job for abandoned, and runs it."""
    _passed(stage, job.id, "started_at", 0.5)
    stage.execute(f"UPDATE hammerwork_jobs SET last_heartbeat_at = NULL WHERE id = '{job.id}'")
    assert version3.reap() == {job.id: "Pending"}
    return _claimed(version3, job.queue)


def _history(stage: Stage) -> list[tuple[Any, ...]]:
    sql = "SELECT outcome, attempt, error_message, worker_id FROM hammerwork_attempts"
    return [(*rest, str(worker)) for *rest, worker in stage.database.query(sql)]


def test_a_worker_notices_at_its_next_heartbeat_that_version_3_has_its_job_and_tells_the_handler(
    stage: Stage, crew: Crew, version3: Version3, caplog: pytest.LogCaptureFixture
) -> None:
    told, cancelled, begun = list[str](), threading.Event(), threading.Semaphore(0)

    def in_a_thread(job: Job, context: SpawnContext) -> str:
        begun.release()
        until(lambda: context.cancelled)
        told.append(job.id)
        return "ours"

    async def as_a_coroutine(job: Job) -> str:
        begun.release()
        try:
            await asyncio.sleep(PATIENCE)
        except asyncio.CancelledError:
            cancelled.set()
            raise
        return "ours"

    crew.handlers.register_job("thread", in_a_thread)
    crew.handlers.register_job("coroutine", as_a_coroutine)
    jobs = stage.enqueue(Job("thread"), Job("coroutine"))
    # Without a free slot, and without a poll, it does not claim what version 3 is about to claim.
    worker = crew.begin(lease=6.0, concurrency=2, poll_interval=60)
    assert all(begun.acquire(timeout=PATIENCE) for _ in jobs)
    began = time.monotonic()
    runs = [_take_over(stage, version3, job) for job in jobs]
    until(lambda: told and cancelled.is_set())
    assert time.monotonic() - began < PATIENCE / 2  # not at its end
    until(lambda: len(_history(stage)) == 2)
    assert _history(stage) == [("lost", 1, finish.TAKEN, worker.id)] * 2
    said = [record.getMessage() for record in caplog.records if "was taken from this worker" in record.getMessage()]
    assert len(said) == 2
    assert all("another claim has it now" in line for line in said)
    for run in runs:
        assert version3.heartbeat(run)
        assert version3.complete(run, "theirs")
    crew.wait_for_heartbeats(2)
    found = stage.queue.results(jobs)
    assert {found[job.id] for job in jobs} == {"theirs"}
    assert stage.rows("status, attempts, last_heartbeat_at, lease_expires_at") == [("Completed", 2, None, None)] * 2


@all_databases
@one_case_on_servers
@pytest.mark.parametrize("spawning", [False, True], ids=["alone", "with children"])
def test_a_run_that_version_3_took_over_ends_without_effect(
    stage: Stage, crew: Crew, version3: Version3, caplog: pytest.LogCaptureFixture, spawning: bool
) -> None:
    """The handler ends before the next heartbeat; there is none soon, with this lease."""
    crew.handlers.register_job("taken", crew.hold)
    if spawning:
        crew.handlers.spawn("taken")(lambda _: [Job("noop")])
    (job,) = stage.enqueue(Job("taken"))
    crew.begin(lease=600.0, concurrency=1, poll_interval=60)
    until(lambda: crew.runs[job.id])
    run = _take_over(stage, version3, job)
    before = stage.rows("id, status, attempts, started_at, last_heartbeat_at")
    crew.go_on.set()
    until(lambda: len(_history(stage)) == 1)
    assert _history(stage)[0][:3] == ("lost", 1, finish.TAKEN)
    assert stage.rows("id, status, attempts, started_at, last_heartbeat_at") == before
    until(lambda: "was taken from this worker" in caplog.text)
    assert version3.complete(run)


def test_a_recurring_job_that_version_3_has_made_due_when_its_worker_would_is_said_to_be_taken(
    stage: Stage, crew: Crew, version3: Version3, caplog: pytest.LogCaptureFixture
) -> None:
    crew.handlers.register_job("yearly", crew.hold)
    (job,) = stage.enqueue(Job("yearly").with_cron("0 0 3 1 1 *").with_max_attempts(1))
    stage.execute("UPDATE hammerwork_jobs SET scheduled_at = created_at, next_run_at = created_at")
    crew.begin(lease=600.0, concurrency=1, poll_interval=60)
    until(lambda: crew.runs[job.id])
    _passed(stage, job.id, "started_at", 0.5)
    stage.execute(f"UPDATE hammerwork_jobs SET last_heartbeat_at = NULL WHERE id = '{job.id}'")
    assert version3.reap() == {job.id: "Pending"}
    before = stage.rows("id, status, attempts, scheduled_at, error_message")
    crew.go_on.set()
    until(lambda: "was taken from this worker" in caplog.text)
    assert stage.rows("id, status, attempts, scheduled_at, error_message") == before
    assert [outcome for outcome, *_ in _history(stage)] == ["lost"]


@all_databases
def test_a_run_of_version_3_that_was_taken_over_ends_without_effect(
    stage: Stage, crew: Crew, version3: Version3
) -> None:
    """Its result alone has an effect: it writes that by the id, before it hears that the run is not its own."""
    use(stage.database)
    (job,) = stage.enqueue(Job("held"))
    late = _claimed(version3, "held")
    _passed(stage, job.id)
    crew.begin()
    until(lambda: crew.runs[job.id])
    assert not version3.heartbeat(late)
    assert not version3.complete(late, "late")
    assert not version3.fail(late)
    assert stage.status(job) == ["Running"]
    crew.go_on.set()
    until(lambda: stage.status(job) == ["Completed"])
    assert stage.one(job, "attempts") == 2


# Recurring jobs that version 3 has disabled.


def test_a_recurring_job_that_version_3_disabled_is_held_says_why_and_can_be_enabled(
    stage: Stage, app: Handlers, version3: Version3, command: Command
) -> None:
    ran: list[str] = []
    app.register_job("nightly", lambda job: ran.append(job.id))
    disabled, due = stage.enqueue(*(Job("nightly").with_cron("0 0 3 * * *") for _ in range(2)))
    stage.execute("UPDATE hammerwork_jobs SET scheduled_at = created_at, next_run_at = created_at")
    version3.disable(disabled.id)
    stage.work(app)  # until nothing is due
    assert ran == [due.id]
    (delay,) = command("spawn", "why", disabled.id, "--format", "json", url=stage.url).json["delays"]
    assert delay["reason"] == "disabled"
    told = command("spawn", "why", disabled.id, url=stage.url).stdout
    assert "1 job is recurring, and its schedule is disabled" in told
    assert f"hammerwork cron enable {disabled.id[:8]}" in told
    assert command("job", "show", disabled.id, "--format", "json", url=stage.url).json["hold"] == "disabled"
    _passed(stage, disabled.id, "scheduled_at", 72)
    assert "ready" not in command("job", "show", disabled.id, url=stage.url).stdout
    assert "schedule is disabled" in command("job", "list", url=stage.url).stdout
    assert command("queue", "health", url=stage.url).exit_code == 0
    checks = {check["check"]: check["status"] for check in _health(stage, command)}
    assert [checks[name] for name in ("unserved_queues", "pending", "pending_age")] == ["healthy"] * 3
    (queue,) = command("queue", "list", "--format", "json", url=stage.url).json
    assert (queue["ready"], queue["scheduled"], queue["oldest_pending_at"]) == (0, 2, None)
    listed = command("cron", "list", "--format", "json", url=stage.url).json
    assert {one["id"]: one["enabled"] for one in listed} == {disabled.id: False, due.id: True}
    enabled = command("cron", "enable", disabled.id, "--yes", url=stage.url)
    assert (enabled.exit_code, f"nightly {disabled.id[:8]} is enabled." in enabled.stdout + enabled.stderr) == (0, True)
    assert (stage.one(disabled, "recurring"), stage.timestamp(disabled, "scheduled_at")) == (
        True,
        stage.timestamp(disabled, "next_run_at"),
    )
    assert stage.timestamp(disabled, "scheduled_at") > stage.database.now()


def _health(stage: Stage, command: Command) -> Any:
    return command("monitor", "health", "--format", "json", url=stage.url).json["checks"]
