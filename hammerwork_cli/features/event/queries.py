"""Writes events in the transaction of the change, for the webhooks and streams that want them.

For a webhook an event becomes a job of the queue of deliveries, for a stream a row that its sender takes. The ids
follow from what happened, so that an event is written once, however often somebody notices it. Where nobody wants
events, a change costs one comparison: a connection reads every :data:`SECONDS` who does.
"""

import json
from collections import defaultdict
from collections.abc import Container, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID, uuid5

from hammerwork_cli.core.clock import is_due
from hammerwork_cli.core.values import JobPriority, JobStatus, Timestamp, rfc3339, timestamp
from hammerwork_cli.database import Database
from hammerwork_cli.database.batches import chunks
from hammerwork_cli.errors import UsageError
from hammerwork_cli.features.event.model import DELIVERIES, OF_STATUS, Event, EventJob, EventType, event_id
from hammerwork_cli.features.event.shapes import JOB

READERS = "event.readers"
SECONDS = 5.0
"""Time after which a connection notices that somebody wants other events."""
ROWS_PER_STATEMENT = 200
LARGEST_ROW = 4 * 2**20
"""Bytes that are enough for the events of one statement, without payloads and long lists of dependencies."""
FINAL = (EventType.JOB_FAILED, EventType.JOB_DEAD, EventType.JOB_TIMED_OUT, EventType.JOB_CANCELLED)
STATUS_OF = {event: str(status) for status, event in OF_STATUS.items()}
MOST_MISSED = 10_000
"""Failures that one look for those of other programs reads."""
SPARE_SECONDS = 30
"""Time that a delivery has beside the exchange with the receiver."""


NOTICED_WITHIN = timedelta(minutes=10)
"""How long after an event it is noticed at the latest."""


class Reader(NamedTuple):
    """A webhook or a stream that is enabled, in the order of the statement's columns."""

    kind: str  # webhook or stream
    id: str
    name: str
    events: frozenset[str]
    queues: frozenset[str]  # empty: all
    priorities: frozenset[str]  # empty: all
    include_payload: bool
    since: datetime | None  # earlier events are none of its business
    timeout_seconds: int | None = None
    max_retries: int | None = None
    partitioning: str | None = None

    def began_after(self, at: datetime | None) -> bool:
        """Whether it was added or enabled after an event that was noticed late, which is none of its business then."""
        return at is not None and self.since is not None and not is_due(self.since, at, NOTICED_WITHIN)

    def fits(self, queue: str | None, priority: str | None) -> bool:
        """Whether events about a queue and a priority pass its filters. What has to do with none passes."""
        return (not self.queues or queue is None or queue in self.queues) and (
            not self.priorities or priority is None or priority in self.priorities
        )


class Streamed:
    """How often this process has written events for streams: their sender need not wait for its next look."""

    count = 0


streamed = Streamed()
Readers = Mapping[str, Sequence[Reader]]
"""Event type -> who wants it."""
NOBODY: Readers = {}


def readers(database: Database) -> Readers:
    """Who wants events."""
    return database.remembered(READERS, SECONDS, lambda: _read(database))


def _read(database: Database) -> Readers:
    if not database.is_current:
        return NOBODY
    found: dict[str, list[Reader]] = defaultdict(list)
    for kind, reader, name, events, queues, priorities, payload, since, *rest in database.rows("event.readers"):
        one = Reader(
            kind,
            str(reader),
            name.decode() if isinstance(name, (bytes, bytearray)) else name,
            frozenset(json.loads(events)),
            frozenset(json.loads(queues)),
            frozenset(json.loads(priorities)),
            bool(payload),
            timestamp(since),
            *rest,
        )
        for event in one.events:
            found[event].append(one)
    return found


def wanted(database: Database, types: Sequence[EventType]) -> list[EventType]:
    """Those of some types of events that anybody wants."""
    known = readers(database)
    return [event for event in types if event in known] if known else []


def is_wanted(database: Database, event: EventType, *, queue: str | None, priority: str | None) -> bool:
    """Whether anybody wants events of a type about jobs of a queue and a priority, or of several.

    Nobody wants those of deliveries.
    """
    return queue != DELIVERIES and any(reader.fits(queue, priority) for reader in readers(database).get(event, ()))


def jobs(database: Database, event: EventType, ids: Sequence[str], at: datetime | None = None) -> None:
    """Writes that the same happened to some jobs. Needs the transaction of the change, and comes after it.

    Args:
        at: when it happened; by default, when each was created.
    """
    if ids and event in readers(database):
        _write_jobs(database, ids, at, (event,))


def ended(database: Database, ids: Sequence[str], at: datetime) -> None:
    """Writes that some jobs have failed for good or were cancelled, as their status says. Needs the transaction."""
    if ids and wants_failures(database):
        _write_jobs(database, ids, at, FINAL, by_status=True)


def wants_failures(database: Database) -> bool:
    """Whether anybody wants to know of jobs that fail for good."""
    known = readers(database)
    return bool(known) and any(event in known for event in FINAL)


