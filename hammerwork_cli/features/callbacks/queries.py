"""Reads the callbacks of trees, batches and workflows; ``features/batch/queries/callbacks.py`` acts on them."""

from collections.abc import Sequence
from typing import Any

from hammerwork_cli.database import Database
from hammerwork_cli.features.callbacks.model import Callback, Subject


def callbacks_of(database: Database, subject: Subject, subject_id: str) -> list[Callback]:
    """The callbacks of a tree, a batch or a workflow."""
    if not database.is_current:
        return []
    return [read_callback(row) for row in database.rows("callbacks.of_subject", subject=str(subject), id=subject_id)]


def read_callback(row: Sequence[Any]) -> Callback:
    callback = Callback._make(row)
    return callback._replace(id=str(callback.id), subject_id=str(callback.subject_id))
