"""The steps, drawn by hypothesis, and what must be true after each of them."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any
from unittest import mock

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from chaos.liveness.schedules import SOON, ScheduleRules
from chaos.liveness.version_3 import Version3Rules
from chaos.liveness.worker import DUTY, LEASE, QUEUE, HangsError, SimulatedWorker
from chaos.liveness.world import World
from hammerwork_cli.core import cron
from hammerwork_cli.core.values import timestamp
from hammerwork_cli.database import Database
from hammerwork_cli.errors import UnreachableError
from hammerwork_cli.features.cron.queries import ticks
from hammerwork_cli.features.job.models.new_job import NewJob
from hammerwork_cli.features.job.queries import changes, enqueue
from hammerwork_cli.features.job.queries.selections import ByIds
from hammerwork_cli.features.worker.queries import duties
from hammerwork_cli.features.worker.queries.registry import HeartbeatReport
from tests.rust_worker import TAKE, RustWorker

MOST_WORKERS = 4
MOST_JOBS = 40
STEPS = 50
"""Steps of one history, each of which may take some seconds of simulated time."""
HISTORIES = 10
"""Drawn with one seed."""
CRON = "*/20 * * * * *"
FEW = 10
"""Due times that a tick records with a run each, and that a schedule catches up."""
HOUR = 3600.0
WRONG = [-3650 * 24 * HOUR, -24 * HOUR, -2 * HOUR, 2 * HOUR, 24 * HOUR, 3650 * 24 * HOUR]
some = st.integers(min_value=0, max_value=30)


class Histories(ScheduleRules, Version3Rules, RuleBasedStateMachine):
    """What may happen to some workers and their jobs; ``database`` is set by :func:`check`."""

    on_step: Callable[[], None] = staticmethod(lambda: None)

    def __init__(self) -> None:
        super().__init__()
        self.world = World(self.database)
        self.workers: dict[str, SimulatedWorker] = {}
        self.rust = RustWorker(self.database, self.world.now)
        self.rust_has: dict[str, Any] = {}
        self._begin_version_3()
        self.jobs: list[str] = []
        self.uncared: dict[str, tuple[str, float]] = {}
        self.overdue = {}
        self.first_due = {}

    def _try(self, step: Callable[[], Any]) -> None:
        """A step that a server that is away refuses."""
        self.on_step()
        self.world.remember()
        try:
            step()
        except HangsError:
            return
        except UnreachableError:
            assert self.world.is_away or any(worker.is_cut or worker.misses_beats for worker in self.workers.values())

    def _worker(self, number: int) -> SimulatedWorker | None:
        acting = [worker for worker in self.workers.values() if worker.acts]
        return acting[number % len(acting)] if acting else None

    def _job(self, number: int) -> str | None:
        return self.jobs[number % len(self.jobs)] if self.jobs else None

    @initialize()
    def begin(self) -> None:
        for _ in range(2):
            self.start_worker()
        self.enqueue_jobs(6, 3, recurring=False)
        self.enqueue_jobs(2, 1, recurring=False)
        self.enqueue_jobs(2, 2, recurring=True)
        self._add_schedules()

    # What happens.

    @rule()
    def start_worker(self) -> None:
        if sum(1 for worker in self.workers.values() if not worker.is_dead) < MOST_WORKERS and not self.world.is_away:
            worker = SimulatedWorker(self.world, len(self.workers))
            self.workers[worker.id] = worker

    @rule(jobs=st.integers(2, 6), max_attempts=st.integers(1, 3), recurring=st.booleans())
    def enqueue(self, jobs: int, max_attempts: int, recurring: bool) -> None:
        self.enqueue_jobs(jobs, max_attempts, recurring=recurring)

    def enqueue_jobs(self, jobs: int, max_attempts: int, *, recurring: bool) -> None:
        def step() -> None:
            now = self.world.now()
            at = cron.next_run(CRON, None, now) if recurring else None
            with self.world.reached() as database:
                for _ in range(min(jobs, MOST_JOBS - len(self.jobs))):
                    new = NewJob(QUEUE, "{}", created_at=now, scheduled_at=at or now, max_attempts=max_attempts)
                    new.cron_schedule, new.recurring, new.next_run_at = (CRON, True, at) if at else (None, False, None)
                    enqueue.insert(database, [new])
                    self.jobs.append(new.id)

        self._try(step)

    @rule(number=some, limit=st.integers(1, 4), unanswered=st.booleans())
    def claim(self, number: int, limit: int, unanswered: bool) -> None:
        if worker := self._worker(number):
            self._try(lambda: worker.claim(limit, unanswered=unanswered))

    @rule(number=some)
    def run(self, number: int) -> None:
        if worker := self._worker(number):
            self._try(worker.begin)

    @rule(number=some, well=st.booleans(), written=st.sampled_from(["now", "later", "unanswered"]))
    def end(self, number: int, well: bool, written: str) -> None:
        worker = self._worker(number)
        if worker is None:
            return

        def step() -> None:
            worker.end(well=well)
            if written != "later":
                worker.write(unanswered=written == "unanswered")

        self._try(step)

    @rule(number=some)
    def give_back(self, number: int) -> None:
        if worker := self._worker(number):
            self._try(worker.give_back)

    @rule(number=some)
    def send_heartbeat(self, number: int) -> None:
        if worker := self._worker(number):
            self._try(worker.send_heartbeat)

    @rule(number=some, other=some)
    def race_for_a_duty(self, number: int, other: int) -> None:
        """Two workers have seen that a duty is due, and take it."""
        one, two = self._worker(number), self._worker(other)
        if one is None or two is None:
            return

        def step() -> None:
            seen = duties.times(self.database).get(DUTY)
            assert one.take_duty(seen) + two.take_duty(seen) < 2, "two workers took one duty"

        self._try(step)

    @rule(seconds=st.integers(1, 3), luck=st.integers(0, 1023))
    def work(self, seconds: int, luck: int) -> None:
        self._pass(seconds, luck)

    @rule(seconds=st.integers(1, int(3 * LEASE)), luck=st.integers(0, 2**40))
    def wait(self, seconds: int, luck: int) -> None:
        self._pass(seconds, luck)

    @rule(seconds=st.integers(1, int(4 * LEASE)))
    def outage(self, seconds: int) -> None:
        """The server is away for everybody."""
        self.world.is_away = True
        self._pass(seconds, 0)
        self.world.is_away = False
        for worker in self.workers.values():
            worker.steady_since = self.world.seconds

    @rule(number=some, wholly=st.booleans())
    def cut_off(self, number: int, wholly: bool) -> None:
        """One worker, or its heartbeat alone, does not reach the server; the others do."""
        if worker := self._worker(number):
            worker.cut_off(wholly=wholly)

    @rule(number=some)
    def reconnect(self, number: int) -> None:
        cut = [worker for worker in self.workers.values() if worker.is_cut or worker.misses_beats]
        if cut:
            cut[number % len(cut)].reconnect()

    @rule(number=some, reached=st.sampled_from(["claim", "write", ""]), frozen=st.integers(0, int(3 * LEASE)))
    def swallow(self, number: int, reached: str, frozen: int) -> None:
        """The open connections of a worker die without a word, or the server's processes behind them stand still."""
        if worker := self._worker(number):
            self._try(lambda: worker.swallow(reached, frozen))

    @rule(steps=st.integers(1, 3))
    def forget(self, steps: int) -> None:
        """The server loses its last commits, although it had acknowledged them."""
        self.on_step()
        self.world.forget(steps)
        for worker in self.workers.values():
            worker.stood_still = True
        self.rust_has = {job: at for job, at in self.rust_has.items() if self._started(job) == at}
        self._forget_version_3()

    @rule(number=some)
    def pause(self, number: int) -> None:
        if worker := self._worker(number):
            worker.pause()

    @rule(number=some)
    def resume(self, number: int) -> None:
        paused = [worker for worker in self.workers.values() if worker.is_paused and not worker.is_dead]
        if paused:
            paused[number % len(paused)].resume()

    @rule(number=some)
    def kill(self, number: int) -> None:
        if worker := self._worker(number):
            worker.is_dead = True

    @rule(number=some)
    def stop_at_once(self, number: int) -> None:
        if worker := self._worker(number):
            self._try(worker.stop_at_once)

    @rule(seconds=st.sampled_from([-2 * LEASE, -15, -1, 1, 2 * LEASE, 60]))
    def step_clock(self, seconds: float) -> None:
        """Somebody sets the clock of the server."""
        self.on_step()
        self.world.step_clock(seconds)

    @rule(seconds=st.sampled_from(WRONG), length=st.integers(1, 6), luck=st.integers(0, 2**20), for_good=st.booleans())
    def wrong_clock(self, seconds: float, length: int, luck: int, for_good: bool) -> None:
        """The clock of the server is wrong by far, for a moment or for good, and everybody works on."""
        for_good = for_good and abs(seconds) <= 2 * HOUR
        self.world.wrong_by = 0.0 if for_good else seconds
        self.step_clock(seconds)
        self._pass(length, luck)
        if not for_good:
            self.step_clock(-seconds)
            self.world.wrong_by = 0.0

    @rule(number=some, how=st.sampled_from(["retry", "cancel", "retry for Rust"]))
    def by_hand(self, number: int, how: str) -> None:
        job = self._job(number)
        if job is None:
            return

        def step() -> None:
            now = self.world.now()
            change: changes.Change = changes.RetryJobs(now, force=True)
            if how == "cancel":
                change = changes.CancelJobs(now, by="the checks", force=True)
            with self.world.reached() as database:
                changes.run(database, ByIds([job]), change)
            self._allow(job)
            self.rust_has.pop(job, None)
            self.version3_has.pop(job, None)
            if how == "retry for Rust":
                self.rust.send(f"{TAKE} id = {database.placeholder} AND status = 'Pending'", self.world.now(), job)
                self.rust_has |= {job: at} if (at := self._started(job)) else {}

        self._try(step)

    @rule()
    def rust_takes(self) -> None:
        def step() -> None:
            with self.world.reached():
                if taken := self.rust.take(QUEUE):
                    self.rust_has[taken] = self._started(taken)
                    self._allow(taken)

        self._try(step)

    @rule(number=some, well=st.booleans())
    def rust_ends(self, number: int, well: bool) -> None:
        if not self.rust_has:
            return
        job = sorted(self.rust_has)[number % len(self.rust_has)]

        def step() -> None:
            with self.world.reached() as database:
                if not database.query(f"SELECT 1 FROM hammerwork_jobs WHERE id = '{job}'"):
                    return  # the server forgot it
                if well:
                    self.rust.complete(job)
                else:
                    self.rust.fail(job)
            self.rust_has.pop(job, None)
            self._allow(job)

        self._try(step)

    def _allow(self, job: str) -> None:
        """Somebody lets a job run beside our rules: each of its occurrences may complete once more."""
        book = self.world.book
        book.disturbed.add(job)
        for key in {(job, ""), *(known for known in book.completed if known[0] == job)}:
            book.allowed[key] = book.allowed.get(key, 0) + 1

    def _pass(self, seconds: int, luck: int) -> None:
        self.world.remember()
        for _ in range(seconds):
            self.on_step()
            self.world.pass_second()
            self._thaw()
            for worker in tuple(self.workers.values()):
                if worker.acts:
                    worker.pass_second(self.workers, luck)
                    luck = luck // 4 or luck
            self._pass_version_3()
            if not self.world.is_away:
                self._look_for_uncared()
                self._look_for_abandoned()
                self._look_for_unwritten()
                self._look_for_overdue()
                self._look_for_put_off()

    def _thaw(self) -> None:
        """A process of the server goes on: it writes a heartbeat that nobody waits for any more."""
        due = [worker for at, worker in self.world.later if at <= self.world.seconds]
        if not due or self.world.is_away:
            return
        self.world.later = [(at, worker) for at, worker in self.world.later if at > self.world.seconds]
        for worker in due:
            values = {"id": worker, **asdict(HeartbeatReport())}
            if self.database.run("worker.registry.heartbeat", **values):
                self.uncared.clear()  # the dead may look alive for another lease

    def _started(self, job: str) -> Any:
        rows = self.database.query(f"SELECT started_at FROM hammerwork_jobs WHERE id = '{job}' AND status = 'Running'")
        return rows[0][0] if rows else None

    # What must be true.

    @invariant()
    def nothing_is_taken_from_rust(self) -> None:
        """A job that a Rust worker runs stays with it until it ends it, or somebody's hand does."""
        for job, at in self.rust_has.items():
            assert self._started(job) == at, f"job {job} was taken from a Rust worker"

    @invariant()
    def attempts_are_bounded(self) -> None:
        """No job has more attempts than it may have."""
        for job, attempts, most in self.database.query("SELECT id, attempts, max_attempts FROM hammerwork_jobs"):
            if str(job) not in self.world.book.disturbed:
                assert 0 <= attempts <= most, f"job {job} has {attempts} attempts of {most}"

    @invariant()
    def only_what_did_not_complete_is_history(self) -> None:
        """No attempt that completed, or that never began, left a row in the history."""
        rows = self.database.query("SELECT job_id, started_at FROM hammerwork_attempts")
        recorded = {(str(job), timestamp(started)) for job, started in rows}
        assert not recorded & self.world.book.unrecorded

    def _look_for_uncared(self) -> None:
        """No job stays Running for two leases without somebody who will end it or give it back, while one could."""
        now, running = self.world.seconds, {}
        for job, token, owner in self.database.query(
            "SELECT id, claim_token, claimed_by FROM hammerwork_jobs"
            " WHERE status = 'Running' AND claimed_at = started_at"
        ):
            worker = self.workers.get(str(owner))
            if worker is None or not worker.acts or str(job) not in worker.entries:
                known, since = self.uncared.get(str(job), ("", now))
                running[str(job)] = (str(token), since if known == str(token) else now)
        self.uncared = running
        watched_since = min((worker.steady_since for worker in self.workers.values() if worker.acts), default=now)
        for job, (_, since) in running.items():
            left = now - max(since, watched_since)
            assert left <= SOON, f"job {job} is Running for {left} s, and nobody cares for it"

    def _look_for_unwritten(self) -> None:
        """No worker that runs keeps an outcome for two leases without writing it."""
        for worker in self.workers.values():
            if worker.acts and not (worker.is_cut or worker.misses_beats):
                for job, entry in worker.entries.items():
                    since = self.world.seconds - max(entry.ended_at, worker.steady_since)
                    assert entry.ended is None or since <= SOON, f"the outcome of {job} is not written for {since} s"


def check(database: Database, steps: int, seed: int, on_step: Callable[[], None] = lambda: None) -> int:
    """Draws histories until so many steps have been taken; how many there were.

    One second of simulated time, in which every worker takes its turns, is a step like any other.

    Raises:
        AssertionError: an invariant does not hold; hypothesis prints the shortest history that shows it.
    """
    from hypothesis import seed as seeded

    counted = histories = 0

    def count() -> None:
        nonlocal counted
        counted += 1
        on_step()

    class Checked(Histories):
        pass

    Checked.database, Checked.on_step = database, staticmethod(count)
    # A wrong clock leaves as many rows.
    with mock.patch.multiple(ticks, CHUNK=FEW, MOST_CAUGHT_UP=FEW):
        while counted < steps:
            seeded(seed + histories)(Checked)
            histories += 1
            run_state_machine_as_test(
                Checked,
                settings=settings(
                    max_examples=HISTORIES,
                    stateful_step_count=STEPS,
                    database=None,
                    deadline=None,
                    phases=(Phase.generate, Phase.shrink),
                    suppress_health_check=list(HealthCheck),
                ),
            )
    return counted