def _write_jobs(
    database: Database,
    ids: Sequence[str],
    at: datetime | None,
    types: Sequence[EventType],
    *,
    by_status: bool = False,
    late: bool = False,
) -> None:
    known = readers(database)
    concerned = {reader.id: reader for event in types for reader in known.get(event, ())}
    if late:
        concerned = {one: reader for one, reader in concerned.items() if not reader.began_after(at)}
    hooks = [reader for reader in concerned.values() if reader.kind == "webhook"]
    for part in chunks(ids, ROWS_PER_STATEMENT):
        for reader in concerned.values():
            if reader.kind == "stream":
                for event in types:
                    if event in reader.events:
                        status = STATUS_OF[event] if by_status else None
                        _stream_jobs(database, reader, event, part, at=at, status=status, late=late)
        if hooks:
            _deliver_jobs(database, hooks, part, at, types, by_status=by_status, late=late)


def _stream_jobs(
    database: Database,
    reader: Reader,
    event: EventType,
    ids: Sequence[str],
    *,
    at: datetime | None = None,
    status: str | None = None,
    ended: bool = False,
    late: bool = False,
) -> int:
    """Lets the database write the events of jobs, which costs their worker hardly anything."""
    streamed.count += 1
    values = {
        "stream": reader.id,
        "type": str(event),
        "ids": database.ids(ids),
        "at": at,
        "ended": int(ended),
        "status": status,
        "queues": sorted(reader.queues),
        "priorities": [int(one) for one in JobPriority if one.word in reader.priorities],
        "deliveries": DELIVERIES,
    }
    # What is looked for later is found by its job, and payloads may be of any size.
    if late or event in FINAL or reader.include_payload or not _takes_long_values(database):
        return database.run("event.stream_each", **values, late=late, payload=reader.include_payload)
    return database.run("event.stream_many", **values, by_creation=at is None)


def _takes_long_values(database: Database) -> bool:
    """Whether a value may hold the events of many jobs. On MySQL, sessions of others have limits of their own."""
    return database.packet is None or (database.packet >= LARGEST_ROW and "borrowed" not in database.tags)


def _deliver_jobs(
    database: Database,
    hooks: Sequence[Reader],
    ids: Sequence[str],
    at: datetime | None,
    types: Sequence[EventType],
    *,
    by_status: bool,
    late: bool,
) -> None:
    found = []
    for job in _jobs(database, ids, payloads=any(hook.include_payload for hook in hooks)):
        event = OF_STATUS.get(JobStatus(job.status)) if by_status else types[0]
        when = at or timestamp(job.created_at)
        if event is not None and event in types and when is not None and job.queue != DELIVERIES:
            found.append(of_job(event, job, when))
    _deliver(database, hooks, found, late=late)


def _jobs(database: Database, ids: Sequence[str], *, payloads: bool) -> Iterator[EventJob]:
    for job, *rest in database.rows("event.jobs", ids=database.ids(ids), payloads=payloads):
        found = EventJob(str(job), *rest)
        yield found._replace(
            batch_id=found.batch_id and str(found.batch_id), workflow_id=found.workflow_id and str(found.workflow_id)
        )


def of_job(event: EventType, job: EventJob, at: datetime) -> Event:
    """What happened to a job."""
    return Event(
        event_id(event, job.id, at),
        event,
        at,
        JOB.record(job),
        queue=job.queue,
        priority=job.priority,
        job_id=job.id,
        root_id=job.root_id or job.id,
    )


def about(database: Database, event: EventType, job: str, at: datetime, *, payload: bool) -> Event:
    """An event about a job that exists, for a test: nothing is written.

    Raises:
        UsageError: events of this type are not about a job.
    """
    if not event.is_of_job:
        raise UsageError(f"An event {event} is not about a job.", hint="Name no job, or a type such as job.dead.")
    return of_job(event, next(iter(_jobs(database, [job], payloads=payload))), at)


def stream_ends(database: Database, reader: Reader, ids: Sequence[str]) -> int:
    """Adds how jobs have ended to a stream, unless it waits there; returns how many the stream wants."""
    return sum(
        _stream_jobs(database, reader, event, ids, status=str(status), ended=True, late=True)
        for status, event in OF_STATUS.items()
        if event in reader.events
    )


def waiting(stored: object, event: EventType, at: datetime) -> Event:
    """The event that a row of a stream stands for.

    Args:
        stored: the JSON of its body: the columns of a job, or a record.
    """
    if isinstance(stored, list):
        return of_job(event, EventJob(*stored), at)
    record: Any = stored
    data = record["data"]
    root = data["id"] if event in {EventType.TREE_COMPLETED, EventType.TREE_FAILED} else None
    return Event(record["id"], event, at, data, queue=data.get("queue"), job_id=root, root_id=root)


