"""Archived jobs as lists and sums show them."""

from datetime import datetime
from typing import NamedTuple

from hammerwork_cli.models.values import JobStatus, Timestamp, status_of


class ArchiveFilter(NamedTuple):
    """A filter of archived jobs; a field that is not given does not restrict.

    Attributes:
        since: takes jobs archived then or later.
        before: takes jobs archived before then.
        but_queues: leaves out jobs of these queues.
        kept_until: leaves out jobs that their program keeps beyond then, or always.
        expired: takes encrypted jobs that their program keeps until then at most.
    """

    queues: tuple[str, ...] = ()
    statuses: tuple[JobStatus, ...] = ()
    since: datetime | None = None
    before: datetime | None = None
    kept_until: datetime | None = None
    but_queues: tuple[str, ...] = ()
    expired: datetime | None = None


class ArchivedJob(NamedTuple):
    """An archived job of a list, in the order of the statement's columns.

    Attributes:
        stored_priority: a word.
        ended_at: when it ended.
        reason: why it was archived.
        by: who archived it.
        stored_bytes: of its payload in the archive.
        payload_bytes: of its payload before; ``None`` if that was not recorded.
        error: the first 500 characters.
    """

    id: str
    queue: str
    stored_status: str
    stored_priority: str
    attempts: int
    created_at: Timestamp
    ended_at: Timestamp
    archived_at: Timestamp
    reason: str
    by: str | None
    stored_bytes: int
    payload_bytes: int | None
    error: str | None

    @property
    def status(self) -> str:
        return status_of(self.stored_status)


class ArchivedSum(NamedTuple):
    """The archived jobs of a queue that share a reason, in the order of the statement's columns.

    Attributes:
        stored_bytes: of their payloads in the archive.
        payload_bytes: of their payloads before.
        oldest: when the first of them was archived.
    """

    queue: str
    reason: str
    jobs: int
    stored_bytes: int
    payload_bytes: int
    oldest: Timestamp
    newest: Timestamp
