"""Everything about one job."""

from typing import Any

from hammerwork_cli.database import Database
from hammerwork_cli.errors import JobNotFoundError
from hammerwork_cli.models import (
    ARCHIVAL_FACTS,
    ENCRYPTION_FACTS,
    FACTS,
    Counts,
    JobDetails,
    JobStatus,
    TreeNode,
    WholeJob,
)
from hammerwork_cli.models.callbacks import Subject
from hammerwork_cli.models.payloads import unpacked
from hammerwork_cli.models.wait import Blocker
from hammerwork_cli.models.worker import JobWorker, state_of
from hammerwork_cli.queries.callbacks import callbacks_of
from hammerwork_cli.queries.graph import records
from hammerwork_cli.queries.graph.blockers import blockers_of
from hammerwork_cli.queries.graph.relatives import Relatives, packed_config
from hammerwork_cli.queries.job import attempts, spawn_requests
from hammerwork_cli.queries.job.listing import LISTED, listed

SHOWN_CHILDREN = 10


def details(database: Database, job: str, *, archived: bool = False) -> JobDetails:
    """Everything about a job, from the archive if it is only there.

    Args:
        job: a full id.
        archived: read it from the archive in any case.

    Raises:
        NotFoundError: the job does not exist.
    """
    names, parts = stored_facts(database)
    row = None if archived else database.row("job.details.live", id=job, **parts)
    if row is not None:
        return _details(database, row, names, in_archive=False)
    if "archive" in database.tags:
        encryption = "is_encrypted" in database.schema["hammerwork_jobs_archive"]
        names = FACTS + ARCHIVAL_FACTS + (ENCRYPTION_FACTS if encryption else ())
        row = database.row("job.details.archived", id=job, encryption=encryption)
    if row is None:
        raise JobNotFoundError(job)
    return _details(database, row, names, in_archive=True)


def stored_facts(database: Database) -> tuple[tuple[str, ...], dict[str, bool]]:
    """Names of the facts that the job table has, and the conditions of the fragment ``{facts}``."""
    columns = database.jobs_columns()
    archival, encryption = "archival_reason" in columns, "is_encrypted" in columns
    names = FACTS + (ARCHIVAL_FACTS if archival else ()) + (ENCRYPTION_FACTS if encryption else ())
    return names, {"archival": archival, "encryption": encryption}


def whole(row: tuple[Any, ...], names: tuple[str, ...]) -> WholeJob:
    """The job in a row of ``{node}`` and ``{facts}``."""
    job = listed(row)
    error, payload, result, *facts = row[LISTED:]
    job = job._replace(node=job.node._replace(error=error))
    return WholeJob(job, payload, result, dict(zip(names, facts, strict=True)))


def _details(database: Database, row: tuple[Any, ...], names: tuple[str, ...], *, in_archive: bool) -> JobDetails:
    read = whole(row, names)
    job, payload = read.job, read.payload
    node = job.node
    if in_archive:
        payload = unpacked(payload)
        node = node._replace(stored_config=packed_config(payload))
    relatives = Relatives(database)
    above = {parent.id: parent for parent in relatives.jobs(dict.fromkeys(node.depends_on))}
    children = relatives.child_counts([node.id]).get(node.id)
    return JobDetails(
        job=job._replace(node=node),
        in_archive=in_archive,
        payload=payload,
        result=read.result,
        facts=read.facts,
        parents=tuple(above.values()),
        missing=tuple(parent for parent in node.depends_on if parent not in above),
        children=children.counts if children else Counts(),
        first_children=_first_children(relatives, node.id),
        blocker=_blocker(database, node.id) if job.dependency_status == "waiting" else None,
        attempts=tuple(attempts.of_jobs(database, [node.id]).get(node.id, ())),
        callbacks=tuple(callbacks_of(database, Subject.TREE, node.id)),
        worker=_worker(database, node.id) if node.status == JobStatus.RUNNING else None,
        **_spawning(database, node.id),
    )


def _worker(database: Database, job: str) -> JobWorker | None:
    row = database.row("job.details.worker", id=job) if "workers" in database.tags else None
    if row is None:
        return None
    worker, name, stored, silent_for, lease, ended_at, main_stalled, finisher_stalled, _ = row
    silent = max(float(silent_for or 0), 0.0)
    return JobWorker(
        str(worker), name, state_of(stored, ended_at, silent, lease, main_stalled or finisher_stalled), silent, lease
    )


def _spawning(database: Database, job: str) -> dict[str, Any]:
    if "workers" not in database.tags:
        return {}
    return {
        "spawns": tuple(records.of_jobs(database, [job]).get(job, ())),
        "requests": tuple(spawn_requests.of_job(database, job)),
    }


def _blocker(database: Database, job: str) -> Blocker | None:
    return blockers_of(database, [job]).get(job)


def _first_children(relatives: Relatives, job: str) -> tuple[TreeNode, ...]:
    children = {child.id: child for child in relatives.children([job], SHOWN_CHILDREN)}
    return tuple(children.values())[:SHOWN_CHILDREN]