def run_failed(
    database: Database, job: str, at: datetime, *, due_at: Timestamp, reason: str | None, queue: str | None = None
) -> None:
    """Writes that a run of a recurring job failed for good. Needs the transaction of the change."""
    data = cron_data(job_id=job, queue=queue, due_at=due_at, reason=reason)
    happened(database, EventType.CRON_FAILED, job, at, data, queue=queue)


def cron_data(
    *,
    schedule: str | None = None,
    job_id: str | None = None,
    queue: str | None = None,
    due_at: Timestamp = None,
    reason: str | None = None,
) -> dict[str, str | None]:
    """The data of ``cron.*``, about a schedule or a recurring job."""
    return {"schedule": schedule, "job_id": job_id, "queue": queue, "due_at": rfc3339(due_at), "reason": reason}


def happened(
    database: Database,
    event: EventType,
    subject: str,
    at: datetime,
    data: Mapping[str, Any],
    *,
    queue: str | None = None,
    priority: str | None = None,
) -> bool:
    """Writes what happened to something else than a job; returns whether anybody wants it. Needs the transaction."""
    if event not in readers(database):
        return False
    return _write(database, Event(event_id(event, subject, at), event, at, data, queue=queue, priority=priority))


def _write(database: Database, event: Event) -> bool:
    concerned = [one for one in readers(database).get(event.type, ()) if one.fits(event.queue, event.priority)]
    rows = [
        (reader.id, str(event.type), database.json(event.record()), event.at)
        for reader in concerned
        if reader.kind == "stream"
    ]
    if rows:
        database.run("event.stream", rows=rows)
        streamed.count += 1
    _deliver(database, [reader for reader in concerned if reader.kind == "webhook"], [event])
    return bool(concerned)


def _deliver(database: Database, hooks: Sequence[Reader], found: Sequence[Event], *, late: bool = False) -> None:
    deliveries = [
        _delivery(database, hook, event)
        for event in found
        for hook in hooks
        if event.type in hook.events and hook.fits(event.queue, event.priority)
    ]
    for part in database.parts(deliveries, ROWS_PER_STATEMENT, _weight):
        database.run("event.deliver", rows=part)
    # Whoever archives one meanwhile has committed by now: the insert waited for that.
    if late and (archived := _archived(database, [row[0] for row in deliveries])):
        database.run("event.take_back", ids=sorted(archived))
    if deliveries:
        database.notify([DELIVERIES])


def _archived(database: Database, deliveries: Sequence[str]) -> set[str]:
    """Those of some deliveries that are in the archive: they were made."""
    return {str(job) for (job,) in database.rows_in("event.archived", deliveries)}


def _weight(row: tuple[Any, ...]) -> int:
    return sum(2 * len(value) + 40 for value in row if isinstance(value, str))


def delivery_id(webhook: str, event: str) -> str:
    """The id of the job that delivers an event to a webhook."""
    return str(uuid5(UUID(webhook), event))


def _record(reader: Reader, event: Event) -> dict[str, Any]:
    record = event.record()
    if not reader.include_payload:
        record["data"].pop("payload", None)
    return record


def _delivery(database: Database, reader: Reader, event: Event) -> tuple[Any, ...]:
    payload = {"webhook": reader.id, "name": reader.name, "event": _record(reader, event)}
    nobody = database.ids(()) if database.dialect == "postgresql" else "[]"
    return (
        delivery_id(reader.id, event.id),
        DELIVERIES,
        database.json(payload),
        "Pending",
        int(JobPriority.NORMAL),
        0,
        (reader.max_retries or 0) + 1,
        (reader.timeout_seconds or 0) + SPARE_SECONDS,
        event.at,
        event.at,
        nobody,
        nobody,
        "none",
    )


def key_of(partitioning: str | None, event: Event) -> str | None:
    """The key within which a stream keeps the order of events; ``None`` if it keeps none."""
    return {
        "job_id": event.job_id or event.id,
        "queue_name": event.queue,
        "priority": event.priority,
        "event_type": str(event.type),
        "root_id": event.root_id or event.id,
    }.get(partitioning or "")


def write_missed(
    database: Database, since: datetime, latest: datetime, known: Container[tuple[str, datetime]]
) -> set[tuple[str, datetime]]:
    """Writes the final failures that nobody has written, such as those of Rust workers. The others stay as they are.

    Args:
        since: looks at jobs that failed then or later.
        latest: the latest time that a right clock can have stored.
        known: failures that an earlier look has found.

    Returns:
        Jobs that failed, with the times.
    """
    if not wants_failures(database):
        return set()
    found: dict[datetime, list[str]] = defaultdict(list)
    for statement in ("event.failures", "event.time_outs"):
        for job, stored in database.rows(statement, since=since, latest=latest, limit=MOST_MISSED):
            at = timestamp(stored)
            if at is not None:
                found[at].append(str(job))
    for at, ids in found.items():
        new = [job for job in ids if (job, at) not in known]
        if new:
            database.transaction(partial(_write_jobs, database, new, at, FINAL, by_status=True, late=True))
    return {(job, at) for at, ids in found.items() for job in ids}
