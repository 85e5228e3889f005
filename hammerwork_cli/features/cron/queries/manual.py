"""Changes that people ask for: enable and disable schedules, and enqueue a job at once."""

import json
from dataclasses import replace
from datetime import datetime
from typing import Any

from hammerwork_cli.database import Database
from hammerwork_cli.errors import ConflictError, UsageError
from hammerwork_cli.features.cron.model import GRACE_SECONDS, NewSchedule, RunKind, RunOutcome, Schedule, Switched
from hammerwork_cli.features.cron.queries import changes, recurring, schedules, ticks
from hammerwork_cli.features.cron.queries.changes import Author
from hammerwork_cli.features.job.queries import encryption, limits


def switch(database: Database, schedule: Schedule, author: Author, now: datetime, *, enabled: bool) -> Switched:
    """Enables or disables a schedule; one that is in that state stays as it is.

    Raises:
        ConflictError: somebody else has changed it meanwhile.
    """
    if schedule.enabled == enabled:
        return Switched(schedule, schedule)
    if schedule.is_in_place:
        return Switched(schedule, recurring.switch(database, schedule, now, enabled=enabled))
    return Switched(schedule, changes.switch(database, schedule, author, now, enabled=enabled))


def trigger(
    database: Database,
    schedule: Schedule,
    now: datetime,
    *,
    at: datetime | None = None,
    payload: Any = None,
    plaintext_meant: bool = False,
) -> str:
    """Enqueues a job of a schedule out of turn, and returns its id. A recurring job becomes due itself.

    Args:
        schedule: also a disabled one.
        now: the server's time, which identifies the run.
        payload: an object whose keys replace those of the schedule's payload.
        plaintext_meant: somebody has said so of these keys.

    Raises:
        ConflictError: the recurring job runs now, or is disabled; or the queue holds encrypted jobs, and there are
            such keys.
    """
    if schedule.is_in_place:
        if at is not None or payload is not None:
            raise UsageError("A recurring job cannot be triggered with another payload or time.")
        recurring.trigger(database, schedule, now)
        return schedule.id
    merged = _merged(schedule.payload, payload)
    job = ticks.job_of(schedule, now, RunKind.TRIGGERED, now, payload=merged, start=at)
    limits.check(database, job)
    job.plaintext_meant |= plaintext_meant

    def work() -> None:
        ticks.record(database, schedule, [ticks.Due(now, RunOutcome.ENQUEUED)], {now: job}, RunKind.TRIGGERED, now)

    database.transaction(work)
    return job.id


def convert(database: Database, job: Schedule, name: str, author: Author, now: datetime) -> Schedule:
    """Makes a schedule of a recurring job, which is parked.

    Raises:
        ConflictError: the name is taken, the job has been converted, runs now, has changed meanwhile, or its payload
            is encrypted.
    """
    if not job.is_in_place:
        raise UsageError(f"{job.name!r:.80} is already a schedule.")
    source = f"job:{job.id}"
    new = replace(NewSchedule.of(job), name=name, grace_seconds=GRACE_SECONDS, source=source, enabled=job.enabled)

    def work() -> Schedule:
        for known in schedules.all_schedules(database, source=source):
            raise ConflictError(
                f"The recurring job {job.id} is the schedule {known.name!r:.80} already.",
                hint="See: hammerwork cron list",
            )
        if encryption.is_encrypted(database, job.id):
            raise ConflictError(
                f"The payload of the recurring job {job.id} is encrypted, and a schedule keeps it in plaintext.",
                hint="Leave it a recurring job.",
            )
        if job.enabled:
            recurring.switch(database, job, now, enabled=False)
        return changes.add(database, new, author, now, plaintext_meant=True)  # the job's payload is

    return database.transaction(work)


def _merged(text: str, keys: Any) -> str:
    if keys is None:
        return text
    payload = json.loads(text)
    if not isinstance(payload, dict) or not isinstance(keys, dict):
        raise UsageError("A payload can replace keys only if it and the payload of the schedule are objects.")
    return json.dumps({**payload, **keys}, ensure_ascii=False)
