"""The steps and the checks of version 3 of hammerwork (Rust): who keeps a lease loses no job, whoever it is."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from chaos.liveness.schedules import PUT_OFF, SOON
from chaos.liveness.worker import JOB_LEASE, QUEUE, SimulatedWorker
from chaos.liveness.world import World
from hammerwork_cli.core.values import timestamp
from hammerwork_cli.database import Database
from tests.rust3.runs import Run, Version3

LEASE_OF_VERSION_3 = 9.0
"""Seconds. Its worker is heard of three times as often, and its reaper takes runs without a lease that are as old."""


@dataclass(slots=True)
class Held:
    """A run of version 3.

    Attributes:
        beat: when its worker last renewed the lease, by the monotonic clock.
    """

    run: Run
    beat: float


class Version3Rules:
    """The part of :class:`chaos.liveness.machine.Histories` about version 3.

    Attributes:
        version3_has: job -> the run of a worker of version 3 that lives.
        abandoned: job -> the run of one that was killed.
    """

    database: Database
    world: World
    workers: dict[str, SimulatedWorker]
    rust_has: dict[str, Any]
    version3: Version3
    version3_has: dict[str, Held]
    abandoned: dict[str, Held]

    def _try(self, step: Callable[[], Any]) -> None:
        raise NotImplementedError

    def _allow(self, job: str) -> None:
        raise NotImplementedError

    def enqueue_jobs(self, jobs: int, max_attempts: int, *, recurring: bool) -> None:
        """Provided by the machine."""
        raise NotImplementedError

    def _begin_version_3(self) -> None:
        self.version3 = Version3(self.database, self.world.now, timedelta(seconds=LEASE_OF_VERSION_3))
        self.version3_has, self.abandoned = {}, {}

    # What happens.

    @rule()
    def version_3_claims(self) -> None:
        def step() -> None:
            with self.world.reached():
                run = self.version3.claim(QUEUE)
            if run is not None:
                self.version3_has[run.job] = Held(run, self.world.seconds)
                self.abandoned.pop(run.job, None)
                self._allow(run.job)

        self._try(step)

    @rule(number=st.integers(0, 30), well=st.booleans())
    def version_3_ends(self, number: int, well: bool) -> None:
        if not self.version3_has:
            return
        job = sorted(self.version3_has)[number % len(self.version3_has)]

        def step() -> None:
            held = self.version3_has[job]
            with self.world.reached():
                done = self.version3.complete(held.run) if well else self.version3.fail(held.run)
            assert done or self._is_doubtful(held), f"job {job} was taken from a worker of version 3"
            del self.version3_has[job]

        self._try(step)

    @rule(number=st.integers(0, 30))
    def version_3_is_killed(self, number: int) -> None:
        """The worker of a run; one that has just claimed it, if none has any."""
        if not self.version3_has:
            self.enqueue_jobs(1, 2, recurring=False)
            self.version_3_claims()
        if self.version3_has:
            job = sorted(self.version3_has)[number % len(self.version3_has)]
            self.abandoned[job] = held = self.version3_has.pop(job)
            held.beat = max(held.beat, self.world.seconds - LEASE_OF_VERSION_3 / 3)  # unknown after a server forgot

    @rule()
    def version_3_reaps(self) -> None:
        """It takes only what nobody renews."""

        def step() -> None:
            with self.world.reached() as database:
                ours = database.query(
                    "SELECT id, claimed_by FROM hammerwork_jobs WHERE status = 'Running' AND claimed_at = started_at"
                )
                taken = self.version3.reap(timedelta(seconds=LEASE_OF_VERSION_3))
            for job, owner in ours:
                if str(job) in taken and (worker := self.workers.get(str(owner))) is not None:
                    beat = self.world.book.beats.get(worker.id, 0.0)
                    is_known = not worker.is_dead and self.world.stepped_at < beat
                    silent = self.world.seconds - beat
                    assert not is_known or silent >= JOB_LEASE / 2, f"the reaper took {job}: silent for {silent} s"
            for job in taken:
                if (held := self.version3_has.get(job)) is not None:
                    assert self._is_doubtful(held), f"the reaper took {job} of a worker of version 3"
                self.rust_has.pop(job, None)
                self._allow(job)

        self._try(step)

    def _pass_version_3(self) -> None:
        """Its workers renew their leases; one that hears that a run is not its own any more only logs it."""
        if self.world.is_away:
            return
        for job, held in tuple(self.version3_has.items()):
            if self.world.seconds - held.beat >= LEASE_OF_VERSION_3 / 3:
                if self.version3.heartbeat(held.run):
                    held.beat = self.world.seconds
                else:
                    assert self._is_doubtful(held), f"job {job} was taken from a worker of version 3"
                    del self.version3_has[job]

    def _forget_version_3(self) -> None:
        """The server has forgotten some commits: claims, and renewals of leases."""
        self.abandoned.clear()
        self.version3_has = {job: held for job, held in self.version3_has.items() if self._has(held)}
        for held in self.version3_has.values():
            held.beat = float("-inf")

    def _is_doubtful(self, held: Held) -> bool:
        """Whether a lease may be over, although the worker lives: by the server's clock, or since that was away."""
        return self.world.stepped_at >= held.beat or self.world.seconds - held.beat >= LEASE_OF_VERSION_3

    # What must be true.

    @invariant()
    def nothing_is_taken_from_version_3(self) -> None:
        """A job whose lease is kept stays with its worker until that ends it, or somebody's hand does."""
        for job, held in self.version3_has.items():
            assert self._is_doubtful(held) or self._has(held), f"job {job} was taken from a worker of version 3"

    @invariant()
    def only_running_jobs_have_leases(self) -> None:
        """Whatever ends a run, or gives the job back, ends its lease."""
        rows = self.database.query(
            "SELECT id, status FROM hammerwork_jobs"
            " WHERE status <> 'Running' AND (last_heartbeat_at IS NOT NULL OR lease_expires_at IS NOT NULL)"
        )
        assert not rows, f"these jobs have leases and do not run: {rows}"

    def _has(self, held: Held) -> bool:
        rows = self.database.query(
            f"SELECT started_at FROM hammerwork_jobs WHERE id = '{held.run.job}' AND status = 'Running'"
        )
        return [timestamp(at) for (at,) in rows] == [held.run.started_at]

    def _look_for_abandoned(self) -> None:
        """A worker rescues what version 3 has abandoned, once the lease is over and it trusts the clock."""
        for job, held in tuple(self.abandoned.items()):
            if not self._has(held):
                del self.abandoned[job]
        watched_since = min((worker.steady_since for worker in self.workers.values() if worker.acts), default=None)
        if watched_since is None:
            return
        for job, held in self.abandoned.items():
            left = self.world.seconds - max(held.beat + LEASE_OF_VERSION_3, watched_since, self.world.stepped_at)
            # By a clock that was set back, the lease begins anew once somebody has looked.
            patience = PUT_OFF + LEASE_OF_VERSION_3 if self.world.has_stepped else SOON
            assert left <= patience, f"job {job} is Running for {left} s, and version 3 has abandoned it"
