"""Reads and writes streams, and the events that wait to be sent."""

import json
from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial
from itertools import islice
from shlex import quote
from typing import Any, NamedTuple

from hammerwork_cli.core.clock import EPOCH
from hammerwork_cli.core.values import FAILED_SPELLINGS, JobStatus, spellings, timestamp
from hammerwork_cli.database import Database
from hammerwork_cli.database.batches import chunks
from hammerwork_cli.database.statements import Names
from hammerwork_cli.errors import ConflictError
from hammerwork_cli.features.event import queries as events
from hammerwork_cli.features.event import receivers
from hammerwork_cli.features.event.model import EventType
from hammerwork_cli.features.streaming.model import Backend, Partitioning, Stream, StreamFormat, StreamState
from hammerwork_cli.view.text import cut

PAGE = 500
ROWS = 50
"""Rows with the events of many jobs that are read at once."""
_ENDS = (
    ("completed_at", spellings([JobStatus.COMPLETED])),
    ("failed_at", FAILED_SPELLINGS),
    ("timed_out_at", spellings([JobStatus.TIMED_OUT])),
)
"""Column of an end, and the statuses that have it."""
KEPT = timedelta(minutes=20)
"""How long a sent failure is kept: workers look back for half of that for those that nobody has written."""
LONGEST_ERROR = 1000
MOST_DROPPED = 10_000
"""Rows that are dropped at a time, so that a worker does not lose its duty meanwhile."""
MOST_COUNTED = 10_000
"""Rows of a backlog that :func:`states` counts at most; it estimates the number of events in a longer one."""
_COLUMNS = Names(Stream._fields)
_NOTICED_LATER = frozenset(map(str, events.FINAL))


class UnsentEvent(NamedTuple):
    """An event that waits to be sent."""

    row: int  # id of its row
    place: int  # in the list of the row
    of: int  # length of that list
    key: str | None
    record: dict[str, Any]
    at: datetime


def to_send(database: Database) -> list[Stream]:
    """The streams that are enabled and have events to send."""
    return [_read(row) for row in database.rows("streaming.to_send", columns=_COLUMNS)]


def remove(database: Database, stream: Stream) -> bool:
    """Removes a stream with the events that wait; returns whether it was there."""

    def work() -> bool:
        # In the order in which senders lock them.
        database.run("streaming.remove_events", id=stream.id)
        return bool(database.run("streaming.remove", id=stream.id))

    removed = database.transaction(work)
    database.forget(events.READERS)
    return removed


def unsent(database: Database, stream: Stream, limit: int) -> list[UnsentEvent]:
    """The next events of a stream, in their order."""
    rows = database.rows("streaming.unsent", id=stream.id, limit=limit)
    return list(islice((event for row in rows for event in _waiting(stream, *row)), limit))


def _waiting(stream: Stream, row: Any, kind: str, body: str | bytes, stored_at: Any) -> Iterator[UnsentEvent]:
    at, found = timestamp(stored_at) or EPOCH, _events_of(body)
    for place, stored in enumerate(found):
        event = events.waiting(stored, EventType(kind), at)
        key = events.key_of(str(stream.partitioning), event)
        yield UnsentEvent(int(row), place, len(found), key, event.record(), at)


def _events_of(body: str | bytes) -> list[Any]:
    """The events of a row: snapshots of jobs; one snapshot; or one record."""
    found = json.loads(body.decode(errors="replace") if isinstance(body, bytes) else body)
    return found if isinstance(found, list) and isinstance(found[0], list) else [found]


def note_sent(database: Database, stream: Stream, sent: Sequence[UnsentEvent], now: datetime) -> None:
    """Forgets events that the backend has acknowledged. Needs no transaction, and may run again."""

    def work() -> None:
        number = _forget(database, stream, sent, now)
        database.run("streaming.count_sent", id=stream.id, events=number, now=now)

    if sent:
        database.transaction(work)


