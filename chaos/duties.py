"""Schedules and retention policies of a run: they are written first, end last, and are compared with the plan."""

import json
from collections import defaultdict
from collections.abc import Collection, Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, NamedTuple

from chaos.handlers import SURVIVES
from chaos.plan import AT_ONCE, LIMITED, PASSING, SCHEDULES, Planned
from hammerwork_cli.core.cron.expressions import Expression
from hammerwork_cli.core.values import ENDS, timestamp
from hammerwork_cli.database import Database, connect
from hammerwork_cli.features.archive.models.policies import Policy, PolicyAction
from hammerwork_cli.features.archive.queries import policies, retention
from hammerwork_cli.features.cron.model import NewSchedule
from hammerwork_cli.features.cron.queries import changes
from hammerwork_cli.features.cron.queries.changes import Author
from hammerwork_cli.features.queue.model import EVERY_QUEUE
from hammerwork_cli.features.worker.models.limits import QueueLimit
from hammerwork_cli.features.worker.queries import limits

SECOND = timedelta(seconds=1)
AGE = 2 * SECOND
"""How long trees are kept after their end."""
BEHIND = 20 * SECOND
"""How late the next run may be when nobody dies any more: clocks of workers may be wrong by half of that."""
LATER = timedelta(minutes=1)
"""How far ahead of the database's clock the last run may be: clocks step."""
FEWEST = 3
"""Runs that each schedule has before it ends."""
PAST = timedelta(hours=1)


def begin(url: str, extras: Collection[str]) -> None:
    """Adds the schedules, the policies and the limit to a migrated database."""
    database = connect(url)
    now = database.now()
    if "schedules" in extras:
        for one in SCHEDULES.values():
            new = NewSchedule(
                one.name,
                one.kind,
                json.dumps(one.payload),
                Expression.of("* * * * * *", None),
                max_attempts=SURVIVES,
                overlap=one.overlap,
                catch_up=one.catch_up,
            )
            changes.add(database, new, Author("chaos"), now)
    if "retention" in extras:
        for queue, action in ((EVERY_QUEUE, PolicyAction.ARCHIVE), (PASSING, PolicyAction.DELETE)):
            # Workers leave a new policy alone for some minutes.
            policies.put(database, Policy(queue, action, dict.fromkeys(ENDS, AGE)), by="chaos", now=now - PAST)
    if "limits" in extras:
        limits.set_limit(database, QueueLimit.of(LIMITED, AT_ONCE), by="chaos", now=now)
    database.close()


ENABLED = "hammerwork_schedules s WHERE s.enabled"


def end_schedules(database: Database) -> bool:
    """Disables schedules that have run and that no worker has left behind; whether all are disabled."""
    rows = database.query(
        "SELECT s.next_run_at, (SELECT COUNT(*) FROM hammerwork_schedule_runs r WHERE r.schedule_id = s.id)"
        f" FROM {ENABLED}"
    )
    for next_run_at, number in rows:
        due = timestamp(next_run_at)
        if number < FEWEST or due is None or due < database.now() - BEHIND:
            return False
    database.script("UPDATE hammerwork_schedules SET enabled = FALSE WHERE enabled")
    return not rows


def second_run(url: str, ahead: timedelta) -> Iterator[str]:
    """Carries out the policies once more, so that nothing is left of any tree; yields why one failed.

    Args:
        ahead: how far ahead a clock was by which jobs have ended: they are kept until then.
    """
    database = connect(url)
    now = database.now() + PAST + ahead
    for done in retention.run_policies(database, policies.all_policies(database), now, lambda: False):
        if done.error is not None:
            yield f"the policy of {done.policy.queue} failed: {done.error}"
    database.close()


class Run(NamedTuple):
    """A run of a schedule as it is recorded.

    Attributes:
        missed: how many earlier due times it stands for.
        created: when the schedule was created.
    """

    schedule: str
    due: datetime
    outcome: str
    job: str | None
    missed: int
    created: datetime

    @property
    def planned(self) -> Planned:
        """The job that it must have if it was enqueued."""
        return SCHEDULES[self.schedule].run(self.due)


def runs(database: Database) -> list[Run]:
    """The runs of all schedules, in their order."""
    rows = database.query(
        "SELECT s.name, r.due_at, r.outcome, r.job_id, r.missed, s.created_at FROM hammerwork_schedule_runs r"
        " JOIN hammerwork_schedules s ON s.id = r.schedule_id ORDER BY s.name, r.due_at"
    )
    found = []
    for name, due_at, outcome, job, missed, created_at in rows:
        due, created = timestamp(due_at), timestamp(created_at)
        assert due is not None
        assert created is not None
        found.append(Run(text(name), due, text(outcome), job and str(job), missed or 0, created))
    return found


def gaps(database: Database, found: list[Run]) -> Iterator[str]:
    """Yields the schedules that have no run for some second, or one from before. Clocks that were ahead leave more."""
    now = database.now() + LATER
    by_schedule: dict[str, list[Run]] = defaultdict(list)
    for run in found:
        if run.due < run.created:
            yield f"{run.schedule} has a run of {run.due}, and was created later"
        elif run.due <= now:
            by_schedule[run.schedule].append(run)
    for (name,) in database.query("SELECT name FROM hammerwork_schedules"):
        if not by_schedule[text(name)]:
            yield f"{text(name)} has never run"
        for before, after in pairwise(by_schedule[text(name)]):
            if after.due - before.due != (1 + after.missed) * SECOND:
                yield f"{text(name)} has no run between {before.due} and {after.due}"


def is_passing(name: str) -> bool:
    """Whether a job is one of a tree that is deleted."""
    return name.partition("/")[0].endswith(f".{PASSING}")


def overlaps(database: Database) -> Iterator[str]:
    """Yields the runs that were enqueued while the job of an earlier one was open."""
    for name, job in database.query("SELECT schedule, job FROM chaos_overlaps"):
        yield f"{text(name)} enqueued a job while {job} was open"


def text(value: Any) -> Any:
    """Decodes text that the driver returns as bytes."""
    return value.decode() if isinstance(value, (bytes, bytearray)) else value
