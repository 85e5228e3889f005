"""Archived jobs as lists and sums show them."""

from datetime import datetime
from typing import NamedTuple

from hammerwork_cli.core.values import JobStatus, Timestamp, status_of


class ArchiveFilter(NamedTuple):
    """A filter of archived jobs; a field that is not given does not restrict."""

    queues: tuple[str, ...] = ()
    statuses: tuple[JobStatus, ...] = ()
    since: datetime | None = None  # takes jobs archived then or later
    before: datetime | None = None  # takes jobs archived before then
    kept_until: datetime | None = None  # leaves out jobs that their program keeps beyond then, or always
    but_queues: tuple[str, ...] = ()  # leaves out jobs of these queues
    expired: datetime | None = None  # takes encrypted jobs that their program keeps until then at most


class ArchivedJob(NamedTuple):
    """An archived job of a list, in the order of the statement's columns."""

    id: str
    queue: str
    stored_status: str
    stored_priority: str  # a word
    attempts: int
    created_at: Timestamp
    ended_at: Timestamp  # when it ended
    archived_at: Timestamp
    reason: str  # why it was archived
    by: str | None  # who archived it
    stored_bytes: int  # of its payload in the archive
    payload_bytes: int | None  # of its payload before; `None` if that was not recorded
    error: str | None  # the first 500 characters

    @property
    def status(self) -> str:
        return status_of(self.stored_status)


class ArchivedSum(NamedTuple):
    """The archived jobs of a queue that share a reason, in the order of the statement's columns."""

    queue: str
    reason: str
    jobs: int
    stored_bytes: int  # of their payloads in the archive
    payload_bytes: int  # of their payloads before
    oldest: Timestamp  # when the first of them was archived
    newest: Timestamp
