"""The steps and the checks of schedules: each due time gets one run, and each run its job."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from hypothesis.stateful import invariant, rule

from chaos.liveness.worker import LEASE, SimulatedWorker
from chaos.liveness.world import World
from hammerwork_cli.database import Database
from hammerwork_cli.models import timestamp
from hammerwork_cli.models.cron.schedule import Outcome, Schedule
from hammerwork_cli.models.options.schedules import read_schedule
from hammerwork_cli.queries.cron import changes, schedules, ticks
from hammerwork_cli.queries.cron.changes import Author

SOON = 2 * LEASE + 2
"""Seconds within which a worker must care for a job or a due time that nobody cares for, while one could."""
SCHEDULES = (
    {"name": "each", "schedule": "*/10 * * * * *", "overlap": "allow", "catch_up": "all"},
    {"name": "one at a time", "schedule": "*/15 * * * * *", "overlap": "skip", "catch_up": "last"},
)
SCHEDULED = "scheduled"
"""The queue of the jobs of schedules, which no worker serves."""
MOST_RUNS = 100_000


class ScheduleRules:
    """The part of :class:`chaos.liveness.machine.Histories` about schedules.

    Attributes:
        overdue: schedule -> the due time that has no run, and since when.
        first_due: schedule -> its first due time.
        following: a schedule and a due time -> the next one; schedules do not change.
    """

    database: Database
    world: World
    workers: dict[str, SimulatedWorker]
    overdue: dict[str, tuple[Any, float]]
    first_due: dict[str, datetime]
    following: dict[tuple[str, datetime], datetime | None]

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
        """Each due time that has passed has one run, no later one has any, and no schedule breaks its overlap rule."""
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
            passed = [timestamp(run.due_at) for run in reversed(runs)]
            assert passed == self._due_times(schedule), f"{schedule.name} lacks a run, or has one too many"
            of_runs = [run.job_id for run in runs if run.outcome == Outcome.ENQUEUED]
            made += [job for job in of_runs if job is not None]
            open_ = [job for job in of_runs if jobs.get(str(job)) == "Pending"]
            assert schedule.overlap != "skip" or len(open_) <= 1, f"{schedule.name} has {len(open_)} jobs at a time"
        assert sorted(made) == sorted(jobs), "a run has no job, or a job no run"

    def _due_times(self, schedule: Schedule) -> list[datetime]:
        """The due times that have passed."""
        passed: list[datetime] = []
        due: datetime | None = self.first_due[schedule.id]
        while due is not None and schedule.due is not None and due < schedule.due:
            passed.append(due)
            place = schedule.id, due
            if place not in self.following:
                self.following[place] = schedule.next_after(due)
            due = self.following[place]
        return passed

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
