"""A tree without what ``--redact`` hides."""

import json
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from hammerwork_cli.core.input.spawn_config import ON_ERROR
from hammerwork_cli.core.values import HIDDEN, Counts, JobStatus
from hammerwork_cli.features.job.options import SPAWN_FIELDS
from hammerwork_cli.features.tree.model import TreeNode
from hammerwork_cli.features.tree.spawn_tree import SpawnTree
from hammerwork_cli.view.json import UNKNOWN

_STATUSES = frozenset(JobStatus)
_NAMES = {"handler", "operation_id"}
_FIGURES = SPAWN_FIELDS.parts.keys() - _NAMES - {"on_error", "metadata"}


def word(stored: Any, words: Collection[str]) -> str:
    return stored if stored in words else UNKNOWN


def counts(stored: Mapping[str, Any], words: Collection[str]) -> dict[str, int]:
    """Returns numbers by word, with those of unknown words added up."""
    shown: dict[str, int] = {}
    for name, number in stored.items():
        if isinstance(number, int):
            known = word(name, words)
            shown[known] = shown.get(known, 0) + number
    return shown


def spawn_config(stored: Any) -> Any:
    """Hides values of a stored spawn configuration, which may contain anything under any key."""
    if not isinstance(stored, dict):
        return HIDDEN
    return {key: value for key, value in stored.items() if _may_be_shown(key, value)}


def _may_be_shown(key: str, value: Any) -> bool:
    if value is None:
        return key in _NAMES | _FIGURES | {"on_error"}
    if key in _FIGURES:
        return isinstance(value, int)
    return (key in _NAMES and isinstance(value, str)) or (key == "on_error" and value in ON_ERROR)


def tree(found: SpawnTree) -> SpawnTree:
    return replace(
        found,
        nodes={job: _node(one) for job, one in found.nodes.items()},
        child_counts={job: Counts(counts(one.by_status, _STATUSES)) for job, one in found.child_counts.items()},
    )


def _node(found: TreeNode) -> TreeNode:
    stored = found.spawn_config
    if found.stored_config is not None:
        found = found._replace(stored_config=json.dumps(None if stored is None else spawn_config(stored)))
    return found._replace(
        stored_status=word(found.status, _STATUSES),
        error=None if found.error is None else HIDDEN,
        workflow_name=None if found.workflow_name is None else HIDDEN,
    )


def without_config(found: TreeNode) -> TreeNode:
    """Removes the spawn configuration of a job except the id of the operation."""
    if found.stored_config is None:
        return found
    operation = found.operation_id
    return found._replace(stored_config=json.dumps({} if operation is None else {"operation_id": operation}))
