"""Everything about one job."""

import json
from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

from hammerwork_cli.core.payloads import unpacked
from hammerwork_cli.core.values import Counts, JobStatus
from hammerwork_cli.database import Database
from hammerwork_cli.database.statements import Columns
from hammerwork_cli.errors import JobNotFoundError
from hammerwork_cli.features.backup.models.tables import GENERATED, TABLES, ColumnKind, other_column, other_written
from hammerwork_cli.features.callbacks.model import Subject
from hammerwork_cli.features.callbacks.queries import callbacks_of
from hammerwork_cli.features.job.models.job import (
    ARCHIVAL_FACTS,
    ENCRYPTION_FACTS,
    FACTS,
    LATER_FACTS,
    JobDetails,
    JobWorker,
    WholeJob,
)
from hammerwork_cli.features.job.queries import attempts, spawn_requests, unique
from hammerwork_cli.features.job.queries.listing import LISTED, listed
from hammerwork_cli.features.tree import progress
from hammerwork_cli.features.tree.model import TreeNode
from hammerwork_cli.features.tree.queries import records
from hammerwork_cli.features.tree.queries.blockers import blockers_of
from hammerwork_cli.features.tree.queries.relatives import Relatives, packed_config
from hammerwork_cli.features.tree.wait import Blocker
from hammerwork_cli.features.worker.models.worker import state_of

SHOWN_CHILDREN = 10


def details(database: Database, job: str, *, archived: bool = False) -> JobDetails:
    """Everything about a job, from the archive if it is only there.

    Raises NotFoundError if the job does not exist.

    Args:
        archived: read it from the archive in any case.
    """
    facts = stored_facts(database)
    row = None if archived else database.row("job.details.live", id=job, **facts.parts)
    if row is not None:
        return _details(database, row, facts, in_archive=False)
    if "archive" in database.tags:
        facts = stored_facts(database, "archive")
        row = database.row("job.details.archived", id=job, **facts.parts)
    if row is None:
        raise JobNotFoundError(job)
    return _details(database, row, facts, in_archive=True)


class StoredFacts(NamedTuple):
    """The facts that a table of jobs has."""

    names: tuple[str, ...]  # of those that this version knows
    others: dict[str, ColumnKind]  # the columns that it does not know, but for binary ones
    kept: dict[str, ColumnKind]  # those of jobs, of which the archive may keep values in one column
    parts: dict[str, Any]  # the values of the fragment `{facts}`


def stored_facts(database: Database, word: str = "jobs") -> StoredFacts:
    """Reads which facts there are from the columns of the jobs, or of the archive."""
    columns = database.jobs_columns() if word == "jobs" else database.schema[TABLES[word].name]
    archival, encryption = "archival_reason" in columns, "is_encrypted" in columns
    later = tuple(name for name in LATER_FACTS if name in columns)
    names = FACTS + (ARCHIVAL_FACTS if archival else ()) + (ENCRYPTION_FACTS if encryption else ()) + later
    more = [*terms(columns, later)]
    others, kept = _other_kinds(database, word), {}
    for name, kind in others.items():
        term = f"j.{database.quoted(name)}"
        more.append(database.as_text(term, columns[name]) if kind is ColumnKind.OTHER else term)
    if "other_columns" in columns:
        kept = _other_kinds(database, "jobs")
        more.append("j.other_columns")
    parts = {"archival": archival, "encryption": encryption, "more": Columns(more)}
    return StoredFacts(names, others, kept, parts)


def _other_kinds(database: Database, word: str) -> dict[str, ColumnKind]:
    columns = database.schema[TABLES[word].name]
    names = columns.keys() - TABLES[word].columns.keys() - {*LATER_FACTS} - GENERATED
    found = {name: other_column(database.dialect, name, columns[name]) for name in sorted(names)}
    return {name: other.kind for name, other in found.items() if other and other.kind is not ColumnKind.BYTES}


def terms(columns: Collection[str], names: Iterable[str]) -> Columns:
    """What a statement reads for columns of job j: NULL for those that its table, with ``columns``, lacks."""
    found = {name: f"j.{name}" for name in columns}
    if "own_retry_strategy" in columns:  # the archive has the strategy, whichever program has archived the job
        found["retry_strategy"] = "COALESCE(j.own_retry_strategy, j.retry_strategy)"
    return Columns(found.get(name, "NULL") for name in names)


def whole(row: tuple[Any, ...], facts: StoredFacts) -> WholeJob:
    """The job in a row of ``{node}`` and ``{facts}``."""
    job = listed(row)
    error, payload, result, *values = row[LISTED:]
    job = job._replace(node=job.node._replace(error=error))
    known, others = values[: len(facts.names)], values[len(facts.names) :]
    return WholeJob(job, payload, result, dict(zip(facts.names, known, strict=True)), _others(facts, others))


def _others(facts: StoredFacts, values: Sequence[Any]) -> dict[str, object]:
    """The other columns of a row, with those that the archive keeps in one."""
    found: dict[str, object] = {}
    for (name, kind), value in zip(facts.others.items(), values, strict=False):
        is_number = kind is ColumnKind.FLAG and value not in (None, 0, 1)
        found[name] = other_written(ColumnKind.NUMBER if is_number else kind, name, value).get(name)
    kinds = facts.others
    if len(values) > len(facts.others):
        kept = _parsed(values[-1])
        found |= {name: value for name, value in kept.items() if name in facts.kept} if isinstance(kept, dict) else {}
        kinds = facts.others | facts.kept
    return {name: _parsed(value) if kinds[name] is ColumnKind.JSON else value for name, value in found.items()}


def _parsed(text: Any) -> object:
    try:
        value: object = json.loads(text or "null")
    except (TypeError, ValueError, RecursionError):
        return text
    return value


def _details(database: Database, row: tuple[Any, ...], facts: StoredFacts, *, in_archive: bool) -> JobDetails:
    read = whole(row, facts)
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
        others=read.others,
        parents=tuple(above.values()),
        missing=tuple(parent for parent in node.depends_on if parent not in above),
        children=children.counts if children else Counts(),
        first_children=_first_children(relatives, node.id),
        blocker=_blocker(database, node.id) if job.dependency_status == "waiting" else None,
        attempts=tuple(attempts.of_jobs(database, [node.id]).get(node.id, ())),
        callbacks=tuple(callbacks_of(database, Subject.TREE, node.id)),
        unique_key=unique.key_of(database, node.id),
        **(_running(database, node) if node.status == JobStatus.RUNNING else {}),
        **_spawning(database, node.id),
    )


def _running(database: Database, node: TreeNode) -> dict[str, Any]:
    """The worker that has a Running job, and how far that is."""
    row = database.row("job.details.worker", id=node.id) if database.is_current else None
    if row is None:
        return {}
    worker, name, stored, silent_for, lease, ended_at, main_stalled, finisher_stalled, reports = row
    silent = max(float(silent_for or 0), 0.0)
    state = state_of(stored, ended_at, silent, lease, main_stalled or finisher_stalled)
    mine = (one for one in progress.parse(reports) if (one.job, one.attempt) == (node.id, node.attempts))
    return {"worker": JobWorker(str(worker), name, state, silent, lease), "progress": next(mine, None)}


def _spawning(database: Database, job: str) -> dict[str, Any]:
    if not database.is_current:
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
