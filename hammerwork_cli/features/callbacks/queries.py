"""Reads the callbacks of trees, batches and workflows; ``features/batch/queries/callbacks.py`` acts on them."""

from collections.abc import Sequence
from typing import Any

from hammerwork_cli.database import Database
from hammerwork_cli.features.callbacks.model import Callback, Subject, writes_event
from hammerwork_cli.features.event.model import DELIVERIES


def callbacks_of(database: Database, subject: Subject, subject_id: str) -> list[Callback]:
    """The callbacks of a tree, a batch or a workflow that enqueue jobs."""
    if not database.is_current:
        return []
    rows = database.rows("callbacks.of_subject", subject=str(subject), id=subject_id)
    return [found for row in rows if (found := read_callback(row)).announced is None]


def announcing(database: Database, subjects: Sequence[str], *, done: bool = False) -> dict[str, list[str]]:
    """The callbacks that write events at the end of some trees, batches and workflows: subject -> ids.

    Args:
        done: only those that are not open.
    """
    found: dict[str, list[str]] = {}
    for callback, subject, job in database.rows_in("callbacks.of_subjects", subjects, done=done):
        if writes_event(job):
            found.setdefault(str(subject), []).append(str(callback))
    return found


def any_open_job(database: Database) -> bool:
    """Whether any job has yet to end, but for deliveries."""
    return database.row("callbacks.any_open_job", deliveries=DELIVERIES) is not None


def read_callback(row: Sequence[Any]) -> Callback:
    callback = Callback._make(row)
    return callback._replace(id=str(callback.id), subject_id=str(callback.subject_id))
