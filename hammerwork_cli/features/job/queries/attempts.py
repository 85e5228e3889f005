"""The history of attempts: those that did not complete."""

import json
from collections.abc import Iterable, Sequence

from hammerwork_cli.core.input.limits import LONGEST_ERROR
from hammerwork_cli.core.values import timestamp
from hammerwork_cli.database import Database
from hammerwork_cli.database.access import Row
from hammerwork_cli.database.batches import chunks
from hammerwork_cli.database.texts import cut
from hammerwork_cli.features.job.models.job import PastAttempt

KEPT = 50
"""Attempts of a job that are kept, the newest ones."""
BATCH = 500
"""Most attempts in one statement."""
OTHER_BYTES = 300
"""Room for everything but the error of an attempt in a statement."""


def record(database: Database, ended: Sequence[PastAttempt]) -> None:
    """Records attempts that did not complete, in the transaction that ends them.

    Call it only for jobs that this transaction has changed, under the guard of their claims. An attempt that an earlier
    try of the same change has ended was recorded by it.
    """
    if not ended:
        return
    rows = [_row(database, attempt) for attempt in ended]
    # A statement may escape every character of an error.
    for part in database.parts(rows, BATCH, lambda row: OTHER_BYTES + 2 * len((row[-1] or "").encode())):
        # Not Database.insert, which cannot leave out a row that is there: the history must not keep a job from ending.
        database.run("job.attempts.record", rows=part)
    for jobs in chunks(sorted({attempt.job_id for attempt in ended}), database.key_chunk):
        _forget_surplus(database, jobs)


def _row(database: Database, ended: PastAttempt) -> Row:
    error = database.message(ended.error)
    return (
        ended.job_id,
        ended.started_at,
        ended.ended_at,
        ended.attempt,
        str(ended.outcome),
        ended.worker_id,
        None if error is None else cut(error, LONGEST_ERROR),
    )


def _forget_surplus(database: Database, jobs: Sequence[str]) -> None:
    surplus = [
        {"job": str(job), "started": database.json_timestamp(at)}
        for job, started in database.rows("job.attempts.surplus", ids=database.ids(jobs), kept=KEPT)
        if (at := timestamp(started)) is not None
    ]
    if surplus:
        database.run("job.attempts.forget_surplus", surplus=json.dumps(surplus))


def of_jobs(database: Database, jobs: Iterable[str]) -> dict[str, list[PastAttempt]]:
    """Job -> its attempts that did not complete, the oldest first."""
    found: dict[str, list[PastAttempt]] = {}
    wanted = list(jobs) if database.is_current else []
    for job, *values in database.rows_of("job.attempts.of_jobs", wanted):
        found.setdefault(str(job), []).append(PastAttempt(str(job), *values))
    return found


def last_of(database: Database, jobs: Iterable[str]) -> dict[str, PastAttempt]:
    """Job -> the last of its attempts that did not complete, without the error."""
    wanted = list(jobs) if database.is_current else []
    return {str(job): PastAttempt(str(job), *values) for job, *values in database.rows_of("job.attempts.last", wanted)}
