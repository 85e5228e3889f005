"""A simulated worker: the real queries, lease and observer, used as the real one uses them, one step at a time."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from chaos.liveness.world import World
from hammerwork_cli.core.clock import SLACK, is_behind
from hammerwork_cli.core.ids import new_id
from hammerwork_cli.core.values import JobStatus, timestamp
from hammerwork_cli.database import Database
from hammerwork_cli.errors import HammerworkError, NotFoundError, UnreachableError
from hammerwork_cli.features.cron.queries import ahead, ticks
from hammerwork_cli.features.job.queries import ahead as jobs_ahead
from hammerwork_cli.features.job.queries.cron import next_due
from hammerwork_cli.features.spawn.queries.doctor import Doctor
from hammerwork_cli.features.worker.queries import claim as claim_queries
from hammerwork_cli.features.worker.queries import duties, finish, registry, rescue
from hammerwork_cli.features.worker.queries.claim import Claimed
from hammerwork_cli.features.worker.queries.finish import AttemptEnd, EndedAttempt, Owned
from hammerwork_cli.features.worker.queries.registry import Heartbeat, HeartbeatReport, Registration
from hammerwork_cli.runtime.worker.heartbeat import RENEWALS
from hammerwork_cli.runtime.worker.lease import Lease, Observer

LEASE = 6.0
JOB_LEASE = 24
"""Seconds for which version 3 of hammerwork (Rust) leaves a job alone whose worker is silent: four leases."""
QUEUE = "work"
SLOTS = 2
MOST_SCHEDULES = 10
DUTY = "a duty"
CARE = 5.0
"""Seconds between two searches for what a clock that was ahead has put off."""
STEADY = 30.0
"""Seconds after which a clock that was set is taken to be right."""
HEARTBEAT = "heartbeat"
THREADS = ("main", "finisher", "keeper", "scheduler")
"""The others, which wait for an answer for a lease."""


@dataclass(slots=True)
class Entry:
    """A job that a worker knows.

    Attributes:
        began: whether its handler runs, or has run.
        ended: how it ended, when it has.
        at: the instant that its end is written with.
        ended_at: the same by the monotonic clock.
    """

    job: Claimed
    began: bool = False
    ended: EndedAttempt | None = None
    at: datetime | None = None
    ended_at: float = 0.0


class HangsError(HammerworkError):
    """A thread still waits for the answer of a connection that is dead."""


class RescueError(AssertionError):
    """A worker that lived lost its jobs."""


class SimulatedWorker:
    """One process.

    Attributes:
        entries: the jobs that it knows, by id.
        is_dead: it was killed.
        is_paused: it stands still, with all its threads.
        is_cut: it alone does not reach the server.
        misses_beats: its heartbeats alone do not reach the server.
        stood_still: it was paused or cut off since its last heartbeat, or the server has forgotten that. Only then may
            others take it for lost.
        hangs: thread -> when it gives up the connection that does not answer, by the monotonic clock.
        steady_since: since when it runs without a break, by the monotonic clock.
    """

    def __init__(self, world: World, number: int) -> None:
        self.world = world
        self.registration = Registration(new_id(), f"w{number}", "host", number, "0", (QUEUE,), (), SLOTS, LEASE)
        self.id = self.registration.id
        self.entries: dict[str, Entry] = {}
        self.is_dead = self.is_paused = self.is_cut = self.misses_beats = self.stood_still = False
        self.hangs: dict[str, float] = {}
        self.steady_since = world.seconds
        self.lease = Lease(LEASE, world.seconds)
        self._observer = Observer(self.id, self.lease)
        self._compare_at = world.seconds + LEASE / 2
        self._renew_at = self._rescue_at = 0.0
        self._first_offset, self._care_at = world.offset, 0.0
        with self._reached() as database:
            registry.register(database, self.registration)
        world.book.beats[self.id] = world.seconds

    @property
    def acts(self) -> bool:
        """Whether it does anything at present."""
        return not (self.is_dead or self.is_paused)

    @contextmanager
    def _reached(self, thread: str = "main") -> Iterator[Database]:
        if self.world.seconds < self.hangs.get(thread, 0.0):
            raise HangsError("No answer has come.")
        if self.is_cut:
            raise UnreachableError("This worker does not reach the server.")
        with self.world.reached() as database:
            yield database

    def cut_off(self, *, wholly: bool) -> None:
        """It, or its heartbeat alone, does not reach the server."""
        self.is_cut, self.misses_beats, self.stood_still = wholly, not wholly, True

    def reconnect(self) -> None:
        """It reaches the server again."""
        self.is_cut = self.misses_beats = False
        self.steady_since = self.world.seconds

    def swallow(self, reached: str, frozen: float) -> None:
        """Its open connections deliver nothing any more, and new ones work.

        It is well all the same: nobody may take it for lost.

        Args:
            reached: the last request that reached the server, whose answer did not come: ``claim``, ``write``, or none.
            frozen: a process of the server stands still for so many seconds, and then does what its heartbeat said.
        """
        if reached == "claim":
            self.claim(SLOTS + 1, unanswered=True)
        elif reached == "write":
            self.write(unanswered=True)
        now = self.world.seconds
        self.hangs = {HEARTBEAT: now + LEASE / 3, **dict.fromkeys(THREADS, now + LEASE)}
        self.steady_since = now  # all is as before two leases from now
        if frozen:
            self.world.later.append((now + frozen, self.id))

    def pause(self) -> None:
        """It stands still."""
        self.is_paused = self.stood_still = True

    def resume(self) -> None:
        """It goes on after a pause."""
        self.is_paused = False
        self.steady_since = self.world.seconds

    def pass_second(self, others: dict[str, "SimulatedWorker"], luck: int) -> None:
        """Its threads take their turns, and its slots run handlers.

        Args:
            others: all workers.
            luck: whether a handler ends in this second (its lowest bit), and whether it ends well (the next one).
        """
        keep, work = partial(self.keep, others), partial(self.work, luck)
        for act in (self.send_heartbeat, self.compare, keep, self.write, work, self.tick, self.put_back):
            try:
                act()
            except HangsError:
                continue  # a break that must cost nobody more than two leases
            except HammerworkError:
                self.steady_since = self.world.seconds

    def tick(self) -> None:
        """As runtime/worker/upkeep/schedules.py; another worker may have read the schedules at the same moment."""
        with self._reached("scheduler") as database:
            now = self.world.now()
            if is_behind(now, None):
                return
            found = ticks.upcoming(database, now, MOST_SCHEDULES)
            for schedule in found:
                ticks.tick(database, schedule, now)
            again = [ticks.tick(database, schedule, now) for schedule in found]
        assert not any(again), "two workers enqueued the jobs of one due time"

    def put_back(self) -> None:
        """As runtime/worker/upkeep/schedules.py: what a clock that was ahead has put off."""
        if self.world.seconds < self._care_at:
            return
        self._care_at = self.world.seconds + CARE
        with self._reached() as database:
            now, times = self.world.now(), duties.times(database)
            length = timedelta(seconds=CARE)
            if duties.take_due(database, "schedules", self.id, times, now=now, length=length) and self._trusts_clock:
                for one in ahead.found(database, now):
                    if ahead.put_back(database, one, now) and one.schedule.is_in_place:
                        self._allow_again(one.schedule.id, now)
                jobs_ahead.put_back(database, now)

    def _allow_again(self, job: str, now: datetime) -> None:
        """Occurrences come again that ran before the clock was set back: nothing in the job's row tells of them."""
        book = self.world.book
        again_until = max(self.world.again_until, now - timedelta(seconds=self.world.wrong_by))
        for key in book.completed:
            if key[0] == job and key[1] and now < datetime.fromisoformat(key[1]) <= again_until:
                book.allowed[key] = book.allowed.get(key, 0) + 1

    @property
    def _trusts_clock(self) -> bool:
        """As runtime/clock.py."""
        if is_behind(self.world.now(), None):
            return False
        is_back = abs(self.world.offset - self._first_offset) <= SLACK.total_seconds()
        return is_back or self.world.seconds - self.world.stepped_at > STEADY

    def take_duty(self, seen: datetime | None) -> bool:
        """As runtime/worker/retention.py; ``seen`` is when the duty was due."""
        with self._reached() as database:
            until = self.world.now() + timedelta(seconds=LEASE)
            return duties.take(database, DUTY, self.id, seen=seen, until=until)

    def send_heartbeat(self) -> None:
        """As runtime/worker/heartbeat.py."""
        if self.misses_beats:
            raise UnreachableError("This heartbeat does not reach the server.")
        with self._reached(HEARTBEAT) as database:
            try:
                answer = registry.record_heartbeat(database, self.id, HeartbeatReport())
            except NotFoundError:
                registry.register(database, self.registration)
                answer = registry.record_heartbeat(database, self.id, HeartbeatReport())._replace(was_lost=True)
            before = self.world.book.beats.get(self.id, 0.0)
            if self.world.seconds - before > 1 or self.world.stepped_at >= before:
                self._renew_at = 0.0  # a heartbeat failed, or somebody has set the server's clock
            if self.world.seconds >= self._renew_at:
                registry.renew_leases(database, self.id, JOB_LEASE)
                self._renew_at = self.world.seconds + JOB_LEASE / RENEWALS
        self.world.book.beats[self.id], self.stood_still = self.world.seconds, False
        self.lease.renew(self.world.seconds, self.world.seconds, was_lost=answer.was_lost)

    def compare(self) -> None:
        """As runtime/worker/claimer.py."""
        if self.world.seconds < self._compare_at and not self.lease.is_doubted:
            return
        known = [Owned(job, entry.job.claim.token) for job, entry in self.entries.items()]
        with self._reached() as database:
            compared = finish.compare(database, self.id, known)
        self._compare_at = self.world.seconds + LEASE / 2
        for job, _ in compared.lost:
            if not self.entries[job].began:
                del self.entries[job]
        self.lease.compared = self.lease.doubts

    def keep(self, others: dict[str, "SimulatedWorker"]) -> None:
        """As runtime/worker/keeper.py; nobody may be rescued from who lives."""
        with self._reached("keeper") as database:
            heartbeats = [*registry.heartbeats(database), *registry.ended_with_jobs(database)]
            for lost in self._observer.look(heartbeats, self.world.seconds):
                before = self.world.recorded_as_lost()
                done = registry.rescue(database, lost, self.world.now())
                if done is None:
                    self._observer.forget(lost.id)
                else:
                    self._check(lost, others.get(lost.id))
                    assert self.world.recorded_as_lost() - before == sum(done), "a lost attempt was not recorded"

            if self.world.seconds >= self._rescue_at and self._trusts_clock:
                self._rescue_at = self.world.seconds + CARE
                rescue.put_leases_back(database, self.world.now())
                Doctor(database, now=self.world.now()).rescue()

    def _check(self, lost: Heartbeat, worker: "SimulatedWorker | None") -> None:
        if worker is None or worker.is_dead:
            return
        # A heartbeat that the server has forgotten was none.
        silent = self.world.seconds - self.world.book.beats.get(worker.id, 0.0)
        if silent < LEASE or not worker.stood_still:
            raise RescueError(f"{self.registration.name} rescued from {lost.name}, which beat {silent} s before")

    def claim(self, limit: int, *, unanswered: bool) -> None:
        """Takes jobs; when the answer is lost it knows of none, and will compare."""
        if not self.lease.is_held(self.world.seconds):
            return
        free = SLOTS - sum(1 for entry in self.entries.values() if entry.began and entry.ended is None)
        with self._reached() as database:
            taken = claim_queries.claim(
                *(database, QUEUE),
                worker=self.id, now=self.world.now(), limit=limit, slots=max(0, free), lease=JOB_LEASE,
            )  # fmt: skip
        if unanswered:
            self._compare_at = 0.0
            return
        self.entries |= {job.id: Entry(job) for job in taken}

    def work(self, luck: int) -> None:
        """Claims, begins and ends what there is."""
        self.claim(SLOTS + 1, unanswered=False)
        self.begin()
        if luck % 2:
            self.end(well=luck // 2 % 2 == 1)
            self.write()

    def begin(self) -> None:
        """Handlers begin in the slots that are free."""
        running = sum(1 for entry in self.entries.values() if entry.began and entry.ended is None)
        for entry in self.entries.values():
            if not entry.began and running < SLOTS and self.lease.is_held(self.world.seconds):
                entry.began, running = True, running + 1

    def end(self, *, well: bool) -> None:
        """The first handler that runs returns, or raises."""
        entry = next((one for one in self.entries.values() if one.began and one.ended is None), None)
        if entry is None:
            return
        job, now = entry.job, max(self.world.now(), entry.job.claim.started_at)
        following = self._next_run(job, now)
        if well:
            entry.ended = EndedAttempt(job, AttemptEnd.COMPLETED, at=following)
        elif job.last_attempt:
            entry.ended = EndedAttempt(job, AttemptEnd.FAILED, error="It failed.", at=following)
        else:
            entry.ended = EndedAttempt(
                job, AttemptEnd.RETRY, error="It failed.", at=self.world.now() + timedelta(seconds=1)
            )
        entry.at, entry.ended_at = now, self.world.seconds

    def _next_run(self, job: Claimed, now: datetime) -> datetime | None:
        return next_due(
            job.id,
            recurring=bool(job.recurring),
            cron_schedule=job.cron_schedule,
            timezone=job.timezone,
            last=job.next_run_at,
            now=now,
            catches_up=job.claim.rust_3,
        )

    def write(self, *, unanswered: bool = False) -> None:
        """Writes what has ended. When the answer is lost it will write the same again."""
        for entry in [one for one in self.entries.values() if one.ended is not None]:
            assert entry.ended is not None
            assert entry.at is not None
            with self._reached("finisher") as database:
                report = finish.finish(database, [entry.ended], entry.at)
            if unanswered:
                return
            del self.entries[entry.job.id]
            if report.lost:
                self._look_up_lost(entry.job)
            else:
                self._look_up(entry.job, entry.ended.end)
            if not report.lost and entry.ended.end == AttemptEnd.COMPLETED:
                self._count(entry.job, entry.ended.at, entry.at)

    def _look_up(self, job: Claimed, end: AttemptEnd) -> None:
        """An attempt that completed left no row in the history, any other one a row."""
        recorded = self.world.recorded(job.id, job.claim.started_at)
        if end == AttemptEnd.COMPLETED:
            self.world.book.unrecorded.add((job.id, job.claim.started_at))
        else:
            assert recorded == [finish.OUTCOMES[end]], f"{job.id} ended as {end}, and its history says {recorded}"

    def _look_up_lost(self, job: Claimed) -> None:
        """An attempt that others took is in the history, unless an operator ended the job."""
        fate = finish.fates(self.world.database, [job.id]).get(job.id)
        recorded = self.world.recorded(job.id, job.claim.started_at)
        is_ended = fate is None or fate[0] == JobStatus.CANCELLED
        assert recorded or is_ended, f"a lost attempt at {job.id} is not in its history: {fate}"

    def _count(self, job: Claimed, due_at: datetime | None, ended_at: datetime) -> None:
        column, status, at = ("scheduled_at", "Pending", due_at) if due_at else ("completed_at", "Completed", ended_at)
        sql = f"SELECT status, {column} FROM hammerwork_jobs WHERE id = '{job.id}'"
        found = [(stored, timestamp(written)) for stored, written in self.world.database.query(sql)]
        assert found == [(status, at)], f"{job.id} was counted as completed, and it is {found}"
        right = self.world.now() - timedelta(seconds=self.world.wrong_by)
        if job.occurrence and datetime.fromisoformat(job.occurrence) > right:
            return  # an occurrence that is still to come was that of a clock ahead, and comes again
        book, key = self.world.book, (job.id, job.occurrence)
        book.completed[key] = book.completed.get(key, 0) + 1
        assert book.completed[key] <= 1 + book.allowed.get(key, 0), f"{key} was completed {book.completed[key]} times"

    def stop_at_once(self) -> None:
        """As runtime/worker.py: all goes back with its attempt, but for what runs and may run only once."""
        if self.world.seconds < self.hangs.get("main", 0.0):
            self.is_dead = True  # its process ends, whatever hangs
            return
        try:
            self.give_back()
            for entry in self.entries.values():
                if entry.ended is None:
                    job, now = entry.job, max(self.world.now(), entry.job.claim.started_at)
                    stopped = EndedAttempt(job, AttemptEnd.STOPPED, at=timestamp(job.scheduled_at))
                    once = EndedAttempt(job, AttemptEnd.FAILED, error="It was stopped.", at=self._next_run(job, now))
                    entry.ended, entry.at = (stopped if job.max_attempts > 1 else once), now
            self.write()
            with self._reached() as database:
                registry.end(database, self.id, self.registration.name, HeartbeatReport(), self.world.now())
        finally:
            self.is_dead = True

    def give_back(self) -> None:
        """What has not begun goes back: it waited for too long, or the worker stops."""
        back = [entry.job for entry in self.entries.values() if not entry.began]
        with self._reached() as database:
            went = finish.give_back(database, back)
        for job in back:
            del self.entries[job.id]
        # Who took it for lost has recorded attempts of which nobody else knows that they never began.
        if went == len(back):
            self.world.book.unrecorded.update((job.id, job.claim.started_at) for job in back)
