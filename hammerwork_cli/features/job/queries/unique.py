"""Unique jobs: which job holds a key, and who takes it over.

A transaction that writes a unique job locks its key to the end, so that others see the job once it is committed. A key
says only which job got it last. Whether that job still holds it follows from its row, so that nobody has to write
anything when a job ends, and it does not matter which program ended it.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace as changed
from datetime import datetime
from typing import Any

from hammerwork_cli.core.values import WAITING_SPELLINGS, JobStatus, status_of, timestamp
from hammerwork_cli.database import Database
from hammerwork_cli.database.batches import chunks
from hammerwork_cli.features.job.models.new_job import NewJob
from hammerwork_cli.features.job.models.unique import Unique
from hammerwork_cli.features.job.queries import limits
from hammerwork_cli.features.job.queries.encryption import refuse_plaintext, sealed_columns

KEYS_PER_STATEMENT = 200
_Claimant = tuple[str, str, Unique, datetime]
"""The id and the queue of a new job, what makes it unique, and when it is enqueued."""


def hold(database: Database, jobs: Iterable[NewJob]) -> dict[str, str]:
    """Lets new jobs hold their keys to the end of the transaction, which inserts them.

    Returns id of a job that must not be inserted -> the job that holds its key: one that exists, or an earlier one of
    these. Jobs without a key cost nothing.
    """
    claimants: dict[str, list[_Claimant]] = {}
    for job in jobs:
        if job.unique is not None:
            limits.check(database, job)
            one = (job.id, job.queue, job.unique, job.created_at)
            claimants.setdefault(job.unique.id_in(job.queue), []).append(one)
    held: dict[str, str] = {}
    for part in chunks(sorted(claimants), KEYS_PER_STATEMENT):  # in one order, so that no two wait for each other
        _hold(database, {key: claimants[key] for key in part}, held)
    return held


def _hold(database: Database, claimants: Mapping[str, Sequence[_Claimant]], held: dict[str, str]) -> None:
    first = {key: wanting[0] for key, wanting in claimants.items()}
    rows = [(key, queue, unique.key, job) for key, (job, queue, unique, _) in first.items()]
    database.run("job.unique.hold", rows=rows)
    holders = _holders(database, "job.unique.holders", [*claimants])
    others = sorted({holder for key, holder in holders.items() if holder != first[key][0]})
    found = database.rows("job.unique.statuses", ids=database.ids(others)) if others else []
    known = {str(job): (status_of(status), timestamp(created)) for job, status, created in found}
    taken: list[tuple[str, ...]] = []
    for key, queue, text, _ in rows:
        holder = holders[key]
        status, created = known.get(holder, (None, None))
        for job, _, unique, now in claimants[key]:
            if unique.is_held(status, created, now):
                held[job] = holder
            else:
                holder, status, created = job, JobStatus.PENDING, now
        if holder != holders[key]:
            taken.append((key, queue, text, holder))
    if taken:
        listed = json.dumps([[key, job] for key, _, _, job in taken])
        database.run("job.unique.take_over", rows=taken, listed=listed)


def _holders(database: Database, statement: str, keys: Sequence[str]) -> dict[str, str]:
    return {str(key): str(job) for key, job in database.rows(statement, ids=database.ids(keys))}


def without(jobs: Iterable[NewJob], held: Mapping[str, str]) -> list[NewJob]:
    """The jobs that are to be inserted. Those that depend on one that is not depend on the holder of its key."""
    return [awaiting_holders(job, held) for job in jobs if job.id not in held]


def awaiting_holders(job: NewJob, held: Mapping[str, str]) -> NewJob:
    """A job that depends on the holders of keys, in place of the jobs that they keep from being written."""
    if held.keys().isdisjoint(job.depends_on):
        return job
    return changed(job, depends_on=tuple(dict.fromkeys(held.get(parent, parent) for parent in job.depends_on)))


def replace(database: Database, jobs: Iterable[NewJob], held: Mapping[str, str]) -> None:
    """Changes waiting holders as the jobs ask that they keep from being written."""
    for job in jobs if held else ():
        if job.id in held and job.unique is not None and job.unique.replace:
            _replace(database, job, job.unique, held[job.id])


def _replace(database: Database, job: NewJob, unique: Unique, holder: str) -> None:
    values: dict[str, Any] = dict.fromkeys(("payload", "priority", "scheduled_at"))
    if "priority" in unique.replace:
        values["priority"] = int(job.priority)
    if "scheduled_at" in unique.replace:
        values["scheduled_at"] = job.scheduled_at
    if "payload" in unique.replace:
        from hammerwork_cli.core.encryption import EncryptedColumns  # few jobs need it

        refuse_plaintext(database, [job])
        payload, sealed = sealed_columns(database, changed(job, id=holder))
        values |= {"payload": payload, **dict(zip(EncryptedColumns._fields, sealed, strict=True))}
    database.run("job.unique.replace", id=holder, waiting=WAITING_SPELLINGS, **values)


def key_of(database: Database, job: str) -> str | None:
    """The key that a job holds, or was the last to hold."""
    found = database.value("job.unique.of_job", id=job) if database.is_current else None
    return None if found is None else str(found)


def forget(database: Database, after: str | None, limit: int) -> str | None:
    """Deletes those of the next keys whose jobs are gone. Returns the last key that it looked at; ``None`` at the end.

    Args:
        after: the last key of the call before.
    """
    page = [(str(key), gone) for key, gone in database.rows("job.unique.page", after=after, limit=limit)]
    if gone := [key for key, is_gone in page if is_gone]:
        database.transaction(lambda: _forget(database, gone))
    return page[-1][0] if len(page) == limit else None


def _forget(database: Database, keys: Sequence[str]) -> None:
    holders = _holders(database, "job.unique.lock", keys)
    jobs = sorted(set(holders.values()))
    # A new statement sees the job of somebody who took a key over before it was locked.
    existing = {str(one) for (one,) in database.rows("job.unique.existing", ids=database.ids(jobs))} if jobs else set()
    if gone := [key for key, job in holders.items() if job not in existing]:
        database.run("job.unique.forget", ids=database.ids(gone))
