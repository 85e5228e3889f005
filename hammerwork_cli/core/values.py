"""Statuses, priorities, timestamps and id lists as rows store them, and their meaning."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import IntEnum, StrEnum
from typing import Any

from hammerwork_cli.errors import UsageError

HIDDEN = "[redacted]"
"""Stands for a value that must not be shown."""

MASK = "***"
"""Stands for a secret."""

PERSONAL = ("archived_by", "changed_by", "created_by", "paused_by", "requested_by", "updated_by")
"""Columns that name a person (``ada@host``), and keys of records that do: every redaction hides them."""

Timestamp = str | datetime | None
"""A time in UTC as a driver delivers it; :func:`timestamp` and :func:`rfc3339` read it."""


def timestamp(value: Timestamp) -> datetime | None:
    """Returns an aware ``datetime`` in UTC; ``None`` for no value and for one that ``datetime`` cannot hold.

    PostgreSQL has ``infinity`` and the year 10000, and the text columns of SQLite accept anything.
    """
    if value is None:
        return None
    try:
        parsed = datetime.fromisoformat(value) if isinstance(value, str) else value
        return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def between(start: Timestamp, end: Timestamp) -> timedelta | None:
    """Returns the time from one to the other, never negative: clocks may differ. ``None`` if one is not known."""
    began, ended = timestamp(start), timestamp(end)
    return max(ended - began, timedelta()) if began and ended else None


def length_of(seconds: Any) -> timedelta | None:
    """Returns the duration that a database calculated; 0 if clocks made it negative, ``None`` for no value."""
    return None if seconds is None else timedelta(seconds=max(float(seconds), 0.0))


def numbered(number: int, one: str, many: str) -> str:
    """Returns a number with the words for one, or for any other number: ``1 job is``, ``1,200 jobs are``."""
    return f"1 {one}" if number == 1 else f"{number:,} {many}"


def cancellation(by: str, reason: str | None = None) -> str:
    """Returns the error of a job that was cancelled: by it, ``status_of_row`` in SQL tells it from one that failed."""
    return f"cancelled by {by} through hammerwork{f': {reason}' if reason else ''}"


def rfc3339(value: Timestamp) -> str | None:
    """Returns RFC 3339 text in UTC (``2026-11-24T14:18:25.393217Z``)."""
    instant = timestamp(value)
    if instant is None:
        return None
    return instant.isoformat(timespec="microseconds").replace("+00:00", "Z")


class Migrated(StrEnum):
    """How many of the migrations of hammerwork-cli a database has."""

    ALL = "all"
    SOME = "some"
    NONE = "none"
    """Only the tables of hammerwork (Rust) exist."""


class JobStatus(StrEnum):
    """The statuses in their normal spelling: capitalised and unquoted.

    Rows hold all but ``Cancelled``, and workers write neither that nor ``Retrying``: see :data:`DERIVED`.
    """

    PENDING = "Pending"
    RUNNING = "Running"
    COMPLETED = "Completed"
    FAILED = "Failed"
    DEAD = "Dead"
    TIMED_OUT = "TimedOut"
    RETRYING = "Retrying"
    ARCHIVED = "Archived"
    CANCELLED = "Cancelled"

    @property
    def plain_words(self) -> frozenset[str]:
        """The words for the status in rows, in lower case and without quotes."""
        return frozenset({self.value.lower(), self.name.lower()})

    @property
    def _spellings(self) -> tuple[str, ...]:
        """Every spelling of the status in rows. Only ``value`` is healthy; quotes and lower case are damage."""
        words = {self.value, *self.plain_words}
        return tuple(sorted({form for word in words for form in (word, f'"{word}"')}))


GOOD_FIRST = (
    JobStatus.COMPLETED,
    JobStatus.RUNNING,
    JobStatus.PENDING,
    JobStatus.RETRYING,
    JobStatus.FAILED,
    JobStatus.TIMED_OUT,
    JobStatus.DEAD,
    JobStatus.CANCELLED,
    JobStatus.ARCHIVED,
)
"""All statuses, as people read counts of them."""
WORST_FIRST = (JobStatus.DEAD, JobStatus.FAILED, JobStatus.TIMED_OUT)
FAILURES = frozenset(WORST_FIRST)
UNSUCCESSFUL = FAILURES | {JobStatus.CANCELLED}
FINISHED = UNSUCCESSFUL | {JobStatus.COMPLETED, JobStatus.ARCHIVED}
WAITING = frozenset({JobStatus.PENDING, JobStatus.RETRYING})

WITH_ERROR = UNSUCCESSFUL | {JobStatus.RETRYING}
"""Statuses that an error explains."""
ENDS = {
    JobStatus.COMPLETED: "completed_at",
    JobStatus.FAILED: "failed_at",
    JobStatus.DEAD: "failed_at",
    JobStatus.TIMED_OUT: "timed_out_at",
}
"""Statuses of ended jobs that rows hold -> the column with the time of the end; Cancelled jobs are Failed there."""
DERIVED = {JobStatus.RETRYING: JobStatus.PENDING, JobStatus.CANCELLED: JobStatus.FAILED}
"""Statuses that statements derive from other columns -> the status that the row holds. ``{status j}`` in
``features/shared.sql`` has the conditions.
"""
STORED = tuple(status for status in JobStatus if status not in DERIVED or status is JobStatus.RETRYING)
"""Statuses that a row may hold: hammerwork (Rust) knows a stored Retrying."""


def spellings(statuses: Iterable[JobStatus]) -> tuple[str, ...]:
    """Every way in which rows may hold one of these statuses, with those from which statements derive them."""
    held = {held for status in statuses for held in (status, DERIVED.get(status, status))}
    return _words(held)


def derived_words(statuses: Iterable[JobStatus]) -> tuple[str, ...]:
    """The words of these statuses after derivation.

    Empty where :func:`spellings` alone tells these statuses from all others, which spares a statement the derivation.
    """
    wanted = set(statuses)
    splits = any((status in wanted) != (held in wanted) for status, held in DERIVED.items())
    return _words(wanted) if splits else ()


def _words(statuses: Iterable[JobStatus]) -> tuple[str, ...]:
    return tuple(spelling for status in sorted(statuses) for spelling in status._spellings)


COMPLETED_SPELLINGS = JobStatus.COMPLETED._spellings
ENDED_SPELLINGS = spellings(FINISHED)
FAILED_SPELLINGS = spellings(FAILURES)
ODDLY_FAILED = tuple(word for word in FAILED_SPELLINGS if word not in FAILURES)
"""The spellings of failures that only damaged rows have."""
ODDLY_COMPLETED = tuple(word for word in COMPLETED_SPELLINGS if word != JobStatus.COMPLETED)
RUNNING_SPELLINGS = JobStatus.RUNNING._spellings
WAITING_SPELLINGS = spellings(WAITING)

_STATUS_WORDS = {spelling: status.value for status in JobStatus for spelling in status._spellings}


def status_of(stored: str | None) -> str:
    """Returns the status that a row means, whatever its quotes and letter case; unknown words stay as they are."""
    if stored is None:
        return "Unknown"
    known = _STATUS_WORDS.get(stored)
    if known is None:
        known = _STATUS_WORDS.get(stored.strip().strip('"').lower())
    return known or stored


def statuses_of(words: Iterable[str]) -> list[JobStatus]:
    """The statuses that somebody has named, in any letter case."""
    known = {status.value.lower(): status for status in JobStatus}
    found = []
    for word in words:
        status = known.get(word.lower().replace("_", "").replace("-", ""))
        if status is None:
            raise UsageError(f"{word[:40]!r} is not a status.", hint=f"One of: {', '.join(sorted(known))}.")
        found.append(status)
    return found


def status_phrase(status: str) -> str:
    """Returns a status for use in an error message, which must not repeat an unknown word from the database."""
    return status if status in _STATUS_WORDS.values() else "in no known status"


class JobPriority(IntEnum):
    """Priorities, with their numbers in the database."""

    BACKGROUND = 0
    LOW = 1
    NORMAL = 2
    HIGH = 3
    CRITICAL = 4

    @property
    def word(self) -> str:
        """The word that people type and read, in lower case."""
        return self.name.lower()


WEIGHTS = {
    JobPriority.BACKGROUND: 1,
    JobPriority.LOW: 2,
    JobPriority.NORMAL: 5,
    JobPriority.HIGH: 10,
    JobPriority.CRITICAL: 20,
}
"""The weights that hammerwork (Rust) gives to priorities, as workers do that claim by them."""
_PRIORITY_WORDS = {priority.value: priority.word for priority in JobPriority}


def priority_word(stored: int | str | None) -> str:
    """Returns the word for a stored priority. Unknown values read as normal, as in hammerwork (Rust)."""
    if isinstance(stored, str):
        return stored.lower() if stored.lower() in _PRIORITY_WORDS.values() else "normal"
    return _PRIORITY_WORDS.get(stored if stored is not None else 2, "normal")


def id_list(stored: object) -> tuple[str, ...]:
    """Reads the job ids of ``depends_on`` in the spelling of any database.

    Accepts ``{a,b}`` (PostgreSQL's ``uuid[]`` as text), a JSON array as text or parsed, and ``None``. Drops members
    that are not text, as hammerwork (Rust) does.
    """
    if not stored or stored == "[]":
        return ()
    if isinstance(stored, (bytes, bytearray)):
        stored = stored.decode("utf-8", "replace")
    if isinstance(stored, str):
        if stored[0] == "{":
            return tuple(stored[1:-1].split(",")) if len(stored) > 2 else ()
        if len(stored) == 40 and stored[1] == stored[-2] == '"' and stored.count('"') == 2 and "\\" not in stored:
            # Nearly every child has one parent. In a large tree, this saves 100,000 calls of the JSON parser.
            return (stored[2:-2].lower(),)
        try:
            stored = json.loads(stored)
        except (ValueError, RecursionError):
            return ()
    if not isinstance(stored, list):
        return ()
    return tuple(member.lower() for member in stored if isinstance(member, str))


@dataclass(slots=True)
class Counts:
    """Numbers of jobs by status."""

    by_status: dict[str, int] = field(default_factory=dict)  # status -> jobs, with unknown words too

    def add(self, status: str, jobs: int = 1) -> None:
        self.by_status[status] = self.by_status.get(status, 0) + jobs

    def merge(self, other: "Counts") -> None:
        counted = self.by_status
        for status, jobs in other.by_status.items():
            counted[status] = counted.get(status, 0) + jobs

    @property
    def total(self) -> int:
        return sum(self.by_status.values())

    def of(self, *statuses: str) -> int:
        """Number of jobs in any of these statuses."""
        return sum(self.by_status.get(status, 0) for status in statuses)

    @property
    def ended(self) -> int:
        return self.of(*FINISHED)

    @property
    def open(self) -> int:
        """Number of jobs that have not ended."""
        return self.total - self.ended

    @property
    def failed(self) -> int:
        """Number of Failed, Dead and TimedOut jobs."""
        return self.of(*FAILURES)

    @property
    def worst(self) -> JobStatus | None:
        """The gravest failure among them."""
        return next((status for status in WORST_FIRST if self.by_status.get(status)), None)

    @property
    def cancelled(self) -> int:
        return self.of(JobStatus.CANCELLED)

    @property
    def unsuccessful(self) -> int:
        """Number of Failed, Dead, TimedOut and Cancelled jobs."""
        return self.of(*UNSUCCESSFUL)

    @property
    def retrying(self) -> int:
        return self.of(JobStatus.RETRYING)

    @property
    def other(self) -> int:
        """Number of jobs that are Archived or in an unknown status."""
        return self.total - self.of(JobStatus.COMPLETED, JobStatus.RUNNING, *WAITING, *UNSUCCESSFUL)
