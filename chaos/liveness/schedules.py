"""The steps and the checks of schedules: each due time gets one run, and each run its job."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from hypothesis.stateful import invariant, rule

from chaos.liveness.worker import CARE, LEASE, STEADY, SimulatedWorker
from chaos.liveness.world import World
from hammerwork_cli.core.values import timestamp
from hammerwork_cli.database import Database
from hammerwork_cli.features.cron.model import RunOutcome, Schedule, ScheduleRun
from hammerwork_cli.features.cron.options import read_schedule
from hammerwork_cli.features.cron.queries import ahead, changes, schedules, ticks
from hammerwork_cli.features.cron.queries.changes import Author
from hammerwork_cli.features.job.queries import ahead as jobs_ahead

SOON = 2 * LEASE + 2
"""Seconds within which a worker must care for a job or a due time that nobody cares for, while one could."""
PUT_OFF = STEADY + CARE + 2 * LEASE + 2
"""Seconds after the last step of the clock within which a worker must put back what a wrong one has put off."""
SCHEDULES = (
    {"name": "each", "schedule": "*/10 * * * * *", "overlap": "allow", "catch_up": "all"},
    {"name": "one at a time", "schedule": "*/15 * * * * *", "overlap": "skip", "catch_up": "last"},
)
PERIODS = {"each": timedelta(seconds=10), "one at a time": timedelta(seconds=15)}
SCHEDULED = "scheduled"
"""The queue of the jobs of schedules, which no worker serves."""
MOST_RUNS = 100_000


class ScheduleRules:
    """The part of :class:`chaos.liveness.machine.Histories` about schedules.

    Attributes:
        overdue: schedule -> the due time that has no run, and since when.
        first_due: schedule -> its first due time.
    """

    database: Database
    world: World
    workers: dict[str, SimulatedWorker]
    overdue: dict[str, tuple[Any, float]]
    first_due: dict[str, datetime]

    def _try(self, step: Callable[[], Any]) -> None:
        raise NotImplementedError

    def _add_schedules(self) -> None:
        for options in SCHEDULES:
            new = read_schedule({"queue": SCHEDULED, "payload": {}, **options})
            schedule = changes.add(self.database, new, Author("the checks"), self.world.now())
            assert schedule.due is not None
            self.first_due[schedule.id] = schedule.due

    @rule()
    def end_scheduled(self) -> None:
        """Some other worker completes the jobs of schedules."""

        def step() -> None:
            with self.world.reached() as database:
                database.script(f"UPDATE hammerwork_jobs SET status = 'Completed' WHERE queue_name = '{SCHEDULED}'")

        self._try(step)

    @invariant()
    def each_due_time_has_one_run_and_each_run_its_job(self) -> None:
        """Each due time that has passed has one run, or one that stands for it; no schedule breaks its overlap rule.

        A clock that was ahead leaves runs after the next due time, and one that was behind earlier due times.
        """
        jobs = {
            str(job): status
            for job, status in self.database.query(
                f"SELECT id, status FROM hammerwork_jobs WHERE queue_name = '{SCHEDULED}'"
            )
        }
        made: list[str] = []
        for schedule in schedules.all_schedules(self.database):
            runs = schedules.runs(self.database, schedule, limit=MOST_RUNS)
            assert schedule.due is not None
            self._check_due_times(schedule, runs)
            of_runs = [run.job_id for run in runs if run.outcome == RunOutcome.ENQUEUED]
            made += [job for job in of_runs if job is not None]
            open_ = [job for job in of_runs if jobs.get(str(job)) == "Pending"]
            assert schedule.overlap != "skip" or len(open_) <= 1, f"{schedule.name} has {len(open_)} jobs at a time"
        assert sorted(made) == sorted(jobs), "a run has no job, or a job no run"

    def _check_due_times(self, schedule: Schedule, runs: list[ScheduleRun]) -> None:
        first, due, period = self.first_due[schedule.id], schedule.due, PERIODS[schedule.name]
        assert due is not None
        found = [(at, run) for run in runs if (at := timestamp(run.due_at)) is not None and at >= first]
        assert all((at - first) % period == timedelta() for at, _ in found), f"{schedule.name} has a wrong run"
        if any(at >= due and (timestamp(run.missed_from) or due) < due for at, run in found):
            return  # the clock was put back into a gap
        passed = [run for at, run in found if at < due]
        number = len(passed)
        for run in passed:
            since = timestamp(run.missed_from) or first
            number += (run.missed or 0) - max((first - since) // period, 0)  # those before its creation
        wanted = max((due - first) // period, 0)
        assert number == wanted, f"{schedule.name}, due {due}: {number} of {(due - first) // period}"

    def _look_for_put_off(self) -> None:
        """Nothing waits for a time of a wrong clock while a worker could put it back."""
        watched_since = min((worker.steady_since for worker in self.workers.values() if worker.acts), default=None)
        if watched_since is None or self.world.seconds - max(self.world.stepped_at, watched_since) < PUT_OFF:
            return
        if not self.world.has_stepped or self.world.seconds % CARE:
            return
        now = self.world.now()
        assert not ahead.found(self.database, now), "a schedule or a recurring job waits for a time of a wrong clock"
        assert not jobs_ahead.found(self.database, now), "a job waits for a time of a wrong clock"

    def _look_for_overdue(self) -> None:
        """A due time gets its run within two leases while a worker could enqueue it."""
        now, overdue = self.world.seconds, {}
        for schedule in ticks.upcoming(self.database, self.world.now(), len(SCHEDULES)):
            known, since = self.overdue.get(schedule.id, (None, now))
            overdue[schedule.id] = (schedule.due, since if known == schedule.due else now)
        self.overdue = overdue
        watched_since = min((worker.steady_since for worker in self.workers.values() if worker.acts), default=now)
        for due, since in overdue.values():
            left = now - max(since, watched_since)
            assert left <= SOON, f"the due time {due} has no run for {left} s"
