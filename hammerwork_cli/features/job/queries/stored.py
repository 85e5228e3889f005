"""Reads stored jobs, and compares them with new ones of the same id."""

from collections.abc import Sequence, Set
from typing import NamedTuple

from hammerwork_cli.core.payloads import same_json, unpacked
from hammerwork_cli.core.values import Timestamp, id_list, priority_word, status_of
from hammerwork_cli.database import Database
from hammerwork_cli.database.batches import chunks
from hammerwork_cli.errors import LastingConflictError
from hammerwork_cli.features.job.models.new_job import NewJob
from hammerwork_cli.features.job.queries.encryption import decoded_payload, opened


class ExistingJob(NamedTuple):
    """A stored job, in the order of the statement's columns."""

    stored_status: str
    payload: str | None
    stored_parents: object
    stored_priority: int | str | None
    scheduled_at: Timestamp
    dependency_status: str | None
    queue: str
    max_attempts: int
    timeout: int | None
    trace_id: str | None
    correlation_id: str | None
    cron_schedule: str | None
    timezone: str | None
    is_encrypted: bool
    in_archive: bool = False

    @property
    def status(self) -> str:
        return status_of(self.stored_status)

    @property
    def priority(self) -> str:
        return priority_word(self.stored_priority)

    @property
    def depends_on(self) -> tuple[str, ...]:
        return id_list(self.stored_parents)

    def differences(self, job: NewJob) -> list[str]:
        """Names of the fields in which another job with the same id differs. The due time changes with attempts."""
        same = {
            "queue": self.queue == job.queue,
            "max_attempts": self.max_attempts == job.max_attempts,
            "timeout": self.timeout == job.timeout_seconds,
            "trace_id": self.trace_id == job.trace_id,
            "correlation_id": self.correlation_id == job.correlation_id,
            "cron_schedule": (self.cron_schedule or None) == (job.cron_schedule or None),
            "timezone": _timezone(self.cron_schedule, self.timezone) == _timezone(job.cron_schedule, job.timezone),
            "priority": self.priority == job.priority.word,
            "payload": same_json(self.payload, job.payload, but=CONFIG_KEY),
            "depends_on": {*self.depends_on} == {*job.depends_on},
        }
        return [name for name, is_same in same.items() if not is_same]


def stored(database: Database, jobs: Sequence[str], *, latest: bool = False) -> dict[str, ExistingJob]:
    """Reads the jobs with these ids that exist, archived or not, by id.

    Args:
        latest: also those that others have committed since the transaction began, whatever its isolation.
    """
    found: dict[str, ExistingJob] = {}
    for part in chunks(sorted(jobs), database.key_chunk):
        rows = database.rows("job.enqueue.stored", ids=database.ids(part), latest=latest)
        found |= {str(job): ExistingJob(*row) for job, *row in rows}
        missing = [job for job in part if job not in found]
        if missing:
            for job, *row in database.rows("job.enqueue.archived_stored", ids=missing):
                archived = ExistingJob(*row)
                found[str(job)] = archived._replace(payload=unpacked(archived.payload), in_archive=True)
    return found


CONFIG_KEY = "_spawn_config"
IDENTITY = frozenset({"queue", "payload"})
"""The fields that tell whether a job is the one that a parent spawns: it inherits others, which parents differ in."""


def compare(
    database: Database,
    job: NewJob,
    row: ExistingJob,
    *,
    only: Set[str] | None = None,
    but: Set[str] = frozenset(),
) -> None:
    """Compares a new job with the stored one of the same id. How either is to spawn or encrypted does not count.

    Raises ConflictError if they differ; or the stored payload is encrypted or encoded, and no key or codec
    here fits.
    """
    if row.is_encrypted:
        row = row._replace(payload=opened(database, job.id, row.queue, archived=row.in_archive))
    row = row._replace(payload=decoded_payload(database, row.payload))
    wanted = (name for name in row.differences(job) if name not in but)
    differences = ", ".join(name for name in wanted if only is None or name in only)
    if differences:
        raise LastingConflictError(
            f"There is another job {job.id} ({row.queue}, {row.status}) with a different {differences}.",
            hint=f"See: hammerwork job show {job.id}",
        )


def _timezone(cron_schedule: str | None, timezone: str | None) -> str | None:
    return (timezone or "UTC") if cron_schedule else None