def _forget(database: Database, stream: Stream, done: Sequence[UnsentEvent], now: datetime) -> int:
    """Takes events out of their rows; returns how many waited there."""
    rows: dict[int, list[UnsentEvent]] = defaultdict(list)
    for one in done:
        rows[one.row].append(one)
    whole = [(row, some[0].record["type"], some[0].of) for row, some in rows.items() if len(some) == some[0].of]
    parted = [(row, some) for row, some in rows.items() if len(some) < some[0].of]
    return _forget_rows(database, stream, whole, now) + sum(
        _keep(database, row, some[0].of, set(range(some[0].of)) - {one.place for one in some}) for row, some in parted
    )


def _forget_rows(database: Database, stream: Stream, rows: Iterable[tuple[int, str, int]], now: datetime) -> int:
    """Deletes rows, or keeps those that somebody would find again for a while; returns how many events waited.

    A row is an id, a type of event and a number of events.
    """
    kept: dict[int, int] = {}
    gone: dict[int, int] = {}
    for row, kind, number in rows:
        (kept if kind in _NOTICED_LATER else gone)[row] = number
    waited = 0
    for part in chunks(list(gone), database.key_chunk):
        waited += sum(map(gone.__getitem__, part)) if database.run("streaming.has_sent", ids=part) else 0
    for part in chunks(list(kept), database.key_chunk):
        waited += sum(map(kept.__getitem__, part)) if database.run("streaming.keep_sent", ids=part, now=now) else 0
    if kept:
        database.run("streaming.forget_sent", id=stream.id, before=now - KEPT)
    return waited


def _keep(database: Database, row: int, of: int, places: Container[int]) -> int:
    """Keeps the events at some places of a row, if that still has ``of`` events; returns how many it removed.

    When the answer to a COMMIT is lost, this runs again: by then the row is shorter, with other events at these places.
    """
    found = database.row("streaming.body", id=row, of=of)
    if found is None:
        return 0
    left = [stored for place, stored in enumerate(_events_of(found[0])) if place in places]
    written = database.run("streaming.rewrite", id=row, events=len(left), body=database.json(left), of=of)
    return of - len(left) if written else 0


def note_failure(database: Database, stream: Stream, error: str, now: datetime) -> None:
    """Notes that events could not be sent."""
    text = database.message(cut(error, LONGEST_ERROR))
    database.transaction(lambda: database.run("streaming.count_failed", id=stream.id, error=text, now=now))


def drop(database: Database, stream: Stream, refused: Sequence[UnsentEvent], error: str, now: datetime) -> None:
    """Drops events that the backend never takes."""
    text = database.message(cut(error, LONGEST_ERROR))

    def work() -> None:
        number = _forget(database, stream, refused, now)
        database.run("streaming.count_dropped", id=stream.id, events=number, error=text)

    database.transaction(work)


def remove_orphans(database: Database) -> int:
    """Removes events of deleted streams; returns their number."""
    return database.transaction(lambda: database.run("streaming.remove_orphans"))


def trim(database: Database, stream: Stream, now: datetime) -> int:
    """Drops the newest events above the largest backlog, of :data:`MOST_DROPPED` rows at most; returns their number."""
    error = f"The backlog has more than {stream.max_backlog:,} events: newer ones were dropped."

    def work() -> int:
        ((waiting, _),) = database.rows("streaming.backlog", id=stream.id)
        excess = int(waiting) - stream.max_backlog
        if excess <= 0:
            return 0
        dropped = 0
        whole: list[tuple[int, str, int]] = []
        left = excess
        for row, kind, number in database.rows("streaming.newest", id=stream.id, limit=MOST_DROPPED):
            if number > left:
                dropped += _keep(database, int(row), number, range(number - left)) if left else 0
                break
            whole.append((int(row), kind, number))
            left -= number
        dropped += _forget_rows(database, stream, whole, now)
        database.run("streaming.count_dropped", id=stream.id, events=dropped, error=error)
        return dropped

    return database.transaction(work)


def state(database: Database, stream: Stream, now: datetime) -> StreamState:
    """A stream with the events that wait."""
    ((waiting, oldest),) = database.rows("streaming.backlog", id=stream.id)
    return StreamState(stream, int(waiting), oldest, now)


