"""Records that workers write of jobs when they spawn, and deleting all records of a job.

The tables of hammerwork (Rust) have none.
"""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime

from hammerwork_cli.database import Database
from hammerwork_cli.database.batches import chunks
from hammerwork_cli.features.tree.model import RecordedSpawn

FORGETTING = (
    "tree.records.forget_requests",
    "tree.records.forget_keys",
    "tree.records.forget_operations",
    "tree.records.forget_trees",
    "tree.records.forget_attempts",
    "tree.records.forget_unique",
    "tree.records.forget_joins",
)
"""The statements that delete the records of jobs."""


def of_jobs(database: Database, ids: Iterable[str]) -> dict[str, list[RecordedSpawn]]:
    """Parent -> its recorded spawns, the oldest first."""
    found: dict[str, list[RecordedSpawn]] = {}
    wanted = list(ids) if database.is_current else []
    for row in database.rows_of("tree.records.of_jobs", wanted):
        record = RecordedSpawn._make(row)
        found.setdefault(record.parent_id, []).append(record)
    return found


def parents(database: Database, ids: Iterable[str]) -> frozenset[str]:
    """Returns the jobs among ``ids`` that have a recorded spawn or early children."""
    wanted = list(ids)
    if not wanted or not are_there(database):
        return frozenset()
    return frozenset(one for (one,) in database.rows_of("tree.records.parents", wanted))


def are_there(database: Database, since: datetime | None = None) -> bool:
    """Whether a worker has recorded a spawn, at all or since ``since``, or ever an early child."""
    return database.is_current and database.row("tree.records.any", since=since) is not None


def forget(database: Database, jobs: Sequence[str]) -> list[str]:
    """Deletes the records of those jobs that no longer exist, live or archived. Needs a transaction.

    Workers that spawn lock the job first, then the request, and write the records last. This function uses the same
    order, so that the two cannot deadlock. Returns ids of the jobs that no longer exist.
    """
    gone: list[str] = []
    for part in chunks(sorted(set(jobs)), database.key_chunk):
        existing = {str(one) for (one,) in database.rows("tree.records.existing", ids=database.ids(part))}
        nowhere = [job for job in part if job not in existing]
        for statement in FORGETTING if nowhere else ():
            database.run(statement, ids=database.ids(nowhere), listed=json.dumps(nowhere))
        gone += nowhere
    return gone


def allow_again(database: Database, ids: Sequence[str]) -> None:
    """Lets jobs spawn again when they complete again: ``job retry --respawn``. Needs a transaction."""
    for part in chunks(ids, database.key_chunk):
        database.run("tree.records.allow_again", ids=part)
        database.run("tree.records.forget_children", ids=part)
