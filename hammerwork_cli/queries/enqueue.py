"""Writing new jobs, the way the original's workers want to read them."""

import json
from collections.abc import Sequence
from typing import Any

from hammerwork_cli.database import Database
from hammerwork_cli.errors import RefusedValueError
from hammerwork_cli.models import NewJob

ROWS_A_STATEMENT = 500
MOST_PARENTS = 1000
"""PostgreSQL's CHECK allows no more; the same everywhere."""


def insert(database: Database, jobs: Sequence[NewJob]) -> int:
    """Inserts jobs, many rows a statement, all or none.

    Returns:
        How many.

    Raises:
        RefusedValueError: a job has too many parents, or the database refuses a value.
    """

    def work() -> int:
        written = 0
        for start in range(0, len(jobs), ROWS_A_STATEMENT):
            rows = [_row(database, job) for job in jobs[start : start + ROWS_A_STATEMENT]]
            written += database.run("jobs.insert", rows=rows)
        return written

    return database.transaction(work)


def _row(database: Database, job: NewJob) -> tuple[Any, ...]:
    if len(job.depends_on) > MOST_PARENTS:
        raise RefusedValueError(f"A job may depend on {MOST_PARENTS:,} jobs at most, not on {len(job.depends_on):,}.")
    return (
        job.id,
        job.queue,
        job.payload,
        job.status.value,
        job.priority.value,
        job.attempts,
        job.max_attempts,
        job.timeout_seconds,
        job.created_at,
        job.scheduled_at,
        job.started_at,
        job.completed_at,
        job.failed_at,
        job.error_message,
        stored_ids(database, job.depends_on),
        stored_ids(database, ()),
        job.dependency_status,
        job.workflow_id,
        job.workflow_name,
        job.trace_id,
        job.correlation_id,
        job.parent_span_id,
        job.span_context,
    )


def stored_ids(database: Database, ids: Sequence[str]) -> str:
    """A list of ids as ``depends_on`` wants it: ``uuid[]`` or a JSON array."""
    if database.dialect == "postgresql" and "jsonb" not in database.tags:
        return "{" + ",".join(ids) + "}"
    return json.dumps(list(ids))
