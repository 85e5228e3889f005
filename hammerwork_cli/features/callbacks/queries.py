"""Reads the callbacks of trees, batches and workflows; ``features/batch/queries/callbacks.py`` acts on them."""

from collections.abc import Sequence
from typing import Any

from hammerwork_cli.database import Database
from hammerwork_cli.features.callbacks.model import Callback, Subject


def callbacks_of(database: Database, subject: Subject, subject_id: str) -> list[Callback]:
    """The callbacks of a tree, a batch or a workflow that enqueue jobs."""
    if not database.is_current:
        return []
    rows = database.rows("callbacks.of_subject", subject=str(subject), id=subject_id)
    return [found for row in rows if (found := read_callback(row)).announced is None]


def read_callback(row: Sequence[Any]) -> Callback:
    callback = Callback._make(row)
    return callback._replace(id=str(callback.id), subject_id=str(callback.subject_id))