def states(database: Database, now: datetime) -> list[StreamState]:
    """The streams by name, with the events that wait: of a stream with very many, their number is an estimate."""
    found = listed(database)
    waiting = dict(
        database.rows_for_each("streaming.backlog_up_to", "stream", [one.id for one in found], limit=MOST_COUNTED)
    )
    return [_estimated(stream, now, *waiting[stream.id]) for stream in found]


def _estimated(
    stream: Stream, now: datetime, counted: Any, waiting: Any, first: Any, last: Any, newest: Any, oldest: Any
) -> StreamState:
    backlog = int(waiting)
    if counted >= MOST_COUNTED:  # streams share the ids: the rows counted tell how many of them are of this one
        backlog = max(backlog, round(backlog * (newest - first + 1) / (last - first + 1)))
    return StreamState(stream, backlog, oldest, now)


def replay(database: Database, stream: Stream, since: datetime, now: datetime) -> int:
    """Adds the job-end events since a time to a stream again, of jobs that still exist; returns how many it wants.

    Raises:
        ConflictError: the stream is disabled.
    """
    known = (reader for some in events.readers(database).values() for reader in some)
    reader = next((reader for reader in known if reader.id == stream.id), None)
    if reader is None:
        raise ConflictError(
            "A disabled stream sends nothing.",
            hint=f"Enable it first: hammerwork streaming enable {quote(stream.name)}",
        )
    # What was sent and is kept for a while would pass for sent.
    database.transaction(lambda: database.run("streaming.forget_sent", id=stream.id, before=now + KEPT))
    waiting = _waiting_completions(database, stream, since)
    added = 0
    for ended, statuses in _ENDS:
        for found in _ended(database, ended, statuses, since, now):
            ids = [job for job, at in found if (job, at) not in waiting]
            added += database.transaction(partial(events.stream_ends, database, reader, ids)) if ids else 0
    return added


def _waiting_completions(database: Database, stream: Stream, since: datetime) -> set[tuple[str, datetime | None]]:
    """The jobs that have completed since a time, with the times, whose events wait in rows with those of others."""
    found: set[tuple[str, datetime | None]] = set()
    values: dict[str, Any] = {"id": stream.id, "type": str(EventType.JOB_COMPLETED), "since": since, "limit": ROWS}
    after = 0
    while rows := database.rows("streaming.waiting_ends", **values, after=after):
        for _, body, at in rows:
            found |= {(str(stored[0]), timestamp(at)) for stored in _events_of(body)}
        after = int(rows[-1][0])
    return found


def _ended(
    database: Database, ended: str, statuses: Sequence[str], since: datetime, until: datetime
) -> Iterator[list[tuple[str, datetime | None]]]:
    after: str | None = None
    while True:
        values = {"ended": Names((ended,)), "statuses": statuses, "since": since, "until": until, "after": after}
        rows = database.rows("streaming.ended", **values, limit=PAGE)
        if rows:
            yield [(str(job), timestamp(at)) for job, at in rows]
        if len(rows) < PAGE:
            return
        after, since = str(rows[-1][0]), timestamp(rows[-1][1]) or since


def _read(row: Sequence[Any]) -> Stream:
    found = Stream._make(row)
    return found._replace(
        backend=Backend(found.backend),
        target=json.loads(str(found.target)),
        partitioning=Partitioning(found.partitioning),
        format=StreamFormat(found.format),
        **receivers.in_common(found),
    )


def _values(database: Database, stream: Stream) -> dict[str, Any]:
    return {
        "backend": str(stream.backend),
        "target": database.json(dict(stream.target)),
        "partitioning": str(stream.partitioning),
        "format": str(stream.format),
    }


_streams = receivers.EventReceivers(
    "streaming",
    "stream",
    ("streaming.list", "streaming.add", "streaming.update", "streaming.enable", "streaming.disable"),
    _COLUMNS,
    _read,
    _values,
)
listed, named, by_id, present = _streams.listed, _streams.named, _streams.by_id, _streams.present
add, update, switch = _streams.add, _streams.update, _streams.switch
