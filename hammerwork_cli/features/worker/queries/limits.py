"""Limits of queues: what they leave for a claim, and their changes.

A claim from a queue with a limit locks the limit, so that one at a time counts: running jobs by their rows, which the
death of a worker leaves right, and starts within the period by their record. A queue without a limit costs nothing.
"""

import json
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import accumulate
from typing import Any, NamedTuple

from hammerwork_cli.core.input.rates import Rate
from hammerwork_cli.core.values import RUNNING_SPELLINGS, timestamp
from hammerwork_cli.database import Database
from hammerwork_cli.database.batches import batched, chunks
from hammerwork_cli.errors import ConflictError, RefusedValueError
from hammerwork_cli.features.job.queries.limits import check_name
from hammerwork_cli.features.worker.models.limits import QueueLimit

SHARED = ""
"""The value of jobs that share the limit with the whole queue, or whose payloads have no value."""
STEPS = 100
"""A start counts as one at the end of its hundredth of the period: never too many start, and at least 99 % of the
rate."""
MOST_FULL, MOST_FULL_TEXT = 10_000, 1 << 20
"""Most values without room that a statement leaves out, and the most characters that they have together: SQLite binds
32,766 values, and a server reads a packet of some megabytes."""
MOST_LOOKS = 10
"""How often a claim looks for jobs of other values when those that it found have no room."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
AHEAD = timedelta(seconds=1)
"""How far ahead of a claim's clock a start may lie and count: on a busy server, a claim that reads the clock first may
get the lock last."""
TIDY_CLAIMS = 100
"""Claims from a queue of which one deletes the starts that no longer count."""
LOCKED_SECONDS = 0.05
"""When to ask again, after another claim had the lock."""

Row = tuple[Any, ...]
Ready = Callable[..., Sequence[Row]]
Starts = list[tuple[int, int]]
"""The end of a hundredth of a period, in milliseconds since 1970, and how many jobs started in it."""


class NoRoom(NamedTuple):
    """Why a claim left jobs that are due, and for how long to leave the queue alone."""

    seconds: float | None  # `None` if room comes with the end of a running job, which nobody can foresee
    looked: float = 0.0  # seconds that it took to look behind the first jobs


class Chosen(NamedTuple):
    """What a limit lets a worker claim."""

    rows: list[Row]
    no_room: NoRoom | None  # why there are not more
    at: datetime | None = None  # when their starts count, by the server's clock


def claim(
    database: Database,
    queue: str,
    rows: Sequence[Row],
    slots: int,
    ready: Ready,
    choose: Callable[[list[Row]], list[Row]],
    *,
    behind: bool = True,
) -> Chosen:
    """Chooses jobs of a queue with a limit, and counts their starts. Needs a transaction.

    Args:
        rows: the first ready jobs; their first column is the id.
        slots: attempts that can start at once: none is claimed ahead, since it would count without running.
        ready: reads the first ready jobs without one of the values in ``full``. The last column but one is the value
            that the limit goes by.
        choose: of jobs that may start, those that the worker takes.
        behind: if the values of the first jobs have no room, look for others behind them, which may take long: it reads
            all of them.
    """
    locked = database.row("worker.limits.lock", queue=queue)
    if locked is None:
        return Chosen([], NoRoom(LOCKED_SECONDS))
    *columns, claims, now = locked
    at = timestamp(now)
    allowance = _Allowance(database, _limit(columns), database.now() if at is None else database.moved(at))
    allowed, no_room = allowance.allowed(rows, slots, ready, behind=behind)
    chosen = choose(allowed)
    if chosen:
        database.run("worker.limits.touch", queue=queue)
        allowance.record([row[0] for row in chosen])
        if claims % TIDY_CLAIMS == 0:
            database.run("worker.limits.forget", queue=queue, before=allowance.now)
    return Chosen(chosen, no_room, allowance.now)


class _Allowance:
    """What the limit of a queue leaves for one claim."""

    def __init__(self, database: Database, limit: QueueLimit, now: datetime) -> None:
        self._database, self._limit, self.now = database, limit, now
        self._running = running(database, limit)
        self._starts: dict[str, Starts] = {}
        self._keys: dict[Any, str] = {}  # the id of a job that may start -> its value
        self._taken: Counter[str] = Counter()
        self._looked = 0.0
        self._free_at: datetime | None = None  # when the first value without room by its rate gets some

    def allowed(self, rows: Sequence[Row], most: int, ready: Ready, *, behind: bool) -> tuple[list[Row], NoRoom | None]:
        """The jobs that may start, and why there are not more."""
        if self._limit.per is None:
            found = rows[: max(0, min(most, self.room(SHARED)))]
            self._take(found, SHARED)
            left = len(found) < min(most, len(rows)) and self.room(SHARED) <= 0
        else:
            found, left = self._of_each_value(most, ready, behind=behind)
        return list(found), self._no_room() if left else None

    def _of_each_value(self, most: int, ready: Ready, *, behind: bool) -> tuple[list[Row], bool]:
        chosen: list[Row] = []
        full: set[str] = set()  # values without room: those that a look has met; from the second one on, all
        for look in range(MOST_LOOKS):
            if look and not behind:
                break
            if look == 1:
                full |= self._full()
            wanted = most + len(chosen)  # those that are chosen are found again
            began = time.monotonic()
            found = ready(limit=wanted, per=value_path(self._database, self._limit), full=_left_out(full))
            if look:
                self._looked += time.monotonic() - began
            self.read_starts({str(row[-2]) for row in found})
            for row in found:
                key = str(row[-2])
                if row[0] in self._keys or len(chosen) >= most:
                    continue
                if self.room(key) > 0:
                    self._take([row], key)
                    chosen.append(row)
                else:
                    full.add(key)
            if len(chosen) >= most or len(found) < wanted:
                break
        return chosen, bool(full) and len(chosen) < most

    def _full(self) -> set[str]:
        """The values whose running jobs or recorded starts leave no room."""
        database, limit = self._database, self._limit
        full = {key for key, jobs in self._running.items() if limit.concurrency and jobs >= limit.concurrency}
        if limit.rate is not None:
            for key, until in database.rows(
                "worker.limits.full",
                queue=limit.queue,
                now=self.now,
                latest=counts_until(_latest(self.now, limit.rate), limit.rate),
                most=MOST_FULL,
            ):
                full.add(str(key))
                self._note_free(timestamp(until))
        return full

    def _take(self, rows: Sequence[Row], key: str) -> None:
        self._keys.update((row[0], key) for row in rows)
        self._taken[key] += len(rows)

    def room(self, key: str) -> int:
        """Further jobs of a value that may start now."""
        rooms, limit = [], self._limit
        if limit.concurrency is not None:
            rooms.append(limit.concurrency - self._running[key])
        if limit.rate is not None:
            recent = self._recent(key)
            rooms.append(limit.rate.number - sum(jobs for _, jobs in recent))
            if rooms[-1] <= self._taken[key]:
                self._note_free(counts_until(recent[0][0], limit.rate) if recent else self.now + limit.rate.period)
        return min(rooms) - self._taken[key]

    def _note_free(self, at: datetime | None) -> None:
        if at is not None:
            self._free_at = at if self._free_at is None else min(self._free_at, at)

    def _no_room(self) -> NoRoom:
        if self._free_at is None:
            return NoRoom(None, self._looked)
        return NoRoom(max(0.0, (self._free_at - self.now).total_seconds()), self._looked)

    def read_starts(self, keys: Iterable[str]) -> None:
        """Reads the recent starts of values together; :meth:`room` would read them value by value."""
        if self._limit.rate is not None and (unknown := sorted(set(keys) - self._starts.keys())):
            found = recent_starts(self._database, self._limit, unknown, self.now)
            self._starts.update((key, found.get(key, [])) for key in unknown)

    def _recent(self, key: str) -> Starts:
        self.read_starts([key])
        return self._starts[key]

    def record(self, ids: Iterable[Any]) -> None:
        """Counts the starts of jobs."""
        rate, started = self._limit.rate, Counter(self._keys[job] for job in ids)
        if rate is None:
            return
        slot = slot_of(self.now, rate)
        rows = []
        for key, jobs in sorted(started.items()):
            starts = Counter(dict(self._recent(key)))
            starts[slot] += jobs
            kept = sorted(starts.items())
            full = sum(starts.values()) >= rate.number
            until = counts_until(kept[0][0], rate) if full else None
            rows.append((self._limit.queue, _hash(key), key, json.dumps(kept), until, counts_until(slot, rate)))
        database, queue = self._database, self._limit.queue
        for part in batched(rows, database.key_chunk):
            database.run("worker.limits.forget_starts", queue=queue, hashes=[row[1] for row in part])
            database.insert("worker.limits.record", part)


def _left_out(full: set[str]) -> list[str]:
    """As many values as a statement can leave out, the shortest first."""
    found = sorted(full, key=lambda value: (len(value), value))[:MOST_FULL]
    ends = accumulate(map(len, found))
    return [value for value, end in zip(found, ends, strict=True) if end <= MOST_FULL_TEXT]


def running(database: Database, limit: QueueLimit) -> Counter[str]:
    """Value -> running jobs, as the concurrency of a limit counts them; nothing without one."""
    if limit.concurrency is None:
        return Counter()
    found = {"queue": limit.queue, "running": RUNNING_SPELLINGS}
    if limit.per is None:
        return Counter({SHARED: int(database.value("worker.limits.running", **found))})
    rows = database.rows("worker.limits.running_keys", per=value_path(database, limit), **found)
    return Counter(str(key) for (key,) in rows)


def recent_starts(database: Database, limit: QueueLimit, keys: Sequence[str], now: datetime) -> dict[str, Starts]:
    """Value -> its starts within the period of a limit with a rate.

    A start that lies far in the future was recorded by a clock that was wrong, and does not count.
    """
    rate = limit.rate
    assert rate is not None
    hashes = {_hash(key): key for key in keys}
    found: dict[str, Starts] = defaultdict(list)
    latest = _latest(now, rate)
    for part in chunks(list(hashes), database.key_chunk):
        for hashed, starts in database.rows("worker.limits.starts", queue=limit.queue, hashes=part):
            counted = [
                (int(at), int(jobs)) for at, jobs in json.loads(starts) if at <= latest and counts_until(at, rate) > now
            ]
            found[hashes[str(hashed)]] = counted
    return found


def without_room(database: Database, limit: QueueLimit, jobs: Sequence[str], now: datetime) -> set[str]:
    """The ids of jobs of a queue that its limit would not let start now."""
    keys = dict.fromkeys(jobs, SHARED)
    if limit.per is not None:
        rows = database.rows_of("worker.limits.keys", jobs, per=value_path(database, limit))
        keys.update((str(job), str(key)) for job, key in rows)
    values, allowance = set(keys.values()), _Allowance(database, limit, now)
    allowance.read_starts(values)
    full = {value for value in values if allowance.room(value) <= 0}
    return {job for job, key in keys.items() if key in full}


def value_path(database: Database, limit: QueueLimit) -> str:
    """The argument of ``{limit_key}`` that leads to the value in a payload."""
    if database.dialect == "postgresql":
        return json.dumps(limit.keys)
    return "$" + "".join(f'."{key}"' for key in limit.keys)


def slot_of(at: datetime, rate: Rate) -> int:
    """The end of the hundredth of the period in which a job starts."""
    step = _step(rate)
    return -((_EPOCH - at) // timedelta(milliseconds=step)) * step


def counts_until(slot: int, rate: Rate) -> datetime:
    """When the starts of a slot stop counting."""
    return _EPOCH + timedelta(milliseconds=slot) + rate.period


def _latest(now: datetime, rate: Rate) -> int:
    return slot_of(now + AHEAD, rate) + _step(rate)


def _step(rate: Rate) -> int:
    return max(1, rate.period // timedelta(milliseconds=1) // STEPS)


def _hash(key: str) -> str:
    return sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


# Changes.


def listed(database: Database, queues: Sequence[str] = ()) -> list[QueueLimit]:
    """The limits, by the names of their queues; none on tables without them."""
    if not database.is_current:
        return []
    return [_limit(columns) for *columns, _ in database.rows("worker.limits.all", queues=queues)]


def of_queue(database: Database, queue: str) -> QueueLimit | None:
    return next(iter(listed(database, [queue])), None)


def set_limit(database: Database, limit: QueueLimit, *, by: str, now: datetime) -> QueueLimit | None:
    """Writes the limit of a queue; returns the one that it had.

    Args:
        by: who writes it.
    """
    check_name(database, limit.queue)

    def work() -> QueueLimit | None:
        before = of_queue(database, limit.queue)
        if before is not None and before.terms == limit.terms and before.changed_by == by:
            return before
        if before is not None and before.per != limit.per:
            database.run("worker.limits.forget", queue=limit.queue, before=None)
        elif before is not None and before.rate != limit.rate:
            database.run("worker.limits.look_again", queue=limit.queue)
        database.run("worker.limits.remove", queue=limit.queue)
        database.run(
            "worker.limits.set",
            queue=limit.queue,
            concurrency=limit.concurrency,
            rate=limit.rate and limit.rate.number,
            period=limit.rate and limit.rate.period // timedelta(milliseconds=1),
            per=limit.per,
            changed_by=database.message(by),
            now=now,
        )
        return before

    try:
        return database.transaction(work)
    except RefusedValueError as error:
        raise ConflictError(
            f"The queue {limit.queue!r} cannot be limited: the table cannot tell its name from that of another one.",
            hint="To list them: hammerwork queue limit",
        ) from error


def remove(database: Database, queue: str) -> QueueLimit | None:
    """Deletes the limit of a queue; returns it, or nothing if it had none."""

    def work() -> QueueLimit | None:
        before = of_queue(database, queue)
        if before is not None:
            database.run("worker.limits.remove", queue=queue)
            database.run("worker.limits.forget", queue=queue, before=None)
        return before

    return database.transaction(work)


def _limit(columns: Sequence[Any]) -> QueueLimit:
    queue, concurrency, rate, period, by, changed_by, changed_at = columns
    parsed = None if rate is None else Rate(int(rate), timedelta(milliseconds=int(period)))
    return QueueLimit(str(queue), concurrency, parsed, by, str(changed_by), changed_at)
