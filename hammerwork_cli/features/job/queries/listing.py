"""Finds jobs: one by its id, many by a filter."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from shlex import quote
from typing import Any

from hammerwork_cli.core.input.reading import ids_from
from hammerwork_cli.core.values import ENDS, JobPriority, JobStatus, derived_words, spellings
from hammerwork_cli.database import Database
from hammerwork_cli.errors import LIST_JOBS, AccessDeniedError, AmbiguousIdError, NotFoundError, UsageError
from hammerwork_cli.features.job.models.job import JobFilter, JobPage, StoredJob
from hammerwork_cli.features.tree.model import TreeNode
from hammerwork_cli.features.tree.queries import cursors

_OPERATION = re.compile(r"[^\s-][\w.:/#@+-]{0,59}")
SHOWN_CANDIDATES = 10
MOST_IN_A_PAGE = 1000
"""Jobs that a long list reads at a time, so that the first of a million come at once and all take little memory."""
MOST_WITHOUT_INDEX = 20_000
"""The same where no index has the order of the list, so that each page after the first costs a scan of the table."""

SORTS = (
    "created_at",
    "scheduled_at",
    "started_at",
    "completed_at",
    "failed_at",
    "priority",
    "attempts",
    "queue",
    "status",
)
"""Fields by which a list can be sorted."""

NODE = len(TreeNode._fields)
LISTED = NODE + 5
"""Columns of a job in a list."""


def resolve(database: Database, text: str, *, hint: str = LIST_JOBS) -> str:
    """The full id of a job, by its id or a unique prefix; archived jobs too.

    All forms of a UUID are accepted: with and without hyphens, in braces, as a URN. The hint of an id that no job has
    says how to list them all.
    """
    statements = ["job.listing.by_prefix"] + ["job.listing.archived_by_prefix"] * ("archive" in database.tags)
    return by_prefix(database, text, statements, noun="job", hint=hint)


def _elsewhere(database: Database, low: str, high: str) -> str | None:
    """A hint for an id of another kind: the job, workflow or batch that has it."""
    tables = {"job": "hammerwork_jobs", "workflow": "hammerwork_workflows", "batch": "hammerwork_batches"}
    for noun, table in tables.items():
        with suppress(AccessDeniedError):  # a hint that this user may not have is no reason to fail
            if database.has_table(table):
                rows = database.rows(f"{noun}.listing.by_prefix", low=low, high=high, limit=1)
                if rows:
                    return f"There is a {noun} with that id: hammerwork {noun} show {rows[0][0]}"
    return None


def by_prefix(database: Database, text: str, statements: Sequence[str], *, noun: str, hint: str) -> str:
    """The full id that starts with a text.

    Args:
        statements: list the ids between two; a later one is asked if those before found none.
    """
    between = ids_from(text)
    if between is None:
        raise UsageError(f"{text[:60]!r} is not a {noun} id.", hint=_no_id_hint(text, noun, hint))
    low, high = between
    ids: list[str] = []
    for statement in statements:
        ids = ids or [
            str(one).lower() for (one,) in database.rows(statement, low=low, high=high, limit=SHOWN_CANDIDATES + 1)
        ]
    if not ids:
        elsewhere = _elsewhere(database, low, high)
        whole = f"There is no {noun} {low}." if low == high else None
        raise NotFoundError(
            whole or f"No {noun} has an id that starts with {text.strip()[:40]}.", hint=elsewhere or hint
        )
    if len(ids) > 1:
        candidates = ids[:SHOWN_CANDIDATES]
        several = {"batch": "batches"}.get(noun, f"{noun}s")
        more = " and more" if len(ids) > SHOWN_CANDIDATES else ""
        raise AmbiguousIdError(
            f"Several {several} have an id that starts with {text.strip()}: {', '.join(candidates)}{more}.",
            hint="Give more digits.",
            candidates=candidates,
        )
    return ids[0]


def _no_id_hint(text: str, noun: str, hint: str) -> str:
    digits = "Give a UUID, or at least its first 4 hex digits."
    if noun != "job":
        return f"{digits} {hint}"
    if not _OPERATION.fullmatch(text):
        return digits
    return f"{digits} To find operations of that name: hammerwork spawn list --operation {quote(text)}"


def chosen(wanted: JobFilter) -> dict[str, Any]:
    """The values of the fragment ``{filtered}``."""
    return {
        "queues": wanted.queues,
        "batches": wanted.batches,
        "workflows": wanted.workflows,
        "statuses": spellings(wanted.statuses),
        "derived": derived_words(wanted.statuses),
        "priorities": tuple(int(priority) for priority in wanted.priorities),
        # A number out of range counts as normal, as in hammerwork (Rust).
        "normal": JobPriority.NORMAL in wanted.priorities,
        "since": wanted.since,
        "until": wanted.until,
        "ended_before": wanted.ended_before,
        "unarchived": wanted.unarchived,
        "error": None if wanted.error is None else containing(wanted.error),
        "payload": _in_payload(wanted),
        "failed_since": wanted.failed_since,
        "exhausted": wanted.exhausted,
        "once": wanted.once,
        "aged": bool(wanted.ended),
        "kept_until": wanted.kept_until,
        "but_queues": wanted.but_queues,
        "expired": wanted.expired,
        **_aged(dict(wanted.ended)),
    }


def _in_payload(wanted: JobFilter) -> str | None:
    """The paths, texts and patterns of a payload for the fragment ``{has_payload}``; ``*`` stands for any text."""
    found = [
        {
            "path": "$" + "".join(f'."{key}"' for key in keys),
            "keys": keys,
            "texts": [text for text in texts if "*" not in text],
            "likes": [_like(text) for text in texts if "*" in text],
            "globs": [re.sub(r"([?\[])", r"[\1]", text) for text in texts if "*" in text],
        }
        for keys, texts in wanted.payload
    ]
    return json.dumps(found, ensure_ascii=False) if found else None


def _like(text: str) -> str:
    """The pattern of LIKE for a whole text in which ``*`` stands for any text."""
    return re.sub("([!%_])", r"!\1", text).replace("*", "%")


def _aged(ended: Mapping[JobStatus, datetime]) -> dict[str, Any]:
    """Status -> its spellings in rows, and the time before which such jobs must have ended."""
    words = {status: status.name.lower() for status in ENDS}
    spelled = {f"{word}_words": status._spellings for status, word in words.items()}
    return spelled | {f"{word}_before": ended.get(status) for status, word in words.items()}


def containing(text: str) -> str:
    """The pattern of LIKE for texts that contain this one."""
    return f"%{_like(text)}%"


def find(database: Database, wanted: JobFilter, *, limit: int, cursor: str | None = None) -> JobPage:
    """A page of the jobs that fit a filter, newest first.

    Raises UsageError if the cursor is not valid. Raises NotFoundError if the cursor is the id of a job that no longer
    exists.
    """
    at, job = cursors.read(database, cursor) if cursor else (None, None)
    rows = database.rows("job.listing.list", **chosen(wanted), limit=limit + 1, cursor_at=at, cursor_id=job)
    jobs = [listed(row) for row in rows[:limit]]
    more = len(rows) > limit
    return JobPage(jobs, cursors.after(jobs[-1].node) if more else None)


def pages(database: Database, wanted: JobFilter, *, limit: int, cursor: str | None = None) -> Iterator[JobPage]:
    """The pages of a long list: see :func:`find`. The cursor of the last one leads past ``limit``."""
    left, most = limit, MOST_IN_A_PAGE
    while left:
        page = find(database, wanted, limit=min(left, most), cursor=cursor)
        yield page
        most = MOST_IN_A_PAGE if database.is_current else MOST_WITHOUT_INDEX
        left -= len(page.jobs)
        cursor = page.cursor
        if cursor is None:
            return


def sorted_by(database: Database, wanted: JobFilter, field: str, *, descending: bool, limit: int) -> list[StoredJob]:
    """The first jobs that fit a filter, in another order than that of their creation.

    Args:
        field: one of :data:`SORTS`.
        descending: whether the largest come first. Jobs without a value come last in any case.
    """
    orders = {f"{name}_{way}": False for name in SORTS for way in ("up", "down")}
    orders[f"{field}_{'down' if descending else 'up'}"] = True
    rows = database.rows("job.listing.sorted", **chosen(wanted), **orders, limit=limit)
    return [listed(row) for row in rows]


def listed(row: tuple[Any, ...]) -> StoredJob:
    """The job in a row that starts with the columns of a list."""
    scheduled_at, max_attempts, dependency_status, recurring, enabled = row[NODE:LISTED]
    node = TreeNode._make(row[:NODE])
    return StoredJob(node, scheduled_at, max_attempts, dependency_status, bool(recurring), bool(enabled))
